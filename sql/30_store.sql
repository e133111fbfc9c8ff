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

CREATE FUNCTION matrix.forget_cached_types(events regclass) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.forget_cached_types(regclass) IS
	'Makes every backend read a store''s event types again. Behind matrix.register_event_type.';

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
				server_name text COLLATE "C"
			);
			COMMENT ON TABLE %1$I.settings IS 'The settings of this store: one row.';
			COMMENT ON COLUMN %1$I.settings.server_name IS 'The server name of the store''s own users, or null.';
			INSERT INTO %1$I.settings (server_name) VALUES (%2$L);

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
				violations jsonb NOT NULL
			);
			COMMENT ON TABLE %1$I.rejected IS 'Events that were refused while matrix_events.on_invalid was quarantine, and why.';
			COMMENT ON COLUMN %1$I.rejected.violations IS 'What matrix.validate says: an array of objects with path, code and message.';

			CREATE SEQUENCE %1$I.events_stream_id;
			COMMENT ON SEQUENCE %1$I.events_stream_id IS 'Gives stream positions. Its cache must stay 1.';
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
			CREATE TRIGGER a_matrix_event BEFORE INSERT OR UPDATE ON %1$I.events
				FOR EACH ROW EXECUTE FUNCTION matrix.events_before_row();
		$sql$, name, server_name);
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
			DROP TABLE %1$I.events, %1$I.rejected, %1$I.event_types, %1$I.settings %2$s;
			DROP SEQUENCE %1$I.events_stream_id;
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
		IF NOT matrix.is_store(store) THEN
			RAISE EXCEPTION 'store "%" does not exist', store USING ERRCODE = 'undefined_object';
		END IF;
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
		IF NOT matrix.is_store(store) THEN
			RAISE EXCEPTION 'store "%" does not exist', store USING ERRCODE = 'undefined_object';
		END IF;
		EXECUTE pg_catalog.format('DELETE FROM %I.event_types t WHERE t.type = $1', store) USING type;
		GET DIAGNOSTICS forgotten = ROW_COUNT;
		PERFORM matrix.forget_cached_types(pg_catalog.format('%I.events', store)::pg_catalog.regclass);
		RETURN forgotten;
	END
	$$;
COMMENT ON FUNCTION matrix.forget_event_type(text, text) IS
	'Undoes matrix.register_event_type; false when the type was not registered. Raises 42704 for no such store.';
