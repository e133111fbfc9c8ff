/*
 * reading.c - reading rooms: one event, a timeline, what stands around an
 * event, the state at a position
 *
 * All of them find rows by an index in the order in which they give them.  To
 * whom may see every row and column they give what the index finds; for others
 * they run a kept plan with the rights of their caller, which costs as much as
 * some rows.  Names of operators in plans are looked up in the search path, which
 * is pinned while they run.
 */
#include "reading.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/tstoreReceiver.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

Relation
open_store(FunctionCallInfo fcinfo)
{
	char	   *name;
	Oid			schema;
	Oid			events;
	Relation	relation;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of a store is required")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	schema = get_namespace_oid(name, true);
	events = OidIsValid(schema) ? get_relname_relid("events", schema) : InvalidOid;
	relation = OidIsValid(events) ? table_open(events, AccessShareLock) : NULL;
	if (relation == NULL || !OidIsValid(relation->rd_rel->reloftype))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("store \"%s\" does not exist", name),
				 errhint("matrix.create_store makes one.")));
	return relation;
}

/* Begin the result of a function that returns a set, of rows like these. */
static ReturnSetInfo *
start_set(FunctionCallInfo fcinfo, TupleDesc like)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;

	if (result == NULL || !IsA(result, ReturnSetInfo) || (result->allowedModes & SFRM_Materialize) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a function that returns a set is called where none is accepted")));
	caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
	result->returnMode = SFRM_Materialize;
	result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	result->setDesc = CreateTupleDescCopy(like);
	MemoryContextSwitchTo(caller);
	return result;
}

Datum
return_rows(FunctionCallInfo fcinfo, Relation events, TupleDesc like, PlanId id, const Datum *values, const bool *nulls)
{
	ReturnSetInfo *result = start_set(fcinfo, like);
	DestReceiver *into = CreateDestReceiver(DestTuplestore);
	int			path;

	SetTuplestoreDestReceiverParams(into, result->setResult, result->econtext->ecxt_per_query_memory, false, NULL, NULL);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	path = pin_search_path();
	read_plan(get_store(events), id, values, nulls, into);
	unpin_search_path(path);
	SPI_finish();
	table_close(events, AccessShareLock);
	return (Datum) 0;
}

/* What a plan reads that is to find its rows by an index, even if the table is small. */
static Datum
return_events(FunctionCallInfo fcinfo, Relation events, PlanId id, const Datum *values, const bool *nulls)
{
	int			guc = NewGUCNestLevel();

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return_rows(fcinfo, events, RelationGetDescr(events), id, values, nulls);
	AtEOXact_GUC(true, guc);
	return (Datum) 0;
}

/* The first row that a plan reads is the result, or its first column. */
static Datum
return_first(FunctionCallInfo fcinfo, PlanId id, bool whole)
{
	Relation	events = open_store(fcinfo);
	Datum		values[] = {PG_GETARG_DATUM(1)};
	bool		nulls[] = {false};
	Datum		found = (Datum) 0;
	int			path;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	path = pin_search_path();
	read_plan(get_store(events), id, values, nulls, NULL);
	unpin_search_path(path);
	fcinfo->isnull = SPI_processed == 0;
	if (SPI_processed > 0 && whole)
		found = PointerGetDatum(SPI_returntuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc));
	else if (SPI_processed > 0)
		found = row_datum(0, 1, &fcinfo->isnull);
	SPI_finish();
	table_close(events, AccessShareLock);
	return found;
}

Datum
return_event(FunctionCallInfo fcinfo, PlanId id)
{
	return return_first(fcinfo, id, true);
}

Datum
return_value(FunctionCallInfo fcinfo, PlanId id)
{
	return return_first(fcinfo, id, false);
}

static int
positive(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? INT_MAX : Max(PG_GETARG_INT32(argument), 0);
}

/* ---- by an index ---- */

/* The caller may see every row and column. */
static bool
sees_all(Relation events)
{
	return uses_schema(RelationGetNamespace(events), GetUserId()) &&
		pg_class_aclcheck(RelationGetRelid(events), GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(RelationGetRelid(events), InvalidOid, true) != RLS_ENABLED;
}

/* NULL: rows have to be found by a plan. */
static Relation
open_for_reading(Relation events, Oid index_oid)
{
	Relation	index;

	if (!OidIsValid(index_oid) || !sees_all(events))
		return NULL;
	index = index_open(index_oid, AccessShareLock);
	/* Made of rows whose versions before that an old snapshot may see. */
	if (!index->rd_index->indcheckxmin || TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin))
		return index;
	index_close(index, AccessShareLock);
	return NULL;
}

