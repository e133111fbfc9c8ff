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

-- The condition on a relation e of the event $1, which is in the room $2.  No
-- index but events_relation may serve it.
CREATE FUNCTION matrix.related() RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $sql$
		SELECT $$matrix.relates_to(e.content) COLLATE "C" = $1 AND e.room_id IS NOT DISTINCT FROM coalesce($2, e.room_id)
			AND e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE$$
	$sql$;
COMMENT ON FUNCTION matrix.related() IS 'The condition on events that relate to another. Behind matrix.relations and its like.';

CREATE FUNCTION matrix.room_of(store text, event_id text) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		room text;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('SELECT e.room_id FROM %I.events e WHERE e.event_id = $1', store) INTO room USING event_id;
		RETURN room;
	END
	$$;
COMMENT ON FUNCTION matrix.room_of(text, text) IS 'The room of an event; null when the store does not have it. Raises 42704 for no such store.';

CREATE FUNCTION matrix.relations(store text, event_id text, rel_type text DEFAULT NULL, type text DEFAULT NULL,
		before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
	DECLARE
		room text := matrix.room_of(store, event_id);
		direction text := CASE WHEN after IS NULL THEN 'DESC' ELSE 'ASC' END;
		of_type text := CASE WHEN rel_type IS NULL THEN '' ELSE ' AND matrix.rel_type(e.content) COLLATE "C" = $3' END;
	BEGIN
		-- First which kinds of relations there are, one probe each, then the ends of those kinds.
		RETURN QUERY EXECUTE format($sql$
			WITH RECURSIVE kind AS (
				(SELECT matrix.rel_type(e.content) COLLATE "C" AS rel_type, e.type FROM %1$I.events e
				WHERE matrix.relates_to(e.content) COLLATE "C" = $1%2$s ORDER BY 1, 2 LIMIT 1)
				UNION ALL
				SELECT n.* FROM kind k, LATERAL (
					SELECT matrix.rel_type(e.content) COLLATE "C" AS rel_type, e.type FROM %1$I.events e
					WHERE matrix.relates_to(e.content) COLLATE "C" = $1%2$s AND (matrix.rel_type(e.content) COLLATE "C", e.type) > (k.rel_type, k.type)
					ORDER BY 1, 2 LIMIT 1) n)
			SELECT r.* FROM kind k, LATERAL (
				SELECT e.* FROM %1$I.events e
				WHERE %4$s AND matrix.rel_type(e.content) COLLATE "C" = k.rel_type AND e.type = k.type
					AND e.stream_id < $5 AND e.stream_id > $6
				ORDER BY e.stream_id %3$s LIMIT $7) r
			WHERE k.type = $4 OR $4 IS NULL
			ORDER BY r.stream_id %3$s LIMIT $7
		$sql$, store, of_type, direction, matrix.related())
			USING event_id, room, rel_type, type, coalesce(before, 9223372036854775807), coalesce(after, -9223372036854775808), max;
	END
	$$;
COMMENT ON FUNCTION matrix.relations(text, text, text, text, bigint, bigint, integer) IS
	'The events that relate to an event, of one rel_type and type or any, at most max: the newest first, below the stream position before; or, with after, the oldest first above that. m.in_reply_to as rel_type: replies that are nothing else. Raises 42704 for no such store.';

CREATE FUNCTION matrix.thread(store text, event_id text, before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT * FROM matrix.relations(store, event_id, 'm.thread', NULL, before, after, max) $$;
COMMENT ON FUNCTION matrix.thread(text, text, bigint, bigint, integer) IS
	'The events of the thread whose root is an event, without the root; in the order and up to the number that matrix.relations has. Raises 42704 for no such store.';

CREATE FUNCTION matrix.reactions(store text, event_id text) RETURNS TABLE (key text, count bigint, senders text[])
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
	BEGIN
		RETURN QUERY EXECUTE format($sql$
			SELECT r.key, count(*), (array_agg(r.sender::text ORDER BY r.first))[:100] FROM (
				SELECT e.content->'m.relates_to'->>'key' COLLATE "C" AS key, e.sender, min(e.stream_id) AS first FROM %I.events e
				WHERE %s AND matrix.rel_type(e.content) COLLATE "C" = 'm.annotation' AND e.type = 'm.reaction'
					AND jsonb_typeof(e.content->'m.relates_to'->'key') = 'string'
				GROUP BY 1, 2) r
			GROUP BY r.key ORDER BY 2 DESC, 1
		$sql$, store, matrix.related()) USING event_id, matrix.room_of(store, event_id);
	END
	$$;
COMMENT ON FUNCTION matrix.reactions(text, text) IS
	'How often each key was reacted with to an event, the most frequent first, and the first 100 senders in the order of their reactions. Who reacts twice with the same key counts once. Raises 42704 for no such store.';

-- ---- edits ----

-- The query for the most recent valid edit of the event o of an outer query.
-- Redacted content has no edits any more.
CREATE FUNCTION matrix.edit_query(store text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($sql$
			SELECT e.* FROM %I.events e
			WHERE matrix.relates_to(e.content) COLLATE "C" = o.event_id AND matrix.rel_type(e.content) COLLATE "C" = 'm.replace' AND e.type = o.type
				AND e.room_id IS NOT DISTINCT FROM o.room_id AND e.sender IS NOT DISTINCT FROM o.sender
				AND e.state_key IS NULL AND o.state_key IS NULL AND o.content <> '{}'
				AND matrix.rel_type(o.content) COLLATE "C" IS DISTINCT FROM 'm.replace'
				AND (jsonb_typeof(e.content->'m.new_content') = 'object' OR e.type = 'm.room.encrypted')
				AND e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE
			ORDER BY e.origin_server_ts DESC NULLS LAST, e.event_id DESC LIMIT 1
		$sql$, store)
	$$;
COMMENT ON FUNCTION matrix.edit_query(text) IS 'The query for the most recent valid edit of an event. Behind matrix.edit and matrix.search.';

CREATE FUNCTION matrix.apply_edit(content jsonb, edit jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN jsonb_typeof(edit->'m.new_content') = 'object' THEN (edit->'m.new_content') - 'm.relates_to'
			|| CASE WHEN content ? 'm.relates_to' THEN jsonb_build_object('m.relates_to', content->'m.relates_to') ELSE '{}' END
			ELSE content END
	$$;
COMMENT ON FUNCTION matrix.apply_edit(jsonb, jsonb) IS
	'A content as an edit''s content makes it: m.new_content, with the m.relates_to that was there. As it is where there is no m.new_content (encrypted).';

CREATE FUNCTION matrix.edit(store text, event_id text) RETURNS matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
	DECLARE
		edit matrix.event;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('SELECT e.* FROM %I.events o, LATERAL (%s) e
			WHERE o.event_id = $1 AND o.outlier IS NOT TRUE AND o.rejected IS NOT TRUE AND o.soft_failed IS NOT TRUE', store, matrix.edit_query(store))
			INTO edit USING event_id;
		RETURN edit;
	END
	$$;
COMMENT ON FUNCTION matrix.edit(text, text) IS
	'The most recent valid edit of an event: by its sender, in its room, of its type. A row of nulls: none. Raises 42704 for no such store.';

CREATE FUNCTION matrix.edited(store text, event_id text) RETURNS matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		event matrix.event;
		edit matrix.event := matrix.edit(store, event_id);
	BEGIN
		EXECUTE format('SELECT e.* FROM %I.events e WHERE e.event_id = $1 AND e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE', store)
			INTO event USING event_id;
		event.content := matrix.apply_edit(event.content, edit.content);
		RETURN event;
	END
	$$;
COMMENT ON FUNCTION matrix.edited(text, text) IS
	'An event as it was edited: its content replaced by its most recent valid edit''s, all else as it is. A row of nulls: the store does not have it. Raises 42704 for no such store.';
