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
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/array.h"
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

/* The columns that event_from_row reads. */
#define EVENT_COLUMNS_SQL \
	"e.stream_id, e.event_id, e.type, e.room_id, e.sender, e.state_key, " \
	"LEAST(e.origin_server_ts, e.received_ts), e.content"
/* Which events count; sql/25_derive.sql has the same words. */
#define COUNTS_SQL \
	"e.stream_id > 0 AND e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE"

/* %1$s is the store's schema. */
static const struct
{
	const char *sql;
	int			parameters;
	Oid			types[25];
}			plans[PLANS] = {
	[PLAN_STATE_CLAIM] = {
		"INSERT INTO %1$s.room_state (room_id, type, state_key, event_id, stream_id, content) "
		"SELECT k.room_id, k.type, k.state_key, '', 0, '{}' FROM unnest($1, $2, $3) k(room_id, type, state_key) "
		"ON CONFLICT DO NOTHING",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_LOCK] = {
		"SELECT k.n, r.* FROM unnest($1, $2, $3) WITH ORDINALITY k(room_id, type, state_key, n), LATERAL ("
		"SELECT s.stream_id, s.membership, s.kind, s.since, s.since_ts, "
		"CASE WHEN s.membership IS NOT NULL THEN s.content->>'displayname' END, "
		"CASE WHEN s.membership IS NOT NULL THEN s.content->>'avatar_url' END "
		"FROM %1$s.room_state s WHERE s.room_id = k.room_id AND s.type = k.type AND s.state_key = k.state_key "
		"LIMIT 1 FOR UPDATE) r",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_STORE] = {
		"INSERT INTO %1$s.room_state (room_id, type, state_key, event_id, stream_id, sender, ts, content, "
		"membership, kind, since, since_ts) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
		"ON CONFLICT (room_id, type, state_key) DO UPDATE SET event_id = excluded.event_id, "
		"stream_id = excluded.stream_id, sender = excluded.sender, ts = excluded.ts, content = excluded.content, "
		"membership = excluded.membership, kind = excluded.kind, since = excluded.since, since_ts = excluded.since_ts",
		12, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
		JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[PLAN_STATE_ADD] = {
		"INSERT INTO %1$s.room_state (room_id, type, state_key, event_id, stream_id, sender, ts, content, "
		"membership, kind, since, since_ts) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
		"ON CONFLICT DO NOTHING",
		12, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID,
		JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
	},
	[PLAN_STATE_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL " FROM %1$s.events e "
		"WHERE e.room_id = $1[1] AND e.type = $2[1] AND e.state_key = $3[1] AND " COUNTS_SQL " ORDER BY e.stream_id",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_FORGET] = {
		"DELETE FROM %1$s.room_state s USING unnest($1, $2, $3) k(room_id, type, state_key) "
		"WHERE s.room_id = k.room_id AND s.type = k.type AND s.state_key = k.state_key",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_PRESENCE_CLAIM] = {
		"INSERT INTO %1$s.presence_state (user_id, presence, stream_id) "
		"SELECT k.user_id, 'offline', 0 FROM unnest($1) k(user_id) ON CONFLICT DO NOTHING",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_LOCK] = {
		"SELECT k.n, r.* FROM unnest($1) WITH ORDINALITY k(user_id, n), LATERAL ("
		"SELECT p.stream_id, p.presence, p.status_msg, p.displayname, p.avatar_url, p.last_active_ts, p.hidden "
		"FROM %1$s.presence_state p WHERE p.user_id = k.user_id LIMIT 1 FOR UPDATE) r",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_STORE] = {
		"INSERT INTO %1$s.presence_state (user_id, stream_id, presence, status_msg, displayname, avatar_url, "
		"last_active_ts, hidden, ts) SELECT u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h::bigint[], u.i "
		"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) u(a, b, c, d, e, f, g, h, i) "
		"ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, presence = excluded.presence, "
		"status_msg = excluded.status_msg, displayname = excluded.displayname, avatar_url = excluded.avatar_url, "
		"last_active_ts = excluded.last_active_ts, hidden = excluded.hidden, ts = excluded.ts",
		9, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID}
	},
	[PLAN_PRESENCE_ADD] = {
		"INSERT INTO %1$s.presence_state (user_id, stream_id, presence, status_msg, displayname, avatar_url, "
		"last_active_ts, hidden, ts) SELECT u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h::bigint[], u.i "
		"FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) u(a, b, c, d, e, f, g, h, i) ON CONFLICT DO NOTHING",
		9, {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID}
	},
	[PLAN_PRESENCE_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL " FROM %1$s.events e "
		"WHERE e.sender = $1[1] AND e.type = 'm.presence' AND " COUNTS_SQL " ORDER BY e.stream_id",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_FORGET] = {
		"DELETE FROM %1$s.presence_state p USING unnest($1) k(user_id) WHERE p.user_id = k.user_id",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_LOAD] = {
		"SELECT k.room_id, c.* FROM unnest($1) WITH ORDINALITY k(room_id, n), LATERAL ("
		"SELECT s.call_id, s.state, s.end_reason, s.version, s.two_party::int, s.caller, s.caller_party, s.invitee, "
		"s.invite_event_id, s.answer_user, s.answer_party, s.selected_party_id, s.hangup_reason, s.ended_by, "
		"s.replaced_by, s.invite_ts, s.expires_at, s.answered_ts, s.ended_ts, s.last_negotiate_ts, s.candidates, "
		"s.stream_id, s.folded_id, s.words::text "
		"FROM %1$s.call_state s WHERE s.room_id = k.room_id "
		"AND (s.state = 'answered' OR s.state = 'invited' AND s.expires_at >= $4 OR s.folded_id > $3 OR s.call_id = ANY ($2)) "
		"ORDER BY s.call_id FOR UPDATE) c "
		"ORDER BY k.n",
		4, {TEXTARRAYOID, TEXTARRAYOID, INT8OID, INT8OID}
	},
	[PLAN_CALL_STORE] = {
		"INSERT INTO %1$s.call_state (room_id, call_id, state, end_reason, version, two_party, caller, caller_party, "
		"invitee, invite_event_id, answer_user, answer_party, selected_party_id, hangup_reason, ended_by, replaced_by, "
		"invite_ts, expires_at, answered_ts, ended_ts, last_negotiate_ts, candidates, stream_id, folded_id, words) "
		"SELECT c1, c2, c3, c4, c5::int, c6 <> 0, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, "
		"c21, c22, c23, c24, c25::jsonb FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
		"$16, $17, $18, $19, $20, $21, $22, $23, $24, $25) u(c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, "
		"c14, c15, c16, c17, c18, c19, c20, c21, c22, c23, c24, c25) "
		"ON CONFLICT (room_id, call_id) DO UPDATE SET state = excluded.state, end_reason = excluded.end_reason, "
		"version = excluded.version, two_party = excluded.two_party, caller = excluded.caller, "
		"caller_party = excluded.caller_party, invitee = excluded.invitee, invite_event_id = excluded.invite_event_id, "
		"answer_user = excluded.answer_user, answer_party = excluded.answer_party, "
		"selected_party_id = excluded.selected_party_id, hangup_reason = excluded.hangup_reason, "
		"ended_by = excluded.ended_by, replaced_by = excluded.replaced_by, invite_ts = excluded.invite_ts, "
		"expires_at = excluded.expires_at, answered_ts = excluded.answered_ts, ended_ts = excluded.ended_ts, "
		"last_negotiate_ts = excluded.last_negotiate_ts, candidates = excluded.candidates, "
		"stream_id = excluded.stream_id, folded_id = excluded.folded_id, words = excluded.words",
		25, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
		INT8ARRAYOID, TEXTARRAYOID}
	},
	[PLAN_CALL_LATER] = {
		"SELECT 1 FROM %1$s.events e WHERE e.room_id = $1[1] AND e.stream_id > $2[1] AND NOT e.stream_id = ANY ($2) "
		"AND (e.type LIKE 'm.call.%%' OR e.type = 'm.room.member' AND e.state_key IS NOT NULL) AND " COUNTS_SQL " LIMIT 1",
		2, {TEXTARRAYOID, INT8ARRAYOID}
	},
	[PLAN_CALL_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL ", NULL FROM %1$s.events e "
		"WHERE e.room_id = $1[1] AND e.type LIKE 'm.call.%%' AND " COUNTS_SQL " UNION ALL "
		"SELECT " EVENT_COLUMNS_SQL ", lag(e.content->>'membership') OVER (PARTITION BY e.state_key ORDER BY e.stream_id) "
		"FROM %1$s.events e WHERE e.room_id = $1[1] AND e.type = 'm.room.member' AND e.state_key IS NOT NULL AND "
		COUNTS_SQL " ORDER BY 1",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_FORGET] = {
		"DELETE FROM %1$s.call_state c WHERE c.room_id = $1[1]",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_JOINED] = {
		"SELECT count(*) FROM %1$s.room_state s WHERE s.room_id = $1[1] AND s.membership = 'join'",
		1, {TEXTARRAYOID}
	},
	[PLAN_REFUSE] = {
		"WITH refused AS (DELETE FROM %1$s.events e WHERE e.stream_id = $1[1] RETURNING e.*) "
		"INSERT INTO %1$s.rejected (raw, violations) "
		"SELECT coalesce(e.raw, matrix.event_json(e)::text), $2[1]::jsonb FROM refused e",
		2, {INT8ARRAYOID, TEXTARRAYOID}
	},
};

