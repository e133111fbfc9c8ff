/*
 * presence.c - the order of states, what is pro-active, and what hiding hides
 */
#include "core/presence.h"

#include <string.h>

static const struct
{
	const char *name;
	int			level;
}			states[MX_PRESENCE_STATES] = {
	[MX_PRESENCE_OFFLINE] = {"offline", 0},
	[MX_PRESENCE_HIDDEN] = {"hidden", 0},
	[MX_PRESENCE_UNAVAILABLE] = {"unavailable", 1},
	[MX_PRESENCE_ONLINE] = {"online", 2},
	[MX_PRESENCE_FREE_FOR_CHAT] = {"free_for_chat", 3},
};

int
mx_presence_level(mx_presence_state state)
{
	return states[state].level;
}

const char *
mx_presence_name(mx_presence_state state)
{
	return states[state].name;
}

mx_presence_state
mx_presence_named(mx_string name)
{
	int			i = 0;

	while (i < MX_PRESENCE_STATES && !mx_same(name, mx_string_from(states[i].name)))
		i++;
	return (mx_presence_state) i;
}

static bool
is_proactive(mx_presence_state before, mx_presence_state after, const mx_presence_options *options)
{
	int			rise = mx_presence_level(after) - mx_presence_level(before);

	if (after == MX_PRESENCE_HIDDEN)
		return false;
	if (rise == 0)
		return options->equal_level_counts && mx_presence_level(after) > 0;
	if (options->only_online_counts)
		return after == MX_PRESENCE_ONLINE;
	return rise > 0;
}

static void
active_at(mx_presence *presence, int64_t ts)
{
	size_t		gone = 0;

	if (ts <= presence->last_active_ts)
		return;
	presence->last_active_ts = ts;
	while (gone + 1 < presence->hidden_count && presence->hidden[gone + 1] <= ts)
		gone += 2;
	if (gone == 0)
		return;
	presence->hidden_count -= gone;
	memmove(presence->hidden, presence->hidden + gone, presence->hidden_count * sizeof(*presence->hidden));
}

/* Hiding begins or ends; times never run back. */
static void
add_hidden(mx_presence *presence, int64_t ts, mx_arena *arena)
{
	size_t		size = (presence->hidden_count + 1) * sizeof(*presence->hidden);
	int64_t    *hidden = mx_alloc(arena, size);

	if (presence->hidden_count > 0)
	{
		memcpy(hidden, presence->hidden, size - sizeof(*hidden));
		if (ts < hidden[presence->hidden_count - 1])
			ts = hidden[presence->hidden_count - 1];
	}
	hidden[presence->hidden_count++] = ts;
	presence->hidden = hidden;
}

/* An absent key leaves the copy as it is; null and "" take it away. */
static void
copy_profile(mx_string *copy, const mx_value *value)
{
	if (value == NULL)
		return;
	*copy = mx_string_of(value);
	if (copy->length == 0)
		copy->text = NULL;
}

void
mx_presence_fold(mx_presence *presence, const mx_value *content, int64_t ts,
				 const mx_presence_options *options, mx_arena *arena)
{
	mx_presence_state before = presence->state;
	mx_presence_state after = mx_presence_named(mx_string_of(mx_member(content, "presence")));
	const mx_value *ago = mx_member(content, "last_active_ago");
	int64_t		active = MX_NO_TIME;

	/* Redaction can leave nothing. */
	if (after == MX_PRESENCE_STATES)
		after = MX_PRESENCE_OFFLINE;
	if (before != MX_PRESENCE_HIDDEN && after == MX_PRESENCE_HIDDEN)
		add_hidden(presence, ts, arena);
	if (before == MX_PRESENCE_HIDDEN && after != MX_PRESENCE_HIDDEN)
		add_hidden(presence, ts, arena);
	/* What the event says itself is better known than its own time. */
	if (ago != NULL && mx_is_integral(ago))
		active = mx_number(ago) < (double) ts ? ts - (int64_t) mx_number(ago) : 0;
	else if (is_proactive(before, after, options))
		active = ts;
	if (active != MX_NO_TIME && after != MX_PRESENCE_HIDDEN)
		active_at(presence, active);
	presence->state = after;
	presence->status_msg = mx_string_of(mx_member(content, "status_msg"));
	if (presence->status_msg.length == 0)
		presence->status_msg.text = NULL;
	copy_profile(&presence->displayname, mx_member(content, "displayname"));
	copy_profile(&presence->avatar_url, mx_member(content, "avatar_url"));
}

bool
mx_presence_is_news(const mx_presence *before, const mx_presence *after, int64_t granularity)
{
	bool		hides_too = mx_presence_level(before->state) == 0 && mx_presence_level(after->state) == 0;

	if (before->state != after->state && !hides_too)
		return true;
	if (!mx_same(before->status_msg, after->status_msg) || !mx_same(before->displayname, after->displayname) ||
		!mx_same(before->avatar_url, after->avatar_url))
		return true;
	if (mx_presence_level(after->state) >= mx_presence_level(MX_PRESENCE_ONLINE) ||
		after->last_active_ts == before->last_active_ts)
		return false;
	return before->last_active_ts == MX_NO_TIME || after->last_active_ts - before->last_active_ts > granularity;
}
