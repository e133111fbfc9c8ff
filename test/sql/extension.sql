-- The extension itself.
SELECT matrix.version() = extversion AS same FROM pg_extension WHERE extname = 'matrix_events';
-- Everything public says what it is.
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'matrix_events') AND deptype = 'e'
  AND obj_description(objid, classid::regclass::text) IS NULL
  AND NOT (classid = 'pg_type'::regclass AND EXISTS (SELECT FROM pg_type t JOIN pg_type e ON e.oid = t.typelem WHERE t.oid = objid AND e.typname = 'event'))
  AND NOT (classid = 'pg_class'::regclass);
