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
	int64		stream_id;		/* of the last event folded; 0: none yet */
	bool		changed;
	mx_string	user_id;
	int64		ts;				/* of the last event */
	mx_presence presence;
} PresenceRow;

static int
compare_events(const void *a, const void *b)
{
	const FoldEvent *left = *(FoldEvent *const *) a;
	const FoldEvent *right = *(FoldEvent *const *) b;
	int			order = mx_compare(left->sender, right->sender);

	return order != 0 ? order : left->stream_id < right->stream_id ? -1 : left->stream_id > right->stream_id;
}

static void
load_row(PresenceRow *row, int i)
{
	mx_string	state = row_string(i, 3);
	bool		isnull;
	Datum		hidden = row_datum(i, 8, &isnull);

	row->stream_id = row_int(i, 2, 0);
	row->presence.state = state.text == NULL ? MX_PRESENCE_OFFLINE : mx_presence_named(state);
	row->presence.status_msg = row_string(i, 4);
	row->presence.displayname = row_string(i, 5);
	row->presence.avatar_url = row_string(i, 6);
	row->presence.last_active_ts = row_int(i, 7, MX_NO_TIME);
	if (!isnull)
	{
		ArrayType  *array = DatumGetArrayTypePCopy(hidden);

		row->presence.hidden_count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
		row->presence.hidden = (int64 *) ARR_DATA_PTR(array);
	}
}

static void
fold_event(Fold *fold, PresenceRow *row, FoldEvent *event)
{
	const StoreSettings *settings = &fold->store->settings;
	mx_presence_options options = {
		.only_online_counts = settings->presence_only_online,
		.equal_level_counts = settings->presence_equal_level
	};

	mx_presence_fold(&row->presence, content_of(fold, event), event->ts, &options, &fold->arena);
	row->stream_id = event->stream_id;
	row->ts = event->ts;
	row->changed = true;
}

static void
fold_history(Fold *fold, PresenceRow *row)
{
	static const Oid types[] = {TEXTOID};
	Columns    *one = make_columns(1, types);
	mx_string	user_id = row->user_id;
	uint64		found;
	FoldEvent **events;

	add_row(one);
	put_string(one, 0, user_id);
	found = run_plan(fold, PLAN_PRESENCE_HISTORY, as_arrays(one));
	events = palloc(sizeof(*events) * (found + 1));
	for (uint64 i = 0; i < found; i++)
		events[i] = event_from_row(i);
	*row = (PresenceRow) {.user_id = user_id, .presence = {.last_active_ts = MX_NO_TIME}};
	for (uint64 i = 0; i < found; i++)
		fold_event(fold, row, events[i]);
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
put_presence(Columns *rows, const PresenceRow *row)
{
	const mx_presence *presence = &row->presence;

	add_row(rows);
	put_string(rows, 0, row->user_id);
	put_int(rows, 1, row->stream_id, 0);
	put_string(rows, 2, mx_string_from(mx_presence_name(presence->state)));
	put_string(rows, 3, presence->status_msg);
	put_string(rows, 4, presence->displayname);
	put_string(rows, 5, presence->avatar_url);
	put_int(rows, 6, presence->last_active_ts, MX_NO_TIME);
	put_string(rows, 7, spans_text(presence));
	put_int(rows, 8, row->ts, -1);
}

static const Oid key_types[] = {TEXTOID};
static const Oid row_types[] = {TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID};

/* events are in the order of users.  False: a row has come to be meanwhile; again. */
static bool
fold_users(Fold *fold, FoldEvent **events, int count, Columns *keys)
{
	Columns    *rows = make_columns(9, row_types);
	Columns    *gone = make_columns(1, key_types);
	PresenceRow *users = palloc0(sizeof(*users) * keys->rows);
	uint64		found;

	/* As in state.c: empty rows for new users, or one that is added when it is ready. */
	if (keys->rows > 1)
		run_plan(fold, PLAN_PRESENCE_CLAIM, as_arrays(keys));
	found = run_plan(fold, PLAN_PRESENCE_LOCK, as_arrays(keys));
	if (found != keys->rows && keys->rows > 1)
		elog(ERROR, "%s.presence_state has lost a row", fold->store->schema);
	for (int key = 0; key < keys->rows; key++)
		users[key].presence.last_active_ts = MX_NO_TIME;
	for (uint64 i = 0; i < found; i++)
		load_row(&users[row_int(i, 1, 0) - 1], i);

	for (int i = 0, key = -1; i < count; i++)
	{
		if (i == 0 || !mx_same(events[i - 1]->sender, events[i]->sender))
			users[++key].user_id = events[i]->sender;
		if (fold->mode == FOLD_DELETED || events[i]->stream_id <= users[key].stream_id)
		{
			fold_history(fold, &users[key]);
			while (i + 1 < count && mx_same(events[i]->sender, events[i + 1]->sender))
				i++;
			if (!users[key].changed)
			{
				add_row(gone);
				put_string(gone, 0, users[key].user_id);
			}
			continue;
		}
		fold_event(fold, &users[key], events[i]);
	}
	for (int key = 0; key < keys->rows; key++)
		if (users[key].changed)
			put_presence(rows, &users[key]);
	if (found == 0 && rows->rows > 0)
		return run_plan(fold, PLAN_PRESENCE_ADD, as_arrays(rows)) == 1;
	if (rows->rows > 0)
		run_plan(fold, PLAN_PRESENCE_STORE, as_arrays(rows));
	if (gone->rows > 0)
		run_plan(fold, PLAN_PRESENCE_FORGET, as_arrays(gone));
	return true;
}

void
fold_presence(Fold *fold)
{
	FoldEvent **events = palloc(sizeof(*events) * (fold->count + 1));
	int			count = 0;
	Columns    *keys = make_columns(1, key_types);

	for (int i = 0; i < fold->count; i++)
		if (is_type(fold->events[i], "m.presence"))
			events[count++] = fold->events[i];
	if (count == 0)
		return;
	qsort(events, count, sizeof(*events), compare_events);
	for (int i = 0; i < count; i++)
		if (i == 0 || !mx_same(events[i - 1]->sender, events[i]->sender))
		{
			add_row(keys);
			put_string(keys, 0, events[i]->sender);
		}
	while (!fold_users(fold, events, count, keys))
		;
}

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
