/*
 * plans.c - the statements that the derivations run: their text, their
 * parameters as arrays, their results
 */
#include "derive.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

/*
 * Arrays come side by side, as SELECT unnest($1), unnest($2): in FROM, each of
 * them would be copied into a tuplestore.
 */
#define STATE_KEYS_SQL \
	"(SELECT unnest($1) AS room_id, unnest($2) AS type, unnest($3) AS state_key, generate_subscripts($1, 1) AS n) k"
#define USERS_SQL "(SELECT unnest($1) AS user_id, generate_subscripts($1, 1) AS n) k"

/* A row is stored over the one that is there, or added if there is none. */
#define INSERT_STATE_SQL \
	"INSERT INTO %1$s.room_state (room_id, type, state_key, event_id, stream_id, sender, ts, content, " \
	"membership, kind, since, since_ts) SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), " \
	"unnest($7), unnest($8), unnest($9), unnest($10), unnest($11), unnest($12) "
#define STATE_TYPES {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID, \
	JSONBARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID}
#define INSERT_PRESENCE_SQL \
	"INSERT INTO %1$s.presence_state (user_id, stream_id, presence, status_msg, displayname, avatar_url, " \
	"last_active_ts, hidden, ts) SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), unnest($6), " \
	"unnest($7), unnest($8)::bigint[], unnest($9) "
#define PRESENCE_TYPES {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, \
	INT8ARRAYOID, TEXTARRAYOID, INT8ARRAYOID}

/* Of a redacted event: stream_id, event_id, room_id, type, state_key, its content before and after. */
#define COPY_TYPES {INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID}

/* The event e with another content of the one that it replaced. */
#define PREVIOUS_SQL(content) \
	"unsigned = CASE WHEN e.unsigned ? 'prev_content' THEN jsonb_set(e.unsigned, '{prev_content}', " content ") ELSE e.unsigned END, " \
	"extra = CASE WHEN e.extra ? 'prev_content' THEN jsonb_set(e.extra, '{prev_content}', " content ") ELSE e.extra END "
/* The state that an invite or a knock brings along in an object, without some. */
#define STRIPPED_SQL(object, condition) \
	"(SELECT coalesce(jsonb_object_agg(s.key, (SELECT coalesce(jsonb_agg(i.item ORDER BY i.n), '[]') " \
	"FROM jsonb_path_query_array(s.value, '$[*]') v, jsonb_array_elements(v) WITH ORDINALITY i(item, n) WHERE (" condition ") IS NOT TRUE)), '{}') " \
	"FROM jsonb_each(" object ") s WHERE s.key IN ('invite_room_state', 'knock_room_state')) "
/* ... namely what was redacted and is not the content of another event as well. */
#define STRIPPED_REDACTED_SQL \
	"EXISTS (SELECT FROM %1$s.events o WHERE o.room_id = e.room_id AND o.type = i.item->>'type' AND o.state_key = i.item->>'state_key' " \
	"AND o.redacted_by IS NOT NULL) AND NOT EXISTS (SELECT FROM %1$s.events o WHERE o.room_id = e.room_id " \
	"AND o.type = i.item->>'type' AND o.state_key = i.item->>'state_key' AND o.content = i.item->'content')"
/*
 * A relation e of the event $1 counts when it is in the room of that one, as far
 * as the store has it.  First which kinds there are, one probe each, then the
 * ends of those kinds.
 */
#define RELATES_SQL "matrix.relates_to(e.content) COLLATE \"C\" = $1"
#define REL_TYPE_SQL "matrix.rel_type(e.content) COLLATE \"C\""
#define RELATED_SQL RELATES_SQL " AND " SHOWN_SQL " AND e.room_id IS NOT DISTINCT FROM " \
	"coalesce((SELECT o.room_id FROM %1$s.events o WHERE o.event_id = $1), e.room_id)"
#define RELATIONS_SQL(direction) \
	"WITH RECURSIVE kind AS ((SELECT " REL_TYPE_SQL " AS rel_type, e.type FROM %1$s.events e " \
	"WHERE " RELATES_SQL " AND (" REL_TYPE_SQL ", e.type) >= (coalesce($2, ''), '') ORDER BY 1, 2 LIMIT 1) " \
	"UNION ALL SELECT n.* FROM kind k, LATERAL (SELECT " REL_TYPE_SQL " AS rel_type, e.type FROM %1$s.events e " \
	"WHERE " RELATES_SQL " AND (" REL_TYPE_SQL ", e.type) > (k.rel_type, k.type) ORDER BY 1, 2 LIMIT 1) n " \
	"WHERE k.rel_type = $2 OR $2 IS NULL) " \
	"SELECT r.* FROM kind k, LATERAL (SELECT e.* FROM %1$s.events e WHERE " RELATED_SQL \
	" AND " REL_TYPE_SQL " = k.rel_type AND e.type = k.type AND e.stream_id < $4 AND e.stream_id > $5 " \
	"ORDER BY e.stream_id " direction " LIMIT $6) r " \
	"WHERE (k.rel_type = $2 OR $2 IS NULL) AND (k.type = $3 OR $3 IS NULL) ORDER BY r.stream_id " direction " LIMIT $6"
