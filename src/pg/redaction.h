/*
 * redaction.h - redactions and the events that they take away
 *
 * redaction.c says who may redact and does it; targets.c finds what belongs
 * together; own.c knows which rows are ours, and locks.
 */
#ifndef MATRIX_EVENTS_REDACTION_H
#define MATRIX_EVENTS_REDACTION_H

#include "derive.h"

/* An m.room.redaction, and what is asked about it more than once. */
typedef struct Redaction
{
	Row			row;
	const mx_room_version *version;
} Redaction;

/* An event that a redaction names, or an edit of that. */
typedef struct Target
{
	const Row  *row;			/* as it was when it was found */
	Redaction  *redaction;
	bool		edits;			/* it is an edit of what the redaction names */
} Target;

/* redaction.c: all is made in the current context */
extern Redaction *make_redaction(Relation events, Store *store, const Row *row);
extern List *add_target(List *targets, const Row *row, Redaction *redaction, bool edits);

/* Whether the redaction's sender may redact a row of the same room without the power level. */
extern bool may_redact_own(Store *store, const Redaction *redaction, const Row *target);

/* What the room's version leaves of a row's event, into the row. */
extern void prune_row(Row *row, const Redaction *redaction);

/*
 * Redact the targets as far as they may be, with the copies of their contents; a
 * fold (or NULL) gets their new ones.  Called within the store, whose rooms' locks
 * are held.
 */
extern void redact_all(Relation events, Store *store, List *targets, Fold *fold);

/*
 * Rows that repeat contents of other events: what of that was redacted goes.
 * Called within the store, whose room's lock is held.
 */
extern void redact_repeated(Store *store, List *rows);

/* targets.c */
extern List *find_targets(Relation events, Store *store, Redaction *redaction, List *targets);

/* What a row of ours redacts, what redacts it, and whether it repeats others, into the fold. */
extern void look_at_row(Fold *fold, Relation events, const Row *row);

/* A row that says who may redact. */
extern bool sets_power_levels(const Row *row);

/* own.c: what the statement of a fold has inserted, or all that the transaction has, into the fold, under locks. */
extern void look_at_inserted(Fold *fold, Relation events);
extern void lock_judging(Fold *fold);
extern void hide_refused(Fold *fold, Relation events);

#endif
