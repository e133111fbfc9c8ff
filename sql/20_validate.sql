-- Validation of events, and canonical JSON.

CREATE FUNCTION matrix.validate(event text) RETURNS TABLE (path text, code text, message text)
	AS 'MODULE_PATHNAME', 'validate_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION matrix.validate(text) IS
	'Everything that is wrong with an event: where (a path in jsonpath syntax), by which rule, and in words. No row: it is valid. Never raises an error over what the event holds.';

CREATE FUNCTION matrix.validate(event json) RETURNS TABLE (path text, code text, message text)
	AS 'MODULE_PATHNAME', 'validate_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION matrix.validate(json) IS
	'Everything that is wrong with an event: where (a path in jsonpath syntax), by which rule, and in words. No row: it is valid. Never raises an error over what the event holds.';

CREATE FUNCTION matrix.validate(event jsonb) RETURNS TABLE (path text, code text, message text)
	AS 'MODULE_PATHNAME', 'validate_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION matrix.validate(jsonb) IS
	'Everything that is wrong with an event: where (a path in jsonpath syntax), by which rule, and in words. No row: it is valid. Never raises an error over what the event holds.';

CREATE FUNCTION matrix.is_valid(event text) RETURNS boolean
	AS 'MODULE_PATHNAME', 'is_valid_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.is_valid(text) IS
	'Whether matrix.validate finds nothing wrong with an event.';

CREATE FUNCTION matrix.is_valid(event json) RETURNS boolean
	AS 'MODULE_PATHNAME', 'is_valid_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.is_valid(json) IS
	'Whether matrix.validate finds nothing wrong with an event.';

CREATE FUNCTION matrix.is_valid(event jsonb) RETURNS boolean
	AS 'MODULE_PATHNAME', 'is_valid_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.is_valid(jsonb) IS
	'Whether matrix.validate finds nothing wrong with an event.';

CREATE FUNCTION matrix.canonical_json(event text) RETURNS text
	AS 'MODULE_PATHNAME', 'canonical_json_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.canonical_json(text) IS
	'The event as canonical JSON, exact to the appendices of the Matrix specification. Raises 22032, 22030 or 22023 for what canonical JSON cannot express.';

CREATE FUNCTION matrix.canonical_json(event json) RETURNS text
	AS 'MODULE_PATHNAME', 'canonical_json_text' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.canonical_json(json) IS
	'The event as canonical JSON, exact to the appendices of the Matrix specification. Raises 22032, 22030 or 22023 for what canonical JSON cannot express.';

CREATE FUNCTION matrix.canonical_json(event jsonb) RETURNS text
	AS 'MODULE_PATHNAME', 'canonical_json_jsonb' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.canonical_json(jsonb) IS
	'The event as canonical JSON, exact to the appendices of the Matrix specification. Raises 22032, 22030 or 22023 for what canonical JSON cannot express.';
