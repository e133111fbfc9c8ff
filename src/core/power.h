/*
 * power.h - power levels: who may redact whose event
 *
 * Sources: room versions 1, 3, 10 and 12, authorization rules and Handling
 * redactions; client-server API, m.room.power_levels (defaults).
 */
#ifndef MX_POWER_H
#define MX_POWER_H

#include "core/room_version.h"

/* An m.room.redaction, its target, and the room's state when it came. */
typedef struct mx_redaction
{
	const mx_room_version *version;	/* NULL: not known */
	mx_string	create_sender;	/* of m.room.create; text NULL: not known */
	const mx_value *create;		/* its content, or NULL */
	const mx_value *power_levels;	/* the content of m.room.power_levels, or NULL: there is none */
	mx_string	sender;
	mx_string	event_id;
	mx_string	target_sender;
	mx_string	target_id;
	mx_string	target_type;
	bool		same_sender;	/* without the level only one's own events, not those of one's server */
} mx_redaction;

/*
 * Whether the redaction applies: never to an m.room.create; by power level; or
 * because both events are of one server (of one user, with same_sender).
 */
extern bool mx_may_redact(const mx_redaction *redaction);

#endif
