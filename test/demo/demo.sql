-- What test/demo/run.sh shows.
\set QUIET on
\pset footer off
\pset linestyle unicode
\pset border 1
SET client_min_messages = warning;
\o /dev/null
SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'matrix_events') AS fresh \gset
CREATE EXTENSION IF NOT EXISTS matrix_events;
SELECT matrix.create_store('demo_garden', server_name => 'example.org');
SET search_path = demo_garden;
SET timezone = 'UTC';
SET matrix_events.on_invalid = 'quarantine';
\copy events (raw) FROM 'test/data/conversation.ndjson' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\o
\echo
\echo 'A recorded conversation, loaded with COPY: what came in'
SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM rejected) AS refused,
	(SELECT count(DISTINCT room_id) FROM events) AS rooms, (SELECT count(DISTINCT sender) FROM events) AS senders,
	(SELECT count(DISTINCT type) FROM events) AS types;

\echo 'The lines that were refused, and why (nothing is lost: table rejected)'
SELECT r.rejected_id AS no, left(regexp_replace(r.raw, '\s+', ' ', 'g'), 34) || '…' AS line,
	v.path, v.message AS "what is wrong"
FROM rejected r, jsonb_to_recordset(r.violations) AS v(path text, code text, message text) ORDER BY 1;

\echo 'The last words in the garden'
SELECT to_char(to_timestamp(origin_server_ts / 1000), 'HH24:MI') AS at, split_part(substr(sender, 2), ':', 1) AS who,
	left(content->>'body', 64) AS says
FROM (SELECT * FROM events WHERE room_id = '!garden:example.org' AND type = 'm.room.message'
      ORDER BY stream_id DESC LIMIT 8) e ORDER BY stream_id;

\echo 'The rooms'
SELECT room_id AS room, version, creator, name, joined, invited FROM rooms ORDER BY room_id;

\echo 'Who is in the garden, and how it came to that'
SELECT user_id AS "user", membership, kind, displayname AS name FROM members
WHERE room_id = '!garden:example.org' ORDER BY membership = 'join' DESC, user_id;

\echo 'Who is around, as others see it (Dmitri hides)'
SELECT user_id AS "user", presence, last_active_ago AS "last active, ms ago", currently_active AS active, status_msg AS status, displayname AS name
FROM presence ORDER BY user_id;

\echo 'The most loved messages'
SELECT left(m.content->>'body', 52) AS message, string_agg(DISTINCT r.content#>>'{m.relates_to,key}', ' ') AS reactions, count(*) AS n
FROM events r JOIN events m ON m.event_id = r.content#>>'{m.relates_to,event_id}'
WHERE r.type = 'm.reaction' AND m.type = 'm.room.message' GROUP BY m.stream_id, 1 ORDER BY n DESC, m.stream_id LIMIT 5;

\echo 'Calls between Alice and Bob (two of them crossed: the lesser id lived)'
SELECT call_id AS call, state, end_reason AS reason, caller, answer_user AS answered, replaced_by, candidates
FROM calls WHERE room_id = '!alicebob:example.org' ORDER BY stream_id;

\echo 'Alice takes another name: one event into each of her rooms, and her presence'
\o /dev/null
SELECT matrix.set_profile('demo_garden', '@alice:example.org', 'Alice of the garden', NULL);
\o
SELECT type, room_id AS room, content->>'displayname' AS name FROM events ORDER BY stream_id DESC LIMIT 5;

\echo 'She takes back what she said last, and no place holds it any more'
SELECT e.event_id AS last FROM matrix.timeline('demo_garden', '!garden:example.org') e WHERE e.type = 'm.room.message' AND e.sender = '@alice:example.org' AND e.redacted_by IS NULL AND NOT e.content ? 'm.new_content' LIMIT 1 \gset
SELECT content->>'body' AS body, (SELECT count(*) FROM matrix.erasure_report('demo_garden', event_id)) AS places FROM matrix.event('demo_garden', :'last');
\o /dev/null
SELECT matrix.send('demo_garden', '!garden:example.org', '@alice:example.org', 'm.room.redaction', jsonb_build_object('redacts', :'last'));
\o
SELECT content->>'body' AS body, redacted_by IS NOT NULL AS redacted, (SELECT count(*) FROM matrix.erasure_report('demo_garden', event_id)) AS places FROM matrix.event('demo_garden', :'last');

\echo 'A search, in any script'
SELECT split_part(substr(sender, 2), ':', 1) AS who, left(content->>'body', 64) AS says FROM matrix.search('demo_garden', 'tomat* OR 木漏れ日', max => 4);

\echo 'What is derived is what the stream says: matrix.verify finds no difference'
SELECT count(*) AS differences FROM matrix.verify('demo_garden');

\echo 'And one event is checked without storing it: SELECT * FROM matrix.validate(...)'
SELECT * FROM matrix.validate('{"type":"m.call.invite","room_id":"!alicebob:example.org","sender":"@alice",
	"event_id":"$c","origin_server_ts":1760340000000.5,"content":{"call_id":"","version":0,"offer":{"type":"offer"}}}');
\o /dev/null
RESET search_path;
SELECT matrix.drop_store('demo_garden', force => true);
\if :fresh
DROP EXTENSION matrix_events;
\endif
