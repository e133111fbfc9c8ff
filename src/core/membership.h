/*
 * membership.h - who is in a room: one user's membership, event by event
 *
 * A pure function: (the row before, the event) -> (the row after, what kind of
 * change it was).  Source: client-server API, m.room.member, its table of
 * transitions; where that table and the authorization rules differ (invite to
 * knock, knock to join), the rules.
 */
#ifndef MX_MEMBERSHIP_H
#define MX_MEMBERSHIP_H

#include "core/value.h"

typedef enum mx_membership
{
	MX_MEMBERSHIP_LEAVE,		/* also: never been there */
	MX_MEMBERSHIP_INVITE,
	MX_MEMBERSHIP_JOIN,
	MX_MEMBERSHIP_BAN,
	MX_MEMBERSHIP_KNOCK,
	MX_MEMBERSHIPS
} mx_membership;

typedef enum mx_member_change
{
	MX_MEMBER_NONE,
	MX_MEMBER_JOINED,
	MX_MEMBER_LEFT,
	MX_MEMBER_KICKED,
	MX_MEMBER_BANNED,
	MX_MEMBER_UNBANNED,
	MX_MEMBER_KICKED_AND_BANNED,
	MX_MEMBER_INVITED,
	MX_MEMBER_INVITE_ACCEPTED,
	MX_MEMBER_INVITE_REJECTED,
	MX_MEMBER_INVITE_REVOKED,
	MX_MEMBER_KNOCKED,
	MX_MEMBER_KNOCK_ACCEPTED,
	MX_MEMBER_KNOCK_RETRACTED,
	MX_MEMBER_KNOCK_DENIED,
	MX_MEMBER_PROFILE_CHANGED,
	MX_MEMBER_INVALID,			/* no server may do this; the row follows all the same */
	MX_MEMBER_CHANGES
} mx_member_change;

/* One user in one room.  All zero: no event yet. */
typedef struct mx_member
{
	mx_membership membership;
	mx_member_change change;	/* what the last event did */
	mx_string	displayname;	/* text NULL: none; owned by whoever made the event */
	mx_string	avatar_url;
	int64_t		since;			/* the position of the event that began this membership */
	int64_t		since_ts;		/* and its time, ms */
} mx_room_member;

/*
 * Fold an m.room.member event's content into the row.  by_self: sender and
 * state key are one user.  Returns the membership before.
 */
extern mx_membership mx_member_fold(mx_room_member *member, const mx_value *content, bool by_self,
									int64_t stream_id, int64_t ts);

extern const char *mx_membership_name(mx_membership membership);
extern const char *mx_member_change_name(mx_member_change change);
/* The membership of that name; MX_MEMBERSHIPS: none has it. */
extern mx_membership mx_membership_named(mx_string name);
extern mx_member_change mx_member_change_named(mx_string name);

#endif