#define RELATIONS_TYPES {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT4OID}

/* The next position of an event that is searched: the order by type leaves one index only. */
#define SEARCHED_SQL(end, compare, direction) \
	"SELECT " end "(e.stream_id) FROM (SELECT unnest(matrix.searched_types()) AS t) t, LATERAL (" \
	"SELECT e.stream_id FROM %1$s.events e WHERE e.type >= t.t AND e.type <= t.t AND e.stream_id " compare " $1 " \
	"ORDER BY e.type " direction ", e.stream_id " direction " LIMIT 1) e"
#define MENTIONS_SQL(direction) \
	"SELECT e.* FROM (SELECT h.h FROM (SELECT unnest($1) AS h) h WHERE h.h >= $2 AND h.h <= $3 ORDER BY h.h " direction ") h, " \
	"LATERAL (SELECT e.* FROM %1$s.events e WHERE e.stream_id = h.h LIMIT 1) e WHERE " SHOWN_SQL " ORDER BY h.h " direction " LIMIT $4"

/* %1$s is the store's schema, %2$s the expression of its index for searching. */
static const struct
{
	const char *sql;
	int			parameters;
	Oid			types[25];
}			plans[PLANS] = {
	[PLAN_STATE_LOOK] = {
		"SELECT k.n FROM " STATE_KEYS_SQL ", LATERAL ("
		"SELECT FROM %1$s.room_state s WHERE s.room_id = k.room_id AND s.type = k.type AND s.state_key = k.state_key "
		"LIMIT 1) r",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_LOCK] = {
		"SELECT k.n, r.* FROM " STATE_KEYS_SQL ", LATERAL ("
		"SELECT s.stream_id, s.membership, s.kind, s.since, s.since_ts, "
		"CASE WHEN s.membership IS NOT NULL THEN s.content->>'displayname' END, "
		"CASE WHEN s.membership IS NOT NULL THEN s.content->>'avatar_url' END "
		"FROM %1$s.room_state s WHERE s.room_id = k.room_id AND s.type = k.type AND s.state_key = k.state_key "
		"LIMIT 1 FOR UPDATE) r",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_STORE] = {
		INSERT_STATE_SQL
		"ON CONFLICT (room_id, type, state_key) DO UPDATE SET event_id = excluded.event_id, "
		"stream_id = excluded.stream_id, sender = excluded.sender, ts = excluded.ts, content = excluded.content, "
		"membership = excluded.membership, kind = excluded.kind, since = excluded.since, since_ts = excluded.since_ts",
		12, STATE_TYPES
	},
	[PLAN_STATE_ADD] = {
		INSERT_STATE_SQL
		"ON CONFLICT DO NOTHING",
		12, STATE_TYPES
	},
	[PLAN_STATE_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL " FROM %1$s.events e "
		"WHERE e.room_id = $1[1] AND e.type = $2[1] AND e.state_key = $3[1] AND " COUNTS_SQL " ORDER BY e.stream_id",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_STATE_FORGET] = {
		"DELETE FROM %1$s.room_state s USING " STATE_KEYS_SQL " "
		"WHERE s.room_id = k.room_id AND s.type = k.type AND s.state_key = k.state_key",
		3, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	},
	[PLAN_PRESENCE_LOOK] = {
		"SELECT k.n FROM " USERS_SQL ", LATERAL ("
		"SELECT FROM %1$s.presence_state p WHERE p.user_id = k.user_id LIMIT 1) r",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_LOCK] = {
		"SELECT k.n, r.* FROM " USERS_SQL ", LATERAL ("
		"SELECT p.stream_id, p.presence, p.status_msg, p.displayname, p.avatar_url, p.last_active_ts, p.hidden "
		"FROM %1$s.presence_state p WHERE p.user_id = k.user_id LIMIT 1 FOR UPDATE) r",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_STORE] = {
		INSERT_PRESENCE_SQL
		"ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, presence = excluded.presence, "
		"status_msg = excluded.status_msg, displayname = excluded.displayname, avatar_url = excluded.avatar_url, "
		"last_active_ts = excluded.last_active_ts, hidden = excluded.hidden, ts = excluded.ts",
		9, PRESENCE_TYPES
	},
	[PLAN_PRESENCE_ADD] = {
		INSERT_PRESENCE_SQL
		"ON CONFLICT DO NOTHING",
		9, PRESENCE_TYPES
	},
	[PLAN_PRESENCE_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL " FROM %1$s.events e "
		"WHERE e.sender = $1[1] AND e.type = 'm.presence' AND " COUNTS_SQL " ORDER BY e.stream_id",
		1, {TEXTARRAYOID}
	},
	[PLAN_PRESENCE_FORGET] = {
		"DELETE FROM %1$s.presence_state p USING " USERS_SQL " WHERE p.user_id = k.user_id",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_LOAD] = {
		"SELECT k.room_id, c.* FROM (SELECT unnest($1) AS room_id, generate_subscripts($1, 1) AS n) k, LATERAL ("
		"SELECT s.call_id, s.state, s.end_reason, s.version, s.two_party::int, s.caller, s.caller_party, s.invitee, "
		"s.invite_event_id, s.answer_user, s.answer_party, s.selected_party_id, s.hangup_reason, s.ended_by, "
		"s.replaced_by, s.invite_ts, s.expires_at, s.answered_ts, s.ended_ts, s.last_negotiate_ts, s.candidates, "
		"s.stream_id, s.folded_id, s.words::text "
		"FROM %1$s.call_state s WHERE s.room_id = k.room_id "
		"AND (s.state = 'answered' OR s.state = 'invited' AND s.expires_at >= $4 OR s.folded_id > $3 OR s.call_id = ANY ($2)) "
		"ORDER BY s.call_id FOR UPDATE) c "
		"ORDER BY k.n",
		4, {TEXTARRAYOID, TEXTARRAYOID, INT8OID, INT8OID}
	},
	[PLAN_CALL_STORE] = {
		"INSERT INTO %1$s.call_state (room_id, call_id, state, end_reason, version, two_party, caller, caller_party, "
		"invitee, invite_event_id, answer_user, answer_party, selected_party_id, hangup_reason, ended_by, replaced_by, "
		"invite_ts, expires_at, answered_ts, ended_ts, last_negotiate_ts, candidates, stream_id, folded_id, words) "
		"SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5)::int, unnest($6) <> 0, unnest($7), "
		"unnest($8), unnest($9), unnest($10), unnest($11), unnest($12), unnest($13), unnest($14), unnest($15), "
		"unnest($16), unnest($17), unnest($18), unnest($19), unnest($20), unnest($21), unnest($22), unnest($23), "
		"unnest($24), unnest($25)::jsonb "
		"ON CONFLICT (room_id, call_id) DO UPDATE SET state = excluded.state, end_reason = excluded.end_reason, "
		"version = excluded.version, two_party = excluded.two_party, caller = excluded.caller, "
		"caller_party = excluded.caller_party, invitee = excluded.invitee, invite_event_id = excluded.invite_event_id, "
		"answer_user = excluded.answer_user, answer_party = excluded.answer_party, "
		"selected_party_id = excluded.selected_party_id, hangup_reason = excluded.hangup_reason, "
		"ended_by = excluded.ended_by, replaced_by = excluded.replaced_by, invite_ts = excluded.invite_ts, "
		"expires_at = excluded.expires_at, answered_ts = excluded.answered_ts, ended_ts = excluded.ended_ts, "
		"last_negotiate_ts = excluded.last_negotiate_ts, candidates = excluded.candidates, "
		"stream_id = excluded.stream_id, folded_id = excluded.folded_id, words = excluded.words",
		25, {TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
		INT8ARRAYOID, TEXTARRAYOID}
	},
	[PLAN_CALL_LATER] = {
		"SELECT 1 FROM %1$s.events e WHERE e.room_id = $1[1] AND e.stream_id > $2[1] AND NOT e.stream_id = ANY ($2) "
		"AND (e.type LIKE 'm.call.%%' OR e.type = 'm.room.member' AND e.state_key IS NOT NULL) AND " COUNTS_SQL " LIMIT 1",
		2, {TEXTARRAYOID, INT8ARRAYOID}
	},
	[PLAN_CALL_HISTORY] = {
		"SELECT " EVENT_COLUMNS_SQL ", NULL FROM %1$s.events e "
		"WHERE e.room_id = $1[1] AND e.type LIKE 'm.call.%%' AND " COUNTS_SQL " UNION ALL "
		"SELECT " EVENT_COLUMNS_SQL ", lag(e.content->>'membership') OVER (PARTITION BY e.state_key ORDER BY e.stream_id) "
		"FROM %1$s.events e WHERE e.room_id = $1[1] AND e.type = 'm.room.member' AND e.state_key IS NOT NULL AND "
		COUNTS_SQL " ORDER BY 1",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_FORGET] = {
		"DELETE FROM %1$s.call_state c WHERE c.room_id = $1[1]",
		1, {TEXTARRAYOID}
	},
	[PLAN_CALL_JOINED] = {
		"SELECT count(*) FROM %1$s.room_state s WHERE s.room_id = $1[1] AND s.membership = 'join'",
		1, {TEXTARRAYOID}
	},
	[PLAN_QUEUE_PUSH] = {
		"INSERT INTO %1$s.push_queue (channel, events, last, more) VALUES ($1, $2, $3, $4)",
		4, {TEXTOID, TEXTOID, INT8OID, BOOLOID}
	},
	[PLAN_POWER_LEVELS] = {
		"SELECT e.content FROM %1$s.events e WHERE e.room_id = $1 AND e.type = 'm.room.power_levels' AND e.state_key = '' "
		"AND e.stream_id < $2 AND " SHOWN_SQL " ORDER BY e.stream_id DESC LIMIT 1",
		2, {TEXTOID, INT8OID}
	},
	[PLAN_LOCK_EVENT] = {
		"SELECT e.* FROM %1$s.events e WHERE e.stream_id = $1 FOR NO KEY UPDATE",
		1, {INT8OID}
	},
	[PLAN_OWN_EVENT] = {
		"SELECT e.* FROM %1$s.events e WHERE e.stream_id = $1",
		1, {INT8OID}
	},
	[PLAN_REDACT] = {
		"UPDATE %1$s.events e SET content = $2, unsigned = $3, extra = $4, raw = NULL, redacted_by = $5, kept = $6 "
		"WHERE e.stream_id = $1 RETURNING e.*",
		6, {INT8OID, JSONBOID, JSONBOID, JSONBOID, TEXTOID, JSONBOID}
	},
	/*
	 * What replaced a state event has its content under prev_content; in 2015,
	 * beside unsigned.  What does not say what it replaced, replaced the one before.
	 */
	[PLAN_REDACT_PREVIOUS] = {
		"UPDATE %1$s.events e SET raw = NULL, " PREVIOUS_SQL("$7")
		"WHERE e.room_id = $3 AND e.type = $4 AND e.state_key = $5 AND e.stream_id <> $1 "
		"AND (e.unsigned ? 'prev_content' OR e.extra ? 'prev_content') AND (e.unsigned->'prev_content' = $6 "
		"OR e.extra->'prev_content' = $6 OR coalesce(e.unsigned->>'replaces_state', e.extra->>'replaces_state') = $2 "
		"OR coalesce(e.unsigned->>'replaces_state', e.extra->>'replaces_state') IS NULL AND e.stream_id = ("
		"SELECT min(n.stream_id) FROM %1$s.events n WHERE n.room_id = $3 AND n.type = $4 AND n.state_key = $5 AND n.stream_id > $1))",
		7, COPY_TYPES
	},
	/* An invite or a knock brings some of the room's state with it. */
	[PLAN_REDACT_STRIPPED] = {
		"UPDATE %1$s.events e SET raw = NULL, "
		"unsigned = e.unsigned || " STRIPPED_SQL("e.unsigned", "i.item->>'type' = $4 AND i.item->>'state_key' = $5") ", "
		"extra = e.extra || " STRIPPED_SQL("e.extra", "i.item->>'type' = $4 AND i.item->>'state_key' = $5")
		"WHERE e.room_id = $3 AND (e.unsigned ?| '{invite_room_state,knock_room_state}' OR e.extra ?| '{invite_room_state,knock_room_state}')",
		7, COPY_TYPES
	},
	/* What servers aggregate of an event's relations holds the latest of them, and that its edits. */
	[PLAN_REDACT_BUNDLES] = {
		"UPDATE %1$s.events e SET raw = NULL, unsigned = e.unsigned - 'm.relations' "
		"WHERE e.event_id = ANY (ARRAY[matrix.relates_to($6), (SELECT matrix.relates_to(r.content) FROM %1$s.events r "
		"WHERE r.event_id = matrix.relates_to($6) AND r.room_id = $3)]) AND e.room_id = $3 AND e.unsigned ? 'm.relations'",
		7, COPY_TYPES
	},
	[PLAN_REDACT_BESIDE] = {
		"WITH rejected AS (UPDATE %1$s.rejected r SET raw = jsonb_build_object('event_id', $2)::text, violations = '[]' WHERE r.event_id = $2), "
		"letters AS (UPDATE %1$s.dead_letters d SET error = NULL WHERE d.stream_id = $1 AND d.error IS NOT NULL) "
		"UPDATE %1$s.worker_parts p SET error = NULL WHERE p.failing = $1 AND p.error IS NOT NULL",
		7, COPY_TYPES
	},
	[PLAN_REDACT_REASON] = {
		"UPDATE %1$s.events e SET unsigned = coalesce(e.unsigned, '{}') || $2 WHERE e.redacted_by = $1",
		2, {TEXTOID, JSONBOID}
	},
	/* The same of rows that are new, of which what they repeat may have been redacted before. */
	[PLAN_REPEATS_PREVIOUS] = {
		"UPDATE %1$s.events e SET raw = NULL, " PREVIOUS_SQL("o.content")
		"FROM (SELECT unnest($1) AS stream_id) h, LATERAL (SELECT o.content FROM %1$s.events n, LATERAL ("
		"SELECT o.* FROM %1$s.events o WHERE o.event_id = coalesce(n.unsigned->>'replaces_state', n.extra->>'replaces_state', ("
		"SELECT p.event_id FROM %1$s.events p WHERE p.room_id = n.room_id AND p.type = n.type AND p.state_key = n.state_key "
		"AND p.stream_id < n.stream_id ORDER BY p.stream_id DESC LIMIT 1)) LIMIT 1) o "
		"WHERE n.stream_id = h.stream_id AND o.room_id = n.room_id AND o.type = n.type AND o.state_key = n.state_key "
		"AND o.redacted_by IS NOT NULL AND (n.unsigned->'prev_content' <> o.content OR n.extra->'prev_content' <> o.content) LIMIT 1) o "
		"WHERE e.stream_id = h.stream_id",
		1, {INT8ARRAYOID}
	},
	[PLAN_REPEATS_STRIPPED] = {
		"UPDATE %1$s.events e SET raw = NULL, unsigned = e.unsigned || " STRIPPED_SQL("e.unsigned", STRIPPED_REDACTED_SQL) ", "
		"extra = e.extra || " STRIPPED_SQL("e.extra", STRIPPED_REDACTED_SQL)
		"WHERE e.stream_id = ANY ($1) AND (e.unsigned ?| '{invite_room_state,knock_room_state}' OR e.extra ?| '{invite_room_state,knock_room_state}')",
		1, {INT8ARRAYOID}
	},
	[PLAN_REPEATS_BUNDLES] = {
		"UPDATE %1$s.events e SET raw = NULL, unsigned = e.unsigned - 'm.relations' "
		"WHERE e.stream_id = ANY ($1) AND e.unsigned ? 'm.relations' AND EXISTS ("
		"SELECT FROM jsonb_path_query(e.unsigned->'m.relations', '$.**.event_id') i, LATERAL ("
		"SELECT FROM %1$s.events o WHERE o.event_id = i #>> '{}' AND o.redacted_by IS NOT NULL LIMIT 1) o)",
		1, {INT8ARRAYOID}
	},
	[PLAN_REDACTIONS] = {
		"SELECT e.* FROM %1$s.events e WHERE e.type = 'm.room.redaction' AND e.redacts IS NOT NULL AND e.stream_id > $1 "
		"ORDER BY e.stream_id LIMIT 1000",
		1, {INT8OID}
	},
	[PLAN_REDACTIONS_AFTER] = {
		"SELECT e.* FROM %1$s.events e WHERE e.type = 'm.room.redaction' AND e.redacts IS NOT NULL AND e.room_id = ANY ($1) "
		"AND e.stream_id > $2 AND e.stream_id <> ALL ($3)",
		3, {TEXTARRAYOID, INT8OID, INT8ARRAYOID}
	},
	[PLAN_EVENT] = {
		"SELECT e.* FROM %1$s.events e WHERE e.event_id = $1",
		1, {TEXTOID}
	},
	[PLAN_TIMELINE_BACK] = {
		"SELECT e.* FROM %1$s.events e WHERE e.room_id = $1 AND e.stream_id > $2 AND e.stream_id < $3 AND " SHOWN_SQL
		" AND (e.type = ANY ($5) OR $5 IS NULL) ORDER BY e.stream_id DESC LIMIT $4",
		5, {TEXTOID, INT8OID, INT8OID, INT4OID, TEXTARRAYOID}
	},
	[PLAN_TIMELINE_ON] = {
		"SELECT e.* FROM %1$s.events e WHERE e.room_id = $1 AND e.stream_id > $2 AND e.stream_id < $3 AND " SHOWN_SQL
		" AND (e.type = ANY ($5) OR $5 IS NULL) ORDER BY e.stream_id LIMIT $4",
		5, {TEXTOID, INT8OID, INT8OID, INT4OID, TEXTARRAYOID}
	},
	[PLAN_CONTEXT] = {
		"SELECT c.* FROM %1$s.events t, LATERAL ("
		"(SELECT e.* FROM %1$s.events e WHERE e.room_id = t.room_id AND e.stream_id < t.stream_id AND " SHOWN_SQL
		" ORDER BY e.stream_id DESC LIMIT $2 - $2 / 2) UNION ALL SELECT t.* UNION ALL "
		"(SELECT e.* FROM %1$s.events e WHERE e.room_id = t.room_id AND e.stream_id > t.stream_id AND " SHOWN_SQL
		" ORDER BY e.stream_id LIMIT $2 / 2)) c WHERE t.event_id = $1 ORDER BY c.stream_id",
		2, {TEXTOID, INT4OID}
	},
	/* From key to key; of each the last event that counts at the position. */
	[PLAN_STATE_AT] = {
		"WITH RECURSIVE key AS ((SELECT e.type, e.state_key FROM %1$s.events e WHERE e.room_id = $1 AND e.state_key IS NOT NULL "
		"ORDER BY 1, 2 LIMIT 1) UNION ALL SELECT n.* FROM key k, LATERAL (SELECT e.type, e.state_key FROM %1$s.events e "
		"WHERE e.room_id = $1 AND e.state_key IS NOT NULL AND (e.type, e.state_key) > (k.type, k.state_key) ORDER BY 1, 2 LIMIT 1) n) "
		"SELECT r.* FROM key k, LATERAL (SELECT e.* FROM %1$s.events e WHERE e.room_id = $1 AND e.type = k.type AND e.state_key = k.state_key "
		"AND e.stream_id <= $2 AND (e.stream_id > 0 OR $2 < 0) AND " SHOWN_SQL " ORDER BY e.stream_id DESC LIMIT 1) r ORDER BY k.type, k.state_key",
		2, {TEXTOID, INT8OID}
	},
	[PLAN_QUARANTINE] = {
		"INSERT INTO %1$s.rejected (raw, violations, event_id) "
		"SELECT CASE WHEN r.redacted THEN jsonb_build_object('event_id', $3)::text ELSE $1 END, CASE WHEN r.redacted THEN '[]' ELSE $2 END, $3 "
		"FROM (SELECT (SELECT e.redacted_by IS NOT NULL FROM %1$s.events e WHERE e.event_id = $3) AS redacted) r",
		3, {TEXTOID, JSONBOID, TEXTOID}
	},
	[PLAN_HIDE_REFUSED] = {
		"UPDATE %1$s.rejected r SET raw = jsonb_build_object('event_id', r.event_id)::text, violations = '[]' FROM %1$s.events e "
		"WHERE r.event_id = ANY ($1) AND e.event_id = r.event_id AND e.redacted_by IS NOT NULL AND r.violations <> '[]'",
		1, {TEXTARRAYOID}
	},
	[PLAN_RELATIONS_BACK] = {RELATIONS_SQL("DESC"), 6, RELATIONS_TYPES},
	[PLAN_RELATIONS_ON] = {RELATIONS_SQL("ASC"), 6, RELATIONS_TYPES},
	[PLAN_REACTIONS] = {
		"SELECT r.key, count(*), (array_agg(r.sender::text ORDER BY r.first))[:100] FROM ("
		"SELECT e.content->'m.relates_to'->>'key' COLLATE \"C\" AS key, e.sender, min(e.stream_id) AS first FROM %1$s.events e "
		"WHERE " RELATED_SQL " AND " REL_TYPE_SQL " = 'm.annotation' AND e.type = 'm.reaction' "
		"AND jsonb_typeof(e.content->'m.relates_to'->'key') = 'string' GROUP BY 1, 2) r GROUP BY r.key ORDER BY 2 DESC, 1",
		1, {TEXTOID}
	},
	[PLAN_EDIT] = {
		"SELECT e.* FROM %1$s.events o, LATERAL (" EDIT_SQL ") e WHERE o.event_id = $1 AND o.outlier IS NOT TRUE AND o.rejected IS NOT TRUE "
		"AND o.soft_failed IS NOT TRUE",
		1, {TEXTOID}
	},
	[PLAN_SEARCHED_BELOW] = {SEARCHED_SQL("max", "<=", "DESC"), 1, {INT8OID}},
	[PLAN_SEARCHED_ABOVE] = {SEARCHED_SQL("min", ">=", "ASC"), 1, {INT8OID}},
	[PLAN_SEARCH_HITS] = {
		"SELECT stream_id, event_id, CASE WHEN matrix.rel_type(content) = 'm.replace' THEN matrix.relates_to(content) END "
		"FROM %1$s.events WHERE %2$s @@ $1 AND matrix.is_searched(type) LIMIT $2",
		2, {TSQUERYOID, INT4OID}
	},
	/*
	 * What leads to a message: itself, or an edit that matches.  What counts is
	 * its last edit, or else the message: found by the index, or looked at now.
	 */
	[PLAN_SEARCH_WINDOW] = {
		"WITH hit AS (SELECT unnest($1) AS stream_id, unnest($2) AS event_id, unnest($3) AS message), "
		"candidate AS MATERIALIZED ("
		"SELECT h.stream_id, h.event_id, false AS is_edit FROM hit h WHERE h.message IS NULL UNION ALL "
		"SELECT o.stream_id, h.event_id, true FROM hit h, LATERAL ("
		"SELECT e.stream_id FROM %1$s.events e WHERE e.event_id = h.message LIMIT 1) o UNION ALL "
		"SELECT p.*, true FROM (SELECT unnest($4), unnest($5)) p UNION ALL "
		"SELECT o.stream_id, NULL, false FROM (SELECT e.stream_id, e.event_id FROM %1$s.events e "
		"WHERE $12 AND e.stream_id >= $6 AND e.stream_id <= $7 AND matrix.is_searched(e.type)) o, LATERAL ("
		"SELECT FROM %1$s.events e WHERE matrix.relates_to(e.content) COLLATE \"C\" = o.event_id AND "
		REL_TYPE_SQL " = 'm.replace' LIMIT 1) e) "
		"SELECT NULL::matrix.event, NULL::jsonb, array_agg(c.stream_id), array_agg(c.event_id) "
		"FROM candidate c WHERE c.is_edit AND c.stream_id < $6 UNION ALL "
		"(SELECT o.o, edit.content, NULL, NULL FROM (SELECT c.stream_id, array_agg(c.event_id) AS hits FROM candidate c "
		"WHERE c.stream_id >= $6 AND c.stream_id <= $7 GROUP BY c.stream_id ORDER BY c.stream_id DESC) c "
		"CROSS JOIN LATERAL (SELECT e::matrix.event AS o FROM %1$s.events e WHERE e.stream_id = c.stream_id LIMIT 1) o "
		"LEFT JOIN LATERAL (SELECT e.* FROM (SELECT (o.o).*) o, LATERAL (" EDIT_SQL ") e) edit ON true "
		"WHERE (o.o).outlier IS NOT TRUE AND (o.o).rejected IS NOT TRUE AND (o.o).soft_failed IS NOT TRUE "
		"AND matrix.rel_type((o.o).content) IS DISTINCT FROM 'm.replace' "
		"AND ((o.o).room_id = ANY ($9) OR $9 IS NULL) AND ((o.o).sender = ANY ($10) OR $10 IS NULL) "
		"AND (coalesce(coalesce(edit.event_id, (o.o).event_id) = ANY (c.hits), false) OR "
		"CASE WHEN edit.event_id IS NULL THEN (SELECT %2$s FROM (SELECT (o.o).*) e) ELSE (SELECT %2$s FROM (SELECT edit.*) e) END @@ $11) "
		"ORDER BY c.stream_id DESC LIMIT $8)",
		12, {INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, INT8OID, INT8OID, INT4OID,
			TEXTARRAYOID, TEXTARRAYOID, TSQUERYOID, BOOLOID}
	},
	[PLAN_MENTIONS_BACK] = {MENTIONS_SQL("DESC"), 4, {INT8ARRAYOID, INT8OID, INT8OID, INT4OID}},
	[PLAN_MENTIONS_ON] = {MENTIONS_SQL("ASC"), 4, {INT8ARRAYOID, INT8OID, INT8OID, INT4OID}},
	[PLAN_REFUSE] = {
		"WITH refused AS (DELETE FROM %1$s.events e WHERE e.stream_id = $1[1] RETURNING e.*) "
		"INSERT INTO %1$s.rejected (raw, violations, event_id) "
		"SELECT coalesce(e.raw, matrix.event_json(e)::text), $2[1]::jsonb, e.event_id FROM refused e",
		2, {INT8ARRAYOID, TEXTARRAYOID}
	},
};

