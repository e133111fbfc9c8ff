/*
 * related.c - what relates to an event: its relations, its reactions, its last
 * edit
 *
 * One kept plan each, with the rights of the caller, through the index
 * events_relation: (relates_to, rel_type, type, stream_id).  The SQL functions
 * switch sequential and bitmap scans off, so no plan can go through the store.
 */
#include "reading.h"

#include "funcapi.h"
#include "utils/builtins.h"

/* Which of the arguments are before, after and max, says first. */
static Datum
return_relations(FunctionCallInfo fcinfo, NullableDatum rel_type, NullableDatum type, int first)
{
	bool		has_after = !PG_ARGISNULL(first + 1);
	bool		nulls[] = {PG_ARGISNULL(1), rel_type.isnull, type.isnull, false, false, PG_ARGISNULL(first + 2)};
	Datum		values[] = {
		PG_GETARG_DATUM(1), rel_type.value, type.value,
		Int64GetDatum(PG_ARGISNULL(first) ? PG_INT64_MAX : PG_GETARG_INT64(first)),
		Int64GetDatum(has_after ? PG_GETARG_INT64(first + 1) : PG_INT64_MIN),
		PG_GETARG_DATUM(first + 2)
	};
	Relation	events = open_store(fcinfo);

	return return_rows(fcinfo, events, RelationGetDescr(events), has_after ? PLAN_RELATIONS_ON : PLAN_RELATIONS_BACK, values, nulls);
}

/*
 * matrix.relations(store text, event_id text, rel_type text, type text, before
 * bigint, after bigint, max integer) returns setof matrix.event: what relates to
 * an event, of one rel_type and type or (null) any, between two positions, both
 * exclusive; in ascending order after a given one, else descending.  max null:
 * all.  Errors: 22004 store null, 42704, 42501, 2201W max below 0.
 */
PG_FUNCTION_INFO_V1(relations);
Datum
relations(PG_FUNCTION_ARGS)
{
	return return_relations(fcinfo, fcinfo->args[2], fcinfo->args[3], 4);
}

/*
 * matrix.thread(store text, event_id text, before bigint, after bigint, max
 * integer) returns setof matrix.event: the same of rel_type m.thread.
 */
PG_FUNCTION_INFO_V1(thread);
Datum
thread(PG_FUNCTION_ARGS)
{
	return return_relations(fcinfo, (NullableDatum) {CStringGetTextDatum("m.thread"), false}, (NullableDatum) {(Datum) 0, true}, 2);
}

/*
 * matrix.reactions(store text, event_id text) returns table (key text, count
 * bigint, senders text[]).  Errors: 22004 store null, 42704, 42501.
 */
PG_FUNCTION_INFO_V1(reactions);
Datum
reactions(PG_FUNCTION_ARGS)
{
	bool		nulls[] = {PG_ARGISNULL(1)};
	Datum		values[] = {PG_GETARG_DATUM(1)};
	TupleDesc	row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "matrix.reactions returns no rows");
	return return_rows(fcinfo, open_store(fcinfo), row, PLAN_REACTIONS, values, nulls);
}

/*
 * matrix.edit(store text, event_id text) returns matrix.event: the last valid
 * edit; null when there is none.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(edit);
Datum
edit(PG_FUNCTION_ARGS)
{
	return return_event(fcinfo, PLAN_EDIT);
}
