-- Presence: activity, hiding, the clock, and who sees whom.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('pres', server_name => 'x');
SET search_path = pres;
-- All times are small numbers: the clock of these events is the test's.
CREATE FUNCTION pg_temp.says(who text, ts bigint, content jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO pres.events (type, sender, origin_server_ts, received_ts, content) VALUES ('m.presence', '@' || who || ':x', ts, ts, content) $$;
CREATE FUNCTION pg_temp.writes(who text, ts bigint, type text DEFAULT 'm.room.message') RETURNS void LANGUAGE sql AS $$
	INSERT INTO pres.events (type, room_id, sender, origin_server_ts, received_ts, content)
	VALUES (type, '!r:x', '@' || who || ':x', ts, ts, CASE type WHEN 'm.room.message' THEN '{"msgtype":"m.text","body":"b"}' ELSE '{}' END::jsonb) $$;
CREATE FUNCTION pg_temp.shown(who text) RETURNS text LANGUAGE sql AS $$
	SELECT presence || coalesce(' ' || last_active_ts, '') || coalesce(' "' || status_msg || '"', '') FROM pres.presence WHERE user_id = '@' || who || ':x' $$;

SELECT pg_temp.says('a', 1000, '{"presence":"online","status_msg":"hi"}'), pg_temp.shown('a');
SELECT pg_temp.says('a', 2000, '{"presence":"unavailable"}'), pg_temp.shown('a') AS "lower: no activity, no status";
SELECT pg_temp.says('a', 3000, '{"presence":"online"}'), pg_temp.shown('a') AS higher;
SELECT pg_temp.says('a', 4000, '{"presence":"online"}'), pg_temp.shown('a') AS same;
SELECT pg_temp.says('a', 5000, '{"presence":"free_for_chat"}'), pg_temp.shown('a') AS higher;
SELECT pg_temp.says('a', 9000, '{"presence":"online","last_active_ago":2000}'), pg_temp.shown('a') AS said;
SELECT pg_temp.says('a', 9100, '{"presence":"online","last_active_ago":8000}'), pg_temp.shown('a') AS "never back";
-- A message is activity, and touches no row.
CREATE TEMP TABLE before AS SELECT *, xmin::text AS written_by, ctid AS at FROM presence_state;
SELECT pg_temp.writes('a', 10000), pg_temp.shown('a') AS message;
SELECT count(*) AS untouched FROM before b JOIN presence_state p ON p.xmin::text = b.written_by AND p.ctid = b.at;
SELECT pg_temp.writes('a', 8000), pg_temp.shown('a') AS "an older one";
SELECT pg_temp.writes('a', 20000, 'm.call.x'), pg_temp.shown('a') AS "no message";
SELECT pg_temp.says('a', 11000, '{"presence":"offline"}'), pg_temp.shown('a') AS "offline keeps it";
-- Hidden is offline for all others, and what was done meanwhile never shows.
SELECT pg_temp.says('h', 1000, '{"presence":"online"}'), pg_temp.writes('h', 1500), pg_temp.shown('h');
SELECT pg_temp.says('h', 2000, '{"presence":"hidden","last_active_ago":0}'), pg_temp.writes('h', 2500), pg_temp.shown('h') AS hidden;
SELECT pg_temp.says('h', 3000, '{"presence":"offline"}'), pg_temp.shown('h') AS "hidden to offline";
SELECT pg_temp.says('h', 3500, '{"presence":"hidden"}'), pg_temp.writes('h', 3600), pg_temp.shown('h') AS "hidden again";
SELECT pg_temp.says('h', 4000, '{"presence":"offline"}'), pg_temp.writes('h', 1700), pg_temp.shown('h') AS "a message from before";
SELECT pg_temp.writes('h', 3200), pg_temp.shown('h') AS "between the two";
SELECT pg_temp.writes('h', 4100), pg_temp.shown('h') AS "after both";
SELECT pg_temp.says('h', 5000, '{"presence":"online"}'), pg_temp.shown('h');
SELECT hidden FROM presence_state WHERE user_id = '@h:x';
SELECT user_id, currently_active FROM presence ORDER BY 1;
SELECT * FROM matrix.verify('pres');
-- A copy of the profile: absent stays, null goes.
SELECT pg_temp.says('p', 1, '{"presence":"online","displayname":"P","avatar_url":"mxc://x/p"}'), pg_temp.says('p', 2, '{"presence":"online"}'),
	pg_temp.says('p', 3, '{"presence":"online","displayname":null}');
SELECT displayname, avatar_url FROM presence WHERE user_id = '@p:x';
-- By a time: ago, active for a minute, never below 0.
SELECT last_active_ago, currently_active FROM matrix.presence_seen_by('pres', '@h:x', 5000 + 59999)
UNION ALL SELECT last_active_ago, currently_active FROM matrix.presence_seen_by('pres', '@h:x', 5000 + 60000)
UNION ALL SELECT last_active_ago, currently_active FROM matrix.presence_seen_by('pres', '@h:x', 4000);
-- Who sees whom: joined rooms, and oneself with hidden shown.
INSERT INTO events (type, room_id, sender, state_key, content)
	SELECT 'm.room.member', '!r:x', u, u, jsonb_build_object('membership', m)
	FROM (VALUES ('@a:x', 'join'), ('@h:x', 'join'), ('@p:x', 'invite')) v(u, m);
SELECT pg_temp.says('h', 6000, '{"presence":"hidden"}');
SELECT o, user_id, presence FROM unnest('{@a:x,@h:x,@p:x,@nobody:x}'::text[]) o, matrix.presence_seen_by('pres', o, 70000) ORDER BY 1, 2;
-- Ticks send events; activity and status stay.
SELECT pg_temp.says('t', 100000, '{"presence":"free_for_chat","status_msg":"s"}');
SELECT matrix.presence_tick('pres', 400000), pg_temp.shown('t') AS "five minutes";
SELECT matrix.presence_tick('pres', 400001), pg_temp.shown('t') AS "and one";
SELECT pg_temp.writes('t', 400100), matrix.presence_tick('pres', 400200), pg_temp.shown('t') AS "a message raises nothing";
UPDATE settings SET presence_auto_online = true;
SELECT pg_temp.shown('t') AS "but where the store says so";
SELECT matrix.presence_tick('pres', 400100 + 300001), pg_temp.shown('t') AS "idle again";
UPDATE settings SET presence_auto_online = false;
SELECT matrix.presence_tick('pres', 400100 + 300001 + 1800001), pg_temp.shown('t') AS "half an hour";
SELECT presence FROM presence_state WHERE user_id = '@h:x';
-- Settings.
UPDATE settings SET presence_profile = 'current', presence_equal_level_bumps = true, activity_types = '{m.sticker}';
SELECT pg_temp.says('s', 10, '{"presence":"online"}'), pg_temp.says('s', 20, '{"presence":"online"}'), pg_temp.shown('s') AS equal;
SELECT pg_temp.says('s', 30, '{"presence":"free_for_chat"}'), pg_temp.shown('s') AS "only online";
SELECT pg_temp.writes('s', 40), pg_temp.shown('s') AS "no sticker";
SELECT matrix.rebuild('pres') > 0 AS folded;
SELECT * FROM matrix.verify('pres');
-- Refused: an unknown state, presence in a room, of another user.
SELECT pg_temp.says('a', 1, '{"presence":"busy"}');
SELECT pg_temp.says('a', 1, '{"presence":"online","user_id":"@b:x"}');
DELETE FROM events WHERE sender = '@s:x';
SELECT count(*) FROM presence WHERE user_id = '@s:x';
SELECT * FROM matrix.verify('pres');
RESET search_path;
SELECT matrix.drop_store('pres', true);
