/*
 * membership.c - the table of membership transitions, and its use
 */
#include "core/membership.h"

#include <string.h>

static const char *const membership_names[MX_MEMBERSHIPS] = {
	[MX_MEMBERSHIP_LEAVE] = "leave",
	[MX_MEMBERSHIP_INVITE] = "invite",
	[MX_MEMBERSHIP_JOIN] = "join",
	[MX_MEMBERSHIP_BAN] = "ban",
	[MX_MEMBERSHIP_KNOCK] = "knock",
};

static const char *const change_names[MX_MEMBER_CHANGES] = {
	[MX_MEMBER_NONE] = "none",
	[MX_MEMBER_JOINED] = "joined",
	[MX_MEMBER_LEFT] = "left",
	[MX_MEMBER_KICKED] = "kicked",
	[MX_MEMBER_BANNED] = "banned",
	[MX_MEMBER_UNBANNED] = "unbanned",
	[MX_MEMBER_KICKED_AND_BANNED] = "kicked_and_banned",
	[MX_MEMBER_INVITED] = "invited",
	[MX_MEMBER_INVITE_ACCEPTED] = "invite_accepted",
	[MX_MEMBER_INVITE_REJECTED] = "invite_rejected",
	[MX_MEMBER_INVITE_REVOKED] = "invite_revoked",
	[MX_MEMBER_KNOCKED] = "knocked",
	[MX_MEMBER_KNOCK_ACCEPTED] = "knock_accepted",
	[MX_MEMBER_KNOCK_RETRACTED] = "knock_retracted",
	[MX_MEMBER_KNOCK_DENIED] = "knock_denied",
	[MX_MEMBER_PROFILE_CHANGED] = "profile_changed",
	[MX_MEMBER_INVALID] = "invalid",
};

/* By the membership before, the one after, and who sent it: the user, or another. */
#define BY_BOTH(change) {MX_MEMBER_##change, MX_MEMBER_##change}
#define BY(self, other) {MX_MEMBER_##self, MX_MEMBER_##other}
static const mx_member_change transitions[MX_MEMBERSHIPS][MX_MEMBERSHIPS][2] = {
	[MX_MEMBERSHIP_INVITE] = {
		[MX_MEMBERSHIP_INVITE] = BY(INVALID, NONE),
		[MX_MEMBERSHIP_JOIN] = BY(INVITE_ACCEPTED, INVALID),
		[MX_MEMBERSHIP_LEAVE] = BY(INVITE_REJECTED, INVITE_REVOKED),
		[MX_MEMBERSHIP_BAN] = BY_BOTH(BANNED),
		[MX_MEMBERSHIP_KNOCK] = BY_BOTH(INVALID),
	},
	[MX_MEMBERSHIP_JOIN] = {
		[MX_MEMBERSHIP_INVITE] = BY_BOTH(INVALID),
		[MX_MEMBERSHIP_JOIN] = BY(PROFILE_CHANGED, INVALID),
		[MX_MEMBERSHIP_LEAVE] = BY(LEFT, KICKED),
		[MX_MEMBERSHIP_BAN] = BY_BOTH(KICKED_AND_BANNED),
		[MX_MEMBERSHIP_KNOCK] = BY_BOTH(INVALID),
	},
	[MX_MEMBERSHIP_LEAVE] = {
		[MX_MEMBERSHIP_INVITE] = BY_BOTH(INVITED),
		[MX_MEMBERSHIP_JOIN] = BY(JOINED, INVALID),
		[MX_MEMBERSHIP_LEAVE] = BY_BOTH(NONE),
		[MX_MEMBERSHIP_BAN] = BY_BOTH(BANNED),
		[MX_MEMBERSHIP_KNOCK] = BY_BOTH(KNOCKED),
	},
	[MX_MEMBERSHIP_BAN] = {
		[MX_MEMBERSHIP_INVITE] = BY_BOTH(INVALID),
		[MX_MEMBERSHIP_JOIN] = BY_BOTH(INVALID),
		[MX_MEMBERSHIP_LEAVE] = BY(INVALID, UNBANNED),
		[MX_MEMBERSHIP_BAN] = BY_BOTH(NONE),
		[MX_MEMBERSHIP_KNOCK] = BY_BOTH(INVALID),
	},
	[MX_MEMBERSHIP_KNOCK] = {
		[MX_MEMBERSHIP_INVITE] = BY_BOTH(KNOCK_ACCEPTED),
		[MX_MEMBERSHIP_JOIN] = BY(JOINED, INVALID),
		[MX_MEMBERSHIP_LEAVE] = BY(KNOCK_RETRACTED, KNOCK_DENIED),
		[MX_MEMBERSHIP_BAN] = BY_BOTH(BANNED),
		[MX_MEMBERSHIP_KNOCK] = BY_BOTH(NONE),
	},
};

static bool
is_named(mx_string name, const char *known)
{
	return mx_same(name, mx_string_from(known));
}

mx_membership
mx_membership_named(mx_string name)
{
	int			i = 0;

	while (i < MX_MEMBERSHIPS && !is_named(name, membership_names[i]))
		i++;
	return (mx_membership) i;
}

mx_member_change
mx_member_change_named(mx_string name)
{
	int			i = 0;

	while (i < MX_MEMBER_CHANGES && !is_named(name, change_names[i]))
		i++;
	return (mx_member_change) i;
}

const char *
mx_membership_name(mx_membership membership)
{
	return membership_names[membership];
}

const char *
mx_member_change_name(mx_member_change change)
{
	return change_names[change];
}

mx_membership
mx_member_fold(mx_room_member *member, const mx_value *content, bool by_self, int64_t stream_id, int64_t ts)
{
	mx_membership before = member->membership;
	mx_membership after = mx_membership_named(mx_string_of(mx_member(content, "membership")));
	mx_string	displayname = mx_string_of(mx_member(content, "displayname"));
	mx_string	avatar_url = mx_string_of(mx_member(content, "avatar_url"));

	/* A redacted event of an unknown kind can have no membership left. */
	if (after == MX_MEMBERSHIPS)
		after = MX_MEMBERSHIP_LEAVE;
	member->change = transitions[before][after][by_self ? 0 : 1];
	if (member->change == MX_MEMBER_PROFILE_CHANGED &&
		mx_same(displayname, member->displayname) && mx_same(avatar_url, member->avatar_url))
		member->change = MX_MEMBER_NONE;
	if (before != after || member->since == 0)
	{
		member->since = stream_id;
		member->since_ts = ts;
	}
	member->membership = after;
	member->displayname = displayname;
	member->avatar_url = avatar_url;
	return before;
}