/* An event is being taken out because it was refused: nothing was derived from it. */
static bool refusing = false;

/* ---- running SQL ---- */

uint64
run_plan(Fold *fold, PlanId id, Datum *values)
{
	Store	   *store = fold->store;
	int			result;

	if (store->plans[id] == NULL)
	{
		Oid			types[25];
		char	   *sql = psprintf(plans[id].sql, store->schema);
		SPIPlanPtr	plan;

		memcpy(types, plans[id].types, sizeof(types));
		/* One plan for all: they find rows by key, whatever the statistics say. */
		plan = SPI_prepare_cursor(sql, plans[id].parameters, types, CURSOR_OPT_GENERIC_PLAN);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare: %s", sql);
		store->plans[id] = plan;
	}
	if (id == PLAN_REFUSE)
		refusing = true;
	PG_TRY();
	{
		result = SPI_execute_plan(store->plans[id], values, NULL, false, 0);
	}
	PG_FINALLY();
	{
		refusing = false;
	}
	PG_END_TRY();
	if (result < 0)
		elog(ERROR, "could not run a statement of the store: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* ---- parameters ---- */

Columns *
make_columns(int columns, const Oid *types)
{
	Columns    *set = palloc0(sizeof(*set));

	set->columns = columns;
	set->types = types;
	set->size = 8;
	set->values = palloc(sizeof(Datum *) * columns);
	set->nulls = palloc(sizeof(bool *) * columns);
	for (int i = 0; i < columns; i++)
	{
		set->values[i] = palloc(sizeof(Datum) * set->size);
		set->nulls[i] = palloc(sizeof(bool) * set->size);
	}
	return set;
}

/* A new row of nulls. */
void
add_row(Columns *set)
{
	if (set->rows == set->size)
	{
		set->size *= 2;
		for (int i = 0; i < set->columns; i++)
		{
			set->values[i] = repalloc(set->values[i], sizeof(Datum) * set->size);
			set->nulls[i] = repalloc(set->nulls[i], sizeof(bool) * set->size);
		}
	}
	for (int i = 0; i < set->columns; i++)
	{
		set->values[i][set->rows] = (Datum) 0;
		set->nulls[i][set->rows] = true;
	}
	set->rows++;
}

void
put_datum(Columns *set, int column, Datum value)
{
	set->values[column][set->rows - 1] = value;
	set->nulls[column][set->rows - 1] = false;
}

void
put_string(Columns *set, int column, mx_string value)
{
	if (value.text != NULL)
		put_datum(set, column, PointerGetDatum(cstring_to_text_with_len(value.text, value.length)));
}

void
put_int(Columns *set, int column, int64 value, int64 null)
{
	if (value != null)
		put_datum(set, column, Int64GetDatum(value));
}

Datum *
as_arrays(Columns *set)
{
	Datum	   *arrays = palloc(sizeof(Datum) * set->columns);
	int			lower = 1;

	for (int i = 0; i < set->columns; i++)
	{
		int16		length;
		bool		by_value;
		char		align;

		get_typlenbyvalalign(set->types[i], &length, &by_value, &align);
		arrays[i] = PointerGetDatum(construct_md_array(set->values[i], set->nulls[i], 1, &set->rows, &lower,
													   set->types[i], length, by_value, align));
	}
	return arrays;
}

/* ---- results ---- */

Datum
row_datum(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

mx_string
row_string(Fold *fold, int row, int column)
{
	bool		isnull;
	Datum		value = row_datum(row, column, &isnull);
	text	   *copy;

	if (isnull)
		return (mx_string) {NULL, 0};
	copy = DatumGetTextPCopy(value);
	return (mx_string) {VARDATA(copy), VARSIZE(copy) - VARHDRSZ};
}

int64
row_int(int row, int column, int64 null)
{
	bool		isnull;
	Datum		value = row_datum(row, column, &isnull);

	if (isnull)
		return null;
	return SPI_gettypeid(SPI_tuptable->tupdesc, column) == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

FoldEvent *
event_from_row(Fold *fold, int row)
{
	FoldEvent  *event = palloc0(sizeof(*event));
	bool		isnull;

	event->stream_id = row_int(row, 1, 0);
	event->event_id = row_string(fold, row, 2);
	event->type = row_string(fold, row, 3);
	event->room_id = row_string(fold, row, 4);
	event->sender = row_string(fold, row, 5);
	event->state_key = row_string(fold, row, 6);
	event->ts = row_int(row, 7, 0);
	event->content = DatumGetJsonbPCopy(row_datum(row, 8, &isnull));
	return event;
}

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

static mx_string
slot_string(TupleTableSlot *slot, EventColumn column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column + 1, &isnull);
	text	   *copy;

	if (isnull)
		return (mx_string) {NULL, 0};
	copy = DatumGetTextPCopy(value);
	return (mx_string) {VARDATA(copy), VARSIZE(copy) - VARHDRSZ};
}

static bool
is_true(TupleTableSlot *slot, EventColumn column)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, column + 1, &isnull);

	return !isnull && DatumGetBool(value);
}

/* Does the event change a derived row?  Most do not. */
static bool
changes_rows(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, COLUMN_STREAM_ID + 1, &isnull);
	text	   *type;
	const char *name;
	int			length;

	if (DatumGetInt64(value) < 0)
		return false;
	(void) slot_getattr(slot, COLUMN_STATE_KEY + 1, &isnull);
	if (isnull)
	{
		type = DatumGetTextPP(slot_getattr(slot, COLUMN_TYPE + 1, &isnull));
		name = VARDATA_ANY(type);
		length = VARSIZE_ANY_EXHDR(type);
		if (!(length == 10 && memcmp(name, "m.presence", 10) == 0) && !(length > 7 && memcmp(name, "m.call.", 7) == 0))
			return false;
	}
	return !is_true(slot, COLUMN_OUTLIER) && !is_true(slot, COLUMN_REJECTED) && !is_true(slot, COLUMN_SOFT_FAILED);
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

static FoldEvent *
event_from_slot(TupleTableSlot *slot)
{
	FoldEvent  *event = palloc0(sizeof(*event));
	bool		isnull;
	int64		origin;

	event->stream_id = DatumGetInt64(slot_getattr(slot, COLUMN_STREAM_ID + 1, &isnull));
	event->event_id = slot_string(slot, COLUMN_EVENT_ID);
	event->type = slot_string(slot, COLUMN_TYPE);
	event->room_id = slot_string(slot, COLUMN_ROOM_ID);
	event->sender = slot_string(slot, COLUMN_SENDER);
	event->state_key = slot_string(slot, COLUMN_STATE_KEY);
	event->ts = DatumGetInt64(slot_getattr(slot, COLUMN_RECEIVED_TS + 1, &isnull));
	origin = DatumGetInt64(slot_getattr(slot, COLUMN_ORIGIN_SERVER_TS + 1, &isnull));
	if (!isnull)
		event->ts = Min(event->ts, origin);
	event->content = DatumGetJsonbPCopy(slot_getattr(slot, COLUMN_CONTENT + 1, &isnull));
	return event;
}

/* ---- folding ---- */

/* Between the two, SPI is connected, as the store's owner, under a safe search path. */
static int
enter_store(Store *store, AsOwner *before)
{
	int			guc = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	*before = become_owner(store);
	return guc;
}

static void
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

/* Derive from what was collected, and forget it.  Called within the store. */
static void
run_fold(Fold *fold)
{
	MemoryContext caller;

	if (fold->count > 0)
	{
		qsort(fold->events, fold->count, sizeof(*fold->events), by_position);
		/* SPI's results and all that is made of them live in the fold. */
		caller = MemoryContextSwitchTo(fold->context);
		if (fold->mode != FOLD_STREAM)
			lock_calls(fold);
		fold_state(fold);
		fold_presence(fold);
		fold_calls(fold);
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(fold->context);
}

/* ---- what statements insert ---- */

/*
 * The positions of events that change derived rows, as their rows pass the
 * BEFORE ROW trigger; the AFTER ROW trigger of the first one that got in folds
 * them all, at the end of its statement.
 */
typedef struct Notes
{
	Oid			events;
	int64	   *ids;			/* NULL: none */
	int			count;
	int			size;
	struct Notes *next;
} Notes;

static Notes *notes = NULL;

static void
forget_notes(XactEvent event, void *arg)
{
	/* Their memory goes with the transaction's. */
	notes = NULL;
}

static Notes *
notes_of(Oid events)
{
	static bool registered = false;
	Notes	   *found = notes;

	while (found != NULL && found->events != events)
		found = found->next;
	if (found != NULL)
		return found;
	if (!registered)
	{
		RegisterXactCallback(forget_notes, NULL);
		registered = true;
	}
	found = MemoryContextAllocZero(TopTransactionContext, sizeof(*found));
	found->events = events;
	found->next = notes;
	notes = found;
	return found;
}

void
note_event(Relation events, int64 stream_id)
{
	Notes	   *of = notes_of(RelationGetRelid(events));

	if (of->ids == NULL)
	{
		of->size = 16;
		of->ids = MemoryContextAlloc(TopTransactionContext, sizeof(int64) * of->size);
	}
	else if (of->count == of->size)
	{
		of->ids = repalloc_huge(of->ids, sizeof(int64) * of->size * 2);
		of->size *= 2;
	}
	of->ids[of->count++] = stream_id;
}

/*
 * Fold the events of these positions, as far as they are there; they are read by
 * the index, and SnapshotSelf sees what this command has done.  One that is not
 * there was kept out by a conflict or rolled back, unless a trigger is at work
 * in the middle of its insertion: then it stays noted.
 */
static void
fold_inserted(Relation events, const int64 *ids, int count)
{
	Store	   *store = get_store(events);
	Relation	index = index_open(store->position_index, AccessShareLock);
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
	run_fold(&fold);
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

		if (!changes_rows(slot))
			continue;
		/* The slot may own its tuple: only the copy goes into the fold's context. */
		caller = MemoryContextSwitchTo(fold.context);
		collect(&fold, event_from_slot(slot));
		MemoryContextSwitchTo(caller);
		if (fold.count == MAX_FOLD)
		{
			run_fold(&fold);
			start_fold(&fold, store, FOLD_DELETED);
		}
	}
	run_fold(&fold);
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
	Notes	   *of;
	int64	   *ids;
	int			count;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.events_after_row is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	of = notes_of(RelationGetRelid(trigger->tg_relation));
	/* Off the list before they are folded: what the fold runs may note its own. */
	ids = of->ids;
	count = of->count;
	of->ids = NULL;
	of->count = 0;
	for (int from = 0; from < count; from += MAX_FOLD)
		fold_inserted(trigger->tg_relation, ids + from, Min(count - from, MAX_FOLD));
	if (ids != NULL)
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
			collect(&fold, event_from_row(&fold, i));
		MemoryContextSwitchTo(caller);
		SPI_freetuptable(SPI_tuptable);
		folded += fold.count;
		run_fold(&fold);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	leave_store(guc, before);
	table_close(relation, AccessShareLock);
	PG_RETURN_INT64(folded);
}
