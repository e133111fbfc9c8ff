/*
 * calls.c - the calls of rooms
 *
 * A call's row is a function of the room's m.call.* events and of who joined
 * and left meanwhile; two calls meet in glare.  So calls are folded room by
 * room, under a lock on the room: exclusive for call events and where there are
 * calls, shared for member events elsewhere, which do not hold each other up.
 */
#include "derive.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"

typedef struct CallRow
{
	mx_call		call;
	int64		folded_id;		/* of the last event of this call that was looked at */
	bool		dirty;
	/* What those who listen know of it. */
	mx_call_state told_state;
	mx_call_end told_end;
	mx_string	told_party;
} CallRow;

typedef struct CallRoom
{
	mx_string	room_id;
	FoldEvent **events;			/* the statement's, in the order of the stream */
	int			count;
	bool		has_calls;		/* some of them are m.call.* */
	bool		concerned;		/* or the room has calls already */
	int64		joined;			/* members, at the event that is folded */
	List	   *calls;			/* of CallRow */
} CallRoom;

static bool
is_call(const FoldEvent *event)
{
	return event->type.length > 7 && memcmp(event->type.text, "m.call.", 7) == 0 && event->room_id.text != NULL;
}

static bool
is_member(const FoldEvent *event)
{
	return is_type(event, "m.room.member") && event->state_key.text != NULL && event->room_id.text != NULL;
}

/* ---- the locks ---- */

#define BUCKETS	256

/* Has the room any call?  One look at the index, since most members' rooms have none. */
static bool
has_call_rows(Fold *fold, mx_string room_id)
{
	Relation	calls = table_open(fold->store->call_state, AccessShareLock);
	Relation	index = index_open(primary_key_index(calls), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(calls, NULL);
	IndexScanDesc scan = begin_index_scan(calls, index, SnapshotSelf, 1);
	ScanKeyData key;
	bool		found;

	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(cstring_to_text_with_len(room_id.text, room_id.length)));
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(calls, AccessShareLock);
	return found;
}

/* The modes that the fold's events want now, by bucket. */
static void
wanted_modes(Fold *fold, LOCKMODE *modes)
{
	memset(modes, 0, sizeof(*modes) * BUCKETS);
	for (int i = 0; i < fold->count; i++)
	{
		const FoldEvent *event = fold->events[i];
		uint32		bucket;

		if (!is_call(event) && (!is_member(event) || event->again))
			continue;
		bucket = hash_bytes((const unsigned char *) event->room_id.text, event->room_id.length) % BUCKETS;
		if (modes[bucket] < ExclusiveLock)
			modes[bucket] = is_call(event) || has_call_rows(fold, event->room_id) ? ExclusiveLock : ShareLock;
	}
}

/*
 * Rooms share 256 locks, so that no statement can use up the server's lock
 * table.  The last field keeps them apart from users' advisory locks.
 */
static void
lock_tag(Fold *fold, int bucket, LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, fold->store->events, bucket, 3);
}

/*
 * Nothing else is locked by this statement yet.  Where a room got its first call
 * while a shared lock on it was waited for, all is given back and begun again:
 * to make a lock stronger could be a deadlock.
 */
void
lock_calls(Fold *fold)
{
	LOCKMODE	modes[BUCKETS];
	LOCKMODE	now[BUCKETS];
	LOCKTAG		tag;
	bool		enough;

	wanted_modes(fold, modes);
	for (;;)
	{
		for (int bucket = 0; bucket < BUCKETS; bucket++)
			if (modes[bucket] != NoLock)
			{
				lock_tag(fold, bucket, &tag);
				(void) LockAcquire(&tag, modes[bucket], false, false);
			}
		wanted_modes(fold, now);
		enough = true;
		for (int bucket = 0; bucket < BUCKETS; bucket++)
			enough &= now[bucket] <= modes[bucket];
		if (enough)
			return;
		for (int bucket = 0; bucket < BUCKETS; bucket++)
			if (modes[bucket] != NoLock)
			{
				lock_tag(fold, bucket, &tag);
				(void) LockRelease(&tag, modes[bucket], false);
				modes[bucket] = Max(modes[bucket], now[bucket]);
			}
	}
}

