/*
 * test_call.c - the life of a call: every row of its table, as small scripts
 *
 * A step is KIND USER [/PARTY] @ TIME [= WORD], such as Aa/p1@100.  I invite
 * (version 1, lifetime 1000; WORD: invitee), O the same in version 0, C candidates,
 * A answer, S select_answer (WORD: the party), N negotiate, R reject, H hangup
 * (WORD: reason), L leaves the room (WORD: how many joined members remain), T the
 * clock.
 */
#include "unit.h"

#include "core/call.h"

#include <stdlib.h>
#include <string.h>

static const struct
{
	const char *steps;
	const char *expected;		/* state, end, who ended it, answering party, selected party, candidates */
}			scripts[] = {
	/* before the invite */
	{"Cb@1", "pending none - - - 1"},
	{"Hb@1", "ended unknown b - - 0"},
	{"Rb@1", "ended rejected b - - 0"},
	{"Ab/p2@1", "pending none - - - 0"},
	{"Sa/p1@1=p2", "pending none - - - 0"},
	{"Nb@1", "pending none - - - 0"},
	{"Cb@1 Hb@2", "ended unknown b - - 1"},
	{"Cb@1 Rb@2", "ended rejected b - - 1"},
	{"Cb@1 Cb@2 Ia/p1@3", "invited none - - - 2"},
	{"Ab/p2@2 Ia/p1@1", "answered none - p2 - 0"},
	{"Ab/p2@2 Ia/p1@1=c", "invited none - - - 0"},
	{"Aa/p1@2 Ia/p1@1", "invited none - - - 0"},
	{"Ac/p3@2 Ab/p2@3 Ia/p1@1=b", "answered none - p2 - 0"},
	{"Ab/p2@1002 Ia/p1@1", "invited none - - - 0"},
	{"Ab/p2@1 Ac/p3@2 Sa/p1@3=p3 Ia/p1@0", "answered none - p3 p3 0"},
	{"Ab/p2@1 Sb/p2@3=p2 Ia/p1@0", "answered none - p2 - 0"},
	{"Ha@2 Ia/p1@1", "ended cancelled a - - 0"},
	{"Hb@2 Ia/p1@1", "ended rejected b - - 0"},
	{"Rb@2 Ia/p1@1", "ended rejected b - - 0"},
	/* invited */
	{"Ia/p1@0", "invited none - - - 0"},
	{"Ia/p1@0 Ib/p2@1 Aa/p9@2", "invited none - - - 0"},
	{"Ia/p1@0 Ca/p1@1 Cb@2", "invited none - - - 2"},
	{"Ia/p1@0 Ab/p2@1000", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1001", "ended expired - - - 0"},
	{"Ia/p1@0 Aa/p1@1", "invited none - - - 0"},
	{"Ia/p1@0 Aa/p7@1", "invited none - - - 0"},
	{"Ia/p1@0=a Aa/p7@1", "answered none - p7 - 0"},
	{"Ia/p1@0=b Ac/p3@1", "invited none - - - 0"},
	{"Ia/p1@0=b Ab@1", "answered none - - - 0"},
	{"Ia/p1@0 Rb/p2@1", "ended rejected b - - 0"},
	{"Ia/p1@0 Ra/p1@1", "invited none - - - 0"},
	{"Ia/p1@0=b Rc@1", "invited none - - - 0"},
	{"Ia/p1@0 Ha/p1@1", "ended cancelled a - - 0"},
	{"Ia/p1@0 Ha@1", "ended cancelled a - - 0"},
	{"Ia/p1@0 Ha/p1@1=invite_timeout", "ended expired a - - 0"},
	{"Ia/p1@0 Ha/p7@1", "invited none - - - 0"},
	{"Ia/p1@0 Hb/p2@1", "ended rejected b - - 0"},
	{"Ia/p1@0 Hb/p2@1=invite_timeout", "ended rejected b - - 0"},
	{"Oa@0 Hb@1", "ended rejected b - - 0"},
	{"Oa@0 Ha/x@1", "ended cancelled a - - 0"},
	{"Ia/p1@0=b Hc@1", "invited none - - - 0"},
	{"Ia/p1@0 Sa/p1@1=p2", "invited none - - p2 0"},
	{"Ia/p1@0 Sb/p2@1=p2", "invited none - - - 0"},
	{"Ia/p1@0 Sa/p7@1=p2", "invited none - - - 0"},
	{"Ia/p1@0 Nb/p2@1", "invited none - - - 0"},
	{"Ia/p1@0 T@1000", "invited none - - - 0"},
	{"Ia/p1@0 T@1001", "ended expired - - - 0"},
	{"Ia/p1@0 La@1=1", "ended left a - - 0"},
	{"Ia/p1@0=b Lb@1=2", "ended left b - - 0"},
	{"Ia/p1@0 Lb@1=1", "ended left b - - 0"},
	{"Ia/p1@0 Lb@1=2", "invited none - - - 0"},
	{"Ia/p1@0=b Lc@1=2", "invited none - - - 0"},
	{"Ia/p1@0 La@1001=1", "invited none - - - 0"},
	{"Ia/p1@0 La@1001=1 T@1001", "ended expired - - - 0"},
	/* answered */
	{"Ia/p1@0 Ab/p2@1 Ac/p3@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Ac/p3@2 Sa/p1@3=p3", "answered none - p3 p3 0"},
	{"Ia/p1@0 Ab/p2@1 Ac/p3@2 Sa/p1@3=p2 Sa/p1@4=p3", "answered none - p2 p2 0"},
	{"Ia/p1@0 Ab/p2@1 Sa/p1@3=p2", "answered none - p2 p2 0"},
	{"Ia/p1@0 Ab/p2@1 Sa/p1@3=p3 Ac/p3@4", "answered none - p3 p3 0"},
	{"Ia/p1@0 Ab/p2@1 Rb/p4@2 Sa/p1@3=p4", "ended rejected b p2 p4 0"},
	{"Ia/p1@0 Ab/p2@1 Sb/p2@3=p2", "answered none - p2 - 0"},
	{"Oa@0 Ab@1 Sa@3=p2", "answered none - - - 0"},
	{"Ia/p1@0 Ab/p2@1 Rb/p2@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Rc/p3@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Ca@2 Cb@3", "answered none - p2 - 2"},
	{"Ia/p1@0 Ab/p2@1 Na/p1@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Ha/p1@2", "ended hangup a p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Hb/p2@2", "ended hangup b p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Hb@2", "ended hangup b p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Hb/p4@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Hc@2", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 T@5000", "answered none - p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 La@2=1", "ended left a p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Lb@2=1", "ended left b p2 - 0"},
	{"Ia/p1@0 Ab/p2@1 Lc@2=1", "answered none - p2 - 0"},
	{"Oa@0 Ab/x@1 Hb/y@2", "ended hangup b - - 0"},
	/* ended */
	{"Ia/p1@0 Ha@1 Ab@2 Cb@3 Rb@4 Hb@5 Na@6 La@7=0 Sa/p1@8=p2 Ia/p1@9", "ended cancelled a - - 0"},
};

static mx_arena arena;

static void
step(mx_call *call, const char *text, int64_t position)
{
	char		user[2] = {text[1], '\0'};
	const char *slash = strchr(text, '/');
	const char *at = strchr(text, '@');
	const char *equals = strchr(text, '=');
	int64_t		ts = atoll(at + 1);
	char	   *word = equals == NULL ? "" : mx_format(&arena, "%s", equals + 1);
	char	   *party = slash == NULL ? "" : mx_format(&arena, "\"party_id\": \"%.*s\", ", (int) (at - slash - 1), slash + 1);
	char	   *sender = mx_format(&arena, "%s", user);
	const char *types = "ICASNRH";
	mx_call_event event = {.event_id = {"$e", 2}, .sender = {sender, 1}, .stream_id = position, .ts = ts};

	if (text[0] == 'T')
	{
		mx_call_expire(call, atoll(at + 1));
		return;
	}
	if (text[0] == 'L')
	{
		mx_call_leave(call, event.sender, atoll(word), position, ts);
		return;
	}
	event.type = text[0] == 'O' ? MX_CALL_INVITE : (mx_call_event_type) (strchr(types, text[0]) - types);
	event.content = read_value(&arena, mx_format(&arena, "{%s\"lifetime\": 1000, \"version\": %s%s}", party,
		(text[0] == 'O' || call->version == 0) ? "0" : "\"1\"",
		*word == '\0' ? "" : mx_format(&arena, ", \"%s\": \"%s\"", text[0] == 'I' ? "invitee" :
			text[0] == 'S' ? "selected_party_id" : "reason", word)));
	mx_call_fold(call, &event, false, &arena);
}

static mx_call
play(const char *id, const char *steps)
{
	mx_call		call;
	char	   *script = mx_format(&arena, "%s", steps);
	int64_t		position = 0;

	mx_call_init(&call, (mx_string) {id, strlen(id)});
	for (char *text = strtok(script, " "); text != NULL; text = strtok(NULL, " "))
		step(&call, text, ++position);
	return call;
}

static const char *
shown(mx_string string)
{
	return string.text == NULL ? "-" : mx_format(&arena, "%.*s", (int) string.length, string.text);
}

/* Two invites: which id lost, or "-"; the same whichever is folded first. */
static void
glare(const char *one_id, const char *one, const char *two_id, const char *two, const char *expected)
{
	for (int order = 0; order < 2; order++)
	{
		mx_call		a = play(one_id, one);
		mx_call		b = play(two_id, two);
		mx_call    *lost = order == 0 ? mx_call_glare(&a, &b) : mx_call_glare(&b, &a);

		CHECK(strcmp(lost == NULL ? "-" : shown(lost->call_id), expected) == 0, "%s and %s: %s lost", one, two,
			  lost == NULL ? "none" : shown(lost->call_id));
		if (lost != NULL)
			CHECK(lost->state == MX_CALL_ENDED && lost->end == MX_END_REPLACED &&
				  mx_same(lost->replaced_by, lost == &a ? b.call_id : a.call_id), "replaced by the other");
	}
}

void
test_call(void)
{
	new_arena(&arena);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
	{
		mx_call		call = play("c", scripts[i].steps);
		char	   *got = mx_format(&arena, "%s %s %s %s %s %d", mx_call_state_name(call.state), mx_call_end_name(call.end),
									shown(call.ended_by), shown(call.answer_party), shown(call.selected_party), (int) call.candidates);

		CHECK(strcmp(got, scripts[i].expected) == 0, "%s: %s, not %s", scripts[i].steps, got, scripts[i].expected);
	}
	CHECK(play("c", "Ia/p1@0 T@2000").ended_ts == 1000, "expired at the end of its lifetime");
	CHECK(play("c", "Ia/p1@0 Ab/p2@1 Nb/p2@7").negotiated_ts == 7, "the answerer negotiates");
	CHECK(play("c", "Ia/p1@0 Ab/p2@1 Nc/p2@7").negotiated_ts == MX_NO_MS, "a stranger does not");
	CHECK(play("c", "Ia/p1@0 Ab/p2@1 Ac/p3@2 Sa/p1@3=p3").answered_ts == 2, "the selected answer's time");
	CHECK(play("c", "Ia/p1@0 Ha/p1@3=user_busy").hangup_reason.length == 9, "the reason as sent");
	CHECK(play("c", "Ia/p1@0 Cb@3").stream_id == 2, "the last change");
	CHECK(play("c", "Ia/p1@0 Aa/p1@3").stream_id == 1, "what is ignored changes nothing");

	glare("x", "Ia/p1@0", "y", "Ib/p2@1", "y");
	glare("x", "Ia/p1@0=b", "y", "Ib/p2@1=a", "y");
	glare("xx", "Ia/p1@0", "x", "Ib/p2@1", "xx");
	glare("Z", "Ia/p1@0", "a", "Ib/p2@1", "a");
	glare("x", "Ia/p1@0=c", "y", "Ib/p2@1", "-");
	glare("x", "Ia/p1@0", "y", "Ib/p2@1=c", "-");
	glare("x", "Ia/p1@0", "y", "Ia/p2@1", "-");
	glare("x", "Ia/p1@0", "y", "Ib/p2@1001", "-");
	glare("x", "Ia/p1@0", "y", "Ib/p2@1000", "y");
	glare("x", "Ia/p1@0 Ab@1", "y", "Ib/p2@2", "-");
	glare("x", "Ia/p1@0 Ha@1", "y", "Ib/p2@2", "-");

	CHECK(mx_call_version(read_value(&arena, "{\"version\": 0}")) == 0, "the integer 0");
	CHECK(mx_call_version(read_value(&arena, "{\"version\": \"0\"}")) == 1, "the string 0");
	CHECK(mx_call_version(read_value(&arena, "{\"version\": 1}")) == 1, "the integer 1");
	CHECK(mx_call_version(read_value(&arena, "{\"version\": \"org.x\"}")) == 1, "any other");
	CHECK(mx_call_version(read_value(&arena, "{}")) == 1, "none");
	CHECK(mx_call_event_named((mx_string) {"m.call.candidate", 16}) == MX_CALL_CANDIDATES, "the old name");
	CHECK(mx_call_event_named((mx_string) {"m.call.sdp_stream_metadata_changed", 34}) == MX_CALL_OTHER, "no part of it");
	free_arena(&arena);
}
