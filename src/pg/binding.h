/*
 * binding.h - between PostgreSQL and the core
 *
 * Trees and violations live in the memory context that is current when they
 * are made, unless said otherwise.
 */
#ifndef MATRIX_EVENTS_BINDING_H
#define MATRIX_EVENTS_BINDING_H

#include "compat.h"

#include "core/event.h"
#include "core/identity.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* Columns of matrix.event, which only ever grows at its end. */
typedef enum EventColumn
{
	COLUMN_STREAM_ID,
	COLUMN_EVENT_ID,
	COLUMN_TYPE,
	COLUMN_ROOM_ID,
	COLUMN_SENDER,
	COLUMN_STATE_KEY,
	COLUMN_ORIGIN_SERVER_TS,
	COLUMN_RECEIVED_TS,
	COLUMN_CONTENT,
	COLUMN_UNSIGNED,
	COLUMN_EXTRA,
	COLUMN_RAW,
	COLUMN_MARK,
	COLUMN_OUTLIER,
	COLUMN_REJECTED,
	COLUMN_SOFT_FAILED,
	COLUMN_DERIVES,
	COLUMN_REDACTS,
	COLUMN_REDACTED_BY,
	COLUMN_KEPT,
	EVENT_COLUMNS
} EventColumn;

/* A row of events.  Datums are owned by whoever made the row. */
typedef struct Row
{
	Datum		values[EVENT_COLUMNS];
	bool		nulls[EVENT_COLUMNS];
} Row;

typedef enum PushMode
{
	PUSH_COMMIT,
	PUSH_RELAY,
	PUSH_OFF
} PushMode;

/* A store's settings, as far as the binding looks at them. */
typedef struct StoreSettings
{
	bool		presence_only_online;
	bool		presence_equal_level;
	bool		calls_any_room;
	bool		redact_same_sender_only;
	int64		presence_granularity;	/* ms */
	PushMode	push;
} StoreSettings;

/* How many statements a store keeps; see derive.h. */
#define KEPT_PLANS	56

/* What a backend knows of a store, by its events table; see store.c. */
typedef struct Store
{
	Oid			events;			/* hash key */
	bool		valid;
	Oid			owner;
	Oid			sequence;
	Oid			backfill_sequence;
	StoreSettings settings;
	struct _SPI_plan *plans[KEPT_PLANS];	/* for the schema of this name and this search expression */
	Oid			event_id_index;
	Oid			position_index;
	Oid			room_index;
	Oid			state_index;
	Oid			relation_index;
	Oid			redacts_index;
	Oid			redaction_sequence;
	Oid			call_state;
	char	   *name;
	char	   *schema;			/* its name, quoted for SQL */
	char	   *search_expression;	/* of the index events_search, in SQL */
	ArrayType  *search_configs; /* text[]; NULL: there are no settings */
	mx_types   *types;			/* the built-in ones and the store's own */
	MemoryContext context;		/* of the types and the configurations */
} Store;

typedef enum OnInvalid
{
	ON_INVALID_ERROR,
	ON_INVALID_QUARANTINE
} OnInvalid;

extern int	on_invalid;			/* the setting matrix_events.on_invalid */
extern bool notify;				/* the setting matrix_events.notify */
extern bool in_batch;			/* matrix.take_batch is at work */

/* module.c: the core's memory comes from a context, its regexes from PostgreSQL. */
extern void arena_in(mx_arena *arena, MemoryContext context);
extern const mx_regex matrix_regex;

/* read.c: in */
typedef struct ReadEvent
{
	mx_arena	arena;
	mx_violations violations;
	const mx_value *root;		/* NULL: not JSON, see violations */
	bool		nul_replaced;	/* the text had \u0000, the tree has U+FFFD */
} ReadEvent;

extern void read_json_text(ReadEvent *read, char *text, int length);
/* Begins as well; U+0000 is carried over. */
extern void read_exactly(ReadEvent *read, text *json);
extern void read_jsonb(ReadEvent *read, Jsonb *jsonb);
extern void build_from_jsonb(mx_builder *builder, Jsonb *jsonb);
extern void begin_read(ReadEvent *read);

