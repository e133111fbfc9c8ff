-- Events taken in batches: as they come, and history; and what is left of one
-- that was redacted.

CREATE FUNCTION matrix.batch_counts(OUT known bigint, OUT refused bigint)
	AS 'MODULE_PATHNAME' LANGUAGE c VOLATILE;
COMMENT ON FUNCTION matrix.batch_counts() IS
	'How many events this session has skipped because they were there already, and how many it has put into rejected. Behind matrix.ingest.';

CREATE FUNCTION matrix.wait_for_batch(events regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.wait_for_batch(regclass) IS
	'Waits for the transaction that was just inserting an event of a batch of ours. Behind matrix.ingest.';

CREATE FUNCTION matrix.take_batch(store text, events text[], history boolean, OUT accepted bigint, OUT duplicate bigint, OUT rejected bigint)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET matrix_events.on_invalid = 'quarantine' SET matrix_events.in_batch = on
	AS $$
	DECLARE
		before record;
		after record;
	BEGIN
		PERFORM matrix.check_store(store);
		LOOP
			before := matrix.batch_counts();
			BEGIN
				-- History goes downwards: the last one is the first below what is there.
				EXECUTE format('INSERT INTO %I.events (stream_id, raw) SELECT CASE WHEN $2 THEN -1 END, b.raw FROM unnest($1) WITH ORDINALITY b(raw, n)
					ORDER BY CASE WHEN $2 THEN -b.n ELSE b.n END', store) USING events, history;
				EXIT;
			EXCEPTION WHEN deadlock_detected THEN
				-- Another one is inserting some of the same events: what it has seen of us is gone, so neither waits for the other.
				NULL;
			END;
			PERFORM matrix.wait_for_batch(format('%I.events', store)::regclass);
		END LOOP;
		after := matrix.batch_counts();
		duplicate := after.known - before.known;
		rejected := after.refused - before.refused;
		accepted := coalesce(cardinality(events), 0) - duplicate - rejected;
	END
	$$;
COMMENT ON FUNCTION matrix.take_batch(text, text[], boolean) IS 'Takes a batch of events. Behind matrix.ingest and matrix.backfill.';

CREATE FUNCTION matrix.ingest(store text, VARIADIC events text[], OUT accepted bigint, OUT duplicate bigint, OUT rejected bigint)
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT b.accepted, b.duplicate, b.rejected FROM matrix.take_batch(store, events, false) b $$;
COMMENT ON FUNCTION matrix.ingest(text, text[]) IS
	'Takes a batch of events, each as JSON text, in their order: how many were stored, were there already, and went into the store''s table rejected. Batches that have events in common do not block each other for good. Raises 42704 for no such store, 42501 without INSERT on its events.';

CREATE FUNCTION matrix.backfill(store text, VARIADIC events text[], OUT accepted bigint, OUT duplicate bigint, OUT rejected bigint)
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT b.accepted, b.duplicate, b.rejected FROM matrix.take_batch(store, events, true) b $$;
COMMENT ON FUNCTION matrix.backfill(text, text[]) IS
	'Takes a batch of history, the oldest event first: it is put below all that the store has, in this order, changes no derived row and is not pushed; redactions are heeded. How many were stored, were there already, and were refused. Raises 42704 for no such store, 42501 without INSERT on its events.';

CREATE FUNCTION matrix.erasure_report(store text, event_id text) RETURNS TABLE ("table" text, key jsonb, place text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		RETURN QUERY EXECUTE format($sql$
			WITH target AS (
				SELECT e.*, coalesce(v.version, '1') AS version FROM %1$I.events e LEFT JOIN LATERAL (
					SELECT coalesce(c.content->>'room_version', '1') AS version FROM %1$I.events c
					WHERE c.room_id = e.room_id AND c.type = 'm.room.create' AND c.state_key = '' AND c.rejected IS NOT TRUE
					ORDER BY c.stream_id LIMIT 1) v ON v.version ~ '^([1-9]|1[0-2])$'
				WHERE e.event_id = $1),
			-- The event, and its edits.
			versions AS (
				SELECT t.*, matrix.redact(matrix.event_json(e) - 'unsigned', t.version) AS left_over FROM target t JOIN %1$I.events e ON e.stream_id = t.stream_id
				UNION ALL
				SELECT e.*, t.version, matrix.redact(matrix.event_json(e) - 'unsigned', t.version) FROM target t JOIN %1$I.events e
					ON matrix.relates_to(e.content) COLLATE "C" = t.event_id AND matrix.rel_type(e.content) COLLATE "C" = 'm.replace'
					AND e.sender = t.sender AND e.room_id = t.room_id AND e.type = t.type AND e.state_key IS NULL AND t.state_key IS NULL)
			SELECT 'events', to_jsonb(v.event_id), 'content' FROM versions v WHERE v.content <> v.left_over->'content'
			UNION ALL
			SELECT 'events', to_jsonb(v.event_id), 'extra' FROM versions v
				WHERE v.extra <> v.left_over - '{type,event_id,room_id,sender,state_key,origin_server_ts,content}'::text[]
			UNION ALL
			SELECT 'events', to_jsonb(v.event_id), 'unsigned' FROM versions v WHERE v.unsigned - 'redacted_because' <> '{}'
			UNION ALL
			SELECT 'events', to_jsonb(v.event_id), 'raw' FROM versions v WHERE v.raw IS NOT NULL
			UNION ALL
			SELECT 'room_state', to_jsonb(v.event_id), 'content' FROM versions v JOIN %1$I.room_state s ON s.room_id = v.room_id AND s.type = v.type
				AND s.state_key = v.state_key AND s.event_id = v.event_id WHERE s.content <> v.left_over->'content'
			UNION ALL
			SELECT 'call_state', jsonb_build_array(c.room_id, c.call_id), 'hangup_reason' FROM versions v JOIN %1$I.call_state c ON c.room_id = v.room_id
				AND c.call_id = coalesce(v.kept, v.content)->>'call_id' WHERE c.hangup_reason = v.content->>'reason'
			UNION ALL
			SELECT 'events', to_jsonb(e.event_id), o.place || '.prev_content' FROM versions v JOIN %1$I.events e ON e.room_id = v.room_id AND e.type = v.type
				AND e.state_key = v.state_key AND coalesce(e.unsigned->>'replaces_state', e.extra->>'replaces_state', (SELECT p.event_id FROM %1$I.events p
					WHERE p.room_id = e.room_id AND p.type = e.type AND p.state_key = e.state_key AND p.stream_id < e.stream_id ORDER BY p.stream_id DESC LIMIT 1)) = v.event_id
				CROSS JOIN LATERAL (VALUES ('unsigned', e.unsigned), ('extra', e.extra)) o(place, object) WHERE o.object->'prev_content' <> v.left_over->'content'
			UNION ALL
			SELECT 'events', to_jsonb(e.event_id), o.place || '.' || s.key FROM versions v JOIN %1$I.events e ON e.room_id = v.room_id
				AND (e.unsigned ?| '{invite_room_state,knock_room_state}' OR e.extra ?| '{invite_room_state,knock_room_state}')
				CROSS JOIN LATERAL (VALUES ('unsigned', e.unsigned), ('extra', e.extra)) o(place, object) CROSS JOIN jsonb_each(o.object) s
				WHERE s.key IN ('invite_room_state', 'knock_room_state') AND v.content <> v.left_over->'content'
					AND s.value @> jsonb_build_array(jsonb_build_object('type', v.type, 'state_key', v.state_key, 'content', v.content))
			UNION ALL
			SELECT 'events', to_jsonb(e.event_id), 'unsigned."m.relations"' FROM versions v JOIN %1$I.events e ON e.room_id = v.room_id
				AND e.event_id = ANY (ARRAY[matrix.relates_to(v.content), (SELECT matrix.relates_to(r.content) FROM %1$I.events r
					WHERE r.event_id = matrix.relates_to(v.content) AND r.room_id = v.room_id)])
				WHERE e.unsigned ? 'm.relations'
			UNION ALL
			SELECT 'events', to_jsonb(e.event_id), 'unsigned.redacted_because' FROM versions v JOIN %1$I.events e ON e.redacted_by = v.event_id
				WHERE v.content <> v.left_over->'content' AND e.unsigned #> '{redacted_because,content}' = v.content
			UNION ALL
			SELECT 'rejected', to_jsonb(r.rejected_id), 'raw' FROM %1$I.rejected r
				WHERE r.event_id = $1 AND r.raw <> jsonb_build_object('event_id', r.event_id)::text
			UNION ALL
			SELECT 'dead_letters', jsonb_build_array(d.worker, d.stream_id), 'error' FROM versions v JOIN %1$I.dead_letters d ON d.stream_id = v.stream_id
				WHERE d.error IS NOT NULL
			UNION ALL
			SELECT 'worker_parts', jsonb_build_array(p.worker, p.part), 'error' FROM versions v JOIN %1$I.worker_parts p ON p.failing = v.stream_id
				WHERE p.error IS NOT NULL
		$sql$, store) USING event_id;
	END
	$$;
COMMENT ON FUNCTION matrix.erasure_report(text, text) IS
	'Every place that holds what a redaction of this event would take away: none when it is redacted. Of a redacted call''s event, ids and numbers stay in events.kept and calls. Raises 42704 for no such store, 42501 for one that the caller may not read.';
