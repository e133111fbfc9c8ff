-- Redaction: who may, what is left, wherever the content lay, whichever comes first.
SET client_min_messages = warning;
\pset null -
SELECT matrix.create_store('red', server_name => 'x');
CREATE FUNCTION sends(room text, type text, sender text, id text, content jsonb, state_key text DEFAULT NULL, unsigned jsonb DEFAULT NULL, extra jsonb DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
	INSERT INTO red.events (room_id, type, sender, event_id, content, state_key, unsigned, extra, origin_server_ts)
	VALUES (room, type, sender, id, content, state_key, unsigned, extra, 1700000000000) $$;
CREATE FUNCTION says(sender text, id text, body text, room text DEFAULT '!a:x') RETURNS void LANGUAGE sql AS $$
	SELECT sends(room, 'm.room.message', sender, id, jsonb_build_object('msgtype', 'm.text', 'body', body)) $$;
CREATE FUNCTION edits(sender text, id text, target text, body text, room text DEFAULT '!a:x') RETURNS void LANGUAGE sql AS $$
	SELECT sends(room, 'm.room.message', sender, id, jsonb_build_object('msgtype', 'm.text', 'body', '* ' || body, 'm.new_content',
		jsonb_build_object('msgtype', 'm.text', 'body', body), 'm.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', target))) $$;
CREATE FUNCTION redacts(sender text, id text, target text, reason text DEFAULT NULL, room text DEFAULT '!a:x') RETURNS void LANGUAGE sql AS $$
	SELECT sends(room, 'm.room.redaction', sender, id, jsonb_strip_nulls(jsonb_build_object('reason', reason)), extra => jsonb_build_object('redacts', target)) $$;
CREATE FUNCTION shown(VARIADIC ids text[]) RETURNS TABLE (event_id text, content jsonb, redacted_by text) LANGUAGE sql AS $$
	SELECT e.event_id, e.content, e.redacted_by FROM red.events e WHERE e.event_id = ANY (ids) ORDER BY e.stream_id $$;

SELECT sends('!a:x', 'm.room.create', '@alice:x', '$create', '{"room_version": "10", "creator": "@alice:x"}', ''),
	sends('!a:x', 'm.room.power_levels', '@alice:x', '$levels', '{"users": {"@alice:x": 100, "@mod:y": 50}}', '');

-- One's own event, with all that stood in it and beside it.
SELECT sends('!a:x', 'm.room.message', '@bob:z', '$m1', '{"msgtype": "m.text", "body": "secret"}', unsigned => '{"age": 1, "secret": 1}',
	extra => '{"hashes": {"sha256": "h"}, "depth": 7, "secret": 2, "prev_events": ["$levels"]}');
SELECT sends('!a:x', 'm.room.redaction', '@bob:z', '$r1', '{"reason": "I did not mean it"}', unsigned => '{"age": 1}',
	extra => '{"redacts": "$m1", "hashes": {"sha256": "h"}, "signatures": {}, "auth_events": [], "depth": 8}');
SELECT matrix.event_json(e) FROM red.events e WHERE e.event_id = '$m1';
SELECT redacts FROM red.events WHERE event_id = '$r1';

-- Another of the same server; a moderator; not just anybody, nor for the create event, nor from another room.
SELECT says('@bob:z', '$m2', 'two'), says('@bob:z', '$m3', 'three'), says('@bob:z', '$m4', 'four');
SELECT redacts('@carol:z', '$r2', '$m2'), redacts('@mod:y', '$r3', '$m3'), redacts('@eve:q', '$r4', '$m4'), redacts('@alice:x', '$r5', '$create'),
	redacts('@bob:z', '$r6', '$m4', room => '!b:x');
