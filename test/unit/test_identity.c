/*
 * test_identity.c - room versions, redaction, and what is hashed
 *
 * The hash itself is the host's; test/sql/identity.sql holds its results against
 * published ones.  Here a host that only takes note of the bytes stands in.
 */
#include "unit.h"

#include "core/canonical.h"
#include "core/identity.h"
#include "core/json.h"
#include "core/redact.h"

#include <string.h>

static int	redactions = 0;
static char hashed[4096];

/* One of each character in which base64's two alphabets differ, then A. */
static void
note_bytes(const char *bytes, size_t length, char *base64)
{
	memcpy(hashed, bytes, length);
	hashed[length] = '\0';
	memset(base64, 'A', MX_HASH_LENGTH);
	base64[0] = '+';
	base64[1] = '/';
}

static const mx_room_version *
version(int number)
{
	return number == 0 ? NULL : &mx_room_versions[number - 1];
}

static void
check_case(const char *line, size_t length, int number)
{
	mx_arena	arena;
	mx_violations violations;
	const mx_value *root;
	const mx_value *event;
	const mx_value *expected;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	root = mx_read_json(&arena, line, length, &violations);
	event = mx_member(root, "event");
	expected = mx_member(root, "redacted");
	CHECK(event != NULL, "line %d is no case", number);
	if (expected != NULL)
		for (const mx_value *name = mx_member(root, "versions")->u.children; name != NULL; name = name->next)
		{
			const mx_room_version *of = mx_room_version_named(mx_string_of(name));
			const mx_value *redacted = mx_redact(&arena, event, of);

			mx_redact_check(event, &violations);
			CHECK(violations.count == 0, "line %d cannot be redacted", number);
			CHECK(mx_equal(redacted, expected), "line %d, version %s: %.*s", number, of->name,
				  (int) mx_canonical(&arena, redacted).length, mx_canonical(&arena, redacted).text);
			CHECK(mx_equal(mx_redact(&arena, redacted, of), redacted), "line %d: not idempotent", number);
			redactions++;
		}
	free_arena(&arena);
}

static bool
is_text(mx_string string, const char *text)
{
	return text == NULL ? string.text == NULL : string.text != NULL && mx_same(string, mx_string_from(text));
}

static void
redacts(const char *text, int number, const char *expected)
{
	mx_arena	arena;

	new_arena(&arena);
	CHECK(is_text(mx_redacts(read_value(&arena, text), version(number)), expected), "%s redacts, version %d", text, number);
	free_arena(&arena);
}

static void
refuses(const char *text, mx_code code, const char *path)
{
	mx_arena	arena;
	mx_violations violations;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	mx_redact_check(read_value(&arena, text), &violations);
	CHECK(violations.count == 1 && violations.first->code == code && strcmp(violations.first->path, path) == 0,
		  "%s is not refused", text);
	free_arena(&arena);
}

/* Even what mx_redact_check refuses comes out as an object with an object in it. */
static void
redacts_to(const char *text, int number, const char *expected)
{
	mx_arena	arena;

	new_arena(&arena);
	CHECK(is_text(mx_canonical(&arena, mx_redact(&arena, read_value(&arena, text), version(number))), expected),
		  "%s, version %d", text, number);
	free_arena(&arena);
}

static void
content_hash_covers(const char *text, const char *expected)
{
	mx_arena	arena;

	new_arena(&arena);
	CHECK(mx_content_hash(&arena, read_value(&arena, text), note_bytes).length == MX_HASH_LENGTH, "its length");
	CHECK(strcmp(hashed, expected) == 0, "%s is hashed as %s", text, hashed);
	free_arena(&arena);
}

static void
matches(const char *text, bool expected)
{
	mx_arena	arena;

	new_arena(&arena);
	CHECK(mx_content_hash_matches(&arena, read_value(&arena, text), note_bytes) == expected, "%s", text);
	free_arena(&arena);
}

/* covered NULL: nothing is hashed. */
static void
event_id(const char *text, int number, const char *expected, const char *covered)
{
	mx_arena	arena;

	new_arena(&arena);
	hashed[0] = '\0';
	CHECK(is_text(mx_event_id(&arena, read_value(&arena, text), version(number), note_bytes), expected),
		  "the id of %s, version %d", text, number);
	CHECK(strcmp(hashed, covered == NULL ? "" : covered) == 0, "%s is hashed as %s", text, hashed);
	free_arena(&arena);
}

static void
room_id(const char *text, int number, const char *expected)
{
	mx_arena	arena;

	new_arena(&arena);
	CHECK(is_text(mx_room_id_of_create(&arena, read_value(&arena, text), version(number), note_bytes), expected),
		  "the room of %s, version %d", text, number);
	free_arena(&arena);
}

#define A41 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

