/*
 * events.c - the way of an event into its store: one BEFORE ROW trigger
 *
 * INSERT (raw), INSERT by columns and COPY all come through here.  The event is
 * read once into a tree, checked, and taken apart into the table's columns.
 *
 * Invariants: a row of events is a valid event; its stream_id comes from the
 * store's sequence whatever the user wrote; the transaction's id was taken
 * before the position, and mark is the next transaction id after it (what
 * readers need to know when no lower position can still appear).
 */
#include "binding.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_sequence.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "core/redact.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The Matrix epoch is Unix's; PostgreSQL's is 2000-01-01. */
#define EPOCH_SHIFT_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

static int64
now_ms(void)
{
	return GetCurrentTimestamp() / 1000 + EPOCH_SHIFT_MS;
}

/* What goes to rejected for a row without raw text: the event as JSON. */
static text *
raw_of_row(const ReadEvent *read, text *raw)
{
	if (raw != NULL)
		return raw;
	return cstring_to_text(JsonbToCString(NULL, &jsonb_from_value(read->root)->root, -1));
}

/* ---- taking the event apart ---- */

static mx_value *
string_value(ReadEvent *read, mx_string string)
{
	mx_value   *value = mx_alloc(&read->arena, sizeof(*value));

	*value = (mx_value) {.kind = MX_STRING, .length = string.length};
	value->u.text = string.text;
	return value;
}

static const mx_room_version *
version_of_event(Relation events, Store *store, const mx_event *event)
{
	if (mx_equals_text(event->type, "m.room.create"))
		return room_version_of_create(event->content);
	return room_version(events, store, mx_string_of(event->room_id));
}

/*
 * The ids that follow from an event's hash, where the room's version makes them
 * so and the event has a content hash.
 */
static void
identify(Relation events, Store *store, ReadEvent *read, mx_event *event)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	static const mx_path path = {&top, "room_id", 7, 0};
	const mx_value *hash = mx_member(mx_member(read->root, "hashes"), "sha256");
	const mx_room_version *version;
	mx_string	id;

	if (!event->in_room || (event->event_id != NULL && event->room_id != NULL))
		return;
	if (event->event_id == NULL && hash != NULL && hash->kind == MX_STRING)
	{
		version = version_of_event(events, store, event);
		id = mx_room_has(version, MX_EVENT_ID_IS_HASH) ? mx_event_id(&read->arena, read->root, version, matrix_sha256) : (mx_string) {NULL, 0};
		if (id.text != NULL)
			event->event_id = string_value(read, id);
	}
	if (event->room_id != NULL)
		return;
	version = version_of_event(events, store, event);
	if (event->event_id == NULL || !mx_room_has(version, MX_ROOM_ID_IS_HASH))
		mx_violate(&read->violations, MX_MISSING, &path, "is required");
	else
	{
		char	   *room_id = mx_format(&read->arena, "!%.*s", (int) event->event_id->length - 1, event->event_id->u.text + 1);

		event->room_id = string_value(read, mx_string_from(room_id));
	}
}

/* A local event id: 43 characters after the sigil, as the ids of rooms are. */
static Datum
new_event_id(void)
{
	uint8		random[32];
	char		id[1 + MX_HASH_LENGTH] = "$";

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random event_id")));
	base64_from_hash(random, id + 1);
	mx_url_safe(id + 1, MX_HASH_LENGTH);
	return PointerGetDatum(cstring_to_text_with_len(id, sizeof(id)));
}

static bool
is_no_redaction(const mx_value *member, const void *unused)
{
	return !mx_key_is(member, "redacted_because");
}

/* Whether an event is redacted, the store says: what a server claims of it does not count. */
static const mx_value *
without_redaction(ReadEvent *read, const mx_value *object)
{
	return mx_member(object, "redacted_because") == NULL ? object : mx_select(&read->arena, object, is_no_redaction, NULL);
}

