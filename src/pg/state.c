/*
 * state.c - the current state of rooms, members among it
 *
 * A row is a function of the events with its room, type and state key: the last
 * one, and for m.room.member what became of the membership on the way.
 */
#include "derive.h"

#include "catalog/pg_type.h"

typedef struct StateRow
{
	FoldRow		row;
	mx_room_member member;
} StateRow;

static bool
is_state(const FoldEvent *event)
{
	return event->state_key.text != NULL && event->room_id.text != NULL && event->stream_id > 0;
}

static bool
is_no_member(const FoldEvent *event)
{
	return !is_type(event, "m.room.member");
}

static int
compare_state(const FoldEvent *a, const FoldEvent *b)
{
	int			order = mx_compare(a->room_id, b->room_id);

	if (order == 0)
		order = mx_compare(a->type, b->type);
	if (order == 0)
		order = mx_compare(a->state_key, b->state_key);
	return order;
}

static void
clear_state(FoldRow *row)
{
}

static void
load_state(FoldRow *row, int i)
{
	mx_room_member *member = &((StateRow *) row)->member;
	mx_string	membership = row_string(i, 3);

	if (membership.text == NULL)
		return;
	member->membership = mx_membership_named(membership);
	member->change = mx_member_change_named(row_string(i, 4));
	member->since = row_int(i, 5, 0);
	member->since_ts = row_int(i, 6, 0);
	member->displayname = row_string(i, 7);
	member->avatar_url = row_string(i, 8);
}

static void
fold_state(Fold *fold, FoldRow *row, FoldEvent *event)
{
	mx_room_member *member = &((StateRow *) row)->member;

	if (is_no_member(event))
		return;
	event->is_first = row->stream_id == 0;
	event->before = mx_member_fold(member, content_of(fold, event), mx_same(event->sender, event->state_key),
								   event->stream_id, event->ts);
	event->after = member->membership;
	event->change = member->change;
}

static void
put_state_key(Columns *keys, const FoldEvent *event)
{
	put_string(keys, 0, event->room_id);
	put_string(keys, 1, event->type);
	put_string(keys, 2, event->state_key);
}

static void
put_state(Columns *rows, const FoldRow *row)
{
	const FoldEvent *event = row->last;
	const mx_room_member *member = &((const StateRow *) row)->member;

	add_row(rows);
	put_state_key(rows, event);
	put_string(rows, 3, event->event_id);
	put_int(rows, 4, event->stream_id, 0);
	put_string(rows, 5, event->sender);
	put_int(rows, 6, event->ts, -1);
	put_datum(rows, 7, JsonbPGetDatum(event->content));
	if (is_no_member(event))
		return;
	put_string(rows, 8, mx_string_from(mx_membership_name(member->membership)));
	put_string(rows, 9, mx_string_from(mx_member_change_name(member->change)));
	put_int(rows, 10, member->since, 0);
	put_int(rows, 11, member->since_ts, -1);
}

static const Oid types[] = {
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TEXTOID, INT8OID, JSONBOID, TEXTOID, TEXTOID, INT8OID, INT8OID
};

const Derivation state_derivation = {
	.concerns = is_state,
	.compare = compare_state,
	.last_wins = is_no_member,
	.row_size = sizeof(StateRow),
	.clear = clear_state,
	.load = load_state,
	.fold = fold_state,
	.put_key = put_state_key,
	.put = put_state,
	.key_columns = 3,
	.columns = lengthof(types),
	.types = types,
	.look = PLAN_STATE_LOOK,
	.add = PLAN_STATE_ADD,
	.lock = PLAN_STATE_LOCK,
	.store = PLAN_STATE_STORE,
	.history = PLAN_STATE_HISTORY,
	.forget = PLAN_STATE_FORGET
};
