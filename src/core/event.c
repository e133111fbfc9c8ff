/*
 * event.c - the envelope that all events share, and what binds them as a whole
 */
#include "core/event.h"

#include "core/canonical.h"
#include "core/grammar.h"

#include <string.h>

#define MAX_PREV_EVENTS 20
#define MAX_AUTH_EVENTS 10

static const mx_path top = {NULL, NULL, 0, 0};

static mx_path
at(const char *key)
{
	return (mx_path) {&top, key, strlen(key), 0};
}

/* U+FFFD in UTF-8. */
static bool
has_replacement(const mx_value *string)
{
	for (uint32_t i = 0; i + 2 < string->length; i++)
		if (memcmp(string->u.text + i, "\xEF\xBF\xBD", 3) == 0)
			return true;
	return false;
}

/*
 * A top-level string that becomes a column: within 255 bytes, without NUL, of
 * the grammar if it has one.  NULL when absent or unusable.
 */
static const mx_value *
identifier(const mx_value *root, const char *key, bool required, mx_grammar grammar,
		   const mx_event_options *options, mx_violations *violations)
{
	const mx_value *value = mx_member(root, key);
	mx_path		path = at(key);
	const char *fault;

	if (value == NULL)
	{
		if (required)
			mx_violate(violations, MX_MISSING, &path, "is required");
		return NULL;
	}
	if (value->kind != MX_STRING)
	{
		mx_violate(violations, MX_TYPE, &path, "must be a string, not %s", mx_kind_name(value));
		return NULL;
	}
	if (value->length > MX_MAX_ID)
	{
		mx_violate(violations, MX_TOO_LONG, &path, "must be at most 255 bytes long, not %u", value->length);
		return NULL;
	}
	if (memchr(value->u.text, '\0', value->length) != NULL ||
		(options->nul_replaced && has_replacement(value)))
	{
		mx_violate(violations, MX_GRAMMAR, &path, "holds U+0000");
		return NULL;
	}
	fault = grammar == NULL ? NULL : grammar(mx_string_of(value));
	if (fault != NULL)
		mx_violate(violations, MX_GRAMMAR, &path, "%s", fault);
	return value;
}

static const mx_value *
of_kind(const mx_value *root, const char *key, mx_kind kind, const char *article, mx_violations *violations)
{
	const mx_value *value = mx_member(root, key);
	mx_path		path = at(key);

	if (value != NULL && value->kind != kind)
	{
		mx_violate(violations, MX_TYPE, &path, "must be %s, not %s", article, mx_kind_name(value));
		return NULL;
	}
	return value;
}

static void
list_of_events(const mx_value *root, const char *key, uint32_t most, mx_violations *violations)
{
	const mx_value *list = of_kind(root, key, MX_ARRAY, "an array", violations);
	mx_path		path = at(key);

	if (list != NULL && list->length > most)
		mx_violate(violations, MX_TOO_MANY, &path, "must have at most %u elements", most);
}

/*
 * A time or a depth: an integer from 0 on.  In a room event, check_numbers
 * speaks of fractions and huge integers.
 */
static const mx_value *
count_of(const mx_value *root, const char *key, bool in_room, mx_violations *violations)
{
	const mx_value *value = mx_member(root, key);
	mx_path		path = at(key);

	if (value == NULL)
		return NULL;
	if (value->kind != MX_INTEGER)
	{
		if (value->kind != MX_NUMBER || !in_room)
			mx_violate(violations, MX_TYPE, &path, "must be an integer, not %s", mx_kind_name(value));
		return NULL;
	}
	if (value->u.integer < 0)
		mx_violate(violations, MX_NUMBER_RANGE, &path, "must be at least 0");
	return value;
}

/* Canonical JSON knows integers within +-(2^53 - 1) only. */
static void
check_numbers(const mx_value *value, const mx_path *path, mx_violations *violations)
{
	if (value->kind == MX_NUMBER)
	{
		if (memchr(value->u.text, '.', value->length) != NULL ||
			memchr(value->u.text, 'e', value->length) != NULL ||
			memchr(value->u.text, 'E', value->length) != NULL)
			mx_violate(violations, MX_FLOAT, path, "must be written as an integer: room events have no fractions or exponents");
		else
			mx_violate(violations, MX_NUMBER_RANGE, path, "must be within -(2^53-1) and 2^53-1");
	}
	else if (value->kind >= MX_ARRAY)
	{
		size_t		i = 0;

		for (const mx_value *child = value->u.children; child != NULL; child = child->next)
		{
			if (child->kind >= MX_ARRAY || child->kind == MX_NUMBER)
			{
				mx_path		here = {path, child->key, child->key_length, i};

				check_numbers(child, &here, violations);
			}
			i++;
		}
	}
}

