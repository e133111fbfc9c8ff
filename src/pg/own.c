/*
 * own.c - what this transaction has inserted, and when it is held against
 * redactions
 *
 * Of a redaction and its target in two transactions, the second must see the
 * first.  So both lock the target's id, the redaction alone, and look for each
 * other when they have it, and hold it to their ends.  All such locks are taken at
 * once and in one order: by a statement that is its own transaction, before it
 * locks anything else; else before the commit, and what can be seen at the end of a
 * statement is redacted there.
 *
 * Rows that a fold gets are looked at in it.  Others, messages, are looked at
 * before the commit, if a redaction named them when they came, or the sequence
 * events_redactions says that there is a new one.
 */
#include "redaction.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* ---- locks ---- */

/*
 * Ids are locked one by one by who has a few rows, else by their rooms, of which
 * 256 share a lock: no statement can use up the server's lock table.  Modes of
 * these as in any hierarchy: rows and redactions one by one below it, all rows,
 * all redactions.
 */
#define BUCKETS			256
#define MAX_IDS			64
#define SOME_ROWS		RowShareLock
#define SOME_REDACTIONS	RowExclusiveLock
#define ALL_ROWS		ShareLock
#define ALL_REDACTIONS	ExclusiveLock

/*
 * One redaction at a time is at work in a room, or their rows would cross, and
 * nothing that decides on power comes between.  It waits for events that repeat
 * contents of others, which do not wait for each other.
 */
#define CHANGE			ExclusiveLock
#define REPETITION		RowExclusiveLock

/* The last field of a lock: apart from users' advisory locks, and those of calls and batches. */
typedef enum LockClass
{
	LOCK_ROOM = 5,
	LOCK_IDS_OF_ROOM,
	LOCK_ID,
	LOCK_REFUSED = 9			/* ids of what was refused, and of what is redacted */
} LockClass;

static bool
take_lock(Store *store, LockClass of, uint32 key, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store->events, key, of);
	return LockAcquire(&tag, mode, false, false) == LOCKACQUIRE_OK;
}

static void
take_locks(Store *store, LockClass of, const LOCKMODE *modes)
{
	for (int bucket = 0; bucket < BUCKETS; bucket++)
		if (modes[bucket] != NoLock)
			(void) take_lock(store, of, bucket, modes[bucket]);
}

static void
release_locks(Store *store, LockClass of, const LOCKMODE *modes)
{
	LOCKTAG		tag;

	for (int bucket = 0; bucket < BUCKETS; bucket++)
		if (modes[bucket] != NoLock)
		{
			SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, store->events, bucket, of);
			(void) LockRelease(&tag, modes[bucket], false);
		}
}

/* The mode that is as good as both. */
static void
want(LOCKMODE *mode, LOCKMODE more)
{
	if ((*mode == ALL_ROWS && more == SOME_REDACTIONS) || (*mode == SOME_REDACTIONS && more == ALL_ROWS))
		*mode = ALL_REDACTIONS;
	else
		*mode = Max(*mode, more);
}

static mx_string
string_of(const text *value)
{
	return (mx_string) {VARDATA(value), VARSIZE(value) - VARHDRSZ};
}

static uint32
hash_of(mx_string string)
{
	return hash_bytes((const unsigned char *) string.text, string.length);
}

static int
bucket_of(mx_string string)
{
	return hash_of(string) % BUCKETS;
}

/* A redaction counts in its own room. */
static uint32
hash_in_room(uint32 room, mx_string id)
{
	return hash_combine(room, hash_of(id));
}

/* ---- what this transaction has inserted ---- */

#define SOME_ROWS_NOTED	64
#define MAX_ROWS_NOTED	65536

/* A row of a room that was not looked at yet. */
typedef struct OwnRow
{
	int64		stream_id;
	int			level;			/* of savepoints */
	text	   *event_id;
	text	   *edited;			/* the id of what it edits; NULL: nothing */
	uint32		room;			/* a hash */
	uint32		redacts;		/* of what it redacts, if it redacts, likewise */
	bool		redacting;
	bool		judges;			/* says who may redact */
	bool		folded;			/* a fold looks at it */
	bool		changed;		/* by UPDATE */
	bool		open;			/* redactions name it */
	bool		found;			/* a redaction takes something away by it */
	bool		locked;			/* its ids are */
	bool		repeats;		/* contents of other events: see repeats_others */
} OwnRow;

