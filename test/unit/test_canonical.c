/*
 * test_canonical.c - canonical JSON
 */
#include "unit.h"

#include "core/canonical.h"
#include "core/json.h"

#include <string.h>

static void
gives(const char *text, const char *expected)
{
	mx_arena	arena;
	const mx_value *value;
	mx_violations violations;

	new_arena(&arena);
	value = read_value(&arena, text);
	mx_violations_init(&violations, &arena);
	if (value != NULL)
	{
		size_t		size = mx_canonical_size(value);
		char	   *canonical = mx_alloc(&arena, size + 1);

		mx_canonical_write(&arena, value, canonical);
		canonical[size] = '\0';
		CHECK(strcmp(canonical, expected) == 0, "%s gives %s", text, canonical);
		mx_canonical_check(value, &violations);
		CHECK(violations.count == 0, "%s is refused", text);
	}
	free_arena(&arena);
}

static void
refuses(const char *text, mx_code code)
{
	mx_arena	arena;
	mx_violations violations;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	mx_canonical_check(read_value(&arena, text), &violations);
	CHECK(violations.count == 1 && violations.first->code == code, "%s is not refused", text);
	free_arena(&arena);
}

void
test_canonical(void)
{
	gives("{}", "{}");
	gives(" [ 1 , { } , [ ] , null , true , false ] ", "[1,{},[],null,true,false]");
	gives("{\"b\": \"2\", \"a\": \"1\", \"ab\": 0, \"\": 3}", "{\"\":3,\"a\":\"1\",\"ab\":0,\"b\":\"2\"}");
	/* By code point: U+FB33 stands before U+1F600, unlike in UTF-16. */
	gives("{\"\\ud83d\\ude00\": 1, \"\\ufb33\": 2}", "{\"\xEF\xAC\xB3\":2,\"\xF0\x9F\x98\x80\":1}");
	gives("\"\\u0000\\u0001\\u001F\\b\\t\\n\\f\\r\\\"\\\\\\/\\u007f\\u2028\"",
		  "\"\\u0000\\u0001\\u001f\\b\\t\\n\\f\\r\\\"\\\\/\x7F\xE2\x80\xA8\"");
	gives("{\"a\": -0, \"b\": 1e10}", "{\"a\":0,\"b\":10000000000}");
	gives("[9007199254740991, -9007199254740991, 1.0]", "[9007199254740991,-9007199254740991,1]");
	refuses("[1.5]", MX_FLOAT);
	refuses("[9007199254740992]", MX_NUMBER_RANGE);
	refuses("[1e300]", MX_NUMBER_RANGE);
}
