-- Reading the stream: position, changes, workers.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('work');
SET search_path = work;
SELECT matrix.position('work');
CREATE FUNCTION pg_temp.write(from_n int, to_n int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO work.events (event_id, type, room_id, sender, content)
	SELECT '$' || i, CASE i % 2 WHEN 0 THEN 'm.room.message' ELSE 'org.example.x' END, '!r' || i % 3 || ':x', '@u:x', '{"msgtype":"m.text","body":"b"}' FROM generate_series(from_n, to_n) i $$;
SELECT pg_temp.write(1, 10);
-- One's own uncommitted events are not settled; history never comes.
BEGIN;
SELECT pg_temp.write(11, 12);
INSERT INTO events (stream_id, type, room_id, sender, content) VALUES (-1, 'org.example.x', '!r:x', '@u:x', '{}');
SELECT matrix.position('work');
COMMIT;
SELECT matrix.position('work');
SELECT string_agg(event_id, ' ') FROM matrix.changes('work', 3, 4);
SELECT string_agg(event_id, ' ') FROM matrix.changes('work', -5, 100, types => '{m.room.message}', rooms => '{!r0:x,!r1:x}', senders => '{@u:x}');
SELECT count(*) FROM matrix.changes('work', 12);
-- A worker: the same again until it is acknowledged.
CREATE FUNCTION pg_temp.fetch(worker text, max int DEFAULT 100, process text DEFAULT '') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(event_id, ' ') FROM matrix.worker_fetch('work', worker, max, process) $$;
SELECT matrix.worker_open('work', 'w', types => '{m.room.message}');
SELECT pg_temp.fetch('w', 3), pg_temp.fetch('w', 4);
SELECT matrix.worker_ack('work', 'w', 4), pg_temp.fetch('w', 2);
SELECT matrix.worker_ack('work', 'w', 9);
SELECT matrix.worker_ack('work', 'w', 8), pg_temp.fetch('w'), matrix.worker_ack('work', 'w', 12), pg_temp.fetch('w');
SELECT worker, position, types, parts, lag, dead_letters FROM workers;
SELECT name, position, settled, last, lag, held_by_pid FROM matrix.worker_lag('work');
-- Opened again it is where it was; elsewhere on demand.
SELECT matrix.worker_open('work', 'w'), matrix.worker_open('work', 'w', after => 8, types => '{}'), pg_temp.fetch('w', 2);
SELECT matrix.worker_close('work', 'w'), matrix.worker_close('work', 'w');
-- Failures: again, and after the second one a dead letter, which can come back.
SELECT matrix.worker_open('work', 'f', max_failures => 2), pg_temp.fetch('f', 3);
SELECT matrix.worker_fail('work', 'f', 2, 'no'), pg_temp.fetch('f', 3), matrix.worker_fail('work', 'f', 2, 'still not'), pg_temp.fetch('f', 3);
SELECT worker, stream_id, event_id, failures, error, redeliver FROM dead_letters;
SELECT matrix.worker_ack('work', 'f', 5), matrix.worker_redeliver('work', 'f'), pg_temp.fetch('f', 3);
SELECT matrix.worker_fail('work', 'f', 2, 'once more'), pg_temp.fetch('f', 1);
SELECT matrix.worker_redeliver('work', 'f', 2), pg_temp.fetch('f'), matrix.worker_ack('work', 'f', 2), (SELECT count(*) FROM dead_letters), pg_temp.fetch('f', 1);
-- Fetched again and again and never acknowledged: one at a time, then a dead letter.
SELECT matrix.worker_open('work', 'p', max_failures => 2);
SELECT pg_temp.fetch('p', 3) FROM generate_series(1, 6);
SELECT worker, stream_id, failures, error FROM dead_letters;
-- Parts: a room belongs to one process at a time.
SELECT matrix.worker_open('work', 'm', parts => 3, lease_ms => 3600000);
CREATE TEMP TABLE got AS SELECT 'a' AS process, * FROM matrix.worker_fetch('work', 'm', 100, 'a');
INSERT INTO got SELECT 'b', * FROM matrix.worker_fetch('work', 'm', 100, 'b');
INSERT INTO got SELECT 'c', * FROM matrix.worker_fetch('work', 'm', 100, 'c');
SELECT count(*), count(DISTINCT event_id), count(DISTINCT room_id) FROM got;
SELECT room_id, count(DISTINCT process) FROM got GROUP BY 1 ORDER BY 1;
SELECT pg_temp.fetch('m', 100, 'd') AS "nothing is left", matrix.worker_ack('work', 'm', 1, 'd') AS "nor has it anything";
-- A lease that has run out goes to another.
UPDATE worker_parts SET lease_until = clock_timestamp() - interval '1 s' WHERE process = 'a';
SELECT pg_temp.fetch('m', 100, 'd') = (SELECT string_agg(event_id, ' ' ORDER BY stream_id) FROM got WHERE process = 'a') AS "the same",
	matrix.worker_ack('work', 'm', 1, 'a') AS "too late";
-- Another division begins where the slowest was.
SELECT matrix.worker_open('work', 'm', parts => 1), pg_temp.fetch('m', 2);
-- Bad use.
SELECT matrix.worker_fetch('work', 'nobody');
SELECT matrix.worker_fetch('nowhere', 'w');
SELECT matrix.worker_open('work', '');
SELECT matrix.worker_open('work', 'x', parts => 0);
-- Who may not read the events learns nothing of them.
CREATE ROLE regress_matrix_reader;
GRANT USAGE ON SCHEMA work TO regress_matrix_reader;
SET ROLE regress_matrix_reader;
SELECT matrix.position('work');
SELECT * FROM matrix.changes('work', 0);
SELECT matrix.relay('work');
RESET ROLE;
-- Payloads hold 7999 bytes at most, whatever the names are, and are JSON.
UPDATE settings SET push = 'relay';
INSERT INTO events (event_id, type, room_id, sender, state_key, content)
	SELECT '$' || i || repeat('"', 200), 'm.room.member', '!' || repeat(U&'\+01F600', 60), '@' || repeat(U&'\0001', 200) || i || ':x', '@' || repeat(U&'\0001', 200) || i || ':x', '{"membership":"join"}'
	FROM generate_series(1, 20) i;
INSERT INTO events (event_id, type, sender, content) SELECT '$p' || i, 'm.presence', '@p' || i || ':x', '{"presence":"online"}' FROM generate_series(1, 200) i;
SELECT channel, max(octet_length(events)) BETWEEN 6000 AND 7900 AS nearly_full, min(json_array_length(('[' || events || ']')::json)) AS entries, bool_and(more) AS more,
	bool_and(last = (SELECT max(stream_id) FROM events e WHERE e.type LIKE '%' || channel)) AS last FROM push_queue GROUP BY 1 ORDER BY 1;
SELECT matrix.relay('work'), matrix.relay('work');
DROP OWNED BY regress_matrix_reader;
DROP ROLE regress_matrix_reader;
SELECT matrix.drop_store('work', true);
