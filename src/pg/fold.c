/*
 * fold.c - the steps that room_state and presence_state share: find the rows that
 * events touch, fold the events of each, store them
 *
 * No two statements wait for each other: rows that are missing are added first,
 * in the order of their keys, then those that are there are locked, in the order
 * of their keys.  Who adds may wait for one who adds a greater key or who locks;
 * who locks only for one who locks a greater key.
 */
#include "derive.h"

/* The events of one key, in the order of the stream, and its row. */
typedef struct Key
{
	FoldEvent **events;
	int			count;
	FoldRow    *row;
	bool		missing;		/* no row was there when we looked */
	bool		added;			/* ours is there now */
} Key;

typedef struct KeyedFold
{
	Fold	   *fold;
	const Derivation *how;
	Key		   *keys;			/* in their order */
	int			count;
} KeyedFold;

static bool
is_any(const Key *key)
{
	return true;
}

static bool
is_to_lock(const Key *key)
{
	return !key->added;
}

static bool
is_gone(const Key *key)
{
	return !key->added && key->row->again && key->row->last == NULL;
}

static Columns *
key_arrays(KeyedFold *keyed, bool (*wanted) (const Key *))
{
	Columns    *arrays = make_columns(keyed->how->key_columns, keyed->how->types);

	for (int i = 0; i < keyed->count; i++)
		if (wanted(&keyed->keys[i]))
		{
			add_row(arrays);
			keyed->how->put_key(arrays, keyed->keys[i].events[0]);
		}
	return arrays;
}

static void
clear_row(KeyedFold *keyed, FoldRow *row)
{
	memset(row, 0, keyed->how->row_size);
	keyed->how->clear(row);
}

static void
fold_event(KeyedFold *keyed, FoldRow *row, FoldEvent *event)
{
	keyed->how->fold(keyed->fold, row, event);
	row->last = event;
	row->stream_id = event->stream_id;
}

/* Fold the key's events again, from the first one on. */
static void
fold_history(KeyedFold *keyed, Key *key)
{
	Columns    *one = make_columns(keyed->how->key_columns, keyed->how->types);
	uint64		found;
	FoldEvent **events;

	add_row(one);
	keyed->how->put_key(one, key->events[0]);
	found = run_latest(keyed->fold->store, keyed->how->history, as_arrays(one), NULL);
	events = palloc(sizeof(*events) * (found + 1));
	for (uint64 i = 0; i < found; i++)
		events[i] = event_from_row(i);
	clear_row(keyed, key->row);
	key->row->again = true;
	for (uint64 i = 0, own = 0; i < found; i++)
	{
		fold_event(keyed, key->row, events[i]);
		while (own < key->count && key->events[own]->stream_id < events[i]->stream_id)
			own++;
		if (own < key->count && key->events[own]->stream_id == events[i]->stream_id)
		{
			events[i]->row = key->events[own]->row;
			events[i]->again = key->events[own]->again;
			*key->events[own] = *events[i];
		}
	}
}

static void
fold_key(KeyedFold *keyed, Key *key)
{
	bool		late = key->events[0]->stream_id <= key->row->stream_id;

	if (keyed->fold->mode == FOLD_DELETED || (late && !keyed->how->last_wins(key->events[0])))
	{
		/* Who was there does not change with what is redacted. */
		for (int i = 0; i < key->count; i++)
			keyed->fold->late |= !key->events[i]->again;
		fold_history(keyed, key);
		return;
	}
	for (int i = 0; i < key->count; i++)
		if (key->events[i]->stream_id > key->row->stream_id ||
			(key->events[i]->again && key->events[i]->stream_id == key->row->stream_id))
			fold_event(keyed, key->row, key->events[i]);
}

/* Add the rows that are missing.  False: others have come to be meanwhile. */
static bool
add_rows(KeyedFold *keyed)
{
	Columns    *rows = make_columns(keyed->how->columns, keyed->how->types);

	for (int i = 0; i < keyed->count; i++)
	{
		Key		   *key = &keyed->keys[i];

		if (!key->missing)
			continue;
		clear_row(keyed, key->row);
		fold_key(keyed, key);
		key->added = true;
		if (key->row->last != NULL)
			keyed->how->put(rows, key->row);
	}
	return rows->rows == 0 || run_plan(keyed->fold->store, keyed->how->add, as_arrays(rows)) == rows->rows;
}

