/*
 * types.h - the event types that are known: a table of data, not code
 *
 * The built-in ones stand in event_types.json, which becomes part of the
 * program when it is built; docs/events.md is made from the same file.  Users
 * add their own.  A type is compiled when it is first asked for.
 */
#ifndef MX_TYPES_H
#define MX_TYPES_H

#include "core/schema.h"

typedef enum mx_event_kind
{
	MX_KIND_ANY,				/* travels both in rooms and to devices, or unknown */
	MX_KIND_MESSAGE,			/* room event without a state key */
	MX_KIND_STATE,
	MX_KIND_PRESENCE,
	MX_KIND_EPHEMERAL,
	MX_KIND_ACCOUNT_DATA,
	MX_KIND_TO_DEVICE
} mx_event_kind;

typedef struct mx_event_type
{
	mx_string	name;			/* m.room.message, or m.room.message#m.image */
	mx_event_kind kind;
	const mx_schema *content;
	const mx_schema *content_2015;	/* the other form that is valid, or NULL */
	const mx_schema *state_key;
	const mx_schema *unsigned_data;
	const mx_schema *redacts;
	const mx_schema *event;		/* of the whole event: a user's type only */
	bool		empty_content;	/* content {} is valid: it takes the state away */
	const char *variant;		/* the content's key that chooses a variant */
} mx_event_type;

typedef struct mx_types mx_types;

/* The arena must live as long as the types are used. */
extern mx_types *mx_types_new(mx_arena *arena, const mx_regex *regex);

/* The type, or its variant where there is one; NULL: not known. */
extern const mx_event_type *mx_types_find(mx_types *types, mx_string name, const mx_value *content);

extern bool mx_types_is_built_in(mx_string name);

/*
 * Add a user's type.  A schema that names content in its properties, or refers
 * to Matrix's own event schemas, describes the whole event, as Matrix's do; any
 * other describes the content.  False on error, with the violations' paths
 * standing in the schema.  schema must live as long as the types.
 */
extern bool mx_types_add(mx_types *types, mx_string name, const mx_value *schema,
						 mx_violations *violations);

#endif