/* Of one store. */
typedef struct Own
{
	Oid			events;
	int64		seen;			/* redactions that were counted before the first of these rows came, and those of ours that have looked at them */
	OwnRow	   *rows;
	int			count;
	int			size;
	bool		all;			/* there were too many: all that the transaction has inserted is looked at, if anything is, */
	bool		all_open;		/* and it is */
	int			lock_level;		/* of savepoints: ids were locked in it, and what came of that; 0: none were */
	bool		leaves;			/* to the commit what is not found at once */
	LOCKMODE	ids_of_rooms[BUCKETS];	/* what those need that are not among the rows */
	LOCKMODE	changed_rooms[BUCKETS];
	int64		first;			/* positions from there on are ours, among others' */
	int64		first_history;	/* and from there downwards */
	int			ids;			/* that were locked one by one */
	List	   *refused;		/* ids, as text, of what was refused */
	struct Own *next;
} Own;

static Own *all_own = NULL;		/* in TopTransactionContext */

static bool needs_look(Own *own, Relation events, Store *store);
static void forget_rows(Own *own, int level);

static void
at_commit(XactEvent event, void *arg)
{
	bool		again = true;

	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE)
	{
		all_own = NULL;
		return;
	}
	/* What a look changes may have triggers that insert more. */
	while (again)
	{
		again = false;
		for (Own *own = all_own; own != NULL; own = own->next)
		{
			Relation	events;

			if (own->count == 0 && own->refused == NIL && !own->all)
				continue;
			/* The store may have been dropped meanwhile. */
			events = try_relation_open(own->events, RowExclusiveLock);
			if (events == NULL)
				continue;
			PushActiveSnapshot(GetTransactionSnapshot());
			if (needs_look(own, events, get_store(events)))
			{
				fold_look(events);
				again = true;
			}
			else
			{
				forget_rows(own, 1);
				own->all = false;
			}
			PopActiveSnapshot();
			relation_close(events, NoLock);
		}
	}
}

static void
drop_row(OwnRow *row)
{
	pfree(row->event_id);
	if (row->edited != NULL)
		pfree(row->edited);
}

/* Rows of a savepoint are those of the one around it, or gone. */
static void
at_savepoint(SubXactEvent event, SubTransactionId within, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Own *own = all_own; own != NULL; own = own->next)
	{
		int			kept = 0;

		if (own->lock_level >= level)
			own->lock_level = event == SUBXACT_EVENT_COMMIT_SUB ? level - 1 : 0;
		for (int i = 0; i < own->count; i++)
		{
			own->rows[kept] = own->rows[i];
			if (event == SUBXACT_EVENT_COMMIT_SUB)
				own->rows[kept].level = Min(own->rows[kept].level, level - 1);
			if (own->rows[kept].level < level)
				kept++;
			else
				drop_row(&own->rows[kept]);
		}
		own->count = kept;
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
	own->size = SOME_ROWS_NOTED;
	own->rows = MemoryContextAlloc(TopTransactionContext, sizeof(OwnRow) * own->size);
	own->next = all_own;
	all_own = own;
	return own;
}

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

void
begin_row(Relation events, Store *store)
{
	Own		   *own = own_of(RelationGetRelid(events));

	if (own->count == 0 && !own->all)
		own->seen = count_redactions(store);
}

/* ---- what has to be locked ---- */

typedef struct Wanted
{
	LOCKMODE	ids_of_rooms[BUCKETS];
	LOCKMODE	rooms[BUCKETS];
	int			count;
	struct
	{
		uint32		hash;
		LOCKMODE	mode;
	}			ids[MAX_IDS];
} Wanted;

static void
want_room(LOCKMODE *rooms, const OwnRow *row)
{
	if (row->judges)
		want(&rooms[row->room % BUCKETS], CHANGE);
	else if (row->repeats)
		want(&rooms[row->room % BUCKETS], REPETITION);
}

static int
by_hash(const void *a, const void *b)
{
	uint32		left = *(const uint32 *) a;
	uint32		right = *(const uint32 *) b;

	return left < right ? -1 : left > right;
}

static void
want_id(Wanted *wanted, uint32 hash, LOCKMODE mode)
{
	wanted->ids[wanted->count].hash = hash;
	wanted->ids[wanted->count++].mode = mode;
}

/* The ids of one of many rows, which may be folded in parts: then nothing is locked between the parts. */
static void
want_ids_of_room(LOCKMODE *ids_of_rooms, LOCKMODE *rooms, const OwnRow *row)
{
	want(&ids_of_rooms[row->room % BUCKETS], row->redacting ? ALL_REDACTIONS : ALL_ROWS);
	if (row->redacting || row->open)
		want(&rooms[row->room % BUCKETS], CHANGE);
}