typedef struct EventScan
{
	IndexScanDesc scan;
	TupleTableSlot *slot;
} EventScan;

static void
start_scan(EventScan *scan, Relation events, Relation index, ScanKey keys, int count)
{
	scan->slot = table_slot_create(events, NULL);
	scan->scan = begin_index_scan(events, index, GetActiveSnapshot(), count);
	index_rescan(scan->scan, keys, count, NULL, 0);
}

static void
end_scan(EventScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
}

static void
text_key(ScanKey key, AttrNumber attribute, StrategyNumber strategy, RegProcedure procedure, Datum value)
{
	ScanKeyEntryInitialize(key, 0, attribute, strategy, InvalidOid, C_COLLATION_OID, procedure, value);
}

static bool
same_text(Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, a, b));
}

/* Whether a row is not flagged as something that a server did not accept; mostly the flags are null. */
static bool
slot_is_shown(TupleTableSlot *slot)
{
	static const EventColumn flags[] = {COLUMN_OUTLIER, COLUMN_REJECTED, COLUMN_SOFT_FAILED};
	HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);

	for (int i = 0; i < lengthof(flags); i++)
	{
		bool		isnull;

		if (!heap_attisnull(tuple, flags[i] + 1, slot->tts_tupleDescriptor) && DatumGetBool(slot_getattr(slot, flags[i] + 1, &isnull)))
			return false;
	}
	return true;
}

/* The event of an id: the scan's slot has it. */
static bool
start_event_scan(EventScan *scan, Relation events, Relation index, Datum event_id)
{
	ScanKeyData key;

	text_key(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, event_id);
	start_scan(scan, events, index, &key, 1);
	return index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot);
}

/* next_in_room gives the events of a room between two positions, both exclusive. */
static void
start_room_scan(EventScan *scan, Relation events, Relation index, Datum room_id, int64 after, int64 before)
{
	ScanKeyData keys[3];
	int			count = 0;

	text_key(&keys[count++], 1, BTEqualStrategyNumber, F_TEXTEQ, room_id);
	/* Each condition costs each row. */
	if (after != PG_INT64_MIN)
		ScanKeyInit(&keys[count++], 2, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after));
	if (before != PG_INT64_MAX)
		ScanKeyInit(&keys[count++], 2, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(before));
	start_scan(scan, events, index, keys, count);
}