/* ---- running SQL ---- */

static SPIPlanPtr
get_plan(Store *store, PlanId id)
{
	if (store->plans[id] == NULL)
	{
		Oid			types[25];
		char	   *sql = psprintf(plans[id].sql, store->schema, store->search_expression);
		SPIPlanPtr	plan;

		memcpy(types, plans[id].types, sizeof(types));
		/* One plan for all: they find rows by key, whatever the statistics say. */
		plan = SPI_prepare_cursor(sql, plans[id].parameters, types, CURSOR_OPT_GENERIC_PLAN);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare: %s", sql);
		store->plans[id] = plan;
	}
	return store->plans[id];
}

uint64
run_plan(Store *store, PlanId id, Datum *values)
{
	int			result = SPI_execute_plan(get_plan(store, id), values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "could not run a statement of the store: %s", SPI_result_code_string(result));
	return SPI_processed;
}

uint64
run_latest(Store *store, PlanId id, const Datum *values, const bool *nulls)
{
	char		flags[lengthof(plans[0].types)];
	int			result;

	for (int i = 0; i < plans[id].parameters; i++)
		flags[i] = nulls != NULL && nulls[i] ? 'n' : ' ';
	result = SPI_execute_snapshot(get_plan(store, id), unconstify(Datum *, values), flags, GetLatestSnapshot(), InvalidSnapshot,
								  false, true, 0);
	if (result < 0)
		elog(ERROR, "could not run a statement of the store: %s", SPI_result_code_string(result));
	return SPI_processed;
}