SELECT * FROM shown('$create', '$m2', '$m3', '$m4');
UPDATE red.settings SET redact_same_sender_only = true;
SELECT says('@bob:z', '$m5', 'five');
SELECT redacts('@carol:z', '$r7', '$m5');
SELECT * FROM shown('$m5');
UPDATE red.settings SET redact_same_sender_only = false;
SELECT matrix.rebuild('red') > 0;
SELECT * FROM shown('$m5');
-- What a server rejected redacts nothing.
INSERT INTO red.events (room_id, type, sender, content, extra, rejected) VALUES ('!a:x', 'm.room.redaction', '@bob:z', '{}', '{"redacts": "$m4"}', true);
SELECT * FROM shown('$m4');

-- The first one counts, and it stays redacted when that is redacted: only its reason goes.
SELECT redacts('@alice:x', '$r8', '$m1', 'later');
SELECT redacts('@alice:x', '$r9', '$r1');
SELECT * FROM shown('$m1', '$r1');
SELECT unsigned->'redacted_because' AS because FROM red.events WHERE event_id IN ('$m1', '$r1') ORDER BY stream_id;
-- Each other, and itself.
INSERT INTO red.events (room_id, type, sender, event_id, content, extra) VALUES
	('!a:x', 'm.room.redaction', '@bob:z', '$ra', '{"reason": "secret a"}', '{"redacts": "$rb"}'),
	('!a:x', 'm.room.redaction', '@bob:z', '$rb', '{"reason": "secret b"}', '{"redacts": "$ra"}'),
	('!a:x', 'm.room.redaction', '@bob:z', '$rc', '{"reason": "secret c"}', '{"redacts": "$rc"}');
SELECT * FROM shown('$ra', '$rb', '$rc');
SELECT count(*) FROM red.events e WHERE e::text LIKE '%secret _%';

-- Before its target, which nobody sees as it was; not for one who may not.
SELECT redacts('@bob:z', '$r10', '$m10'), redacts('@eve:q', '$r11', '$m11');
SELECT says('@bob:z', '$m10', 'secret'), says('@bob:z', '$m11', 'open');
SELECT * FROM shown('$m10', '$m11');
INSERT INTO red.events (raw) VALUES ('{"type": "m.room.redaction", "event_id": "$r12", "room_id": "!a:x", "sender": "@bob:z", "redacts": "$m12", "origin_server_ts": 1, "content": {}}'),
	('{"type": "m.room.message", "event_id": "$m12", "room_id": "!a:x", "sender": "@bob:z", "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": "\u0000 secret"}}'),
	('{"type": "m.room.message", "event_id": "$m13", "room_id": "!a:x", "sender": "@bob:z", "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": "\u0000 secret"}}'),
	('{"type": "m.room.redaction", "event_id": "$r13", "room_id": "!a:x", "sender": "@bob:z", "redacts": "$m13", "origin_server_ts": 1, "content": {}}');
SELECT event_id, content, raw FROM red.events WHERE event_id IN ('$m12', '$m13') ORDER BY event_id;
-- What comes with an event does not count: the store says what is redacted.
INSERT INTO red.events (raw) VALUES ('{"type": "m.room.message", "event_id": "$m14", "room_id": "!a:x", "sender": "@bob:z", "origin_server_ts": 1,
	"content": {"msgtype": "m.text", "body": "here"}, "unsigned": {"age": 1, "redacted_because": {"type": "m.room.redaction"}}, "redacted_because": {}}');
SELECT content, unsigned, extra FROM red.events WHERE event_id = '$m14';

-- Its edits are versions of it; those of others are not. Edits that come later go the same way.
SELECT says('@bob:z', '$o', 'secret 1'), edits('@bob:z', '$o1', '$o', 'secret 2'), edits('@eve:q', '$o2', '$o', 'of eve');
SELECT redacts('@mod:y', '$ro', '$o');
SELECT edits('@bob:z', '$o3', '$o', 'secret 3');
SELECT * FROM shown('$o', '$o1', '$o2', '$o3');
-- An edit alone, and edits before their original.
SELECT says('@bob:z', '$p', 'one'), edits('@bob:z', '$p1', '$p', 'two'), redacts('@bob:z', '$rp', '$p1');
SELECT * FROM shown('$p', '$p1');
SELECT edits('@bob:z', '$q1', '$q', 'secret'), redacts('@bob:z', '$rq', '$q'), edits('@bob:z', '$q2', '$q', 'secret');
SELECT * FROM shown('$q1', '$q2');
SELECT says('@bob:z', '$q', 'secret');
SELECT * FROM shown('$q', '$q1', '$q2');

