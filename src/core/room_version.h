/*
 * room_version.h - room versions, and what each of them changed
 *
 * Source: the specification's pages on room versions 1 to 12.
 */
#ifndef MX_ROOM_VERSION_H
#define MX_ROOM_VERSION_H

#include "core/value.h"

#define MX_ROOM_VERSIONS 12

typedef struct mx_room_version
{
	const char *name;
	int			number;
} mx_room_version;

/* A change, and the version that brought it; it holds from there on. */
typedef enum mx_room_change
{
	MX_EVENT_ID_IS_HASH = 3,
	MX_EVENT_ID_IS_URL_SAFE = 4,
	MX_NUMBERS_ARE_CANONICAL = 6,	/* integers within +-(2^53 - 1); before, any number */
	MX_LEVELS_ARE_INTEGERS = 10,	/* power levels; before, strings as well */
	MX_REDACTS_IN_CONTENT = 11,
	MX_CREATOR_IS_SENDER = 11,
	MX_ROOM_ID_IS_HASH = 12,
	MX_CREATORS_ABOVE_LEVELS = 12
} mx_room_change;

/* All that are known, in their order. */
extern const mx_room_version mx_room_versions[MX_ROOM_VERSIONS];

/* NULL: not known. */
extern const mx_room_version *mx_room_version_named(mx_string name);

/* Whether a change holds; for a version that is not known (NULL), none does. */
extern bool mx_room_has(const mx_room_version *version, mx_room_change change);

#endif
