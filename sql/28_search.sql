-- Searching a store: its index, what is asked for, mentions.
--
-- The text of events is kept in no second place: the index events_search is over
-- a function of the one.  It knows beside words the room, the sender, who is
-- mentioned and which part of the stream an event is in (src/pg/search.h), so
-- that a search reads it from the newest part backwards and stops when it has
-- enough, whatever the size of the store.

CREATE FUNCTION matrix.is_searched(type text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION matrix.is_searched(text) IS 'Whether matrix.search finds events of this type: m.room.message, m.sticker, m.room.name, m.room.topic.';

CREATE FUNCTION matrix.searched_types() RETURNS text[]
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION matrix.searched_types() IS 'The types of events that matrix.search finds.';

CREATE FUNCTION matrix.search_vector(configs regconfig[], stream_id bigint, room_id text, sender text, type text, content jsonb) RETURNS tsvector
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 1000;
COMMENT ON FUNCTION matrix.search_vector(regconfig[], bigint, text, text, text, jsonb) IS
	'What an event is found by: the words of its text under each configuration (of a name with weight A, of a topic with B), its room, sender, part of the stream and whom it mentions. Null for a type that is not searched.';

CREATE FUNCTION matrix.search_query(configs regconfig[], query text) RETURNS tsquery
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 100;
COMMENT ON FUNCTION matrix.search_query(regconfig[], text) IS
	'What people type as a tsquery: words, "a phrase", -without, these OR those, begin*; under any of the configurations. Any text is good; one without words matches nothing.';

CREATE FUNCTION matrix.search_scope(low bigint, high bigint, rooms text[], senders text[], mentioned text, edits boolean) RETURNS tsquery
	AS 'MODULE_PATHNAME' LANGUAGE c IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION matrix.search_scope(bigint, bigint, text[], text[], text, boolean) IS
	'Where to look, as a tsquery: the parts of the stream that hold the positions from low to high; rooms and senders (null: any), a user who is mentioned (null: any or none), edits only. Behind matrix.search. Raises 22023 for more than 8388608 positions.';

-- Windows are aligned blocks of 2^bits positions, of which the index knows 2^10 and 2^16.
CREATE FUNCTION matrix.next_window(bits integer, scanned bigint, given integer, wanted integer) RETURNS integer
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT least(bits + 3, 22,
			-- What holds as much as is still wanted, if it is as dense.
			CASE WHEN given > 0 AND wanted > given THEN greatest(10, ceil(log(2, scanned::numeric * (wanted - given) / given)))::int END)
	$$;
COMMENT ON FUNCTION matrix.next_window(integer, bigint, integer, integer) IS
	'How far to look next, as a power of two, after so many positions gave so many events of so many wanted: at most 8 times as far as before. Behind matrix.search.';

-- The expression of the index.  A configuration that stands in it cannot be dropped.
CREATE FUNCTION matrix.search_expression(configs text[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format('matrix.search_vector(ARRAY[%s]::regconfig[], stream_id, room_id, sender, type, content)',
			string_agg(format('%L::regconfig', c.config), ', ' ORDER BY c.place))
		FROM unnest(configs) WITH ORDINALITY c(config, place)
	$$;
COMMENT ON FUNCTION matrix.search_expression(text[]) IS 'The expression that a store''s index for searching is made of. Behind matrix.search.';

CREATE FUNCTION matrix.search_configs(store text) RETURNS text[]
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		configs text[];
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('SELECT s.search_configs FROM %I.settings s', store) INTO configs;
		RETURN configs;
	END
	$$;
COMMENT ON FUNCTION matrix.search_configs(text) IS 'The text search configurations of a store. Raises 42704 for no such store.';

CREATE FUNCTION matrix.make_search_index(store text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		-- Each search reads the whole list of pending entries: 4 ms where it has PostgreSQL's 4 MB.
		-- With this one inserting is as fast, and without any it takes twice as long.
		EXECUTE format('CREATE INDEX events_search ON %I.events USING gin ((%s)) WITH (gin_pending_list_limit = 256) WHERE matrix.is_searched(type)',
			store, matrix.search_expression(matrix.search_configs(store)));
		EXECUTE format('ALTER INDEX %I.events_search ALTER COLUMN 1 SET STATISTICS 0', store);
	END
	$$;
COMMENT ON FUNCTION matrix.make_search_index(text) IS 'Makes a store''s index for searching. Behind matrix.create_store and matrix.set_search_configs.';

CREATE FUNCTION matrix.search_configs_after_update() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		EXECUTE format('DROP INDEX IF EXISTS %I.events_search', TG_TABLE_SCHEMA);
		PERFORM matrix.make_search_index(TG_TABLE_SCHEMA);
		RETURN NULL;
	END
	$$;
COMMENT ON FUNCTION matrix.search_configs_after_update() IS 'Trigger of every store''s settings table: makes the index for searching anew when search_configs changes. Set up by matrix.create_store.';

CREATE FUNCTION matrix.set_search_configs(store text, configs regconfig[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('UPDATE %I.settings s SET search_configs = $1', store) USING configs::text[];
	END
	$$;
COMMENT ON FUNCTION matrix.set_search_configs(text, regconfig[]) IS
	'Under which text search configurations a store is searched: under any of them. Makes the index anew, writers wait. {}: no words are found, mentions are. Raises 42704 for no such store, 42501 for one of another''s.';

CREATE FUNCTION matrix.search(store text, query text, rooms text[] DEFAULT NULL, senders text[] DEFAULT NULL, before bigint DEFAULT NULL,
		max integer DEFAULT 50, ranked boolean DEFAULT false)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	-- The index by bitmap, rows by their keys; nothing is worth compiling.
	SET enable_seqscan = off SET enable_bitmapscan = on SET jit = off
	AS $$
	DECLARE
		configs text[] := matrix.search_configs(store);
		words tsquery := matrix.search_query(configs::regconfig[], query);
		statement text;
		first bigint;
		scanned bigint := 0;
		low bigint;
		high bigint;
		bits int := 10;
		too_far boolean;
		wanted int := CASE WHEN ranked THEN 1000 ELSE max END;
		given int := 0;
		-- First the edits above before are looked at: some are of messages below it.
		above boolean := before IS NOT NULL;
		-- Too many are: then the messages below are asked whether they have edits.
		ask boolean := false;
		-- Edits that match, of messages further back: the positions of the messages, the edits' ids.
		pending_at bigint[] := '{}';
		pending text[] := '{}';
		one record;
		event matrix.event;
		best matrix.event[] := '{}';
	BEGIN
		EXECUTE format('SELECT min(e.stream_id), max(e.stream_id) FROM %I.events e', store) INTO first, high;
		IF words IS NULL OR numnode(words) = 0 OR high IS NULL THEN
			RETURN;
		END IF;
		statement := format($sql$
			WITH hit AS MATERIALIZED (
				SELECT stream_id, event_id, CASE WHEN matrix.rel_type(content) = 'm.replace' THEN matrix.relates_to(content) END AS message
				FROM %1$I.events WHERE %2$s @@ $1 AND matrix.is_searched(type) LIMIT 4000),
			candidate AS MATERIALIZED (
				SELECT h.stream_id, h.event_id, false AS is_edit FROM hit h WHERE h.message IS NULL
				UNION ALL
				SELECT o.stream_id, h.event_id, true FROM hit h, LATERAL (SELECT e.stream_id FROM %1$I.events e WHERE e.event_id = h.message LIMIT 1) o
				UNION ALL
				SELECT p.*, true FROM unnest($2, $3) p
				UNION ALL
				SELECT o.stream_id, NULL, false
				FROM (SELECT e.stream_id, e.event_id FROM %1$I.events e WHERE $11 AND e.stream_id >= $4 AND e.stream_id <= $5 AND matrix.is_searched(e.type)) o,
					LATERAL (SELECT FROM %1$I.events e
						WHERE matrix.relates_to(e.content) COLLATE "C" = o.event_id AND matrix.rel_type(e.content) COLLATE "C" = 'm.replace' LIMIT 1) e)
			SELECT NULL::matrix.event AS event, NULL::jsonb AS edit, (SELECT count(*) FROM hit) AS hits,
				array_agg(c.stream_id) AS pending_at, array_agg(c.event_id) AS pending FROM candidate c WHERE c.is_edit AND c.stream_id < $4
			UNION ALL
			(SELECT o.o, edit.content, NULL, NULL, NULL
			FROM (SELECT c.stream_id, array_agg(c.event_id) AS hits FROM candidate c
					WHERE c.stream_id >= $4 AND c.stream_id <= $5 GROUP BY c.stream_id ORDER BY c.stream_id DESC) c
				CROSS JOIN LATERAL (SELECT e::matrix.event AS o FROM %1$I.events e WHERE e.stream_id = c.stream_id LIMIT 1) o
				LEFT JOIN LATERAL (SELECT e.* FROM (SELECT (o.o).*) o, LATERAL (%3$s) e) edit ON true
			WHERE (o.o).outlier IS NOT TRUE AND (o.o).rejected IS NOT TRUE AND (o.o).soft_failed IS NOT TRUE
				AND matrix.rel_type((o.o).content) IS DISTINCT FROM 'm.replace'
				AND ((o.o).room_id = ANY ($7) OR $7 IS NULL) AND ((o.o).sender = ANY ($8) OR $8 IS NULL)
				-- What counts is the last edit, or else the message: found by the index, or looked at now.
				AND (coalesce(coalesce(edit.event_id, (o.o).event_id) = ANY (c.hits), false)
					OR CASE WHEN edit.event_id IS NULL
						THEN matrix.search_vector($9, (o.o).stream_id, (o.o).room_id, (o.o).sender, (o.o).type, (o.o).content)
						ELSE matrix.search_vector($9, edit.stream_id, edit.room_id, edit.sender, edit.type, edit.content) END @@ $10)
			ORDER BY c.stream_id DESC LIMIT $6)
		$sql$, store, matrix.search_expression(configs), matrix.edit_query(store));
		LOOP
			-- Over what is not searched; the order by type leaves one index only.
			EXECUTE format($sql$
				SELECT max(e.stream_id) FROM unnest($1) t, LATERAL (
					SELECT e.stream_id FROM %I.events e WHERE e.type >= t AND e.type <= t AND e.stream_id <= $2
					ORDER BY e.type DESC, e.stream_id DESC LIMIT 1) e
			$sql$, store) INTO high USING matrix.searched_types(), high;
			EXIT WHEN high IS NULL;
			IF above AND (ask OR high < before) THEN
				above := false;
				high := least(high, before - 1);
				bits := 10;
				scanned := 0;
				CONTINUE;
			END IF;
			low := greatest(high >> bits << bits, CASE WHEN above THEN before ELSE first END);
			FOR one IN EXECUTE statement
				USING words && matrix.search_scope(low, high, rooms, senders, NULL, above), pending_at, pending,
					CASE WHEN above THEN before ELSE low END, high, CASE WHEN above THEN 0 ELSE wanted - given END,
					rooms, senders, configs::regconfig[], words, ask
			LOOP
				IF one.hits IS NOT NULL THEN
					-- Not all of them were read: after a part of the stream without any, this one is full of them.
					too_far := one.hits = 4000 AND bits > 10;
					EXIT WHEN too_far;
					pending_at := coalesce(one.pending_at, '{}');
					pending := coalesce(one.pending, '{}');
					CONTINUE;
				END IF;
				event := one.event;
				event.content := matrix.apply_edit(event.content, one.edit);
				given := given + 1;
				IF ranked THEN
					best := array_append(best, event);
				ELSE
					RETURN NEXT event;
				END IF;
			END LOOP;
			IF too_far THEN
				bits := greatest(bits - 3, 10);
				CONTINUE;
			END IF;
			EXIT WHEN given >= wanted;
			ask := ask OR above AND cardinality(pending) >= 500;
			scanned := scanned + high - low + 1;
			bits := matrix.next_window(bits, scanned, CASE WHEN above THEN cardinality(pending) ELSE given END, CASE WHEN above THEN 500 ELSE wanted END);
			high := low - 1;
		END LOOP;
		RETURN QUERY SELECT b.* FROM unnest(best) b
			ORDER BY ts_rank(matrix.search_vector(configs::regconfig[], b.stream_id, b.room_id, b.sender, b.type, b.content), words) DESC, b.stream_id DESC
			LIMIT max;
	END
	$$;
COMMENT ON FUNCTION matrix.search(text, text, text[], text[], bigint, integer, boolean) IS
	'The events whose text matches a query, the newest first, at most max, below the stream position before; in these rooms and of these senders, null: any. A message is found by its last valid edit, and given as edited. ranked: of the newest 1000 those that match best. Raises 42704 for no such store.';

CREATE FUNCTION matrix.mentions(store text, user_id text, before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off SET enable_bitmapscan = on SET jit = off
	AS $$
	DECLARE
		statement text := format($sql$
			WITH hit AS MATERIALIZED (SELECT * FROM %I.events WHERE %s @@ $1 AND matrix.is_searched(type))
			SELECT h.* FROM hit h
			WHERE h.stream_id >= $2 AND h.stream_id <= $3 AND h.outlier IS NOT TRUE AND h.rejected IS NOT TRUE AND h.soft_failed IS NOT TRUE
			ORDER BY h.stream_id %s LIMIT $4
		$sql$, store, matrix.search_expression(matrix.search_configs(store)), CASE WHEN after IS NULL THEN 'DESC' ELSE 'ASC' END);
		first bigint;
		last bigint;
		low bigint;
		high bigint;
		bits int := 10;
		scanned bigint := 0;
		given int := 0;
		more int;
	BEGIN
		EXECUTE format('SELECT min(e.stream_id), max(e.stream_id) FROM %I.events e', store) INTO first, last;
		first := CASE WHEN first IS NOT NULL THEN greatest(first, after + 1) END;
		last := CASE WHEN last IS NOT NULL THEN least(last, before - 1) END;
		WHILE first <= last LOOP
			IF after IS NULL THEN
				high := last;
				low := greatest(high >> bits << bits, first);
				last := low - 1;
			ELSE
				low := first;
				high := least(((low >> bits) + 1 << bits) - 1, last);
				first := high + 1;
			END IF;
			RETURN QUERY EXECUTE statement USING matrix.search_scope(low, high, NULL, NULL, user_id, false), low, high, max - given;
			GET DIAGNOSTICS more = ROW_COUNT;
			given := given + more;
			EXIT WHEN given >= max;
			scanned := scanned + high - low + 1;
			bits := matrix.next_window(bits, scanned, given, max);
		END LOOP;
	END
	$$;
COMMENT ON FUNCTION matrix.mentions(text, text, bigint, bigint, integer) IS
	'The events that mention a user by m.mentions, or everybody (user_id @room), at most max: the newest first, below the stream position before; or, with after, the oldest first above that. Of an edit, whom it mentions newly. Raises 42704 for no such store.';
