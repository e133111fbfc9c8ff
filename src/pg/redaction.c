/*
 * redaction.c - redacted means gone: what an m.room.redaction takes away, and
 * whether its sender may
 *
 * An event is redacted when a redaction of its room names it, or the event that
 * it edits, and its sender may (core/power.h).  Then its row is what the room's
 * version leaves of it, with the redaction under unsigned.redacted_because, and
 * no copy of its content is left elsewhere; the first redaction in the order of
 * the stream is the one that counts.  It stays redacted, whatever becomes of the
 * redaction.
 */
#include "redaction.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "core/power.h"
#include "core/redact.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

bool		redacting = false;

/* ---- the room ---- */

static const mx_value *
tree_of_jsonb(mx_arena *arena, Jsonb *jsonb)
{
	mx_builder	builder;

	mx_builder_init(&builder, arena, NULL);
	build_from_jsonb(&builder, jsonb);
	return builder.root;
}

/* What the room's m.room.create says; false: it is not there. */
static bool
find_create(Relation events, Store *store, mx_string room_id, Row *create)
{
	mx_string	keys[] = {room_id, mx_string_from("m.room.create"), {"", 0}};
	ListCell   *cell;

	foreach(cell, find_rows(events, store->state_index, keys, lengthof(keys)))
	{
		*create = *(Row *) lfirst(cell);
		if (create->nulls[COLUMN_REJECTED] || !DatumGetBool(create->values[COLUMN_REJECTED]))
			return true;
	}
	return false;
}

const mx_room_version *
room_version_of_create(const mx_value *content)
{
	const mx_value *version = mx_member(content, "room_version");

	return version == NULL ? mx_room_version_named(mx_string_from("1")) : mx_room_version_named(mx_string_of(version));
}

/* NULL: not known. */
const mx_room_version *
room_version(Relation events, Store *store, mx_string room_id)
{
	Row			create;
	MemoryContext work;
	mx_arena	arena;
	const mx_room_version *version;

	if (room_id.text == NULL || !find_create(events, store, room_id, &create))
		return NULL;
	work = AllocSetContextCreate(CurrentMemoryContext, "matrix_events room version", ALLOCSET_START_SMALL_SIZES);
	arena_in(&arena, work);
	version = room_version_of_create(tree_of_jsonb(&arena, DatumGetJsonbP(create.values[COLUMN_CONTENT])));
	MemoryContextDelete(work);
	return version;
}

/* ---- one redaction ---- */

Redaction *
make_redaction(Relation events, Store *store, const Row *row)
{
	Redaction  *redaction = palloc0(sizeof(*redaction));

	redaction->row = *row;
	redaction->version = room_version(events, store, row_text(row, COLUMN_ROOM_ID));
	return redaction;
}

/* The power levels when the redaction was sent. */
static const mx_value *
find_power_levels(Store *store, const Redaction *redaction, mx_arena *arena, MemoryContext work)
{
	Datum		values[] = {redaction->row.values[COLUMN_ROOM_ID], redaction->row.values[COLUMN_STREAM_ID]};
	const mx_value *levels = NULL;
	bool		isnull;

	if (run_latest(store, PLAN_POWER_LEVELS, values, NULL) > 0)
	{
		MemoryContext caller = MemoryContextSwitchTo(work);

		levels = tree_of_jsonb(arena, (Jsonb *) PG_DETOAST_DATUM_COPY(row_datum(0, 1, &isnull)));
		MemoryContextSwitchTo(caller);
	}
	SPI_freetuptable(SPI_tuptable);
	return levels;
}

static mx_redaction
question_of(Store *store, const Redaction *redaction, const Row *target)
{
	return (mx_redaction) {
		.version = redaction->version,
		.sender = row_text(&redaction->row, COLUMN_SENDER),
		.event_id = row_text(&redaction->row, COLUMN_EVENT_ID),
		.target_sender = row_text(target, COLUMN_SENDER),
		.target_id = row_text(target, COLUMN_EVENT_ID),
		.target_type = row_text(target, COLUMN_TYPE),
		.same_sender = store->settings.redact_same_sender_only
	};
}

bool
may_redact_own(Store *store, const Redaction *redaction, const Row *target)
{
	mx_redaction question = question_of(store, redaction, target);

	return mx_same(row_text(&redaction->row, COLUMN_ROOM_ID), row_text(target, COLUMN_ROOM_ID)) && mx_may_redact(&question);
}

