-- Relations: what relates to an event, threads, reactions, edits.
\pset format unaligned
\set SHOW_CONTEXT never
-- What a content relates to.
SELECT c AS content, matrix.relates_to(c::jsonb), matrix.rel_type(c::jsonb) FROM unnest(ARRAY[
	'{}', '[]', '1', '{"m.relates_to":[]}', '{"m.relates_to":"$a"}', '{"m.relates_to":{}}',
	'{"m.relates_to":{"rel_type":"m.thread","event_id":"$a"}}',
	'{"m.relates_to":{"rel_type":"m.thread","event_id":"$a","m.in_reply_to":{"event_id":"$b"}}}',
	'{"m.relates_to":{"m.in_reply_to":{"event_id":"$b"}}}',
	'{"m.relates_to":{"event_id":"$a","m.in_reply_to":{"event_id":"$b"}}}',
	'{"m.relates_to":{"event_id":"$a"}}',
	'{"m.relates_to":{"rel_type":7,"event_id":"$a"}}',
	'{"m.relates_to":{"rel_type":"m.thread","event_id":7}}',
	'{"m.relates_to":{"rel_type":"m.thread","event_id":""}}',
	'{"m.relates_to":{"rel_type":"m.thread","m.in_reply_to":{"event_id":"$b"}}}',
	'{"m.relates_to":{"m.in_reply_to":"$b"}}', '{"m.relates_to":{"m.in_reply_to":{"event_id":null}}}']) c;
