-- Stores of any size whose rooms are all alike, for reading.pl.
SET client_min_messages = warning;
CREATE EXTENSION matrix_events;
CREATE EXTENSION pg_trgm;
CREATE SCHEMA bench;

CREATE TABLE bench.bodies AS
	SELECT n, string_agg(w.words[1 + floor(random() * random() * 40)::int], ' ') AS body
	FROM (SELECT setseed(0.5)) s,
		(SELECT '{the,of,to,and,we,can,you,build,server,room,today,with,think,about,there,would,message,client,bridge,state,from,that,this,have,been,are,is,for,Grüße,naïve,今日,привет,🎉,maybe,later,ok,yes,when,how,where}'::text[] AS words) w,
		generate_series(0, 4999) n, generate_series(1, 4 + n % 20) k
	GROUP BY n;
ALTER TABLE bench.bodies ADD PRIMARY KEY (n);

-- What a reader asks for: of each store 200 rows.
CREATE TABLE bench.asked (
	store text, n int, room text COLLATE "C", middle bigint, event text COLLATE "C", root text COLLATE "C", edited text COLLATE "C",
	mentioned text COLLATE "C", state_room text COLLATE "C", state_past bigint, big_past bigint, PRIMARY KEY (store, n));

CREATE FUNCTION bench.id(room int, k int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '$' || md5(room || '-' || k) || '1234567890A' $$;

-- A store of this many events in rooms of 1000 that take turns.  Before
-- these, four rooms of 300 state keys that change five times, and one of 10,000 members.
CREATE PROCEDURE bench.fill(store text, events int) LANGUAGE plpgsql AS $fill$
	DECLARE
		rooms int := events / 1000;
		start bigint;
	BEGIN
		PERFORM matrix.create_store(store);
		EXECUTE format($$
			INSERT INTO %I.events (type, room_id, sender, state_key, content)
			SELECT 'org.example.key' || i %% 3, '!state' || i / 3 %% 4 || ':x', '@u:x', 'k' || i / 12 %% 100, jsonb_build_object('version', i / 1200)
			FROM generate_series(0, 5999) i
		$$, store);
		EXECUTE format($$
			INSERT INTO %I.events (type, room_id, sender, state_key, content)
			SELECT 'm.room.member', '!big:x', '@u' || i %% 10000 || ':x', '@u' || i %% 10000 || ':x', jsonb_build_object('membership', 'join', 'displayname', 'name ' || i)
			FROM generate_series(1, 12000) i
		$$, store);
		EXECUTE format('SELECT max(stream_id) FROM %I.events', store) INTO start;
		EXECUTE format($$
			INSERT INTO %I.events (type, event_id, room_id, sender, state_key, origin_server_ts, content)
			SELECT
				CASE WHEN k = 0 THEN 'm.room.create' WHEN k < 50 THEN 'm.room.member' WHEN reaction THEN 'm.reaction' WHEN encrypted THEN 'm.room.encrypted' ELSE 'm.room.message' END,
				bench.id(r, k), '!r' || r || ':x', sender, CASE WHEN k = 0 THEN '' WHEN k < 50 THEN sender END, 1760000000000 + i,
				CASE
					WHEN k = 0 THEN jsonb_build_object('creator', sender, 'room_version', '11')
					WHEN k < 50 THEN jsonb_build_object('membership', 'join', 'displayname', 'user ' || k)
					WHEN k BETWEEN 901 AND 903 THEN jsonb_build_object('msgtype', 'm.text', 'body', '* ' || b.body, 'm.new_content',
						jsonb_build_object('msgtype', 'm.text', 'body', b.body), 'm.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', bench.id(r, 900)))
					WHEN reaction THEN jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', 'm.annotation', 'event_id', bench.id(r, 100), 'key', ('{👍,🎉,❤️}'::text[])[1 + k %% 3]))
					WHEN encrypted THEN jsonb_build_object('algorithm', 'm.megolm.v1.aes-sha2', 'ciphertext', repeat(md5(i::text), 8), 'session_id', md5(r::text))
					ELSE jsonb_build_object('msgtype', 'm.text', 'body', b.body
							|| CASE WHEN k = 900 THEN '' WHEN k = 500 AND r %% greatest(rooms / 10, 1) = 0 THEN ' zebra'
								WHEN w %% 4 = 0 THEN ' deploy' WHEN w %% 40 = 14 THEN ' release party' WHEN w %% 40 = 26 THEN ' conference' WHEN w %% 40 = 30 THEN ' 明日の天気予報です' ELSE '' END)
						|| CASE WHEN k %% 16 = 5 THEN jsonb_build_object('m.mentions', jsonb_build_object('user_ids', jsonb_build_array('@m' || r || ':x'))) ELSE '{}' END
						|| CASE WHEN k BETWEEN 101 AND 600 AND k %% 5 = 1 THEN jsonb_build_object('m.relates_to', jsonb_build_object('rel_type', 'm.thread', 'event_id', bench.id(r, 100)))
							WHEN k BETWEEN 101 AND 400 AND k %% 5 = 3 THEN jsonb_build_object('m.relates_to', jsonb_build_object('m.in_reply_to', jsonb_build_object('event_id', bench.id(r, 100)))) ELSE '{}' END
				END
			FROM (
				SELECT i, $1 AS rooms, r, k, k + r AS w, '@u' || r * 40 + CASE WHEN k BETWEEN 901 AND 903 THEN 900 ELSE k END %% 50 || ':x' AS sender, k BETWEEN 101 AND 400 AND k %% 5 = 2 AS reaction,
					(k BETWEEN 50 AND 99 OR k BETWEEN 601 AND 899 OR k > 903) AND (k + r) %% 10 = 9 AS encrypted
				FROM (SELECT i, i %% $1 AS r, i / $1 AS k FROM generate_series(0, $1 * 1000 - 1) i) i) i
				JOIN bench.bodies b ON b.n = i * 7919::bigint %% 5000
			ORDER BY i
		$$, store) USING rooms;
		-- What he would make who has plain SQL only.
		EXECUTE format($$
			CREATE INDEX plain_relation ON %1$I.events ((coalesce(content->'m.relates_to'->>'event_id', content->'m.relates_to'->'m.in_reply_to'->>'event_id') COLLATE "C"), stream_id);
			CREATE INDEX plain_mention ON %1$I.events USING gin ((content->'m.mentions'->'user_ids')) WHERE content->'m.mentions' IS NOT NULL;
			CREATE INDEX plain_words ON %1$I.events USING gin (to_tsvector('simple', content->>'body')) WHERE type = 'm.room.message';
			CREATE INDEX plain_trigrams ON %1$I.events USING gin ((content->>'body') gin_trgm_ops) WHERE type = 'm.room.message';
			CREATE INDEX plain_state ON %1$I.events (room_id, type, state_key, stream_id DESC) WHERE state_key IS NOT NULL
		$$, store);
		PERFORM setseed(0.25);
		INSERT INTO bench.asked
			SELECT store, n, '!r' || r || ':x', start + 500 * rooms + r, bench.id(r, floor(random() * 1000)::int), bench.id(r, 100), bench.id(r, 900),
				'@m' || r || ':x', '!state' || n % 4 || ':x', 2000 + floor(random() * 2000), 6000 + 10000 + floor(random() * 1000)
			FROM (SELECT n, floor(random() * rooms)::int AS r FROM generate_series(0, 199) n) n;
	END
$fill$;
