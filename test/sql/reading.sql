-- Reading rooms: a timeline both ways, one event and what stands around it, the
-- state at any position.
SET client_min_messages = warning;
SELECT matrix.create_store('read');
CREATE FUNCTION says(room text, body text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO read.events (type, room_id, sender, event_id, content)
	VALUES ('m.room.message', room, '@a:x', '$' || body, jsonb_build_object('msgtype', 'm.text', 'body', body)) $$;
CREATE FUNCTION names(room text, name text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO read.events (type, room_id, sender, event_id, state_key, content)
	VALUES ('m.room.name', room, '@a:x', '$name' || name, '', jsonb_build_object('name', name)) $$;

SELECT says('!r:x', 'm' || i) FROM generate_series(1, 5) i;
SELECT says('!other:x', 'o1');
SELECT says('!r:x', 'm' || i) FROM generate_series(6, 9) i;
-- Not shown: what a server rejected, could not place, or soft-failed.
INSERT INTO read.events (type, room_id, sender, event_id, content, rejected, outlier, soft_failed) VALUES
	('m.room.message', '!r:x', '@a:x', '$rejected', '{"msgtype": "m.text", "body": "b"}', true, NULL, NULL),
	('m.room.message', '!r:x', '@a:x', '$outlier', '{"msgtype": "m.text", "body": "b"}', NULL, true, NULL),
	('m.room.message', '!r:x', '@a:x', '$soft', '{"msgtype": "m.text", "body": "b"}', NULL, NULL, true);
-- History stands before everything else.
INSERT INTO read.events (stream_id, type, room_id, sender, event_id, content)
	VALUES (-1, 'm.room.message', '!r:x', '@a:x', '$h1', '{"msgtype": "m.text", "body": "h1"}'),
		(-1, 'm.room.message', '!r:x', '@a:x', '$h2', '{"msgtype": "m.text", "body": "h2"}');

SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', max => 4);
SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', before => 7, max => 4);
SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', before => 3, max => 4);
SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', after => -3, max => 4);
SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', after => 5, max => 3);
SELECT stream_id, event_id FROM matrix.timeline('read', '!r:x', after => 5, before => 9);
SELECT count(*) FROM matrix.timeline('read', '!r:x', max => NULL);
SELECT count(*) FROM matrix.timeline('read', '!r:x', types => '{m.room.name,m.sticker}');
SELECT event_id FROM matrix.timeline('read', '!r:x', max => 1, types => '{m.room.message,m.sticker}');
SELECT count(*) FROM matrix.timeline('read', '!r:x', max => 0);
SELECT count(*) FROM matrix.timeline('read', '!r:x', max => -1);
SELECT count(*) FROM matrix.timeline('read', NULL);
SELECT count(*) FROM matrix.timeline('read', '!unknown:x');
-- Page by page, while others write: each event that was there once.
CREATE TABLE seen (n serial, stream_id bigint, event_id text);
DO $$
DECLARE
	at bigint;
	found int := 1;
BEGIN
	WHILE found > 0 LOOP
		INSERT INTO seen (stream_id, event_id) SELECT t.stream_id, t.event_id FROM matrix.timeline('read', '!r:x', before => at, max => 2) t;
		GET DIAGNOSTICS found = ROW_COUNT;
		SELECT min(s.stream_id) INTO at FROM seen s;
		PERFORM says('!r:x', 'late' || count(*)) FROM matrix.timeline('read', '!r:x', max => NULL);
		INSERT INTO read.events (stream_id, type, room_id, sender, content) VALUES (-1, 'm.room.message', '!other:x', '@a:x', '{"msgtype": "m.text", "body": "h"}');
	END LOOP;
END $$;
SELECT string_agg(event_id, ' ' ORDER BY n), count(*) = count(DISTINCT event_id) AS once FROM seen;

SELECT stream_id, content->>'body' AS body FROM matrix.event('read', '$m3');
SELECT matrix.event('read', '$nope') IS NULL;
SELECT matrix.event('read', NULL) IS NULL;
SELECT event_id FROM matrix.context('read', '$m3', 3);
SELECT event_id FROM matrix.context('read', '$m3', 0);
SELECT event_id FROM matrix.context('read', '$h1', 4);
SELECT count(*) FROM matrix.context('read', '$nope');

-- State: of each key the last event up to a position.
SELECT names('!s:x', 'one'), says('!s:x', 's1'), names('!s:x', 'two'), names('!t:x', 'other');
INSERT INTO read.events (type, room_id, sender, state_key, event_id, content) VALUES
	('m.room.member', '!s:x', '@a:x', '@a:x', '$a1', '{"membership": "join"}'),
	('m.room.member', '!s:x', '@b:x', '@b:x', '$b1', '{"membership": "join"}'),
	('m.room.member', '!s:x', '@b:x', '@b:x', '$b2', '{"membership": "leave"}'),
	('org.example', '!s:x', '@b:x', 'ü', '$u', '{}');
INSERT INTO read.events (type, room_id, sender, state_key, event_id, content, rejected)
	VALUES ('m.room.name', '!s:x', '@a:x', '', '$refused', '{"name": "refused"}', true);
INSERT INTO read.events (stream_id, type, room_id, sender, state_key, event_id, content)
	VALUES (-1, 'm.room.topic', '!s:x', '@a:x', '', '$old', '{"topic": "old"}');
SELECT s.type, s.state_key, s.event_id FROM matrix.state_at('read', '!s:x', 1000) s;
SELECT s.event_id FROM read.events e, matrix.state_at('read', '!s:x', e.stream_id) s WHERE e.event_id = '$b1';
SELECT s.event_id FROM read.events e, matrix.state_at('read', '!s:x', e.stream_id - 1) s WHERE e.event_id = '$nametwo';
SELECT count(*) FROM matrix.state_at('read', '!s:x', 0);
SELECT s.event_id FROM matrix.state_at('read', '!s:x', -1) s;
SELECT count(*) FROM matrix.state_at('read', '!unknown:x', 1000);
-- It is what DISTINCT ON makes of the stream, at every position, whatever the number of events of a key.
INSERT INTO read.events (type, room_id, sender, state_key, content)
	SELECT 't' || i % 5, '!many:x', '@a:x', 'k' || (i * i) % 7, '{}' FROM generate_series(1, 400) i;
INSERT INTO read.events (type, room_id, sender, state_key, content)
	SELECT 't3', '!many:x', '@a:x', 'k1', '{}' FROM generate_series(1, 50) i;
SELECT count(*) AS positions, count(*) FILTER (WHERE plain IS DISTINCT FROM ours) AS different FROM (
	SELECT p.stream_id,
		(SELECT array_agg(d.stream_id ORDER BY d.type, d.state_key) FROM (
			SELECT DISTINCT ON (e.type, e.state_key) e.type, e.state_key, e.stream_id FROM read.events e
			WHERE e.room_id = '!many:x' AND e.stream_id <= p.stream_id ORDER BY e.type, e.state_key, e.stream_id DESC) d) AS plain,
		(SELECT array_agg(s.stream_id ORDER BY s.type, s.state_key) FROM matrix.state_at('read', '!many:x', p.stream_id) s) AS ours
	FROM read.events p WHERE p.room_id = '!many:x') c;
-- The state now is room_state.
SELECT count(*) AS different FROM (SELECT r.room_id FROM read.room_state r GROUP BY 1) r, LATERAL (
	(SELECT s.stream_id FROM read.room_state s WHERE s.room_id = r.room_id EXCEPT SELECT s.stream_id FROM matrix.state_at('read', r.room_id, 9223372036854775807) s)
	UNION ALL
	(SELECT s.stream_id FROM matrix.state_at('read', r.room_id, 9223372036854775807) s EXCEPT SELECT s.stream_id FROM read.room_state s WHERE s.room_id = r.room_id)) d;

-- With the caller's rights, whatever his search path says.
\set VERBOSITY terse
CREATE ROLE reading_nobody;
GRANT USAGE ON SCHEMA read TO reading_nobody;
SET ROLE reading_nobody;
SELECT matrix.event('read', '$m3');
SELECT * FROM matrix.timeline('read', '!r:x');
SELECT * FROM matrix.state_at('read', '!s:x', 1000);
RESET ROLE;
GRANT SELECT ON read.events TO reading_nobody;
SET ROLE reading_nobody;
CREATE TEMP TABLE events (stream_id bigint, room_id text);
SET search_path = pg_temp, public;
SELECT count(*) FROM matrix.state_at('read', '!s:x', 1000);
SELECT event_id FROM matrix.timeline('read', '!r:x', before => 2, max => 1);
RESET search_path;
RESET ROLE;
SELECT * FROM matrix.timeline('none', '!r:x');
SELECT * FROM matrix.timeline(NULL, '!r:x');
SELECT * FROM matrix.event('public', '$m3');
DROP TABLE events, seen;

-- What the functions find by an index is what a plan finds: for whom row security
-- applies, and where an index is gone or is another one of its name.
UPDATE read.settings SET push = 'off';
INSERT INTO read.events (room_id, type, sender, content, soft_failed) SELECT '!r:x', 'm.room.message', '@a:x', '{"msgtype": "m.text", "body": "failed"}', true FROM generate_series(1, 3);
CREATE FUNCTION all_reads() RETURNS TABLE (read text, rows bigint, digest text) LANGUAGE sql AS $$
	WITH position AS (SELECT n FROM (SELECT stream_id AS n FROM read.events WHERE stream_id % 23 = 0 UNION SELECT -9223372036854775808 UNION SELECT -2 UNION SELECT 0 UNION SELECT 9223372036854775807) p),
	room AS (SELECT DISTINCT room_id FROM read.events UNION SELECT NULL UNION SELECT 'none'),
	result AS (
		SELECT 'event' AS read, matrix.event('read', i.event_id)::text AS e, i.event_id AS call FROM (SELECT event_id FROM read.events UNION SELECT 'none') i
		UNION ALL SELECT 'timeline', t::text, format('%s %s %s %s %s', r.room_id, p.n, m, types, after)
		FROM room r, position p, unnest('{1,7,null}'::int[]) m, (VALUES ('{m.room.message,null,m.room.name}'::text[]), ('{}'), (NULL)) k(types), (VALUES (true), (false)) d(after),
			LATERAL matrix.timeline('read', r.room_id, CASE WHEN NOT after THEN p.n END, m, CASE WHEN after THEN p.n END, k.types) WITH ORDINALITY t
		UNION ALL SELECT 'context', c::text, i.event_id || ' ' || m FROM read.events i, generate_series(0, 3) m, LATERAL matrix.context('read', i.event_id, m) WITH ORDINALITY c WHERE i.stream_id % 5 = 0 OR i.stream_id < 3
		UNION ALL SELECT 'state_at', s::text, r.room_id || ' ' || p.n FROM room r, position p, LATERAL matrix.state_at('read', r.room_id, p.n) WITH ORDINALITY s)
	SELECT read, count(*), md5(string_agg(call || e, ' ' ORDER BY call, e COLLATE "C")) FROM result GROUP BY read ORDER BY read $$;
CREATE TABLE by_index AS SELECT * FROM all_reads();
SELECT read, rows > 20 AS many FROM by_index;
GRANT SELECT ON by_index TO reading_nobody;
ALTER TABLE read.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON read.events FOR SELECT TO reading_nobody USING (true);
SET ROLE reading_nobody;
SELECT * FROM all_reads() EXCEPT SELECT * FROM by_index;
RESET ROLE;
ALTER POLICY everything ON read.events USING (room_id IS DISTINCT FROM '!r:x' AND type <> 'm.room.topic');
SET ROLE reading_nobody;
SELECT read, count(*) FROM (SELECT 'timeline' AS read FROM matrix.timeline('read', '!r:x') UNION ALL SELECT 'context' FROM matrix.context('read', '$m3') UNION ALL
	SELECT 'event' WHERE (matrix.event('read', '$m3')).event_id IS NOT NULL UNION ALL SELECT 'state_at ' || type FROM matrix.state_at('read', '!s:x', 1000)) r GROUP BY 1 ORDER BY 1;
RESET ROLE;
ALTER TABLE read.events DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON read.events FROM reading_nobody;
GRANT SELECT (stream_id, event_id, type) ON read.events TO reading_nobody;
SET ROLE reading_nobody;
SELECT matrix.event('read', '$m3');
RESET ROLE;
GRANT SELECT ON read.events TO reading_nobody;
REVOKE USAGE ON SCHEMA read FROM reading_nobody;
SET ROLE reading_nobody;
SELECT matrix.event('read', '$m3');
RESET ROLE;
DROP INDEX read.events_state, read.events_room, read.events_redacts;
SELECT * FROM all_reads() EXCEPT SELECT * FROM by_index;
CREATE INDEX events_state ON read.events (stream_id, type, mark, received_ts) WHERE state_key IS NOT NULL;
CREATE INDEX events_room ON read.events (room_id, stream_id) WHERE type = 'm.room.message';
CREATE INDEX events_redacts ON read.events (stream_id);
SELECT * FROM all_reads() EXCEPT SELECT * FROM by_index;
\set VERBOSITY default
INSERT INTO read.events (room_id, type, sender, event_id, content) VALUES ('!r:x', 'm.room.message', '@a:x', '$more', '{"msgtype": "m.text", "body": "no index"}');
DROP SEQUENCE read.events_redactions;
CREATE TABLE read.events_redactions ();
\c -
INSERT INTO read.events (room_id, type, sender, event_id, content) VALUES ('!r:x', 'm.room.message', '@a:x', '$more', '{"msgtype": "m.text", "body": "no sequence"}');
DROP TABLE by_index, read.events_redactions;
CREATE SEQUENCE read.events_redactions;
DROP FUNCTION all_reads;
SELECT matrix.drop_store('read', force => true);
DROP FUNCTION says, names;
DROP ROLE reading_nobody;
