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

/* As a room up to version 5 writes it. */
static void
gives_leniently(const char *text, const char *expected)
{
	mx_arena	arena;
	mx_violations violations;
	mx_builder	builder;
	mx_string	canonical;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	mx_builder_init(&builder, &arena, &violations);
	mx_build_number(&builder, text, strlen(text));
	canonical = mx_canonical_lenient(&arena, builder.root);
	CHECK(mx_same(canonical, mx_string_from(expected)), "%s gives %.*s", text, (int) canonical.length, canonical.text);
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

	/* Integers as they are, whatever their size; floats as Python's repr. */
	gives_leniently("0", "0");
	gives_leniently("-0", "0");
	gives_leniently("9007199254740991", "9007199254740991");
	gives_leniently("9007199254740993", "9007199254740993");
	gives_leniently("-123456789012345678901234567890", "-123456789012345678901234567890");
	gives_leniently("1.0", "1.0");
	gives_leniently("-0.0", "-0.0");
	gives_leniently("1.50", "1.5");
	gives_leniently("-12.25", "-12.25");
	gives_leniently("0.1", "0.1");
	gives_leniently("0.10000000000000001", "0.1");
	gives_leniently("0.30000000000000004", "0.30000000000000004");
	gives_leniently("1e2", "100.0");
	gives_leniently("1E10", "10000000000.0");
	gives_leniently("1e15", "1000000000000000.0");
	gives_leniently("9999999999999998.0", "9999999999999998.0");
	gives_leniently("1e16", "1e+16");
	gives_leniently("1.25e17", "1.25e+17");
	gives_leniently("-1e100", "-1e+100");
	gives_leniently("0.0001", "0.0001");
	gives_leniently("0.00012", "0.00012");
	gives_leniently("0.00001", "1e-05");
	gives_leniently("-0.000015", "-1.5e-05");
	gives_leniently("1e-300", "1e-300");
	gives_leniently("4.9406564584124654e-308", "4.940656458412465e-308");
	gives_leniently("1.7976931348623157e308", "1.7976931348623157e+308");
	/* 2^-44: only the farther of two decimals of 16 digits reads back as it. */
	gives_leniently("5.684341886080801486968994140625e-14", "5.684341886080802e-14");

	refuses("[1.5]", MX_FLOAT);
	refuses("[9007199254740992]", MX_NUMBER_RANGE);
	refuses("[1e300]", MX_NUMBER_RANGE);
}
