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
#include "executor/tuptable.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* The Matrix epoch is Unix's; PostgreSQL's is 2000-01-01. */
#define EPOCH_SHIFT_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

typedef struct Row
{
	Datum		values[EVENT_COLUMNS];
	bool		nulls[EVENT_COLUMNS];
} Row;

static int64
now_ms(void)
{
	return GetCurrentTimestamp() / 1000 + EPOCH_SHIFT_MS;
}

/* ---- the event of a row that came by columns ---- */

static void
add_column(mx_builder *builder, const Row *row, EventColumn column, const char *key)
{
	text	   *value;

	if (row->nulls[column])
		return;
	value = DatumGetTextPP(row->values[column]);
	mx_build_key(builder, key, strlen(key));
	mx_build_string(builder, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

static void
add_jsonb_column(mx_builder *builder, const Row *row, EventColumn column, const char *key)
{
	if (row->nulls[column])
		return;
	mx_build_key(builder, key, strlen(key));
	build_from_jsonb(builder, DatumGetJsonbP(row->values[column]));
}

/* The members of extra stand beside the columns' keys: {...extra, ...columns}. */
static void
add_extra(mx_builder *builder, const Row *row)
{
	ReadEvent	extra;
	static const mx_path top = {NULL, NULL, 0, 0};
	static const mx_path path = {&top, "extra", 5, 0};

	if (row->nulls[COLUMN_EXTRA])
		return;
	begin_read(&extra);
	read_jsonb(&extra, DatumGetJsonbP(row->values[COLUMN_EXTRA]));
	if (extra.violations.count > 0)
		mx_violations_take(builder->violations, &extra.violations);
	else if (extra.root->kind != MX_OBJECT)
		mx_violate(builder->violations, MX_TYPE, &path, "must be an object, not %s", mx_kind_name(extra.root));
	else if (extra.root->u.children != NULL)
	{
		mx_open    *open = builder->innermost;
		mx_value   *child = extra.root->u.children;

		*open->tail = child;
		while (child->next != NULL)
			child = child->next;
		open->tail = &child->next;
		open->container->length += extra.root->length;
	}
}

static void
read_columns(ReadEvent *read, const Row *row, int64 now)
{
	mx_builder	builder;

	mx_builder_init(&builder, &read->arena, &read->violations);
	mx_build_open(&builder, MX_OBJECT);
	add_column(&builder, row, COLUMN_TYPE, "type");
	add_column(&builder, row, COLUMN_ROOM_ID, "room_id");
	add_column(&builder, row, COLUMN_SENDER, "sender");
	add_column(&builder, row, COLUMN_EVENT_ID, "event_id");
	add_column(&builder, row, COLUMN_STATE_KEY, "state_key");
	/* An event that is made here happens now. */
	if (!row->nulls[COLUMN_ORIGIN_SERVER_TS] || !row->nulls[COLUMN_ROOM_ID])
	{
		char		number[32];

		snprintf(number, sizeof(number), INT64_FORMAT,
				 row->nulls[COLUMN_ORIGIN_SERVER_TS] ? now :
				 DatumGetInt64(row->values[COLUMN_ORIGIN_SERVER_TS]));
		mx_build_key(&builder, "origin_server_ts", 16);
		mx_build_number(&builder, pstrdup(number), strlen(number));
	}
	add_jsonb_column(&builder, row, COLUMN_CONTENT, "content");
	add_jsonb_column(&builder, row, COLUMN_UNSIGNED, "unsigned");
	add_extra(&builder, row);
	mx_build_close(&builder);
	read->root = builder.root;
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

static void
put_text(Row *row, EventColumn column, const mx_value *value)
{
	row->nulls[column] = value == NULL;
	if (value != NULL)
		row->values[column] = PointerGetDatum(text_from_value(value));
}

static void
put_jsonb(Row *row, EventColumn column, const mx_value *value)
{
	row->nulls[column] = value == NULL;
	if (value != NULL)
		row->values[column] = JsonbPGetDatum(jsonb_from_value(value));
}

/* A top-level key that has no column. */
static bool
has_no_column(const mx_value *member, const void *unused)
{
	static const char *const keys[] = {
		"type", "room_id", "sender", "event_id", "state_key", "origin_server_ts", "content", "unsigned"
	};

	for (int i = 0; i < lengthof(keys); i++)
		if (mx_key_is(member, keys[i]))
			return false;
	return true;
}

static const mx_value *
extra_of(ReadEvent *read)
{
	const mx_value *extra = mx_select(&read->arena, read->root, has_no_column, NULL);

	return extra->length == 0 ? NULL : extra;
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

static void
fill_row(Row *row, ReadEvent *read, const mx_event *event, text *raw, int64 now)
{
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
	put_jsonb(row, COLUMN_UNSIGNED, event->unsigned_data);
	put_jsonb(row, COLUMN_EXTRA, extra_of(read));
	row->nulls[COLUMN_RAW] = !read->nul_replaced;
	row->values[COLUMN_RAW] = read->nul_replaced ? PointerGetDatum(raw) : (Datum) 0;
}

/* ---- an event that is there already ---- */

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

/* Most events change no derived row: messages, history, what a server flagged. */
static bool
changes_derived(const mx_event *event, const Row *row)
{
	static const EventColumn flags[] = {COLUMN_OUTLIER, COLUMN_REJECTED, COLUMN_SOFT_FAILED};

	if (DatumGetInt64(row->values[COLUMN_STREAM_ID]) < 0)
		return false;
	for (int i = 0; i < lengthof(flags); i++)
		if (!row->nulls[flags[i]] && DatumGetBool(row->values[flags[i]]))
			return false;
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
	int64		now = now_ms();
	Datum	   *values = palloc(sizeof(Datum) * descriptor->natts);
	bool	   *nulls = palloc(sizeof(bool) * descriptor->natts);

	heap_deform_tuple(tuple, descriptor, values, nulls);
	memcpy(row.values, values, sizeof(row.values));
	memcpy(row.nulls, nulls, sizeof(row.nulls));
	begin_read(&read);
	if (row.nulls[COLUMN_RAW])
		read_columns(&read, &row, now);
	else
	{
		raw = DatumGetTextPP(row.values[COLUMN_RAW]);
		options.text_length = VARSIZE_ANY_EXHDR(raw);
		read_json_text(&read, VARDATA_ANY(raw), VARSIZE_ANY_EXHDR(raw));
	}
	options.nul_replaced = read.nul_replaced;
	if (read.root != NULL)
		mx_event_check(read.root, store->types, &options, &event, &read.violations);
	if (read.violations.count > 0)
	{
		if (on_invalid == ON_INVALID_ERROR)
			raise_violations(&read.violations);
		quarantine(store, raw_of_row(&read, raw), &read.violations);
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
			quarantine(store, raw_of_row(&read, raw), &read.violations);
		}
		return NULL;
	}
	give_position(&row, store);
	row.values[COLUMN_DERIVES] = BoolGetDatum(true);
	row.nulls[COLUMN_DERIVES] = !changes_derived(&event, &row);
	if (!row.nulls[COLUMN_DERIVES])
		note_event(events, DatumGetInt64(row.values[COLUMN_STREAM_ID]));
	memcpy(values, row.values, sizeof(row.values));
	memcpy(nulls, row.nulls, sizeof(row.nulls));
	return heap_form_tuple(descriptor, values, nulls);
}

/* An event is what was sent: only unsigned, which a server adds, may change. */
static void
refuse_change(Relation events, HeapTuple before, HeapTuple after)
{
	TupleDesc	descriptor = RelationGetDescr(events);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		bool		was_null;
		bool		is_null;
		Datum		was = heap_getattr(before, i + 1, descriptor, &was_null);
		Datum		is = heap_getattr(after, i + 1, descriptor, &is_null);

		if (i == COLUMN_UNSIGNED || attribute->attisdropped)
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
	{
		refuse_change(trigger->tg_relation, trigger->tg_trigtuple, trigger->tg_newtuple);
		result = trigger->tg_newtuple;
	}
	return PointerGetDatum(result);
}
