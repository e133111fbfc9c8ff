-- Stores: a schema with its events table and what belongs to it.  All of it is
-- owned by the user who calls create_store, not by the extension.

CREATE FUNCTION matrix.events_before_row() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE c;
COMMENT ON FUNCTION matrix.events_before_row() IS
	'Trigger of every store''s events table: reads, validates and positions each event. Set up by matrix.create_store.';

CREATE FUNCTION matrix.check_event_schema(type text, schema jsonb) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.check_event_schema(text, jsonb) IS
	'Raises 22023 when a JSON Schema cannot be registered for an event type. Behind matrix.register_event_type.';

CREATE FUNCTION matrix.settings_after_update() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE c;
COMMENT ON FUNCTION matrix.settings_after_update() IS
	'Trigger of every store''s settings table: makes every backend read them again. Set up by matrix.create_store.';

CREATE FUNCTION matrix.forget_cached_types(events regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.forget_cached_types(regclass) IS
	'Makes every backend read a store''s event types again. Behind matrix.register_event_type.';

CREATE FUNCTION matrix.create_store(name text, server_name text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		owner oid := (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = name);
	BEGIN
		IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
			RAISE EXCEPTION 'a store needs a database with encoding UTF8, not %', pg_catalog.getdatabaseencoding()
				USING ERRCODE = 'feature_not_supported', HINT = 'Matrix events are UTF-8.';
		END IF;
		IF name IS NULL OR name = '' OR pg_catalog.octet_length(name) > 54 THEN
			RAISE EXCEPTION 'a store''s name must be 1 to 54 bytes long'
				USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'The longest channel, the name with _presence, must fit into 63 bytes.';
		END IF;
		IF matrix.is_store(name) THEN
			RAISE EXCEPTION 'store "%" exists already', name USING ERRCODE = 'duplicate_schema';
		END IF;
		IF owner IS NULL THEN
			EXECUTE pg_catalog.format('CREATE SCHEMA %I', name);
		ELSIF NOT pg_catalog.pg_has_role(owner, 'USAGE') THEN
			RAISE EXCEPTION 'schema "%" belongs to another role', name USING ERRCODE = 'insufficient_privilege';
		END IF;
		EXECUTE pg_catalog.format($sql$
			CREATE TABLE %1$I.settings (
				only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
				server_name text COLLATE "C",
				activity_types text[] COLLATE "C" NOT NULL DEFAULT '{m.room.message,m.room.encrypted,m.sticker,m.reaction}',
				presence_profile text NOT NULL DEFAULT '2015' CHECK (presence_profile IN ('2015', 'current')),
				presence_equal_level_bumps boolean NOT NULL DEFAULT false,
				presence_auto_online boolean NOT NULL DEFAULT false,
				presence_granularity_ms bigint NOT NULL DEFAULT 60000 CHECK (presence_granularity_ms >= 0),
				presence_active_ms bigint NOT NULL DEFAULT 60000 CHECK (presence_active_ms > 0),
				presence_idle_ms bigint DEFAULT 300000 CHECK (presence_idle_ms > 0),
				presence_offline_ms bigint DEFAULT 1800000 CHECK (presence_offline_ms > 0),
				calls_any_room boolean NOT NULL DEFAULT false,
				redact_same_sender_only boolean NOT NULL DEFAULT false,
				preserve_room_overrides boolean NOT NULL DEFAULT false,
				push text NOT NULL DEFAULT 'commit' CHECK (push IN ('commit', 'relay', 'off')),
				search_configs text[] COLLATE "C" NOT NULL DEFAULT '{simple}'
			);
			COMMENT ON TABLE %1$I.settings IS 'The settings of this store: one row.';
			COMMENT ON COLUMN %1$I.settings.server_name IS 'The server name of the store''s own users, or null.';
			COMMENT ON COLUMN %1$I.settings.activity_types IS 'The types of message events that are activity of their sender.';
			COMMENT ON COLUMN %1$I.settings.presence_profile IS 'What change of presence is activity: any rise (2015), or to online alone (current).';
			COMMENT ON COLUMN %1$I.settings.presence_equal_level_bumps IS 'Whether setting the same presence again is activity.';
			COMMENT ON COLUMN %1$I.settings.presence_auto_online IS 'Whether a message makes its unavailable sender online (today''s rule; 2015 has none).';
			COMMENT ON COLUMN %1$I.settings.presence_granularity_ms IS 'By how much the last activity of a user who is not online must move to be pushed.';
			COMMENT ON COLUMN %1$I.settings.presence_active_ms IS 'How long after the last activity an online user is currently active.';
			COMMENT ON COLUMN %1$I.settings.presence_idle_ms IS 'After how long without activity matrix.presence_tick makes a user unavailable; null: never.';
			COMMENT ON COLUMN %1$I.settings.presence_offline_ms IS 'After how long without activity or presence matrix.presence_tick makes a user offline; null: never.';
			COMMENT ON COLUMN %1$I.settings.calls_any_room IS 'Whether calls of version 0 are taken in rooms that have not exactly two members.';
			COMMENT ON COLUMN %1$I.settings.redact_same_sender_only IS 'Whether users without the power level may redact only their own events, not those of all users of their server.';
			COMMENT ON COLUMN %1$I.settings.preserve_room_overrides IS 'Whether a change of profile leaves alone what a user calls himself in one room only.';
			COMMENT ON COLUMN %1$I.settings.push IS 'Who notifies those who listen: writers when they commit (commit), matrix.relay (relay), nobody (off).';
			COMMENT ON COLUMN %1$I.settings.search_configs IS 'The text search configurations of matrix.search. A change makes the index anew.';
			INSERT INTO %1$I.settings (server_name) VALUES (%2$L);
			CREATE TRIGGER a_matrix_settings AFTER UPDATE ON %1$I.settings
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.settings_after_update();
			CREATE TRIGGER b_matrix_search AFTER UPDATE ON %1$I.settings
				FOR EACH ROW WHEN (OLD.search_configs <> NEW.search_configs) EXECUTE FUNCTION matrix.search_configs_after_update();

			CREATE TABLE %1$I.event_types (
				type text COLLATE "C" PRIMARY KEY,
				schema jsonb NOT NULL
			);
			COMMENT ON TABLE %1$I.event_types IS 'Event types of the user''s own: written by matrix.register_event_type.';

			CREATE TABLE %1$I.rejected (
				rejected_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
				received_ts bigint NOT NULL
					DEFAULT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000)::bigint,
				raw text COLLATE "C" NOT NULL,
				violations jsonb NOT NULL,
				event_id text COLLATE "C"
			);
			COMMENT ON TABLE %1$I.rejected IS 'Events that were refused while matrix_events.on_invalid was quarantine, and why.';
			COMMENT ON COLUMN %1$I.rejected.event_id IS 'The event''s id, where it could be read.';
			CREATE INDEX rejected_event ON %1$I.rejected (event_id) WHERE event_id IS NOT NULL;
			COMMENT ON COLUMN %1$I.rejected.violations IS 'What matrix.validate says: an array of objects with path, code and message.';

			CREATE TABLE %1$I.loads (
				source text COLLATE "C" PRIMARY KEY,
				bytes bigint NOT NULL,
				lines bigint NOT NULL,
				updated timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
			);
			COMMENT ON TABLE %1$I.loads IS 'How far files are loaded: written by the program matrix-events load, with the events.';
			COMMENT ON COLUMN %1$I.loads.source IS 'The absolute path of the file, or the name that was given.';

			CREATE SEQUENCE %1$I.events_stream_id;
			COMMENT ON SEQUENCE %1$I.events_stream_id IS 'Gives stream positions. Its cache must stay 1.';
			CREATE SEQUENCE %1$I.events_backfill_id INCREMENT -1;
			COMMENT ON SEQUENCE %1$I.events_backfill_id IS 'Gives the positions of backfilled history.';
			CREATE SEQUENCE %1$I.events_redactions;
			COMMENT ON SEQUENCE %1$I.events_redactions IS 'Counts statements that redact, so that who inserts meanwhile takes note.';
			CREATE TABLE %1$I.events OF matrix.event (
				PRIMARY KEY (stream_id),
				event_id WITH OPTIONS NOT NULL UNIQUE,
				type WITH OPTIONS NOT NULL,
				received_ts WITH OPTIONS NOT NULL,
				content WITH OPTIONS NOT NULL,
				mark WITH OPTIONS NOT NULL
			);
			COMMENT ON TABLE %1$I.events IS 'The stream: every event that this store took.';
			CREATE INDEX events_room ON %1$I.events (room_id, stream_id) WHERE room_id IS NOT NULL;
			CREATE INDEX events_sender ON %1$I.events (sender, stream_id);
			CREATE INDEX events_type ON %1$I.events (type, stream_id);
			CREATE INDEX events_state ON %1$I.events (room_id, type, state_key, stream_id) WHERE state_key IS NOT NULL;
			CREATE INDEX events_activity ON %1$I.events (sender, (least(origin_server_ts, received_ts)))
				WHERE state_key IS NULL AND room_id IS NOT NULL AND stream_id > 0;
			CREATE INDEX events_presence ON %1$I.events (sender, stream_id) WHERE type = 'm.presence';
			CREATE INDEX events_redacts ON %1$I.events (redacts) WHERE redacts IS NOT NULL;
			CREATE INDEX events_redacted ON %1$I.events (redacted_by) WHERE redacted_by IS NOT NULL;
			CREATE INDEX events_stripped ON %1$I.events (room_id)
				WHERE unsigned ?| '{invite_room_state,knock_room_state}' OR extra ?| '{invite_room_state,knock_room_state}';
			CREATE INDEX events_call ON %1$I.events (room_id, stream_id) WHERE type LIKE 'm.call.%%';
			CREATE INDEX events_relation ON %1$I.events
				((matrix.relates_to(content) COLLATE "C"), (matrix.rel_type(content) COLLATE "C"), type, stream_id)
				WHERE matrix.relates_to(content) COLLATE "C" IS NOT NULL;

			CREATE TABLE %1$I.room_state (
				room_id text COLLATE "C",
				type text COLLATE "C",
				state_key text COLLATE "C",
				event_id text COLLATE "C" NOT NULL,
				stream_id bigint NOT NULL,
				sender text COLLATE "C",
				ts bigint,
				content jsonb NOT NULL,
				membership text COLLATE "C",
				kind text COLLATE "C",
				since bigint,
				since_ts bigint,
				PRIMARY KEY (room_id, type, state_key)
			) WITH (fillfactor = 80);
			COMMENT ON TABLE %1$I.room_state IS 'The current state of rooms: the last event of each type and state key. Derived.';
			CREATE INDEX room_state_membership ON %1$I.room_state (room_id, membership) WHERE membership IS NOT NULL;
			CREATE INDEX room_state_user ON %1$I.room_state (state_key, room_id) WHERE membership IS NOT NULL;
			CREATE VIEW %1$I.members AS
				SELECT s.room_id, s.state_key AS user_id, s.membership, s.content->>'displayname' AS displayname,
					s.content->>'avatar_url' AS avatar_url, s.kind, s.since, s.since_ts, s.event_id, s.stream_id
				FROM %1$I.room_state s WHERE s.membership IS NOT NULL;
			COMMENT ON VIEW %1$I.members IS 'Who is in which room, or was. Derived.';
			CREATE VIEW %1$I.rooms AS
				SELECT s.room_id,
					max(coalesce(s.content->>'room_version', '1')) FILTER (WHERE s.type = 'm.room.create') AS version,
					max(coalesce(s.content->>'creator', s.sender)) FILTER (WHERE s.type = 'm.room.create') AS creator,
					max(nullif(s.content->>'name', '')) FILTER (WHERE s.type = 'm.room.name') AS name,
					count(*) FILTER (WHERE s.membership = 'join') AS joined,
					count(*) FILTER (WHERE s.membership = 'invite') AS invited
				FROM %1$I.room_state s
				WHERE s.membership IS NOT NULL OR s.state_key = ''
				GROUP BY s.room_id;
			COMMENT ON VIEW %1$I.rooms IS 'One row a room. Derived.';

			CREATE TABLE %1$I.presence_state (
				user_id text COLLATE "C" PRIMARY KEY,
				presence text COLLATE "C" NOT NULL,
				status_msg text,
				displayname text,
				avatar_url text,
				last_active_ts bigint,
				hidden bigint[],
				ts bigint,
				stream_id bigint NOT NULL
			) WITH (fillfactor = 70);
			COMMENT ON TABLE %1$I.presence_state IS 'What presence events say of each user, hidden ones included; behind the view presence. Derived.';

			CREATE TABLE %1$I.call_state (
				room_id text COLLATE "C",
				call_id text COLLATE "C",
				state text COLLATE "C" NOT NULL,
				end_reason text COLLATE "C",
				version int,
				two_party boolean,
				caller text COLLATE "C",
				caller_party text COLLATE "C",
				invitee text COLLATE "C",
				invite_event_id text COLLATE "C",
				answer_user text COLLATE "C",
				answer_party text COLLATE "C",
				selected_party_id text COLLATE "C",
				hangup_reason text COLLATE "C",
				ended_by text COLLATE "C",
				replaced_by text COLLATE "C",
				invite_ts bigint,
				expires_at bigint,
				answered_ts bigint,
				ended_ts bigint,
				last_negotiate_ts bigint,
				candidates bigint NOT NULL,
				stream_id bigint NOT NULL,
				folded_id bigint NOT NULL,
				words jsonb,
				ticked boolean NOT NULL DEFAULT false,
				PRIMARY KEY (room_id, call_id)
			) WITH (fillfactor = 70);
			COMMENT ON TABLE %1$I.call_state IS 'The calls of rooms; behind the view calls, which knows the clock. Derived.';
			CREATE INDEX call_state_live ON %1$I.call_state (room_id) WHERE state <> 'ended';

			CREATE TABLE %1$I.profiles (
				user_id text COLLATE "C" PRIMARY KEY,
				displayname text CHECK (char_length(displayname) <= 256),
				avatar_url text CHECK (char_length(avatar_url) <= 1000)
			);
			COMMENT ON TABLE %1$I.profiles IS 'The profiles of the store''s own users. A change sends the member and presence events that it asks for.';
			CREATE TRIGGER a_matrix_inserted AFTER INSERT ON %1$I.profiles REFERENCING NEW TABLE AS inserted
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.profiles_after_statement();
			CREATE TRIGGER a_matrix_updated AFTER UPDATE ON %1$I.profiles REFERENCING NEW TABLE AS updated OLD TABLE AS replaced
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.profiles_after_statement();
			CREATE TRIGGER a_matrix_deleted AFTER DELETE ON %1$I.profiles REFERENCING OLD TABLE AS deleted
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.profiles_after_statement();
			CREATE TABLE %1$I.stream_floor (
				only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
				system_identifier bigint NOT NULL,
				floor bigint NOT NULL
			);
			COMMENT ON TABLE %1$I.stream_floor IS 'Up to where a restored stream is settled, whatever its marks say, in the cluster of this identifier: for its standbys.';
			CREATE TABLE %1$I.worker_state (
				worker text COLLATE "C" PRIMARY KEY CHECK (worker <> ''),
				types text[] COLLATE "C",
				rooms text[] COLLATE "C",
				senders text[] COLLATE "C",
				parts int NOT NULL CHECK (parts BETWEEN 1 AND 1024),
				lease_ms int NOT NULL CHECK (lease_ms > 0),
				max_failures int CHECK (max_failures > 0)
			);
			COMMENT ON TABLE %1$I.worker_state IS 'The workers and what they want: written by matrix.worker_open.';
			CREATE TABLE %1$I.worker_parts (
				worker text COLLATE "C" REFERENCES %1$I.worker_state ON DELETE CASCADE,
				part int,
				position bigint NOT NULL,
				process text COLLATE "C",
				lease_until timestamptz,
				fetched bigint NOT NULL DEFAULT 0,
				deliveries int NOT NULL DEFAULT 0,
				failing bigint,
				failures int NOT NULL DEFAULT 0,
				error text,
				seen timestamptz,
				PRIMARY KEY (worker, part)
			) WITH (fillfactor = 50);
			COMMENT ON TABLE %1$I.worker_parts IS 'How far each part of a worker''s rooms is, and which process has it.';
			CREATE TABLE %1$I.dead_letters (
				worker text COLLATE "C" REFERENCES %1$I.worker_state ON DELETE CASCADE,
				stream_id bigint,
				event_id text COLLATE "C",
				failures int NOT NULL,
				error text,
				failed timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
				redeliver boolean NOT NULL DEFAULT false,
				delivered boolean NOT NULL DEFAULT false,
				PRIMARY KEY (worker, stream_id)
			);
			CREATE INDEX dead_letters_event ON %1$I.dead_letters (stream_id);
			COMMENT ON TABLE %1$I.dead_letters IS 'Events that a worker failed at too often; matrix.worker_redeliver gives them to it again.';
			CREATE VIEW %1$I.workers AS
				SELECT s.worker, min(p.position) AS position, s.types, s.rooms, s.senders, s.parts, s.lease_ms, s.max_failures, max(p.seen) AS seen,
					greatest(0, (SELECT max(e.stream_id) FROM %1$I.events e) - min(p.position)) AS lag,
					(SELECT count(*) FROM %1$I.dead_letters d WHERE d.worker = s.worker) AS dead_letters
				FROM %1$I.worker_state s JOIN %1$I.worker_parts p ON p.worker = s.worker GROUP BY s.worker;
			COMMENT ON VIEW %1$I.workers IS 'The workers: how far they are, what they want, when they last came, how many positions they are behind.';
			CREATE TABLE %1$I.push_queue (
				queue_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
				channel text COLLATE "C" NOT NULL,
				events text COLLATE "C" NOT NULL,
				last bigint NOT NULL,
				more boolean NOT NULL
			);
			COMMENT ON TABLE %1$I.push_queue IS 'What matrix.relay has still to send: one row for each statement and channel, where the setting push is relay.';
			CREATE TABLE %1$I.transactions (
				room_id text COLLATE "C",
				sender text COLLATE "C",
				type text COLLATE "C",
				txn_id text COLLATE "C",
				event_id text COLLATE "C",
				PRIMARY KEY (room_id, sender, type, txn_id)
			);
			COMMENT ON TABLE %1$I.transactions IS 'Which event matrix.send made for a transaction id.';

			-- No statistics of what is in contents: the samples would outlive a redaction, and mislead the planner.
			ALTER TABLE %1$I.events ALTER content SET STATISTICS 0, ALTER unsigned SET STATISTICS 0, ALTER extra SET STATISTICS 0,
				ALTER raw SET STATISTICS 0, ALTER kept SET STATISTICS 0;
			ALTER INDEX %1$I.events_relation ALTER COLUMN 1 SET STATISTICS 0;
			ALTER INDEX %1$I.events_relation ALTER COLUMN 2 SET STATISTICS 0;
			ALTER TABLE %1$I.room_state ALTER content SET STATISTICS 0;
			ALTER TABLE %1$I.call_state ALTER hangup_reason SET STATISTICS 0;
			ALTER TABLE %1$I.rejected ALTER raw SET STATISTICS 0, ALTER violations SET STATISTICS 0;
			ALTER TABLE %1$I.dead_letters ALTER error SET STATISTICS 0;
			ALTER TABLE %1$I.worker_parts ALTER error SET STATISTICS 0;

			CREATE TRIGGER a_matrix_event BEFORE INSERT OR UPDATE ON %1$I.events
				FOR EACH ROW EXECUTE FUNCTION matrix.events_before_row();
			-- A condition is read anew for each statement: a bare column is the cheapest.
			CREATE TRIGGER b_matrix_inserted AFTER INSERT ON %1$I.events FOR EACH ROW WHEN (NEW.derives) EXECUTE FUNCTION matrix.events_after_row();
			CREATE TRIGGER b_matrix_deleted AFTER DELETE ON %1$I.events REFERENCING OLD TABLE AS deleted
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.events_after_statement();
			CREATE TRIGGER b_matrix_truncated AFTER TRUNCATE ON %1$I.events
				FOR EACH STATEMENT EXECUTE FUNCTION matrix.events_after_statement();
		$sql$, name, server_name);
		PERFORM matrix.make_search_index(name);
		EXECUTE pg_catalog.format('CREATE VIEW %I.presence AS ', name) || matrix.presence_query(name, 'matrix.now_ms()');
		EXECUTE pg_catalog.format('COMMENT ON VIEW %I.presence IS %L', name, 'The presence of users as others see it: who hides is offline. Derived; times follow the clock.');
		EXECUTE pg_catalog.format('CREATE VIEW %I.calls AS ', name) || matrix.calls_query(name, 'matrix.now_ms()');
		EXECUTE pg_catalog.format('COMMENT ON VIEW %I.calls IS %L', name, 'The calls of rooms; an invite that nobody answered in time has ended. Derived.');
	END
	$$;
COMMENT ON FUNCTION matrix.create_store(text, text) IS
	'Makes a store: a schema of this name with the table events and what belongs to it, owned by the caller. Raises 42P06 when it exists, 22023 for a name longer than 54 bytes.';

CREATE FUNCTION matrix.drop_store(name text, force boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		filled boolean;
	BEGIN
		IF NOT matrix.is_store(name) THEN
			RAISE EXCEPTION 'store "%" does not exist', name USING ERRCODE = 'undefined_object';
		END IF;
		EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM %I.events)', name) INTO filled;
		IF filled AND NOT force THEN
			RAISE EXCEPTION 'store "%" holds events', name
				USING ERRCODE = 'dependent_objects_still_exist',
				HINT = pg_catalog.format('To drop it with its events: SELECT matrix.drop_store(%L, force => true).', name);
		END IF;
		EXECUTE pg_catalog.format($sql$
			DROP VIEW %1$I.presence, %1$I.calls, %1$I.members, %1$I.rooms, %1$I.workers %2$s;
			DROP TABLE %1$I.events, %1$I.room_state, %1$I.presence_state, %1$I.call_state, %1$I.profiles, %1$I.worker_state, %1$I.worker_parts, %1$I.dead_letters,
				%1$I.stream_floor, %1$I.push_queue, %1$I.transactions, %1$I.rejected,
				%1$I.loads, %1$I.event_types, %1$I.settings %2$s;
			DROP SEQUENCE %1$I.events_stream_id, %1$I.events_backfill_id, %1$I.events_redactions;
		$sql$, name, CASE WHEN force THEN 'CASCADE' ELSE '' END);
		BEGIN
			EXECUTE pg_catalog.format('DROP SCHEMA %I', name);
		EXCEPTION WHEN dependent_objects_still_exist THEN
			RAISE NOTICE 'schema "%" stays: it holds objects that are not the store''s', name;
		END;
	END
	$$;
COMMENT ON FUNCTION matrix.drop_store(text, boolean) IS
	'Drops a store; one that holds events only with force. Objects of the user''s own in its schema stay, and the schema with them. Raises 42704 when there is none, 2BP01 without force.';

CREATE FUNCTION matrix.register_event_type(store text, type text, json_schema jsonb) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		PERFORM matrix.check_event_schema(type, json_schema);
		EXECUTE pg_catalog.format(
			'INSERT INTO %I.event_types AS t (type, schema) VALUES ($1, $2)
			 ON CONFLICT ON CONSTRAINT event_types_pkey DO UPDATE SET schema = excluded.schema', store)
			USING type, json_schema;
		PERFORM matrix.forget_cached_types(pg_catalog.format('%I.events', store)::pg_catalog.regclass);
	END
	$$;
COMMENT ON FUNCTION matrix.register_event_type(text, text, jsonb) IS
	'From now on, events of this type in this store are held against a JSON Schema: of the whole event if its properties name content, else of the content. Raises 42704 for no such store, 22023 for a built-in type or a schema that is not supported.';

CREATE FUNCTION matrix.forget_event_type(store text, type text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		forgotten boolean;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE pg_catalog.format('DELETE FROM %I.event_types t WHERE t.type = $1', store) USING type;
		GET DIAGNOSTICS forgotten = ROW_COUNT;
		PERFORM matrix.forget_cached_types(pg_catalog.format('%I.events', store)::pg_catalog.regclass);
		RETURN forgotten;
	END
	$$;
COMMENT ON FUNCTION matrix.forget_event_type(text, text) IS
	'Undoes matrix.register_event_type; false when the type was not registered. Raises 42704 for no such store.';
