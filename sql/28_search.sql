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
	'Where to look, as a tsquery: the parts of the stream that hold the positions from low to high (null: anywhere); rooms and senders (null: any), a user who is mentioned (null: any or none), edits only. Behind matrix.search. Raises 22023 for more than 532676608 positions.';

-- Windows are of about 2^bits positions and end at multiples of that: the index
-- knows blocks of 2^10, 2^16 and 2^22, and twelve make the longest.  Null: all of the
-- stream, which takes no lexeme to say; so where little is to be expected.
CREATE FUNCTION matrix.next_window(bits integer, scanned bigint, given integer, wanted integer, span bigint) RETURNS integer
	LANGUAGE sql IMMUTABLE
	RETURN CASE WHEN greatest(given, 1)::numeric * span / scanned > greatest(2::bigint * (wanted - given), 500)
		THEN least(25, CASE WHEN given > 0 THEN bits + 3 ELSE bits + 6 END,
			-- What holds as much as is still wanted, if it is as dense.
			CASE WHEN given > 0 AND wanted > given
				THEN greatest(10, 10 + 3 * ceil((log(2, scanned::numeric * (wanted - given) / given) - 10) / 3)::int) END) END;
COMMENT ON FUNCTION matrix.next_window(integer, bigint, integer, integer, bigint) IS
	'How far to look next, as a power of two, after so many positions gave so many events of so many wanted: at most 8 times as far as before, after nothing 64 times; null, all of it, when not many more are to be expected in a stream of this span. Behind matrix.search.';

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
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE;
COMMENT ON FUNCTION matrix.search_configs(text) IS 'The text search configurations of a store. Raises 42704 for no such store.';

