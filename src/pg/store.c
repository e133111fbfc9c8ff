/*
 * store.c - what a backend knows of each store
 *
 * Kept by the oid of the store's events table.  A relcache message for that
 * table makes an entry stale; so matrix.register_event_type sends one.  A message
 * for any schema makes all of them stale, for it may have another name.  Stale
 * entries are rebuilt when they are next asked for, never in the callback.
 *
 * All SQL here runs as the owner of the store, with qualified names, the way
 * ri_triggers.c does it.
 */
#include "derive.h"

#include "access/genam.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

static HTAB *stores = NULL;

static void
forget_store(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS all;
	Store	   *store;

	hash_seq_init(&all, stores);
	while ((store = hash_seq_search(&all)) != NULL)
		if (relation == InvalidOid || relation == store->events)
			store->valid = false;
}

/* The store may have another name. */
static void
forget_stores(Datum arg, int cache, uint32 hash)
{
	forget_store(arg, InvalidOid);
}

static void
make_stores(void)
{
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(Store)};

	stores = hash_create("matrix_events stores", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget_store, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_stores, (Datum) 0);
}

/* An error restores the caller by itself. */
AsOwner
become_owner(const Store *store)
{
	AsOwner		before;

	GetUserIdAndSecContext(&before.caller, &before.context);
	SetUserIdAndSecContext(store->owner, before.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	return before;
}

void
become_caller(AsOwner before)
{
	SPI_finish();
	SetUserIdAndSecContext(before.caller, before.context);
}

void
load_user_type(mx_types *types, mx_arena *arena, const char *name, Jsonb *schema, mx_violations *violations)
{
	MemoryContext context = arena->owner;
	MemoryContext caller = MemoryContextSwitchTo(context);
	Jsonb	   *copy = (Jsonb *) PG_DETOAST_DATUM_COPY(PointerGetDatum(schema));
	char	   *kept = pstrdup(name);
	mx_builder	builder;

	mx_builder_init(&builder, arena, violations);
	build_from_jsonb(&builder, copy);
	if (violations->count == 0)
		mx_types_add(types, (mx_string) {kept, strlen(kept)}, builder.root, violations);
	MemoryContextSwitchTo(caller);
}

/* As it is now, whatever the caller's snapshot: it is kept for later statements.  Called as the owner. */
static void
read_latest(const char *query)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);

	if (plan == NULL || SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\"", query);
}

/* SELECT type, schema FROM <store>.event_types */
static void
load_user_types(Store *store)
{
	AsOwner		before = become_owner(store);
	char	   *query = psprintf("SELECT type, schema FROM %s.event_types", store->schema);
	mx_arena   *arena = MemoryContextAlloc(store->context, sizeof(*arena));

	arena_in(arena, store->context);
	store->types = mx_types_new(arena, &matrix_regex);
	read_latest(query);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		mx_violations violations;
		bool		isnull;
		Datum		schema = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &isnull);

		mx_violations_init(&violations, arena);
		load_user_type(store->types, arena, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1),
					   DatumGetJsonbP(schema), &violations);
	}
	become_caller(before);
}

/* SELECT ... FROM <store>.settings, which are of these types and not null unless their owner has changed them. */
static void
load_settings(Store *store)
{
	AsOwner		before = become_owner(store);
	char	   *query = psprintf("SELECT coalesce(presence_profile::text, '2015'), coalesce(presence_equal_level_bumps::boolean, false), "
								"coalesce(calls_any_room::boolean, false), coalesce(presence_granularity_ms::bigint, 60000), "
								"coalesce(push::text, 'off'), coalesce(redact_same_sender_only::boolean, false), "
								"coalesce(search_configs::text[], '{}'), matrix.search_expression(coalesce(search_configs::text[], '{}')) "
								"FROM %s.settings", store->schema);
	bool		isnull;

	read_latest(query);
	memset(&store->settings, 0, sizeof(store->settings));
	store->search_configs = NULL;
	store->search_expression = "NULL::pg_catalog.tsvector";
	if (SPI_processed == 1)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	descriptor = SPI_tuptable->tupdesc;
		char	   *push;
		MemoryContext mine = MemoryContextSwitchTo(store->context);

		store->search_configs = DatumGetArrayTypePCopy(SPI_getbinval(row, descriptor, 7, &isnull));
		store->search_expression = SPI_getvalue(row, descriptor, 8);
		MemoryContextSwitchTo(mine);
		store->settings.presence_only_online = strcmp(SPI_getvalue(row, descriptor, 1), "current") == 0;
		store->settings.presence_equal_level = DatumGetBool(SPI_getbinval(row, descriptor, 2, &isnull));
		store->settings.calls_any_room = DatumGetBool(SPI_getbinval(row, descriptor, 3, &isnull));
		store->settings.presence_granularity = DatumGetInt64(SPI_getbinval(row, descriptor, 4, &isnull));
		store->settings.redact_same_sender_only = DatumGetBool(SPI_getbinval(row, descriptor, 6, &isnull));
		push = SPI_getvalue(row, descriptor, 5);
		store->settings.push = strcmp(push, "commit") == 0 ? PUSH_COMMIT : strcmp(push, "relay") == 0 ? PUSH_RELAY : PUSH_OFF;
	}
	become_caller(before);
}

