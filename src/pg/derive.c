/*
 * derive.c - the AFTER triggers of a store's events: collecting what a statement
 * changed, and running the derivations over it
 *
 * A message is not collected: it changes nothing but its own row.  All SQL here
 * runs as the owner of the store, under a search path of pg_catalog.
 */
#include "derive.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

/*
 * A statement of more than this many events that change derived rows is folded
 * in parts, so that its memory is bounded.  Locks are in one order in each part.
 */
#define MAX_FOLD	20000

bool		refusing = false;

/* ---- collecting ---- */

const mx_value *
content_of(Fold *fold, FoldEvent *event)
{
	mx_builder	builder;
	mx_violations violations;

	if (event->value != NULL)
		return event->value;
	mx_violations_init(&violations, &fold->arena);
	mx_builder_init(&builder, &fold->arena, &violations);
	build_from_jsonb(&builder, event->content);
	event->value = builder.root;
	return event->value;
}

bool
is_type(const FoldEvent *event, const char *type)
{
	return mx_same(event->type, mx_string_from(type));
}

/* events.c has said so when the event came. */
static bool
derives(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, COLUMN_DERIVES + 1, &isnull);

	return !isnull && DatumGetBool(value);
}

static void
collect(Fold *fold, FoldEvent *event)
{
	if (fold->count == fold->size)
	{
		fold->size *= 2;
		fold->events = repalloc(fold->events, sizeof(*fold->events) * fold->size);
	}
	fold->events[fold->count++] = event;
}

/* The event of a row, which must live as long. */
static FoldEvent *
event_of(const Row *row)
{
	FoldEvent  *event = palloc0(sizeof(*event));

	event->row = row;
	event->stream_id = row_position(row);
	event->event_id = row_text(row, COLUMN_EVENT_ID);
	event->type = row_text(row, COLUMN_TYPE);
	event->room_id = row_text(row, COLUMN_ROOM_ID);
	event->sender = row_text(row, COLUMN_SENDER);
	event->state_key = row_text(row, COLUMN_STATE_KEY);
	event->ts = DatumGetInt64(row->values[COLUMN_RECEIVED_TS]);
	if (!row->nulls[COLUMN_ORIGIN_SERVER_TS])
		event->ts = Min(event->ts, DatumGetInt64(row->values[COLUMN_ORIGIN_SERVER_TS]));
	event->content = DatumGetJsonbP(row->values[row->nulls[COLUMN_KEPT] ? COLUMN_CONTENT : COLUMN_KEPT]);
	return event;
}

static FoldEvent *
event_from_slot(TupleTableSlot *slot)
{
	Row		   *row = palloc(sizeof(*row));

	row_from_tuple(row, ExecCopySlotHeapTuple(slot), slot->tts_tupleDescriptor);
	return event_of(row);
}

static FoldEvent *
find_event(Fold *fold, int64 stream_id)
{
	for (int i = 0; i < fold->count; i++)
		if (fold->events[i]->stream_id == stream_id)
			return fold->events[i];
	return NULL;
}

void
fold_again(Fold *fold, const Row *row)
{
	FoldEvent  *event = find_event(fold, row_position(row));

	if (event != NULL)
	{
		event->content = event_of(row)->content;
		event->value = NULL;
	}
	else if (!row->nulls[COLUMN_DERIVES] && row_position(row) > 0)
	{
		event = event_of(row);
		event->again = true;
		collect(fold, event);
	}
}

/* ---- folding ---- */

int
enter_store(Store *store, AsOwner *before)
{
	int			guc = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	*before = become_owner(store);
	return guc;
}

void
leave_store(int guc, AsOwner before)
{
	become_caller(before);
	AtEOXact_GUC(true, guc);
}

static void
start_fold(Fold *fold, Store *store, FoldMode mode)
{
	memset(fold, 0, sizeof(*fold));
	fold->store = store;
	fold->mode = mode;
	fold->context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events fold", ALLOCSET_DEFAULT_SIZES);
	fold->size = 16;
	fold->events = MemoryContextAlloc(fold->context, sizeof(*fold->events) * fold->size);
	arena_in(&fold->arena, fold->context);
}

static int
by_position(const void *a, const void *b)
{
	int64		left = (*(FoldEvent *const *) a)->stream_id;
	int64		right = (*(FoldEvent *const *) b)->stream_id;

	return left < right ? -1 : left > right;
}