/* read.c: out */
extern Jsonb *jsonb_from_value(const mx_value *value);
extern Jsonb *jsonb_from_violations(const mx_violations *violations);
extern text *text_from_value(const mx_value *string);

/* row.c: now is the time of an event of a room without one, ms */
extern void read_row(ReadEvent *read, const Row *row, int64 now);
extern void row_from_tuple(Row *row, HeapTuple tuple, TupleDesc descriptor);
extern mx_string row_text(const Row *row, EventColumn column);
extern int64 row_position(const Row *row);
extern bool row_is_shown(const Row *row);
extern void put_column(Row *row, EventColumn column, mx_string value);	/* text NULL: null */
extern void put_text(Row *row, EventColumn column, const mx_value *value);
extern void put_jsonb(Row *row, EventColumn column, const mx_value *value);
/* The top-level members of an event that have no column; NULL: there are none. */
extern const mx_value *extra_of(ReadEvent *read);

/* One of a store's indexes; raises 55000 when it is not there. */
extern Relation open_index(Oid index, LOCKMODE lock);

/* What is committed now, and all that we have done, this command included; to be unregistered. */
extern Snapshot latest_snapshot(void);

/* The rows of an index with these keys, at most MAX_KEYS, as latest_snapshot sees them, in its order.  Copies in the current context. */
#define MAX_KEYS	3
extern List *find_rows(Relation events, Oid index_oid, const mx_string *keys, int count);

/* Whether there is a row with this key, or was, of open transactions as well. */
extern bool is_in_index(Relation events, Oid index_oid, mx_string key);

/* identity.c */
extern void matrix_sha256(const char *bytes, size_t length, char *base64);	/* an mx_sha256 */
/* 32 bytes as MX_HASH_LENGTH characters. */
extern void base64_from_hash(const uint8 *hash, char *base64);

/*
 * relations.c: looking into a jsonb where it lies.  A container may be NULL or
 * no object; then there is nothing in it.  Strings are the jsonb's.
 */
extern JsonbContainer *jsonb_container(JsonbContainer *container, const char *key);
extern bool jsonb_string(JsonbContainer *container, const char *key, mx_string *string);
extern bool jsonb_is_true(JsonbContainer *container, const char *key);
/* What an event relates to, and how; false: to nothing, by an id that can be one. */
extern bool jsonb_relation(Jsonb *content, mx_string *event_id, mx_string *rel_type);

/* errors.c */
pg_noreturn extern void raise_violations(const mx_violations *violations);

/* derive.c: an event that is about to be inserted changes derived rows. */
extern void note_event(Relation events, int64 stream_id);

/* redaction.c */
extern bool redacting;			/* rows of events change because they are redacted */
extern const mx_room_version *room_version(Relation events, Store *store, mx_string room_id);
extern const mx_room_version *room_version_of_create(const mx_value *content);
/* Servers put contents of other events of its room into this row. */
extern bool repeats_others(const Row *row);
/* targets.c */
extern mx_string edited_id(const mx_value *content);
extern bool redact_on_arrival(Relation events, Store *store, Row *row, mx_string edited);
/* own.c: before a row is looked at; a row that is about to be inserted; one that an UPDATE has made repeat others; an id that was refused. */
extern void begin_row(Relation events, Store *store);
extern void note_row(Relation events, const Row *row, mx_string edited, bool open);
extern void note_change(Relation events, const Row *row);
extern void note_refused(Store *store, mx_string event_id);

/* How many events this session has skipped, and put into rejected. */
extern int64 known_count;
extern int64 refused_count;

/* store.c */
extern Store *get_store(Relation events);

/* Between the two, SPI is connected and the user is the store's owner. */
typedef struct AsOwner
{
	Oid			caller;
	int			context;
} AsOwner;

extern AsOwner become_owner(const Store *store);
extern void become_caller(AsOwner before);
/* The same, under a search path of pg_catalog; derive.c. */
extern int	enter_store(Store *store, AsOwner *before);
extern void leave_store(int guc, AsOwner before);
extern void quarantine(Store *store, text *raw, const mx_value *root, const mx_violations *violations);
extern void load_user_type(mx_types *types, mx_arena *arena, const char *name, Jsonb *schema,
						   mx_violations *violations);

#endif
