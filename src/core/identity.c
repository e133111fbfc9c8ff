/*
 * identity.c - content hash, reference hash, event ids
 */
#include "core/identity.h"

#include "core/canonical.h"
#include "core/redact.h"

#include <string.h>

void
mx_url_safe(char *base64, size_t length)
{
	for (size_t i = 0; i < length; i++)
		base64[i] = base64[i] == '+' ? '-' : base64[i] == '/' ? '_' : base64[i];
}

/* An identifier without a domain. */
static bool
is_hash(const mx_value *id)
{
	return id->kind == MX_STRING && memchr(id->u.text, ':', id->length) == NULL;
}

/* What the content hash covers; which room version it is, the ids say. */
static bool
in_content_hash(const mx_value *member, const void *event)
{
	if (mx_key_is(member, "event_id"))
		return !is_hash(member);
	if (mx_key_is(member, "room_id"))
		return !is_hash(member) || !mx_equals_text(mx_member(event, "type"), "m.room.create");
	return !mx_key_is(member, "hashes") && !mx_key_is(member, "signatures") && !mx_key_is(member, "unsigned");
}

/* Of a redacted event. */
static bool
in_reference_hash(const mx_value *member, const void *version)
{
	return !mx_key_is(member, "signatures") &&
		!(mx_key_is(member, "event_id") && mx_room_has(version, MX_EVENT_ID_IS_HASH));
}

mx_string
mx_content_hash(mx_arena *arena, const mx_value *event, mx_sha256 sha256)
{
	mx_string	covered = mx_canonical_lenient(arena, mx_select(arena, event, in_content_hash, event));
	char	   *hash = mx_alloc(arena, MX_HASH_LENGTH);

	sha256(covered.text, covered.length, hash);
	return (mx_string) {hash, MX_HASH_LENGTH};
}

bool
mx_content_hash_matches(mx_arena *arena, const mx_value *event, mx_sha256 sha256)
{
	mx_string	claimed = mx_string_of(mx_member(mx_member(event, "hashes"), "sha256"));

	if (claimed.length == MX_HASH_LENGTH + 1 && claimed.text[MX_HASH_LENGTH] == '=')
		claimed.length--;
	return claimed.length == MX_HASH_LENGTH && mx_same(claimed, mx_content_hash(arena, event, sha256));
}

const mx_value *
mx_reference_form(mx_arena *arena, const mx_value *event, const mx_room_version *version)
{
	return mx_select(arena, mx_redact(arena, event, version), in_reference_hash, version);
}

/* The reference hash with a sigil before it. */
static mx_string
hashed_id(mx_arena *arena, char sigil, const mx_value *event, const mx_room_version *version, mx_sha256 sha256)
{
	const mx_value *form = mx_reference_form(arena, event, version);
	mx_string	covered = mx_room_has(version, MX_NUMBERS_ARE_CANONICAL) ?
		mx_canonical(arena, form) : mx_canonical_lenient(arena, form);
	char	   *id = mx_alloc(arena, 1 + MX_HASH_LENGTH);

	id[0] = sigil;
	sha256(covered.text, covered.length, id + 1);
	if (mx_room_has(version, MX_EVENT_ID_IS_URL_SAFE))
		mx_url_safe(id + 1, MX_HASH_LENGTH);
	return (mx_string) {id, 1 + MX_HASH_LENGTH};
}

mx_string
mx_event_id(mx_arena *arena, const mx_value *event, const mx_room_version *version, mx_sha256 sha256)
{
	if (mx_room_has(version, MX_EVENT_ID_IS_HASH))
		return hashed_id(arena, '$', event, version, sha256);
	return mx_string_of(mx_member(event, "event_id"));
}

mx_string
mx_room_id_of_create(mx_arena *arena, const mx_value *create, const mx_room_version *version, mx_sha256 sha256)
{
	if (mx_room_has(version, MX_ROOM_ID_IS_HASH))
		return hashed_id(arena, '!', create, version, sha256);
	return mx_string_of(mx_member(create, "room_id"));
}