void
read_plan(Store *store, PlanId id, const Datum *values, const bool *nulls, DestReceiver *into)
{
	SPIExecuteOptions options = {.read_only = true, .dest = into};
	int			result;

	options.params = makeParamList(plans[id].parameters);
	for (int i = 0; i < plans[id].parameters; i++)
	{
		ParamExternData *parameter = &options.params->params[i];

		parameter->value = values[i];
		parameter->isnull = nulls[i];
		parameter->pflags = PARAM_FLAG_CONST;
		parameter->ptype = plans[id].types[i];
	}
	result = SPI_execute_plan_extended(get_plan(store, id), &options);
	if (result < 0)
		elog(ERROR, "could not read the store: %s", SPI_result_code_string(result));
}

/* ---- parameters ---- */

Columns *
make_columns(int columns, const Oid *types)
{
	Columns    *set = palloc0(sizeof(*set));

	set->columns = columns;
	set->types = types;
	set->size = 8;
	set->values = palloc(sizeof(Datum *) * columns);
	set->nulls = palloc(sizeof(bool *) * columns);
	for (int i = 0; i < columns; i++)
	{
		set->values[i] = palloc(sizeof(Datum) * set->size);
		set->nulls[i] = palloc(sizeof(bool) * set->size);
	}
	return set;
}

