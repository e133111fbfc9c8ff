/*
 * test_presence.c - the order of states, activity, hiding, status and profile
 */
#include "unit.h"

#include "core/presence.h"

#include <string.h>

static mx_arena arena;
static mx_presence_options options;

static void
fold(mx_presence *presence, const char *content, int64_t ts)
{
	mx_presence_fold(presence, read_value(&arena, content), ts, &options, &arena);
}

static mx_presence
fresh(void)
{
	return (mx_presence) {.last_active_ts = MX_NO_TIME};
}

/* From every state to every state: is it activity? */
static void
every_change(bool only_online, bool equal)
{
	static const char *const names[] = {"offline", "hidden", "unavailable", "online", "free_for_chat"};
	static const int levels[] = {0, 0, 1, 2, 3};

	options = (mx_presence_options) {only_online, equal};
	for (int from = 0; from < 5; from++)
		for (int to = 0; to < 5; to++)
		{
			mx_presence presence = fresh();
			bool		expected = levels[to] > levels[from];

			presence.state = mx_presence_named((mx_string) {names[from], strlen(names[from])});
			if (only_online)
				expected = levels[to] != levels[from] && to == 3;
			if (equal && levels[to] == levels[from] && levels[to] > 0)
				expected = true;
			fold(&presence, mx_format(&arena, "{\"presence\": \"%s\"}", names[to]), 1000);
			CHECK((presence.last_active_ts == 1000) == expected, "%s to %s (%d, %d)", names[from], names[to], only_online, equal);
			CHECK(presence.state == (mx_presence_state) to, "the state follows");
		}
	options = (mx_presence_options) {false, false};
}

/* What others are told of. */
static void
every_news(void)
{
	static const char *const names[] = {"offline", "hidden", "unavailable", "online", "free_for_chat"};
	const mx_string x = {"x", 1};

	for (int from = 0; from < 5; from++)
		for (int to = 0; to < 5; to++)
		{
			mx_presence before = {.state = from, .last_active_ts = 1000};
			mx_presence after = {.state = to, .last_active_ts = 1000};
			bool		seen = from != to && !(from < 2 && to < 2);

			CHECK(mx_presence_is_news(&before, &after, 60000) == seen, "%s to %s", names[from], names[to]);
			after.last_active_ts = 61000;
			CHECK(mx_presence_is_news(&before, &after, 60000) == seen, "%s to %s, active a minute later", names[from], names[to]);
			after.last_active_ts = 61001;
			CHECK(mx_presence_is_news(&before, &after, 60000) == (seen || to < 3), "%s to %s, active later", names[from], names[to]);
			before.last_active_ts = MX_NO_TIME;
			CHECK(mx_presence_is_news(&before, &after, 60000) == (seen || to < 3), "%s to %s, active for the first time", names[from], names[to]);
			after.last_active_ts = MX_NO_TIME;
			CHECK(mx_presence_is_news(&before, &after, 60000) == seen, "%s to %s, never active", names[from], names[to]);
			after.status_msg = x;
			CHECK(mx_presence_is_news(&before, &after, 60000), "status_msg");
			after.status_msg = before.status_msg;
			after.displayname = x;
			CHECK(mx_presence_is_news(&before, &after, 60000), "displayname");
			before.displayname = before.avatar_url = x;
			CHECK(mx_presence_is_news(&before, &after, 60000), "avatar_url");
		}
}

void
test_presence(void)
{
	mx_presence presence;

	new_arena(&arena);
	every_change(false, false);
	every_change(true, false);
	every_change(false, true);
	every_news();

	presence = fresh();
	fold(&presence, "{\"presence\": \"online\", \"last_active_ago\": 400}", 1000);
	CHECK(presence.last_active_ts == 600, "what the event says counts, not the rise");
	fold(&presence, "{\"presence\": \"online\", \"last_active_ago\": 900}", 1100);
	CHECK(presence.last_active_ts == 600, "never back");
	fold(&presence, "{\"presence\": \"offline\"}", 1200);
	CHECK(presence.last_active_ts == 600, "going offline is no activity");
	fold(&presence, "{\"presence\": \"online\", \"last_active_ago\": 1e300}", 1300);
	CHECK(presence.last_active_ts == 600, "before all time");
	fold(&presence, "{\"presence\": \"free_for_chat\", \"status_msg\": \"hi\", \"displayname\": \"A\", \"avatar_url\": \"mxc://a/b\"}", 1400);
	CHECK(presence.last_active_ts == 1400, "a rise");
	CHECK(presence.status_msg.length == 2 && presence.displayname.length == 1 && presence.avatar_url.length == 9, "status and profile");
	fold(&presence, "{\"presence\": \"online\"}", 1500);
	CHECK(presence.status_msg.text == NULL, "an absent status is none");
	CHECK(presence.displayname.length == 1, "an absent name stays");
	fold(&presence, "{\"presence\": \"online\", \"displayname\": null, \"avatar_url\": \"\"}", 1600);
	CHECK(presence.displayname.text == NULL && presence.avatar_url.text == NULL, "null and empty take away");

	fold(&presence, "{\"presence\": \"hidden\", \"last_active_ago\": 0}", 2000);
	CHECK(presence.last_active_ts == 1400 && presence.hidden_count == 1 && presence.hidden[0] == 2000, "hidden: nothing moves");
	fold(&presence, "{\"presence\": \"hidden\"}", 2100);
	CHECK(presence.hidden_count == 1, "still hidden");
	fold(&presence, "{\"presence\": \"offline\"}", 3000);
	CHECK(presence.last_active_ts == 1400 && presence.hidden_count == 2 && presence.hidden[1] == 3000, "from hidden to offline");
	fold(&presence, "{\"presence\": \"hidden\"}", 4000);
	CHECK(presence.hidden_count == 3, "hidden again");
	fold(&presence, "{\"presence\": \"online\"}", 3500);
	CHECK(presence.last_active_ts == 3500 && presence.hidden_count == 2 && presence.hidden[0] == 4000 && presence.hidden[1] == 4000,
		  "times of spans never run back, and what is over is dropped");
	fold(&presence, "{\"presence\": \"offline\"}", 5000);
	fold(&presence, "{\"presence\": \"unavailable\"}", 6000);
	CHECK(presence.hidden_count == 0 && presence.last_active_ts == 6000, "all dropped");
	fold(&presence, "{}", 7000);
	CHECK(presence.state == MX_PRESENCE_OFFLINE, "nothing is offline");
	free_arena(&arena);
}
