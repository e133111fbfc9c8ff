-- What the benchmark measures on.  :data is the folder of the generated events.
SET client_min_messages = warning;
CREATE EXTENSION matrix_events;
CREATE SCHEMA bench;
SELECT matrix.create_store('chat', server_name => 'hq.example.org');
-- The same without anything derived, and with hand-written derivations.
SELECT matrix.create_store('valid');
ALTER TABLE valid.events DISABLE TRIGGER b_matrix_inserted;
SELECT matrix.create_store('hand');
ALTER TABLE hand.events DISABLE TRIGGER b_matrix_inserted;
-- What is derived is a difference of two times: without the index for searching, which both have and whose cost varies most.
SELECT matrix.create_store('lean');
SELECT matrix.create_store('leanvalid');
ALTER TABLE leanvalid.events DISABLE TRIGGER b_matrix_inserted;
DROP INDEX hand.events_search, lean.events_search, leanvalid.events_search;

-- The text of the events, and the same as jsonb.
CREATE TABLE bench.events (n serial PRIMARY KEY, raw text, doc jsonb);
\copy bench.events (raw) FROM PROGRAM 'sed ''s/\\/\\\\/g'' events.ndjson'
UPDATE bench.events SET doc = raw::jsonb;
VACUUM (FULL, ANALYZE) bench.events;

-- What there would be without the extension: the same columns and the same indexes.
CREATE TABLE bench.plain (LIKE chat.events INCLUDING INDEXES);

-- The ready columns, as the store makes them.
INSERT INTO valid.events (raw) SELECT raw FROM bench.events ORDER BY n;
\copy (SELECT * FROM valid.events ORDER BY stream_id) TO 'columns.tsv'
\copy (SELECT raw FROM bench.events ORDER BY n) TO 'raw.tsv'
TRUNCATE valid.events;

-- Many more events: the same ones again and again, their ids with a number at the end, in ten times as many rooms.
CREATE VIEW bench.many AS
	SELECT regexp_replace(replace(e.raw, '"room_id":"!', '"room_id":"!' || c % 10), '"(\$[A-Za-z0-9_-]{43})"', '"\1' || c || '"', 'g') AS raw
	FROM generate_series(0, 999999 / (SELECT max(n) FROM bench.events)) c, LATERAL (SELECT raw FROM bench.events WHERE c >= 0 ORDER BY n) e;

-- A user in 10,000 rooms, and the events that a change of his name makes.
SELECT matrix.create_store('profile');
INSERT INTO profile.events (type, room_id, sender, state_key, content)
	SELECT 'm.room.member', '!room' || i || ':x', '@u:x', '@u:x', '{"membership":"join"}' FROM generate_series(1, 10000) i;
SELECT matrix.set_profile('profile', '@u:x', 'first', NULL);
CREATE TABLE bench.renamed AS SELECT * FROM profile.events WHERE stream_id > 10000;

-- Users whose presence is read.
CREATE TABLE bench.readers AS SELECT row_number() OVER () AS n, '@user' || i || s AS user_id
	FROM generate_series(1, 20000) i, unnest('{:hq.example.org,:chat.example.org,:eu.example.org,:us.example.org,:lab.example.org}'::text[]) s;
CREATE UNIQUE INDEX ON bench.readers (n) INCLUDE (user_id);
SELECT matrix.create_store('seen');
INSERT INTO seen.events (type, sender, content) SELECT 'm.presence', user_id, '{"presence":"online"}' FROM bench.readers;
INSERT INTO seen.events (type, room_id, sender, content) SELECT 'm.room.message', '!r:x', user_id, '{"msgtype":"m.text","body":"b"}' FROM bench.readers;
CREATE VIEW bench.seen_by_hand AS
	SELECT p.user_id, p.presence, greatest(p.last_active_ts, (
		SELECT least(e.origin_server_ts, e.received_ts) FROM seen.events e
		WHERE e.sender = p.user_id AND e.state_key IS NULL AND e.room_id IS NOT NULL AND e.stream_id > 0
			AND e.type IN ('m.room.message', 'm.room.encrypted', 'm.sticker', 'm.reaction')
		ORDER BY least(e.origin_server_ts, e.received_ts) DESC LIMIT 1)) AS last_active_ts
	FROM seen.presence_state p;
ANALYZE bench.readers, bench.renamed, seen.events, seen.presence_state, seen.settings;