/* ---- what is told ---- */

static void
is_told(CallRow *row)
{
	row->told_state = row->call.state;
	row->told_end = row->call.end;
	row->told_party = row->call.selected_party;
}

/* Another state, or another party selected; not that something came before its invite. */
static void
tell(Fold *fold, CallRow *row, const FoldEvent *event)
{
	const mx_call *call = &row->call;
	CallNews   *news;

	if (row->told_state == call->state && row->told_end == call->end && mx_same(row->told_party, call->selected_party))
		return;
	is_told(row);
	if (fold->mode != FOLD_INSERTED || call->state == MX_CALL_PENDING)
		return;
	news = palloc(sizeof(*news));
	*news = (CallNews) {event, call->call_id, call->caller, call->state, call->end};
	fold->call_news = lappend(fold->call_news, news);
}

/* ---- rows in and out ---- */

static mx_call_word *
load_words(mx_string text)
{
	ReadEvent	read;
	mx_call_word *words = NULL;
	mx_call_word **tail = &words;

	if (text.text == NULL)
		return NULL;
	begin_read(&read);
	read_json_text(&read, unconstify(char *, text.text), text.length);
	if (read.root == NULL)
		return NULL;
	for (const mx_value *child = read.root->u.children; child != NULL; child = child->next)
	{
		mx_call_word *word = palloc0(sizeof(*word));

		word->type = mx_call_event_named(mx_string_of(mx_member(child, "type")));
		word->user = mx_string_of(mx_member(child, "user"));
		word->party = mx_string_of(mx_member(child, "party"));
		word->ts = (int64) mx_number(mx_member(child, "ts"));
		*tail = word;
		tail = &word->next;
	}
	return words;
}

static mx_string
words_text(Fold *fold, const mx_call_word *words)
{
	mx_builder	builder;
	char	   *text;

	if (words == NULL)
		return (mx_string) {NULL, 0};
	mx_builder_init(&builder, &fold->arena, NULL);
	mx_build_open(&builder, MX_ARRAY);
	for (const mx_call_word *word = words; word != NULL; word = word->next)
	{
		const char *type = word->type == MX_CALL_ANSWER ? "m.call.answer" :
			word->type == MX_CALL_REJECT ? "m.call.reject" : "m.call.select_answer";
		char	   *ts = psprintf(INT64_FORMAT, word->ts);

		mx_build_open(&builder, MX_OBJECT);
		mx_build_key(&builder, "type", 4);
		mx_build_string(&builder, type, strlen(type));
		mx_build_key(&builder, "user", 4);
		mx_build_string(&builder, word->user.text, word->user.length);
		if (word->party.text != NULL)
		{
			mx_build_key(&builder, "party", 5);
			mx_build_string(&builder, word->party.text, word->party.length);
		}
		mx_build_key(&builder, "ts", 2);
		mx_build_number(&builder, ts, strlen(ts));
		mx_build_close(&builder);
	}
	mx_build_close(&builder);
	text = JsonbToCString(NULL, &jsonb_from_value(builder.root)->root, -1);
	return mx_string_from(text);
}