/* The ids of one of a few rows. */
static void
want_ids(Wanted *wanted, const OwnRow *row)
{
	want(&wanted->ids_of_rooms[row->room % BUCKETS], row->redacting ? SOME_REDACTIONS : SOME_ROWS);
	want_id(wanted, hash_in_room(row->room, string_of(row->event_id)), ShareLock);
	if (row->edited != NULL)
		want_id(wanted, hash_in_room(row->room, string_of(row->edited)), ShareLock);
	if (row->redacting)
		want_id(wanted, row->redacts, ExclusiveLock);
}

/* ---- noting ---- */

/* Who holds locks already does not wait for others in the middle of a transaction. */
static bool
waits_for_commit(const Own *own)
{
	/* The savepoint of a batch is no block of its caller. */
	return own->lock_level > 0 || (IsTransactionBlock() && !in_batch);
}

/* There are many: they are found in the table. */
static void
make_space(Own *own)
{
	int			kept = 0;

	if (own->size >= MAX_ROWS_NOTED)
	{
		for (int i = 0; i < own->count; i++)
		{
			OwnRow	   *row = &own->rows[i];

			if (row->changed)
			{
				own->rows[kept++] = *row;
				continue;
			}
			want_ids_of_room(own->ids_of_rooms, own->changed_rooms, row);
			want_room(own->changed_rooms, row);
			own->all_open |= (!row->folded || waits_for_commit(own)) && (row->open || row->repeats || row->redacting);
			drop_row(row);
		}
		own->all = true;
		own->count = kept;
	}
	if (own->count > own->size / 2)
	{
		own->rows = repalloc_huge(own->rows, sizeof(OwnRow) * own->size * 2);
		own->size *= 2;
	}
}

static text *
text_of_transaction(mx_string string)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	text	   *copy = cstring_to_text_with_len(string.text, string.length);

	MemoryContextSwitchTo(caller);
	return copy;
}

static OwnRow *
add_own_row(Relation events, const Row *row)
{
	Own		   *own = own_of(RelationGetRelid(events));
	text	   *event_id = text_of_transaction(row_text(row, COLUMN_EVENT_ID));
	OwnRow	   *one;

	if (own->count == own->size)
		make_space(own);
	one = &own->rows[own->count++];
	memset(one, 0, sizeof(*one));
	one->stream_id = row_position(row);
	one->level = GetCurrentTransactionNestLevel();
	one->event_id = event_id;
	one->room = hash_of(row_text(row, COLUMN_ROOM_ID));
	one->repeats = repeats_others(row);
	return one;
}

void
note_row(Relation events, const Row *row, mx_string edited, bool open)
{
	Own		   *own = own_of(RelationGetRelid(events));
	OwnRow	   *one = add_own_row(events, row);

	if (edited.text != NULL)
		one->edited = text_of_transaction(edited);
	one->redacting = !row->nulls[COLUMN_REDACTS];
	if (one->redacting)
		one->redacts = hash_in_room(one->room, row_text(row, COLUMN_REDACTS));
	one->judges = sets_power_levels(row);
	one->folded = !row->nulls[COLUMN_DERIVES];
	one->open = open;
	if (one->stream_id > 0)
		own->first = Min(own->first, one->stream_id);
	else
		own->first_history = Max(own->first_history, one->stream_id);
}

void
note_change(Relation events, const Row *row)
{
	add_own_row(events, row)->changed = true;
}

void
note_refused(Store *store, mx_string event_id)
{
	Own		   *own = own_of(store->events);
	text	   *id = text_of_transaction(event_id);
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

	own->refused = lappend(own->refused, id);
	MemoryContextSwitchTo(caller);
}

/* ---- before looking ---- */

/* What rows from this level of savepoints on need, whatever is found of them. */
static void
want_rooms(const Own *own, int level, Wanted *wanted)
{
	memcpy(wanted->rooms, own->changed_rooms, sizeof(own->changed_rooms));
	for (int i = 0; i < own->count; i++)
		if (own->rows[i].level >= level)
			want_room(wanted->rooms, &own->rows[i]);
}

static bool
is_to_lock(const OwnRow *row, int level, bool found_only)
{
	return row->level >= level && !row->locked && (row->found || !found_only);
}

