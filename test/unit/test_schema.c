/*
 * test_schema.c - every keyword, once kept and once broken
 */
#include "unit.h"

#include "core/json.h"
#include "core/schema.h"

#include <string.h>

static const char *
check_pattern(mx_string pattern)
{
	return memchr(pattern.text, '(', pattern.length) != NULL ? "is no pattern" : NULL;
}

/* Stands in for a regular expression library: any other pattern means "x". */
static bool
matches_x(mx_string pattern, mx_string text)
{
	(void) pattern;
	return text.length == 1 && text.text[0] == 'x';
}

static const mx_regex regex = {check_pattern, matches_x};

/* expected: "" when valid, else "path code". */
static void
holds(const char *schema, const char *value, const char *expected)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	mx_arena	arena;
	mx_violations violations;
	const mx_value *source;
	const mx_schema *compiled;
	const char *found = "";

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	source = read_value(&arena, schema);
	compiled = mx_schema_compile(&arena, source, source, &regex, &violations);
	CHECK(compiled != NULL, "%s does not compile: %s", schema,
		  violations.first == NULL ? "" : violations.first->message);
	if (compiled != NULL)
	{
		mx_schema_check(compiled, read_value(&arena, value), &top, false, &violations);
		if (violations.first != NULL)
			found = mx_format(&arena, "%s %s", violations.first->path, mx_code_name(violations.first->code));
		CHECK(strcmp(found, expected) == 0, "%s under %s: '%s', not '%s'", value, schema, found, expected);
		CHECK(violations.count <= 1, "%s under %s: %zu violations", value, schema, violations.count);
	}
	free_arena(&arena);
}

/* path NULL: any */
static void
no_schema(const char *schema, const char *path)
{
	mx_arena	arena;
	mx_violations violations;
	const mx_value *source;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	source = read_value(&arena, schema);
	CHECK(mx_schema_compile(&arena, source, source, &regex, &violations) == NULL, "%s compiles", schema);
	CHECK(violations.first != NULL && (path == NULL || strcmp(violations.first->path, path) == 0), "%s: path %s", schema,
		  violations.first == NULL ? "" : violations.first->path);
	free_arena(&arena);
}

