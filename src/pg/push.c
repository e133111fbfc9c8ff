/*
 * push.c - what a statement changed, told to who listens
 *
 * One notification per channel and statement: which events changed what, never
 * content, for any role may listen to any channel.  The payload is cut at what a
 * notification can hold, and says so.
 *
 * A push cannot fail a write: payloads wait until the transaction is about to
 * commit; one that is prepared instead, or a queue of notifications that nobody
 * empties, goes without.  Who must not miss anything reads the stream.
 */
#include "derive.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* commands/async.c refuses 8000 bytes. */
#define MAX_PAYLOAD	7999

static const char *const channels[CHANNELS] = {
	[CHANNEL_MEMBER] = "member",
	[CHANNEL_PRESENCE] = "presence",
	[CHANNEL_CALL] = "call"
};

/* ---- entries ---- */

static void
put_key(StringInfo entry, const char *key)
{
	appendStringInfo(entry, "%c\"%s\":", entry->len == 0 ? '{' : ',', key);
}

/* text NULL: nothing */
static void
put_member(StringInfo entry, const char *key, mx_string value)
{
	if (value.text == NULL)
		return;
	put_key(entry, key);
	escape_json(entry, pnstrdup(value.text, value.length));
}

static void
put_name(StringInfo entry, const char *key, const char *name)
{
	put_member(entry, key, mx_string_from(name));
}

/* False: the channel's payload is full; only that there is more is noted. */
static bool
start_entry(Push *push, Channel channel, StringInfo entry, const FoldEvent *event, mx_string user_id)
{
	Payload    *payload = &push->payloads[channel];

	payload->last = Max(payload->last, event->stream_id);
	if (payload->more)
		return false;
	resetStringInfo(entry);
	put_key(entry, "stream_id");
	appendStringInfo(entry, INT64_FORMAT, event->stream_id);
	put_member(entry, "type", event->type);
	put_member(entry, "room_id", event->room_id);
	put_member(entry, "user_id", user_id);
	put_member(entry, "event_id", event->event_id);
	return true;
}

/*
 * Add an entry, or note that there is more.  What follows one that did not fit
 * is left out too: entries stand in the order of the stream, without gaps.
 */
static void
add_entry(Push *push, Channel channel, const char *entry, int length)
{
	Payload    *payload = &push->payloads[channel];

	/* {"store":S,"events":[E,E],"last":N,"more":false} */
	if (payload->more || payload->entries.len + length + strlen(push->store_json) + 70 > MAX_PAYLOAD)
	{
		payload->more = true;
		return;
	}
	if (payload->entries.len > 0)
		appendStringInfoChar(&payload->entries, ',');
	appendBinaryStringInfo(&payload->entries, entry, length);
}

static void
end_entry(Push *push, Channel channel, StringInfo entry)
{
	appendStringInfoChar(entry, '}');
	add_entry(push, channel, entry->data, entry->len);
}

static int
by_position(const ListCell *a, const ListCell *b)
{
	int64		left = ((const CallNews *) lfirst(a))->event->stream_id;
	int64		right = ((const CallNews *) lfirst(b))->event->stream_id;

	return left < right ? -1 : left > right;
}

/* What the fold has changed, into the statement's payloads. */
void
push_fold(Fold *fold, Push *push)
{
	StringInfoData entry;
	ListCell   *cell;

	initStringInfo(&entry);
	for (int i = 0; i < fold->count; i++)
	{
		const FoldEvent *event = fold->events[i];

		if (event->again)
			continue;
		if (event->change != MX_MEMBER_NONE && start_entry(push, CHANNEL_MEMBER, &entry, event, event->state_key))
		{
			put_key(&entry, "prev");
			if (event->is_first)
				appendStringInfoString(&entry, "null");
			else
				escape_json(&entry, mx_membership_name(event->before));
			put_name(&entry, "membership", mx_membership_name(event->after));
			put_name(&entry, "kind", mx_member_change_name(event->change));
			end_entry(push, CHANNEL_MEMBER, &entry);
		}
		if (event->is_news && start_entry(push, CHANNEL_PRESENCE, &entry, event, event->sender))
		{
			put_name(&entry, "presence", mx_presence_name(event->presence == MX_PRESENCE_HIDDEN ? MX_PRESENCE_OFFLINE : event->presence));
			end_entry(push, CHANNEL_PRESENCE, &entry);
		}
	}
	list_sort(fold->call_news, by_position);
	foreach(cell, fold->call_news)
	{
		const CallNews *news = lfirst(cell);

		if (!start_entry(push, CHANNEL_CALL, &entry, news->event, news->caller.text != NULL ? news->caller : news->event->sender))
			continue;
		put_member(&entry, "call_id", news->call_id);
		put_name(&entry, "state", mx_call_state_name(news->state));
		if (news->end != MX_END_NONE)
			put_name(&entry, "reason", mx_call_end_name(news->end));
		put_member(&entry, "by", news->event->sender);
		end_entry(push, CHANNEL_CALL, &entry);
	}
}

