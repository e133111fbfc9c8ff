-- The store's own users: their profiles, and what they send.

CREATE FUNCTION matrix.profiles_after_statement() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE c;
COMMENT ON FUNCTION matrix.profiles_after_statement() IS
	'Trigger of every store''s profiles table: sends the events that a change of profile asks for. Set up by matrix.create_store.';

-- The statement behind it.  %1$s is the store's schema; changed(user_id,
-- displayname, avatar_url, old_displayname, old_avatar_url) stands before it.
CREATE FUNCTION matrix.profile_statement(store text, changed text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($sql$
			WITH changed AS (
				SELECT c.user_id, nullif(c.displayname, '') AS displayname, nullif(c.avatar_url, '') AS avatar_url,
					nullif(c.old_displayname, '') AS old_displayname, nullif(c.old_avatar_url, '') AS old_avatar_url
				FROM (%2$s) c
				WHERE nullif(c.displayname, '') IS DISTINCT FROM nullif(c.old_displayname, '')
					OR nullif(c.avatar_url, '') IS DISTINCT FROM nullif(c.old_avatar_url, '')),
			clock AS MATERIALIZED (SELECT matrix.now_ms() AS now)
			INSERT INTO %1$I.events (type, room_id, sender, state_key, origin_server_ts, content, unsigned)
			SELECT 'm.room.member', s.room_id, c.user_id, c.user_id, clock.now, n.content, jsonb_build_object('prev_content', s.content, 'replaces_state', s.event_id)
			FROM changed c JOIN %1$I.room_state s ON s.state_key = c.user_id AND s.membership = 'join'
				CROSS JOIN clock CROSS JOIN %1$I.settings o, LATERAL (
				SELECT s.content - '{displayname,avatar_url,join_authorised_via_users_server,third_party_invite,reason}'::text[]
					|| jsonb_strip_nulls(jsonb_build_object('membership', 'join',
						'displayname', CASE WHEN o.preserve_room_overrides AND s.content->>'displayname' IS DISTINCT FROM c.old_displayname
							THEN s.content->>'displayname' ELSE c.displayname END,
						'avatar_url', CASE WHEN o.preserve_room_overrides AND s.content->>'avatar_url' IS DISTINCT FROM c.old_avatar_url
							THEN s.content->>'avatar_url' ELSE c.avatar_url END)) AS content) n
			WHERE n.content <> s.content
			UNION ALL
			SELECT 'm.presence', NULL, c.user_id, NULL, clock.now,
				jsonb_build_object('user_id', c.user_id, 'presence', coalesce(own.presence, 'offline'),
					'displayname', c.displayname, 'avatar_url', c.avatar_url)
				|| CASE WHEN own.status_msg IS NULL THEN '{}' ELSE jsonb_build_object('status_msg', own.status_msg) END
				|| CASE WHEN own.last_active_ts IS NULL THEN '{}'
					ELSE jsonb_build_object('last_active_ago', greatest(0, clock.now - own.last_active_ts)) END, NULL
			FROM changed c CROSS JOIN clock LEFT JOIN %1$I.presence_state own ON own.user_id = c.user_id
			ORDER BY 3, 2
		$sql$, store, changed)
	$$;
COMMENT ON FUNCTION matrix.profile_statement(text, text) IS 'The statement that sends the events of changed profiles. Behind matrix.profiles_after_statement.';

CREATE FUNCTION matrix.set_profile(store text, user_id text, displayname text, avatar_url text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format($sql$
			INSERT INTO %1$I.profiles AS p (user_id, displayname, avatar_url) VALUES ($1, $2, $3)
			ON CONFLICT ON CONSTRAINT profiles_pkey DO UPDATE SET displayname = excluded.displayname, avatar_url = excluded.avatar_url
			WHERE (p.displayname, p.avatar_url) IS DISTINCT FROM (excluded.displayname, excluded.avatar_url)
		$sql$, store) USING user_id, nullif(displayname, ''), nullif(avatar_url, '');
	END
	$$;
COMMENT ON FUNCTION matrix.set_profile(text, text, text, text) IS
	'Sets a user''s displayname and avatar_url, null or empty for none, and sends an m.room.member into every joined room and an m.presence: all or nothing. Nothing changed: no event. Raises 42704 for no such store, 23514 for a displayname of more than 256 characters or an avatar_url of more than 1000, 22023 for what is no user id or mxc URI.';

CREATE FUNCTION matrix.send(store text, room_id text, sender text, type text, content jsonb, state_key text DEFAULT NULL, txn_id text DEFAULT NULL)
	RETURNS matrix.event
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET matrix_events.on_invalid = 'error'
	AS $$
	DECLARE
		own_server text;
		known text;
		sent matrix.event;
		profile record;
		previous jsonb;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('SELECT s.server_name FROM %I.settings s', store) INTO own_server;
		IF own_server IS NOT NULL AND substr(sender, strpos(sender, ':') + 1) <> own_server THEN
			RAISE EXCEPTION 'user "%" is not of this store''s server', sender
				USING ERRCODE = 'invalid_parameter_value', DETAIL = format('The store''s server_name is %s.', own_server),
				HINT = 'Insert events of other servers'' users into the table events.';
		END IF;
		IF txn_id IS NOT NULL THEN
			EXECUTE format($sql$
				INSERT INTO %1$I.transactions AS t (room_id, sender, type, txn_id) VALUES ($1, $2, $3, $4)
				ON CONFLICT ON CONSTRAINT transactions_pkey DO UPDATE SET event_id = t.event_id RETURNING t.event_id
			$sql$, store) INTO known USING room_id, sender, type, txn_id;
			IF known IS NOT NULL THEN
				EXECUTE format('SELECT e.* FROM %I.events e WHERE e.event_id = $1', store) INTO sent USING known;
				RETURN sent;
			END IF;
		END IF;
		IF type = 'm.room.member' AND state_key IS NOT NULL AND content->>'membership' IN ('join', 'invite', 'knock') THEN
			EXECUTE format('SELECT p.displayname, p.avatar_url FROM %I.profiles p WHERE p.user_id = $1', store) INTO profile USING state_key;
			content := jsonb_strip_nulls(jsonb_build_object('displayname', nullif(profile.displayname, ''), 'avatar_url', nullif(profile.avatar_url, ''))) || content;
		END IF;
		IF state_key IS NOT NULL THEN
			EXECUTE format('SELECT jsonb_build_object(''prev_content'', s.content, ''replaces_state'', s.event_id) FROM %I.room_state s
				WHERE s.room_id = $1 AND s.type = $2 AND s.state_key = $3', store) INTO previous USING room_id, type, state_key;
		END IF;
		EXECUTE format($sql$
			INSERT INTO %1$I.events AS e (room_id, sender, type, content, state_key, unsigned, extra) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING e.*
		$sql$, store) INTO sent USING room_id, sender, type, content, state_key, previous,
			-- Before room version 11 a redaction names its target beside its content.
			CASE WHEN type = 'm.room.redaction' AND content ? 'redacts' THEN jsonb_build_object('redacts', content->'redacts') END;
		IF txn_id IS NOT NULL THEN
			EXECUTE format('UPDATE %I.transactions t SET event_id = $5 WHERE t.room_id = $1 AND t.sender = $2 AND t.type = $3 AND t.txn_id = $4',
				store) USING room_id, sender, type, txn_id, sent.event_id;
		END IF;
		RETURN sent;
	END
	$$;
COMMENT ON FUNCTION matrix.send(text, text, text, text, jsonb, text, text) IS
	'A local user sends an event: its id and time are made, a member event gets the user''s profile; content.redacts of an m.room.redaction stands at its top level as well, as older room versions want it. The same txn_id of the same sender, room and type gives the same event again. Raises 42704 for no such store, 22023 for a sender of another server or an invalid event.';
