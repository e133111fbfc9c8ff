/*
 * test_power.c - who may redact whose event
 */
#include "unit.h"

#include "core/power.h"

#include <string.h>

#define BOB		"@bob:one"
#define KEVIN	"@kevin:one"
#define EVE		"@eve:two"
#define NOBODY	""				/* not known */

/* A redaction by Eve of an event of Bob, who is of another server. */
typedef struct attempt
{
	int			version;		/* 0: not known */
	const char *create_sender;
	const char *create;
	const char *power_levels;
	const char *sender;
	const char *event_id;
	const char *target_sender;
	const char *target_id;
	const char *target_type;
	bool		same_sender;
} attempt;

static mx_string
string(const char *text, const char *otherwise)
{
	mx_string	result = mx_string_from(text != NULL ? text : otherwise);

	return result.length == 0 ? (mx_string) {NULL, 0} : result;
}

static bool
may(attempt a)
{
	mx_arena	arena;
	mx_redaction redaction;
	bool		result;

	new_arena(&arena);
	redaction.version = a.version == 0 ? NULL : &mx_room_versions[a.version - 1];
	redaction.create_sender = a.create_sender == NULL ? (mx_string) {NULL, 0} : mx_string_from(a.create_sender);
	redaction.create = a.create == NULL ? NULL : read_value(&arena, a.create);
	redaction.power_levels = a.power_levels == NULL ? NULL : read_value(&arena, a.power_levels);
	redaction.sender = string(a.sender, EVE);
	redaction.event_id = string(a.event_id, "$redaction");
	redaction.target_sender = string(a.target_sender, BOB);
	redaction.target_id = string(a.target_id, "$target");
	redaction.target_type = string(a.target_type, "m.room.message");
	redaction.same_sender = a.same_sender;
	result = mx_may_redact(&redaction);
	free_arena(&arena);
	return result;
}

/* In versions first to last; 0 stands for the one that is not known. */
static void
expect(int first, int last, bool expected, attempt a, int line)
{
	for (a.version = first; a.version <= last; a.version++)
		CHECK(may(a) == expected, "line %d, version %d: %s", line, a.version, expected ? "must be able to" : "must not");
}

#define YES(first, last, ...)	expect(first, last, true, (attempt) {__VA_ARGS__}, __LINE__)
#define NO(first, last, ...)	expect(first, last, false, (attempt) {__VA_ARGS__}, __LINE__)

/* Whether a level of Eve's, as JSON, reaches 50: her own, or everybody's. */
static void
level(int first, int last, bool expected, const char *json, int line)
{
	char		levels[256];

	snprintf(levels, sizeof(levels), "{\"users\":{\"" EVE "\":%s}}", json);
	expect(first, last, expected, (attempt) {.power_levels = levels}, line);
	snprintf(levels, sizeof(levels), "{\"users_default\":%s}", json);
	expect(first, last, expected, (attempt) {.power_levels = levels}, line);
}

#define REACHES(first, last, json)	level(first, last, true, json, __LINE__)
#define LACKS(first, last, json)	level(first, last, false, json, __LINE__)