static bool
next_in_room(EventScan *scan, ScanDirection direction)
{
	while (index_getnext_slot(scan->scan, direction, scan->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (slot_is_shown(scan->slot))
			return true;
	}
	return false;
}

/* Rows that were found in another order than they are given. */
typedef struct Found
{
	ItemPointerData *rows;
	size_t		count;
	size_t		size;
} Found;

static void
add_found(Found *found, TupleTableSlot *slot)
{
	if (found->count == found->size)
	{
		found->size = Max(found->size * 2, 64);
		found->rows = found->rows == NULL ? palloc(sizeof(*found->rows) * found->size) :
			repalloc_huge(found->rows, sizeof(*found->rows) * found->size);
	}
	found->rows[found->count++] = slot->tts_tid;
}

/* The last one that was found first. */
static void
return_found(ReturnSetInfo *result, Relation events, Found *found, TupleTableSlot *slot)
{
	while (found->count > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (!table_tuple_fetch_row_version(events, &found->rows[--found->count], GetActiveSnapshot(), slot))
			elog(ERROR, "an event is gone while it is read");
		tuplestore_puttupleslot(result->setResult, slot);
	}
}

/* ---- events ---- */

/*
 * matrix.event(store text, event_id text) returns matrix.event: null when there
 * is none.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(event);
Datum
event(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	Relation	index = open_for_reading(events, get_store(events)->event_id_index);
	EventScan	scan;
	Datum		found = (Datum) 0;

	if (index == NULL)
	{
		table_close(events, AccessShareLock);
		return return_event(fcinfo, PLAN_EVENT);
	}
	if (start_event_scan(&scan, events, index, PG_GETARG_DATUM(1)))
	{
		TupleDesc	type = lookup_rowtype_tupdesc(events->rd_rel->reloftype, -1);

		found = heap_copy_tuple_as_datum(ExecFetchSlotHeapTuple(scan.slot, false, NULL), type);
		ReleaseTupleDesc(type);
	}
	else
		fcinfo->isnull = true;
	end_scan(&scan);
	index_close(index, AccessShareLock);
	table_close(events, AccessShareLock);
	return found;
}

static bool
is_one_of(TupleTableSlot *slot, const Datum *types, int count)
{
	bool		isnull;
	Datum		type = slot_getattr(slot, COLUMN_TYPE + 1, &isnull);

	for (int i = 0; i < count; i++)
		if (same_text(type, types[i]))
			return true;
	return false;
}

/* Closes the table and the index. */
static Datum
return_timeline(FunctionCallInfo fcinfo, Relation events, Relation index, const Datum *values, bool any_type, bool forward)
{
	ReturnSetInfo *result = start_set(fcinfo, RelationGetDescr(events));
	EventScan	scan;
	Datum	   *types = NULL;
	int			count = 0;

	if (!any_type)
	{
		bool	   *nulls;
		int			all;

		deconstruct_array(DatumGetArrayTypeP(values[4]), TEXTOID, -1, false, TYPALIGN_INT, &types, &nulls, &all);
		for (int i = 0; i < all; i++)
			if (!nulls[i])
				types[count++] = types[i];
	}
	start_room_scan(&scan, events, index, values[0], DatumGetInt64(values[1]), DatumGetInt64(values[2]));
	for (int left = DatumGetInt32(values[3]); left > 0 && next_in_room(&scan, forward ? ForwardScanDirection : BackwardScanDirection);)
		if (any_type || is_one_of(scan.slot, types, count))
		{
			tuplestore_puttupleslot(result->setResult, scan.slot);
			left--;
		}
	end_scan(&scan);
	index_close(index, AccessShareLock);
	table_close(events, AccessShareLock);
	return (Datum) 0;
}

/*
 * matrix.timeline(store text, room_id text, before bigint, max integer, after
 * bigint, types text[]) returns setof matrix.event: the room's events between two
 * positions, both exclusive, in ascending order after a given one, else
 * descending; of these types, null: any.  Errors: 42704, 42501, 22004.
 */
PG_FUNCTION_INFO_V1(timeline);
Datum
timeline(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	Relation	index;
	bool		forward = !PG_ARGISNULL(4);
	bool		nulls[] = {PG_ARGISNULL(1), false, false, false, PG_ARGISNULL(5)};
	Datum		values[] = {
		nulls[0] ? (Datum) 0 : PG_GETARG_DATUM(1),
		Int64GetDatum(forward ? PG_GETARG_INT64(4) : PG_INT64_MIN),
		Int64GetDatum(PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2)),
		Int32GetDatum(positive(fcinfo, 3)),
		nulls[4] ? (Datum) 0 : PG_GETARG_DATUM(5)
	};

	index = nulls[0] ? NULL : open_for_reading(events, get_store(events)->room_index);
	if (index == NULL)
		return return_events(fcinfo, events, forward ? PLAN_TIMELINE_ON : PLAN_TIMELINE_BACK, values, nulls);
	return return_timeline(fcinfo, events, index, values, nulls[4], forward);
}

/* Closes the table and the indexes. */
static Datum
return_context(FunctionCallInfo fcinfo, Relation events, Relation by_id, Relation by_room, Datum event_id, int max)
{
	ReturnSetInfo *result = start_set(fcinfo, RelationGetDescr(events));
	EventScan	own;
	EventScan	around;
	Found		before = {NULL};

	if (start_event_scan(&own, events, by_id, event_id))
	{
		bool		isnull;
		bool		no_room;
		Datum		room_id = slot_getattr(own.slot, COLUMN_ROOM_ID + 1, &no_room);
		int64		position = DatumGetInt64(slot_getattr(own.slot, COLUMN_STREAM_ID + 1, &isnull));

		if (!no_room)
		{
			room_id = PointerGetDatum(DatumGetTextPCopy(room_id));
			start_room_scan(&around, events, by_room, room_id, PG_INT64_MIN, position);
			while (before.count < max - max / 2 && next_in_room(&around, BackwardScanDirection))
				add_found(&before, around.slot);
			return_found(result, events, &before, around.slot);
			end_scan(&around);
		}
		tuplestore_puttupleslot(result->setResult, own.slot);
		if (!no_room)
		{
			start_room_scan(&around, events, by_room, room_id, position, PG_INT64_MAX);
			for (int left = max / 2; left > 0 && next_in_room(&around, ForwardScanDirection); left--)
				tuplestore_puttupleslot(result->setResult, around.slot);
			end_scan(&around);
		}
	}
	end_scan(&own);
	index_close(by_id, AccessShareLock);
	index_close(by_room, AccessShareLock);
	table_close(events, AccessShareLock);
	return (Datum) 0;
}

