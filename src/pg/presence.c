/*
 * presence.c - the presence of users
 *
 * A row is a function of the m.presence events about the user.  A message
 * touches no row: the view presence looks for the last one when it is read.
 */
#include "derive.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"

typedef struct PresenceRow
{
	FoldRow		row;
	mx_presence presence;
} PresenceRow;

static bool
is_presence(const FoldEvent *event)
{
	return is_type(event, "m.presence");
}

static int
compare_users(const FoldEvent *a, const FoldEvent *b)
{
	return mx_compare(a->sender, b->sender);
}

static bool
never(const FoldEvent *event)
{
	return false;
}

static void
clear_presence(FoldRow *row)
{
	((PresenceRow *) row)->presence.last_active_ts = MX_NO_TIME;
}

static void
load_presence(FoldRow *row, int i)
{
	mx_presence *presence = &((PresenceRow *) row)->presence;
	bool		isnull;
	Datum		hidden = row_datum(i, 8, &isnull);

	presence->state = mx_presence_named(row_string(i, 3));
	presence->status_msg = row_string(i, 4);
	presence->displayname = row_string(i, 5);
	presence->avatar_url = row_string(i, 6);
	presence->last_active_ts = row_int(i, 7, MX_NO_TIME);
	if (!isnull)
	{
		ArrayType  *array = DatumGetArrayTypePCopy(hidden);

		presence->hidden_count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		presence->hidden = (int64 *) ARR_DATA_PTR(array);
	}
}

static void
fold_presence(Fold *fold, FoldRow *row, FoldEvent *event)
{
	const StoreSettings *settings = &fold->store->settings;
	mx_presence_options options = {
		.only_online_counts = settings->presence_only_online,
		.equal_level_counts = settings->presence_equal_level
	};
	mx_presence *presence = &((PresenceRow *) row)->presence;
	mx_presence before = *presence;

	mx_presence_fold(presence, content_of(fold, event), event->ts, &options, &fold->arena);
	event->is_news = mx_presence_is_news(&before, presence, settings->presence_granularity);
	event->presence = presence->state;
}

/* {1,2,3} for bigint[]: text, since an array of arrays cannot be a parameter. */
static mx_string
spans_text(const mx_presence *presence)
{
	StringInfoData text;

	if (presence->hidden_count == 0)
		return (mx_string) {NULL, 0};
	initStringInfo(&text);
	for (size_t i = 0; i < presence->hidden_count; i++)
		appendStringInfo(&text, "%c" INT64_FORMAT, i == 0 ? '{' : ',', presence->hidden[i]);
	appendStringInfoChar(&text, '}');
	return (mx_string) {text.data, text.len};
}

static void
put_user(Columns *keys, const FoldEvent *event)
{
	put_string(keys, 0, event->sender);
}

static void
put_presence(Columns *rows, const FoldRow *row)
{
	const mx_presence *presence = &((const PresenceRow *) row)->presence;

	add_row(rows);
	put_user(rows, row->last);
	put_int(rows, 1, row->stream_id, 0);
	put_string(rows, 2, mx_string_from(mx_presence_name(presence->state)));
	put_string(rows, 3, presence->status_msg);
	put_string(rows, 4, presence->displayname);
	put_string(rows, 5, presence->avatar_url);
	put_int(rows, 6, presence->last_active_ts, MX_NO_TIME);
	put_string(rows, 7, spans_text(presence));
	put_int(rows, 8, row->last->ts, -1);
}

static const Oid types[] = {TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID};

const Derivation presence_derivation = {
	.concerns = is_presence,
	.compare = compare_users,
	.last_wins = never,
	.row_size = sizeof(PresenceRow),
	.clear = clear_presence,
	.load = load_presence,
	.fold = fold_presence,
	.put_key = put_user,
	.put = put_presence,
	.key_columns = 1,
	.columns = lengthof(types),
	.types = types,
	.look = PLAN_PRESENCE_LOOK,
	.add = PLAN_PRESENCE_ADD,
	.lock = PLAN_PRESENCE_LOCK,
	.store = PLAN_PRESENCE_STORE,
	.history = PLAN_PRESENCE_HISTORY,
	.forget = PLAN_PRESENCE_FORGET
};

/*
 * matrix.visible_spans(hidden bigint[]) returns setof (from_ts bigint, until_ts
 * bigint): the times, from inclusive to exclusive, in which a user did not
 * hide.  hidden holds when hiding began and ended, by turns; null: never.
 */
PG_FUNCTION_INFO_V1(visible_spans);
Datum
visible_spans(PG_FUNCTION_ARGS)
{
	FuncCallContext *calls;
	ArrayType  *hidden;
	int			count = 0;
	int64	   *times = NULL;
	Datum		values[2];
	bool		nulls[2] = {false, false};
	uint64		span;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		TupleDesc	tuple;

		calls = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(calls->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &tuple) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "matrix.visible_spans is declared with another result type");
		calls->tuple_desc = BlessTupleDesc(tuple);
		calls->user_fctx = PG_ARGISNULL(0) ? NULL : PG_GETARG_ARRAYTYPE_P_COPY(0);
		MemoryContextSwitchTo(caller);
	}
	calls = SRF_PERCALL_SETUP();
	hidden = calls->user_fctx;
	if (hidden != NULL && !ARR_HASNULL(hidden))
	{
		count = ArrayGetNItems(ARR_NDIM(hidden), ARR_DIMS(hidden));
		times = (int64 *) ARR_DATA_PTR(hidden);
	}
	span = calls->call_cntr;
	if (span > count / 2)
		SRF_RETURN_DONE(calls);
	values[0] = Int64GetDatum(span == 0 ? 0 : times[2 * span - 1]);
	values[1] = Int64GetDatum(2 * span < count ? times[2 * span] : PG_INT64_MAX);
	SRF_RETURN_NEXT(calls, HeapTupleGetDatum(heap_form_tuple(calls->tuple_desc, values, nulls)));
}