static void
test_levels(void)
{
	/* Levels at the edge. */
	YES(0, 12, .power_levels = "{\"users\":{\"" EVE "\":50}}");
	NO(0, 12, .power_levels = "{\"users\":{\"" EVE "\":49}}");
	YES(0, 12, .power_levels = "{\"users_default\":50}");
	NO(0, 12, .power_levels = "{\"users_default\":49}");
	YES(0, 12, .power_levels = "{\"users_default\":7,\"redact\":7}");
	NO(0, 12, .power_levels = "{\"users_default\":7,\"redact\":8}");
	YES(0, 12, .power_levels = "{\"redact\":0}");
	YES(0, 12, .power_levels = "{\"redact\":-1}");
	NO(0, 12, .power_levels = "{}");
	/* A user's own level goes before the default, up and down. */
	NO(0, 12, .power_levels = "{\"users\":{\"" EVE "\":0},\"users_default\":100}");
	YES(0, 12, .power_levels = "{\"users\":{\"" EVE "\":100,\"" BOB "\":0},\"users_default\":0}");
	YES(0, 12, .power_levels = "{\"users\":{\"" BOB "\":0},\"users_default\":100}");
	/* Other keys say nothing about redacting. */
	NO(0, 12, .power_levels = "{\"events\":{\"m.room.redaction\":0},\"events_default\":0,\"ban\":0,\"kick\":0}");

	REACHES(0, 9, "\"50\"");
	REACHES(0, 9, "\" \\t\\n\\r+00050 \"");
	REACHES(0, 9, "\"100000000000000000000000000\"");
	REACHES(0, 9, "50.0");
	REACHES(0, 9, "50.9");
	REACHES(0, 9, "1e300");
	LACKS(0, 9, "\"49\"");
	LACKS(0, 9, "\"-50\"");
	LACKS(0, 9, "\"-99999999999999999999999999\"");
	LACKS(0, 9, "49.9");
	LACKS(0, 9, "-1e300");
	/* From 10 on integers only. */
	LACKS(10, 12, "\"50\"");
	LACKS(10, 12, "50.0");
	LACKS(10, 12, "99.5");
	/* The level that redacting needs is read the same way. */
	YES(0, 9, .power_levels = "{\"users_default\":49,\"redact\":\" 49 \"}");
	NO(10, 12, .power_levels = "{\"users_default\":49,\"redact\":\" 49 \"}");
	YES(0, 9, .power_levels = "{\"users_default\":49,\"redact\":49.9}");
	NO(10, 12, .power_levels = "{\"users_default\":49,\"redact\":49.9}");
	YES(10, 12, .power_levels = "{\"users_default\":50,\"redact\":\"60\"}");
	NO(0, 9, .power_levels = "{\"users_default\":50,\"redact\":\"60\"}");
	/* What cannot be used counts as not there: the default. */
	for (int version = 0; version <= 12; version++)
	{
		static const char *const unusable[] = {
			"null", "true", "[]", "{}", "\"\"", "\" \"", "\"+\"", "\"fifty\"", "\"5 0\"", "\"50.0\"", "\"--50\"", "\"0x50\""
		};

		for (size_t i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++)
		{
			char		levels[128];

			LACKS(version, version, unusable[i]);
			snprintf(levels, sizeof(levels), "{\"users\":{\"" EVE "\":%s},\"users_default\":50,\"redact\":%s}",
					 unusable[i], unusable[i]);
			YES(version, version, .power_levels = levels);
			snprintf(levels, sizeof(levels), "{\"users_default\":49,\"redact\":%s}", unusable[i]);
			NO(version, version, .power_levels = levels);
		}
	}
	NO(0, 12, .power_levels = "{\"users\":[50]}");
}

static void
test_creators(void)
{
	/* Without power levels the creator has 100 and others 0. */
	NO(0, 12, .create_sender = BOB, .create = "{\"creator\":\"" BOB "\"}");
	NO(0, 12, .create_sender = NULL);
	YES(0, 12, .create_sender = EVE, .create = "{\"creator\":\"" EVE "\"}");
	YES(0, 10, .create_sender = BOB, .create = "{\"creator\":\"" EVE "\"}");
	NO(11, 12, .create_sender = BOB, .create = "{\"creator\":\"" EVE "\"}");
	NO(0, 10, .create_sender = EVE, .create = "{\"creator\":\"" BOB "\"}");
	YES(11, 12, .create_sender = EVE, .create = "{\"creator\":\"" BOB "\"}");
	YES(0, 12, .create_sender = EVE, .create = "{}");
	YES(0, 12, .create_sender = EVE);
	/* With them the creator is one of many up to 11, and above all from 12 on. */
	NO(0, 11, .create_sender = EVE, .create = "{\"creator\":\"" EVE "\"}", .power_levels = "{}");
	YES(12, 12, .create_sender = EVE, .create = "{\"creator\":\"" BOB "\"}", .power_levels = "{}");
	YES(12, 12, .create_sender = EVE, .power_levels = "{\"users\":{\"" EVE "\":0},\"redact\":9007199254740991}");
	NO(12, 12, .create_sender = BOB, .create = "{\"creator\":\"" EVE "\"}", .power_levels = "{}");
	/* So are the additional creators. */
	YES(12, 12, .create_sender = BOB, .create = "{\"additional_creators\":[1,\"" KEVIN "\",\"" EVE "\"]}", .power_levels = "{}");
	YES(12, 12, .create_sender = BOB, .create = "{\"additional_creators\":[\"" EVE "\"]}");
	NO(0, 11, .create_sender = BOB, .create = "{\"additional_creators\":[\"" EVE "\"]}");
	NO(12, 12, .create_sender = BOB, .create = "{\"additional_creators\":[\"" KEVIN "\"]}", .power_levels = "{}");
	NO(12, 12, .create_sender = BOB, .create = "{\"additional_creators\":\"" EVE "\"}", .power_levels = "{}");
	NO(12, 12, .create_sender = BOB, .create = "{\"additional_creators\":{\"a\":\"@eve\"}}", .power_levels = "{}");
}

