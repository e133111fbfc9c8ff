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
#include "utils/jsonb.h"
#include "utils/rel.h"

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
	EVENT_COLUMNS
} EventColumn;

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
	int64		presence_granularity;	/* ms */
	PushMode	push;
} StoreSettings;

/* How many statements the derivations keep; see derive.h. */
#define KEPT_PLANS	24

/* What a backend knows of a store, by its events table; see store.c. */
typedef struct Store
{
	Oid			events;			/* hash key */
	bool		valid;
	Oid			owner;
	Oid			sequence;
	Oid			backfill_sequence;
	StoreSettings settings;
	struct _SPI_plan *plans[KEPT_PLANS];	/* for the schema of this name */
	Oid			event_id_index;
	Oid			position_index;
	Oid			call_state;
	char	   *name;
	char	   *schema;			/* its name, quoted for SQL */
	mx_types   *types;			/* the built-in ones and the store's own */
	MemoryContext context;		/* of the types */
} Store;

typedef enum OnInvalid
{
	ON_INVALID_ERROR,
	ON_INVALID_QUARANTINE
} OnInvalid;

extern int	on_invalid;			/* the setting matrix_events.on_invalid */
extern bool notify;				/* the setting matrix_events.notify */

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
extern void read_jsonb(ReadEvent *read, Jsonb *jsonb);
extern void build_from_jsonb(mx_builder *builder, Jsonb *jsonb);
extern void begin_read(ReadEvent *read);

/* read.c: out */
extern Jsonb *jsonb_from_value(const mx_value *value);
extern Jsonb *jsonb_from_violations(const mx_violations *violations);
extern text *text_from_value(const mx_value *string);

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
extern void quarantine(Store *store, text *raw, const mx_violations *violations);
extern void load_user_type(mx_types *types, mx_arena *arena, const char *name, Jsonb *schema,
						   mx_violations *violations);

#endif