static void
fill_row(Row *row, ReadEvent *read, const mx_event *event, text *raw, int64 now)
{
	const mx_value *extra;

	put_text(row, COLUMN_TYPE, event->type);
	put_text(row, COLUMN_ROOM_ID, event->room_id);
	put_text(row, COLUMN_SENDER, event->sender);
	put_text(row, COLUMN_STATE_KEY, event->state_key);
	put_text(row, COLUMN_EVENT_ID, event->event_id);
	if (event->event_id == NULL)
	{
		row->values[COLUMN_EVENT_ID] = new_event_id();
		row->nulls[COLUMN_EVENT_ID] = false;
	}
	row->nulls[COLUMN_ORIGIN_SERVER_TS] = event->origin_server_ts == NULL;
	if (event->origin_server_ts != NULL)
		row->values[COLUMN_ORIGIN_SERVER_TS] = Int64GetDatum(event->origin_server_ts->u.integer);
	/* An import may say when its server took the event; nobody may say later than now. */
	if (row->nulls[COLUMN_RECEIVED_TS] || DatumGetInt64(row->values[COLUMN_RECEIVED_TS]) > now)
		row->values[COLUMN_RECEIVED_TS] = Int64GetDatum(now);
	row->nulls[COLUMN_RECEIVED_TS] = false;
	put_jsonb(row, COLUMN_CONTENT, event->content);
	put_jsonb(row, COLUMN_UNSIGNED, event->unsigned_data == NULL ? NULL : without_redaction(read, event->unsigned_data));
	extra = extra_of(read);
	if (extra != NULL)
		extra = without_redaction(read, extra);
	put_jsonb(row, COLUMN_EXTRA, extra == NULL || extra->length == 0 ? NULL : extra);
	row->nulls[COLUMN_REDACTS] = row->nulls[COLUMN_REDACTED_BY] = row->nulls[COLUMN_KEPT] = true;
	row->nulls[COLUMN_RAW] = !read->nul_replaced;
	row->values[COLUMN_RAW] = read->nul_replaced ? PointerGetDatum(raw) : (Datum) 0;
}

/* ---- an event that is there already ---- */

int64		known_count = 0;
int64		refused_count = 0;

/* The transaction that has inserted an event of our batch, when we last met one. */
static TransactionId other_writer = InvalidTransactionId;

/*
 * Two batches with the same events would wait for each other.  So we do not wait
 * while we hold anything: matrix.take_batch rolls back, and begins again after
 * wait_for_batch.
 */
static void
fail_batch(TransactionId writer)
{
	other_writer = writer;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
			 errmsg("another transaction is inserting an event of this batch")));
}

/*
 * matrix.wait_for_batch(events regclass) returns void: waits for that
 * transaction.  Of those who begin again one is at work at a time.
 */
PG_FUNCTION_INFO_V1(wait_for_batch);
Datum
wait_for_batch(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag;

	/* The last field keeps it apart from users' advisory locks, and from those of derive.h. */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, PG_GETARG_OID(0), 0, 8);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	if (TransactionIdIsValid(other_writer))
		XactLockTableWait(other_writer, NULL, NULL, XLTW_None);
	other_writer = InvalidTransactionId;
	PG_RETURN_VOID();
}

/* matrix.batch_counts() returns (known bigint, refused bigint): of this session. */
PG_FUNCTION_INFO_V1(batch_counts);
Datum
batch_counts(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[] = {Int64GetDatum(known_count), Int64GetDatum(refused_count)};
	bool		nulls[] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "matrix.batch_counts is declared with another result type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

static bool
same_datum(Datum a, bool a_null, Datum b, bool b_null, EventColumn column)
{
	if (a_null || b_null)
		return a_null == b_null;
	if (column == COLUMN_ORIGIN_SERVER_TS)
		return DatumGetInt64(a) == DatumGetInt64(b);
	return DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, a, b));
}

/*
 * Look for a row with this event_id, one of an open transaction included: its
 * end is waited for, as the unique index would.  *conflict: it is another event.
 */