/* Lock their ids, or only of those with which something was found. */
static void
lock_ids(Own *own, Store *store, int level, bool found_only, Wanted *wanted)
{
	int			count = 0;

	if (!found_only)
		memcpy(wanted->ids_of_rooms, own->ids_of_rooms, sizeof(own->ids_of_rooms));
	for (int i = 0; i < own->count; i++)
		if (is_to_lock(&own->rows[i], level, found_only))
			count += 1 + (own->rows[i].edited != NULL) + own->rows[i].redacting;
	for (int i = 0; i < own->count; i++)
	{
		OwnRow	   *row = &own->rows[i];

		if (!is_to_lock(row, level, found_only))
			continue;
		if (count + own->ids > MAX_IDS)
			want_ids_of_room(wanted->ids_of_rooms, wanted->rooms, row);
		else
			want_ids(wanted, row);
		row->locked = true;
	}
	own->lock_level = own->lock_level > 0 ? own->lock_level : GetCurrentTransactionNestLevel();
	take_locks(store, LOCK_IDS_OF_ROOM, wanted->ids_of_rooms);
	qsort(wanted->ids, wanted->count, sizeof(wanted->ids[0]), by_hash);
	for (int i = 0; i < wanted->count; i++)
	{
		LOCKMODE	mode = wanted->ids[i].mode;

		/* The same twice: the stronger one at once. */
		for (int j = i + 1; j < wanted->count && wanted->ids[j].hash == wanted->ids[i].hash; j++)
			mode = Max(mode, wanted->ids[j].mode);
		own->ids += take_lock(store, LOCK_ID, wanted->ids[i].hash, mode);
	}
}

/* A redaction has come: which of our rows does it name? */
static void
open_named(Own *own, Relation events, Store *store, int level)
{
	own->all_open |= own->all;
	for (int i = 0; i < own->count; i++)
	{
		OwnRow	   *row = &own->rows[i];

		if (row->level >= level && !row->folded && !row->open)
			row->open = is_in_index(events, store->redacts_index, string_of(row->event_id)) ||
				(row->edited != NULL && is_in_index(events, store->redacts_index, string_of(row->edited)));
	}
}

static bool
has_open(const Own *own)
{
	if (own->all_open || own->refused != NIL)
		return true;
	for (int i = 0; i < own->count; i++)
		if (!own->rows[i].folded && (own->rows[i].open || own->rows[i].repeats))
			return true;
	return false;
}

/* Before the commit: lock, and say whether there is anything to look at. */
static bool
needs_look(Own *own, Relation events, Store *store)
{
	Wanted		wanted;

	if (has_open(own))
		return true;
	memset(&wanted, 0, sizeof(wanted));
	lock_ids(own, store, 1, false, &wanted);
	if (count_redactions(store) != own->seen)
		open_named(own, events, store, 1);
	return has_open(own);
}

/* ---- looking ---- */

static void
look_at_position(Fold *fold, Relation events, int64 position)
{
	Datum		value = Int64GetDatum(position);
	Row		   *row = run_latest(fold->store, PLAN_OWN_EVENT, &value, NULL) > 0 ? row_from_spi(0) : NULL;

	SPI_freetuptable(SPI_tuptable);
	/* It may have been kept out by a conflict. */
	if (row != NULL)
		look_at_row(fold, events, row);
}

/* What no fold looks at. */
static void
look_at_messages(Own *own, Fold *fold, Relation events, int level)
{
	for (int i = 0; i < own->count; i++)
	{
		const OwnRow *row = &own->rows[i];

		if (row->level < level || row->folded || !(row->open || row->repeats))
			continue;
		CHECK_FOR_INTERRUPTS();
		look_at_position(fold, events, row->stream_id);
	}
}

/* All that this transaction has inserted between two positions. */
static void
look_at_own(Fold *fold, Relation events, int64 from, int64 to)
{
	Relation	index = open_index(fold->store->position_index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(events, NULL);
	Snapshot	snapshot = latest_snapshot();
	IndexScanDesc scan = begin_index_scan(events, index, snapshot, 2);
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
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
}

/* A trigger is at work in the middle of an insertion: what it inserts is there before what is being inserted. */
static bool
is_nested(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > 1;
}

/* They are looked at before the commit, as messages are. */
static void
leave_rows(Own *own)
{
	for (int i = 0; i < own->count; i++)
	{
		own->rows[i].open |= own->rows[i].redacting;
		own->rows[i].folded = false;
	}
}

/* They were looked at, unless some come yet. */
static void
forget_rows(Own *own, int level)
{
	int			kept = 0;

	if (is_nested())
		return;
	for (int i = 0; i < own->count; i++)
		if (own->rows[i].level < level)
			own->rows[kept++] = own->rows[i];
		else
			drop_row(&own->rows[i]);
	own->count = kept;
}

/* Is all locked that the redactions change?  If not, nothing is, and the rest is wanted as well: to lock it now could be a deadlock. */
static bool
are_locked(Fold *fold, Wanted *wanted)
{
	LOCKMODE	rooms[BUCKETS];
	ListCell   *cell;
	bool		all;

	memcpy(rooms, wanted->rooms, sizeof(rooms));
	foreach(cell, fold->repeating)
		want(&wanted->rooms[bucket_of(row_text(lfirst(cell), COLUMN_ROOM_ID))], REPETITION);
	foreach(cell, fold->targets)
		want(&wanted->rooms[bucket_of(row_text(((Target *) lfirst(cell))->row, COLUMN_ROOM_ID))], CHANGE);
	all = memcmp(rooms, wanted->rooms, sizeof(rooms)) == 0;
	if (!all)
		release_locks(fold->store, LOCK_ROOM, rooms);
	return all;
}

/* From now on, who inserts a message finds our redactions; those of ours that are there are found by them. */
static void
count_own(Own *own, Fold *fold)
{
	for (int i = 0; i < fold->count; i++)
		if (!fold->events[i]->row->nulls[COLUMN_REDACTS])
		{
			(void) nextval_internal(fold->store->redaction_sequence, false);
			own->seen += is_nested() ? 0 : 1;
			return;
		}
}

/* Rows of ours that redact one of the targets, or are one. */
static void
mark_found(Own *own, const List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		const Target *target = lfirst(cell);

		for (int i = 0; i < own->count; i++)
			own->rows[i].found |= own->rows[i].stream_id == row_position(target->row) ||
				own->rows[i].stream_id == row_position(&target->redaction->row);
	}
}

