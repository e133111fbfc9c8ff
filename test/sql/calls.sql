-- Calls: the table of their life is a unit test; here the room around them.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('ring');
SET search_path = ring;
CREATE FUNCTION pg_temp.joins(room text, who text, membership text DEFAULT 'join', ts bigint DEFAULT 0) RETURNS void LANGUAGE sql AS $$
	INSERT INTO ring.events (type, room_id, sender, state_key, origin_server_ts, received_ts, content)
	VALUES ('m.room.member', '!' || room || ':x', '@' || who || ':x', '@' || who || ':x', ts, ts, jsonb_build_object('membership', membership)) $$;
CREATE FUNCTION pg_temp.call(room text, type text, who text, id text, ts bigint, more jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	INSERT INTO ring.events (type, room_id, sender, origin_server_ts, received_ts, content)
	VALUES ('m.call.' || type, '!' || room || ':x', '@' || who || ':x', ts, ts, jsonb_build_object('call_id', id, 'version', '1', 'party_id', who || '1')
		|| CASE type WHEN 'invite' THEN '{"lifetime":60000,"offer":{"type":"offer","sdp":"v=0"}}' WHEN 'answer' THEN '{"answer":{"type":"answer","sdp":"v=0"}}'
			WHEN 'candidates' THEN '{"candidates":[]}' WHEN 'hangup' THEN '{"reason":"user_hangup"}' ELSE '{}' END::jsonb || more) $$;
CREATE FUNCTION pg_temp.shown(id text, now bigint DEFAULT 1000) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE shown text;
	BEGIN
		EXECUTE 'SELECT concat_ws('' '', state, end_reason, ''by '' || ended_by, ''at '' || ended_ts, ''answered '' || answer_user, ''for '' || replaced_by, candidates)
			FROM (' || matrix.calls_query('ring', '$2') || ') c WHERE call_id = $1' INTO shown USING id, now;
		RETURN shown;
	END $$;
SELECT pg_temp.joins('d', 'a'), pg_temp.joins('d', 'b');
-- A plain call, and what is read of it at any time.
SELECT pg_temp.call('d', 'invite', 'a', 'c1', 1000), pg_temp.shown('c1') AS ringing, pg_temp.shown('c1', 61000) AS "at its end", pg_temp.shown('c1', 61001) AS over;
SELECT matrix.call_to_answer('ring', '!d:x', '@b:x', 1000), matrix.call_to_answer('ring', '!d:x', '@a:x', 1000), matrix.call_to_answer('ring', '!d:x', '@b:x', 61001);
SELECT matrix.call_tick('ring', 61001), matrix.call_tick('ring', 61001);
SELECT pg_temp.call('d', 'candidates', 'a', 'c1', 1100), pg_temp.call('d', 'answer', 'b', 'c1', 61000), pg_temp.shown('c1') AS "answered in time all the same";
SELECT pg_temp.call('d', 'hangup', 'b', 'c1', 70000), pg_temp.shown('c1');
SELECT version, two_party, caller, caller_party, invite_ts, expires_at, answered_ts FROM calls WHERE call_id = 'c1';
-- Crossing invites: the lesser id lives, by bytes, whichever came first.
SELECT pg_temp.call('d', 'invite', 'a', 'g2', 100000), pg_temp.call('d', 'invite', 'b', 'g1', 100500), pg_temp.shown('g1', 100500), pg_temp.shown('g2', 100500);
SELECT pg_temp.call('d', 'answer', 'a', 'g1', 101000), pg_temp.call('d', 'hangup', 'a', 'g2', 101000), pg_temp.shown('g1', 100500), pg_temp.shown('g2', 100500);
SELECT pg_temp.call('d', 'hangup', 'a', 'g1', 102000);
SELECT pg_temp.call('d', 'invite', 'a', 'Z', 200000), pg_temp.call('d', 'invite', 'b', 'a', 200500), pg_temp.shown('Z', 200500), pg_temp.shown('a', 200500);
-- Before the invite.
SELECT pg_temp.call('d', 'hangup', 'b', 'e1', 300000), pg_temp.shown('e1'), pg_temp.call('d', 'invite', 'a', 'e1', 300000), pg_temp.shown('e1');
SELECT pg_temp.call('d', 'answer', 'b', 'e2', 300000), pg_temp.shown('e2'), pg_temp.call('d', 'invite', 'a', 'e2', 300000), pg_temp.shown('e2', 300000);
-- Several answer, the caller selects.
SELECT pg_temp.call('d', 'invite', 'a', 's1', 400000), pg_temp.call('d', 'answer', 'b', 's1', 400001), pg_temp.call('d', 'answer', 'b', 's1', 400002, '{"party_id":"b2"}'),
	pg_temp.call('d', 'select_answer', 'a', 's1', 400003, '{"selected_party_id":"b2"}');
SELECT state, answer_party, selected_party_id, answered_ts FROM calls WHERE call_id = 's1';
-- Who leaves the room ends his calls.
SELECT pg_temp.call('d', 'invite', 'b', 'l1', 500000), pg_temp.joins('d', 'b', 'leave', 500001), pg_temp.shown('l1'), pg_temp.shown('s1');
SELECT * FROM matrix.verify('ring');
-- Version 0: exactly two joined members, if any are known; the setting lifts it.
SELECT pg_temp.call('d', 'invite', 'a', 'v0', 600000, '{"version":0}');
\echo :LAST_ERROR_SQLSTATE
SET matrix_events.on_invalid = 'quarantine';
SELECT pg_temp.call('d', 'invite', 'a', 'v0', 600000, '{"version":0}');
RESET matrix_events.on_invalid;
SELECT raw::jsonb->>'type' AS type, raw::jsonb->'content'->>'call_id' AS call_id, violations FROM rejected;
SELECT count(*) FROM events WHERE content->>'call_id' = 'v0';
SELECT pg_temp.call('unknown', 'invite', 'a', 'v0', 600000, '{"version":0}'), pg_temp.shown('v0', 600000) AS "nobody is known";
SELECT pg_temp.joins('d', 'b'), pg_temp.call('d', 'invite', 'a', 'v1', 600000, '{"version":0}'), pg_temp.shown('v1', 600000) AS two;
SELECT pg_temp.joins('d', 'c'), pg_temp.call('d', 'invite', 'c', 'v2', 600000), two_party FROM calls WHERE call_id = 'v1';
SELECT two_party FROM calls WHERE call_id = 'v2';
UPDATE settings SET calls_any_room = true;
SELECT pg_temp.call('d', 'invite', 'a', 'v3', 700000, '{"version":0}'), pg_temp.shown('v3', 700000) AS lifted;
UPDATE settings SET calls_any_room = false;
-- In one statement: joins, then the call; what is refused goes, the rest stays.
SET matrix_events.on_invalid = 'quarantine';
INSERT INTO events (type, room_id, sender, state_key, origin_server_ts, content)
SELECT CASE WHEN c ? 'membership' THEN 'm.room.member' ELSE 'm.call.invite' END, '!one:x', s, CASE WHEN c ? 'membership' THEN s END, 800000, c
FROM (VALUES (1, '@a:x', '{"membership":"join"}'), (2, '@a:x', '{"call_id":"o1","version":0,"lifetime":60000,"offer":{"type":"offer","sdp":""}}'),
	(3, '@b:x', '{"membership":"join"}'), (4, '@a:x', '{"call_id":"o2","version":0,"lifetime":60000,"offer":{"type":"offer","sdp":""}}'),
	(5, '@c:x', '{"membership":"join"}'), (6, '@b:x', '{"call_id":"o3","version":0,"lifetime":60000,"offer":{"type":"offer","sdp":""}}')) v(n, s, j),
	LATERAL (SELECT j::jsonb AS c) k ORDER BY n;
RESET matrix_events.on_invalid;
SELECT call_id, state, two_party FROM calls WHERE room_id = '!one:x' ORDER BY 1;
SELECT count(*) FROM rejected;
SELECT * FROM matrix.verify('ring');
-- A call_id that is too long to be followed is an event all the same.
SELECT pg_temp.call('d', 'invite', 'a', repeat('x', 256), 900000), pg_temp.call('d', 'invite', 'a', repeat('x', 255), 900000);
SELECT length(call_id) FROM calls WHERE call_id LIKE 'xx%';
-- Deleted events are not derived from.
DELETE FROM events WHERE content->>'call_id' = 's1' AND type = 'm.call.select_answer';
SELECT answer_party FROM calls WHERE call_id = 's1';
DELETE FROM events WHERE content->>'call_id' = 's1';
SELECT count(*) FROM calls WHERE call_id = 's1';
SELECT * FROM matrix.verify('ring');
RESET search_path;
SELECT matrix.drop_store('ring', true);