void
test_identity(const char *data)
{
	static const char *const unknown[] = {"", "0", "01", "13", "1 ", "org.example.1"};

	for (int number = 1; number <= MX_ROOM_VERSIONS; number++)
		CHECK(mx_room_version_named(mx_string_from(version(number)->name)) == version(number) &&
			  version(number)->number == number, "version %d", number);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		CHECK(mx_room_version_named(mx_string_from(unknown[i])) == NULL, "version \"%s\"", unknown[i]);
	CHECK(!mx_room_has(version(2), MX_EVENT_ID_IS_HASH) && mx_room_has(version(3), MX_EVENT_ID_IS_HASH) &&
		  !mx_room_has(NULL, MX_EVENT_ID_IS_HASH), "from version 3 on");

	each_line(data, "identity.ndjson", check_case);
	CHECK(redactions > 150, "%d redactions", redactions);
	redacts_to("{\"type\":\"m.room.aliases\",\"content\":{\"aliases\":[]},\"origin\":\"a\"}", 0,
			   "{\"content\":{\"aliases\":[]},\"origin\":\"a\",\"type\":\"m.room.aliases\"}");
	redacts_to("{\"type\":1,\"content\":[1]}", 12, "{\"content\":{},\"type\":1}");
	redacts_to("[1]", 12, "{\"content\":{}}");
	redacts_to("{\"type\":\"m.room.member\",\"content\":{\"third_party_invite\":{\"a\":1}}}", 12,
			   "{\"content\":{\"third_party_invite\":{}},\"type\":\"m.room.member\"}");
	refuses("[]", MX_TYPE, "");
	refuses("{\"content\":{}}", MX_MISSING, "type");
	refuses("{\"type\":null}", MX_TYPE, "type");
	refuses("{\"type\":\"x\",\"content\":null}", MX_TYPE, "content");

	for (int number = 0; number <= MX_ROOM_VERSIONS; number++)
	{
		redacts("{\"type\":\"m.room.redaction\",\"redacts\":\"$a\",\"content\":{\"redacts\":\"$b\"}}", number, number > 10 ? "$b" : "$a");
		redacts("{\"type\":\"m.room.redaction\",\"redacts\":\"$a\",\"content\":{}}", number, number > 10 ? NULL : "$a");
		redacts("{\"type\":\"m.room.redaction\",\"content\":{\"redacts\":\"$b\"}}", number, number > 10 || number == 0 ? "$b" : NULL);
		redacts("{\"type\":\"m.room.redaction\",\"redacts\":1,\"content\":{\"redacts\":{}}}", number, NULL);
		redacts("{\"type\":\"m.room.message\",\"redacts\":\"$a\",\"content\":{\"redacts\":\"$b\"}}", number, NULL);
	}

	content_hash_covers("{\"hashes\":{},\"signatures\":{},\"unsigned\":{},\"b\":[1.50],\"a\":1e2}", "{\"a\":100.0,\"b\":[1.5]}");
	content_hash_covers("{\"event_id\":\"$x:y\",\"room_id\":\"!r:y\"}", "{\"event_id\":\"$x:y\",\"room_id\":\"!r:y\"}");
	content_hash_covers("{\"event_id\":\"$x\",\"room_id\":\"!r\"}", "{\"room_id\":\"!r\"}");
	content_hash_covers("{\"type\":\"m.room.create\",\"room_id\":\"!r:y\"}", "{\"room_id\":\"!r:y\",\"type\":\"m.room.create\"}");
	content_hash_covers("{\"type\":\"m.room.create\",\"room_id\":\"!r\"}", "{\"type\":\"m.room.create\"}");
	content_hash_covers("{\"event_id\":1,\"type\":\"m.room.create\",\"room_id\":[]}",
						"{\"event_id\":1,\"room_id\":[],\"type\":\"m.room.create\"}");
	matches("{\"hashes\":{\"sha256\":\"+/" A41 "\"}}", true);
	matches("{\"hashes\":{\"sha256\":\"+/" A41 "=\"}}", true);
	matches("{\"hashes\":{\"sha256\":\"+/" A41 "A\"}}", false);
	matches("{\"hashes\":{\"sha256\":\"-_" A41 "\"}}", false);
	matches("{\"hashes\":{\"sha256\":\"\"}}", false);
	matches("{\"hashes\":{\"sha256\":1}}", false);
	matches("{\"hashes\":[]}", false);
	matches("{}", false);

#define EVENT "{\"type\":\"m.room.create\",\"event_id\":\"$a:b\",\"room_id\":\"!r:b\",\"signatures\":{\"b\":1},\"age_ts\":1," \
	"\"unsigned\":{\"age_ts\":1},\"content\":{\"creator\":1.0,\"x\":2}}"
	event_id(EVENT, 0, "$a:b", NULL);
	event_id(EVENT, 1, "$a:b", NULL);
	event_id(EVENT, 2, "$a:b", NULL);
	event_id("{\"type\":\"x\"}", 2, NULL, NULL);
	event_id(EVENT, 3, "$+/" A41, "{\"content\":{\"creator\":1.0},\"room_id\":\"!r:b\",\"type\":\"m.room.create\"}");
	event_id(EVENT, 4, "$-_" A41, "{\"content\":{\"creator\":1.0},\"room_id\":\"!r:b\",\"type\":\"m.room.create\"}");
	event_id(EVENT, 6, "$-_" A41, "{\"content\":{\"creator\":1},\"room_id\":\"!r:b\",\"type\":\"m.room.create\"}");
	event_id(EVENT, 11, "$-_" A41, "{\"content\":{\"creator\":1,\"x\":2},\"room_id\":\"!r:b\",\"type\":\"m.room.create\"}");
	event_id(EVENT, 12, "$-_" A41, "{\"content\":{\"creator\":1,\"x\":2},\"type\":\"m.room.create\"}");
	room_id(EVENT, 11, "!r:b");
	room_id(EVENT, 12, "!-_" A41);
	room_id("{\"type\":\"m.room.create\"}", 11, NULL);
}