static CallRow *
load_call(int i)
{
	CallRow    *row = palloc0(sizeof(*row));
	mx_call    *call = &row->call;
	mx_string	end;

	mx_call_init(call, row_string(i, 2));
	call->state = mx_call_state_named(row_string(i, 3));
	end = row_string(i, 4);
	call->end = end.text == NULL ? MX_END_NONE : mx_call_end_named(end);
	call->version = (int) row_int(i, 5, -1);
	call->two_party = row_int(i, 6, 0) != 0;
	call->caller = row_string(i, 7);
	call->caller_party = row_string(i, 8);
	call->invitee = row_string(i, 9);
	call->invite_event_id = row_string(i, 10);
	call->answer_user = row_string(i, 11);
	call->answer_party = row_string(i, 12);
	call->selected_party = row_string(i, 13);
	call->hangup_reason = row_string(i, 14);
	call->ended_by = row_string(i, 15);
	call->replaced_by = row_string(i, 16);
	call->invite_ts = row_int(i, 17, MX_NO_MS);
	call->expires_at = row_int(i, 18, MX_NO_MS);
	call->answered_ts = row_int(i, 19, MX_NO_MS);
	call->ended_ts = row_int(i, 20, MX_NO_MS);
	call->negotiated_ts = row_int(i, 21, MX_NO_MS);
	call->candidates = row_int(i, 22, 0);
	call->stream_id = row_int(i, 23, 0);
	row->folded_id = row_int(i, 24, 0);
	call->words = load_words(row_string(i, 25));
	is_told(row);
	return row;
}

static const Oid row_types[] = {
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID
};

static void
put_call(Fold *fold, Columns *rows, const CallRoom *room, const CallRow *row)
{
	const mx_call *call = &row->call;

	add_row(rows);
	put_string(rows, 0, room->room_id);
	put_string(rows, 1, call->call_id);
	put_string(rows, 2, mx_string_from(mx_call_state_name(call->state)));
	if (call->end != MX_END_NONE)
		put_string(rows, 3, mx_string_from(mx_call_end_name(call->end)));
	put_int(rows, 4, call->version, -1);
	put_int(rows, 5, call->version == -1 ? -1 : call->two_party, -1);
	put_string(rows, 6, call->caller);
	put_string(rows, 7, call->caller_party);
	put_string(rows, 8, call->invitee);
	put_string(rows, 9, call->invite_event_id);
	put_string(rows, 10, call->answer_user);
	put_string(rows, 11, call->answer_party);
	put_string(rows, 12, call->selected_party);
	put_string(rows, 13, call->hangup_reason);
	put_string(rows, 14, call->ended_by);
	put_string(rows, 15, call->replaced_by);
	put_int(rows, 16, call->invite_ts, MX_NO_MS);
	put_int(rows, 17, call->expires_at, MX_NO_MS);
	put_int(rows, 18, call->answered_ts, MX_NO_MS);
	put_int(rows, 19, call->ended_ts, MX_NO_MS);
	put_int(rows, 20, call->negotiated_ts, MX_NO_MS);
	put_int(rows, 21, call->candidates, -1);
	put_int(rows, 22, call->stream_id, -1);
	put_int(rows, 23, row->folded_id, -1);
	put_string(rows, 24, words_text(fold, call->words));
}

/* ---- folding ---- */

static CallRow *
find_call(CallRoom *room, mx_string call_id)
{
	ListCell   *cell;
	CallRow    *row;

	foreach(cell, room->calls)
	{
		row = lfirst(cell);
		if (mx_same(row->call.call_id, call_id))
			return row;
	}
	row = palloc0(sizeof(*row));
	mx_call_init(&row->call, call_id);
	room->calls = lappend(room->calls, row);
	return row;
}

static int
by_call_id(const ListCell *a, const ListCell *b)
{
	return mx_compare(((CallRow *) lfirst(a))->call.call_id, ((CallRow *) lfirst(b))->call.call_id);
}

/* The seed's rule: such calls only in rooms with exactly two participants. */
static bool
must_refuse(Fold *fold, const CallRoom *room, const mx_value *content)
{
	return fold->mode == FOLD_INSERTED && !fold->store->settings.calls_any_room &&
		mx_call_version(content) == 0 && room->joined > 0 && room->joined != 2;
}

