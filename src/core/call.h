/*
 * call.h - one call in a room: its life, event by event
 *
 * A pure function: (the row before, the event) -> (the row after).  A call lives
 * in one room under its call_id; what an observer who sees all events in one
 * order can say of it is its state.
 *
 * Sources: client-server API, Voice over IP (version 1); the Events chapter of
 * the 2015 specification, Voice over IP (version 0) with its rules on glare.
 */
#ifndef MX_CALL_H
#define MX_CALL_H

#include "core/membership.h"

/* What a call_id must fit into to be followed: bytes. */
#define MX_MAX_CALL_ID	255

typedef enum mx_call_state
{
	MX_CALL_NONE,				/* no event yet */
	MX_CALL_PENDING,			/* something came before the invite */
	MX_CALL_INVITED,
	MX_CALL_ANSWERED,
	MX_CALL_ENDED,
	MX_CALL_STATES
} mx_call_state;

typedef enum mx_call_end
{
	MX_END_NONE,
	MX_END_CANCELLED,			/* by the caller, before an answer */
	MX_END_REJECTED,
	MX_END_HANGUP,				/* after an answer */
	MX_END_EXPIRED,
	MX_END_REPLACED,			/* lost glare */
	MX_END_LEFT,				/* who took part left the room */
	MX_END_UNKNOWN,				/* a hangup without an invite */
	MX_CALL_ENDS
} mx_call_end;

typedef enum mx_call_event_type
{
	MX_CALL_INVITE,
	MX_CALL_CANDIDATES,			/* and m.call.candidate, its old name */
	MX_CALL_ANSWER,
	MX_CALL_SELECT_ANSWER,
	MX_CALL_NEGOTIATE,
	MX_CALL_REJECT,
	MX_CALL_HANGUP,
	MX_CALL_OTHER
} mx_call_event_type;

typedef struct mx_call_event
{
	mx_call_event_type type;
	mx_string	event_id;
	mx_string	sender;
	const mx_value *content;
	int64_t		stream_id;
	int64_t		ts;				/* ms */
} mx_call_event;

/* What a party has said that can matter later. */
typedef struct mx_call_word
{
	mx_call_event_type type;	/* answer, reject or select_answer */
	mx_string	user;
	mx_string	party;			/* of a select_answer: the one selected */
	int64_t		ts;
	struct mx_call_word *next;
} mx_call_word;

#define MX_NO_MS INT64_MIN

/* Strings are owned by whoever made the events; text NULL: not known. */
typedef struct mx_call
{
	mx_string	call_id;
	mx_call_state state;
	mx_call_end end;
	int			version;		/* 0 or 1; -1 before the invite */
	bool		two_party;		/* two joined members when it was invited */
	mx_string	caller;
	mx_string	caller_party;
	mx_string	invitee;
	mx_string	invite_event_id;
	mx_string	answer_user;
	mx_string	answer_party;
	mx_string	selected_party;
	mx_string	hangup_reason;	/* as sent */
	mx_string	ended_by;
	mx_string	replaced_by;
	int64_t		invite_ts;		/* all times in ms; MX_NO_MS: not known */
	int64_t		expires_at;
	int64_t		answered_ts;
	int64_t		ended_ts;
	int64_t		negotiated_ts;
	int64_t		candidates;
	int64_t		stream_id;		/* of the last event that changed it */
	mx_call_word *words;
} mx_call;

extern mx_call_event_type mx_call_event_named(mx_string type);
extern void mx_call_init(mx_call *call, mx_string call_id);

/* 0 for the integer 0 alone; anything else speaks as version 1. */
extern int	mx_call_version(const mx_value *content);

/*
 * Fold an event of this call.  two_party: the room has two joined members now.
 * Words are remembered in the arena.  True: the call changed.
 */
extern bool mx_call_fold(mx_call *call, const mx_call_event *event, bool two_party, mx_arena *arena);

/*
 * What a call is made of, of an event's content: ids and numbers, nothing that
 * anyone has said.  It outlives the event's redaction, so that a call that has
 * ended does not ring again.
 */
extern const mx_value *mx_call_kept(mx_arena *arena, const mx_value *content);

/* The clock: an invite that nobody answered in its lifetime ends.  True: it did. */
extern bool mx_call_expire(mx_call *call, int64_t now);

/* A user is no longer joined to the room, in which others (how many) remain. */
extern bool mx_call_leave(mx_call *call, mx_string user, int64_t remaining, int64_t stream_id, int64_t ts);

/*
 * Two invites, the later one just folded: if they cross, the greater call_id by
 * bytes ends.  The call that ended, or NULL.
 */
extern mx_call *mx_call_glare(mx_call *invited, mx_call *other);

extern const char *mx_call_state_name(mx_call_state state);
extern const char *mx_call_end_name(mx_call_end end);
extern mx_call_state mx_call_state_named(mx_string name);
extern mx_call_end mx_call_end_named(mx_string name);

#endif
