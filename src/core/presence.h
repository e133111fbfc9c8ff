/*
 * presence.h - one user's presence, event by event
 *
 * A pure function: (the row before, the event) -> (the row after).  Messages do
 * not come here: the last activity that others see is the later of last_active_ts
 * and the user's last message outside the hidden spans.
 *
 * Sources: client-server API, Presence; the Events chapter of the 2015
 * specification, Presence (free_for_chat, hidden, what is pro-active).
 */
#ifndef MX_PRESENCE_H
#define MX_PRESENCE_H

#include "core/value.h"

typedef enum mx_presence_state
{
	MX_PRESENCE_OFFLINE,		/* also: never heard of */
	MX_PRESENCE_HIDDEN,			/* offline for all others */
	MX_PRESENCE_UNAVAILABLE,
	MX_PRESENCE_ONLINE,
	MX_PRESENCE_FREE_FOR_CHAT,
	MX_PRESENCE_STATES
} mx_presence_state;

#define MX_NO_TIME INT64_MIN

/*
 * One user.  hidden holds the times, in ms, at which hiding began and ended, by
 * turns: [from, until) each; an odd number: it still lasts.  Spans that ended
 * before last_active_ts can hide nothing and are dropped.
 */
typedef struct mx_presence
{
	mx_presence_state state;
	mx_string	status_msg;		/* text NULL: none */
	mx_string	displayname;
	mx_string	avatar_url;
	int64_t		last_active_ts;	/* ms; MX_NO_TIME: never */
	int64_t	   *hidden;
	size_t		hidden_count;
} mx_presence;

typedef struct mx_presence_options
{
	bool		only_online_counts;	/* pro-active is only a change to online (today's rule), not any rise */
	bool		equal_level_counts;	/* so is setting the same level again */
} mx_presence_options;

/* What others see as the state's order: hidden is offline. */
extern int	mx_presence_level(mx_presence_state state);

/* Fold an m.presence event's content into the row; hidden grows in the arena. */
extern void mx_presence_fold(mx_presence *presence, const mx_value *content, int64_t ts,
							 const mx_presence_options *options, mx_arena *arena);

/*
 * Whether others are to be told of what an event made of the row: of another
 * state as they see it, another status_msg, displayname or avatar_url; and while
 * the user is not online, of an activity more than granularity ms later.  Who is
 * online is taken to be active.
 */
extern bool mx_presence_is_news(const mx_presence *before, const mx_presence *after, int64_t granularity);

extern const char *mx_presence_name(mx_presence_state state);
/* The state of that name; MX_PRESENCE_STATES: none has it. */
extern mx_presence_state mx_presence_named(mx_string name);

#endif