/*
 * matrix.context(store text, event_id text, max integer) returns setof
 * matrix.event: the event and at most max others of its room around it, in
 * ascending order.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(context);
Datum
context(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	Store	   *store = get_store(events);
	Datum		values[] = {PG_GETARG_DATUM(1), Int32GetDatum(positive(fcinfo, 2))};
	bool		nulls[] = {false, false};
	Oid			room_index = store->room_index;
	Relation	by_id = open_for_reading(events, store->event_id_index);
	Relation	by_room = by_id == NULL ? NULL : open_for_reading(events, room_index);

	if (by_room != NULL)
		return return_context(fcinfo, events, by_id, by_room, values[0], DatumGetInt32(values[1]));
	if (by_id != NULL)
		index_close(by_id, AccessShareLock);
	return return_events(fcinfo, events, PLAN_CONTEXT, values, nulls);
}

/* ---- the state at a position ---- */

/*
 * So many events of one key are passed over before the index is asked for what
 * is wanted: that looks at all that matches of a page of it.
 */
#define MAX_STEPS	12
#define CONDITIONS	4

/* What the scan goes through, backwards; each lies in the one before it. */
typedef enum Range
{
	RANGE_ROOM,					/* types below that of the key, or all */
	RANGE_TYPE,					/* state keys of its type below it */
	RANGE_KEY					/* the key's own events that count */
} Range;

typedef struct StateScan
{
	EventScan	in;				/* the index events_state */
	Range		range;
	Datum		room_id;
	Datum		type;			/* the key that was met last; 0: none yet */
	Datum		state_key;
	MemoryContext key_context;	/* of these two */
	MemoryContext range_context;	/* of what the scan compares with */
	int64		least;			/* the positions that count */
	int64		greatest;
	Found		found;			/* the state's, the last key first */
} StateScan;

/* Columns of the index events_state; none of them is null. */
typedef enum StateColumn
{
	STATE_ROOM_ID = 1,
	STATE_TYPE,
	STATE_STATE_KEY,
	STATE_STREAM_ID
} StateColumn;

/* Of what the scan is at, without its row. */
static Datum
index_column(StateScan *state, StateColumn column)
{
	bool		isnull;

	return index_getattr(state->in.scan->xs_itup, column, state->in.scan->xs_itupdesc, &isnull);
}

static bool
is_shown(StateScan *state)
{
	return index_fetch_heap(state->in.scan, state->in.slot) && slot_is_shown(state->in.slot);
}

static bool
step(StateScan *state)
{
	return index_getnext_tid(state->in.scan, BackwardScanDirection) != NULL;
}

/*
 * The last event of a range, whether its row is to be seen or not.  A scan has
 * as many conditions each time, and those that a range does not need are always
 * true.
 */
static bool
seek(StateScan *state, Range range)
{
	ScanKeyData keys[CONDITIONS];
	MemoryContext caller;
	Datum		type;
	Datum		state_key;
	Datum		empty;

	MemoryContextReset(state->range_context);
	caller = MemoryContextSwitchTo(state->range_context);
	empty = CStringGetTextDatum("");
	type = state->type == (Datum) 0 ? empty : PointerGetDatum(DatumGetTextPCopy(state->type));
	state_key = state->type == (Datum) 0 ? empty : PointerGetDatum(DatumGetTextPCopy(state->state_key));
	MemoryContextSwitchTo(caller);

	text_key(&keys[0], STATE_ROOM_ID, BTEqualStrategyNumber, F_TEXTEQ, state->room_id);
	if (range == RANGE_ROOM && state->type != (Datum) 0)
		text_key(&keys[1], STATE_TYPE, BTLessStrategyNumber, F_TEXT_LT, type);
	else if (range == RANGE_ROOM)
		text_key(&keys[1], STATE_TYPE, BTGreaterEqualStrategyNumber, F_TEXT_GE, type);
	else
		text_key(&keys[1], STATE_TYPE, BTEqualStrategyNumber, F_TEXTEQ, type);
	if (range == RANGE_ROOM)
		text_key(&keys[2], STATE_STATE_KEY, BTGreaterEqualStrategyNumber, F_TEXT_GE, empty);
	else if (range == RANGE_TYPE)
		text_key(&keys[2], STATE_STATE_KEY, BTLessStrategyNumber, F_TEXT_LT, state_key);
	else
		text_key(&keys[2], STATE_STATE_KEY, BTEqualStrategyNumber, F_TEXTEQ, state_key);
	ScanKeyInit(&keys[3], STATE_STREAM_ID, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(range == RANGE_KEY ? state->greatest : PG_INT64_MAX));
	state->range = range;
	index_rescan(state->in.scan, keys, CONDITIONS, NULL, 0);
	return step(state);
}