static bool
may_redact(Relation events, Store *store, const Redaction *redaction, const Row *target, MemoryContext work)
{
	mx_redaction question = question_of(store, redaction, target);
	mx_string	room_id = row_text(&redaction->row, COLUMN_ROOM_ID);
	Row			create;
	mx_arena	arena;

	/* Mostly one's own event is redacted: then the power levels need not be asked for. */
	if (may_redact_own(store, redaction, target))
		return true;
	if (!mx_same(room_id, row_text(target, COLUMN_ROOM_ID)))
		return false;
	arena_in(&arena, work);
	question.power_levels = find_power_levels(store, redaction, &arena, work);
	if (find_create(events, store, room_id, &create))
	{
		question.create_sender = row_text(&create, COLUMN_SENDER);
		question.create = tree_of_jsonb(&arena, DatumGetJsonbP(create.values[COLUMN_CONTENT]));
	}
	return mx_may_redact(&question);
}

/* What servers need of an event, clients do not get (client-server API, Room event format). */
static bool
is_for_clients(const mx_value *member, const void *unused)
{
	static const char *const keys[] = {"type", "event_id", "room_id", "sender", "origin_server_ts", "content", "redacts"};

	for (int i = 0; i < lengthof(keys); i++)
		if (mx_key_is(member, keys[i]))
			return true;
	return false;
}

/* {"redacted_because": the redaction as clients see it} */
static const mx_value *
unsigned_of_redacted(const Row *redaction)
{
	ReadEvent	read;
	mx_value   *result;
	mx_value   *because;

	begin_read(&read);
	read_row(&read, redaction, 0);
	because = mx_select(&read.arena, read.root, is_for_clients, NULL);
	because->key = "redacted_because";
	because->key_length = strlen(because->key);
	result = mx_alloc(&read.arena, sizeof(*result));
	*result = (mx_value) {.kind = MX_OBJECT, .length = 1};
	result->u.children = because;
	return result;
}

void
prune_row(Row *row, const Redaction *redaction)
{
	ReadEvent	read;

	begin_read(&read);
	read_row(&read, row, 0);
	read.root = mx_redact(&read.arena, read.root, redaction->version);
	put_jsonb(row, COLUMN_CONTENT, mx_member(read.root, "content"));
	put_jsonb(row, COLUMN_EXTRA, extra_of(&read));
	put_jsonb(row, COLUMN_UNSIGNED, unsigned_of_redacted(&redaction->row));
	put_column(row, COLUMN_REDACTED_BY, row_text(&redaction->row, COLUMN_EVENT_ID));
	row->nulls[COLUMN_RAW] = true;
}

/* ---- targets ---- */

List *
add_target(List *targets, const Row *row, Redaction *redaction, bool edits)
{
	Target	   *target = palloc(sizeof(*target));

	*target = (Target) {row, redaction, edits};
	return lappend(targets, target);
}

/* One order for all statements; of one target the first redaction first. */
static int
by_target(const ListCell *a, const ListCell *b)
{
	const Target *left = lfirst(a);
	const Target *right = lfirst(b);
	int64		left_id = row_position(left->row);
	int64		right_id = row_position(right->row);

	if (left_id == right_id)
	{
		left_id = row_position(&left->redaction->row);
		right_id = row_position(&right->redaction->row);
	}
	return left_id < right_id ? -1 : left_id > right_id;
}

/* ---- taking away ---- */

/* UPDATEs of rows of events, which the trigger lets through. */
static uint64
run_redacting(Store *store, PlanId id, Datum *values, const bool *nulls)
{
	uint64		changed;

	redacting = true;
	PG_TRY();
	{
		changed = run_latest(store, id, values, nulls);
	}
	PG_FINALLY();
	{
		redacting = false;
	}
	PG_END_TRY();
	return changed;
}

/* Is a redaction that came to be first by another one: has the row been redacted by one that comes before? */
static bool
is_redacted_before(Relation events, Store *store, const Row *row, const Redaction *redaction)
{
	mx_string	by = row_text(row, COLUMN_REDACTED_BY);
	ListCell   *cell;

	if (by.text == NULL || mx_same(by, row_text(&redaction->row, COLUMN_EVENT_ID)))
		return false;
	foreach(cell, find_rows(events, store->event_id_index, &by, 1))
		if (row_position(lfirst(cell)) > row_position(&redaction->row))
			return false;
	return true;
}

