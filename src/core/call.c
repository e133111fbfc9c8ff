/*
 * call.c - the state machine of a call
 */
#include "core/call.h"

#include <string.h>

static const char *const state_names[MX_CALL_STATES] = {
	[MX_CALL_NONE] = "none",
	[MX_CALL_PENDING] = "pending",
	[MX_CALL_INVITED] = "invited",
	[MX_CALL_ANSWERED] = "answered",
	[MX_CALL_ENDED] = "ended",
};

static const char *const end_names[MX_CALL_ENDS] = {
	[MX_END_NONE] = "none",
	[MX_END_CANCELLED] = "cancelled",
	[MX_END_REJECTED] = "rejected",
	[MX_END_HANGUP] = "hangup",
	[MX_END_EXPIRED] = "expired",
	[MX_END_REPLACED] = "replaced",
	[MX_END_LEFT] = "left",
	[MX_END_UNKNOWN] = "unknown",
};

static const struct
{
	const char *type;
	mx_call_event_type event;
}			event_types[] = {
	{"m.call.invite", MX_CALL_INVITE},
	{"m.call.candidates", MX_CALL_CANDIDATES},
	{"m.call.candidate", MX_CALL_CANDIDATES},
	{"m.call.answer", MX_CALL_ANSWER},
	{"m.call.select_answer", MX_CALL_SELECT_ANSWER},
	{"m.call.negotiate", MX_CALL_NEGOTIATE},
	{"m.call.reject", MX_CALL_REJECT},
	{"m.call.hangup", MX_CALL_HANGUP},
};

static bool
is_named(mx_string name, const char *known)
{
	return mx_same(name, mx_string_from(known));
}

mx_call_event_type
mx_call_event_named(mx_string type)
{
	for (size_t i = 0; i < sizeof(event_types) / sizeof(event_types[0]); i++)
		if (is_named(type, event_types[i].type))
			return event_types[i].event;
	return MX_CALL_OTHER;
}

/* Of reason only what ends a call otherwise than any other reason. */
static bool
is_kept(const mx_value *member, const void *unused)
{
	static const char *const ids[] = {"call_id", "party_id", "selected_party_id", "invitee"};
	static const char *const numbers[] = {"version", "lifetime"};

	(void) unused;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (mx_key_is(member, ids[i]))
			return member->kind == MX_STRING;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (mx_key_is(member, numbers[i]))
			return member->kind == MX_INTEGER || member->kind == MX_NUMBER;
	return mx_key_is(member, "reason") && mx_equals_text(member, "invite_timeout");
}

const mx_value *
mx_call_kept(mx_arena *arena, const mx_value *content)
{
	return mx_select(arena, content, is_kept, NULL);
}

const char *
mx_call_state_name(mx_call_state state)
{
	return state_names[state];
}

const char *
mx_call_end_name(mx_call_end end)
{
	return end_names[end];
}

mx_call_state
mx_call_state_named(mx_string name)
{
	int			i = 0;

	while (i < MX_CALL_STATES && !is_named(name, state_names[i]))
		i++;
	return (mx_call_state) i;
}

mx_call_end
mx_call_end_named(mx_string name)
{
	int			i = 0;

	while (i < MX_CALL_ENDS && !is_named(name, end_names[i]))
		i++;
	return (mx_call_end) i;
}

void
mx_call_init(mx_call *call, mx_string call_id)
{
	memset(call, 0, sizeof(*call));
	call->call_id = call_id;
	call->version = -1;
	call->invite_ts = call->expires_at = call->answered_ts = call->ended_ts = call->negotiated_ts = MX_NO_MS;
}

int
mx_call_version(const mx_value *content)
{
	const mx_value *version = mx_member(content, "version");

	return version != NULL && version->kind == MX_INTEGER && version->u.integer == 0 ? 0 : 1;
}

/* Version 0 has users, not parties. */
static mx_string
party_of(const mx_call *call, const mx_value *content)
{
	if (call->version == 0 || mx_call_version(content) == 0)
		return (mx_string) {NULL, 0};
	return mx_string_of(mx_member(content, "party_id"));
}

static bool
same_party(mx_string a, mx_string b)
{
	return a.text == NULL || b.text == NULL || mx_same(a, b);
}

static bool
by_caller(const mx_call *call, mx_string user, mx_string party)
{
	return mx_same(user, call->caller) && same_party(party, call->caller_party);
}

static bool
by_callee(const mx_call *call, mx_string user, mx_string party)
{
	if (by_caller(call, user, party))
		return false;
	return call->invitee.text == NULL ? !mx_same(user, call->caller) : mx_same(user, call->invitee);
}

static void
end_call(mx_call *call, mx_call_end end, mx_string by, int64_t ts)
{
	call->state = MX_CALL_ENDED;
	call->end = end;
	call->ended_by = by;
	call->ended_ts = ts;
}

bool
mx_call_expire(mx_call *call, int64_t now)
{
	if (call->state != MX_CALL_INVITED || now <= call->expires_at)
		return false;
	end_call(call, MX_END_EXPIRED, (mx_string) {NULL, 0}, call->expires_at);
	return true;
}