/* Derive from what was collected, say what is new, and forget it.  Called within the store. */
static void
run_fold(Fold *fold, Relation events, Push *push)
{
	MemoryContext caller;

	if (fold->count > 0 || fold->mode == FOLD_LOOK)
	{
		/* SPI's results and all that is made of them live in the fold. */
		caller = MemoryContextSwitchTo(fold->context);
		if (fold->mode != FOLD_STREAM)
			find_redacted(fold, events);
		if (fold->targets != NIL || fold->repeating != NIL)
			redact_found(fold, events);
		qsort(fold->events, fold->count, sizeof(*fold->events), by_position);
		if (fold->mode != FOLD_STREAM)
			lock_calls(fold);
		fold_rows(fold, &state_derivation);
		fold_rows(fold, &presence_derivation);
		fold_calls(fold);
		if (push != NULL)
			push_fold(fold, push);
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(fold->context);
}

/* ---- what statements insert ---- */

/*
 * The positions of events that change derived rows, as their rows pass the
 * BEFORE ROW trigger; the AFTER ROW trigger of the first one that got in folds
 * them all, at the end of its statement.  Not those of a statement around it that
 * is not within its savepoint: what it folds may be rolled back without them.
 */
typedef struct Note
{
	int64		stream_id;
	int			level;			/* of savepoints */
} Note;

typedef struct Notes
{
	Oid			events;
	Note	   *notes;
	int			count;
	int			size;
	struct Notes *next;
} Notes;

static Notes *all_notes = NULL; /* in TopTransactionContext */

static void
forget_notes(XactEvent event, void *arg)
{
	/* Their memory goes with the transaction's. */
	all_notes = NULL;
}

static void
end_savepoint(SubXactEvent event, SubTransactionId within, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (Notes *of = all_notes; of != NULL; of = of->next)
	{
		/* The deepest levels come last. */
		while (event == SUBXACT_EVENT_ABORT_SUB && of->count > 0 && of->notes[of->count - 1].level >= level)
			of->count--;
		for (int i = of->count - 1; i >= 0 && of->notes[i].level >= level; i--)
			of->notes[i].level = level - 1;
	}
}

static Notes *
notes_of(Oid events)
{
	static bool registered = false;
	Notes	   *found = all_notes;

	while (found != NULL && found->events != events)
		found = found->next;
	if (found != NULL)
		return found;
	if (!registered)
	{
		RegisterXactCallback(forget_notes, NULL);
		RegisterSubXactCallback(end_savepoint, NULL);
		registered = true;
	}
	found = MemoryContextAllocZero(TopTransactionContext, sizeof(*found));
	found->events = events;
	found->size = 16;
	found->notes = MemoryContextAlloc(TopTransactionContext, sizeof(Note) * found->size);
	found->next = all_notes;
	all_notes = found;
	return found;
}

void
note_event(Relation events, int64 stream_id)
{
	Notes	   *of = notes_of(RelationGetRelid(events));

	if (of->count == of->size)
	{
		of->notes = repalloc_huge(of->notes, sizeof(Note) * of->size * 2);
		of->size *= 2;
	}
	of->notes[of->count++] = (Note) {stream_id, GetCurrentTransactionNestLevel()};
}

/* The positions of this savepoint's rows, off the list; in the current context. */
static int64 *
take_notes(Notes *of, int *count)
{
	int			level = GetCurrentTransactionNestLevel();
	int			first = of->count;
	int64	   *ids;

	while (first > 0 && of->notes[first - 1].level >= level)
		first--;
	*count = of->count - first;
	ids = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * (*count + 1));
	for (int i = 0; i < *count; i++)
		ids[i] = of->notes[first + i].stream_id;
	of->count = first;
	return ids;
}

/*
 * Fold the events of these positions, as far as they are there; they are read by
 * the index, and SnapshotSelf sees what this command has done.  One that is not
 * there was kept out by a conflict or rolled back, unless a trigger is at work
 * in the middle of its insertion: then it stays noted.
 */
static void
fold_inserted(Relation events, const int64 *ids, int count, Push *push)
{
	Store	   *store = get_store(events);
	Relation	index = open_index(store->position_index, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(events, NULL);
	IndexScanDesc scan = begin_index_scan(events, index, SnapshotSelf, 1);
	Fold		fold;
	MemoryContext caller;
	AsOwner		before;
	int			guc;
	bool		nested = DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > 1;

	start_fold(&fold, store, FOLD_INSERTED);
	caller = MemoryContextSwitchTo(fold.context);
	for (int i = 0; i < count; i++)
	{
		ScanKeyData key;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(ids[i]));
		index_rescan(scan, &key, 1, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, slot))
			collect(&fold, event_from_slot(slot));
		else if (nested)
			note_event(events, ids[i]);
	}
	MemoryContextSwitchTo(caller);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	if (fold.count == 0)
	{
		MemoryContextDelete(fold.context);
		return;
	}
	guc = enter_store(store, &before);
	run_fold(&fold, events, push);
	leave_store(guc, before);
}

/* Nothing is new, but a redaction may have come to what was inserted before. */
void
fold_look(Relation events)
{
	Store	   *store = get_store(events);
	Fold		fold;
	AsOwner		before;
	int			guc = enter_store(store, &before);

	start_fold(&fold, store, FOLD_LOOK);
	run_fold(&fold, events, NULL);
	leave_store(guc, before);
}

