/*
 * derive.h - from events to derived tables: what the three derivations share
 *
 * A Fold is one statement's worth of events.  Each derivation does the same
 * steps with it: lock and load the rows that the events touch, in the order of
 * their keys; fold the events in the order of the stream; store the rows.
 *
 * Where an event comes after one with a higher position was folded already (its
 * transaction was slower), the rows it touches are folded again from the stream.
 */
#ifndef MATRIX_EVENTS_DERIVE_H
#define MATRIX_EVENTS_DERIVE_H

#include "binding.h"

#include "core/call.h"
#include "core/presence.h"
#include "executor/spi.h"

/* An event that changes derived rows.  Strings are the Fold's. */
typedef struct FoldEvent
{
	int64		stream_id;
	int64		ts;				/* ms: the earlier of its own time and when it was received */
	mx_string	event_id;
	mx_string	type;
	mx_string	room_id;		/* text NULL: outside rooms */
	mx_string	sender;
	mx_string	state_key;		/* text NULL: no state event */
	Jsonb	   *content;
	const mx_value *value;		/* the content as a tree; made when first needed */
	const Row  *row;			/* all of it; NULL: of a history that is read */
	bool		again;			/* it was there before: it is folded again since it is redacted */
	bool		refused;		/* it must not stay: see calls.c */
	/* Of an m.room.member event, once it is folded. */
	bool		is_first;		/* of its user in its room */
	mx_membership before;
	mx_membership after;
	mx_member_change change;
	/* Of an m.presence event, once it is folded. */
	bool		is_news;		/* others are to be told */
	mx_presence_state presence;
} FoldEvent;

/* A call that an event changed, for those who listen. */
typedef struct CallNews
{
	const FoldEvent *event;
	mx_string	call_id;
	mx_string	caller;			/* text NULL: not known */
	mx_call_state state;
	mx_call_end end;
} CallNews;

typedef enum FoldMode
{
	FOLD_INSERTED,				/* events that a statement has just inserted */
	FOLD_LOOK,					/* none: what this transaction has inserted may have been redacted */
	FOLD_STREAM,				/* the stream from its beginning, into empty tables */
	FOLD_DELETED				/* events that are gone: fold what is left of their keys */
} FoldMode;

typedef struct Fold
{
	Store	   *store;
	FoldMode	mode;
	MemoryContext context;		/* of all that the fold holds */
	mx_arena	arena;
	FoldEvent **events;			/* in the order of the stream */
	int			count;
	int			size;
	bool		late;			/* some member was folded again: members of before are not known */
	List	   *call_news;
	List	   *targets;		/* of redactions: see redaction.c */
	List	   *repeating;		/* rows that repeat contents of other events */
} Fold;

/* What a statement tells, by channel; see push.c. */
typedef enum Channel
{
	CHANNEL_MEMBER,
	CHANNEL_PRESENCE,
	CHANNEL_CALL,
	CHANNELS
} Channel;

typedef struct Payload
{
	StringInfoData entries;		/* JSON objects with commas between */
	int64		last;			/* position of the last event, left out or not; 0: none */
	bool		more;			/* not all fitted */
} Payload;

typedef struct Push
{
	Store	   *store;
	const char *store_json;		/* its name as a JSON string */
	Payload		payloads[CHANNELS];
} Push;

/* push.c */
extern bool start_push(Push *push, Store *store);
extern void push_fold(Fold *fold, Push *push);
extern void end_push(Push *push);

/* The columns that event_from_row reads. */
#define EVENT_COLUMNS_SQL \
	"e.stream_id, e.event_id, e.type, e.room_id, e.sender, e.state_key, " \
	"LEAST(e.origin_server_ts, e.received_ts), coalesce(e.kept, e.content)"
/* Which events count; sql/25_derive.sql has the same words. */
#define COUNTS_SQL "e.stream_id > 0 AND " SHOWN_SQL

/* Which events are shown in a room, history among them. */
#define SHOWN_SQL \
	"e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE"

/*
 * The last valid edit of an event o of an outer query; %1$s is the store's
 * schema.  Redacted content has no edits any more.
 */
#define EDIT_SQL \
	"SELECT e.* FROM %1$s.events e " \
	"WHERE matrix.relates_to(e.content) COLLATE \"C\" = o.event_id AND matrix.rel_type(e.content) COLLATE \"C\" = 'm.replace' " \
	"AND e.type = o.type AND e.room_id IS NOT DISTINCT FROM o.room_id AND e.sender IS NOT DISTINCT FROM o.sender " \
	"AND e.state_key IS NULL AND o.state_key IS NULL AND o.content <> '{}' " \
	"AND matrix.rel_type(o.content) COLLATE \"C\" IS DISTINCT FROM 'm.replace' " \
	"AND (jsonb_typeof(e.content->'m.new_content') = 'object' OR e.type = 'm.room.encrypted') AND " SHOWN_SQL " " \
	"ORDER BY e.origin_server_ts DESC NULLS LAST, e.event_id DESC LIMIT 1"

