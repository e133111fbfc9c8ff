/*
 * targets.c - which redaction takes away which event
 *
 * All is looked for under the locks of own.c, so what other transactions have
 * inserted is either there to be seen, or they will see us.
 */
#include "redaction.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

/* ---- the targets of a redaction ---- */

/* An event that edits another as the specification wants it. */
static bool
is_edit_of(const Row *edit, const Row *original)
{
	return mx_same(row_text(edit, COLUMN_SENDER), row_text(original, COLUMN_SENDER)) &&
		mx_same(row_text(edit, COLUMN_ROOM_ID), row_text(original, COLUMN_ROOM_ID)) &&
		mx_same(row_text(edit, COLUMN_TYPE), row_text(original, COLUMN_TYPE)) &&
		edit->nulls[COLUMN_STATE_KEY] && original->nulls[COLUMN_STATE_KEY];
}

/* A redaction counts in its own room only; others with its target's id may be many. */
static bool
is_in_room_of(const Row *redaction, const Row *row)
{
	return mx_same(row_text(redaction, COLUMN_ROOM_ID), row_text(row, COLUMN_ROOM_ID));
}

/* The events that a redaction names: its target, and what edits that. */
List *
find_targets(Relation events, Store *store, Redaction *redaction, List *targets)
{
	mx_string	redacts = row_text(&redaction->row, COLUMN_REDACTS);
	mx_string	edits[] = {redacts, mx_string_from("m.replace")};
	List	   *found = find_rows(events, store->event_id_index, &redacts, 1);
	const Row  *original;
	ListCell   *cell;

	if (found == NIL || !is_in_room_of(&redaction->row, linitial(found)))
		return targets;
	original = linitial(found);
	targets = add_target(targets, original, redaction, false);
	foreach(cell, find_rows(events, store->relation_index, edits, lengthof(edits)))
		if (is_edit_of(lfirst(cell), original))
			targets = add_target(targets, lfirst(cell), redaction, true);
	return targets;
}

/* ---- the redactions of an event ---- */

/* The id of the event that this one edits by its content; text NULL: none. */
mx_string
edited_id(const mx_value *content)
{
	const mx_value *relation = mx_member(content, "m.relates_to");
	mx_string	id = mx_string_of(mx_member(relation, "event_id"));

	if (!mx_equals_text(mx_member(relation, "rel_type"), "m.replace") || id.length > MX_MAX_ID)
		return (mx_string) {NULL, 0};
	return id;
}

/* The redactions that name an id: that of a row of ours, or of what it edits. */
static List *
find_redactions(Relation events, Store *store, const Row *row, mx_string id)
{
	List	   *redactions = NIL;
	ListCell   *cell;

	/* Mostly there is none. */
	if (!is_in_index(events, store->redacts_index, id))
		return NIL;
	foreach(cell, find_rows(events, store->redacts_index, &id, 1))
		if (is_in_room_of(lfirst(cell), row))
			redactions = lappend(redactions, make_redaction(events, store, lfirst(cell)));
	return redactions;
}

/* Is the event there that a row edits as the specification wants it? */
static bool
has_original(Relation events, Store *store, const Row *edit, mx_string edited)
{
	List	   *found = find_rows(events, store->event_id_index, &edited, 1);

	return found != NIL && is_edit_of(edit, linitial(found));
}

void
look_at_row(Fold *fold, Relation events, const Row *row)
{
	mx_string	edited;
	mx_string	rel_type;
	ListCell   *cell;

	if (!row->nulls[COLUMN_REDACTS])
		fold->targets = find_targets(events, fold->store, make_redaction(events, fold->store, row), fold->targets);
	foreach(cell, find_redactions(events, fold->store, row, row_text(row, COLUMN_EVENT_ID)))
		fold->targets = find_targets(events, fold->store, lfirst(cell), fold->targets);
	if (jsonb_relation(DatumGetJsonbP(row->values[COLUMN_CONTENT]), &edited, &rel_type) && mx_same(rel_type, mx_string_from("m.replace")))
	{
		List	   *redactions = find_redactions(events, fold->store, row, edited);

		if (redactions != NIL && has_original(events, fold->store, row, edited))
			foreach(cell, redactions)
				fold->targets = add_target(fold->targets, row, lfirst(cell), true);
		else if (redactions != NIL)
			/* Its lock on the room lets us see the original, or that us. */
			fold->repeating = lappend(fold->repeating, unconstify(Row *, row));
	}
	if (repeats_others(row))
		fold->repeating = lappend(fold->repeating, unconstify(Row *, row));
}

