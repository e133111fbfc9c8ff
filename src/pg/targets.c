/*
 * targets.c - which redaction takes away which event, whichever comes first
 *
 * No redaction misses an event that another transaction is just inserting.
 * Each side inserts first, says that it looks (mark), and looks for the other,
 * seeing what open transactions have inserted; so who looks last sees the other,
 * waits for its end and does the work.  When a side looks, own.c knows.
 */
#include "redaction.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"

/* ---- locks ---- */

/*
 * One redaction at a time is at work in a room, or their rows would cross.  It
 * waits for power levels that an open transaction brings, and for events that
 * repeat contents of others, which do not wait for each other.  The last field
 * keeps the lock apart from users' advisory locks and from the locks of calls.
 */
#define BUCKETS	256
#define LOCK_OF_CHANGE		ExclusiveLock		/* of redactions and power levels */
#define LOCK_OF_REPETITION	RowExclusiveLock	/* shared with its like only */

static int
bucket_of(mx_string room_id)
{
	return hash_bytes((const unsigned char *) room_id.text, room_id.length) % BUCKETS;
}

static void
lock_bucket(Store *store, int bucket, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store->events, bucket, 5);
	(void) LockAcquire(&tag, mode, false, false);
}

/* ---- the targets of a redaction ---- */

/*
 * Who looks for open transactions on the other side says so first.  One that has
 * not said so will look later, and sees us; so only one that has is waited for.
 * Thus who comes later waits for who came earlier, and nobody waits in a circle.
 */
static void
mark_lock(Store *store, TransactionId transaction, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, store->events, transaction, 7);
}

void
mark(Store *store)
{
	LOCKTAG		tag;

	mark_lock(store, GetTopTransactionId(), &tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

static bool
is_marked(Store *store, TransactionId transaction)
{
	LOCKTAG		tag;

	mark_lock(store, transaction, &tag);
	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	(void) LockRelease(&tag, ShareLock, false);
	return false;
}

/*
 * Where two look at the same time, the first to take the lock on the two of them
 * waits for the other's end, and then looks at everything again; the second goes
 * on at once.  The lock is held no longer than the wait: the other may go on, if
 * it was a savepoint of his that has ended, and insert more.
 */
static void
duty_lock(Store *store, TransactionId other, LOCKTAG *tag)
{
	TransactionId own = GetTopTransactionId();

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, Min(own, other), Max(own, other), 0x4000 | (store->events & 0x3fff));
}

/* A row that is updated by an open transaction stands in the index twice, once as it was. */
static bool
is_there_too(List *found, const FoundRow *open)
{
	ListCell   *cell;

	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);

		if (!TransactionIdIsValid(one->writer) && row_position(&one->row) == row_position(&open->row))
			return true;
	}
	return false;
}

/* An event that edits another as the specification wants it. */
static bool
is_edit_of(const Row *edit, const Row *original)
{
	return mx_same(row_text(edit, COLUMN_SENDER), row_text(original, COLUMN_SENDER)) &&
		mx_same(row_text(edit, COLUMN_ROOM_ID), row_text(original, COLUMN_ROOM_ID)) &&
		mx_same(row_text(edit, COLUMN_TYPE), row_text(original, COLUMN_TYPE)) &&
		edit->nulls[COLUMN_STATE_KEY] && original->nulls[COLUMN_STATE_KEY];
}

bool		waited = false;

/* Wait for the open transactions that have put some of these rows there, where that is our duty. */
static void
wait_for_writers(Relation events, Store *store, List *found)
{
	ListCell   *cell;

	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);
		TransactionId writer;
		LOCKTAG		duty;

		if (!TransactionIdIsValid(one->writer) || is_there_too(found, one))
			continue;
		writer = SubTransGetTopmostTransaction(one->writer);
		if (!is_marked(store, writer))
		{
			/* It will look, and see us; unless it has ended since we have met its row. */
			waited |= !TransactionIdIsInProgress(writer);
			continue;
		}
		duty_lock(store, writer, &duty);
		if (LockAcquire(&duty, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
			continue;
		note_duty(events);
		XactLockTableWait(one->writer, events, NULL, XLTW_None);
		waited = true;
		(void) LockRelease(&duty, ExclusiveLock, false);
	}
}

