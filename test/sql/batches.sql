-- Events in batches, history, ids that follow from hashes, and what is left of a redacted event.
SET client_min_messages = warning;
\pset null -
SELECT matrix.create_store('batch');
CREATE FUNCTION said(id text, body text, sender text DEFAULT '@alice:x') RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_build_object('type', 'm.room.message', 'room_id', '!a:x', 'sender', sender, 'event_id', id, 'origin_server_ts', 1,
		'content', jsonb_build_object('msgtype', 'm.text', 'body', body))::text $$;
CREATE FUNCTION pdu(type text, room text, content jsonb, state_key text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT jsonb_strip_nulls(jsonb_build_object('type', type, 'room_id', room, 'sender', '@alice:x', 'state_key', state_key, 'origin_server_ts', 1, 'content', content,
		'hashes', '{"sha256": "h"}'::jsonb, 'auth_events', '[]'::jsonb, 'prev_events', '[]'::jsonb, 'depth', 1))::text $$;

-- Invalid ones to rejected, known ones once, in the order in which they are given; here twice in one batch, and one that says something else.
SELECT * FROM matrix.ingest('batch', said('$1', 'one'), said('$2', 'two'), 'nonsense', said('$1', 'one'), said('$3', 'three'), said('$2', 'two', '@eve:x'), NULL);
SELECT * FROM matrix.ingest('batch', said('$3', 'three'), said('$4', 'four'));
SELECT * FROM matrix.ingest('batch', VARIADIC '{}');
SELECT stream_id, event_id FROM batch.events ORDER BY 1;
SELECT violations->0->>'code' AS code, event_id FROM batch.rejected;
-- A call that its room does not allow is refused at the end of the statement.
SELECT * FROM matrix.ingest('batch', VARIADIC ARRAY(SELECT jsonb_build_object('type', 'm.room.member', 'room_id', '!three:x', 'sender', u, 'state_key', u, 'event_id', '$' || u, 'origin_server_ts', 1, 'content', '{"membership": "join"}'::jsonb)::text
	FROM unnest('{@a:x,@b:x,@c:x}'::text[]) u)
	|| '{"type": "m.call.invite", "room_id": "!three:x", "sender": "@a:x", "event_id": "$call", "origin_server_ts": 1, "content": {"call_id": "c", "version": 0, "lifetime": 60000, "offer": {"type": "offer", "sdp": ""}}}'::text);
SELECT * FROM matrix.verify('batch');
-- The session's own settings stay.
SHOW matrix_events.on_invalid;
INSERT INTO batch.events (raw) VALUES (said('$1', 'one'));

-- History, the oldest first, below all that is there; it derives nothing.
SELECT * FROM matrix.backfill('batch', said('$h1', 'first'), said('$h2', 'second'), said('$1', 'one'), 'nonsense', said('$h3', 'third'));
SELECT * FROM matrix.backfill('batch', said('$g1', 'before'),
	'{"type": "m.room.topic", "room_id": "!a:x", "sender": "@alice:x", "state_key": "", "event_id": "$topic", "origin_server_ts": 1, "content": {"topic": "old"}}');
SELECT stream_id, event_id FROM matrix.timeline('batch', '!a:x', after => -100);
SELECT count(*) FROM batch.room_state WHERE room_id = '!a:x';

-- An event without an id has its hash, in rooms whose version is known to make it so.
SELECT * FROM matrix.ingest('batch', pdu('m.room.create', '!v10:x', '{"room_version": "10", "creator": "@alice:x"}', ''), pdu('m.room.topic', '!v10:x', '{"topic": "t"}', ''),
	pdu('m.room.create', '!v3:x', '{"room_version": "3", "creator": "@alice:x"}', ''), pdu('m.room.topic', '!v3:x', '{"topic": "t"}', ''),
	pdu('m.room.create', NULL, '{"room_version": "12"}', ''));
SELECT e.event_id = matrix.event_id(matrix.event_json(e), r.version) AS is_hash, r.version FROM batch.events e JOIN batch.rooms r USING (room_id) WHERE e.extra ? 'hashes' ORDER BY e.stream_id;
SELECT room_id = '!' || substr(event_id, 2) AS is_id FROM batch.events WHERE type = 'm.room.create' AND room_id NOT LIKE '%:x';
-- The same again is known.
SELECT * FROM matrix.ingest('batch', pdu('m.room.topic', '!v10:x', '{"topic": "t"}', ''), pdu('m.room.create', NULL, '{"room_version": "12"}', ''));
-- Not so: a version without hashes as ids, no hash, an unknown room; and a create event without a room_id before 12 is none.
INSERT INTO batch.events (raw) VALUES (pdu('m.room.create', '!v2:x', '{"room_version": "2", "creator": "@alice:x"}', '')), (pdu('m.room.topic', '!unknown:x', '{"topic": "t"}', '')),
	((pdu('m.room.topic', '!v10:x', '{"topic": "u"}', '')::jsonb - 'hashes')::text);
SELECT room_id, event_id = ANY (ARRAY(SELECT matrix.event_id(matrix.event_json(e) - 'event_id', v::text) FROM generate_series(3, 12) v)) AS is_hash
	FROM batch.events e ORDER BY stream_id DESC LIMIT 3;
INSERT INTO batch.events (raw) VALUES (pdu('m.room.create', NULL, '{"room_version": "11"}', ''));

-- A report of all places: before, and after.
INSERT INTO batch.events (raw) VALUES ('{"type": "m.room.topic", "room_id": "!e:x", "sender": "@alice:x", "state_key": "", "event_id": "$t1", "origin_server_ts": 1, "content": {"topic": "secret"}, "unsigned": {"age": 1}, "secret": 1}'),
	('{"type": "m.room.topic", "room_id": "!e:x", "sender": "@alice:x", "state_key": "", "event_id": "$t2", "origin_server_ts": 1, "content": {"topic": "two"}, "unsigned": {"prev_content": {"topic": "secret"}, "replaces_state": "$t1"}}');
SELECT * FROM matrix.erasure_report('batch', '$t1');
SELECT * FROM matrix.erasure_report('batch', '$t2');
SELECT * FROM matrix.erasure_report('batch', '$2');
INSERT INTO batch.events (type, room_id, sender, content, extra) SELECT 'm.room.redaction', r, '@alice:x', '{}', jsonb_build_object('redacts', id)
	FROM (VALUES ('!e:x', '$t1'), ('!e:x', '$t2'), ('!a:x', '$2')) t(r, id);
SELECT id, count(r) FROM unnest('{$t1,$t2,$2,$unknown}'::text[]) id LEFT JOIN LATERAL matrix.erasure_report('batch', id) r ON true GROUP BY 1 ORDER BY 1;

-- Who may insert may take a batch, and no more.
\set VERBOSITY terse
CREATE ROLE batch_writer;
GRANT USAGE ON SCHEMA batch TO batch_writer;
SET ROLE batch_writer;
SELECT * FROM matrix.ingest('batch', said('$w', 'w'));
RESET ROLE;
GRANT INSERT ON batch.events TO batch_writer;
SET ROLE batch_writer;
SELECT * FROM matrix.ingest('batch', said('$w', 'w'), 'nonsense');
SELECT * FROM matrix.erasure_report('batch', '$w');
RESET ROLE;
SELECT * FROM matrix.ingest('none', said('$w', 'w'));
SELECT matrix.drop_store('batch', force => true);
DROP FUNCTION said, pdu;
DROP ROLE batch_writer;
