\echo Use "CREATE EXTENSION matrix_events" to load this file. \quit

CREATE SCHEMA matrix;
COMMENT ON SCHEMA matrix IS 'matrix_events: what every store of Matrix events uses.';
GRANT USAGE ON SCHEMA matrix TO PUBLIC;

CREATE FUNCTION matrix.version() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.version() IS
	'The version of the matrix_events library that is loaded.';
