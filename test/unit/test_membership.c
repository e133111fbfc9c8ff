/*
 * test_membership.c - every cell of the table of transitions, by the user and by another
 */
#include "unit.h"

#include "core/membership.h"

#include <string.h>

/* before, after, what it is when the user sent it, what when another did */
static const char *const cells[][4] = {
	{"leave", "leave", "none", "none"},
	{"leave", "invite", "invited", "invited"},
	{"leave", "join", "joined", "invalid"},
	{"leave", "ban", "banned", "banned"},
	{"leave", "knock", "knocked", "knocked"},
	{"invite", "leave", "invite_rejected", "invite_revoked"},
	{"invite", "invite", "invalid", "none"},
	{"invite", "join", "invite_accepted", "invalid"},
	{"invite", "ban", "banned", "banned"},
	{"invite", "knock", "invalid", "invalid"},
	{"join", "leave", "left", "kicked"},
	{"join", "invite", "invalid", "invalid"},
	{"join", "join", "none", "invalid"},
	{"join", "ban", "kicked_and_banned", "kicked_and_banned"},
	{"join", "knock", "invalid", "invalid"},
	{"ban", "leave", "invalid", "unbanned"},
	{"ban", "invite", "invalid", "invalid"},
	{"ban", "join", "invalid", "invalid"},
	{"ban", "ban", "none", "none"},
	{"ban", "knock", "invalid", "invalid"},
	{"knock", "leave", "knock_retracted", "knock_denied"},
	{"knock", "invite", "knock_accepted", "knock_accepted"},
	{"knock", "join", "joined", "invalid"},
	{"knock", "ban", "banned", "banned"},
	{"knock", "knock", "none", "none"},
};

static mx_member_change
fold(mx_arena *arena, mx_room_member *member, const char *content, bool by_self, int64_t stream_id)
{
	mx_member_fold(member, read_value(arena, content), by_self, stream_id, stream_id * 1000);
	return member->change;
}

void
test_membership(void)
{
	mx_arena	arena;
	mx_room_member member;

	new_arena(&arena);
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
		for (int other = 0; other < 2; other++)
		{
			mx_room_member before = {.membership = mx_membership_named((mx_string) {cells[i][0], strlen(cells[i][0])}), .since = 1};
			char	   *content = mx_format(&arena, "{\"membership\": \"%s\"}", cells[i][1]);
			const char *change = mx_member_change_name(fold(&arena, &before, content, other == 0, 2));

			CHECK(strcmp(change, cells[i][2 + other]) == 0, "%s to %s %s: %s", cells[i][0], cells[i][1],
				  other ? "by another" : "by the user", change);
			CHECK(strcmp(mx_membership_name(before.membership), cells[i][1]) == 0, "the row follows");
			CHECK(before.since == (strcmp(cells[i][0], cells[i][1]) == 0 ? 1 : 2), "since moves with the membership only");
		}

	memset(&member, 0, sizeof(member));
	CHECK(fold(&arena, &member, "{\"membership\": \"join\", \"displayname\": \"A\"}", true, 5) == MX_MEMBER_JOINED, "a first join");
	CHECK(member.since == 5 && member.since_ts == 5000, "since the join");
	CHECK(fold(&arena, &member, "{\"membership\": \"join\", \"displayname\": \"A\", \"x\": 1}", true, 6) == MX_MEMBER_NONE, "the same profile");
	CHECK(fold(&arena, &member, "{\"membership\": \"join\", \"displayname\": \"B\"}", true, 7) == MX_MEMBER_PROFILE_CHANGED, "another name");
	CHECK(fold(&arena, &member, "{\"membership\": \"join\", \"displayname\": null}", true, 8) == MX_MEMBER_PROFILE_CHANGED, "no name");
	CHECK(fold(&arena, &member, "{\"membership\": \"join\"}", true, 9) == MX_MEMBER_NONE, "null and absent are one");
	CHECK(fold(&arena, &member, "{\"membership\": \"join\", \"avatar_url\": \"mxc://a/b\"}", true, 10) == MX_MEMBER_PROFILE_CHANGED, "an avatar");
	CHECK(member.since == 5, "a profile change is no new membership");
	CHECK(fold(&arena, &member, "{}", false, 11) == MX_MEMBER_KICKED, "no membership left is leave");
	memset(&member, 0, sizeof(member));
	CHECK(fold(&arena, &member, "{\"membership\": \"leave\"}", true, 3) == MX_MEMBER_NONE && member.since == 3, "a first leave");
	for (int i = 0; i < MX_MEMBER_CHANGES; i++)
	{
		const char *name = mx_member_change_name((mx_member_change) i);

		CHECK(mx_member_change_named((mx_string) {name, strlen(name)}) == (mx_member_change) i, "%s is found by its name", name);
	}
	free_arena(&arena);
}