static void
remember(mx_call *call, const mx_call_event *event, mx_string party, mx_arena *arena)
{
	mx_call_word **last = &call->words;
	mx_call_word *word;

	while (*last != NULL)
	{
		word = *last;
		if (word->type == event->type && mx_same(word->user, event->sender) && mx_same(word->party, party))
			return;
		last = &word->next;
	}
	word = mx_alloc(arena, sizeof(*word));
	*word = (mx_call_word) {event->type, event->sender, party, event->ts, NULL};
	*last = word;
}

static void
take_answer(mx_call *call, const mx_call_word *answer)
{
	call->state = MX_CALL_ANSWERED;
	call->answer_user = answer->user;
	call->answer_party = answer->party;
	call->answered_ts = answer->ts;
}

/* The caller chose among those who answered; a choice is made once. */
static bool
select_party(mx_call *call, mx_string party, int64_t ts)
{
	if (call->selected_party.text != NULL || party.text == NULL)
		return false;
	call->selected_party = party;
	if (call->state != MX_CALL_ANSWERED || mx_same(party, call->answer_party))
		return true;
	for (const mx_call_word *word = call->words; word != NULL; word = word->next)
	{
		if (!mx_same(word->party, party) || !by_callee(call, word->user, word->party))
			continue;
		if (word->type == MX_CALL_ANSWER)
		{
			take_answer(call, word);
			return true;
		}
		if (word->type == MX_CALL_REJECT)
		{
			end_call(call, MX_END_REJECTED, word->user, ts);
			return true;
		}
	}
	return true;
}

static void
fill_invite(mx_call *call, const mx_call_event *event, bool two_party)
{
	const mx_value *lifetime = mx_member(event->content, "lifetime");

	call->version = mx_call_version(event->content);
	call->caller = event->sender;
	call->caller_party = party_of(call, event->content);
	call->invitee = mx_string_of(mx_member(event->content, "invitee"));
	call->invite_event_id = event->event_id;
	call->invite_ts = event->ts;
	call->expires_at = event->ts;
	if (lifetime != NULL && lifetime->kind == MX_INTEGER && lifetime->u.integer > 0)
		call->expires_at += lifetime->u.integer;
	call->two_party = two_party;
}

static bool
fold_invite(mx_call *call, const mx_call_event *event, bool two_party)
{
	if (call->invite_ts != MX_NO_MS)
		return false;
	fill_invite(call, event, two_party);
	if (call->state == MX_CALL_ENDED)
	{
		if (call->end == MX_END_UNKNOWN)
			call->end = mx_same(call->ended_by, call->caller) ? MX_END_CANCELLED : MX_END_REJECTED;
		return true;
	}
	call->state = MX_CALL_INVITED;
	for (mx_call_word *word = call->words; word != NULL; word = word->next)
	{
		if (call->version == 0)
			word->party = (mx_string) {NULL, 0};
		if (word->type == MX_CALL_ANSWER && call->state == MX_CALL_INVITED &&
			by_callee(call, word->user, word->party) && word->ts <= call->expires_at)
			take_answer(call, word);
	}
	for (const mx_call_word *word = call->words; word != NULL && call->state != MX_CALL_ENDED; word = word->next)
		if (word->type == MX_CALL_SELECT_ANSWER && mx_same(word->user, call->caller))
			select_party(call, word->party, word->ts);
	return true;
}

/* Before the invite: what is known does not say who is who. */
static bool
fold_early(mx_call *call, const mx_call_event *event, mx_arena *arena)
{
	mx_string	party = mx_call_version(event->content) == 0 ? (mx_string) {NULL, 0} :
		mx_string_of(mx_member(event->content, event->type == MX_CALL_SELECT_ANSWER ? "selected_party_id" : "party_id"));

	switch (event->type)
	{
		case MX_CALL_HANGUP:
			end_call(call, MX_END_UNKNOWN, event->sender, event->ts);
			call->hangup_reason = mx_string_of(mx_member(event->content, "reason"));
			return true;
		case MX_CALL_REJECT:
			end_call(call, MX_END_REJECTED, event->sender, event->ts);
			return true;
		case MX_CALL_CANDIDATES:
			call->candidates++;
			break;
		case MX_CALL_ANSWER:
		case MX_CALL_SELECT_ANSWER:
			remember(call, event, party, arena);
			break;
		default:
			break;
	}
	call->state = MX_CALL_PENDING;
	return true;
}