/* What a call is made of outlives the redaction of an event that it has acted on. */
static void
keep_call(Row *row, const Redaction *redaction)
{
	ReadEvent	read;
	const mx_value *kept;

	if (row_position(row) < 0 || row_position(row) > row_position(&redaction->row) || row->nulls[COLUMN_DERIVES] ||
		!row->nulls[COLUMN_KEPT] || mx_call_event_named(row_text(row, COLUMN_TYPE)) == MX_CALL_OTHER)
		return;
	begin_read(&read);
	kept = mx_call_kept(&read.arena, tree_of_jsonb(&read.arena, DatumGetJsonbP(row->values[COLUMN_CONTENT])));
	if (kept->length > 0)
		put_jsonb(row, COLUMN_KEPT, kept);
}

static bool
is_same_column(const Row *a, const Row *b, EventColumn column)
{
	if (a->nulls[column] || b->nulls[column])
		return a->nulls[column] == b->nulls[column];
	return datum_image_eq(a->values[column], b->values[column], false, -1);
}

/*
 * Copies of the content: in what servers have put under unsigned of other
 * events, in rejected, in what workers have said of the event.
 */
static void
redact_copies(Store *store, const Row *was, const Row *is)
{
	Datum		values[] = {
		was->values[COLUMN_STREAM_ID], was->values[COLUMN_EVENT_ID], was->values[COLUMN_ROOM_ID], was->values[COLUMN_TYPE],
		was->values[COLUMN_STATE_KEY], was->values[COLUMN_CONTENT], is->values[COLUMN_CONTENT]
	};
	bool		nulls[lengthof(values)] = {false, false, false, false, was->nulls[COLUMN_STATE_KEY], false, false};

	run_redacting(store, PLAN_REDACT_BUNDLES, values, nulls);
	if (!was->nulls[COLUMN_STATE_KEY])
	{
		run_redacting(store, PLAN_REDACT_PREVIOUS, values, nulls);
		run_redacting(store, PLAN_REDACT_STRIPPED, values, nulls);
	}
	run_latest(store, PLAN_REDACT_BESIDE, values, nulls);
}

/* A redaction is redacted: what it gave as its reason goes from its targets. */
static void
redact_reason(Store *store, const Row *row, MemoryContext work)
{
	MemoryContext caller = MemoryContextSwitchTo(work);
	Datum		values[] = {row->values[COLUMN_EVENT_ID], JsonbPGetDatum(jsonb_from_value(unsigned_of_redacted(row)))};

	MemoryContextSwitchTo(caller);
	run_redacting(store, PLAN_REDACT_REASON, values, NULL);
}

/* The row was redacted already as this redaction would do it. */
static bool
is_redacted_so(const Row *was, const Row *is)
{
	return mx_same(row_text(was, COLUMN_REDACTED_BY), row_text(is, COLUMN_REDACTED_BY)) && was->nulls[COLUMN_RAW] &&
		is_same_column(was, is, COLUMN_CONTENT) && is_same_column(was, is, COLUMN_EXTRA) && is_same_column(was, is, COLUMN_UNSIGNED);
}

/*
 * Redact one target, unless that was done.  What is folded gets the event as it
 * is then; fold NULL: nothing is.  What is made on the way goes into work.
 */
static void
redact_target(Relation events, Store *store, const Target *target, Fold *fold, List *targets, MemoryContext work)
{
	static const EventColumn columns[] = {
		COLUMN_STREAM_ID, COLUMN_CONTENT, COLUMN_UNSIGNED, COLUMN_EXTRA, COLUMN_REDACTED_BY, COLUMN_KEPT
	};
	Row			was;
	Row			is;
	MemoryContext caller;
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)];

	if (run_latest(store, PLAN_LOCK_EVENT, &unconstify(Row *, target->row)->values[COLUMN_STREAM_ID], NULL) == 0)
		return;
	was = *row_from_spi(0);
	SPI_freetuptable(SPI_tuptable);
	if (is_redacted_before(events, store, &was, target->redaction))
		return;
	is = was;
	caller = MemoryContextSwitchTo(work);
	keep_call(&is, target->redaction);
	prune_row(&is, target->redaction);
	MemoryContextSwitchTo(caller);
	if (is_redacted_so(&was, &is))
	{
		redact_copies(store, &was, &is);
		return;
	}
	for (int i = 0; i < lengthof(columns); i++)
	{
		values[i] = is.values[columns[i]];
		nulls[i] = is.nulls[columns[i]];
	}
	if (run_redacting(store, PLAN_REDACT, values, nulls) == 0)
		return;
	if (fold != NULL)
		fold_again(fold, row_from_spi(0));
	SPI_freetuptable(SPI_tuptable);
	redact_copies(store, &was, &is);
	if (!is.nulls[COLUMN_REDACTS])
	{
		Row		   *now;
		ListCell   *cell;

		redact_reason(store, &is, work);
		run_latest(store, PLAN_OWN_EVENT, is.values, NULL);
		now = row_from_spi(0);
		SPI_freetuptable(SPI_tuptable);
		foreach(cell, targets)
		{
			Redaction  *other = ((Target *) lfirst(cell))->redaction;

			if (row_position(&other->row) == row_position(now))
				other->row = *now;
		}
	}
}

