/*
 * reading.c - reading rooms: one event, a timeline, what stands around an
 * event, the state at a position
 *
 * Each function runs one kept plan with the rights of its caller, and all of
 * them find rows by an index in the order in which they give them.  Names of
 * operators are looked up in the search path, which is pinned while they run.
 */
#include "reading.h"

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
#include "utils/snapmgr.h"

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

static Datum
return_events(FunctionCallInfo fcinfo, Relation events, PlanId id, const Datum *values, const bool *nulls)
{
	return return_rows(fcinfo, events, RelationGetDescr(events), id, values, nulls);
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

/*
 * matrix.event(store text, event_id text) returns matrix.event: null when there
 * is none.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(event);
Datum
event(PG_FUNCTION_ARGS)
{
	return return_event(fcinfo, PLAN_EVENT);
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
	bool		nulls[] = {PG_ARGISNULL(1), false, false, false, PG_ARGISNULL(5)};
	Datum		values[] = {
		nulls[0] ? (Datum) 0 : PG_GETARG_DATUM(1),
		Int64GetDatum(PG_ARGISNULL(4) ? PG_INT64_MIN : PG_GETARG_INT64(4)),
		Int64GetDatum(PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2)),
		Int32GetDatum(positive(fcinfo, 3)),
		nulls[4] ? (Datum) 0 : PG_GETARG_DATUM(5)
	};

	return return_events(fcinfo, open_store(fcinfo), PG_ARGISNULL(4) ? PLAN_TIMELINE_BACK : PLAN_TIMELINE_ON,
						 values, nulls);
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
	Datum		values[] = {PG_GETARG_DATUM(1), Int32GetDatum(positive(fcinfo, 2))};
	bool		nulls[] = {false, false};

	return return_events(fcinfo, open_store(fcinfo), PLAN_CONTEXT, values, nulls);
}

/*
 * matrix.state_at(store text, room_id text, stream_id bigint) returns setof
 * matrix.event: the state of the room at a position, by type and state key.
 * Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(state_at);
Datum
state_at(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	Datum		values[] = {ObjectIdGetDatum(RelationGetRelid(events)), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	bool		nulls[] = {false, false, false};

	return return_events(fcinfo, events, PLAN_STATE_AT, values, nulls);
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
	IndexScanDesc scan;
	TupleTableSlot *slot;
	Range		range;
	Datum		room_id;
	Datum		type;			/* the key that was met last; 0: none yet */
	Datum		state_key;
	MemoryContext key_context;	/* of these two */
	MemoryContext range_context;	/* of what the scan compares with */
	int64		least;			/* the positions that count */
	int64		greatest;
	int64	   *found;			/* the state's, the last key first */
	size_t		count;
	size_t		size;
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

	return index_getattr(state->scan->xs_itup, column, state->scan->xs_itupdesc, &isnull);
}

static bool
is_shown(StateScan *state)
{
	static const EventColumn flags[] = {COLUMN_OUTLIER, COLUMN_REJECTED, COLUMN_SOFT_FAILED};

	if (!index_fetch_heap(state->scan, state->slot))
		return false;
	for (int i = 0; i < lengthof(flags); i++)
	{
		bool		isnull;
		Datum		flag = slot_getattr(state->slot, flags[i] + 1, &isnull);

		if (!isnull && DatumGetBool(flag))
			return false;
	}
	return true;
}

static bool
same_text(Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, a, b));
}

static void
text_key(ScanKey key, AttrNumber attribute, StrategyNumber strategy, RegProcedure procedure, Datum value)
{
	ScanKeyEntryInitialize(key, 0, attribute, strategy, InvalidOid, C_COLLATION_OID, procedure, value);
}

static bool
step(StateScan *state)
{
	return index_getnext_tid(state->scan, BackwardScanDirection) != NULL;
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
	index_rescan(state->scan, keys, CONDITIONS, NULL, 0);
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

static void
add_position(StateScan *state, int64 position)
{
	if (state->count == state->size)
	{
		state->size *= 2;
		state->found = repalloc_huge(state->found, sizeof(int64) * state->size);
	}
	state->found[state->count++] = position;
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
				add_position(state, position);
		}
		if (++steps < MAX_STEPS || (!answered && position <= state->greatest))
			more = or_before(state, step(state));
		else
			more = or_before(state, seek(state, answered ? RANGE_TYPE : RANGE_KEY));
	}
}

/*
 * matrix.state_positions(events regclass, room_id text, stream_id bigint)
 * returns setof bigint: the positions of the events that are the room's state at
 * a position, in the order of their keys.  History counts only below position 0, as it
 * changes no state.  Costs by the number of keys, not of events.  Errors: 42501
 * without SELECT on the table, 55000 without its index events_state.
 */
PG_FUNCTION_INFO_V1(state_positions);
Datum
state_positions(PG_FUNCTION_ARGS)
{
	TupleDesc	position = CreateTemplateTupleDesc(1);
	ReturnSetInfo *result;
	Relation	events = table_open(PG_GETARG_OID(0), AccessShareLock);
	Oid			index_oid;
	Relation	index;
	StateScan	state = {.room_id = PG_GETARG_DATUM(1), .greatest = PG_GETARG_INT64(2)};

	TupleDescInitEntry(position, 1, "stream_id", INT8OID, -1, 0);
	result = start_set(fcinfo, position);
	if (pg_class_aclcheck(RelationGetRelid(events), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(events));
	index_oid = get_store(events)->state_index;
	if (!OidIsValid(index_oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the store has no index events_state"),
				 errhint("matrix.create_store makes one on (room_id, type, state_key, stream_id) WHERE state_key IS NOT NULL.")));
	state.least = state.greatest >= 0 ? 1 : PG_INT64_MIN;
	state.key_context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events state", ALLOCSET_SMALL_SIZES);
	state.range_context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events state", ALLOCSET_SMALL_SIZES);
	state.size = 64;
	state.found = palloc(sizeof(int64) * state.size);
	state.slot = table_slot_create(events, NULL);
	index = index_open(index_oid, AccessShareLock);
	state.scan = begin_index_scan(events, index, GetActiveSnapshot(), CONDITIONS);
	state.scan->xs_want_itup = true;
	scan_state(&state);
	while (state.count > 0)
	{
		Datum		value = Int64GetDatum(state.found[--state.count]);
		bool		isnull = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	index_endscan(state.scan);
	index_close(index, AccessShareLock);
	ExecDropSingleTupleTableSlot(state.slot);
	table_close(events, AccessShareLock);
	return (Datum) 0;
}