static bool
is_known(Relation events, const Store *store, const Row *row, bool *conflict)
{
	static const EventColumn identity[] = {
		COLUMN_TYPE, COLUMN_ROOM_ID, COLUMN_SENDER, COLUMN_STATE_KEY, COLUMN_ORIGIN_SERVER_TS
	};
	Relation	index;
	TupleTableSlot *slot;
	SnapshotData dirty;
	IndexScanDesc scan;
	ScanKeyData key;
	bool		found = false;
	TransactionId wait_for;

	if (!OidIsValid(store->event_id_index))
		return false;
	index = index_open(store->event_id_index, RowExclusiveLock);
	slot = table_slot_create(events, NULL);
	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID,
						   F_TEXTEQ, row->values[COLUMN_EVENT_ID]);
	InitDirtySnapshot(dirty);
	do
	{
		wait_for = InvalidTransactionId;
		scan = begin_index_scan(events, index, &dirty, 1);
		index_rescan(scan, &key, 1, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, slot))
		{
			wait_for = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
			if (!TransactionIdIsValid(wait_for))
			{
				found = true;
				*conflict = false;
				for (int i = 0; i < lengthof(identity); i++)
				{
					bool		isnull;
					Datum		stored = slot_getattr(slot, identity[i] + 1, &isnull);

					if (!same_datum(stored, isnull, row->values[identity[i]], row->nulls[identity[i]], identity[i]))
						*conflict = true;
				}
			}
		}
		index_endscan(scan);
		ExecClearTuple(slot);
		if (TransactionIdIsValid(wait_for) && in_batch)
			fail_batch(wait_for);
		if (TransactionIdIsValid(wait_for))
			XactLockTableWait(wait_for, events, NULL, XLTW_None);
	} while (TransactionIdIsValid(wait_for));
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, RowExclusiveLock);
	return found;
}

/* ---- the trigger ---- */

/* A session that keeps positions in stock gives them out late. */
static void
check_sequence(const Store *store)
{
	HeapTuple	tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(store->sequence));
	Form_pg_sequence form;
	bool		wrong;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for sequence %u", store->sequence);
	form = (Form_pg_sequence) GETSTRUCT(tuple);
	wrong = form->seqcache != 1 || form->seqincrement < 1 || form->seqcycle;
	ReleaseSysCache(tuple);
	if (wrong)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sequence events_stream_id of store \"%s\" cannot give stream positions", store->name),
				 errdetail("Positions must rise in the order in which they are given: a cache of 1, a positive increment, no cycle."),
				 errhint("ALTER SEQUENCE %s.events_stream_id CACHE 1 INCREMENT 1 NO CYCLE.", store->schema)));
}

static void
give_position(Row *row, const Store *store)
{
	bool		history;

	check_sequence(store);
	(void) GetTopFullTransactionId();
	/* Who wrote a negative position brings history. */
	history = !row->nulls[COLUMN_STREAM_ID] && DatumGetInt64(row->values[COLUMN_STREAM_ID]) < 0;
	row->values[COLUMN_STREAM_ID] = Int64GetDatum(nextval_internal(history ? store->backfill_sequence : store->sequence, false));
	row->nulls[COLUMN_STREAM_ID] = false;
	row->values[COLUMN_MARK] = UInt64GetDatum(U64FromFullTransactionId(ReadNextFullTransactionId()));
	row->nulls[COLUMN_MARK] = false;
}

/*
 * Most events change no other row: messages, what a server flagged, history but
 * for what it redacts and who may redact.
 */
static bool
changes_derived(const mx_event *event, const Row *row)
{
	if (!row_is_shown(row))
		return false;
	if (!row->nulls[COLUMN_REDACTS])
		return true;
	if (row_position(row) < 0)
		return mx_equals_text(event->type, "m.room.power_levels") || mx_equals_text(event->type, "m.room.create");
	return event->state_key != NULL || event->kind == MX_KIND_PRESENCE ||
		(event->type->length > 7 && memcmp(event->type->u.text, "m.call.", 7) == 0);
}

