/*
 * event.h - one Matrix event: its envelope, its kind, and whether it is valid
 */
#ifndef MX_EVENT_H
#define MX_EVENT_H

#include "core/types.h"

/* What an event's parts are; all of it points into the event's tree. */
typedef struct mx_event
{
	const mx_value *root;
	mx_event_kind kind;
	bool		in_room;		/* a room event: the room's rules bind it */
	const mx_value *type;		/* these six are strings, or NULL */
	const mx_value *room_id;
	const mx_value *sender;
	const mx_value *event_id;
	const mx_value *state_key;
	const mx_value *user_id;	/* m.presence: whose; elsewhere NULL */
	const mx_value *origin_server_ts;	/* an MX_INTEGER, or NULL */
	const mx_value *content;	/* an object, or NULL */
	const mx_value *unsigned_data;	/* an object, or NULL */
} mx_event;

typedef struct mx_event_options
{
	size_t		text_length;	/* no less than its canonical JSON; 0: not known */
	bool		nul_replaced;	/* U+0000 was read as U+FFFD, which identifiers may not hold then */
	bool		id_given_later;	/* the store makes the event_id where it is missing */
} mx_event_options;

/*
 * Check an event against every rule and say what its parts are.  violations
 * may hold what the reader of the JSON found; the event is valid when its count
 * is still 0 afterwards.
 *
 * Sources: client-server API, Room event format, Size limits and the type's
 * own section; appendices, Canonical JSON and Identifier Grammar; for 2015's
 * forms the Events chapter of the 2015 specification.
 */
extern void mx_event_check(const mx_value *root, mx_types *types, const mx_event_options *options,
						   mx_event *event, mx_violations *violations);

#endif