/* Kept plans have such texts in them; they go when one becomes another. */
static bool
keep_text(Store *store, char **kept, const char *text)
{
	if (*kept != NULL && strcmp(*kept, text) == 0)
		return false;
	for (int i = 0; i < KEPT_PLANS; i++)
		store->plans[i] = NULL;
	*kept = MemoryContextStrdup(TopMemoryContext, text);
	return true;
}

/* The condition of a partial index that leaves out only rows where one of its columns is null. */
static bool
is_not_null(Relation index, Node *condition)
{
	NullTest   *test = (NullTest *) condition;
	List	   *expressions = RelationGetIndexExpressions(index);
	Expr	   *column;

	if (!IsA(condition, NullTest) || test->nulltesttype != IS_NOT_NULL)
		return false;
	/* Without its collation, which the index has beside the expression. */
	column = IsA(test->arg, RelabelType) ? ((RelabelType *) test->arg)->arg : test->arg;
	if (expressions != NIL && equal(column, linitial(expressions)))
		return true;
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
		if (IsA(column, Var) && ((Var *) column)->varattno == index->rd_index->indkey.values[i])
			return true;
	return false;
}

/*
 * The btree of these columns (0: an expression, a text): by its name, or else the
 * unique one of all rows.  What its owner has put there instead is not read as
 * if it were this one.
 */
static bool
is_index_of(Relation index, const char *name, const AttrNumber *columns, int count)
{
	Form_pg_index form = index->rd_index;
	ListCell   *cell;

	if (name == NULL ? !form->indisunique || RelationGetIndexPredicate(index) != NIL : strcmp(name, RelationGetRelationName(index)) != 0)
		return false;
	if (!form->indisvalid || index->rd_rel->relam != BTREE_AM_OID || form->indnkeyatts != count)
		return false;
	for (int i = 0; i < count; i++)
		if (form->indkey.values[i] != columns[i] || (index->rd_indoption[i] & INDOPTION_DESC) != 0 ||
			(columns[i] != COLUMN_STREAM_ID + 1 && (index->rd_opcintype[i] != TEXTOID || index->rd_indcollation[i] != C_COLLATION_OID)))
			return false;
	foreach(cell, RelationGetIndexPredicate(index))
		if (!is_not_null(index, lfirst(cell)))
			return false;
	return true;
}

static Oid
find_index(Relation events, const char *name, const AttrNumber *columns, int count)
{
	Oid			found = InvalidOid;
	List	   *indexes = RelationGetIndexList(events);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (is_index_of(index, name, columns, count))
			found = RelationGetRelid(index);
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return found;
}

static void
find_indexes(Store *store, Relation events)
{
	static const AttrNumber position[] = {COLUMN_STREAM_ID + 1};
	static const AttrNumber event_id[] = {COLUMN_EVENT_ID + 1};
	static const AttrNumber room[] = {COLUMN_ROOM_ID + 1, COLUMN_STREAM_ID + 1};
	static const AttrNumber state[] = {COLUMN_ROOM_ID + 1, COLUMN_TYPE + 1, COLUMN_STATE_KEY + 1, COLUMN_STREAM_ID + 1};
	static const AttrNumber relation[] = {0, 0, COLUMN_TYPE + 1, COLUMN_STREAM_ID + 1};
	static const AttrNumber redacts[] = {COLUMN_REDACTS + 1};

	store->position_index = find_index(events, NULL, position, lengthof(position));
	store->event_id_index = find_index(events, NULL, event_id, lengthof(event_id));
	store->room_index = find_index(events, "events_room", room, lengthof(room));
	store->state_index = find_index(events, "events_state", state, lengthof(state));
	store->relation_index = find_index(events, "events_relation", relation, lengthof(relation));
	store->redacts_index = find_index(events, "events_redacts", redacts, lengthof(redacts));
}

static Oid
find_sequence(Relation events, const char *name)
{
	Oid			found = get_relname_relid(name, RelationGetNamespace(events));

	if (!OidIsValid(found) || get_rel_relkind(found) != RELKIND_SEQUENCE)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("store \"%s\" has no sequence %s", get_namespace_name(RelationGetNamespace(events)), name)));
	return found;
}

