/*
 * state.c - the current state of rooms, members among it
 *
 * A row is a function of the events with its room, type and state key: the last
 * one, and for m.room.member what became of the membership on the way.
 */
#include "derive.h"

#include "catalog/pg_type.h"

static int
compare_keys(const FoldEvent *a, const FoldEvent *b)
{
	int			order = mx_compare(a->room_id, b->room_id);

	if (order == 0)
		order = mx_compare(a->type, b->type);
	if (order == 0)
		order = mx_compare(a->state_key, b->state_key);
	return order;
}

static int
compare_events(const void *a, const void *b)
{
	const FoldEvent *left = *(FoldEvent *const *) a;
	const FoldEvent *right = *(FoldEvent *const *) b;
	int			order = compare_keys(left, right);

	return order != 0 ? order : left->stream_id < right->stream_id ? -1 : left->stream_id > right->stream_id;
}

/* A row of room_state while it is folded. */
typedef struct StateRow
{
	int64		stream_id;		/* of the last event folded; 0: none yet */
	FoldEvent  *last;			/* NULL: as it was */
	mx_room_member member;
} StateRow;

static void
load_row(StateRow *row, int i)
{
	mx_string	membership = row_string(i, 3);
	mx_string	kind = row_string(i, 4);

	row->stream_id = row_int(i, 2, 0);
	if (membership.text == NULL)
		return;
	row->member.membership = mx_membership_named(membership);
	row->member.change = mx_member_change_named(kind);
	row->member.since = row_int(i, 5, 0);
	row->member.since_ts = row_int(i, 6, 0);
	row->member.displayname = row_string(i, 7);
	row->member.avatar_url = row_string(i, 8);
}

static void
fold_event(Fold *fold, StateRow *row, FoldEvent *event)
{
	row->last = event;
	row->stream_id = event->stream_id;
	if (!is_type(event, "m.room.member"))
		return;
	event->before = mx_member_fold(&row->member, content_of(fold, event),
								   mx_same(event->sender, event->state_key), event->stream_id, event->ts);
	event->after = row->member.membership;
}

/* Fold the key's events again, from the first one on. */
static void
fold_history(Fold *fold, StateRow *row, const FoldEvent *key)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	Columns    *one = make_columns(3, types);
	uint64		found;
	FoldEvent **events;

	add_row(one);
	put_string(one, 0, key->room_id);
	put_string(one, 1, key->type);
	put_string(one, 2, key->state_key);
	found = run_plan(fold, PLAN_STATE_HISTORY, as_arrays(one));
	events = palloc(sizeof(*events) * (found + 1));
	for (uint64 i = 0; i < found; i++)
		events[i] = event_from_row(i);
	memset(row, 0, sizeof(*row));
	for (uint64 i = 0; i < found; i++)
		fold_event(fold, row, events[i]);
}

static void
put_state(Columns *rows, const StateRow *row)
{
	const FoldEvent *event = row->last;
	bool		member = is_type(event, "m.room.member");

	add_row(rows);
	put_string(rows, 0, event->room_id);
	put_string(rows, 1, event->type);
	put_string(rows, 2, event->state_key);
	put_string(rows, 3, event->event_id);
	put_int(rows, 4, event->stream_id, 0);
	put_string(rows, 5, event->sender);
	put_int(rows, 6, event->ts, -1);
	put_datum(rows, 7, JsonbPGetDatum(event->content));
	if (!member)
		return;
	put_string(rows, 8, mx_string_from(mx_membership_name(row->member.membership)));
	put_string(rows, 9, mx_string_from(mx_member_change_name(row->member.change)));
	put_int(rows, 10, row->member.since, 0);
	put_int(rows, 11, row->member.since_ts, -1);
}

static const Oid key_types[] = {TEXTOID, TEXTOID, TEXTOID};
static const Oid row_types[] = {
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID, JSONBOID, TEXTOID, TEXTOID, INT8OID, INT8OID
};

static void
put_key(Columns *keys, const FoldEvent *event)
{
	add_row(keys);
	put_string(keys, 0, event->room_id);
	put_string(keys, 1, event->type);
	put_string(keys, 2, event->state_key);
}

/* events are in the order of keys.  False: a row has come to be meanwhile; again. */
static bool
fold_keys(Fold *fold, FoldEvent **events, int count, Columns *keys)
{
	Columns    *rows = make_columns(12, row_types);
	Columns    *gone = make_columns(3, key_types);
	StateRow   *states = palloc0(sizeof(*states) * keys->rows);
	uint64		found = 0;

	/*
	 * Keys that have no row yet get an empty one, so that all rows can be
	 * locked in one order, whoever else is about to make them.  A single key
	 * needs no order: its row is locked, or added when it is ready.
	 */
	if (keys->rows > 1)
		run_plan(fold, PLAN_STATE_CLAIM, as_arrays(keys));
	found = run_plan(fold, PLAN_STATE_LOCK, as_arrays(keys));
	if (found != keys->rows && keys->rows > 1)
		elog(ERROR, "%s.room_state has lost a row", fold->store->schema);
	for (uint64 i = 0; i < found; i++)
		load_row(&states[row_int(i, 1, 0) - 1], i);

	for (int i = 0, key = -1; i < count; i++)
	{
		StateRow   *row;
		bool		first = i == 0 || compare_keys(events[i - 1], events[i]) != 0;

		if (first)
			key++;
		row = &states[key];
		if (fold->mode == FOLD_DELETED || events[i]->stream_id <= row->stream_id)
		{
			if (fold->mode != FOLD_DELETED && !is_type(events[i], "m.room.member"))
				continue;		/* the last one wins, and is there */
			fold->late = true;
			fold_history(fold, row, events[i]);
			/* All of the key's events are folded now. */
			while (i + 1 < count && compare_keys(events[i], events[i + 1]) == 0)
				i++;
			if (row->last == NULL)
				put_key(gone, events[i]);
			continue;
		}
		fold_event(fold, row, events[i]);
	}

	for (int key = 0; key < keys->rows; key++)
		if (states[key].last != NULL)
			put_state(rows, &states[key]);
	if (found == 0 && rows->rows > 0)
		return run_plan(fold, PLAN_STATE_ADD, as_arrays(rows)) == 1;
	if (rows->rows > 0)
		run_plan(fold, PLAN_STATE_STORE, as_arrays(rows));
	if (gone->rows > 0)
		run_plan(fold, PLAN_STATE_FORGET, as_arrays(gone));
	return true;
}

void
fold_state(Fold *fold)
{
	FoldEvent **events = palloc(sizeof(*events) * (fold->count + 1));
	int			count = 0;
	Columns    *keys = make_columns(3, key_types);

	for (int i = 0; i < fold->count; i++)
		if (fold->events[i]->state_key.text != NULL && fold->events[i]->room_id.text != NULL)
			events[count++] = fold->events[i];
	if (count == 0)
		return;
	qsort(events, count, sizeof(*events), compare_events);
	for (int i = 0; i < count; i++)
		if (i == 0 || compare_keys(events[i - 1], events[i]) != 0)
			put_key(keys, events[i]);

	while (!fold_keys(fold, events, count, keys))
		;
}
