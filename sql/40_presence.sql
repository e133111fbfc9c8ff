-- Presence and calls: who sees whom, and what only the clock can change.

CREATE FUNCTION matrix.presence_seen_by(store text, observer text, now bigint DEFAULT NULL)
	RETURNS TABLE (user_id text, presence text, last_active_ago bigint, currently_active boolean, status_msg text,
		displayname text, avatar_url text, last_active_ts bigint)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		RETURN QUERY EXECUTE format($sql$
			SELECT p.user_id, CASE WHEN p.user_id = $1 THEN own.presence ELSE p.presence END, p.last_active_ago, p.currently_active,
				p.status_msg, p.displayname, p.avatar_url, p.last_active_ts
			FROM (%2$s) p JOIN %1$I.presence_state own ON own.user_id = p.user_id
			WHERE p.user_id = $1 OR p.user_id IN (
				SELECT other.state_key FROM %1$I.room_state mine JOIN %1$I.room_state other ON other.room_id = mine.room_id
				WHERE mine.state_key = $1 AND mine.membership = 'join' AND other.membership = 'join')
		$sql$, store, matrix.presence_query(store, '$2'))
		USING observer, coalesce(now, matrix.now_ms());
	END
	$$;
COMMENT ON FUNCTION matrix.presence_seen_by(text, text, bigint) IS
	'The presence of the users that share a joined room with the observer, and his own with hidden shown; as of a time in ms, by default now. Raises 42704 for no such store.';

CREATE FUNCTION matrix.presence_tick(store text, now bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET matrix_events.on_invalid = 'error'
	AS $$
	DECLARE
		changed bigint;
	BEGIN
		PERFORM matrix.check_store(store);
		now := coalesce(now, matrix.now_ms());
		-- Rows that another tick or writer has in hand are left to it.
		EXECUTE format($sql$
			WITH due AS (
				SELECT own.user_id, own.presence, own.status_msg, own.ts FROM %1$I.presence_state own
				WHERE own.presence NOT IN ('offline', 'hidden')
				ORDER BY own.user_id FOR UPDATE SKIP LOCKED),
			next AS (
				SELECT d.user_id, d.presence, d.status_msg,
					CASE WHEN $1 - greatest(d.ts, a.last_active_ts) > (SELECT s.presence_offline_ms FROM %1$I.settings s) THEN 'offline'
						WHEN a.presence <> 'unavailable' AND $1 - coalesce(a.last_active_ts, d.ts) > (SELECT s.presence_idle_ms FROM %1$I.settings s) THEN 'unavailable'
					END AS presence_now
				FROM due d JOIN (%2$s) a ON a.user_id = d.user_id)
			INSERT INTO %1$I.events (type, sender, origin_server_ts, content)
			SELECT 'm.presence', n.user_id, $1, jsonb_build_object('presence', n.presence_now, 'user_id', n.user_id)
				|| CASE WHEN n.status_msg IS NULL THEN '{}' ELSE jsonb_build_object('status_msg', n.status_msg) END
			FROM next n WHERE n.presence_now IS NOT NULL ORDER BY n.user_id
		$sql$, store, matrix.presence_query(store, '$1')) USING now;
		GET DIAGNOSTICS changed = ROW_COUNT;
		RETURN changed;
	END
	$$;
COMMENT ON FUNCTION matrix.presence_tick(text, bigint) IS
	'Sends an m.presence for each user who has been idle or unheard of for longer than the store''s settings say, as of a time in ms, by default now; how many. Safe to run in parallel. Activity and status stay. Raises 42704 for no such store.';

CREATE FUNCTION matrix.call_tick(store text, now bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		expired bigint;
		last bigint;
		entries text[];
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format($sql$
			WITH due AS (
				SELECT d.room_id, d.call_id FROM %1$I.call_state d
				WHERE d.state = 'invited' AND NOT d.ticked AND d.expires_at < $1
				ORDER BY d.room_id, d.call_id FOR UPDATE SKIP LOCKED),
			ticked AS (
				UPDATE %1$I.call_state c SET ticked = true FROM due WHERE c.room_id = due.room_id AND c.call_id = due.call_id
				RETURNING c.*)
			SELECT count(*), max(t.stream_id), array_agg(json_build_object('stream_id', t.stream_id, 'type', 'm.call.invite', 'room_id', t.room_id,
				'user_id', t.caller, 'event_id', t.invite_event_id, 'call_id', t.call_id, 'state', 'ended', 'reason', 'expired')::text ORDER BY t.stream_id)
			FROM ticked t
		$sql$, store) INTO expired, last, entries USING coalesce(now, matrix.now_ms());
		IF expired > 0 THEN
			PERFORM matrix.push_calls(format('%I.events', store)::regclass, entries, last);
		END IF;
		RETURN expired;
	END
	$$;
COMMENT ON FUNCTION matrix.call_tick(text, bigint) IS
	'Takes note of the invites that nobody answered in their lifetime, as of a time in ms, by default now, and pushes them; how many are new. The view calls shows them as ended by itself. Safe to run in parallel. Raises 42704 for no such store.';

CREATE FUNCTION matrix.call_to_answer(store text, room_id text, user_id text, now bigint DEFAULT NULL) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		found text;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format($sql$
			SELECT c.call_id FROM (%1$s) c
			WHERE c.room_id = $1 AND c.state = 'invited' AND c.caller <> $2 AND (c.invitee IS NULL OR c.invitee = $2)
			ORDER BY c.call_id LIMIT 1
		$sql$, matrix.calls_query(store, '$3')) INTO found USING room_id, user_id, coalesce(now, matrix.now_ms());
		RETURN found;
	END
	$$;
COMMENT ON FUNCTION matrix.call_to_answer(text, text, text, bigint) IS
	'The call_id of the call in this room that the user should answer instead of inviting (glare, rule 1), or null; as of a time in ms, by default now. Raises 42704 for no such store.';