static void
check_room_event(mx_event *event, const mx_event_options *options, mx_violations *violations)
{
	const mx_value *root = event->root;
	bool		hashed = mx_member(root, "hashes") != NULL;
	bool		create = mx_equals_text(event->type, "m.room.create");
	mx_path		path;

	/* From room version 3 on an event's id is its hash; from 12 on so is the room's. */
	event->event_id = identifier(root, "event_id", !hashed && !options->id_given_later,
								 mx_check_event_id, options, violations);
	event->room_id = identifier(root, "room_id", !(hashed && create), mx_check_room_id, options, violations);
	event->sender = identifier(root, "sender", true, mx_check_user_id, options, violations);
	event->origin_server_ts = count_of(root, "origin_server_ts", event->in_room, violations);
	if (mx_member(root, "origin_server_ts") == NULL)
	{
		path = at("origin_server_ts");
		mx_violate(violations, MX_MISSING, &path, "is required");
	}
	count_of(root, "depth", true, violations);
	list_of_events(root, "prev_events", MAX_PREV_EVENTS, violations);
	list_of_events(root, "auth_events", MAX_AUTH_EVENTS, violations);
	of_kind(root, "hashes", MX_OBJECT, "an object", violations);
	of_kind(root, "signatures", MX_OBJECT, "an object", violations);
	check_numbers(root, &top, violations);
}

/*
 * m.presence stands outside rooms.  Whose it is: content.user_id (2015's form)
 * or sender (today's); both must agree.
 */
static void
check_presence(mx_event *event, const mx_event_options *options, mx_violations *violations)
{
	static const char *const forbidden[] = {"room_id", "state_key"};
	const mx_value *root = event->root;
	const mx_value *content_user = mx_member(event->content, "user_id");
	const mx_value *legacy = mx_member(root, "user_id");
	mx_path		path = at("sender");

	for (size_t i = 0; i < 2; i++)
		if (mx_member(root, forbidden[i]) != NULL)
		{
			mx_path		here = at(forbidden[i]);

			mx_violate(violations, MX_UNEXPECTED, &here, "must not be there: presence is outside rooms");
		}
	event->event_id = identifier(root, "event_id", false, mx_check_event_id, options, violations);
	event->sender = identifier(root, "sender", false, mx_check_user_id, options, violations);
	event->origin_server_ts = count_of(root, "origin_server_ts", event->in_room, violations);
	if (content_user != NULL && content_user->kind == MX_STRING)
		event->user_id = content_user;
	else if (event->sender != NULL)
		event->user_id = event->sender;
	else if (legacy != NULL)
		event->user_id = identifier(root, "user_id", true, mx_check_user_id, options, violations);
	if (event->user_id == NULL && mx_member(root, "sender") == NULL)
		mx_violate(violations, MX_MISSING, &path, "is required");
	if (content_user != NULL && event->sender != NULL && !mx_equal(content_user, event->sender))
	{
		mx_path		content = at("content");
		mx_path		here = {&content, "user_id", 7, 0};

		mx_violate(violations, MX_MISMATCH, &here, "must be the sender");
	}
	if (event->sender == NULL)
		event->sender = event->user_id;
}

static bool
has(const mx_violations *violations, const mx_violation *wanted)
{
	for (const mx_violation *violation = violations->first; violation != NULL; violation = violation->next)
		if (violation->code == wanted->code && strcmp(violation->path, wanted->path) == 0)
			return true;
	return false;
}

/*
 * Valid if either era's schema takes it; else the era that came nearer speaks,
 * and when both are as near, both do.
 */
static void
check_content(const mx_event_type *type, const mx_value *content, bool pruned, mx_violations *violations)
{
	mx_path		path = at("content");
	mx_violations today;
	mx_violations then;
	size_t		nearest;

	if (type->content == NULL || (content->length == 0 && type->empty_content))
		return;
	mx_violations_init(&today, violations->arena);
	mx_schema_check(type->content, content, &path, pruned, &today);
	if (today.count == 0)
		return;
	mx_violations_init(&then, violations->arena);
	if (type->content_2015 != NULL)
	{
		mx_schema_check(type->content_2015, content, &path, pruned, &then);
		if (then.count == 0)
			return;
	}
	nearest = today.count;
	if (then.count == nearest)
	{
		mx_violation *next;

		for (mx_violation *violation = then.first; violation != NULL; violation = next)
		{
			next = violation->next;
			violation->next = NULL;
			if (!has(&today, violation))
				mx_violations_take(&today, &(mx_violations) {.count = 1, .first = violation, .tail = &violation->next});
		}
	}
	mx_violations_take(violations, then.count > 0 && then.count < nearest ? &then : &today);
}