static void
build_store(Store *store, Relation events)
{
	Oid			schema = RelationGetNamespace(events);
	char	   *name = get_namespace_name(schema);
	MemoryContext context;
	Oid			event_type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("event"),
											 ObjectIdGetDatum(get_namespace_oid("matrix", false)));

	if (!OidIsValid(event_type) || events->rd_rel->reloftype != event_type ||
		strcmp(RelationGetRelationName(events), "events") != 0 ||
		RelationGetNumberOfAttributes(events) < EVENT_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not the events table of a store", RelationGetRelationName(events)),
				 errhint("Make a store with matrix.create_store.")));
	store->sequence = find_sequence(events, "events_stream_id");
	store->backfill_sequence = find_sequence(events, "events_backfill_id");
	store->redaction_sequence = find_sequence(events, "events_redactions");
	store->owner = events->rd_rel->relowner;
	find_indexes(store, events);
	store->call_state = get_relname_relid("call_state", schema);

	if (store->context != NULL)
		MemoryContextDelete(store->context);
	store->context = NULL;
	context = AllocSetContextCreate(CurrentMemoryContext, "matrix_events store", ALLOCSET_DEFAULT_SIZES);
	store->context = context;
	if (keep_text(store, &store->name, name))
		store->schema = MemoryContextStrdup(TopMemoryContext, quote_identifier(name));
	/* Had this failed, the context would have gone with its parent. */
	store->context = NULL;
	{
		Store		loading = *store;

		loading.context = context;
		load_user_types(&loading);
		load_settings(&loading);
		store->types = loading.types;
		store->settings = loading.settings;
		store->search_configs = loading.search_configs;
		keep_text(store, &store->search_expression, loading.search_expression);
	}
	MemoryContextSetParent(context, TopMemoryContext);
	store->context = context;
}

/* The store of an open events table; owned by the cache, good until the next call. */
Store *
get_store(Relation events)
{
	Oid			key = RelationGetRelid(events);
	Store	   *store;
	bool		found;

	if (stores == NULL)
		make_stores();
	store = hash_search(stores, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) store + sizeof(Oid), 0, sizeof(*store) - sizeof(Oid));
	if (!found || !store->valid)
	{
		/* A message that comes while it is built makes it stale again. */
		store->valid = true;
		PG_TRY();
		{
			build_store(store, events);
		}
		PG_CATCH();
		{
			store->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	return store;
}

/* The id of what was refused, as far as it has one that can be kept. */
static mx_string
id_of_refused(const mx_value *root)
{
	mx_string	id = mx_string_of(mx_member(root, "event_id"));

	return id.length > MX_MAX_ID || (id.text != NULL && memchr(id.text, '\0', id.length) != NULL) ? (mx_string) {NULL, 0} : id;
}

/*
 * Put an event into <store>.rejected; root NULL: it is no JSON.  Of a redacted
 * event nothing but its id is kept.
 */
void
quarantine(Store *store, text *raw, const mx_value *root, const mx_violations *violations)
{
	mx_string	id = id_of_refused(root);
	Datum		values[] = {
		PointerGetDatum(raw), JsonbPGetDatum(jsonb_from_violations(violations)),
		id.text == NULL ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(id.text, id.length))
	};
	bool		nulls[] = {false, false, id.text == NULL};
	AsOwner		before;
	int			guc = enter_store(store, &before);

	run_latest(store, PLAN_QUARANTINE, values, nulls);
	leave_store(guc, before);
	if (id.text != NULL)
		note_refused(store, id);
	refused_count++;
}

/*
 * matrix.check_event_schema(type text, schema jsonb) returns void: raises
 * 22023 for a schema that matrix_events does not understand or a type that is
 * built in.  Behind matrix.register_event_type.
 */
PG_FUNCTION_INFO_V1(check_event_schema);
Datum
check_event_schema(PG_FUNCTION_ARGS)
{
	char	   *type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	mx_violations violations;
	mx_arena	arena;

	if (strlen(type) > MX_MAX_ID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event type is longer than 255 bytes")));
	if (mx_types_is_built_in((mx_string) {type, strlen(type)}))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("event type \"%s\" is built in", type),
				 errhint("Register types of your own, such as org.example.poll.")));
	arena_in(&arena, CurrentMemoryContext);
	mx_violations_init(&violations, &arena);
	load_user_type(mx_types_new(&arena, &matrix_regex), &arena, type, PG_GETARG_JSONB_P(1), &violations);
	if (violations.count > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid JSON Schema for event type \"%s\": %s %s", type,
						violations.first->path[0] == '\0' ? "the schema" : violations.first->path,
						violations.first->message),
				 errhint("docs/reference.md lists the keywords of JSON Schema that are supported.")));
	PG_RETURN_VOID();
}

/*
 * matrix.settings_after_update() returns trigger: on every store's settings
 * table, AFTER UPDATE.  Every backend reads the store's settings again.
 */
PG_FUNCTION_INFO_V1(settings_after_update);
Datum
settings_after_update(PG_FUNCTION_ARGS)
{
	Oid			events;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.settings_after_update is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	events = get_relname_relid("events", RelationGetNamespace(((TriggerData *) fcinfo->context)->tg_relation));
	if (OidIsValid(events))
		CacheInvalidateRelcacheByRelid(events);
	return PointerGetDatum(NULL);
}

/*
 * matrix.forget_cached_types(events regclass) returns void: every backend
 * reads the store's event types again.  Raises 42501 unless the caller owns
 * the table.
 */
PG_FUNCTION_INFO_V1(forget_cached_types);
Datum
forget_cached_types(PG_FUNCTION_ARGS)
{
	Oid			events = PG_GETARG_OID(0);

	if (!owns_table(events, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(events));
	CacheInvalidateRelcacheByRelid(events);
	PG_RETURN_VOID();
}
