/*
 * violation.h - what is wrong with an event: where, by which rule, in words
 */
#ifndef MX_VIOLATION_H
#define MX_VIOLATION_H

#include "core/value.h"

/* The rules.  A code's name is stable: programs compare it. */
typedef enum mx_code
{
	MX_MALFORMED,				/* not JSON */
	MX_DUPLICATE_KEY,
	MX_DEPTH,					/* nested too deep */
	MX_TOO_LARGE,				/* the event as a whole */
	MX_TOO_LONG,				/* one value */
	MX_TOO_SHORT,
	MX_TOO_MANY,
	MX_TOO_FEW,
	MX_MISSING,
	MX_UNEXPECTED,				/* must not be there */
	MX_TYPE,
	MX_ENUM,
	MX_PATTERN,
	MX_GRAMMAR,					/* of an identifier */
	MX_NUMBER_RANGE,
	MX_FLOAT,					/* canonical JSON has integers only */
	MX_MISMATCH,				/* two values that must agree do not */
	MX_TWO_PARTY,				/* a call of version 0 in a room of more or fewer */
	MX_CONFLICT,				/* another event has this event_id */
	MX_CODES
} mx_code;

/* A step from the root to a value; a chain of them stands on the C stack. */
typedef struct mx_path
{
	const struct mx_path *outer;	/* NULL: this is the root */
	const char *key;			/* NULL: an element of an array */
	size_t		key_length;
	size_t		index;
} mx_path;

typedef struct mx_violation
{
	mx_code		code;
	const char *path;			/* content.offer.sdp; empty for the event itself */
	const char *message;		/* a sentence's predicate: "must be a string" */
	struct mx_violation *next;
} mx_violation;

/* At most MX_MAX_VIOLATIONS are kept; count goes on. */
#define MX_MAX_VIOLATIONS 100

struct mx_violations
{
	mx_arena   *arena;
	size_t		count;
	mx_violation *first;
	mx_violation **tail;
};

extern void mx_violations_init(mx_violations *violations, mx_arena *arena);
extern void mx_violate(mx_violations *violations, mx_code code, const mx_path *path,
					   const char *format,...) __attribute__((format(printf, 4, 5)));
extern void mx_violations_take(mx_violations *into, const mx_violations *from);
/* The length to which a text of more than most bytes is cut: never within a character. */
extern size_t mx_clip(const char *text, size_t length, size_t most);
extern const char *mx_code_name(mx_code code);

/*
 * A path in PostgreSQL's jsonpath syntax, without its leading "$.":
 * content.candidates[0].sdpMid, content."m.relates_to".event_id.  Keys are
 * cut at 255 bytes and a path at 40 steps.  Owned by the arena.
 */
extern const char *mx_path_text(mx_arena *arena, const mx_path *path);

#endif