-- State: the row stays, its content goes; members stay members. Copies in other events go too.
SELECT sends('!a:x', 'm.room.topic', '@alice:x', '$t1', '{"topic": "secret"}', ''),
	sends('!a:x', 'm.room.member', '@zoe:z', '$z0', '{"membership": "invite"}', '@zoe:z',
		unsigned => '{"invite_room_state": [{"type": "m.room.topic", "state_key": "", "sender": "@alice:x", "content": {"topic": "secret"}}, {"type": "m.room.name", "state_key": "", "sender": "@alice:x", "content": {"name": "n"}}]}'),
	sends('!a:x', 'm.room.topic', '@alice:x', '$t2', '{"topic": "two"}', '', unsigned => '{"prev_content": {"topic": "secret"}, "replaces_state": "$t1"}'),
	sends('!a:x', 'm.room.topic', '@alice:x', '$t3', '{"topic": "three"}', '', extra => '{"prev_content": {"topic": "secret"}}');
SELECT redacts('@alice:x', '$rt1', '$t1');
SELECT event_id, content, unsigned, extra FROM red.events WHERE event_id IN ('$z0', '$t2', '$t3') ORDER BY stream_id;
SELECT redacts('@alice:x', '$rt3', '$t3');
SELECT event_id, content FROM red.room_state WHERE room_id = '!a:x' AND type = 'm.room.topic';
SELECT sends('!a:x', 'm.room.member', '@bob:z', '$b1', '{"membership": "join", "displayname": "secret"}', '@bob:z'),
	sends('!a:x', 'm.room.member', '@bob:z', '$b2', '{"membership": "join", "displayname": "secret", "new": 1}', '@bob:z');
SELECT kind, displayname, since FROM red.members WHERE user_id = '@bob:z';
SELECT redacts('@alice:x', '$rb1', '$b1');
SELECT kind, displayname, since FROM red.members WHERE user_id = '@bob:z';
SELECT redacts('@alice:x', '$rb2', '$b2');
SELECT kind, membership, displayname FROM red.members WHERE user_id = '@bob:z';
-- In one statement.
INSERT INTO red.events (room_id, type, sender, event_id, content, state_key, extra) VALUES
	('!a:x', 'm.room.redaction', '@alice:x', NULL, '{}', NULL, '{"redacts": "$n1"}'),
	('!a:x', 'm.room.name', '@alice:x', '$n1', '{"name": "secret"}', '', NULL),
	('!a:x', 'm.room.member', '@dan:x', '$d1', '{"membership": "join", "displayname": "secret"}', '@dan:x', NULL),
	('!a:x', 'm.room.redaction', '@dan:x', NULL, '{}', NULL, '{"redacts": "$d1"}');
SELECT type, event_id, content, kind FROM red.room_state WHERE event_id IN ('$n1', '$d1') ORDER BY event_id;

-- A call that was acted on stays what it was; what was said goes. One that was redacted before it came never was.
SELECT sends('!c:x', 'm.call.invite', '@alice:x', '$c1', '{"call_id": "c", "party_id": "p", "version": "1", "lifetime": 60000, "offer": {"type": "offer", "sdp": "secret"}}'),
	sends('!c:x', 'm.call.hangup', '@alice:x', '$c2', '{"call_id": "c", "party_id": "p", "version": "1", "reason": "secret"}');