/* ---- at commit ---- */

typedef struct Waiting
{
	char	   *channel;
	char	   *payload;
	SubTransactionId within;
	struct Waiting *before;
} Waiting;

static Waiting *waiting = NULL;	/* the latest; in TopTransactionContext */

/*
 * Notifications that no listener takes fill a queue of 8 GB, and then fail
 * transactions.  We stop when half of it is used; it cannot fill in a second.
 */
static bool
queue_has_room(void)
{
	static TimestampTz asked = 0;
	static bool has_room = true;
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (asked == 0 || now - asked > USECS_PER_SEC || now < asked)
	{
		asked = now;
		has_room = DatumGetFloat8(DirectFunctionCall1(pg_notification_queue_usage, (Datum) 0)) < 0.5;
	}
	return has_room;
}

static void
notify_all(void)
{
	Waiting    *first = NULL;

	/* The earliest first; a transaction may have any number of them. */
	while (waiting != NULL)
	{
		Waiting    *next = waiting;

		waiting = next->before;
		next->before = first;
		first = next;
	}
	for (; first != NULL; first = first->before)
		Async_Notify(first->channel, first->payload);
}

static void
at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT && waiting != NULL && queue_has_room())
		notify_all();
	waiting = NULL;
}

static void
at_savepoint(SubXactEvent event, SubTransactionId own, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		for (Waiting *each = waiting; each != NULL && each->within == own; each = each->before)
			each->within = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		while (waiting != NULL && waiting->within == own)
			waiting = waiting->before;
}

static void
wait_for_commit(char *channel, char *payload)
{
	static bool registered = false;
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);
	Waiting    *next = palloc(sizeof(*next));

	if (!registered)
	{
		RegisterXactCallback(at_end, NULL);
		RegisterSubXactCallback(at_savepoint, NULL);
		registered = true;
	}
	next->channel = pstrdup(channel);
	next->payload = pstrdup(payload);
	next->within = GetCurrentSubTransactionId();
	next->before = waiting;
	waiting = next;
	MemoryContextSwitchTo(caller);
}

/* ---- a statement ---- */

/* Whether this session and this store push at all. */
bool
start_push(Push *push, Store *store)
{
	StringInfoData json;

	memset(push, 0, sizeof(*push));
	if (!notify || store->settings.push == PUSH_OFF)
		return false;
	push->store = store;
	initStringInfo(&json);
	escape_json(&json, store->name);
	push->store_json = json.data;
	for (int i = 0; i < CHANNELS; i++)
		initStringInfo(&push->payloads[i].entries);
	return true;
}

static void
queue_push(Push *push, Channel channel)
{
	const Payload *payload = &push->payloads[channel];
	Datum		values[] = {
		CStringGetTextDatum(channels[channel]), CStringGetTextDatum(payload->entries.data),
		Int64GetDatum(payload->last), BoolGetDatum(payload->more)
	};
	AsOwner		before;
	int			guc = enter_store(push->store, &before);

	run_plan(push->store, PLAN_QUEUE_PUSH, values);
	leave_store(guc, before);
}

void
end_push(Push *push)
{
	for (int i = 0; i < CHANNELS; i++)
	{
		Payload    *payload = &push->payloads[i];

		if (payload->last == 0)
			continue;
		if (push->store->settings.push == PUSH_COMMIT)
			wait_for_commit(psprintf("%s_%s", push->store->name, channels[i]),
							psprintf("{\"store\":%s,\"events\":[%s],\"last\":" INT64_FORMAT ",\"more\":%s}", push->store_json,
									 payload->entries.data, payload->last, payload->more ? "true" : "false"));
		else
			queue_push(push, i);
	}
}

/*
 * matrix.push_calls(events regclass, entries text[], last bigint) returns void:
 * entries for a store's channel of calls, as JSON objects.  Behind
 * matrix.call_tick.  Raises 42501 unless the caller may update the calls.
 */
PG_FUNCTION_INFO_V1(push_calls);
Datum
push_calls(PG_FUNCTION_ARGS)
{
	Relation	events = table_open(PG_GETARG_OID(0), AccessShareLock);
	Store	   *store = get_store(events);
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(1);
	Push		push;
	Datum	   *entries;
	int			count;

	if (pg_class_aclcheck(store->call_state, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "call_state");
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &entries, NULL, &count);
	if (start_push(&push, store) && count > 0)
	{
		push.payloads[CHANNEL_CALL].last = PG_GETARG_INT64(2);
		for (int i = 0; i < count; i++)
		{
			char	   *entry = TextDatumGetCString(entries[i]);

			add_entry(&push, CHANNEL_CALL, entry, strlen(entry));
		}
		end_push(&push);
	}
	table_close(events, AccessShareLock);
	PG_RETURN_VOID();
}