static void
look_at_fold(Fold *fold, Relation events)
{
	fold->targets = fold->repeating = NIL;
	for (int i = 0; i < fold->count; i++)
		if (fold->events[i]->room_id.text != NULL)
			look_at_row(fold, events, fold->events[i]->row);
}

void
look_at_inserted(Fold *fold, Relation events)
{
	Own		   *own = own_of(RelationGetRelid(events));
	bool		committing = fold->mode == FOLD_LOOK;
	int			level = committing ? 1 : GetCurrentTransactionNestLevel();
	Wanted		wanted;

	own->leaves = !committing && waits_for_commit(own);
	memset(&wanted, 0, sizeof(wanted));
	want_rooms(own, level, &wanted);
	if (own->leaves)
	{
		look_at_fold(fold, events);
		mark_found(own, fold->targets);
	}
	lock_ids(own, fold->store, level, own->leaves, &wanted);
	if (!own->leaves && count_redactions(fold->store) != own->seen)
		open_named(own, events, fold->store, level);
	count_own(own, fold);
	do
	{
		take_locks(fold->store, LOCK_ROOM, wanted.rooms);
		look_at_fold(fold, events);
		if (!own->leaves)
			look_at_messages(own, fold, events, level);
		if (own->all_open && committing)
		{
			look_at_own(fold, events, own->first, PG_INT64_MAX);
			look_at_own(fold, events, PG_INT64_MIN, own->first_history);
		}
	} while (!are_locked(fold, &wanted));
	if (own->leaves)
		leave_rows(own);
	else
		forget_rows(own, level);
	if (committing)
		own->all = own->all_open = false;
}

/* Power levels are deleted. */
void
lock_judging(Fold *fold)
{
	LOCKMODE	rooms[BUCKETS] = {NoLock};

	for (int i = 0; i < fold->count; i++)
		if (sets_power_levels(fold->events[i]->row))
			rooms[bucket_of(fold->events[i]->room_id)] = CHANGE;
	take_locks(fold->store, LOCK_ROOM, rooms);
}

/* ---- what was refused ---- */

/* Redacted and refused at the same time: the second one finds the first.  Called when the targets are known. */
void
hide_refused(Fold *fold, Relation events)
{
	static const Oid types[] = {TEXTOID};
	Own		   *own = own_of(RelationGetRelid(events));
	LOCKMODE	modes[BUCKETS] = {NoLock};
	Columns    *ids = make_columns(1, types);
	ListCell   *cell;

	foreach(cell, fold->targets)
		want(&modes[bucket_of(row_text(((Target *) lfirst(cell))->row, COLUMN_EVENT_ID))], SOME_REDACTIONS);
	if (!own->leaves)
		foreach(cell, own->refused)
			want(&modes[bucket_of(string_of(lfirst(cell)))], ALL_ROWS);
	take_locks(fold->store, LOCK_REFUSED, modes);
	if (own->refused == NIL || fold->mode != FOLD_LOOK)
		return;
	foreach(cell, own->refused)
	{
		add_row(ids);
		put_datum(ids, 0, PointerGetDatum(lfirst(cell)));
	}
	run_latest(fold->store, PLAN_HIDE_REFUSED, as_arrays(ids), NULL);
	own->refused = NIL;
}
