/*
 * test_event.c - whole events: the samples of every type, and the cases
 *
 * data/events/: valid events.  data/cases.ndjson: a line is
 * {"case": ..., "event": ... or "text": ..., "violations": [[path, code], ...]};
 * the SQL tests run the same lines.
 */
#include "unit.h"

#include "core/event.h"
#include "core/json.h"

#include <stdlib.h>
#include <string.h>

static void
check(mx_arena *arena, const char *text, size_t length, mx_violations *violations)
{
	mx_event	event;
	mx_event_options options = {.text_length = length};
	const mx_value *root = mx_read_json(arena, text, length, violations);

	if (root != NULL)
		mx_event_check(root, mx_types_new(arena, NULL), &options, &event, violations);
}

static void
valid_line(const char *line, size_t length, int number)
{
	mx_arena	arena;
	mx_violations violations;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	check(&arena, line, length, &violations);
	CHECK(violations.count == 0, "line %d: %s %s: %.300s", number, violations.first->path,
		  violations.first->message, line);
	free_arena(&arena);
}

/* The part of the line that is the event, as text. */
static const char *
event_text(const mx_value *test, const char *line, size_t *length)
{
	const mx_value *text = mx_member(test, "text");
	const char *start;

	if (text != NULL)
	{
		*length = text->length;
		return text->u.text;
	}
	start = strstr(line, "\"event\": ") + strlen("\"event\": ");
	*length = strlen(start) - 1;
	return start;
}

static void
case_line(const char *line, size_t length, int number)
{
	mx_arena	arena;
	mx_violations violations;
	const mx_value *test;
	const mx_value *expected;
	const mx_violation *found;
	const char *text;
	char	   *copy = strndup(line, length);

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	test = read_value(&arena, copy);
	expected = mx_member(test, "violations")->u.children;
	text = event_text(test, copy, &length);
	check(&arena, text, length, &violations);
	for (found = violations.first; found != NULL && expected != NULL; found = found->next)
	{
		CHECK(mx_equals_text(expected->u.children, found->path) &&
			  mx_equals_text(expected->u.children->next, mx_code_name(found->code)),
			  "case %d: %s %s in %s", number, found->path, mx_code_name(found->code), copy);
		expected = expected->next;
	}
	CHECK(found == NULL, "case %d: %s %s is not expected: %s", number, found->path, found->message, copy);
	CHECK(expected == NULL, "case %d: a violation is missing: %s", number, copy);
	free_arena(&arena);
	free(copy);
}

void
test_event(const char *data)
{
	each_line(data, "events/current.ndjson", valid_line);
	each_line(data, "events/2015.ndjson", valid_line);
	each_line(data, "cases.ndjson", case_line);
}
