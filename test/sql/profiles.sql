-- Profiles: what a change sends, and to where; what a local user sends.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('prof', server_name => 'x');
SET search_path = prof;
CREATE FUNCTION pg_temp.since(p bigint) RETURNS TABLE (type text, room_id text, content jsonb, prev jsonb) LANGUAGE sql AS $$
	SELECT e.type, e.room_id, e.content - 'last_active_ago', e.unsigned->'prev_content' FROM prof.events e WHERE e.stream_id > p ORDER BY e.stream_id $$;
INSERT INTO events (type, room_id, sender, state_key, content) VALUES
('m.room.member', '!b:x', '@a:x', '@a:x', '{"membership":"join","is_direct":true,"join_authorised_via_users_server":"@z:x","reason":"hello"}'),
('m.room.member', '!a:x', '@a:x', '@a:x', '{"membership":"join","displayname":"Old"}'),
('m.room.member', '!left:x', '@a:x', '@a:x', '{"membership":"leave"}'), ('m.room.member', '!asked:x', '@b:x', '@a:x', '{"membership":"invite"}');
SELECT max(stream_id) AS p FROM events \gset
SELECT matrix.set_profile('prof', '@a:x', 'Alice', 'mxc://x/a');
SELECT * FROM pg_temp.since(:p);
SELECT kind, since <= :p AS joined_before, displayname FROM members WHERE user_id = '@a:x' ORDER BY room_id;
-- Nothing new, no event; unset; plain DML does the same.
SELECT max(stream_id) AS p FROM events \gset
SELECT matrix.set_profile('prof', '@a:x', 'Alice', 'mxc://x/a');
SELECT * FROM pg_temp.since(:p);
UPDATE profiles SET avatar_url = '' WHERE user_id = '@a:x';
SELECT * FROM pg_temp.since(:p);
SELECT max(stream_id) AS p FROM events \gset
DELETE FROM profiles;
SELECT * FROM pg_temp.since(:p);
-- It is no activity, changes no presence, and shows no one who hides.
INSERT INTO events (type, sender, origin_server_ts, received_ts, content) VALUES ('m.presence', '@a:x', 1000, 1000, '{"presence":"online","status_msg":"s"}'),
	('m.presence', '@a:x', 2000, 2000, '{"presence":"hidden","status_msg":"s"}');
SELECT matrix.set_profile('prof', '@a:x', 'Alias', NULL);
SELECT presence, last_active_ts, status_msg, displayname FROM presence;
SELECT presence FROM presence_state;
-- In one room another name: kept when the store says so.
INSERT INTO events (type, room_id, sender, state_key, content) VALUES ('m.room.member', '!a:x', '@a:x', '@a:x', '{"membership":"join","displayname":"Only here"}');
SELECT displayname FROM profiles;
UPDATE settings SET preserve_room_overrides = true;
SELECT matrix.set_profile('prof', '@a:x', 'Everywhere', NULL);
SELECT room_id, displayname FROM members WHERE membership = 'join' ORDER BY 1;
UPDATE settings SET preserve_room_overrides = false;
SELECT matrix.set_profile('prof', '@a:x', 'Really everywhere', NULL);
SELECT room_id, displayname FROM members WHERE membership = 'join' ORDER BY 1;
-- All or nothing, in quarantine mode too.
SET matrix_events.on_invalid = 'quarantine';
SELECT max(stream_id) AS p FROM events \gset
\set VERBOSITY terse
SELECT matrix.set_profile('prof', 'nobody', 'New', NULL);
SELECT matrix.set_profile('prof', '@a:x', repeat('x', 257), NULL);
RESET matrix_events.on_invalid;
SELECT count(*) FROM pg_temp.since(:p);
SELECT displayname FROM profiles;
-- send: made id and time, the profile, once for a transaction id.
SELECT type, room_id, sender, content, event_id ~ '^\$.{43}$' AS id, origin_server_ts = received_ts AS now
FROM matrix.send('prof', '!a:x', '@a:x', 'm.room.message', '{"msgtype":"m.text","body":"one"}', txn_id => 't1');
SELECT content FROM matrix.send('prof', '!a:x', '@a:x', 'm.room.message', '{"msgtype":"m.text","body":"two"}', txn_id => 't1');
SELECT content FROM matrix.send('prof', '!b:x', '@a:x', 'm.room.message', '{"msgtype":"m.text","body":"other room"}', txn_id => 't1');
SELECT content FROM matrix.send('prof', '!a:x', '@a:x', 'm.sticker', '{"body":"other type","url":"mxc://x/y","info":{}}', txn_id => 't1');
SELECT content, unsigned->'prev_content' AS prev FROM matrix.send('prof', '!new:x', '@a:x', 'm.room.member', '{"membership":"join"}', '@a:x');
SELECT content FROM matrix.send('prof', '!new:x', '@a:x', 'm.room.member', '{"membership":"leave"}', '@a:x');
SELECT content FROM matrix.send('prof', '!new:x', '@a:x', 'm.room.member', '{"membership":"join","displayname":"As said"}', '@a:x');
SELECT matrix.send('prof', '!a:x', '@a:elsewhere', 'm.room.message', '{"msgtype":"m.text","body":"x"}');
SELECT matrix.send('prof', '!a:x', '@a:x', 'm.room.message', '{}');
SELECT matrix.send('nowhere', '!a:x', '@a:x', 'm.room.message', '{}');
SELECT * FROM matrix.verify('prof');
RESET search_path;
SELECT matrix.drop_store('prof', true);