/* The transition table of a DELETE. */
static void
fold_deleted(Relation events, Tuplestorestate *table)
{
	Store	   *store = get_store(events);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(events), &TTSOpsMinimalTuple);
	Fold		fold;
	AsOwner		before;
	int			guc;

	guc = enter_store(store, &before);
	start_fold(&fold, store, FOLD_DELETED);
	tuplestore_rescan(table);
	while (tuplestore_gettupleslot(table, true, false, slot))
	{
		MemoryContext caller;

		if (!derives(slot))
			continue;
		/* The slot may own its tuple: only the copy goes into the fold's context. */
		caller = MemoryContextSwitchTo(fold.context);
		collect(&fold, event_from_slot(slot));
		MemoryContextSwitchTo(caller);
		if (fold.count == MAX_FOLD)
		{
			run_fold(&fold, events, NULL);
			start_fold(&fold, store, FOLD_DELETED);
		}
	}
	run_fold(&fold, events, NULL);
	leave_store(guc, before);
	ExecDropSingleTupleTableSlot(slot);
}

/* TRUNCATE <store>.room_state, ... */
static void
truncate_derived(Store *store)
{
	AsOwner		before = become_owner(store);
	char	   *query = psprintf("TRUNCATE %1$s.room_state, %1$s.presence_state, %1$s.call_state", store->schema);

	if (SPI_execute(query, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not truncate the derived tables of %s", store->schema);
	become_caller(before);
}

/*
 * matrix.events_after_row() returns trigger: on every store's events table,
 * AFTER INSERT, FOR EACH ROW that changes derived rows.
 */
PG_FUNCTION_INFO_V1(events_after_row);
Datum
events_after_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	int64	   *ids;
	int			count;
	Store	   *store;
	Push		push;
	bool		pushes;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.events_after_row is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	/* Off the list before they are folded: what the fold runs may note its own. */
	ids = take_notes(notes_of(RelationGetRelid(trigger->tg_relation)), &count);
	if (count == 0)
		return PointerGetDatum(NULL);
	store = get_store(trigger->tg_relation);
	pushes = start_push(&push, store);
	for (int from = 0; from < count; from += MAX_FOLD)
		fold_inserted(trigger->tg_relation, ids + from, Min(count - from, MAX_FOLD), pushes ? &push : NULL);
	if (pushes)
		end_push(&push);
	pfree(ids);
	return PointerGetDatum(NULL);
}

/*
 * matrix.events_after_statement() returns trigger: on every store's events
 * table, AFTER DELETE or TRUNCATE, FOR EACH STATEMENT.
 */
PG_FUNCTION_INFO_V1(events_after_statement);
Datum
events_after_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.events_after_statement is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event) && trigger->tg_oldtable != NULL && !refusing)
		fold_deleted(trigger->tg_relation, trigger->tg_oldtable);
	else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		truncate_derived(get_store(trigger->tg_relation));
	return PointerGetDatum(NULL);
}

/*
 * matrix.fold_stream(events regclass) returns bigint: folds the whole stream
 * into derived tables that are empty.  Raises 42501 unless the caller owns it.
 */
PG_FUNCTION_INFO_V1(fold_stream);
Datum
fold_stream(PG_FUNCTION_ARGS)
{
	Oid			events = PG_GETARG_OID(0);
	Relation	relation;
	Store	   *store;
	Portal		portal;
	AsOwner		before;
	SPIPlanPtr	plan;
	int			guc;
	int64		folded = 0;

	if (!owns_table(events, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(events));
	relation = table_open(events, AccessShareLock);
	store = get_store(relation);
	guc = enter_store(store, &before);
	plan = SPI_prepare(psprintf("SELECT " EVENT_COLUMNS_SQL " FROM %s.events e WHERE " COUNTS_SQL
								" AND (e.state_key IS NOT NULL OR e.type = 'm.presence' OR e.type LIKE 'm.call.%%')"
								" ORDER BY e.stream_id", store->schema), 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not read the stream of %s", store->schema);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (;;)
	{
		Fold		fold;
		MemoryContext caller;

		SPI_cursor_fetch(portal, true, MAX_FOLD);
		if (SPI_processed == 0)
			break;
		start_fold(&fold, store, FOLD_STREAM);
		caller = MemoryContextSwitchTo(fold.context);
		for (uint64 i = 0; i < SPI_processed; i++)
			collect(&fold, event_from_row(i));
		MemoryContextSwitchTo(caller);
		SPI_freetuptable(SPI_tuptable);
		folded += fold.count;
		run_fold(&fold, relation, NULL);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	leave_store(guc, before);
	table_close(relation, AccessShareLock);
	PG_RETURN_INT64(folded);
}
