/*
 * row.c - a row of events and the event as a tree: from one to the other
 *
 * Datums of a row point to wherever the row came from; a tree made of a row
 * points into it.
 */
#include "binding.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

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

void
read_row(ReadEvent *read, const Row *row, int64 now)
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

/* ---- taking the event apart ---- */

void
put_text(Row *row, EventColumn column, const mx_value *value)
{
	row->nulls[column] = value == NULL;
	if (value != NULL)
		row->values[column] = PointerGetDatum(text_from_value(value));
}

void
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

const mx_value *
extra_of(ReadEvent *read)
{
	const mx_value *extra = mx_select(&read->arena, read->root, has_no_column, NULL);

	return extra->length == 0 ? NULL : extra;
}

/* ---- one column ---- */

void
row_from_tuple(Row *row, HeapTuple tuple, TupleDesc descriptor)
{
	Datum	   *values = palloc(sizeof(Datum) * descriptor->natts);
	bool	   *nulls = palloc(sizeof(bool) * descriptor->natts);

	heap_deform_tuple(tuple, descriptor, values, nulls);
	memcpy(row->values, values, sizeof(row->values));
	memcpy(row->nulls, nulls, sizeof(row->nulls));
}

mx_string
row_text(const Row *row, EventColumn column)
{
	text	   *value;

	if (row->nulls[column])
		return (mx_string) {NULL, 0};
	value = DatumGetTextPP(row->values[column]);
	return (mx_string) {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

void
put_column(Row *row, EventColumn column, mx_string value)
{
	row->nulls[column] = value.text == NULL;
	if (value.text != NULL)
		row->values[column] = PointerGetDatum(cstring_to_text_with_len(value.text, value.length));
}

int64
row_position(const Row *row)
{
	return DatumGetInt64(row->values[COLUMN_STREAM_ID]);
}

/* Not flagged as something that a server did not accept. */
bool
row_is_shown(const Row *row)
{
	static const EventColumn flags[] = {COLUMN_OUTLIER, COLUMN_REJECTED, COLUMN_SOFT_FAILED};

	for (int i = 0; i < lengthof(flags); i++)
		if (!row->nulls[flags[i]] && DatumGetBool(row->values[flags[i]]))
			return false;
	return true;
}

/* ---- rows by an index ---- */

Relation
open_index(Oid index, LOCKMODE lock)
{
	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the store has lost an index that it needs"),
				 errhint("events must have its primary key, the unique index on event_id, events_state, events_relation and events_redacts, "
						 "as matrix.create_store makes them.")));
	return index_open(index, lock);
}

Snapshot
latest_snapshot(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	snapshot->curcid = GetCurrentCommandId(false) + 1;
	return snapshot;
}

static IndexScanDesc
start_key_scan(Relation events, Relation index, Snapshot snapshot, const mx_string *keys, int count)
{
	IndexScanDesc scan = begin_index_scan(events, index, snapshot, count);
	ScanKeyData conditions[MAX_KEYS];

	for (int i = 0; i < count; i++)
		ScanKeyEntryInitialize(&conditions[i], 0, i + 1, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ,
							   PointerGetDatum(cstring_to_text_with_len(keys[i].text, keys[i].length)));
	index_rescan(scan, conditions, count, NULL, 0);
	return scan;
}

List *
find_rows(Relation events, Oid index_oid, const mx_string *keys, int count)
{
	/* The lock that the insertion holds: it need not be asked for again. */
	Relation	index = open_index(index_oid, RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(events, NULL);
	Snapshot	snapshot = latest_snapshot();
	IndexScanDesc scan = start_key_scan(events, index, snapshot, keys, count);
	List	   *found = NIL;

	while (index_getnext_slot(scan, ForwardScanDirection, slot))
	{
		Row		   *row = palloc(sizeof(*row));

		row_from_tuple(row, ExecCopySlotHeapTuple(slot), RelationGetDescr(events));
		found = lappend(found, row);
	}
	index_endscan(scan);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, RowExclusiveLock);
	return found;
}

bool
is_in_index(Relation events, Oid index_oid, mx_string key)
{
	Relation	index = open_index(index_oid, RowExclusiveLock);
	IndexScanDesc scan = start_key_scan(events, index, SnapshotAny, &key, 1);
	bool		found = index_getnext_tid(scan, ForwardScanDirection) != NULL;

	index_endscan(scan);
	index_close(index, RowExclusiveLock);
	return found;
}