SELECT state, end_reason, hangup_reason, caller FROM red.calls WHERE call_id = 'c';
SELECT redacts('@alice:x', NULL, '$c1', room => '!c:x'), redacts('@alice:x', NULL, '$c2', room => '!c:x');
SELECT state, end_reason, hangup_reason, caller FROM red.calls WHERE call_id = 'c';
SELECT event_id, content, kept FROM red.events WHERE event_id IN ('$c1', '$c2') ORDER BY event_id;
SELECT redacts('@alice:x', NULL, '$c3', room => '!c:x'),
	sends('!c:x', 'm.call.invite', '@alice:x', '$c3', '{"call_id": "d", "party_id": "p", "version": "1", "lifetime": 60000, "offer": {"type": "offer", "sdp": "secret"}}');
SELECT count(*) FROM red.calls WHERE call_id = 'd';

-- Relations, and what servers aggregate of them.
SELECT says('@alice:x', '$root', 'root'), sends('!a:x', 'm.reaction', '@bob:z', '$like', '{"m.relates_to": {"rel_type": "m.annotation", "event_id": "$root", "key": "secret"}}'),
	sends('!a:x', 'm.room.message', '@bob:z', '$in', '{"msgtype": "m.text", "body": "secret", "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}');
UPDATE red.events SET unsigned = '{"age": 1, "m.relations": {"m.thread": {"latest_event": {"content": {"body": "secret"}}}}}' WHERE event_id = '$root';
SELECT redacts('@bob:z', NULL, '$like'), redacts('@bob:z', NULL, '$in');
SELECT count(*) FROM matrix.reactions('red', '$root');
SELECT count(*) FROM matrix.thread('red', '$root');
SELECT unsigned FROM red.events WHERE event_id = '$root';

-- An aggregation of the root holds an edit of what is in the thread; nobody reaches into another room.
SELECT sends('!a:x', 'm.room.message', '@bob:z', '$in2', '{"msgtype": "m.text", "body": "open", "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}'),
	edits('@bob:z', '$in2e', '$in2', 'secret');
UPDATE red.events SET unsigned = '{"m.relations": {"m.thread": {"latest_event": {"content": {"body": "secret"}}}}}' WHERE event_id = '$root';
SELECT sends('!b:x', 'm.reaction', '@eve:q', '$far', '{"m.relates_to": {"rel_type": "m.annotation", "event_id": "$root", "key": "k"}}');
SELECT redacts('@eve:q', NULL, '$far', room => '!b:x');
SELECT unsigned FROM red.events WHERE event_id = '$root';
SELECT * FROM matrix.erasure_report('red', '$in2e');
SELECT redacts('@bob:z', '$rin2e', '$in2e');
SELECT unsigned FROM red.events WHERE event_id = '$root';
-- What comes later repeats nothing; what else it brings stays.
SELECT sends('!a:x', 'm.room.topic', '@alice:x', '$t4', '{"topic": "four"}', '', unsigned => '{"age": 1, "prev_content": {"topic": "secret"}, "replaces_state": "$t1"}'),
	sends('!a:x', 'm.room.topic', '@alice:x', '$t5', '{"topic": "five"}', '', extra => '{"prev_content": {"topic": "four"}}'),
	sends('!a:x', 'm.room.member', '@zed:z', '$z1', '{"membership": "invite"}', '@zed:z', extra => '{"invite_room_state": [
		{"type": "m.room.topic", "state_key": "", "sender": "@alice:x", "content": {"topic": "secret"}}, {"type": "m.room.topic", "state_key": "", "sender": "@alice:x", "content": {"topic": "four"}}]}'),
	sends('!a:x', 'm.room.message', '@bob:z', '$root2', '{"msgtype": "m.text", "body": "root"}', unsigned => '{"age": 1, "m.relations": {"m.thread": {"latest_event": {"event_id": "$in2e", "content": {"body": "secret"}}}}}');
