/*
 * errors.c - from the core's violations to PostgreSQL's errors: the one place
 */
#include "binding.h"

#include "lib/stringinfo.h"

/* What each rule's violation means to a client program, and what helps. */
static const struct
{
	int			sqlstate;
	const char *hint;
}			rules[MX_CODES] = {
	[MX_MALFORMED] = {ERRCODE_INVALID_JSON_TEXT, "Each row takes one event as one JSON object."},
	[MX_DUPLICATE_KEY] = {ERRCODE_DUPLICATE_JSON_OBJECT_KEY_VALUE, "Matrix allows a key once in an object."},
	[MX_DEPTH] = {ERRCODE_INVALID_JSON_TEXT, "Nest at most 1000 levels."},
	[MX_TOO_LARGE] = {ERRCODE_INVALID_PARAMETER_VALUE, "Put large data into the media repository, and its mxc:// URI into the event."},
	[MX_MISSING] = {ERRCODE_INVALID_PARAMETER_VALUE, "docs/events.md lists what each event type requires."},
	[MX_FLOAT] = {ERRCODE_INVALID_PARAMETER_VALUE, "Canonical JSON has integers only; write a fraction as a string."},
	[MX_TWO_PARTY] = {ERRCODE_INVALID_PARAMETER_VALUE, "The store's setting calls_any_room lifts this rule."},
	[MX_CONFLICT] = {ERRCODE_UNIQUE_VIOLATION, "The first event with an event_id stays."},
};

static void
append(StringInfo into, const mx_violation *violation)
{
	appendStringInfo(into, "%s %s", violation->path[0] == '\0' ? "the event" : violation->path,
					 violation->message);
}

/* The first violation is the message, the others are the detail. */
void
raise_violations(const mx_violations *violations)
{
	const mx_violation *first = violations->first;
	int			sqlstate = rules[first->code].sqlstate;
	const char *hint = rules[first->code].hint;
	StringInfoData message;
	StringInfoData detail;

	initStringInfo(&message);
	initStringInfo(&detail);
	append(&message, first);
	appendStringInfo(&detail, "Rule: %s.", mx_code_name(first->code));
	if (first->next != NULL)
		appendStringInfo(&detail, " The event breaks %zu rules in all:", violations->count);
	for (const mx_violation *other = first->next; other != NULL; other = other->next)
	{
		appendStringInfoString(&detail, "\n");
		append(&detail, other);
		appendStringInfo(&detail, " (%s)", mx_code_name(other->code));
	}
	ereport(ERROR,
			(errcode(sqlstate == 0 ? ERRCODE_INVALID_PARAMETER_VALUE : sqlstate),
			 errmsg("invalid Matrix event: %s", message.data),
			 errdetail_internal("%s", detail.data),
			 errhint("%s", hint != NULL ? hint :
					 "SET matrix_events.on_invalid = 'quarantine' keeps such events in the store's table rejected.")));
	pg_unreachable();
}
