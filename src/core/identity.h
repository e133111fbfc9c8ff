/*
 * identity.h - an event's hashes, and the ids that follow from them
 *
 * What is hashed is the event as servers exchange it (the PDU).  An event as
 * clients see it has its event_id beside it, and a create event of version 12
 * its room_id; where these are hashes they are left out, since nothing can hold
 * its own hash.
 *
 * Sources: server-server API, Calculating the content hash for an event,
 * Calculating the reference hash for an event; room versions 1, 3, 4 and 12.
 */
#ifndef MX_IDENTITY_H
#define MX_IDENTITY_H

#include "core/room_version.h"

/* A SHA-256 as unpadded base64: characters. */
#define MX_HASH_LENGTH 43

/* The host's SHA-256: writes MX_HASH_LENGTH characters of standard base64. */
typedef void (*mx_sha256) (const char *bytes, size_t length, char *base64);

/* From the standard alphabet of base64 to the one for URLs, in place. */
extern void mx_url_safe(char *base64, size_t length);

/*
 * The content hash of an event, which must be an object: what hashes.sha256
 * holds.  Numbers are written as in mx_canonical_lenient, whatever the version.
 */
extern mx_string mx_content_hash(mx_arena *arena, const mx_value *event, mx_sha256 sha256);

/* Whether hashes.sha256 is the content hash; padding is allowed. */
extern bool mx_content_hash_matches(mx_arena *arena, const mx_value *event, mx_sha256 sha256);

/*
 * What the reference hash is made of: the redacted event without signatures,
 * and without the event_id where that follows from the hash.
 */
extern const mx_value *mx_reference_form(mx_arena *arena, const mx_value *event, const mx_room_version *version);

/*
 * An event's id: made of its reference hash, or up to version 2 and where the
 * version is not known (NULL) the event_id that it carries; text NULL: none.
 */
extern mx_string mx_event_id(mx_arena *arena, const mx_value *event, const mx_room_version *version,
							 mx_sha256 sha256);

/*
 * The room's id by its m.room.create event: from version 12 on the event's id
 * with another sigil, before that the one that it carries; text NULL: none.
 */
extern mx_string mx_room_id_of_create(mx_arena *arena, const mx_value *create, const mx_room_version *version,
									  mx_sha256 sha256);

#endif
