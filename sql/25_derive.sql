-- What is derived from a store's events: the clock, the queries behind views,
-- folding the stream again.

CREATE FUNCTION matrix.events_after_row() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE c;
COMMENT ON FUNCTION matrix.events_after_row() IS
	'Trigger of every store''s events table: folds what a statement inserted into the derived tables, once. Set up by matrix.create_store.';

CREATE FUNCTION matrix.events_after_statement() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE c;
COMMENT ON FUNCTION matrix.events_after_statement() IS
	'Trigger of every store''s events table: folds what is left into the derived tables after a DELETE or TRUNCATE. Set up by matrix.create_store.';

CREATE FUNCTION matrix.fold_stream(events regclass) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.fold_stream(regclass) IS
	'Folds a store''s whole stream into its empty derived tables; the number of events that changed them. Behind matrix.rebuild.';

CREATE FUNCTION matrix.apply_redactions(events regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.apply_redactions(regclass) IS
	'Redacts what redactions of a store take away and that is still there. Behind matrix.rebuild. Raises 42501 unless the caller owns the table.';

CREATE FUNCTION matrix.is_store(name text) RETURNS boolean
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT EXISTS (
			SELECT FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = name AND c.relname = 'events'
			  AND c.reloftype = 'matrix.event'::pg_catalog.regtype)
	$$;
COMMENT ON FUNCTION matrix.is_store(text) IS 'Whether a schema of this name is a store.';

CREATE FUNCTION matrix.check_store(store text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		IF store IS NULL OR NOT matrix.is_store(store) THEN
			RAISE EXCEPTION 'store "%" does not exist', store USING ERRCODE = 'undefined_object',
				HINT = 'matrix.create_store makes one.';
		END IF;
	END
	$$;
COMMENT ON FUNCTION matrix.check_store(text) IS 'Raises 42704 unless there is a store of this name.';

CREATE FUNCTION matrix.now_ms() RETURNS bigint
	LANGUAGE sql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::pg_catalog.int8 $$;
COMMENT ON FUNCTION matrix.now_ms() IS 'The clock: milliseconds since 1970-01-01 UTC.';

CREATE FUNCTION matrix.event_json(event matrix.event) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT coalesce(event.extra, '{}') || (
			SELECT jsonb_object_agg(k.key, k.value) FROM (VALUES
				('type', to_jsonb(event.type)), ('event_id', to_jsonb(event.event_id)), ('room_id', to_jsonb(event.room_id)),
				('sender', to_jsonb(event.sender)), ('state_key', to_jsonb(event.state_key)),
				('origin_server_ts', to_jsonb(event.origin_server_ts)), ('content', event.content), ('unsigned', event.unsigned)
			) k(key, value) WHERE k.value IS NOT NULL)
	$$;
COMMENT ON FUNCTION matrix.event_json(matrix.event) IS 'A row of events as the JSON object that Matrix''s APIs know.';

CREATE FUNCTION matrix.visible_spans(hidden bigint[]) RETURNS TABLE (from_ts bigint, until_ts bigint)
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION matrix.visible_spans(bigint[]) IS
	'The times in which a user did not hide, of presence_state.hidden: from inclusive to exclusive, ms. Behind the view presence.';

-- The queries behind the views presence and calls.  %1$s is the store's schema,
-- %2$s the time.  COUNTS_SQL in src/pg/derive.h has the same words on which events count.
CREATE FUNCTION matrix.presence_query(store text, now text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($sql$
			SELECT p.user_id,
				n.presence,
				greatest(0, %2$s - a.last_active_ts) AS last_active_ago,
				CASE WHEN n.presence = 'online' THEN coalesce(%2$s - a.last_active_ts < (SELECT s.presence_active_ms FROM %1$I.settings s), false) END AS currently_active,
				p.status_msg, p.displayname, p.avatar_url, a.last_active_ts
			FROM %1$I.presence_state p, LATERAL (
				-- Most users never hide: one look at the index.
				SELECT greatest(p.last_active_ts, CASE WHEN p.hidden IS NULL THEN (%3$s ORDER BY 1 DESC LIMIT 1)
					ELSE (SELECT max(m.ts) FROM matrix.visible_spans(p.hidden) span, LATERAL (%3$s
						AND least(e.origin_server_ts, e.received_ts) >= span.from_ts
						AND least(e.origin_server_ts, e.received_ts) < span.until_ts
						ORDER BY 1 DESC LIMIT 1) m) END) AS last_active_ts
				OFFSET 0) a,
				LATERAL (SELECT CASE WHEN p.presence = 'hidden' THEN 'offline'
					WHEN p.presence = 'unavailable' AND a.last_active_ts > p.ts AND (SELECT s.presence_auto_online FROM %1$I.settings s) THEN 'online'
					ELSE p.presence END AS presence) n
		$sql$, store, now, format($sql$
					SELECT least(e.origin_server_ts, e.received_ts) AS ts FROM %1$I.events e
					WHERE e.sender = p.user_id AND e.state_key IS NULL AND e.room_id IS NOT NULL AND e.stream_id > 0
						AND e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE
						AND e.type = ANY ((SELECT s.activity_types FROM %1$I.settings s)::text[])$sql$, store))
	$$;
COMMENT ON FUNCTION matrix.presence_query(text, text) IS 'The query behind a store''s view presence, at a time.';

CREATE FUNCTION matrix.calls_query(store text, now text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($sql$
			SELECT c.room_id, c.call_id,
				CASE WHEN e.expired THEN 'ended' ELSE c.state END AS state,
				CASE WHEN e.expired THEN 'expired' ELSE c.end_reason END AS end_reason,
				c.version, c.two_party, c.caller, c.caller_party, c.invitee, c.invite_event_id, c.answer_user, c.answer_party,
				c.selected_party_id, c.hangup_reason, c.ended_by, c.replaced_by, c.invite_ts, c.expires_at, c.answered_ts,
				CASE WHEN e.expired THEN c.expires_at ELSE c.ended_ts END AS ended_ts, c.last_negotiate_ts, c.candidates, c.stream_id
			FROM %1$I.call_state c, LATERAL (SELECT c.state = 'invited' AND %2$s > c.expires_at AS expired) e
		$sql$, store, now)
	$$;
COMMENT ON FUNCTION matrix.calls_query(text, text) IS 'The query behind a store''s view calls, at a time.';

CREATE FUNCTION matrix.rebuild(store text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('LOCK TABLE %1$I.events IN SHARE ROW EXCLUSIVE MODE', store);
		EXECUTE format('DELETE FROM %1$I.room_state; DELETE FROM %1$I.presence_state; DELETE FROM %1$I.call_state', store);
		PERFORM matrix.apply_redactions(format('%I.events', store)::regclass);
		RETURN matrix.fold_stream(format('%I.events', store)::regclass);
	END
	$$;
COMMENT ON FUNCTION matrix.rebuild(text) IS
	'Applies a store''s redactions once more, and folds its whole stream again into its derived tables; writers wait. The number of events that changed them. Raises 42704 for no such store, 42501 for one of another''s.';

CREATE FUNCTION matrix.verify(store text) RETURNS TABLE ("table" text, key jsonb, stored jsonb, expected jsonb)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		differences jsonb := '[]';
		found jsonb;
		compared record;
		now text := matrix.now_ms();
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('LOCK TABLE %1$I.events IN SHARE ROW EXCLUSIVE MODE', store);
		-- All that is done in the inner block is undone at its end.
		BEGIN
			EXECUTE format('CREATE TEMP TABLE matrix_stored_room_state ON COMMIT DROP AS SELECT * FROM %I.room_state', store);
			EXECUTE format('CREATE TEMP TABLE matrix_stored_presence_state ON COMMIT DROP AS SELECT * FROM %I.presence_state', store);
			-- At one moment, or a call could expire between the two.
			EXECUTE 'CREATE TEMP TABLE matrix_stored_calls ON COMMIT DROP AS ' || matrix.calls_query(store, now);
			EXECUTE format('CREATE TEMP TABLE matrix_stored_events ON COMMIT DROP AS SELECT e.* FROM %1$I.events e WHERE e.event_id IN (
				SELECT r.event_id FROM %1$I.events r WHERE r.redacted_by IS NOT NULL UNION SELECT r.redacts FROM %1$I.events r WHERE r.redacts IS NOT NULL)', store);
			PERFORM matrix.rebuild(store);
			FOR compared IN SELECT * FROM (VALUES
				('events', format('SELECT e.* FROM %1$I.events e WHERE e.event_id IN (SELECT r.event_id FROM %1$I.events r WHERE r.redacted_by IS NOT NULL
					UNION SELECT s.event_id FROM pg_temp.matrix_stored_events s)', store), 'event_id'),
				('room_state', format('SELECT * FROM %I.room_state', store), 'room_id, type, state_key'),
				('presence_state', format('SELECT * FROM %I.presence_state', store), 'user_id'),
				('calls', matrix.calls_query(store, now), 'room_id, call_id')) c(name, query, columns)
			LOOP
				EXECUTE format($sql$
					SELECT jsonb_agg(jsonb_build_array(%1$L, coalesce(o.key, n.key), o.row, n.row)) FROM
						(SELECT jsonb_build_array(%3$s) AS key, to_jsonb(t) AS row FROM pg_temp.matrix_stored_%1$s t) o FULL JOIN
						(SELECT jsonb_build_array(%3$s) AS key, to_jsonb(t) AS row FROM (%2$s) t) n ON o.key = n.key
					WHERE o.row IS DISTINCT FROM n.row
				$sql$, compared.name, compared.query, compared.columns) INTO found;
				differences := differences || coalesce(found, '[]');
			END LOOP;
			RAISE EXCEPTION USING ERRCODE = 'MXVFY';
		EXCEPTION WHEN SQLSTATE 'MXVFY' THEN
			NULL;
		END;
		RETURN QUERY SELECT d->>0, d->1, nullif(d->2, 'null'), nullif(d->3, 'null') FROM jsonb_array_elements(differences) d;
	END
	$$;
COMMENT ON FUNCTION matrix.verify(text) IS
	'Folds a store''s whole stream beside its derived tables, redactions included, and says where they differ: nowhere. Writers wait meanwhile. Raises 42704 for no such store, 42501 for one of another''s.';