void
test_schema(void)
{
	holds("true", "1", "");
	holds("false", "1", " unexpected");
	holds("{\"type\": \"string\"}", "\"a\"", "");
	holds("{\"type\": \"string\"}", "1", " type");
	holds("{\"type\": [\"string\", \"null\"]}", "null", "");
	holds("{\"type\": [\"string\", \"null\"]}", "[]", " type");
	holds("{\"type\": \"integer\"}", "1.0", "");
	holds("{\"type\": \"integer\"}", "1.5", " type");
	holds("{\"type\": \"number\"}", "1.5", "");
	holds("{\"minimum\": 0}", "0", "");
	holds("{\"minimum\": 0}", "-1", " number_range");
	holds("{\"maximum\": 5}", "6", " number_range");
	holds("{\"minLength\": 2}", "\"\xE2\x82\xAC\"", " too_short");
	holds("{\"maxLength\": 2}", "\"\xE2\x82\xAC\xE2\x82\xAC\"", "");
	holds("{\"maxLength\": 2}", "\"abc\"", " too_long");
	holds("{\"minItems\": 1}", "[]", " too_few");
	holds("{\"maxItems\": 1}", "[1, 2]", " too_many");
	holds("{\"minProperties\": 1}", "{}", " too_few");
	holds("{\"maxProperties\": 1}", "{\"a\": 1, \"b\": 2}", " too_many");
	holds("{\"items\": {\"type\": \"string\"}}", "[\"a\", 1]", "[1] type");
	holds("{\"properties\": {\"a\": {\"type\": \"string\"}}, \"required\": [\"a\", \"b\"]}", "{\"a\": \"\", \"b\": 1}", "");
	holds("{\"properties\": {\"a\": {\"type\": \"string\"}}, \"required\": [\"a\", \"b\"]}", "{\"a\": \"\"}", "b missing");
	holds("{\"required\": [\"a\"]}", "{}", "a missing");
	holds("{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"a\": 1}", "");
	holds("{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"b\": 1}", "b unexpected");
	holds("{\"additionalProperties\": {\"type\": \"integer\"}}", "{\"b\": \"\"}", "b type");
	holds("{\"patternProperties\": {\"^@\": {\"type\": \"integer\"}}, \"additionalProperties\": false}", "{\"@a\": 1}", "");
	holds("{\"patternProperties\": {\"^@\": {\"type\": \"integer\"}}}", "{\"@a\": \"\", \"b\": \"\"}", "\"@a\" type");
	holds("{\"patternProperties\": {\"^\\\\$\": {\"type\": \"integer\"}}, \"additionalProperties\": false}", "{\"$a\": 1}", "");
	holds("{\"propertyNames\": {\"pattern\": \"^[a-z]{1,3}$\"}}", "{\"abc\": 1}", "");
	holds("{\"propertyNames\": {\"pattern\": \"^[a-z]{1,3}$\"}}", "{\"abcd\": 1}", "abcd pattern");
	holds("{\"enum\": [\"a\", 1, null, [1], {\"b\": 2}]}", "{\"b\": 2}", "");
	holds("{\"enum\": [\"a\", 1]}", "1.0", "");
	holds("{\"enum\": [\"a\", \"b\"]}", "\"c\"", " enum");
	holds("{\"const\": \"\"}", "\"\"", "");
	holds("{\"const\": \"\"}", "\"x\"", " enum");
	holds("{\"pattern\": \"^$\"}", "\"x\"", " pattern");
	holds("{\"pattern\": \"^mxc:\"}", "\"mxc:x\"", "");
	holds("{\"pattern\": \"^[ -~]+$\"}", "\"\"", " pattern");
	holds("{\"pattern\": \"^[ -~]+$\"}", "\"az AZ 09 ~\"", "");
	holds("{\"pattern\": \"other|x\"}", "\"x\"", "");
	holds("{\"pattern\": \"other|x\"}", "\"y\"", " pattern");
	holds("{\"format\": \"mx-user-id\"}", "\"@a:b\"", "");
	holds("{\"format\": \"mx-user-id\"}", "\"a:b\"", " grammar");
	holds("{\"format\": \"date\"}", "\"a:b\"", "");
	holds("{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "null", "");
	holds("{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "1", " type");
	holds("{\"oneOf\": [{\"type\": \"string\"}, {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}}}]}",
		  "{\"a\": 1}", "a type");
	holds("{\"allOf\": [{\"required\": [\"a\"]}, {\"properties\": {\"b\": {\"type\": \"string\"}}}]}", "{\"a\": 1, \"b\": 1}", "b type");
	holds("{\"not\": {\"type\": \"string\"}}", "1", "");
	holds("{\"not\": {\"type\": \"string\"}}", "\"\"", " unexpected");
	holds("{\"$defs\": {\"a\": {\"type\": \"string\"}}, \"properties\": {\"b\": {\"$ref\": \"#/$defs/a\"}}}", "{\"b\": 1}", "b type");
	holds("{\"definitions\": {\"a\": {\"type\": \"string\"}}, \"items\": {\"$ref\": \"#/definitions/a\"}}", "[\"\"]", "");
	holds("{\"title\": \"t\", \"x-added\": 1, \"default\": 5}", "1", "");

	no_schema("1", "");
	no_schema("{\"type\": \"text\"}", "type");
	no_schema("{\"required\": \"a\"}", "required");
	no_schema("{\"properties\": []}", "properties");
	no_schema("{\"properties\": {\"a\": 5}}", "properties.a");
	no_schema("{\"if\": {}}", "if");
	no_schema("{\"pattern\": \"(\"}", "pattern");
	no_schema("{\"minimum\": \"1\"}", "minimum");
	no_schema("{\"anyOf\": []}", "anyOf");
	no_schema("{\"$ref\": \"#/$defs/nowhere\"}", "\"$ref\"");
	no_schema("{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/a\"}}, \"$ref\": \"#/$defs/a\"}", NULL);
}