static bool
fold_invited(mx_call *call, const mx_call_event *event, mx_string party, mx_arena *arena)
{
	bool		caller = by_caller(call, event->sender, party);
	bool		callee = by_callee(call, event->sender, party);
	mx_string	reason = mx_string_of(mx_member(event->content, "reason"));

	switch (event->type)
	{
		case MX_CALL_CANDIDATES:
			call->candidates++;
			return true;
		case MX_CALL_ANSWER:
			if (!callee)
				return false;
			remember(call, event, party, arena);
			take_answer(call, &(mx_call_word) {MX_CALL_ANSWER, event->sender, party, event->ts, NULL});
			return true;
		case MX_CALL_SELECT_ANSWER:
			return caller && select_party(call, mx_string_of(mx_member(event->content, "selected_party_id")), event->ts);
		case MX_CALL_REJECT:
			if (!callee)
				return false;
			remember(call, event, party, arena);
			end_call(call, MX_END_REJECTED, event->sender, event->ts);
			return true;
		case MX_CALL_HANGUP:
			if (!caller && !callee)
				return false;
			call->hangup_reason = reason;
			end_call(call, callee ? MX_END_REJECTED : is_named(reason, "invite_timeout") ? MX_END_EXPIRED :
					 MX_END_CANCELLED, event->sender, event->ts);
			return true;
		default:
			return false;
	}
}

static bool
fold_answered(mx_call *call, const mx_call_event *event, mx_string party, mx_arena *arena)
{
	bool		caller = by_caller(call, event->sender, party);
	bool		answerer = mx_same(event->sender, call->answer_user) && same_party(party, call->answer_party);

	switch (event->type)
	{
		case MX_CALL_CANDIDATES:
			call->candidates++;
			return true;
		case MX_CALL_ANSWER:
			if (!by_callee(call, event->sender, party))
				return false;
			remember(call, event, party, arena);
			if (call->selected_party.text == NULL || !mx_same(party, call->selected_party) ||
				mx_same(party, call->answer_party))
				return true;
			take_answer(call, &(mx_call_word) {MX_CALL_ANSWER, event->sender, party, event->ts, NULL});
			return true;
		case MX_CALL_REJECT:
			/* Disregarded, unless the caller then selects who rejected. */
			if (!by_callee(call, event->sender, party) || party.text == NULL || mx_same(party, call->answer_party))
				return false;
			remember(call, event, party, arena);
			return true;
		case MX_CALL_SELECT_ANSWER:
			return caller && call->version == 1 &&
				select_party(call, mx_string_of(mx_member(event->content, "selected_party_id")), event->ts);
		case MX_CALL_NEGOTIATE:
			if (!(caller || answerer) || call->version == 0 || mx_call_version(event->content) == 0)
				return false;
			call->negotiated_ts = event->ts;
			return true;
		case MX_CALL_HANGUP:
			if (!caller && !answerer)
				return false;
			call->hangup_reason = mx_string_of(mx_member(event->content, "reason"));
			end_call(call, MX_END_HANGUP, event->sender, event->ts);
			return true;
		default:
			return false;
	}
}

bool
mx_call_fold(mx_call *call, const mx_call_event *event, bool two_party, mx_arena *arena)
{
	bool		changed = mx_call_expire(call, event->ts);
	mx_string	party = party_of(call, event->content);

	if (event->type == MX_CALL_INVITE)
		changed |= fold_invite(call, event, two_party);
	else if (call->state == MX_CALL_NONE || call->state == MX_CALL_PENDING)
		changed |= fold_early(call, event, arena);
	else if (call->state == MX_CALL_INVITED)
		changed |= fold_invited(call, event, party, arena);
	else if (call->state == MX_CALL_ANSWERED)
		changed |= fold_answered(call, event, party, arena);
	if (changed)
		call->stream_id = event->stream_id;
	return changed;
}

bool
mx_call_leave(mx_call *call, mx_string user, int64_t remaining, int64_t stream_id, int64_t ts)
{
	bool		concerned = mx_same(user, call->caller);

	if (call->state == MX_CALL_INVITED && ts > call->expires_at)
		concerned = false;		/* over already, as the clock tells by itself */
	else if (call->state == MX_CALL_INVITED)
		concerned |= mx_same(user, call->invitee) || remaining <= 1;
	else if (call->state == MX_CALL_ANSWERED)
		concerned |= mx_same(user, call->answer_user);
	else
		concerned = false;
	if (!concerned)
		return false;
	end_call(call, MX_END_LEFT, user, ts);
	call->stream_id = stream_id;
	return true;
}

static bool
aimed_at(const mx_call *call, mx_string user)
{
	return call->invitee.text == NULL || mx_same(call->invitee, user);
}

mx_call *
mx_call_glare(mx_call *invited, mx_call *other)
{
	mx_call    *lost;
	mx_call    *won;

	if (invited->state != MX_CALL_INVITED || other->state != MX_CALL_INVITED ||
		mx_same(invited->caller, other->caller) ||
		invited->invite_ts > other->expires_at || other->invite_ts > invited->expires_at ||
		!aimed_at(other, invited->caller) || !aimed_at(invited, other->caller))
		return NULL;
	lost = mx_compare(invited->call_id, other->call_id) < 0 ? other : invited;
	won = lost == other ? invited : other;
	end_call(lost, MX_END_REPLACED, (mx_string) {NULL, 0}, invited->invite_ts);
	lost->replaced_by = won->call_id;
	lost->stream_id = invited->stream_id;
	return lost;
}
