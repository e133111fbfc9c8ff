-- What the benchmark measures on.  :data is the folder of the generated events.
SET client_min_messages = warning;
CREATE EXTENSION matrix_events;
CREATE SCHEMA bench;
SELECT matrix.create_store('chat', server_name => 'hq.example.org');

-- The text of the events, and the same as jsonb.
CREATE TABLE bench.events (n serial PRIMARY KEY, raw text, doc jsonb);
\copy bench.events (raw) FROM PROGRAM 'sed ''s/\\/\\\\/g'' events.ndjson'
UPDATE bench.events SET doc = raw::jsonb;
VACUUM (FULL, ANALYZE) bench.events;

-- What there would be without the extension: the same columns and the same indexes.
CREATE TABLE bench.plain (LIKE chat.events INCLUDING INDEXES);

-- The ready columns, as the store makes them.
INSERT INTO chat.events (raw) SELECT raw FROM bench.events ORDER BY n;
\copy (SELECT * FROM chat.events ORDER BY stream_id) TO 'columns.tsv'
\copy (SELECT raw FROM bench.events ORDER BY n) TO 'raw.tsv'
TRUNCATE chat.events;