SELECT event_id, unsigned, extra FROM red.events WHERE event_id IN ('$t4', '$t5', '$z1', '$root2') ORDER BY stream_id;
-- Of a redacted event unsigned is the store's; of others it is their server's, but for that.
UPDATE red.events SET unsigned = '{"age": 2, "m.relations": {"m.replace": {"event_id": "$in2e", "content": "secret"}}}' WHERE event_id IN ('$in2e', '$root2', '$m4');
SELECT event_id, unsigned FROM red.events WHERE event_id IN ('$in2e', '$root2', '$m4') ORDER BY stream_id;
-- What was refused under the event's id, before and after; what a worker said of it.
SET matrix_events.on_invalid = 'quarantine';
SELECT says('@bob:z', '$w', 'secret'), says('@eve:q', '$w', 'secret, too');
SELECT matrix.worker_open('red', 'w', after => 0, max_failures => 1);
SELECT count(*) FROM (SELECT matrix.worker_fetch('red', 'w', 1000)) f;
SELECT matrix.worker_fail('red', 'w', e.stream_id, 'cannot read: secret') FROM red.events e WHERE e.event_id = '$w';
SELECT redacts('@bob:z', NULL, '$w');
SELECT says('@eve:q', '$w', 'secret, again');
SELECT raw, violations, event_id FROM red.rejected;
SELECT event_id, error FROM red.dead_letters;
SELECT matrix.worker_open('red', 'w2', after => 0, max_failures => 2);
SELECT count(*) FROM (SELECT matrix.worker_fetch('red', 'w2', 1000)) f;
SELECT matrix.worker_fail('red', 'w2', e.stream_id, 'cannot read: secret') FROM red.events e WHERE e.event_id = '$w';
SELECT worker, failing IS NOT NULL AS failing, error FROM red.worker_parts ORDER BY worker;
RESET matrix_events.on_invalid;

-- History is redacted, and redacts.
INSERT INTO red.events (stream_id, room_id, type, sender, event_id, content) VALUES (-1, '!a:x', 'm.room.message', '@bob:z', '$h1', '{"msgtype": "m.text", "body": "secret"}');
SELECT redacts('@bob:z', NULL, '$h1'), redacts('@bob:z', NULL, '$h2');
INSERT INTO red.events (stream_id, room_id, type, sender, event_id, content, extra) VALUES
	(-1, '!a:x', 'm.room.message', '@bob:z', '$h2', '{"msgtype": "m.text", "body": "secret"}', NULL),
	(-1, '!a:x', 'm.room.redaction', '@bob:z', NULL, '{}', '{"redacts": "$m14"}');
SELECT event_id, content FROM red.events WHERE event_id IN ('$h1', '$h2', '$m14') ORDER BY stream_id;

-- Versions: 11 has the target in the content, and keeps it.
SELECT sends('!v:x', 'm.room.create', '@alice:x', '$vcreate', '{"room_version": "11"}', ''), says('@alice:x', '$v1', 'one', '!v:x'), says('@alice:x', '$v2', 'two', '!v:x');
SELECT redacts('@alice:x', '$rv1', '$v1', room => '!v:x'), sends('!v:x', 'm.room.redaction', '@alice:x', '$rv2', '{"redacts": "$v2", "reason": "secret"}');
SELECT sends('!v:x', 'm.room.redaction', '@alice:x', '$rv3', '{"redacts": "$rv2"}');
SELECT * FROM shown('$v1', '$v2', '$rv2');

-- By matrix.send, in a room of either kind, once for a transaction id.
SELECT (matrix.send('red', r, '@alice:x', 'm.room.redaction', '{"redacts": "$v1", "reason": "why"}', txn_id => 'a')).event_id = (matrix.send('red', r, '@alice:x', 'm.room.redaction', '{"redacts": "$v1"}', txn_id => 'a')).event_id AS once
	FROM (VALUES ('!v:x')) v(r);
SELECT redacts, extra FROM matrix.send('red', '!a:x', '@alice:x', 'm.room.redaction', '{"redacts": "$p"}');
SELECT event_id, content, unsigned #> '{redacted_because,content}' AS because FROM red.events WHERE event_id IN ('$v1', '$p') ORDER BY event_id;

