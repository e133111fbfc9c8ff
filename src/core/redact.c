/*
 * redact.c - redaction: two tables and what walks them
 */
#include "core/redact.h"

#define LAST MX_ROOM_VERSIONS

/* The top-level keys that are kept, and in which versions. */
static const struct
{
	const char *key;
	int			from;
	int			to;
	const char *not_of;			/* but not of events of this type */
}			kept_keys[] = {
	{"event_id", 1, LAST, NULL},
	{"type", 1, LAST, NULL},
	{"room_id", 1, 11, NULL},
	{"room_id", 12, LAST, "m.room.create"},
	{"sender", 1, LAST, NULL},
	{"state_key", 1, LAST, NULL},
	{"content", 1, LAST, NULL},
	{"hashes", 1, LAST, NULL},
	{"signatures", 1, LAST, NULL},
	{"depth", 1, LAST, NULL},
	{"prev_events", 1, LAST, NULL},
	{"auth_events", 1, LAST, NULL},
	{"origin_server_ts", 1, LAST, NULL},
	{"origin", 1, 10, NULL},
	{"membership", 1, 10, NULL},
	{"prev_state", 1, 10, NULL},
};

/* The content's keys that are kept. */
static const struct kept_content
{
	const char *type;
	const char *key;			/* NULL: every key */
	const char *inner;			/* of an object under key, only this; NULL: all of it */
	int			from;
	int			to;
}			kept_contents[] = {
	{"m.room.member", "membership", NULL, 1, LAST},
	{"m.room.member", "join_authorised_via_users_server", NULL, 9, LAST},
	{"m.room.member", "third_party_invite", "signed", 11, LAST},
	{"m.room.create", "creator", NULL, 1, 10},
	{"m.room.create", NULL, NULL, 11, LAST},
	{"m.room.join_rules", "join_rule", NULL, 1, LAST},
	{"m.room.join_rules", "allow", NULL, 8, LAST},
	{"m.room.power_levels", "ban", NULL, 1, LAST},
	{"m.room.power_levels", "events", NULL, 1, LAST},
	{"m.room.power_levels", "events_default", NULL, 1, LAST},
	{"m.room.power_levels", "invite", NULL, 11, LAST},
	{"m.room.power_levels", "kick", NULL, 1, LAST},
	{"m.room.power_levels", "redact", NULL, 1, LAST},
	{"m.room.power_levels", "state_default", NULL, 1, LAST},
	{"m.room.power_levels", "users", NULL, 1, LAST},
	{"m.room.power_levels", "users_default", NULL, 1, LAST},
	{"m.room.aliases", "aliases", NULL, 1, 5},
	{"m.room.history_visibility", "history_visibility", NULL, 1, LAST},
	{"m.room.redaction", "redacts", NULL, 11, LAST},
};

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

/* What the tables are asked about. */
typedef struct question
{
	const mx_value *type;
	int			version;
	const char *inner;
} question;

static bool
key_is_kept(const mx_value *member, const void *context)
{
	const question *asked = context;

	for (size_t i = 0; i < LENGTH(kept_keys); i++)
		if (asked->version >= kept_keys[i].from && asked->version <= kept_keys[i].to &&
			mx_key_is(member, kept_keys[i].key))
			return kept_keys[i].not_of == NULL || !mx_equals_text(asked->type, kept_keys[i].not_of);
	return false;
}

static const struct kept_content *
content_rule(const mx_value *member, const question *asked)
{
	for (size_t i = 0; i < LENGTH(kept_contents); i++)
	{
		const struct kept_content *rule = &kept_contents[i];

		if (asked->version >= rule->from && asked->version <= rule->to &&
			mx_equals_text(asked->type, rule->type) && (rule->key == NULL || mx_key_is(member, rule->key)))
			return rule;
	}
	return NULL;
}

static bool
content_is_kept(const mx_value *member, const void *context)
{
	const struct kept_content *rule = content_rule(member, context);

	return rule != NULL && (rule->inner == NULL || member->kind == MX_OBJECT);
}

static bool
inner_is_kept(const mx_value *member, const void *context)
{
	return mx_key_is(member, ((const question *) context)->inner);
}

/* content is a copy of our own. */
static void
redact_content(mx_arena *arena, mx_value *content, question *asked)
{
	*content = *mx_select(arena, content, content_is_kept, asked);
	for (mx_value *member = content->u.children; member != NULL; member = member->next)
	{
		asked->inner = content_rule(member, asked)->inner;
		if (asked->inner != NULL)
			*member = *mx_select(arena, member, inner_is_kept, asked);
	}
}

const mx_value *
mx_redact(mx_arena *arena, const mx_value *event, const mx_room_version *version)
{
	question	asked = {mx_member(event, "type"), version == NULL ? 1 : version->number, NULL};
	mx_value   *redacted = mx_select(arena, event, key_is_kept, &asked);
	mx_value  **content = &redacted->u.children;

	while (*content != NULL && !mx_key_is(*content, "content"))
		content = &(*content)->next;
	if (*content == NULL)
	{
		*content = mx_alloc(arena, sizeof(**content));
		**content = (mx_value) {.kind = MX_OBJECT, .key = "content", .key_length = 7};
		redacted->length++;
	}
	redact_content(arena, *content, &asked);
	return redacted;
}

mx_string
mx_redacts(const mx_value *event, const mx_room_version *version)
{
	mx_string	outside = mx_string_of(mx_member(event, "redacts"));
	mx_string	inside = mx_string_of(mx_member(mx_member(event, "content"), "redacts"));

	if (!mx_equals_text(mx_member(event, "type"), "m.room.redaction"))
		return (mx_string) {NULL, 0};
	if (mx_room_has(version, MX_REDACTS_IN_CONTENT))
		return inside;
	return version == NULL && outside.text == NULL ? inside : outside;
}

void
mx_redact_check(const mx_value *event, mx_violations *violations)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	static const mx_path at_type = {&top, "type", 4, 0};
	static const mx_path at_content = {&top, "content", 7, 0};
	const mx_value *type = mx_member(event, "type");
	const mx_value *content = mx_member(event, "content");

	if (event->kind != MX_OBJECT)
		mx_violate(violations, MX_TYPE, &top, "must be an object, not %s", mx_kind_name(event));
	else if (type == NULL)
		mx_violate(violations, MX_MISSING, &at_type, "is required");
	else if (type->kind != MX_STRING)
		mx_violate(violations, MX_TYPE, &at_type, "must be a string, not %s", mx_kind_name(type));
	if (content != NULL && content->kind != MX_OBJECT)
		mx_violate(violations, MX_TYPE, &at_content, "must be an object, not %s", mx_kind_name(content));
}