/* Or else the last one of the range around it; false: the room has no more. */
static bool
or_before(StateScan *state, bool found)
{
	while (!found && state->range != RANGE_ROOM)
		found = seek(state, state->range - 1);
	return found;
}

static bool
is_of_key(StateScan *state)
{
	return state->type != (Datum) 0 && same_text(index_column(state, STATE_STATE_KEY), state->state_key) &&
		same_text(index_column(state, STATE_TYPE), state->type);
}

static void
take_key(StateScan *state)
{
	MemoryContext caller;

	MemoryContextReset(state->key_context);
	caller = MemoryContextSwitchTo(state->key_context);
	state->type = PointerGetDatum(DatumGetTextPCopy(index_column(state, STATE_TYPE)));
	state->state_key = PointerGetDatum(DatumGetTextPCopy(index_column(state, STATE_STATE_KEY)));
	MemoryContextSwitchTo(caller);
}

/* Find of every key of the room the last event up to the position. */
static void
scan_state(StateScan *state)
{
	bool		answered = false;
	int			steps = 0;

	for (bool more = seek(state, RANGE_ROOM); more;)
	{
		int64		position = DatumGetInt64(index_column(state, STATE_STREAM_ID));

		CHECK_FOR_INTERRUPTS();
		if (!is_of_key(state))
		{
			take_key(state);
			answered = false;
			steps = 0;
		}
		/* Rows are looked at only where they can be the answer. */
		if (!answered && position <= state->greatest && (position < state->least || is_shown(state)))
		{
			answered = true;
			if (position >= state->least)
				add_found(&state->found, state->in.slot);
		}
		if (++steps < MAX_STEPS || (!answered && position <= state->greatest))
			more = or_before(state, step(state));
		else
			more = or_before(state, seek(state, answered ? RANGE_TYPE : RANGE_KEY));
	}
}

/* Closes the table and the index. */
static Datum
return_state(FunctionCallInfo fcinfo, Relation events, Relation index, Datum room_id, int64 greatest)
{
	ReturnSetInfo *result = start_set(fcinfo, RelationGetDescr(events));
	StateScan	state = {.room_id = room_id, .greatest = greatest, .least = greatest >= 0 ? 1 : PG_INT64_MIN};

	state.key_context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events state", ALLOCSET_SMALL_SIZES);
	state.range_context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events state", ALLOCSET_SMALL_SIZES);
	state.in.slot = table_slot_create(events, NULL);
	state.in.scan = begin_index_scan(events, index, GetActiveSnapshot(), CONDITIONS);
	state.in.scan->xs_want_itup = true;
	scan_state(&state);
	return_found(result, events, &state.found, state.in.slot);
	end_scan(&state.in);
	index_close(index, AccessShareLock);
	table_close(events, AccessShareLock);
	return (Datum) 0;
}

/*
 * matrix.state_at(store text, room_id text, stream_id bigint) returns setof
 * matrix.event: the state of the room at a position, by type and state key.
 * History counts only below position 0, as it changes no state.  Costs by the
 * number of keys, not of events.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(state_at);
Datum
state_at(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	Relation	index = open_for_reading(events, get_store(events)->state_index);
	Datum		values[] = {PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	bool		nulls[] = {false, false};

	if (index == NULL)
		return return_events(fcinfo, events, PLAN_STATE_AT, values, nulls);
	return return_state(fcinfo, events, index, values[0], DatumGetInt64(values[1]));
}