/* A new row of nulls. */
void
add_row(Columns *set)
{
	if (set->rows == set->size)
	{
		set->size *= 2;
		for (int i = 0; i < set->columns; i++)
		{
			set->values[i] = repalloc(set->values[i], sizeof(Datum) * set->size);
			set->nulls[i] = repalloc(set->nulls[i], sizeof(bool) * set->size);
		}
	}
	for (int i = 0; i < set->columns; i++)
	{
		set->values[i][set->rows] = (Datum) 0;
		set->nulls[i][set->rows] = true;
	}
	set->rows++;
}

void
put_datum(Columns *set, int column, Datum value)
{
	set->values[column][set->rows - 1] = value;
	set->nulls[column][set->rows - 1] = false;
}

void
put_string(Columns *set, int column, mx_string value)
{
	if (value.text != NULL)
		put_datum(set, column, PointerGetDatum(cstring_to_text_with_len(value.text, value.length)));
}

void
put_int(Columns *set, int column, int64 value, int64 null)
{
	if (value != null)
		put_datum(set, column, Int64GetDatum(value));
}

Datum *
as_arrays(Columns *set)
{
	Datum	   *arrays = palloc(sizeof(Datum) * set->columns);
	int			lower = 1;

	for (int i = 0; i < set->columns; i++)
	{
		int16		length;
		bool		by_value;
		char		align;

		get_typlenbyvalalign(set->types[i], &length, &by_value, &align);
		arrays[i] = PointerGetDatum(construct_md_array(set->values[i], set->nulls[i], 1, &set->rows, &lower,
													   set->types[i], length, by_value, align));
	}
	return arrays;
}

