/*
 * own.c - what this transaction has inserted, and when it is held against
 * redactions
 *
 * A row that a fold gets is looked at there.  A message, which none gets, looks
 * for redactions before it is inserted, and again before its statement locks
 * anything or before the commit, if the sequence events_redactions says that
 * there is a new one.  All is looked at again when others were waited for, and
 * when a savepoint took a look with it.
 */
#include "redaction.h"

#include "access/nbtree.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
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

/* NULL: none yet */
static Own *
find_own(Oid events)
{
	Own		   *own = all_own;

	while (own != NULL && own->events != events)
		own = own->next;
	return own;
}

static Own *
own_of(Oid events)
{
	static bool registered = false;
	Own		   *own = find_own(events);

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

/* An open transaction is waited for, and what comes of it, for rows from before a savepoint too, goes with the savepoint. */
void
note_duty(Relation events)
{
	Own		   *own = own_of(RelationGetRelid(events));
	int			level = GetCurrentTransactionNestLevel();

	own->has_duty = true;
	if (level > 1)
		own->looked = Max(own->looked, level);
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

/* We are about to look, at what needs it. */
static void
begin_look(Own *own, Store *store)
{
	int			level = GetCurrentTransactionNestLevel();

	mark(store);
	if (level > 1 && (own->has_duty || (own->count > 0 && own->level < level)))
		own->looked = Max(own->looked, level);
	if (!is_counted(own, store))
		forget_unrepeating(own);
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
	Relation	index = open_index(fold->store->position_index, AccessShareLock);
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
	if (find_own(RelationGetRelid(events)) != NULL)
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
	begin_look(own, store);
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

/* What the rows of a fold redact, and what redacts them and the messages of their statement. */
static void
look_at_fold(Own *own, Fold *fold, Relation events)
{
	for (int i = 0; i < fold->count; i++)
		if (fold->events[i]->room_id.text != NULL)
			look_at_row(fold, events, fold->events[i]->row);
	look_at_messages(own, fold, events);
}

void
look_at_inserted(Fold *fold, Relation events)
{
	Own		   *own = own_of(RelationGetRelid(events));

	begin_look(own, fold->store);
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

/* Look at messages that no fold has looked at, and fold what a redaction takes away. */
static void
look_again(Own *own, Relation events, Store *store)
{
	if (own->count > 0 && !own->has_duty)
	{
		begin_look(own, store);
		if (own->count == 0)
			return;
	}
	fold_look(events);
}