static void
test_domains(void)
{
	/* Users of one server, or with the setting one user. */
	YES(0, 12, .sender = BOB);
	YES(0, 12, .sender = KEVIN);
	NO(0, 12, .sender = EVE);
	YES(0, 12, .sender = BOB, .same_sender = true);
	NO(0, 12, .sender = KEVIN, .same_sender = true);
	NO(0, 12, .sender = EVE, .same_sender = true);
	YES(0, 12, .sender = EVE, .same_sender = true, .power_levels = "{\"redact\":0}");
	/* The domain is what follows the first colon, byte for byte. */
	YES(0, 12, .sender = "@a:one:8448", .target_sender = "@b:one:8448");
	NO(0, 12, .sender = "@a:one:8448", .target_sender = "@b:two:8448");
	NO(0, 12, .sender = "@a:one:8448", .target_sender = "@b:one");
	NO(0, 12, .sender = "@a:ONE", .target_sender = "@b:one");
	NO(0, 12, .sender = "@a:one", .target_sender = "@b:onf");
	NO(0, 12, .sender = "@a", .target_sender = "@b");
	NO(0, 12, .sender = "@a", .target_sender = "@a");
	/* In versions 1 and 2 the ids decide, whoever sent, where both have a domain. */
	YES(1, 2, .event_id = "$a:one", .target_id = "$b:one");
	NO(3, 12, .event_id = "$a:one", .target_id = "$b:one");
	NO(0, 0, .event_id = "$a:one", .target_id = "$b:one");
	NO(1, 2, .sender = KEVIN, .event_id = "$a:one", .target_id = "$b:two");
	YES(3, 12, .sender = KEVIN, .event_id = "$a:one", .target_id = "$b:two");
	YES(0, 0, .sender = KEVIN, .event_id = "$a:one", .target_id = "$b:two");
	YES(0, 12, .sender = KEVIN, .event_id = "$a", .target_id = "$b:two");
	YES(0, 12, .sender = KEVIN, .event_id = "$a:two", .target_id = "$b");
	NO(0, 12, .event_id = "$a:one", .target_id = "$b");
	/* Who is not known is nobody. */
	NO(0, 12, .sender = NOBODY, .target_sender = NOBODY);
	NO(0, 12, .sender = NOBODY, .target_sender = NOBODY, .same_sender = true);
	NO(0, 12, .sender = NOBODY, .create_sender = NULL);
	/* The setting goes before them. */
	NO(1, 2, .event_id = "$a:one", .target_id = "$b:one", .same_sender = true);
	YES(1, 2, .sender = BOB, .event_id = "$a:one", .target_id = "$b:two", .same_sender = true);
}

void
test_power(void)
{
	test_levels();
	test_creators();
	test_domains();
	/* Nobody redacts the room's creation. */
	NO(0, 12, .sender = BOB, .create_sender = BOB, .create = "{\"creator\":\"" BOB "\"}", .target_type = "m.room.create");
	NO(0, 12, .power_levels = "{\"redact\":0}", .target_type = "m.room.create");
	NO(0, 12, .sender = BOB, .same_sender = true, .target_type = "m.room.create");
	YES(0, 12, .sender = BOB, .target_type = "m.room.member");
}