/* The events that a redaction names: its target, and what edits that. */
List *
find_targets(Relation events, Store *store, Redaction *redaction, bool wait, List *targets)
{
	mx_string	redacts = row_text(&redaction->row, COLUMN_REDACTS);
	mx_string	edits[] = {redacts, mx_string_from("m.replace")};
	List	   *found;
	ListCell   *cell;
	const Row  *original = NULL;

	found = find_rows(events, store->event_id_index, &redacts, 1, true);
	if (wait)
		wait_for_writers(events, store, found);
	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);

		if (!TransactionIdIsValid(one->writer))
			original = &one->row;
	}
	if (original == NULL)
		return targets;
	targets = add_target(targets, original, redaction);
	found = find_rows(events, store->relation_index, edits, lengthof(edits), true);
	if (wait)
		wait_for_writers(events, store, found);
	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);

		if (!TransactionIdIsValid(one->writer) && is_edit_of(&one->row, original))
			targets = add_target(targets, &one->row, redaction);
	}
	return targets;
}

/* ---- the redactions of an event ---- */

/* The id of the event that this one edits by its content; text NULL: none. */
mx_string
edited_id(const mx_value *content)
{
	const mx_value *relation = mx_member(content, "m.relates_to");

	if (!mx_equals_text(mx_member(relation, "rel_type"), "m.replace"))
		return (mx_string) {NULL, 0};
	return mx_string_of(mx_member(relation, "event_id"));
}

/* A redaction counts in its own room only; others with its target's id may be many. */
static bool
is_redaction_of(const FoundRow *redaction, const Row *row)
{
	return mx_same(row_text(&redaction->row, COLUMN_ROOM_ID), row_text(row, COLUMN_ROOM_ID));
}

/* The redactions that name an id: that of a row of ours, or of what it edits. */
static List *
find_redactions(Relation events, Store *store, const Row *row, mx_string id)
{
	List	   *found = find_rows(events, store->redacts_index, &id, 1, true);
	List	   *redactions = NIL;
	ListCell   *cell;

	wait_for_writers(events, store, found);
	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);

		if (!TransactionIdIsValid(one->writer) && is_redaction_of(one, row))
			redactions = lappend(redactions, make_redaction(events, store, &one->row));
	}
	return redactions;
}

/* The event that a row edits as the specification wants it, if it is there. */
static const Row *
find_original(Relation events, Store *store, const Row *edit, mx_string edited)
{
	List	   *found;

	if (edited.text == NULL || edited.length > MX_MAX_ID)
		return NULL;
	found = find_rows(events, store->event_id_index, &edited, 1, false);
	return found != NIL && is_edit_of(edit, &((FoundRow *) linitial(found))->row) ? &((FoundRow *) linitial(found))->row : NULL;
}

/* What those redactions take away that name a row of ours, or what it edits. */
static List *
find_targets_of(Relation events, Store *store, const Row *row, mx_string edited, List *targets)
{
	ListCell   *cell;

	foreach(cell, find_redactions(events, store, row, row_text(row, COLUMN_EVENT_ID)))
		targets = find_targets(events, store, lfirst(cell), true, targets);
	if (find_original(events, store, row, edited) != NULL)
		foreach(cell, find_redactions(events, store, row, edited))
			targets = add_target(targets, row, lfirst(cell));
	return targets;
}

void
look_at_row(Fold *fold, Relation events, const Row *row)
{
	mx_string	edited;
	mx_string	rel_type;

	if (!jsonb_relation(DatumGetJsonbP(row->values[COLUMN_CONTENT]), &edited, &rel_type) || !mx_same(rel_type, mx_string_from("m.replace")))
		edited = (mx_string) {NULL, 0};
	if (!row->nulls[COLUMN_REDACTS])
		fold->targets = find_targets(events, fold->store, make_redaction(events, fold->store, row), true, fold->targets);
	fold->targets = find_targets_of(events, fold->store, row, edited, fold->targets);
	if (repeats_others(row))
		fold->repeating = lappend(fold->repeating, unconstify(Row *, row));
}

/* ---- what a statement inserts ---- */

static bool
sets_power_levels(const FoldEvent *event)
{
	return event->room_id.text != NULL && event->state_key.text != NULL && event->state_key.length == 0 &&
		(is_type(event, "m.room.power_levels") || is_type(event, "m.room.create"));
}

