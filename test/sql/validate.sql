-- matrix.validate and matrix.is_valid: the cases of test/data, in all three forms.
\pset format unaligned
CREATE TABLE cases (line text);
\copy cases FROM 'test/data/cases.ndjson' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
CREATE TABLE texts AS
	SELECT line::json->>'case' AS name,
		coalesce(line::json->>'text', substr(line, position('"event": ' IN line) + 9, length(line) - position('"event": ' IN line) - 9)) AS event,
		(line::json->>'text') IS NULL AS is_json,
		(SELECT coalesce(jsonb_agg(v), '[]') FROM jsonb_array_elements((line::json->>'violations')::jsonb) v) AS expected
	FROM (SELECT replace(line, '\u0000', '\ufff0') AS line FROM cases WHERE line !~ 'U\+0000') c;
SELECT count(*) > 70 AS enough FROM texts;
-- No row: the verdicts are as written in the file.
SELECT name, found FROM texts,
	LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_array(path, code)), '[]') AS found FROM matrix.validate(event)) v
WHERE found <> expected;
SELECT name FROM texts WHERE matrix.is_valid(event) <> (expected = '[]');
SELECT name FROM texts WHERE is_json AND matrix.is_valid(event::json) <> (expected = '[]');
-- jsonb has forgotten what 1e10 looked like.
SELECT name FROM texts WHERE is_json AND matrix.is_valid(event::jsonb) <> (expected = '[]') ORDER BY name;

-- U+0000 within content is valid, within identifiers it is not.
SELECT matrix.is_valid('{"type":"org.example.x","content":{"a\u0000":"\\u0000 \u0000"}}');
SELECT * FROM matrix.validate('{"type":"org.\u0000","content":{}}');
-- Whatever comes: a verdict.
SELECT * FROM matrix.validate(repeat('[', 100000));
SELECT * FROM matrix.validate(repeat('{"a":', 100000));
SELECT * FROM matrix.validate(repeat('x', 100000000));
SELECT * FROM matrix.validate('{"type":"org.example.x","content":{"n":1e131071}}');
SELECT * FROM matrix.validate('{"type":"org.example.x","content":{"n":' || repeat('9', 100000) || '}}');
SELECT * FROM matrix.validate('1');
SELECT * FROM matrix.validate('[[]]'::jsonb);
SELECT * FROM matrix.validate('5'::jsonb);
SELECT matrix.is_valid(NULL::text) IS NULL AS null_is_null;
SELECT count(*) FROM matrix.validate('{"type":"m.room.pinned_events","event_id":"$e","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"state_key":"","content":{"pinned":[' || repeat('"x",', 1000) || '"x"]}}');
-- 1000 levels are fine, 1001 are not.
SELECT n, matrix.is_valid('{"type":"org.example.x","content":' || repeat('{"a":', n - 1) || '1' || repeat('}', n)) FROM generate_series(999, 1000) n;

-- The samples of every type are valid in all forms.
CREATE TABLE samples (line text);
\copy samples FROM 'test/data/events/current.ndjson' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy samples FROM 'test/data/events/2015.ndjson' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SELECT line FROM samples WHERE NOT matrix.is_valid(line);
SELECT line FROM samples WHERE NOT matrix.is_valid(line::json);
SELECT line FROM samples WHERE NOT matrix.is_valid(line::jsonb);
SELECT count(*) > 150 AS enough FROM samples;
DROP TABLE cases, texts, samples;