static void
fold_call_event(Fold *fold, CallRoom *room, FoldEvent *event, bool own, bool tells)
{
	const mx_value *content = content_of(fold, event);
	mx_string	call_id = mx_string_of(mx_member(content, "call_id"));
	mx_call_event call_event = {
		.type = mx_call_event_named(event->type),
		.event_id = event->event_id,
		.sender = event->sender,
		.content = content,
		.stream_id = event->stream_id,
		.ts = event->ts
	};
	CallRow    *row;

	if (call_event.type == MX_CALL_OTHER || call_id.length == 0 || call_id.length > MX_MAX_CALL_ID)
		return;
	if (own && call_event.type == MX_CALL_INVITE && must_refuse(fold, room, content))
	{
		event->refused = true;
		return;
	}
	row = find_call(room, call_id);
	(void) mx_call_fold(&row->call, &call_event, room->joined == 2, &fold->arena);
	row->folded_id = event->stream_id;
	row->dirty = true;
	if (tells)
		tell(fold, row, event);
	if (call_event.type == MX_CALL_INVITE && row->call.state == MX_CALL_INVITED &&
		row->call.stream_id == event->stream_id)
	{
		ListCell   *cell;

		list_sort(room->calls, by_call_id);
		foreach(cell, room->calls)
		{
			CallRow    *other = lfirst(cell);

			if (other == row || mx_call_glare(&row->call, &other->call) == NULL)
				continue;
			other->dirty = true;
			if (tells)
			{
				tell(fold, row, event);
				tell(fold, other, event);
			}
		}
	}
}

static void
fold_member_event(Fold *fold, CallRoom *room, FoldEvent *event, bool tells)
{
	ListCell   *cell;
	bool		was_joined = event->before == MX_MEMBERSHIP_JOIN;
	bool		is_joined = event->after == MX_MEMBERSHIP_JOIN;

	room->joined += is_joined - was_joined;
	if (event->before == event->after || is_joined || (!was_joined && event->after != MX_MEMBERSHIP_LEAVE && event->after != MX_MEMBERSHIP_BAN))
		return;
	foreach(cell, room->calls)
	{
		CallRow    *row = lfirst(cell);

		if (mx_call_leave(&row->call, event->state_key, was_joined ? room->joined : INT64_MAX, event->stream_id, event->ts))
		{
			row->folded_id = event->stream_id;
			row->dirty = true;
			if (tells)
				tell(fold, row, event);
		}
	}
}

/* Tell how the room's calls differ from what they were, as far as we know that. */
static void
tell_difference(Fold *fold, CallRoom *room, List *known)
{
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, room->calls)
	{
		CallRow    *row = lfirst(cell);
		bool		was_known = false;

		foreach(other, known)
		{
			const CallRow *before = lfirst(other);

			if (!mx_same(before->call.call_id, row->call.call_id))
				continue;
			was_known = true;
			row->told_state = before->told_state;
			row->told_end = before->told_end;
			row->told_party = before->told_party;
		}
		for (int i = 0; i < room->count; i++)
			if (was_known || room->events[i]->stream_id == row->call.stream_id)
			{
				tell(fold, row, room->events[i]);
				break;
			}
	}
}

/* Fold all calls of the room again, from its first event on. */
static void
fold_room_history(Fold *fold, CallRoom *room)
{
	static const Oid types[] = {TEXTOID};
	Columns    *one = make_columns(1, types);
	uint64		found;
	FoldEvent **events;
	mx_membership *before;
	List	   *known;

	add_row(one);
	put_string(one, 0, room->room_id);
	found = run_latest(fold->store, PLAN_CALL_HISTORY, as_arrays(one), NULL);
	events = palloc(sizeof(*events) * (found + 1));
	before = palloc(sizeof(*before) * (found + 1));
	for (uint64 i = 0; i < found; i++)
	{
		mx_string	membership = row_string(i, 9);

		events[i] = event_from_row(i);
		before[i] = membership.text == NULL ? MX_MEMBERSHIP_LEAVE : mx_membership_named(membership);
	}
	known = room->calls;
	room->calls = NIL;
	room->joined = 0;
	for (uint64 i = 0; i < found; i++)
	{
		FoldEvent  *event = events[i];
		FoldEvent  *own = NULL;

		if (is_member(event))
		{
			mx_room_member member = {.membership = before[i]};

			event->before = mx_member_fold(&member, content_of(fold, event), false, event->stream_id, event->ts);
			event->after = member.membership;
			fold_member_event(fold, room, event, false);
			continue;
		}
		for (int j = 0; j < room->count; j++)
			if (room->events[j]->stream_id == event->stream_id && !room->events[j]->again)
				own = room->events[j];
		fold_call_event(fold, room, own != NULL ? own : event, own != NULL, false);
	}
	tell_difference(fold, room, known);
}