/* ---- results ---- */

Datum
row_datum(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

mx_string
string_copy(Datum value, bool isnull)
{
	text	   *copy;

	if (isnull)
		return (mx_string) {NULL, 0};
	copy = DatumGetTextPCopy(value);
	return (mx_string) {VARDATA(copy), VARSIZE(copy) - VARHDRSZ};
}

mx_string
row_string(int row, int column)
{
	bool		isnull;
	Datum		value = row_datum(row, column, &isnull);

	return string_copy(value, isnull);
}

int64
row_int(int row, int column, int64 null)
{
	bool		isnull;
	Datum		value = row_datum(row, column, &isnull);

	if (isnull)
		return null;
	return SPI_gettypeid(SPI_tuptable->tupdesc, column) == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
}

FoldEvent *
event_from_row(int row)
{
	FoldEvent  *event = palloc0(sizeof(*event));
	bool		isnull;

	event->stream_id = row_int(row, 1, 0);
	event->event_id = row_string(row, 2);
	event->type = row_string(row, 3);
	event->room_id = row_string(row, 4);
	event->sender = row_string(row, 5);
	event->state_key = row_string(row, 6);
	event->ts = row_int(row, 7, 0);
	event->content = DatumGetJsonbPCopy(row_datum(row, 8, &isnull));
	return event;
}

Row *
row_from_spi(int row)
{
	Row		   *result = palloc(sizeof(*result));

	row_from_tuple(result, heap_copytuple(SPI_tuptable->vals[row]), SPI_tuptable->tupdesc);
	return result;
}