/* It has taken away what it names, which stays so whatever power levels come later. */
static bool
has_redacted(Relation events, Store *store, const Redaction *redaction)
{
	mx_string	redacts = row_text(&redaction->row, COLUMN_REDACTS);
	List	   *found = find_rows(events, store->event_id_index, &redacts, 1);

	return found != NIL && mx_same(row_text(linitial(found), COLUMN_REDACTED_BY), row_text(&redaction->row, COLUMN_EVENT_ID));
}

void
redact_all(Relation events, Store *store, List *targets, Fold *fold)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "matrix_events redact", ALLOCSET_DEFAULT_SIZES);
	ListCell   *cell;

	list_sort(targets, by_target);
	foreach(cell, targets)
	{
		const Target *target = lfirst(cell);

		CHECK_FOR_INTERRUPTS();
		if (may_redact(events, store, target->redaction, target->row, work) ||
			(target->edits && has_redacted(events, store, target->redaction)))
			redact_target(events, store, target, fold, targets, work);
		MemoryContextReset(work);
	}
	MemoryContextDelete(work);
}

/* ---- what comes after it was redacted ---- */

static bool
has_key(const Row *row, EventColumn column, const char *key)
{
	return !row->nulls[column] && jsonb_container(&DatumGetJsonbP(row->values[column])->root, key) != NULL;
}

bool
repeats_others(const Row *row)
{
	static const char *const keys[] = {"prev_content", "invite_room_state", "knock_room_state", "m.relations"};

	for (int i = 0; i < lengthof(keys); i++)
		if (has_key(row, COLUMN_UNSIGNED, keys[i]) || has_key(row, COLUMN_EXTRA, keys[i]))
			return true;
	return false;
}

void
redact_repeated(Store *store, List *rows)
{
	static const Oid types[] = {INT8OID};
	Columns    *ids = make_columns(1, types);
	Datum	   *values;
	ListCell   *cell;

	if (rows == NIL)
		return;
	foreach(cell, rows)
	{
		add_row(ids);
		put_datum(ids, 0, ((Row *) lfirst(cell))->values[COLUMN_STREAM_ID]);
	}
	values = as_arrays(ids);
	run_redacting(store, PLAN_REPEATS_PREVIOUS, values, NULL);
	run_redacting(store, PLAN_REPEATS_STRIPPED, values, NULL);
	run_redacting(store, PLAN_REPEATS_BUNDLES, values, NULL);
}

/* ---- all over again ---- */

/*
 * matrix.apply_redactions(events regclass) returns void: redacts whatever a
 * redaction of the store takes away and that is still there.  Nothing, but for
 * rows that were changed by other ways than the store's.  Behind matrix.rebuild;
 * raises 42501 unless the caller owns the table.
 */
PG_FUNCTION_INFO_V1(apply_redactions);
Datum
apply_redactions(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	Relation	events;
	Store	   *store;
	AsOwner		before;
	int			guc;
	int64		from = PG_INT64_MIN;
	uint64		found;

	if (!owns_table(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relation));
	events = table_open(relation, RowExclusiveLock);
	store = get_store(events);
	guc = enter_store(store, &before);
	do
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events redactions", ALLOCSET_DEFAULT_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(context);
		Datum		value = Int64GetDatum(from);
		List	   *rows = NIL;
		List	   *targets = NIL;
		ListCell   *cell;

		found = run_latest(store, PLAN_REDACTIONS, &value, NULL);
		for (uint64 i = 0; i < found; i++)
			rows = lappend(rows, row_from_spi(i));
		SPI_freetuptable(SPI_tuptable);
		foreach(cell, rows)
		{
			from = row_position(lfirst(cell));
			targets = find_targets(events, store, make_redaction(events, store, lfirst(cell)), targets);
		}
		redact_all(events, store, targets, NULL);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(context);
		CHECK_FOR_INTERRUPTS();
	} while (found > 0);
	leave_store(guc, before);
	table_close(events, NoLock);
	PG_RETURN_VOID();
}