-- Nobody else changes an event; whoever may insert, redacts.
UPDATE red.events SET content = '{}' WHERE event_id = '$m4';
UPDATE red.events SET redacted_by = '$r1' WHERE event_id = '$m4';
INSERT INTO red.events (room_id, type, sender, event_id, content, redacted_by, kept, redacts) VALUES ('!a:x', 'm.room.message', '@bob:z', '$own', '{"msgtype": "m.text", "body": "b"}', '$r1', '{}', '$m4');
SELECT redacted_by, kept, redacts FROM red.events WHERE event_id = '$own';
CREATE ROLE red_writer;
GRANT USAGE ON SCHEMA red TO red_writer;
GRANT INSERT ON red.events TO red_writer;
SET ROLE red_writer;
INSERT INTO red.events (room_id, type, sender, event_id, content, extra) VALUES ('!a:x', 'm.room.redaction', '@bob:z', '$rw', '{}', '{"redacts": "$m4"}');
SELECT matrix.apply_redactions('red.events');
RESET ROLE;
SELECT * FROM shown('$m4');

-- A trigger of the user's own redacts what is just being inserted, after and before the store's own look at it.
CREATE FUNCTION red.redacts_new() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM redacts(NEW.sender, '$r' || NEW.event_id, NEW.event_id); RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT ON red.events FOR EACH ROW WHEN (NEW.event_id LIKE '$new%') EXECUTE FUNCTION red.redacts_new();
INSERT INTO red.events (room_id, type, sender, event_id, content) SELECT '!a:x', 'm.room.message', '@bob:z', '$new' || n, '{"msgtype": "m.text", "body": "secret"}' FROM generate_series(1, 2) n;
DROP TRIGGER a ON red.events;
CREATE TRIGGER z BEFORE INSERT ON red.events FOR EACH ROW WHEN (NEW.event_id LIKE '$new%') EXECUTE FUNCTION red.redacts_new();
INSERT INTO red.events (room_id, type, sender, event_id, content) SELECT '!a:x', 'm.room.message', '@bob:z', '$new' || n, '{"msgtype": "m.text", "body": "secret"}' FROM generate_series(3, 4) n;
DROP TRIGGER z ON red.events;
CREATE TRIGGER z AFTER INSERT ON red.events FOR EACH ROW WHEN (NEW.event_id LIKE '$new%') EXECUTE FUNCTION red.redacts_new();
INSERT INTO red.events (room_id, type, sender, event_id, content) SELECT '!a:x', 'm.room.message', '@bob:z', '$new' || n, '{"msgtype": "m.text", "body": "secret"}' FROM generate_series(5, 6) n;
DROP TRIGGER z ON red.events;
DROP FUNCTION red.redacts_new;
SELECT * FROM shown('$new1', '$new2', '$new3', '$new4', '$new5', '$new6');
-- More messages than are noted one by one: each is held against a redaction that comes earlier or later in the statement.
INSERT INTO red.events (room_id, type, sender, event_id, content, extra)
	SELECT '!a:x', CASE WHEN n IN (10, 65990) THEN 'm.room.redaction' ELSE 'm.room.message' END, '@bob:z', '$many' || n,
		'{"msgtype": "m.text", "body": "secret", "m.relates_to": {"rel_type": "m.reference", "event_id": "$m1"}}',
		CASE WHEN n IN (10, 65990) THEN jsonb_build_object('redacts', '$many' || 66001 - n) END FROM generate_series(1, 66000) n;
SELECT event_id, content, redacted_by FROM red.events WHERE event_id LIKE '$many%' AND redacted_by IS NOT NULL ORDER BY stream_id;
DELETE FROM red.events WHERE event_id LIKE '$many%';

-- What a statement inserts is folded with it, not in a savepoint of a function that it calls, which is rolled back.
CREATE FUNCTION red.fails(n int) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		IF n = 2 THEN
			BEGIN
				PERFORM sends('!a:x', 'm.room.name', '@alice:x', '$name' || random(), '{"name": "n"}', '');
				RAISE EXCEPTION USING ERRCODE = 'MXTES';
			EXCEPTION WHEN SQLSTATE 'MXTES' THEN NULL;
			END;
		END IF;
		RETURN n::text;
	END $$;
