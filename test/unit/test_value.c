/*
 * test_value.c - trees, numbers, duplicate keys, paths
 */
#include "unit.h"

#include "core/json.h"

#include <string.h>

static void
number(const char *text, mx_kind kind, bool integral)
{
	mx_arena	arena;
	mx_violations violations;
	mx_builder	builder;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	mx_builder_init(&builder, &arena, &violations);
	mx_build_number(&builder, text, strlen(text));
	CHECK(builder.root->kind == kind, "%s is of kind %d", text, builder.root->kind);
	CHECK((violations.count > 0) == (kind == MX_NULL), "%s: %zu violations", text, violations.count);
	if (kind != MX_NULL)
		CHECK(mx_is_integral(builder.root) == integral, "%s: integral", text);
	free_arena(&arena);
}

static void
path(const char *expected, const char *const *keys, size_t n)
{
	mx_path		steps[64] = {{NULL, NULL, 0, 0}};
	mx_arena	arena;

	new_arena(&arena);
	for (size_t i = 0; i < n; i++)
	{
		bool		index = keys[i][0] == '#';

		steps[i + 1] = (mx_path) {&steps[i], index ? NULL : keys[i], strlen(keys[i]), index ? (size_t) (keys[i][1] - '0') : 0};
	}
	CHECK(strcmp(mx_path_text(&arena, &steps[n]), expected) == 0, "path %s is %s", expected,
		  mx_path_text(&arena, &steps[n]));
	free_arena(&arena);
}

/* An object with the same key first and last among others. */
static void
duplicates(int others)
{
	mx_arena	arena;
	mx_violations violations;
	mx_builder	builder;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	mx_builder_init(&builder, &arena, &violations);
	mx_build_open(&builder, MX_OBJECT);
	mx_build_key(&builder, "list", 4);
	mx_build_open(&builder, MX_ARRAY);
	mx_build_null(&builder);
	mx_build_open(&builder, MX_OBJECT);
	mx_build_key(&builder, "twice", 5);
	mx_build_null(&builder);
	for (int i = 0; i < others; i++)
	{
		char	   *key = mx_format(&arena, "key%d", i);

		mx_build_key(&builder, key, strlen(key));
		mx_build_null(&builder);
	}
	CHECK(violations.count == 0, "no duplicate yet");
	mx_build_key(&builder, "twice", 5);
	mx_build_null(&builder);
	mx_build_close(&builder);
	mx_build_close(&builder);
	mx_build_close(&builder);
	CHECK(violations.count == 1 && violations.first->code == MX_DUPLICATE_KEY, "%d others: a duplicate", others);
	CHECK(violations.first != NULL && strcmp(violations.first->path, "list[1].twice") == 0, "its path");
	free_arena(&arena);
}

static void
many_violations(void)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	mx_arena	arena;
	mx_violations violations;
	char		euro[1024];
	size_t		kept = 0;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	for (size_t i = 0; i + 3 < sizeof(euro); i += 3)
		memcpy(euro + i, "\xE2\x82\xAC", 4);
	for (int i = 0; i < 1000; i++)
		mx_violate(&violations, MX_TYPE, &top, "%s", euro);
	for (const mx_violation *v = violations.first; v != NULL; v = v->next)
	{
		CHECK(strlen(v->message) % 3 == 0, "a message is cut within a character");
		kept++;
	}
	CHECK(violations.count == 1000 && kept == MX_MAX_VIOLATIONS, "%zu kept of %zu", kept, violations.count);
	free_arena(&arena);
}

/* A number that cannot be stored, under so many arrays. */
static void
depth(int levels, mx_code expected)
{
	mx_arena	arena;
	mx_violations violations;
	char		text[4096];
	int			length;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	memset(text, '[', (size_t) levels);
	length = levels + sprintf(text + levels, "1e-310");
	memset(text + length, ']', (size_t) levels);
	mx_read_json(&arena, text, (size_t) (length + levels), &violations);
	CHECK(violations.count == 1 && violations.first->code == expected, "%d levels", levels);
	free_arena(&arena);
}

void
test_value(void)
{
	number("0", MX_INTEGER, true);
	number("-0", MX_INTEGER, true);
	number("9007199254740991", MX_INTEGER, true);
	number("-9007199254740991", MX_INTEGER, true);
	number("9007199254740992", MX_NUMBER, true);
	number("123456789012345678901234567890", MX_NUMBER, true);
	number("1.5", MX_NUMBER, false);
	number("1.0", MX_NUMBER, true);
	number("1e3", MX_NUMBER, true);
	number("1E-3", MX_NUMBER, false);
	number("1e308", MX_NUMBER, true);
	number("1e309", MX_NULL, false);
	number("1e131071", MX_NULL, false);
	number("1e-131071", MX_NULL, false);
	number("1e99999999999999999999", MX_NULL, false);

	path("", NULL, 0);
	path("content.offer.sdp", (const char *const[]) {"content", "offer", "sdp"}, 3);
	path("content.candidates[3].sdpMid", (const char *const[]) {"content", "candidates", "#3", "sdpMid"}, 4);
	path("content.\"m.relates_to\".event_id", (const char *const[]) {"content", "m.relates_to", "event_id"}, 3);
	path("\"a\\\"b\\\\\\u0001\".\"\".\"1x\"", (const char *const[]) {"a\"b\\\001", "", "1x"}, 3);

	duplicates(0);
	duplicates(5);
	duplicates(50);
	many_violations();
	depth(MX_MAX_DEPTH, MX_NUMBER_RANGE);
	depth(MX_MAX_DEPTH + 1, MX_DEPTH);
	depth(1900, MX_DEPTH);
}
