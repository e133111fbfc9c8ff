-- An event's identity: redaction, hashes and ids, room versions 1 to 12.

CREATE FUNCTION matrix.redact(event text, room_version text) RETURNS text
	AS 'MODULE_PATHNAME', 'redact_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.redact(text, text) IS
	'What is left of an event when it is redacted by the rules of a room version, 1 to 12.';

CREATE FUNCTION matrix.redact(event json, room_version text) RETURNS json
	AS 'MODULE_PATHNAME', 'redact_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.redact(json, text) IS
	'What is left of an event when it is redacted by the rules of a room version, 1 to 12.';

CREATE FUNCTION matrix.redact(event jsonb, room_version text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'redact_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.redact(jsonb, text) IS
	'What is left of an event when it is redacted by the rules of a room version, 1 to 12.';

CREATE FUNCTION matrix.event_id(event text, room_version text) RETURNS text
	AS 'MODULE_PATHNAME', 'event_id_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.event_id(text, text) IS
	'An event''s id: from room version 3 on made of its reference hash, before that the event_id that it carries.';

CREATE FUNCTION matrix.event_id(event json, room_version text) RETURNS text
	AS 'MODULE_PATHNAME', 'event_id_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.event_id(json, text) IS
	'An event''s id: from room version 3 on made of its reference hash, before that the event_id that it carries.';

CREATE FUNCTION matrix.event_id(event jsonb, room_version text) RETURNS text
	AS 'MODULE_PATHNAME', 'event_id_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.event_id(jsonb, text) IS
	'An event''s id: from room version 3 on made of its reference hash, before that the event_id that it carries.';

CREATE FUNCTION matrix.content_hash(event text) RETURNS text
	AS 'MODULE_PATHNAME', 'content_hash_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.content_hash(text) IS
	'The content hash of an event as servers exchange it: what its hashes.sha256 holds.';

CREATE FUNCTION matrix.content_hash(event json) RETURNS text
	AS 'MODULE_PATHNAME', 'content_hash_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.content_hash(json) IS
	'The content hash of an event as servers exchange it: what its hashes.sha256 holds.';

CREATE FUNCTION matrix.content_hash(event jsonb) RETURNS text
	AS 'MODULE_PATHNAME', 'content_hash_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.content_hash(jsonb) IS
	'The content hash of an event as servers exchange it: what its hashes.sha256 holds.';

CREATE FUNCTION matrix.check_hash(event text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'check_hash_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.check_hash(text) IS
	'Whether an event''s hashes.sha256 is its content hash; false where there is none.';

CREATE FUNCTION matrix.check_hash(event json) RETURNS boolean
	AS 'MODULE_PATHNAME', 'check_hash_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.check_hash(json) IS
	'Whether an event''s hashes.sha256 is its content hash; false where there is none.';

CREATE FUNCTION matrix.check_hash(event jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'check_hash_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.check_hash(jsonb) IS
	'Whether an event''s hashes.sha256 is its content hash; false where there is none.';