static HeapTuple
take_event(Relation events, HeapTuple tuple)
{
	Store	   *store = get_store(events);
	TupleDesc	descriptor = RelationGetDescr(events);
	ReadEvent	read;
	mx_event	event;
	mx_event_options options = {.id_given_later = true};
	Row			row;
	text	   *raw = NULL;
	bool		conflict;
	mx_string	edited;
	bool		open = false;
	int64		now = now_ms();
	Datum	   *values = palloc(sizeof(Datum) * descriptor->natts);
	bool	   *nulls = palloc(sizeof(bool) * descriptor->natts);

	heap_deform_tuple(tuple, descriptor, values, nulls);
	memcpy(row.values, values, sizeof(row.values));
	memcpy(row.nulls, nulls, sizeof(row.nulls));
	begin_read(&read);
	if (row.nulls[COLUMN_RAW])
		read_row(&read, &row, now);
	else
	{
		raw = DatumGetTextPP(row.values[COLUMN_RAW]);
		options.text_length = VARSIZE_ANY_EXHDR(raw);
		read_json_text(&read, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw));
	}
	options.nul_replaced = read.nul_replaced;
	if (read.root != NULL)
		mx_event_check(read.root, store->types, &options, &event, &read.violations);
	if (read.violations.count == 0)
		identify(events, store, &read, &event);
	if (read.violations.count > 0)
	{
		if (on_invalid == ON_INVALID_ERROR)
			raise_violations(&read.violations);
		quarantine(store, raw_of_row(&read, raw), read.root, &read.violations);
		return NULL;
	}

	fill_row(&row, &read, &event, raw, now);
	if (on_invalid == ON_INVALID_QUARANTINE && event.event_id != NULL &&
		is_known(events, store, &row, &conflict))
	{
		if (conflict)
		{
			static const mx_path top = {NULL, NULL, 0, 0};
			static const mx_path path = {&top, "event_id", 8, 0};

			mx_violate(&read.violations, MX_CONFLICT, &path, "belongs to another event of this store");
			quarantine(store, raw_of_row(&read, raw), read.root, &read.violations);
		}
		else
			known_count++;
		return NULL;
	}
	if (event.room_id != NULL)
	{
		begin_row(events, store);
		if (mx_equals_text(event.type, "m.room.redaction") && row_is_shown(&row))
			put_column(&row, COLUMN_REDACTS, mx_redacts(read.root, room_version(events, store, mx_string_of(event.room_id))));
		edited = event.state_key == NULL ? edited_id(event.content) : (mx_string) {NULL, 0};
		/* Nobody has named an id that is made here. */
		if (event.event_id != NULL || edited.text != NULL)
			open = redact_on_arrival(events, store, &row, edited);
	}
	give_position(&row, store);
	row.values[COLUMN_DERIVES] = BoolGetDatum(true);
	row.nulls[COLUMN_DERIVES] = !changes_derived(&event, &row);
	if (!row.nulls[COLUMN_DERIVES])
		note_event(events, row_position(&row));
	if (event.room_id != NULL)
		note_row(events, &row, edited, open);
	memcpy(values, row.values, sizeof(row.values));
	memcpy(nulls, row.nulls, sizeof(row.nulls));
	return heap_form_tuple(descriptor, values, nulls);
}

/*
 * An event is what was sent: only unsigned, which a server adds, may change.  Of
 * a redacted event it is the store's, and stays.
 */
static HeapTuple
change_event(Relation events, HeapTuple before, HeapTuple after)
{
	TupleDesc	descriptor = RelationGetDescr(events);
	Row			row;

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		bool		was_null;
		bool		is_null;
		Datum		was = heap_getattr(before, i + 1, descriptor, &was_null);
		Datum		is = heap_getattr(after, i + 1, descriptor, &is_null);

		if (i == COLUMN_UNSIGNED || attribute->attisdropped || redacting)
			continue;
		if (was_null && is_null)
			continue;
		if (was_null != is_null || !datum_image_eq(was, is, attribute->attbyval, attribute->attlen))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" of an event cannot be changed", NameStr(attribute->attname)),
					 errdetail("An event is immutable: its identity and content are what was sent."),
					 errhint("To take content away, insert an m.room.redaction event that redacts it; "
							 "to replace a message, insert one that relates to it by m.replace.")));
	}
	if (redacting)
		return after;
	row_from_tuple(&row, after, descriptor);
	if (!row.nulls[COLUMN_REDACTED_BY])
	{
		int			column = COLUMN_UNSIGNED + 1;
		bool		is_null;
		Datum		stays = heap_getattr(before, column, descriptor, &is_null);

		return heap_modify_tuple_by_cols(after, descriptor, 1, &column, &stays, &is_null);
	}
	if (!row.nulls[COLUMN_ROOM_ID] && repeats_others(&row))
		note_change(events, &row);
	return after;
}

/*
 * matrix.events_before_row() returns trigger: on every store's events table,
 * BEFORE INSERT OR UPDATE, FOR EACH ROW.  Errors: 22032 (not JSON), 22030
 * (duplicate key), 22023 (any other rule), 55000 (UPDATE).
 */
PG_FUNCTION_INFO_V1(events_before_row);
Datum
events_before_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	HeapTuple	result;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.events_before_row is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		result = take_event(trigger->tg_relation, trigger->tg_trigtuple);
	else
		result = change_event(trigger->tg_relation, trigger->tg_trigtuple, trigger->tg_newtuple);
	return PointerGetDatum(result);
}