/* ---- a statement ---- */

static int
by_room(const void *a, const void *b)
{
	const FoldEvent *left = *(FoldEvent *const *) a;
	const FoldEvent *right = *(FoldEvent *const *) b;
	int			order = mx_compare(left->room_id, right->room_id);

	return order != 0 ? order : left->stream_id < right->stream_id ? -1 : left->stream_id > right->stream_id;
}

/* Has something of this room been folded that comes after the statement's first event? */
static bool
is_late(Fold *fold, CallRoom *room)
{
	static const Oid types[] = {TEXTOID, INT8OID};
	ListCell   *cell;
	Columns    *own;
	int64		first = room->events[0]->stream_id;

	if (fold->mode == FOLD_STREAM)
		return false;
	if (fold->mode == FOLD_DELETED || fold->late)
		return true;
	for (int i = 0; i < room->count; i++)
		if (room->events[i]->again)
			return true;
	foreach(cell, room->calls)
		if (((CallRow *) lfirst(cell))->folded_id > first)
			return true;
	if (!room->has_calls)
		return false;
	own = make_columns(2, types);
	for (int i = 0; i < room->count; i++)
	{
		add_row(own);
		put_string(own, 0, room->room_id);
		put_int(own, 1, room->events[i]->stream_id, 0);
	}
	return run_latest(fold->store, PLAN_CALL_LATER, as_arrays(own), NULL) > 0;
}

static void
count_joined(Fold *fold, CallRoom *room)
{
	static const Oid types[] = {TEXTOID};
	Columns    *one = make_columns(1, types);

	add_row(one);
	put_string(one, 0, room->room_id);
	run_latest(fold->store, PLAN_CALL_JOINED, as_arrays(one), NULL);
	room->joined = row_int(0, 1, 0);
	/* The statement's own members are there already: back to before them. */
	for (int i = 0; i < room->count; i++)
		if (is_member(room->events[i]))
			room->joined -= (room->events[i]->after == MX_MEMBERSHIP_JOIN) - (room->events[i]->before == MX_MEMBERSHIP_JOIN);
}

static void
refuse(Fold *fold, const FoldEvent *event)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	static const mx_path path = {&top, "room_id", 7, 0};
	static const Oid types[] = {INT8OID, TEXTOID};
	mx_violations violations;
	Columns    *one;

	mx_violations_init(&violations, &fold->arena);
	mx_violate(&violations, MX_TWO_PARTY, &path, "must be a room with exactly two joined members for a call of version 0");
	if (on_invalid == ON_INVALID_ERROR)
		raise_violations(&violations);
	one = make_columns(2, types);
	add_row(one);
	put_int(one, 0, event->stream_id, 0);
	put_string(one, 1, mx_string_from(JsonbToCString(NULL, &jsonb_from_violations(&violations)->root, -1)));
	refusing = true;
	PG_TRY();
	{
		run_plan(fold->store, PLAN_REFUSE, as_arrays(one));
		note_refused(fold->store, event->event_id);
		refused_count++;
	}
	PG_FINALLY();
	{
		refusing = false;
	}
	PG_END_TRY();
}

