/*
 * room_version.c - the list of room versions
 */
#include "core/room_version.h"

const mx_room_version mx_room_versions[MX_ROOM_VERSIONS] = {
	{"1", 1}, {"2", 2}, {"3", 3}, {"4", 4}, {"5", 5}, {"6", 6},
	{"7", 7}, {"8", 8}, {"9", 9}, {"10", 10}, {"11", 11}, {"12", 12}
};

const mx_room_version *
mx_room_version_named(mx_string name)
{
	for (int i = 0; i < MX_ROOM_VERSIONS; i++)
		if (mx_same(name, mx_string_from(mx_room_versions[i].name)))
			return &mx_room_versions[i];
	return NULL;
}

bool
mx_room_has(const mx_room_version *version, mx_room_change change)
{
	return version != NULL && version->number >= (int) change;
}