SELECT length(matrix.relates_to(jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', repeat('r', r), 'event_id', repeat('e', e))))) AS id,
	length(matrix.rel_type(jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', repeat('r', r), 'event_id', repeat('e', e))))) AS type
	FROM (VALUES (255, 255), (256, 255), (255, 256)) v(r, e);

SELECT matrix.create_store('rel');
CREATE FUNCTION pg_temp.put(id text, sender text, content text, type text DEFAULT 'm.room.message', room text DEFAULT '!r:x', ts bigint DEFAULT 1000, state_key text DEFAULT NULL)
	RETURNS void LANGUAGE sql AS $$
	INSERT INTO rel.events (event_id, type, room_id, sender, origin_server_ts, content, state_key)
	VALUES (id, type, room, sender, ts, CASE type WHEN 'm.room.message' THEN '{"msgtype":"m.text","body":"b"}'::jsonb ELSE '{}' END || content::jsonb, state_key) $$;
CREATE FUNCTION pg_temp.relate(id text, target text, rel_type text, key text DEFAULT NULL, sender text DEFAULT '@a:x', type text DEFAULT 'm.room.message', room text DEFAULT '!r:x')
	RETURNS void LANGUAGE sql AS $$
	SELECT pg_temp.put(id, sender, jsonb_strip_nulls(jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', rel_type, 'event_id', target, 'key', key)))::text, type, room) $$;
CREATE FUNCTION pg_temp.ids(events matrix.event[]) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(u.event_id, ' ' ORDER BY n) FROM unnest(events) WITH ORDINALITY u(a,event_id,c,d,e,f,g,h,i,j,k,l,m,o,p,q,r,n) $$;
\o /dev/null
SELECT pg_temp.put('$root', '@a:x', '{}');
SELECT pg_temp.relate('$t' || i, '$root', 'm.thread') FROM generate_series(1, 5) i;
SELECT pg_temp.put('$reply', '@b:x', '{"m.relates_to":{"m.in_reply_to":{"event_id":"$root"}}}');
SELECT pg_temp.relate('$k1', '$root', 'm.annotation', '👍', '@a:x', 'm.reaction');
SELECT pg_temp.relate('$k2', '$root', 'm.annotation', '👍', '@b:x', 'm.reaction');
SELECT pg_temp.relate('$k3', '$root', 'm.annotation', '👍', '@b:x', 'm.reaction');
SELECT pg_temp.relate('$k4', '$root', 'm.annotation', '🎉', '@c:x', 'm.reaction');
SELECT pg_temp.relate('$k5', '$root', 'm.annotation', 'A', '@c:x', 'm.reaction');
-- None of these counts.
SELECT pg_temp.relate('$elsewhere', '$root', 'm.annotation', '👎', '@c:x', 'm.reaction', '!other:x');
SELECT pg_temp.relate('$message', '$root', 'm.annotation', '👎', '@c:x');
SELECT pg_temp.relate('$failed', '$root', 'm.annotation', '👎', '@c:x', 'org.example.x');
\o
INSERT INTO rel.events (event_id, type, room_id, sender, content, soft_failed, rejected, outlier)
	SELECT '$bad' || i, 'm.reaction', '!r:x', '@c:x', '{"m.relates_to":{"rel_type":"m.annotation","event_id":"$root","key":"👎"}}', i = 1, i = 2, i = 3 FROM generate_series(1, 3) i;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root') r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root', max => 3) r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root', 'm.annotation') r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root', 'm.annotation', 'm.room.message') r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root', type => 'm.room.message') r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$root', 'm.in_reply_to') r;
SELECT count(*) FROM matrix.relations('rel', '$t1');
SELECT count(*) FROM matrix.relations('rel', '$root', max => 0);
SELECT matrix.relations('rel', '$root', max => -1);
-- Pages, both ways.
SELECT pg_temp.ids(array_agg(r)) FROM matrix.thread('rel', '$root', max => 2) r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.thread('rel', '$root', before => (SELECT stream_id FROM rel.events WHERE event_id = '$t4'), max => 2) r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.thread('rel', '$root', after => -100, max => 2) r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.thread('rel', '$root', after => (SELECT stream_id FROM rel.events WHERE event_id = '$t2'), max => 2) r;
SELECT pg_temp.ids(array_agg(r)) FROM matrix.thread('rel', '$root', before => 5, after => 2) r;
-- Reactions.
SELECT * FROM matrix.reactions('rel', '$root');
SELECT * FROM matrix.reactions('rel', '$t1');
SELECT pg_temp.relate('$many' || i, '$t1', 'm.annotation', 'x', '@u' || i || ':x', 'm.reaction') FROM generate_series(1, 150) i \g /dev/null
SELECT key, count, cardinality(senders), senders[1], senders[100] FROM matrix.reactions('rel', '$t1');
-- A relation to an event that the store does not have: of any room.
SELECT pg_temp.relate('$u1', '$unknown', 'm.reference'), pg_temp.relate('$u2', '$unknown', 'm.reference', room => '!other:x') \g /dev/null
SELECT pg_temp.ids(array_agg(r)) FROM matrix.relations('rel', '$unknown') r;

-- Edits.
CREATE FUNCTION pg_temp.rewrite(id text, target text, body text, ts bigint, sender text DEFAULT '@a:x', type text DEFAULT 'm.room.message', room text DEFAULT '!r:x', extra text DEFAULT '{}')
	RETURNS void LANGUAGE sql AS $$
	SELECT pg_temp.put(id, sender, (jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', target),
		'm.new_content', jsonb_build_object('msgtype', 'm.text', 'body', body)) || extra::jsonb)::text, type, room, ts) $$;
SELECT pg_temp.put('$e', '@a:x', '{"body":"first","m.relates_to":{"m.in_reply_to":{"event_id":"$root"}}}') \g /dev/null
SELECT event_id FROM matrix.edit('rel', '$e');
SELECT event_id, content FROM matrix.edited('rel', '$e');
\o /dev/null
SELECT pg_temp.rewrite('$e1', '$e', 'second', 2000, extra => '{"m.new_content":{"msgtype":"m.text","body":"second","m.relates_to":{"rel_type":"m.thread","event_id":"$root"}}}');
SELECT pg_temp.rewrite('$x1', '$e', 'by another', 9000, '@b:x');
SELECT pg_temp.rewrite('$x2', '$e', 'of another type', 9000, type => 'm.sticker', extra => '{"url":"mxc://x/y","body":"b","info":{}}');
SELECT pg_temp.rewrite('$x3', '$e', 'in another room', 9000, room => '!other:x');
SELECT pg_temp.rewrite('$x4', '$e', 'without', 9000, extra => '{"m.new_content":null}');
SELECT pg_temp.rewrite('$x5', '$e1', 'an edit of an edit', 9000);
INSERT INTO rel.events (event_id, type, room_id, sender, origin_server_ts, content, soft_failed)
	SELECT '$x6', type, room_id, sender, 9000, content, true FROM rel.events WHERE event_id = '$e1';
\o
SELECT event_id, content->>'body' FROM matrix.edit('rel', '$e');
SELECT event_id, stream_id, origin_server_ts, content FROM matrix.edited('rel', '$e');
SELECT event_id FROM matrix.edit('rel', '$e1');
-- The most recent by its time, then by its id, whenever it came.
SELECT pg_temp.rewrite('$e2', '$e', 'late and older', 1500) \g /dev/null
SELECT event_id FROM matrix.edit('rel', '$e');
SELECT pg_temp.rewrite('$e0', '$e', 'same time, smaller id', 2000), pg_temp.rewrite('$ea', '$e', 'same time, greater id', 2000) \g /dev/null
SELECT event_id, (matrix.edited('rel', '$e')).content->>'body' FROM matrix.edit('rel', '$e');
-- Nobody edits a state event, or the redacted.
SELECT pg_temp.put('$state', '@a:x', '{}', 'org.example.s', state_key => ''), pg_temp.rewrite('$state2', '$state', 'x', 2000, type => 'org.example.s') \g /dev/null
SELECT event_id FROM matrix.edit('rel', '$state');
ALTER TABLE rel.events DISABLE TRIGGER a_matrix_event;
UPDATE rel.events SET content = '{}' WHERE event_id = '$ea';
SELECT event_id FROM matrix.edit('rel', '$e');
UPDATE rel.events SET content = '{}' WHERE event_id = '$e';
ALTER TABLE rel.events ENABLE TRIGGER a_matrix_event;
SELECT event_id FROM matrix.edit('rel', '$e');
SELECT event_id, content FROM matrix.edited('rel', '$e');
-- What is encrypted stays as it is.
SELECT pg_temp.put('$c', '@a:x', '{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"old","session_id":"s"}', 'm.room.encrypted'),
	pg_temp.put('$c1', '@a:x', '{"algorithm":"m.megolm.v1.aes-sha2","ciphertext":"new","session_id":"s","m.relates_to":{"rel_type":"m.replace","event_id":"$c"}}', 'm.room.encrypted') \g /dev/null
SELECT event_id, (matrix.edited('rel', '$c')).content->>'ciphertext' AS ciphertext FROM matrix.edit('rel', '$c');
SELECT (matrix.edited('rel', '$nowhere')).event_id, matrix.edit('rel', '$nowhere') IS NULL;
-- Nothing of contents is kept in statistics.
ANALYZE rel.events;
SELECT count(*) FROM pg_stats WHERE schemaname = 'rel' AND tablename = 'events_relation' AND attname IN ('relates_to', 'rel_type');
-- A reader needs SELECT on events.
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA rel TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM matrix.relations('rel', '$root');
SELECT count(*) FROM matrix.reactions('rel', '$root');
RESET ROLE;
GRANT SELECT ON rel.events TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM matrix.relations('rel', '$root');
SELECT event_id, key, count FROM matrix.edited('rel', '$root'), matrix.reactions('rel', '$root');
RESET ROLE;
SELECT matrix.relations('nowhere', '$root');
SELECT matrix.thread('nowhere', '$root');
SELECT matrix.reactions('nowhere', '$root');
SELECT matrix.edit('nowhere', '$root');
SELECT matrix.edited('nowhere', '$root');
SELECT matrix.drop_store('rel', true);
DROP ROLE regress_reader;
