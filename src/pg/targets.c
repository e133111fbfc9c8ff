/*
 * targets.c - which redaction takes away which event, whichever comes first
 *
 * No redaction misses an event that another transaction is just inserting.
 * Each side inserts first, says that it looks (mark), and looks for the other,
 * seeing what open transactions have inserted; so who looks last sees the other,
 * waits for its end and does the work.  A message looks for redactions before it
 * is inserted, and again before its statement locks anything or the commit, if
 * the sequence events_redactions says that there is a new one.
 */
#include "redaction.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "access/subtrans.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ---- what this transaction has inserted ---- */

#define SOME_MESSAGES	512
#define MAX_MESSAGES	65536

/* A row that no fold looks at. */
typedef struct Message
{
	int64		stream_id;
	bool		repeats;		/* contents of other events: see repeats_others */
} Message;

/*
 * Rows of one store.  Messages are looked at together, before their statement
 * locks anything or before the commit.
 */
typedef struct Own
{
	Oid			events;
	int64		first;			/* positions from there on are ours, among others' */
	int64		first_history;	/* and from there downwards */
	bool		has_duty;		/* whatever comes between, all is looked at again: we have waited for others, or what a look did was rolled back */
	bool		open;			/* there are redactions that messages have to be held against */
	int			count;
	int			size;
	Message    *messages;		/* that were not looked at yet */
	int			level;			/* of the messages the outermost level of savepoints */
	int			looked;			/* the level of savepoints of a look at rows of outer ones; 0: there was none */
	struct Own *next;
} Own;

static Own *all_own = NULL;		/* in TopTransactionContext */

static void look_again(Own *own, Relation events, Store *store);

static void
at_commit(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
	{
		all_own = NULL;
		return;
	}
	for (Own *own = all_own; own != NULL; own = own->next)
	{
		Relation	events;

		if (own->count == 0 && !own->has_duty)
			continue;
		/* The store may have been dropped meanwhile. */
		events = try_relation_open(own->events, RowExclusiveLock);
		if (events == NULL)
			continue;
		PushActiveSnapshot(GetTransactionSnapshot());
		look_again(own, events, get_store(events));
		PopActiveSnapshot();
		relation_close(events, NoLock);
	}
}

/* With a savepoint goes what was done, and said (mark), when rows from before it were looked at. */
static void
at_savepoint(SubXactEvent event, SubTransactionId within, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Own *own = all_own; own != NULL; own = own->next)
	{
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			own->level = Min(own->level, level - 1);
		if (own->looked < level)
			continue;
		own->has_duty |= event == SUBXACT_EVENT_ABORT_SUB;
		own->looked = event == SUBXACT_EVENT_COMMIT_SUB && level > 2 ? level - 1 : 0;
	}
}

static Own *
own_of(Oid events)
{
	static bool registered = false;
	Own		   *own = all_own;

	while (own != NULL && own->events != events)
		own = own->next;
	if (own != NULL)
		return own;
	if (!registered)
	{
		RegisterXactCallback(at_commit, NULL);
		RegisterSubXactCallback(at_savepoint, NULL);
		registered = true;
	}
	own = MemoryContextAllocZero(TopTransactionContext, sizeof(*own));
	own->events = events;
	own->first = PG_INT64_MAX;
	own->first_history = PG_INT64_MIN;
	own->size = SOME_MESSAGES;
	own->messages = MemoryContextAlloc(TopTransactionContext, sizeof(Message) * own->size);
	own->next = all_own;
	all_own = own;
	return own;
}

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

