-- matrix_events.on_invalid = 'quarantine': nothing is lost, and the statement goes on.
\pset format unaligned
SELECT matrix.create_store('chat');
SELECT matrix.is_valid('{}');
SHOW matrix_events.on_invalid;
SET matrix_events.on_invalid = 'quarantine';
COPY chat.events (raw) FROM STDIN WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02');
{"type":"org.example.x","event_id":"$1","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"content":{}}
{"type":"org.example.x","event_id":"$1","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"content":{}}
not json
{"type":"m.room.message","event_id":"$2","room_id":"!r:b","sender":"a:b","origin_server_ts":1,"content":{"body":5}}
{"type":"org.example.x","event_id":"$1","room_id":"!other:b","sender":"@a:b","origin_server_ts":1,"content":{}}
{"type":"org.example.x","event_id":"$3","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"content":{}}
\.
SELECT event_id FROM chat.events ORDER BY stream_id;
SELECT rejected_id, raw, jsonb_pretty(violations) AS violations FROM chat.rejected ORDER BY 1;
-- By columns, the event is kept as JSON.
INSERT INTO chat.events (type, room_id, sender, event_id, origin_server_ts, content) VALUES ('m.room.message', '!r:b', '@a:b', '$4', 1, '{}');
SELECT raw FROM chat.rejected ORDER BY rejected_id DESC LIMIT 1;
-- A rejected event can be taken again once it is mended.
SELECT count(*) FROM chat.rejected;
SET matrix_events.on_invalid = 'error';
INSERT INTO chat.events (raw) SELECT raw FROM chat.rejected WHERE rejected_id = 1;
SET matrix_events.on_invalid = 'nonsense';
SELECT matrix.drop_store('chat', true);