/* Lock the rows that are there, load, fold and store them.  False: one is gone. */
static bool
update_rows(KeyedFold *keyed)
{
	Columns    *arrays = key_arrays(keyed, is_to_lock);
	Key		  **keys = palloc(sizeof(*keys) * keyed->count);
	int			count = 0;
	uint64		found;

	if (arrays->rows == 0)
		return true;
	found = run_plan(keyed->fold->store, keyed->how->lock, as_arrays(arrays));
	if (found != arrays->rows)
		return false;
	for (int i = 0; i < keyed->count; i++)
		if (is_to_lock(&keyed->keys[i]))
			keys[count++] = &keyed->keys[i];
	for (uint64 i = 0; i < found; i++)
	{
		Key		   *key = keys[row_int(i, 1, 0) - 1];

		clear_row(keyed, key->row);
		key->row->stream_id = row_int(i, 2, 0);
		keyed->how->load(key->row, i);
		/* It may be the one that we have just added. */
		key->added = keyed->fold->mode != FOLD_DELETED && !key->events[key->count - 1]->again &&
			key->row->stream_id == key->events[key->count - 1]->stream_id;
	}
	arrays = make_columns(keyed->how->columns, keyed->how->types);
	for (int i = 0; i < count; i++)
	{
		if (!keys[i]->added)
			fold_key(keyed, keys[i]);
		if (keys[i]->row->last != NULL)
			keyed->how->put(arrays, keys[i]->row);
	}
	if (arrays->rows > 0)
		run_plan(keyed->fold->store, keyed->how->store, as_arrays(arrays));
	arrays = key_arrays(keyed, is_gone);
	if (arrays->rows > 0)
		run_plan(keyed->fold->store, keyed->how->forget, as_arrays(arrays));
	return true;
}

static void
look(KeyedFold *keyed)
{
	uint64		found = run_plan(keyed->fold->store, keyed->how->look, as_arrays(key_arrays(keyed, is_any)));

	for (int i = 0; i < keyed->count; i++)
	{
		keyed->keys[i].missing = true;
		keyed->keys[i].added = false;
	}
	for (uint64 i = 0; i < found; i++)
		keyed->keys[row_int(i, 1, 0) - 1].missing = false;
}

static int
compare_events(const void *a, const void *b, void *how)
{
	const FoldEvent *left = *(FoldEvent *const *) a;
	const FoldEvent *right = *(FoldEvent *const *) b;
	int			order = ((const Derivation *) how)->compare(left, right);

	return order != 0 ? order : left->stream_id < right->stream_id ? -1 : left->stream_id > right->stream_id;
}

void
fold_rows(Fold *fold, const Derivation *how)
{
	FoldEvent **events = palloc(sizeof(*events) * (fold->count + 1));
	KeyedFold	keyed = {.fold = fold, .how = how};
	char	   *rows;
	int			count = 0;

	for (int i = 0; i < fold->count; i++)
		if (how->concerns(fold->events[i]))
			events[count++] = fold->events[i];
	if (count == 0)
		return;
	qsort_arg(events, count, sizeof(*events), compare_events, unconstify(Derivation *, how));
	keyed.keys = palloc0(sizeof(*keyed.keys) * count);
	for (int i = 0; i < count; i++)
	{
		if (i == 0 || how->compare(events[i - 1], events[i]) != 0)
			keyed.keys[keyed.count++].events = &events[i];
		keyed.keys[keyed.count - 1].count++;
	}
	rows = palloc(how->row_size * keyed.count);
	for (int i = 0; i < keyed.count; i++)
		keyed.keys[i].row = (FoldRow *) (rows + how->row_size * i);

	/* A single key needs no order: its row is locked at once, or it is missing. */
	if (keyed.count == 1 && update_rows(&keyed))
		return;
	keyed.keys[0].missing = keyed.count == 1;
	do
	{
		if (keyed.count > 1)
			look(&keyed);
		if (!add_rows(&keyed))
			for (int i = 0; i < keyed.count; i++)
				keyed.keys[i].added = false;
	} while (!update_rows(&keyed));
}