CREATE FUNCTION matrix.make_search_index(store text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		configs text[];
	BEGIN
		EXECUTE format('SELECT s.search_configs FROM %I.settings s', store) INTO configs;
		-- Each search reads the whole list of pending entries: 4 ms where it has PostgreSQL's 4 MB.
		-- With this one inserting is as fast, and without any it takes twice as long.
		EXECUTE format('CREATE INDEX events_search ON %I.events USING gin ((%s)) WITH (gin_pending_list_limit = 256) WHERE matrix.is_searched(type)',
			store, matrix.search_expression(configs));
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

-- The steps of a search: one kept plan each (src/pg/search.c), for which the index
-- serves by bitmap, rows are found by their keys, and nothing is worth compiling.
CREATE FUNCTION matrix.next_searched(store text, stream_id bigint, descending boolean) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = off;
COMMENT ON FUNCTION matrix.next_searched(text, bigint, boolean) IS
	'The position of the first event of a type that is searched, from this position on. Behind matrix.search.';

CREATE FUNCTION matrix.search_hits(store text, query tsquery, max integer) RETURNS TABLE (stream_id bigint, event_id text, edited text)
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE STRICT
	SET enable_seqscan = off SET enable_bitmapscan = on SET jit = off;
COMMENT ON FUNCTION matrix.search_hits(text, tsquery, integer) IS
	'Events that match, at most max; of an edit, what it edits. Behind matrix.search.';

CREATE FUNCTION matrix.search_window(store text, hits bigint[], ids text[], edited text[], waiting bigint[], waiting_ids text[],
		low bigint, high bigint, max integer, rooms text[], senders text[], query tsquery, ask boolean)
	RETURNS TABLE (event matrix.event, edit jsonb, before bigint[], before_ids text[])
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = on SET jit = off;
COMMENT ON FUNCTION matrix.search_window(text, bigint[], text[], text[], bigint[], text[], bigint, bigint, integer, text[], text[], tsquery, boolean) IS
	'Of what matrix.search_hits gave, and of edits that wait for their messages: the messages from low to high that match, with their last edits; and in a row without an event the edits that wait on. Behind matrix.search.';

CREATE FUNCTION matrix.mentions_window(store text, hits bigint[], low bigint, high bigint, max integer, descending boolean) RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE
	SET enable_seqscan = off SET enable_bitmapscan = off;
COMMENT ON FUNCTION matrix.mentions_window(text, bigint[], bigint, bigint, integer, boolean) IS
	'Of what matrix.search_hits gave, the events from low to high, at most max. Behind matrix.mentions.';

CREATE FUNCTION matrix.search(store text, query text, rooms text[] DEFAULT NULL, senders text[] DEFAULT NULL, before bigint DEFAULT NULL,
		max integer DEFAULT 50, ranked boolean DEFAULT false)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		configs regconfig[] := matrix.search_configs(store);
		words tsquery := matrix.search_query(configs, query);
		anywhere tsquery := words && matrix.search_scope(NULL, NULL, rooms, senders, NULL, false);
		first bigint := matrix.next_searched(store, -9223372036854775808, false);
		last bigint := matrix.next_searched(store, 9223372036854775807, true);
		scanned bigint := 0;
		low bigint;
		high bigint := last;
		bits int := 10;
		wanted int := CASE WHEN ranked THEN 1000 ELSE max END;
		given int := 0;
		-- First the edits above before are looked at: some are of messages below it.
		above boolean := before IS NOT NULL;
		-- Too many are: then the messages below are asked whether they have edits.
		ask boolean := false;
		found bigint[];
		ids text[];
		edited text[];
		-- Edits that match, of messages further back: the positions of the messages, the edits' ids.
		waiting bigint[] := '{}';
		waiting_ids text[] := '{}';
		one record;
		event matrix.event;
		best matrix.event[] := '{}';
	BEGIN
		IF max < 0 THEN
			RAISE EXCEPTION 'max must not be negative' USING ERRCODE = '2201W';
		END IF;
		-- Nothing is before the least position.
		IF words IS NULL OR numnode(words) = 0 OR before = -9223372036854775808 THEN
			RETURN;
		END IF;
		WHILE high IS NOT NULL LOOP
			IF above AND (ask OR high < before) THEN
				above := false;
				high := matrix.next_searched(store, least(high, before - 1), true);
				bits := 10;
				scanned := 0;
				CONTINUE;
			END IF;
			-- What says only what must not be there is not looked for anywhere.
			IF bits IS NULL AND (above OR querytree(anywhere) = 'T') THEN
				bits := 22;
			END IF;
			low := coalesce(high - (1::bigint << bits - 1) >> bits << bits, first);
			IF above THEN
				low := greatest(low, before);
			END IF;
			SELECT array_agg(h.stream_id), array_agg(h.event_id), array_agg(h.edited) INTO found, ids, edited
			FROM matrix.search_hits(store, CASE WHEN bits IS NULL THEN anywhere ELSE words && matrix.search_scope(low, high, rooms, senders, NULL, above) END, 4000) h;
			-- Not all of them were read: after a part of the stream without any, this one is full of them.
			IF cardinality(found) = 4000 AND bits IS DISTINCT FROM 10 THEN
				bits := greatest(coalesce(bits, 25) - 3, 10);
				CONTINUE;
			END IF;
			IF found IS NOT NULL OR ask OR waiting[1] IS NOT NULL THEN
				FOR one IN
					SELECT * FROM matrix.search_window(store, found, ids, edited, waiting, waiting_ids, low, high,
						CASE WHEN above THEN 0 ELSE wanted - given END, rooms, senders, words, ask)
				LOOP
					event := one.event;
					IF event.stream_id IS NULL THEN
						waiting := coalesce(one.before, '{}');
						waiting_ids := coalesce(one.before_ids, '{}');
						CONTINUE;
					END IF;
					IF one.edit IS NOT NULL THEN
						event.content := matrix.apply_edit(event.content, one.edit);
					END IF;
					given := given + 1;
					IF ranked THEN
						best := array_append(best, event);
					ELSE
						RETURN NEXT event;
					END IF;
				END LOOP;
				EXIT WHEN given >= wanted;
			END IF;
			ask := ask OR above AND cardinality(waiting) >= 500;
			scanned := scanned + high - low + 1;
			bits := matrix.next_window(bits, scanned, CASE WHEN above THEN cardinality(waiting) ELSE given END, CASE WHEN above THEN 500 ELSE wanted END, last - first + 1);
			high := matrix.next_searched(store, low - 1, true);
		END LOOP;
		IF ranked THEN
			RETURN QUERY SELECT b.* FROM unnest(best) b
				ORDER BY ts_rank(matrix.search_vector(configs, b.stream_id, b.room_id, b.sender, b.type, b.content), words) DESC, b.stream_id DESC
				LIMIT max;
		END IF;
	END
	$$;
COMMENT ON FUNCTION matrix.search(text, text, text[], text[], bigint, integer, boolean) IS
	'The events whose text matches a query, the newest first, at most max, below the stream position before; in these rooms and of these senders, null: any. A message is found by its last valid edit, and given as edited. ranked: of the newest 1000 those that match best. Raises 42704 for no such store.';

CREATE FUNCTION matrix.mentions(store text, user_id text, before bigint DEFAULT NULL, after bigint DEFAULT NULL, max integer DEFAULT 50)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		descending boolean := after IS NULL;
		first bigint := matrix.next_searched(store, -9223372036854775808, false);
		last bigint := matrix.next_searched(store, 9223372036854775807, true);
		span bigint := last - first + 1;
		at bigint;
		low bigint;
		high bigint;
		bits int := 10;
		scanned bigint := 0;
		given int := 0;
		found bigint[];
		more int;
	BEGIN
		IF max < 0 THEN
			RAISE EXCEPTION 'max must not be negative' USING ERRCODE = '2201W';
		END IF;
		-- Nobody is no user, and nothing is beyond the ends of all positions.
		IF user_id IS NULL OR before = -9223372036854775808 OR after = 9223372036854775807 THEN
			RETURN;
		END IF;
		first := greatest(first, after + 1);
		last := least(last, before - 1);
		at := matrix.next_searched(store, CASE WHEN descending THEN last ELSE first END, descending);
		WHILE at >= first AND at <= last LOOP
			IF descending THEN
				high := at;
				low := greatest(high - (1::bigint << bits - 1) >> bits << bits, first);
			ELSE
				low := at;
				high := least(((low + (1::bigint << bits - 1) >> bits) + 1 << bits) - 1, last);
			END IF;
			SELECT array_agg(h.stream_id) INTO found FROM matrix.search_hits(store,
				matrix.search_scope(CASE WHEN bits IS NOT NULL THEN low END, high, NULL, NULL, user_id, false), 4000) h;
			IF cardinality(found) = 4000 AND bits IS DISTINCT FROM 10 THEN
				bits := greatest(coalesce(bits, 25) - 3, 10);
				CONTINUE;
			END IF;
			IF found IS NOT NULL THEN
				RETURN QUERY SELECT * FROM matrix.mentions_window(store, found, low, high, max - given, descending);
				GET DIAGNOSTICS more = ROW_COUNT;
				given := given + more;
				EXIT WHEN given >= max;
			END IF;
			scanned := scanned + high - low + 1;
			bits := matrix.next_window(bits, scanned, given, max, span);
			at := matrix.next_searched(store, CASE WHEN descending THEN low - 1 ELSE high + 1 END, descending);
		END LOOP;
	END
	$$;
COMMENT ON FUNCTION matrix.mentions(text, text, bigint, bigint, integer) IS
	'The events that mention a user by m.mentions, or everybody (user_id @room), at most max: the newest first, below the stream position before; or, with after, the oldest first above that. Of an edit, whom it mentions newly. Raises 42704 for no such store.';
