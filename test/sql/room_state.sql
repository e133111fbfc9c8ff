-- room_state, members and rooms: what follows from state events, one by one, in
-- bulk, out of the stream, and when events go.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('state');
SET search_path = state;
-- What a user did: (sender, user, membership, more).
CREATE FUNCTION pg_temp.member(room text, sender text, who text, membership text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	INSERT INTO state.events (type, room_id, sender, state_key, content)
	VALUES ('m.room.member', '!' || room || ':x', '@' || sender || ':x', '@' || who || ':x', jsonb_build_object('membership', membership) || more);
	SELECT membership || ' ' || kind || ' since ' || since FROM state.members WHERE room_id = '!' || room || ':x' AND user_id = '@' || who || ':x'
$$;
INSERT INTO events (type, room_id, sender, state_key, content) VALUES
('m.room.create', '!r:x', '@a:x', '', '{"room_version":"10","creator":"@a:x"}'), ('m.room.name', '!r:x', '@a:x', '', '{"name":"One"}'),
('m.room.name', '!r:x', '@a:x', '', '{"name":"Two"}'), ('m.room.topic', '!r:x', '@a:x', '', '{"topic":"t"}'),
('org.example.s', '!r:x', '@a:x', 'k', '{"v":1}');
SELECT pg_temp.member('r', 'a', 'a', 'join'), pg_temp.member('r', 'a', 'b', 'invite'), pg_temp.member('r', 'b', 'b', 'join', '{"displayname":"B"}'),
	pg_temp.member('r', 'b', 'b', 'join', '{"displayname":"Bee"}'), pg_temp.member('r', 'b', 'b', 'join', '{"displayname":"Bee"}'),
	pg_temp.member('r', 'a', 'b', 'leave'), pg_temp.member('r', 'a', 'b', 'ban'), pg_temp.member('r', 'b', 'b', 'join'),
	pg_temp.member('r', 'a', 'c', 'invite'), pg_temp.member('r', 'a', 'c', 'leave'), pg_temp.member('r', 'c', 'c', 'knock');
SELECT room_id, version, creator, name, joined, invited FROM rooms;
SELECT type, state_key, stream_id, content FROM room_state WHERE membership IS NULL ORDER BY 1, 2;
-- Empty content replaces; a message is no state; state outside a room is none.
INSERT INTO events (type, room_id, sender, state_key, content) VALUES ('org.example.s', '!r:x', '@a:x', 'k', '{}');
INSERT INTO events (type, room_id, sender, content) VALUES ('org.example.s', '!r:x', '@a:x', '{"v":3}');
SELECT content FROM room_state WHERE type = 'org.example.s';
-- The same event twice, history, and what a server flagged change nothing.
CREATE TEMP TABLE before AS SELECT * FROM room_state;
INSERT INTO events (event_id, type, room_id, sender, state_key, content)
	SELECT event_id, type, room_id, sender, state_key, '{"topic":"again"}' FROM events WHERE type = 'm.room.topic' ON CONFLICT DO NOTHING;
INSERT INTO events (stream_id, type, room_id, sender, state_key, content) VALUES (-1, 'm.room.topic', '!r:x', '@a:x', '', '{"topic":"old"}'),
	(-1, 'm.room.topic', '!r:x', '@a:x', '', '{"topic":"older"}');
INSERT INTO events (type, room_id, sender, state_key, content, outlier, rejected, soft_failed) VALUES
('m.room.topic', '!r:x', '@a:x', '', '{"topic":"o"}', true, NULL, NULL), ('m.room.topic', '!r:x', '@a:x', '', '{"topic":"r"}', NULL, true, NULL),
('m.room.topic', '!r:x', '@a:x', '', '{"topic":"s"}', NULL, NULL, true);
(TABLE room_state EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE room_state);
SELECT stream_id, content FROM events WHERE stream_id < 0 ORDER BY 1;
SELECT * FROM matrix.verify('state');
-- In bulk, many events to a key, above work_mem.
SET work_mem = 64;
INSERT INTO events (type, room_id, sender, state_key, content)
	SELECT 'm.room.member', '!bulk' || i % 5 || ':x', u, u, jsonb_build_object('membership', (ARRAY['join', 'leave'])[1 + (i / 7) % 2], 'pad', repeat('x', 200))
	FROM generate_series(1, 3000) i, LATERAL (SELECT '@u' || i % 97 || ':x' AS u) s;
RESET work_mem;
SELECT count(*), count(*) FILTER (WHERE kind = 'none'), count(*) FILTER (WHERE membership = 'join') FROM members WHERE room_id LIKE '!bulk%';
SELECT * FROM matrix.verify('state');
-- One statement into two stores; one that inserts while it inserts; one that keeps some out.
SELECT matrix.create_store('state2');
WITH other AS (INSERT INTO state2.events (type, room_id, sender, state_key, content) VALUES ('m.room.topic', '!2:x', '@a:x', '', '{"topic":"two"}'))
INSERT INTO events (type, room_id, sender, state_key, content) VALUES ('m.room.topic', '!2:x', '@a:x', '', '{"topic":"one"}');
SELECT a.content AS here, b.content AS there FROM room_state a JOIN state2.room_state b USING (room_id, type, state_key);
WITH first AS (INSERT INTO state2.events (type, room_id, sender, state_key, content) VALUES ('m.room.topic', '!3:x', '@a:x', '', '{"topic":"first"}') RETURNING 1)
INSERT INTO state2.events (type, room_id, sender, state_key, content) SELECT 'm.room.name', '!3:x', '@a:x', '', '{"name":"second"}' FROM first;
CREATE FUNCTION pg_temp.echo() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.type = 'org.example.in' THEN
			INSERT INTO state2.events (type, room_id, sender, state_key, content) VALUES ('org.example.out', NEW.room_id, NEW.sender, NEW.state_key, NEW.content);
		END IF;
		RETURN NEW;
	END $$;
CREATE TRIGGER echo BEFORE INSERT ON state2.events FOR EACH ROW EXECUTE FUNCTION pg_temp.echo();
INSERT INTO state2.events (event_id, type, room_id, sender, state_key, content) VALUES ('$in', 'org.example.in', '!3:x', '@a:x', 'k', '{}');
INSERT INTO state2.events (event_id, type, room_id, sender, state_key, content) VALUES ('$new', 'org.example.s', '!3:x', '@a:x', 'k', '{"new":1}'),
	('$in', 'org.example.s', '!3:x', '@a:x', 'never', '{}') ON CONFLICT DO NOTHING;
SELECT type, state_key, content FROM state2.room_state WHERE room_id = '!3:x' ORDER BY 1, 2;
SELECT * FROM matrix.verify('state2');
SELECT matrix.drop_store('state2', true);
-- Rolled back savepoints leave nothing.
BEGIN;
SAVEPOINT s;
SELECT pg_temp.member('gone', 'a', 'a', 'join');
ROLLBACK TO s;
SELECT count(*) FROM members WHERE room_id = '!gone:x';
COMMIT;
-- What is deleted is not derived from any more.
DELETE FROM events WHERE type = 'm.room.name' AND content->>'name' = 'Two';
SELECT content FROM room_state WHERE type = 'm.room.name';
DELETE FROM events WHERE type = 'm.room.name';
SELECT count(*) FROM room_state WHERE type = 'm.room.name';
DELETE FROM events WHERE state_key = '@b:x' AND stream_id = (SELECT max(stream_id) FROM events WHERE state_key = '@b:x');
SELECT membership, kind FROM members WHERE room_id = '!r:x' AND user_id = '@b:x';
SELECT * FROM matrix.verify('state');
-- verify finds what was tampered with; rebuild mends it.
UPDATE room_state SET content = '{"topic":"forged"}' WHERE type = 'm.room.topic';
DELETE FROM room_state WHERE type = 'org.example.s';
INSERT INTO room_state (room_id, type, state_key, event_id, stream_id, content) VALUES ('!no:x', 't', '', '$no', 1, '{}');
SELECT "table", key, stored->'content' AS stored, expected->'content' AS expected FROM matrix.verify('state') ORDER BY key;
SELECT matrix.rebuild('state') > 3000 AS folded;
SELECT * FROM matrix.verify('state');
TRUNCATE events;
SELECT count(*) FROM room_state;
SELECT matrix.verify('nowhere');
SELECT matrix.rebuild(NULL);
RESET search_path;
SELECT matrix.drop_store('state');