/* The statements that are kept; see plans.c. */
typedef enum PlanId
{
	PLAN_STATE_LOOK,
	PLAN_STATE_LOCK,
	PLAN_STATE_STORE,
	PLAN_STATE_ADD,
	PLAN_STATE_HISTORY,
	PLAN_STATE_FORGET,
	PLAN_PRESENCE_LOOK,
	PLAN_PRESENCE_LOCK,
	PLAN_PRESENCE_STORE,
	PLAN_PRESENCE_ADD,
	PLAN_PRESENCE_HISTORY,
	PLAN_PRESENCE_FORGET,
	PLAN_CALL_LOAD,
	PLAN_CALL_STORE,
	PLAN_CALL_LATER,
	PLAN_CALL_HISTORY,
	PLAN_CALL_FORGET,
	PLAN_CALL_JOINED,
	PLAN_QUEUE_PUSH,
	PLAN_REFUSE,
	PLAN_QUARANTINE,
	PLAN_HIDE_REFUSED,
	PLAN_POWER_LEVELS,
	PLAN_LOCK_EVENT,
	PLAN_REDACT,
	PLAN_REDACT_PREVIOUS,
	PLAN_REDACT_STRIPPED,
	PLAN_REDACT_BUNDLES,
	PLAN_REDACT_BESIDE,
	PLAN_REDACT_REASON,
	PLAN_REPEATS_PREVIOUS,
	PLAN_REPEATS_STRIPPED,
	PLAN_REPEATS_BUNDLES,
	PLAN_REDACTIONS,
	PLAN_REDACTIONS_AFTER,
	PLAN_OWN_EVENT,
	/* Of reading.c, with the rights of the caller. */
	PLAN_EVENT,
	PLAN_TIMELINE_BACK,
	PLAN_TIMELINE_ON,
	PLAN_CONTEXT,
	PLAN_STATE_AT,
	/* Of related.c, the same. */
	PLAN_RELATIONS_BACK,
	PLAN_RELATIONS_ON,
	PLAN_REACTIONS,
	PLAN_EDIT,
	/* Of search.c, the same. */
	PLAN_SEARCHED_BELOW,
	PLAN_SEARCHED_ABOVE,
	PLAN_SEARCH_HITS,
	PLAN_SEARCH_WINDOW,
	PLAN_MENTIONS_BACK,
	PLAN_MENTIONS_ON,
	PLANS
} PlanId;

/* derive.c */
extern const mx_value *content_of(Fold *fold, FoldEvent *event);
extern bool is_type(const FoldEvent *event, const char *type);
/* An event is being taken out because it was refused: nothing was derived from it. */
extern bool refusing;
/* A row of events as it is now that it is redacted: what derives from it is folded again. */
extern void fold_again(Fold *fold, const Row *row);
extern void fold_look(Relation events);

/* targets.c */
extern void find_redacted(Fold *fold, Relation events);
extern void redact_found(Fold *fold, Relation events);

/* plans.c */
extern FoldEvent *event_from_row(int row);
/* A text as a string of the current context. */
extern mx_string string_copy(Datum value, bool isnull);
/* Runs a plan, mostly over arrays; rows are in SPI_tuptable. */
StaticAssertDecl(PLANS <= KEPT_PLANS, "a store keeps every plan");
extern uint64 run_plan(Store *store, PlanId id, Datum *values);
/* The same, seeing what was committed until now in any isolation level; nulls NULL: none is. */
extern uint64 run_latest(Store *store, PlanId id, const Datum *values, const bool *nulls);
/* The same for reading, with the rows going elsewhere. */
extern void read_plan(Store *store, PlanId id, const Datum *values, const bool *nulls, DestReceiver *into);

/* The columns of a set of rows, as arrays: parameters of a plan. */
typedef struct Columns
{
	int			columns;
	int			rows;
	int			size;
	const Oid  *types;			/* of the elements */
	Datum	  **values;
	bool	  **nulls;
} Columns;

extern Columns *make_columns(int columns, const Oid *types);
extern void add_row(Columns *set);
extern void put_string(Columns *set, int column, mx_string value);	/* text NULL: null */
extern void put_int(Columns *set, int column, int64 value, int64 null);
extern void put_datum(Columns *set, int column, Datum value);
extern Datum *as_arrays(Columns *set);

/* The current row of SPI_tuptable. */
extern mx_string row_string(int row, int column);
extern int64 row_int(int row, int column, int64 null);
extern Datum row_datum(int row, int column, bool *isnull);
/* A row of all columns of events. */
extern Row *row_from_spi(int row);

/* What every row of room_state and presence_state has while it is folded. */
typedef struct FoldRow
{
	int64		stream_id;		/* of the last event folded; 0: none yet */
	FoldEvent  *last;			/* NULL: the row is as it was */
	bool		again;			/* it was folded from its first event on */
} FoldRow;

/* How a derivation makes rows of events, for fold.c. */
typedef struct Derivation
{
	bool		(*concerns) (const FoldEvent *event);
	int			(*compare) (const FoldEvent *a, const FoldEvent *b);	/* by key */
	bool		(*last_wins) (const FoldEvent *event);	/* events before it make no difference */
	size_t		row_size;		/* of what begins with a FoldRow */
	void		(*clear) (FoldRow *row);	/* what is not 0 where there was no event */
	void		(*load) (FoldRow *row, int i);
	void		(*fold) (Fold *fold, FoldRow *row, FoldEvent *event);
	void		(*put_key) (Columns *keys, const FoldEvent *event);
	void		(*put) (Columns *rows, const FoldRow *row);
	int			key_columns;
	int			columns;		/* the key's among them, first */
	const Oid  *types;
	PlanId		look;
	PlanId		add;
	PlanId		lock;			/* the key's number, stream_id and what load reads */
	PlanId		store;
	PlanId		history;
	PlanId		forget;
} Derivation;

extern void fold_rows(Fold *fold, const Derivation *how);

/* state.c, presence.c, calls.c */
extern const Derivation state_derivation;
extern const Derivation presence_derivation;
extern void fold_calls(Fold *fold);
extern void lock_calls(Fold *fold);

#endif