SELECT says('@bob:z', '$fails', 'secret');
INSERT INTO red.events (room_id, type, sender, event_id, content, extra)
	SELECT '!a:x', 'm.room.redaction', '@bob:z', '$rfails' || n, '{}', jsonb_build_object('redacts', CASE n WHEN 1 THEN '$fails' ELSE '$none' || red.fails(n) END) FROM generate_series(1, 2) n;
INSERT INTO red.events (room_id, type, sender, state_key, content) SELECT '!a:x', 'org.example', '@bob:z', red.fails(n), '{}' FROM generate_series(1, 2) n;
SELECT * FROM shown('$fails');
SELECT state_key FROM red.room_state WHERE type = 'org.example' ORDER BY 1;
DROP FUNCTION red.fails;
-- An UPDATE that brings back what was redacted, before and in a savepoint that is rolled back.
SELECT says('@bob:z', '$thread', 'root');
SELECT sends('!a:x', 'm.room.message', '@bob:z', '$reply', '{"msgtype": "m.text", "body": "secret", "m.relates_to": {"rel_type": "m.thread", "event_id": "$thread"}}');
SELECT redacts('@bob:z', '$rreply', '$reply');
BEGIN;
UPDATE red.events SET unsigned = '{"m.relations": {"m.thread": {"latest_event": {"event_id": "$reply", "content": {"body": "secret"}}}}}' WHERE event_id = '$thread';
SAVEPOINT a;
SELECT sends('!a:x', 'm.room.name', '@alice:x', NULL, '{"name": "n"}', '');
ROLLBACK TO a;
COMMIT;
-- The room's version comes after a redaction: what version 1 would have kept goes.
SELECT sends('!late:x', 'm.room.message', '@bob:z', '$lv', '{"msgtype": "m.text", "body": "secret"}', extra => '{"origin": "secret"}');
SELECT redacts('@bob:z', '$rlv', '$lv', room => '!late:x');
SELECT sends('!late:x', 'm.room.create', '@bob:z', '$lcreate', '{"room_version": "11"}', '');
SELECT event_id, content, extra FROM red.events WHERE event_id = '$lv';
-- A copy of what comes after its redaction.
SELECT redacts('@bob:z', '$rlate', '$late');
UPDATE red.events SET unsigned = '{"m.relations": {"m.thread": {"latest_event": {"event_id": "$late", "content": {"body": "secret"}}}}}' WHERE event_id = '$thread';
SELECT sends('!a:x', 'm.room.message', '@bob:z', '$late', '{"msgtype": "m.text", "body": "secret", "m.relates_to": {"rel_type": "m.thread", "event_id": "$thread"}}');
SELECT event_id, content, unsigned - 'redacted_because' AS unsigned FROM red.events WHERE event_id IN ('$thread', '$reply', '$late') ORDER BY stream_id;

-- Nothing is left, nor in samples of the planner.
ANALYZE;
SELECT count(*) AS events FROM red.events e WHERE e::text LIKE '%secret%';
SELECT count(*) AS state FROM red.room_state e WHERE e::text LIKE '%secret%';
SELECT count(*) AS calls FROM red.call_state e WHERE e::text LIKE '%secret%';
SELECT count(*) AS rejected FROM red.rejected e WHERE e::text LIKE '%secret%';
SELECT count(*) AS samples FROM pg_stats s WHERE s::text LIKE '%secret%';
SELECT * FROM matrix.verify('red');
-- It notices what was missed.
ALTER TABLE red.events DISABLE TRIGGER a_matrix_event;
UPDATE red.events SET content = '{"body": "again"}', redacted_by = NULL WHERE event_id = '$m1';
ALTER TABLE red.events ENABLE TRIGGER a_matrix_event;
SELECT "table", key, stored->'content' AS stored, expected->'content' AS expected FROM matrix.verify('red');
SELECT matrix.rebuild('red') > 0;
SELECT * FROM shown('$m1');
SELECT matrix.drop_store('red', force => true);
DROP FUNCTION sends, says, edits, redacts, shown;
DROP ROLE red_writer;