/* A room event has at least one of these, even when its type is not known. */
static bool
looks_like_room_event(const mx_value *root)
{
	return mx_member(root, "room_id") != NULL || mx_member(root, "state_key") != NULL ||
		mx_member(root, "event_id") != NULL || mx_member(root, "origin_server_ts") != NULL;
}

static void
check_envelope(mx_event *event, const mx_event_options *options, mx_violations *violations)
{
	const mx_value *root = event->root;

	if (event->kind != MX_KIND_PRESENCE)
		event->state_key = identifier(root, "state_key", event->kind == MX_KIND_STATE, NULL, options, violations);
	if (event->in_room)
		check_room_event(event, options, violations);
	else if (event->kind == MX_KIND_PRESENCE)
		check_presence(event, options, violations);
	else
	{
		event->room_id = identifier(root, "room_id", false, mx_check_room_id, options, violations);
		event->sender = identifier(root, "sender", false, mx_check_user_id, options, violations);
		event->event_id = identifier(root, "event_id", false, mx_check_event_id, options, violations);
		event->origin_server_ts = count_of(root, "origin_server_ts", event->in_room, violations);
	}
}

void
mx_event_check(const mx_value *root, mx_types *types, const mx_event_options *options,
			   mx_event *event, mx_violations *violations)
{
	const mx_event_type *type = NULL;
	const mx_value *because;
	bool		pruned;
	mx_path		path;

	memset(event, 0, sizeof(*event));
	event->root = root;
	if (root->kind != MX_OBJECT)
	{
		mx_violate(violations, MX_TYPE, &top, "must be an object, not %s", mx_kind_name(root));
		return;
	}
	event->type = identifier(root, "type", true, NULL, options, violations);
	event->content = of_kind(root, "content", MX_OBJECT, "an object", violations);
	event->unsigned_data = of_kind(root, "unsigned", MX_OBJECT, "an object", violations);
	if (mx_member(root, "content") == NULL)
	{
		path = at("content");
		mx_violate(violations, MX_MISSING, &path, "is required");
	}
	if (event->type != NULL)
		type = mx_types_find(types, mx_string_of(event->type), event->content);
	event->kind = type == NULL ? MX_KIND_ANY : type->kind;
	event->in_room = event->kind == MX_KIND_MESSAGE || event->kind == MX_KIND_STATE ||
		(event->kind == MX_KIND_ANY && looks_like_room_event(root));
	check_envelope(event, options, violations);

	if (event->unsigned_data != NULL)
	{
		const mx_value *age = mx_member(event->unsigned_data, "age");
		mx_path		outer = at("unsigned");
		mx_path		here = {&outer, "age", 3, 0};

		if (age != NULL && !mx_is_integral(age))
			mx_violate(violations, MX_TYPE, &here, "must be an integer, not %s", mx_kind_name(age));
	}
	because = mx_member(event->unsigned_data, "redacted_because");
	pruned = because != NULL && because->kind == MX_OBJECT;
	if (type != NULL)
	{
		path = at("state_key");
		if (type->state_key != NULL && event->state_key != NULL)
			mx_schema_check(type->state_key, event->state_key, &path, pruned, violations);
		if (event->content != NULL)
			check_content(type, event->content, pruned, violations);
		path = at("unsigned");
		if (type->unsigned_data != NULL && event->unsigned_data != NULL)
			mx_schema_check(type->unsigned_data, event->unsigned_data, &path, pruned, violations);
		path = at("redacts");
		if (type->redacts != NULL && mx_member(root, "redacts") != NULL)
			mx_schema_check(type->redacts, mx_member(root, "redacts"), &path, pruned, violations);
		if (type->event != NULL)
			mx_schema_check(type->event, root, &top, pruned, violations);
	}
	if (event->in_room && (options->text_length == 0 || options->text_length > MX_MAX_EVENT))
	{
		size_t		size = mx_canonical_size(root);

		if (size > MX_MAX_EVENT)
			mx_violate(violations, MX_TOO_LARGE, &top, "must be at most %d bytes of canonical JSON, not %zu",
					   MX_MAX_EVENT, size);
	}
}