static void
mark(Own *own, Store *store)
{
	LOCKTAG		tag;
	int			level = GetCurrentTransactionNestLevel();

	mark_lock(store, GetTopTransactionId(), &tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (level > 1 && (own->has_duty || (own->count > 0 && own->level < level)))
		own->looked = Max(own->looked, level);
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
 * on at once.
 */
static bool
take_duty(Store *store, TransactionId other)
{
	LOCKTAG		tag;
	TransactionId own = GetTopTransactionId();

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store->events, hash_combine(Min(own, other), Max(own, other)), 6);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
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

/* Since the look began, an open transaction has ended: all must be looked at again. */
static bool waited = false;

/* Wait for the open transactions that have put some of these rows there, where that is our duty. */
static void
wait_for_writers(Relation events, Store *store, List *found)
{
	Own		   *own = own_of(RelationGetRelid(events));
	ListCell   *cell;

	foreach(cell, found)
	{
		const FoundRow *one = lfirst(cell);
		TransactionId writer;

		if (!TransactionIdIsValid(one->writer) || is_there_too(found, one))
			continue;
		writer = SubTransGetTopmostTransaction(one->writer);
		if (!is_marked(store, writer))
		{
			/* It will look, and see us; unless it has ended since we have met its row. */
			waited |= !TransactionIdIsInProgress(writer);
			continue;
		}
		if (!take_duty(store, writer))
			continue;
		own->has_duty = true;
		/* What comes of it, for rows from before a savepoint too, goes with the savepoint. */
		if (GetCurrentTransactionNestLevel() > 1)
			own->looked = Max(own->looked, GetCurrentTransactionNestLevel());
		XactLockTableWait(one->writer, events, NULL, XLTW_None);
		waited = true;
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

/* The redactions that name the id of a row of ours, or of what it edits. */
static List *
find_redactions(Relation events, Store *store, mx_string id)
{
	List	   *found = find_rows(events, store->redacts_index, &id, 1, true);
	List	   *redactions = NIL;
	ListCell   *cell;

	wait_for_writers(events, store, found);
	foreach(cell, found)
		if (!TransactionIdIsValid(((FoundRow *) lfirst(cell))->writer))
			redactions = lappend(redactions, make_redaction(events, store, &((FoundRow *) lfirst(cell))->row));
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

	foreach(cell, find_redactions(events, store, row_text(row, COLUMN_EVENT_ID)))
		targets = find_targets(events, store, lfirst(cell), true, targets);
	if (find_original(events, store, row, edited) != NULL)
		foreach(cell, find_redactions(events, store, edited))
			targets = add_target(targets, row, lfirst(cell));
	return targets;
}

/* ---- looking ---- */

/* How many redactions the store's sequence has counted. */
static int64
count_redactions(Store *store)
{
	Relation	sequence = relation_open(store->redaction_sequence, AccessShareLock);
	Buffer		buffer = ReadBuffer(sequence, 0);
	Page		page;
	HeapTupleData tuple;
	ItemId		item;
	Form_pg_sequence_data data;
	int64		counted;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	item = PageGetItemId(page, FirstOffsetNumber);
	tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
	data = (Form_pg_sequence_data) GETSTRUCT(&tuple);
	counted = data->is_called ? data->last_value : 0;
	UnlockReleaseBuffer(buffer);
	relation_close(sequence, NoLock);
	return counted;
}

/* Has a redaction come that our messages may not have seen? */
static bool
is_counted(Own *own, Store *store)
{
	int64		counted = count_redactions(store);
	bool		more = counted != store->redactions_seen;

	store->redactions_seen = counted;
	own->open |= more;
	return own->open;
}

/* A trigger is at work in the middle of an insertion: what it inserts is there before what is being inserted. */
static bool
is_nested(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > 1;
}

/* They were looked at, as far as they are there. */
static void
forget_messages(Own *own, Store *store)
{
	int			kept = 0;

	for (int i = 0; i < own->count && is_nested(); i++)
	{
		Datum		position = Int64GetDatum(own->messages[i].stream_id);

		if (run_latest(store, PLAN_OWN_EVENT, &position, NULL) == 0)
			own->messages[kept++] = own->messages[i];
		SPI_freetuptable(SPI_tuptable);
	}
	own->count = kept;
	own->open = kept > 0;
}

/* No redaction has come: but for those that repeat others, they need no look. */
static void
forget_unrepeating(Own *own)
{
	int			kept = 0;

	if (is_nested())
		return;
	for (int i = 0; i < own->count; i++)
		if (own->messages[i].repeats)
			own->messages[kept++] = own->messages[i];
	own->count = kept;
}

/* What a row of ours redacts, what redacts it, and whether it repeats others. */
static void
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

/* Called within the store. */
static void
look_at_messages(Own *own, Fold *fold, Relation events)
{
	for (int i = 0; i < own->count; i++)
	{
		Datum		position = Int64GetDatum(own->messages[i].stream_id);
		/* It may be gone: kept out by a conflict, or rolled back. */
		Row		   *row = run_latest(fold->store, PLAN_OWN_EVENT, &position, NULL) > 0 ? row_from_spi(0) : NULL;

		SPI_freetuptable(SPI_tuptable);
		if (row != NULL)
			look_at_row(fold, events, row);
	}
}

/* All that this transaction has inserted between two positions. */
static void
look_at_own(Fold *fold, Relation events, int64 from, int64 to)
{
	Relation	index = index_open(fold->store->position_index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(events, NULL);
	IndexScanDesc scan = begin_index_scan(events, index, SnapshotSelf, 2);
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	ScanKeyInit(&keys[1], 1, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to));
	index_rescan(scan, keys, 2, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		TransactionId writer = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
		MemoryContext context;
		MemoryContext caller;
		Row		   *row;
		Fold		found = {.store = fold->store};

		CHECK_FOR_INTERRUPTS();
		if (!TransactionIdIsCurrentTransactionId(writer))
			continue;
		/* Most rows have no part in a redaction, and leave nothing behind. */
		context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events look", ALLOCSET_SMALL_SIZES);
		caller = MemoryContextSwitchTo(context);
		row = palloc(sizeof(*row));
		row_from_tuple(row, ExecCopySlotHeapTuple(slot), RelationGetDescr(events));
		if (!row->nulls[COLUMN_ROOM_ID])
			look_at_row(&found, events, row);
		MemoryContextSwitchTo(caller);
		fold->targets = list_concat(fold->targets, found.targets);
		fold->repeating = list_concat(fold->repeating, found.repeating);
		if (found.targets == NIL && found.repeating == NIL)
			MemoryContextDelete(context);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
}

/* Called before the first of a transaction's rows looks for redactions: those that are counted by now, it can see. */
void
begin_rows(Relation events, Store *store)
{
	for (Own *own = all_own; own != NULL; own = own->next)
		if (own->events == RelationGetRelid(events))
			return;
	store->redactions_seen = count_redactions(store);
	(void) own_of(RelationGetRelid(events));
}

/* A row that is about to be inserted: a message, or one that a fold will look at. */
void
note_row(Relation events, int64 stream_id)
{
	Own		   *own = own_of(RelationGetRelid(events));

	if (stream_id > 0)
		own->first = Min(own->first, stream_id);
	else
		own->first_history = Max(own->first_history, stream_id);
}

/*
 * There are many messages.  Nothing is locked in the middle of a statement, so
 * they are not looked at, but forgotten where no redaction has come.
 */
static void
make_space(Own *own, Store *store)
{
	mark(own, store);
	if (!is_counted(own, store))
		forget_unrepeating(own);
	if (own->count <= own->size / 2)
		return;
	if (own->size < MAX_MESSAGES)
	{
		own->messages = repalloc(own->messages, sizeof(Message) * own->size * 2);
		own->size *= 2;
		return;
	}
	own->count = 0;
	own->has_duty = true;
}

/* A row that no fold will look at.  open: there are redactions that it is to be held against. */
void
note_message(Relation events, Store *store, const Row *row, bool open)
{
	Own		   *own = own_of(RelationGetRelid(events));
	int			level = GetCurrentTransactionNestLevel();

	if (own->count == own->size)
		make_space(own, store);
	own->level = own->count == 0 ? level : Min(own->level, level);
	own->messages[own->count++] = (Message) {row_position(row), repeats_others(row)};
	own->open |= open;
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

/* What the rows of a fold redact, and what redacts them and the messages of their statement. */
static void
look_at_fold(Own *own, Fold *fold, Relation events)
{
	for (int i = 0; i < fold->count; i++)
		if (fold->events[i]->room_id.text != NULL)
			look_at_row(fold, events, fold->events[i]->row);
	look_at_messages(own, fold, events);
}

static void
look_at_inserted(Fold *fold, Relation events)
{
	Own		   *own = own_of(RelationGetRelid(events));

	mark(own, fold->store);
	if (!is_counted(own, fold->store))
		forget_unrepeating(own);
	/* From now on, who inserts a message finds our redactions.  Our own messages are found by them. */
	for (int i = 0; i < fold->count; i++)
		if (!fold->events[i]->row->nulls[COLUMN_REDACTS])
		{
			int64		counted = nextval_internal(fold->store->redaction_sequence, false);

			if (counted == fold->store->redactions_seen + 1)
				fold->store->redactions_seen = counted;
			break;
		}
	waited = false;
	if (!own->has_duty)
		look_at_fold(own, fold, events);
	while (waited || own->has_duty)
	{
		waited = false;
		fold->targets = fold->repeating = NIL;
		look_at_own(fold, events, own->first, PG_INT64_MAX);
		look_at_own(fold, events, PG_INT64_MIN, own->first_history);
		own->has_duty = waited;
	}
	forget_messages(own, fold->store);
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
		Redaction  *redaction = NULL;

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

/* Look at messages that no fold has looked at, and fold what a redaction takes away. */
static void
look_again(Own *own, Relation events, Store *store)
{
	if (own->count > 0 && !own->has_duty)
	{
		mark(own, store);
		if (!is_counted(own, store))
			forget_unrepeating(own);
		if (own->count == 0)
			return;
	}
	fold_look(events);
}
