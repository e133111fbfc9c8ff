-- The ways into a store, and what the columns hold then.
\pset format unaligned
SELECT matrix.create_store('chat', server_name => 'example.org');

-- As JSON text: every key finds its column, the others go to extra.
INSERT INTO chat.events (raw) VALUES
('{"type":"m.room.create","event_id":"$create","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":1000,"state_key":"","content":{"room_version":"10"},"unsigned":{"age":5},"depth":1,"auth_events":[],"hashes":{"sha256":"x"}}');
SELECT stream_id, event_id, type, room_id, sender, state_key, origin_server_ts, content, unsigned, extra, raw FROM chat.events;
SELECT received_ts BETWEEN 1700000000000 AND 100000000000000 AS now, mark > '0'::xid8 AS marked FROM chat.events;

-- By columns: the id and the time are made; extra is part of the event.
INSERT INTO chat.events (type, room_id, sender, content, extra) VALUES
('m.room.message', '!r:example.org', '@alice:example.org', '{"msgtype":"m.text","body":"hi"}', '{"depth":2}');
SELECT stream_id, event_id ~ '^\$[A-Za-z0-9_-]{43}$' AS made, origin_server_ts = received_ts AS now, content, extra
FROM chat.events WHERE stream_id = 2;
INSERT INTO chat.events (type, content, sender) VALUES ('m.presence', '{"presence":"online"}', '@alice:example.org');
SELECT type, room_id, sender, origin_server_ts FROM chat.events WHERE type = 'm.presence';
INSERT INTO chat.events (type, room_id, sender, content, extra) VALUES
('m.room.message', '!r:example.org', '@alice:example.org', '{"msgtype":"m.text","body":"hi"}', '{"type":"twice"}');
INSERT INTO chat.events (type, room_id, sender, content, extra) VALUES
('m.room.message', '!r:example.org', '@alice:example.org', '{"msgtype":"m.text","body":"hi"}', '[]');
INSERT INTO chat.events (type, room_id, sender) VALUES ('m.room.message', '!r:example.org', '@alice:example.org');
INSERT INTO chat.events DEFAULT VALUES;

-- The user's stream_id is not taken; a time of receipt may be past, never to come.
INSERT INTO chat.events (stream_id, event_id, received_ts, origin_server_ts, type, room_id, sender, content) VALUES
(77, '$past', 5000, 4000, 'org.example.x', '!r:example.org', '@alice:example.org', '{}'),
(77, '$future', 9007199254740991, 4000, 'org.example.x', '!r:example.org', '@alice:example.org', '{}');
SELECT event_id, stream_id > 0 AS own, received_ts = 5000 AS past FROM chat.events WHERE type = 'org.example.x' ORDER BY 1;

-- In bulk.
COPY chat.events (raw) FROM STDIN WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
{"type":"m.room.name","event_id":"$n1","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":2000,"state_key":"","content":{"name":"One"}}
{"type":"m.room.name","event_id":"$n2","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":3000,"state_key":"","content":{"name":"Two \ud83d\ude00 \"quoted\""}}
\.
SELECT event_id, content->>'name' FROM chat.events WHERE type = 'm.room.name' ORDER BY stream_id;

-- U+0000: exact in raw, U+FFFD in the jsonb, and nowhere a 22P05.
INSERT INTO chat.events (raw) VALUES
('{"type":"m.room.message","event_id":"$nul","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":1,"content":{"msgtype":"m.text","body":"a\u0000b","k\u0000":"\\u0000"}}');
SELECT content, raw FROM chat.events WHERE event_id = '$nul';
SELECT count(*) FROM chat.events WHERE raw IS NOT NULL;

-- Errors name the place and the rule, all of them, and nothing is stored.
INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message","content":{"msgtype":"m.text"}}');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message",');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message","type":"x","content":{}}');
\echo :LAST_ERROR_SQLSTATE
UPDATE chat.events SET content = '{}' WHERE event_id = '$n1';
\echo :LAST_ERROR_SQLSTATE
UPDATE chat.events SET raw = '{}' WHERE event_id = '$n1';
\echo :LAST_ERROR_SQLSTATE
UPDATE chat.events SET unsigned = '{"age":7}' WHERE event_id = '$n1' RETURNING event_id, unsigned;

-- The same event again.
INSERT INTO chat.events (raw) VALUES
('{"type":"m.room.name","event_id":"$n1","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":2000,"state_key":"","content":{"name":"One"}}')
ON CONFLICT DO NOTHING;
INSERT INTO chat.events (raw) VALUES
('{"type":"m.room.name","event_id":"$n1","room_id":"!r:example.org","sender":"@alice:example.org","origin_server_ts":2000,"state_key":"","content":{"name":"One"}}');

SELECT matrix.drop_store('chat');
SELECT matrix.drop_store('chat', force => true);
SELECT matrix.is_store('chat');
