/*
 * power.c - power levels
 */
#include "core/power.h"

#include <string.h>

#define DEFAULT_REDACT_LEVEL	50
#define DEFAULT_USER_LEVEL		0
#define CREATOR_LEVEL			100	/* where there are no power levels */

/* No level is beyond a double's integers; no level that is written is ABOVE_LEVELS. */
#define MOST			MX_MAX_INTEGER
#define ABOVE_LEVELS	INT64_MAX

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* " +050 ": white space, a sign, digits; spec: room version 1, values as strings. */
static int64_t
level_in_text(mx_string text, int64_t otherwise)
{
	const char *at = text.text;
	const char *end = text.text + text.length;
	bool		negative;
	int64_t		level = 0;

	while (at < end && is_space(*at))
		at++;
	while (end > at && is_space(end[-1]))
		end--;
	negative = at < end && *at == '-';
	if (at < end && (*at == '-' || *at == '+'))
		at++;
	if (at == end)
		return otherwise;
	for (; at < end; at++)
	{
		if (*at < '0' || *at > '9')
			return otherwise;
		level = level * 10 + (*at - '0');
		if (level > MOST)
			level = MOST;
	}
	return negative ? -level : level;
}

/* A level as it is written; what cannot be used counts as not there. */
static int64_t
level_of(const mx_value *value, const mx_room_version *version, int64_t otherwise)
{
	double		number;

	if (value == NULL)
		return otherwise;
	if (value->kind == MX_INTEGER)
		return value->u.integer;
	if (mx_room_has(version, MX_LEVELS_ARE_INTEGERS))
		return otherwise;
	if (value->kind == MX_STRING)
		return level_in_text(mx_string_of(value), otherwise);
	if (value->kind != MX_NUMBER)
		return otherwise;
	number = mx_number(value);
	return number >= (double) MOST ? MOST : number <= (double) -MOST ? -MOST : (int64_t) number;
}

static const mx_value *
member_named(const mx_value *object, mx_string key)
{
	if (object == NULL || object->kind != MX_OBJECT || key.text == NULL)
		return NULL;
	for (const mx_value *child = object->u.children; child != NULL; child = child->next)
		if (mx_same(key, (mx_string) {child->key, child->key_length}))
			return child;
	return NULL;
}

static bool
is_user(mx_string a, mx_string b)
{
	return a.text != NULL && mx_same(a, b);
}

/* content.creator up to version 10; its sender from 11 on, and where that is missing. */
static mx_string
creator(const mx_redaction *redaction)
{
	mx_string	named = mx_string_of(mx_member(redaction->create, "creator"));

	return mx_room_has(redaction->version, MX_CREATOR_IS_SENDER) || named.text == NULL ?
		redaction->create_sender : named;
}

static bool
is_above_levels(const mx_redaction *redaction)
{
	const mx_value *others = mx_member(redaction->create, "additional_creators");

	if (!mx_room_has(redaction->version, MX_CREATORS_ABOVE_LEVELS))
		return false;
	if (is_user(redaction->sender, redaction->create_sender))
		return true;
	if (others != NULL && others->kind == MX_ARRAY)
		for (const mx_value *other = others->u.children; other != NULL; other = other->next)
			if (is_user(redaction->sender, mx_string_of(other)))
				return true;
	return false;
}

static int64_t
sender_level(const mx_redaction *redaction)
{
	const mx_value *levels = redaction->power_levels;
	const mx_room_version *version = redaction->version;

	if (is_above_levels(redaction))
		return ABOVE_LEVELS;
	if (levels == NULL)
		return is_user(redaction->sender, creator(redaction)) ? CREATOR_LEVEL : DEFAULT_USER_LEVEL;
	return level_of(member_named(mx_member(levels, "users"), redaction->sender), version,
					level_of(mx_member(levels, "users_default"), version, DEFAULT_USER_LEVEL));
}

/* What follows the first colon; text NULL: there is none. */
static mx_string
domain(mx_string id)
{
	const char *colon = id.text == NULL ? NULL : memchr(id.text, ':', id.length);

	if (colon == NULL)
		return (mx_string) {NULL, 0};
	return (mx_string) {colon + 1, (size_t) (id.text + id.length - colon - 1)};
}

/* Of the events' ids where these have a domain: in versions 1 and 2; else of the senders. */
static bool
is_same_domain(const mx_redaction *redaction)
{
	mx_string	a = domain(redaction->event_id);
	mx_string	b = domain(redaction->target_id);

	if (redaction->version == NULL || mx_room_has(redaction->version, MX_EVENT_ID_IS_HASH) ||
		a.text == NULL || b.text == NULL)
	{
		a = domain(redaction->sender);
		b = domain(redaction->target_sender);
	}
	return a.text != NULL && mx_same(a, b);
}

bool
mx_may_redact(const mx_redaction *redaction)
{
	if (mx_same(redaction->target_type, mx_string_from("m.room.create")))
		return false;
	if (sender_level(redaction) >=
		level_of(mx_member(redaction->power_levels, "redact"), redaction->version, DEFAULT_REDACT_LEVEL))
		return true;
	return redaction->same_sender ? is_user(redaction->sender, redaction->target_sender) : is_same_domain(redaction);
}
