-- matrix.redact, content_hash, event_id, check_hash: published results, room versions 1 to 12, and edges.
\pset format unaligned
CREATE TEMP TABLE lines (line json);
\copy lines FROM 'test/data/identity.ndjson' WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
CREATE TEMP TABLE cases AS
	SELECT line->>'case' AS name, version, line->'event' AS event, line->'redacted' AS redacted,
		line->>'content_hash' AS content_hash, line->>'event_id' AS event_id
	FROM lines LEFT JOIN LATERAL json_array_elements_text(line->'versions') version ON true;
SELECT count(*) FILTER (WHERE redacted IS NOT NULL) > 150 AND count(content_hash) >= 4 AND count(event_id) >= 5 AS enough FROM cases;
-- No row: all results are as written in the file, in every form of the event.
SELECT name, version, matrix.redact(event, version) FROM cases
WHERE matrix.redact(event, version)::text <> matrix.canonical_json(redacted)
	OR matrix.redact(event::text, version) <> matrix.canonical_json(redacted)
	OR matrix.redact(event::jsonb, version) <> redacted::jsonb;
SELECT name, matrix.content_hash(event) FROM cases
WHERE content_hash <> matrix.content_hash(event) OR content_hash <> matrix.content_hash(event::text)
	OR content_hash <> matrix.content_hash(event::jsonb);
SELECT name, version, matrix.event_id(event, version) FROM cases
WHERE event_id IS NOT NULL AND
	(event_id <> matrix.event_id(event, version) OR event_id <> matrix.event_id(event::text, version)
		OR event_id <> matrix.event_id(event::jsonb, version));
-- Redacting again changes nothing, and an event keeps its id.
SELECT name FROM cases WHERE redacted IS NOT NULL AND matrix.redact(redacted, version)::text <> matrix.canonical_json(redacted);
SELECT name FROM cases WHERE redacted IS NOT NULL AND version::integer > 2
	AND matrix.event_id(event, version) <> matrix.event_id(redacted, version);
SELECT pg_typeof(matrix.redact('{"type":"x"}', '1')), pg_typeof(matrix.redact(json '{"type":"x"}', '1')), pg_typeof(matrix.redact(jsonb '{"type":"x"}', '1'));
-- An id, as clients see it beside the event, is not part of its hashes from version 3 on.
SELECT matrix.event_id('{"type":"x","content":{}}', v) = matrix.event_id('{"type":"x","content":{},"event_id":"$a","signatures":{"a":1}}', v) AS same,
	length(matrix.event_id('{"type":"x","content":{}}', v))
FROM unnest('{3,4,11,12}'::text[]) v;
SELECT matrix.event_id('{"type":"m.room.create","content":{}}', v) = matrix.event_id('{"type":"m.room.create","content":{},"room_id":"!a"}', v) AS same, v
FROM unnest('{11,12}'::text[]) v;

-- check_hash
CREATE TEMP TABLE hashed AS SELECT jsonb_set(event::jsonb, '{hashes}', jsonb_build_object('sha256', content_hash)) AS event FROM cases WHERE content_hash IS NOT NULL;
SELECT bool_and(matrix.check_hash(event)), bool_and(matrix.check_hash(event::json)), bool_and(matrix.check_hash(event::text)) FROM hashed;
SELECT bool_or(matrix.check_hash(event || '{"content":{"body":"another"}}')), bool_and(matrix.check_hash(event || '{"unsigned":{"age":1},"signatures":{}}')) FROM hashed;
-- Redacted means that the content is no longer what was hashed.
SELECT name, matrix.check_hash(event), matrix.check_hash(matrix.redact(event::jsonb, '1') || '{"unsigned":{}}')
FROM (SELECT name, jsonb_set(event::jsonb, '{hashes}', jsonb_build_object('sha256', content_hash)) AS event FROM cases WHERE content_hash IS NOT NULL) c ORDER BY name;
SELECT e, matrix.check_hash(e) FROM unnest('{"{}","{\"hashes\":1}","{\"hashes\":{}}","{\"hashes\":{\"sha256\":1}}","{\"hashes\":{\"sha256\":\"\"}}","{\"hashes\":{\"md5\":\"\"}}"}'::text[]) e;

-- Numbers: any up to version 5, where fractions are written as Python writes them; then canonical JSON's.
SELECT v, matrix.redact('{"type":"m.room.create","content":{"creator":[1.0, 1e10, 1e16, 0.00001, 1.10, 12345678901234567890, -0]}}', v) FROM unnest('{1,5}'::text[]) v;
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":[1.0, 1e10, -0]}}', '6');
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":[1.10]}}'::jsonb, '5');
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":[0.5]}}', '6');
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":1},"depth":12345678901234567890}'::jsonb, '6');
SELECT matrix.event_id('{"type":"m.room.create","content":{"creator":[0.5]}}', '6');
-- What is not in what is left does not matter.
SELECT matrix.redact('{"type":"x","content":{"a":0.5},"b":1e300}', '12'), matrix.event_id('{"type":"x","content":{"a":0.5},"signatures":0.5}', '12') = matrix.event_id('{"type":"x"}', '12') AS same;
SELECT matrix.content_hash('{"a":1.0}') <> matrix.content_hash('{"a":1}') AS differ, matrix.content_hash('{"a":1.0}') = matrix.content_hash('{"a":1.00}'::jsonb) AS same;

-- U+0000 is carried over.
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":"a\u0000b","x":0.1}}', '1'), matrix.redact('{"type":"m.room.create","content":{"creator":"a\u0000b\\u0000","x":[1]}}'::json, '11');
SELECT matrix.redact('{"type":"m.room.create","content":{"creator":["\u0000", 0.1, 1e16, 1.0]}}', '1');
SELECT matrix.content_hash('{"a":"\u0000"}') = translate(encode(sha256('{"a":"\\u0000"}'), 'base64'), '=', '') AS nul,
	matrix.content_hash('{"b":"日本","a":[]}') = translate(encode(sha256(convert_to('{"a":[],"b":"日本"}', 'UTF8')), 'base64'), '=', '') AS utf8;

-- null is null; what is wrong is said.
SELECT matrix.redact(NULL::jsonb, '1') IS NULL, matrix.event_id('{"type":"x"}', NULL) IS NULL;
SELECT matrix.redact('{"type":"x"}', '13');
SELECT matrix.event_id('{"type":"x"}'::jsonb, repeat('x', 100000));
SELECT matrix.event_id('{"type":"x"}', '');
SELECT matrix.redact('{"content":{}}', '1');
SELECT matrix.redact('{"type":1,"content":"x"}'::jsonb, '1');
SELECT matrix.event_id('[]', '12');
SELECT matrix.event_id('{"type":"x","event_id":1}', '2');
SELECT matrix.event_id('{"type":"x"}'::jsonb, '1');
SELECT matrix.content_hash('"text"');
SELECT matrix.check_hash('null'::jsonb);
SELECT matrix.content_hash('{"a"');
SELECT matrix.check_hash('{"a":1,"\u0061":2}');
SELECT matrix.redact('{"type":"x","type":"y"}', '1');
\set VERBOSITY sqlstate
SELECT matrix.redact('{"type":"x"}', '13');
SELECT matrix.redact('{"type":1}', '1');
SELECT matrix.redact('{', '1');
SELECT matrix.check_hash('{"a":1,"a":1}');
SELECT matrix.content_hash(repeat('{"a":', 1001) || '1' || repeat('}', 1001));
SELECT matrix.content_hash('{"a":1e999}');
\set VERBOSITY default
SELECT length(matrix.content_hash(repeat('{"a":', 999) || '1' || repeat('}', 999)));
