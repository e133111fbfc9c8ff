/*
 * search.c - the steps of matrix.search and matrix.mentions
 *
 * One kept plan each, with the rights of the caller.  They name the index
 * events_search by its expression, so they go when that is made anew.  The SQL
 * functions leave the planner no other way than that index.
 */
#include "reading.h"

#include "access/table.h"
#include "funcapi.h"

/* What a plan reads that takes the arguments after the store, as they are. */
static Datum
return_set(FunctionCallInfo fcinfo, Relation events, TupleDesc like, PlanId id)
{
	bool		nulls[FUNC_MAX_ARGS];
	Datum		values[FUNC_MAX_ARGS];

	for (int i = 1; i < PG_NARGS(); i++)
	{
		values[i - 1] = fcinfo->args[i].value;
		nulls[i - 1] = fcinfo->args[i].isnull;
	}
	return return_rows(fcinfo, events, like, id, values, nulls);
}

static TupleDesc
row_of(FunctionCallInfo fcinfo)
{
	TupleDesc	row;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "a function that returns rows is declared otherwise");
	return row;
}

/*
 * matrix.search_configs(store text) returns text[]: the text search
 * configurations of a store; null: it has no settings.  Errors: 22004 store
 * null, 42704.
 */
PG_FUNCTION_INFO_V1(search_configs);
Datum
search_configs(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);
	ArrayType  *configs = get_store(events)->search_configs;
	Datum		copy = configs == NULL ? (Datum) 0 : PointerGetDatum(DatumGetArrayTypePCopy(PointerGetDatum(configs)));

	table_close(events, AccessShareLock);
	fcinfo->isnull = configs == NULL;
	return copy;
}

/*
 * matrix.next_searched(store text, stream_id bigint, descending boolean) returns
 * bigint: the position of the first event from that one on of a type that is
 * searched; null: there is none, or one of the others is null.  Errors: 22004
 * store null, 42704, 42501.
 */
PG_FUNCTION_INFO_V1(next_searched);
Datum
next_searched(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	return return_value(fcinfo, PG_GETARG_BOOL(2) ? PLAN_SEARCHED_BELOW : PLAN_SEARCHED_ABOVE);
}

/*
 * matrix.search_hits(store text, query tsquery, max integer) returns table
 * (stream_id bigint, event_id text, edited text): some events that match, as
 * the index has them; of an edit, of what.  Errors: 42704, 42501.
 */
PG_FUNCTION_INFO_V1(search_hits);
Datum
search_hits(PG_FUNCTION_ARGS)
{
	return return_set(fcinfo, open_store(fcinfo), row_of(fcinfo), PLAN_SEARCH_HITS);
}

/*
 * matrix.search_window(store text, hits bigint[], ids text[], edited text[],
 * waiting bigint[], waiting_ids text[], low bigint, high bigint, max integer,
 * rooms text[], senders text[], query tsquery, ask boolean) returns table (event
 * matrix.event, edit jsonb, before bigint[], before_ids text[]): of what was
 * found, and of edits that were found before and waited for their messages, the
 * messages from low to high that match by what counts of them, the newest first,
 * with the content of their last edit.  One row without an event has the edits of
 * messages below low, which wait.  ask: look for messages with edits in the window
 * as well.  Errors: 22004 store null, 42704, 42501, 2201W max below 0.
 */
PG_FUNCTION_INFO_V1(search_window);
Datum
search_window(PG_FUNCTION_ARGS)
{
	return return_set(fcinfo, open_store(fcinfo), row_of(fcinfo), PLAN_SEARCH_WINDOW);
}

/*
 * matrix.mentions_window(store text, hits bigint[], low bigint, high bigint, max
 * integer, descending boolean) returns setof matrix.event: of what was found, the
 * events from low to high, at most max, in the order of the stream or against it.
 * Errors: 22004 store null, 42704, 42501, 2201W max below 0.
 */
PG_FUNCTION_INFO_V1(mentions_window);
Datum
mentions_window(PG_FUNCTION_ARGS)
{
	Relation	events = open_store(fcinfo);

	return return_set(fcinfo, events, RelationGetDescr(events), PG_GETARG_BOOL(5) ? PLAN_MENTIONS_BACK : PLAN_MENTIONS_ON);
}