/* ---- who may redact, changes ---- */

bool
sets_power_levels(const Row *row)
{
	mx_string	type = row_text(row, COLUMN_TYPE);

	return !row->nulls[COLUMN_ROOM_ID] && !row->nulls[COLUMN_STATE_KEY] && row_text(row, COLUMN_STATE_KEY).length == 0 &&
		(mx_same(type, mx_string_from("m.room.power_levels")) || mx_same(type, mx_string_from("m.room.create")));
}

/* Redactions that were judged before these power levels, which come before them in the stream. */
static void
find_judged(Fold *fold, Relation events)
{
	static const Oid types[] = {TEXTOID, INT8OID};
	Columns    *rooms = make_columns(1, types);
	Columns    *own = make_columns(1, types + 1);
	int64		first = PG_INT64_MAX;
	List	   *rows = NIL;
	ListCell   *cell;

	for (int i = 0; i < fold->count; i++)
	{
		const Row  *row = fold->events[i]->row;

		if (sets_power_levels(row))
		{
			add_row(rooms);
			put_string(rooms, 0, row_text(row, COLUMN_ROOM_ID));
			/* The version that a create event says is that of all that the room has. */
			first = mx_same(row_text(row, COLUMN_TYPE), mx_string_from("m.room.create")) ? PG_INT64_MIN : Min(first, row_position(row));
		}
		else if (!row->nulls[COLUMN_REDACTS])
		{
			add_row(own);
			put_int(own, 0, row_position(row), 0);
		}
	}
	if (rooms->rows > 0)
	{
		Datum		values[] = {as_arrays(rooms)[0], Int64GetDatum(first), as_arrays(own)[0]};
		uint64		found = run_latest(fold->store, PLAN_REDACTIONS_AFTER, values, NULL);

		for (uint64 i = 0; i < found; i++)
			rows = lappend(rows, row_from_spi(i));
	}
	foreach(cell, rows)
		fold->targets = find_targets(events, fold->store, make_redaction(events, fold->store, lfirst(cell)), fold->targets);
}

/*
 * Find the targets of redactions, before anything is locked but what has to do
 * with redactions.  Called within the store.
 */
void
find_redacted(Fold *fold, Relation events)
{
	if (fold->mode == FOLD_DELETED)
		lock_judging(fold);
	else
		look_at_inserted(fold, events);
	find_judged(fold, events);
	hide_refused(fold, events);
}

/* Redact what was found, which is then folded again.  Called within the store. */
void
redact_found(Fold *fold, Relation events)
{
	redact_all(events, fold->store, fold->targets, fold);
	redact_repeated(fold->store, fold->repeating);
}

/* ---- an event that comes after its redaction ---- */

/*
 * Redact a message that is about to be inserted, if a redaction is there that
 * needs no power level: so its content is never written.  What others may have
 * copies of is redacted when it is there.  True: it is named, or was, and is to be
 * looked at again.
 */
bool
redact_on_arrival(Relation events, Store *store, Row *row, mx_string edited)
{
	mx_string	ids[] = {row_text(row, COLUMN_EVENT_ID), edited};
	Redaction  *first = NULL;
	bool		named = false;
	ListCell   *cell;

	for (int i = 0; i < lengthof(ids); i++)
		named |= ids[i].text != NULL && is_in_index(events, store->redacts_index, ids[i]);
	if (!named || !row->nulls[COLUMN_STATE_KEY] || jsonb_container(&DatumGetJsonbP(row->values[COLUMN_CONTENT])->root, "m.relates_to") != NULL)
		return named;
	foreach(cell, find_redactions(events, store, row, ids[0]))
	{
		Redaction  *redaction = lfirst(cell);

		if (may_redact_own(store, redaction, row) && (first == NULL || row_position(&redaction->row) < row_position(&first->row)))
			first = redaction;
	}
	if (first != NULL)
		prune_row(row, first);
	return named;
}
