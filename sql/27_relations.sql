-- What relates to an event: replies, threads, reactions, edits.
--
-- A relation counts when it is in the room of the event that it relates to, as
-- far as the store has that one, and neither rejected, soft-failed nor an
-- outlier.  All is read through the index events_relation of 30_store.sql:
-- (relates_to, rel_type, type, stream_id).

CREATE FUNCTION matrix.relates_to(content jsonb) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.relates_to(jsonb) IS
	'The id of the event that an event with this content relates to: by m.relates_to, or else by m.in_reply_to in it. Null: to none, or what stands there is no string of at most 255 bytes.';

CREATE FUNCTION matrix.rel_type(content jsonb) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.rel_type(jsonb) IS
	'How an event with this content relates to another: the rel_type, or m.in_reply_to for a reply that is nothing else. Null where matrix.relates_to is.';

-- The planner has no other way than that index; src/pg/reading.c pins the search path.
CREATE FUNCTION matrix.relations(store text, event_id text, rel_type text DEFAULT NULL, type text DEFAULT NULL,
		before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = off ROWS 50;
COMMENT ON FUNCTION matrix.relations(text, text, text, text, bigint, bigint, integer) IS
	'The events that relate to an event, of one rel_type and type or any, at most max: the newest first, below the stream position before; or, with after, the oldest first above that. m.in_reply_to as rel_type: replies that are nothing else. Raises 42704 for no such store.';

CREATE FUNCTION matrix.thread(store text, event_id text, before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = off ROWS 50;
COMMENT ON FUNCTION matrix.thread(text, text, bigint, bigint, integer) IS
	'The events of the thread whose root is an event, without the root; in the order and up to the number that matrix.relations has. Raises 42704 for no such store.';

CREATE FUNCTION matrix.reactions(store text, event_id text) RETURNS TABLE (key text, count bigint, senders text[])
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = off ROWS 10;
COMMENT ON FUNCTION matrix.reactions(text, text) IS
	'How often each key was reacted with to an event, the most frequent first, and the first 100 senders in the order of their reactions. Who reacts twice with the same key counts once. Raises 42704 for no such store.';

-- ---- edits ----

CREATE FUNCTION matrix.apply_edit(content jsonb, edit jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN jsonb_typeof(edit->'m.new_content') = 'object' THEN (edit->'m.new_content') - 'm.relates_to'
		|| CASE WHEN content ? 'm.relates_to' THEN jsonb_build_object('m.relates_to', content->'m.relates_to') ELSE '{}' END
		ELSE content END;
COMMENT ON FUNCTION matrix.apply_edit(jsonb, jsonb) IS
	'A content as an edit''s content makes it: m.new_content, with the m.relates_to that was there. As it is where there is no m.new_content (encrypted).';

CREATE FUNCTION matrix.edit(store text, event_id text) RETURNS matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE STRICT
	SET enable_seqscan = off SET enable_bitmapscan = off;
COMMENT ON FUNCTION matrix.edit(text, text) IS
	'The most recent valid edit of an event: by its sender, in its room, of its type. A row of nulls: none. Raises 42704 for no such store.';

CREATE FUNCTION matrix.edited(store text, event_id text) RETURNS matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		event matrix.event := matrix.event(store, event_id);
	BEGIN
		IF event.outlier OR event.rejected OR event.soft_failed THEN
			RETURN NULL;
		END IF;
		event.content := matrix.apply_edit(event.content, (matrix.edit(store, event_id)).content);
		RETURN event;
	END
	$$;
COMMENT ON FUNCTION matrix.edited(text, text) IS
	'An event as it was edited: its content replaced by its most recent valid edit''s, all else as it is. A row of nulls: the store does not have it. Raises 42704 for no such store.';