/* Nothing changes what is redacted in these rooms but we; see BUCKETS. */
static void
lock_rooms(Fold *fold)
{
	LOCKMODE	modes[BUCKETS] = {NoLock};
	ListCell   *cell;

	foreach(cell, fold->repeating)
		modes[bucket_of(row_text(lfirst(cell), COLUMN_ROOM_ID))] = LOCK_OF_REPETITION;
	foreach(cell, fold->targets)
		modes[bucket_of(row_text(((Target *) lfirst(cell))->row, COLUMN_ROOM_ID))] = LOCK_OF_CHANGE;
	for (int i = 0; i < fold->count; i++)
		if (sets_power_levels(fold->events[i]))
			modes[bucket_of(fold->events[i]->room_id)] = LOCK_OF_CHANGE;
	for (int bucket = 0; bucket < BUCKETS; bucket++)
		if (modes[bucket] != NoLock)
			lock_bucket(fold->store, bucket, modes[bucket]);
}

/* Redactions that were judged before these power levels, which come before them in the stream. */
static void
find_judged(Fold *fold, Relation events)
{
	static const Oid types[] = {TEXTOID, INT8OID};
	Columns    *rooms = make_columns(1, types);
	Columns    *own = make_columns(1, types + 1);
	int64		first = PG_INT64_MAX;
	List	   *rows = NIL;
	ListCell   *cell;

	for (int i = 0; i < fold->count; i++)
	{
		const FoldEvent *event = fold->events[i];

		if (sets_power_levels(event))
		{
			add_row(rooms);
			put_string(rooms, 0, event->room_id);
			first = Min(first, event->stream_id);
		}
		else if (!event->row->nulls[COLUMN_REDACTS])
		{
			add_row(own);
			put_int(own, 0, event->stream_id, 0);
		}
	}
	if (rooms->rows > 0)
	{
		Datum		values[] = {as_arrays(rooms)[0], Int64GetDatum(first), as_arrays(own)[0]};
		uint64		found = run_latest(fold->store, PLAN_REDACTIONS_AFTER, values, NULL);

		for (uint64 i = 0; i < found; i++)
			rows = lappend(rows, row_from_spi(i));
	}
	foreach(cell, rows)
		fold->targets = find_targets(events, fold->store, make_redaction(events, fold->store, lfirst(cell)), false, fold->targets);
}

/*
 * Find the targets of redactions.  Open transactions are waited for here, before
 * anything is locked.  Called within the store.
 */
void
find_redacted(Fold *fold, Relation events)
{
	ListCell   *cell;

	if (fold->mode != FOLD_DELETED)
		look_at_inserted(fold, events);
	lock_rooms(fold);
	find_judged(fold, events);
	/* What derives from the targets is folded again, under the locks of the others. */
	foreach(cell, fold->targets)
		fold_again(fold, ((Target *) lfirst(cell))->row);
}

/* Called within the store, when the fold has its locks. */
void
redact_found(Fold *fold, Relation events)
{
	redact_all(events, fold->store, fold->targets, fold);
	redact_repeated(fold->store, fold->repeating);
}

/* ---- an event that comes after its redaction ---- */

/* The redaction whose sender may redact the row by what is known without locks, or NULL; *undecided: there are others. */
static Redaction *
decide_on_arrival(Relation events, Store *store, const Row *row, mx_string id, Redaction *before, bool *undecided)
{
	ListCell   *cell;

	foreach(cell, find_rows(events, store->redacts_index, &id, 1, true))
	{
		const FoundRow *one = lfirst(cell);
		Redaction  *redaction;

		if (!is_redaction_of(one, row))
			continue;
		*undecided = true;
		if (TransactionIdIsValid(one->writer))
			continue;
		redaction = make_redaction(events, store, &one->row);
		if (may_redact_own(store, redaction, row) &&
			(before == NULL || row_position(&redaction->row) < row_position(&before->row)))
			before = redaction;
	}
	return before;
}

/*
 * Redact a row that is about to be inserted, if a redaction is there that needs
 * no power level.  True: there are redactions, which are to be looked at again
 * when the row is there.
 */
bool
redact_on_arrival(Relation events, Store *store, Row *row, mx_string edited)
{
	bool		undecided = false;
	Redaction  *redaction = decide_on_arrival(events, store, row, row_text(row, COLUMN_EVENT_ID), NULL, &undecided);

	if (find_original(events, store, row, edited) != NULL)
		redaction = decide_on_arrival(events, store, row, edited, redaction, &undecided);
	if (redaction != NULL)
		prune_row(row, redaction);
	return undecided;
}