void
fold_calls(Fold *fold)
{
	static const Oid load_types[] = {TEXTOID};
	FoldEvent **events = palloc(sizeof(*events) * (fold->count + 1));
	int			count = 0;
	CallRoom   *rooms;
	int			room_count = 0;
	Columns    *load = make_columns(1, load_types);
	Columns    *ids = make_columns(1, load_types);
	Columns    *rows = make_columns(lengthof(row_types), row_types);
	Datum		load_values[4];
	int64		earliest = PG_INT64_MAX;
	uint64		found;

	for (int i = 0; i < fold->count; i++)
		if (is_call(fold->events[i]) || (is_member(fold->events[i]) && !fold->events[i]->again))
			events[count++] = fold->events[i];
	if (count == 0)
		return;
	qsort(events, count, sizeof(*events), by_room);
	rooms = palloc0(sizeof(*rooms) * count);
	for (int i = 0; i < count; i++)
	{
		CallRoom   *room;

		if (i == 0 || !mx_same(events[i - 1]->room_id, events[i]->room_id))
		{
			room = &rooms[room_count++];
			room->room_id = events[i]->room_id;
			room->events = &events[i];
		}
		room = &rooms[room_count - 1];
		room->count++;
		room->has_calls |= is_call(events[i]);
		earliest = Min(earliest, events[i]->ts);
		if (is_call(events[i]))
		{
			add_row(ids);
			put_string(ids, 0, mx_string_of(mx_member(content_of(fold, events[i]), "call_id")));
		}
	}
	for (int i = 0; i < room_count; i++)
		if (rooms[i].has_calls || has_call_rows(fold, rooms[i].room_id))
		{
			add_row(load);
			put_string(load, 0, rooms[i].room_id);
			rooms[i].concerned = true;
		}
	if (load->rows == 0)
		return;
	load_values[0] = as_arrays(load)[0];
	load_values[1] = as_arrays(ids)[0];
	load_values[2] = Int64GetDatum(fold->mode == FOLD_INSERTED ? fold->events[0]->stream_id : PG_INT64_MAX);
	/* An invite that was over before all this can no longer meet anything. */
	load_values[3] = Int64GetDatum(earliest);
	found = run_plan(fold->store, PLAN_CALL_LOAD, load_values);
	for (uint64 i = 0, at = 0; i < found; i++)
	{
		mx_string	room_id = row_string(i, 1);

		while (!mx_same(rooms[at].room_id, room_id))
			at++;
		rooms[at].calls = lappend(rooms[at].calls, load_call(i));
	}

	for (int i = 0; i < room_count; i++)
	{
		CallRoom   *room = &rooms[i];

		if (!room->concerned || (!room->has_calls && room->calls == NIL && fold->mode != FOLD_DELETED))
			continue;
		if (is_late(fold, room))
		{
			static const Oid forget_types[] = {TEXTOID};
			Columns    *one = make_columns(1, forget_types);
			ListCell   *cell;

			fold_room_history(fold, room);
			add_row(one);
			put_string(one, 0, room->room_id);
			run_plan(fold->store, PLAN_CALL_FORGET, as_arrays(one));
			foreach(cell, room->calls)
				((CallRow *) lfirst(cell))->dirty = true;
		}
		else
		{
			count_joined(fold, room);
			for (int j = 0; j < room->count; j++)
				if (is_member(room->events[j]))
					fold_member_event(fold, room, room->events[j], true);
				else
					fold_call_event(fold, room, room->events[j], true, true);
		}
		list_sort(room->calls, by_call_id);
		for (int j = 0; j < list_length(room->calls); j++)
			if (((CallRow *) list_nth(room->calls, j))->dirty)
				put_call(fold, rows, room, list_nth(room->calls, j));
	}
	if (rows->rows > 0)
		run_plan(fold->store, PLAN_CALL_STORE, as_arrays(rows));
	for (int i = 0; i < room_count; i++)
		for (int j = 0; j < rooms[i].count; j++)
			if (rooms[i].events[j]->refused)
				refuse(fold, rooms[i].events[j]);
}
