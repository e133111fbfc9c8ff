-- Reading the stream: its position, what is new, durable workers.

CREATE FUNCTION matrix.stream_position(events regclass, writes boolean) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.stream_position(regclass, boolean) IS
	'Behind matrix.position and matrix.worker_fetch, which writes down up to where a restored stream is settled. Raises 42501 without SELECT on the table.';

CREATE FUNCTION matrix.position(store text) RETURNS bigint
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		RETURN matrix.stream_position(format('%I.events', store)::regclass, false);
	END
	$$;
COMMENT ON FUNCTION matrix.position(text) IS
	'The last stream position that no open transaction can still precede: everything up to it is there to be read. 0: nothing is. Raises 42704 for no such store, 42501 without SELECT on its events.';

-- The part of a WHERE clause that leaves what a reader wants: $3 types, $4 rooms,
-- $5 senders, $6 its part of $7.
CREATE FUNCTION matrix.wanted(types text[], rooms text[], senders text[], parts integer) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT CASE WHEN types IS NULL THEN '' ELSE ' AND e.type = ANY ($3)' END
			|| CASE WHEN rooms IS NULL THEN '' ELSE ' AND e.room_id = ANY ($4)' END
			|| CASE WHEN senders IS NULL THEN '' ELSE ' AND e.sender = ANY ($5)' END
			-- The hash of text under C is that of hash partitioning, which has to stay what it is.
			|| CASE WHEN parts = 1 THEN '' ELSE ' AND (hashtextextended(coalesce(e.room_id, e.sender), 0) & 9223372036854775807) % $7 = $6' END
	$$;
COMMENT ON FUNCTION matrix.wanted(text[], text[], text[], integer) IS 'The condition on events that a reader wants. Behind matrix.changes and matrix.worker_fetch.';

CREATE FUNCTION matrix.changes(store text, after bigint, max integer DEFAULT 1000, types text[] DEFAULT NULL, rooms text[] DEFAULT NULL, senders text[] DEFAULT NULL)
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	-- Events come out of an index in order, even of a table that was never analyzed.
	SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
	BEGIN
		PERFORM matrix.check_store(store);
		RETURN QUERY EXECUTE format('SELECT e.* FROM %I.events e WHERE e.stream_id > $1 AND e.stream_id <= $2%s ORDER BY e.stream_id LIMIT $8',
			store, matrix.wanted(types, rooms, senders, 1))
			USING greatest(after, 0), matrix.position(store), types, rooms, senders, 0, 1, max;
	END
	$$;
COMMENT ON FUNCTION matrix.changes(text, bigint, integer, text[], text[], text[]) IS
	'The events after a position, in the order of the stream, at most max of them, and none beyond matrix.position: whoever goes on after the last one skips and repeats nothing. History is not among them. Only what has one of these types, rooms and senders; null: any. Raises 42704 for no such store, 42501 without SELECT on its events.';

-- ---- workers ----

CREATE FUNCTION matrix.worker_open(store text, worker text, after bigint DEFAULT NULL, types text[] DEFAULT NULL, rooms text[] DEFAULT NULL,
		senders text[] DEFAULT NULL, parts integer DEFAULT NULL, lease_ms integer DEFAULT NULL, max_failures integer DEFAULT NULL)
	RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		start bigint := CASE WHEN after IS NOT NULL THEN greatest(after, 0) END;
		split boolean;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format($sql$
			INSERT INTO %I.worker_state AS s (worker, types, rooms, senders, parts, lease_ms, max_failures)
			VALUES ($1, nullif($2, '{}'), nullif($3, '{}'), nullif($4, '{}'), coalesce($5, 1), coalesce($6, 30000), nullif($7, 0))
			ON CONFLICT ON CONSTRAINT worker_state_pkey DO UPDATE SET
				types = CASE WHEN $2 IS NULL THEN s.types ELSE excluded.types END,
				rooms = CASE WHEN $3 IS NULL THEN s.rooms ELSE excluded.rooms END,
				senders = CASE WHEN $4 IS NULL THEN s.senders ELSE excluded.senders END,
				parts = coalesce($5, s.parts), lease_ms = coalesce($6, s.lease_ms),
				max_failures = CASE WHEN $7 IS NULL THEN s.max_failures ELSE excluded.max_failures END
		$sql$, store) USING worker, types, rooms, senders, parts, lease_ms, max_failures;
		EXECUTE format('SELECT count(*) <> (SELECT s.parts FROM %1$I.worker_state s WHERE s.worker = $1), coalesce($2, min(p.position), 0)
			FROM (SELECT o.position FROM %1$I.worker_parts o WHERE o.worker = $1 FOR UPDATE) p', store) INTO split, start USING worker, start;
		IF split THEN
			-- From where the slowest part was: a room may be in another one now.
			EXECUTE format('DELETE FROM %I.worker_parts p WHERE p.worker = $1', store) USING worker;
			EXECUTE format('INSERT INTO %1$I.worker_parts (worker, part, position, fetched) SELECT s.worker, n, $2, $2
				FROM %1$I.worker_state s, generate_series(0, s.parts - 1) n WHERE s.worker = $1', store) USING worker, start;
		ELSIF after IS NOT NULL THEN
			EXECUTE format('UPDATE %I.worker_parts p SET position = $2, fetched = $2, process = NULL, lease_until = NULL, deliveries = 0,
				failing = NULL, failures = 0, error = NULL WHERE p.worker = $1', store) USING worker, start;
		END IF;
		RETURN start;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_open(text, text, bigint, text[], text[], text[], integer, integer, integer) IS
	'Makes a durable worker, or changes one: after which position it goes on (null: where it is, or from the beginning), what it wants (null: as it was; {}: anything), into how many parts its rooms are divided among processes (1), for how many ms a process that says nothing keeps its part (30000), after how many failures an event becomes a dead letter (null: as it was; 0: never, the default). Returns the position that all of it has. Raises 42704 for no such store, 23514 for a worker without a name, parts or a lease out of range.';

CREATE FUNCTION matrix.worker_close(store text, worker text) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		closed boolean;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('DELETE FROM %I.worker_state s WHERE s.worker = $1', store) USING worker;
		GET DIAGNOSTICS closed = ROW_COUNT;
		RETURN closed;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_close(text, text) IS
	'Forgets a worker, its position and its dead letters; false when there is none. Raises 42704 for no such store.';

CREATE FUNCTION matrix.check_worker(store text, worker text) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		known boolean;
	BEGIN
		PERFORM matrix.check_store(store);
		EXECUTE format('SELECT EXISTS (SELECT FROM %I.worker_state s WHERE s.worker = $1)', store) INTO known USING worker;
		IF NOT known THEN
			RAISE EXCEPTION 'worker "%" does not exist', worker USING ERRCODE = 'undefined_object',
				HINT = 'matrix.worker_open makes one.';
		END IF;
	END
	$$;
COMMENT ON FUNCTION matrix.check_worker(text, text) IS 'Raises 42704 unless the store has a worker of this name.';

CREATE FUNCTION matrix.worker_fetch(store text, worker text, max integer DEFAULT 100, process text DEFAULT '')
	RETURNS SETOF matrix.event
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	-- Events come out of an index in order, even of a table that was never analyzed.
	SET enable_seqscan = off SET enable_bitmapscan = off
	AS $$
	DECLARE
		wants record;
		own record;
		filter text;
		settled bigint;
		tried int[] := '{}';
		ids bigint[];
		last bigint;
		again int;
		amount int;
	BEGIN
		-- A worker that reads little at a time comes often: each statement here counts.
		IF to_regclass(format('%I.worker_state', store)) IS NOT NULL THEN
			EXECUTE format('SELECT s.* FROM %I.worker_state s WHERE s.worker = $1', store) INTO wants USING worker;
		END IF;
		IF wants IS NULL OR wants.worker IS NULL THEN
			PERFORM matrix.check_worker(store, worker);
		END IF;
		filter := matrix.wanted(wants.types, wants.rooms, wants.senders, wants.parts);
		settled := matrix.stream_position(format('%I.events', store)::regclass, true);
		LOOP
			-- The part whose events this process has in hand, else the one that is furthest behind and nobody's.
			EXECUTE format($sql$
				SELECT p.*, EXISTS (SELECT FROM %1$I.dead_letters d WHERE d.worker = $1 AND d.redeliver) AS letters FROM %1$I.worker_parts p
				WHERE p.worker = $1 AND p.part <> ALL ($2) AND (p.process IS NULL OR p.process = $3 OR p.lease_until < clock_timestamp()
					-- Or its process has nothing in hand.
					OR p.fetched <= p.position AND NOT EXISTS (SELECT FROM %1$I.dead_letters d WHERE d.worker = $1 AND d.delivered))
				ORDER BY p.process IS NOT NULL AND p.process = $3 AND p.fetched > p.position DESC, p.position, p.part
				LIMIT 1 FOR UPDATE SKIP LOCKED
			$sql$, store) INTO own USING worker, tried, process;
			IF own.part IS NULL THEN
				RETURN;
			END IF;
			tried := tried || own.part;
			ids := NULL;
			IF own.letters THEN
				EXECUTE format('SELECT array_agg(d.stream_id) FROM (SELECT e.stream_id FROM %1$I.dead_letters l JOIN %1$I.events e ON e.stream_id = l.stream_id
					WHERE l.worker = $1 AND l.redeliver%2$s ORDER BY e.stream_id LIMIT $2) d', store, filter)
					INTO ids USING worker, max, wants.types, wants.rooms, wants.senders, own.part, wants.parts;
			END IF;
			IF ids IS NOT NULL THEN
				last := own.fetched;
				again := own.deliveries;
			ELSE
				again := CASE WHEN own.fetched > own.position THEN own.deliveries + 1 ELSE 1 END;
				amount := max;
				-- Given out again and again and never acknowledged: the first of them by itself, and then it is a dead letter.
				IF again > wants.max_failures THEN
					amount := 1;
				END IF;
				EXECUTE format('SELECT max(b.stream_id) FROM (SELECT e.stream_id FROM %I.events e WHERE e.stream_id > $1 AND e.stream_id <= $2%s
					ORDER BY e.stream_id LIMIT $8) b', store, filter)
					INTO last USING own.position, settled, wants.types, wants.rooms, wants.senders, own.part, wants.parts, amount;
				IF again > 2 * wants.max_failures AND last IS NOT NULL THEN
					PERFORM matrix.bury(store, worker, last, again - 1, 'never acknowledged');
					EXECUTE format('UPDATE %I.worker_parts p SET position = $3, fetched = $3, deliveries = 0 WHERE p.worker = $1 AND p.part = $2', store)
						USING worker, own.part, last;
					tried := '{}';
					CONTINUE;
				END IF;
			END IF;
			IF last IS NULL AND ids IS NULL THEN
				-- Nothing that it wants: further on, and free for others. Seen now and then, so that who polls writes little.
				EXECUTE format($sql$
					UPDATE %I.worker_parts p SET position = greatest(p.position, $3), fetched = greatest(p.position, $3), deliveries = 0,
						process = NULL, lease_until = NULL, seen = clock_timestamp()
					WHERE p.worker = $1 AND p.part = $2
						AND (p.position < $3 OR p.process IS NOT NULL OR p.seen IS NULL OR p.seen < clock_timestamp() - interval '10 s')
				$sql$, store) USING worker, own.part, settled;
				CONTINUE;
			END IF;
			-- A process has one part at a time; one that is just being taken from it is not waited for.
			IF wants.parts > 1 THEN
				EXECUTE format($sql$
					UPDATE %1$I.worker_parts p SET process = NULL, lease_until = NULL
					FROM (SELECT o.part FROM %1$I.worker_parts o WHERE o.worker = $1 AND o.process = $3 AND o.part <> $2 FOR UPDATE SKIP LOCKED) free
					WHERE p.worker = $1 AND p.part = free.part
				$sql$, store) USING worker, own.part, process;
			END IF;
			EXECUTE format($sql$
				UPDATE %1$I.worker_parts p SET process = $3, lease_until = clock_timestamp() + $4 * interval '1 ms', seen = clock_timestamp(),
					fetched = $5, deliveries = $6
				WHERE p.worker = $1 AND p.part = $2
					AND NOT EXISTS (SELECT FROM %1$I.worker_parts o WHERE o.worker = $1 AND o.process = $3 AND o.part <> $2)
			$sql$, store) USING worker, own.part, process, wants.lease_ms, last, again;
			GET DIAGNOSTICS amount = ROW_COUNT;
			IF amount = 0 THEN
				RETURN;
			END IF;
			IF ids IS NOT NULL THEN
				EXECUTE format('UPDATE %I.dead_letters d SET delivered = true WHERE d.worker = $1 AND d.stream_id = ANY ($2)', store) USING worker, ids;
				RETURN QUERY EXECUTE format('SELECT e.* FROM %I.events e WHERE e.stream_id = ANY ($1) ORDER BY e.stream_id', store) USING ids;
			ELSE
				RETURN QUERY EXECUTE format('SELECT e.* FROM %I.events e WHERE e.stream_id > $1 AND e.stream_id <= $2%s ORDER BY e.stream_id', store, filter)
					USING own.position, last, wants.types, wants.rooms, wants.senders, own.part, wants.parts;
			END IF;
			RETURN;
		END LOOP;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_fetch(text, text, integer, text) IS
	'The next events of a worker, in the order of the stream: at most max of them, none beyond matrix.position, and the same again until matrix.worker_ack. Of several processes of one worker each has a part of the rooms to itself at a time; one that says nothing for lease_ms loses it. Raises 42704 for no such store or worker, 42501 without the privileges of a worker.';

CREATE FUNCTION matrix.bury(store text, worker text, stream_id bigint, failures integer, error text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	BEGIN
		EXECUTE format($sql$
			INSERT INTO %1$I.dead_letters AS d (worker, stream_id, event_id, failures, error)
			-- Of a redacted event nothing is said: it might repeat what stood there.
			SELECT $1, $2, e.event_id, $3, CASE WHEN e.redacted_by IS NULL THEN $4 END
			FROM (SELECT) nothing LEFT JOIN %1$I.events e ON e.stream_id = $2
			ON CONFLICT ON CONSTRAINT dead_letters_pkey DO UPDATE SET failures = d.failures + excluded.failures, error = excluded.error,
				failed = excluded.failed, redeliver = false, delivered = false
		$sql$, store) USING worker, stream_id, failures, error;
	END
	$$;
COMMENT ON FUNCTION matrix.bury(text, text, bigint, integer, text) IS 'Puts an event among a worker''s dead letters. Behind matrix.worker_fail.';

-- The part that process $2 of worker $1 has.
CREATE FUNCTION matrix.held_part_query(store text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT format($sql$
			SELECT p.*, s.lease_ms, s.parts, s.max_failures, EXISTS (SELECT FROM %1$I.dead_letters d WHERE d.worker = $1 AND d.delivered) AS letters
			FROM %1$I.worker_parts p JOIN %1$I.worker_state s ON s.worker = p.worker WHERE p.worker = $1 AND p.process = $2 FOR UPDATE OF p
		$sql$, store)
	$$;
COMMENT ON FUNCTION matrix.held_part_query(text) IS 'The query for the part that a process of a worker has, and locks it. Behind matrix.worker_ack and matrix.worker_fail.';

CREATE FUNCTION matrix.worker_ack(store text, worker text, stream_id bigint, process text DEFAULT '') RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		own record;
	BEGIN
		IF to_regclass(format('%I.worker_state', store)) IS NULL THEN
			PERFORM matrix.check_store(store);
		END IF;
		EXECUTE matrix.held_part_query(store) INTO own USING worker, process;
		IF own.part IS NULL THEN
			PERFORM matrix.check_worker(store, worker);
			RETURN false;
		END IF;
		IF stream_id > greatest(own.fetched, own.position) THEN
			RAISE EXCEPTION 'position % was not fetched', stream_id USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('Worker "%s" has fetched up to %s.', worker, own.fetched);
		END IF;
		EXECUTE format($sql$
			UPDATE %I.worker_parts p SET position = greatest(p.position, $3), deliveries = CASE WHEN $3 > p.position THEN 0 ELSE p.deliveries END,
				failing = CASE WHEN p.failing > $3 THEN p.failing END, failures = CASE WHEN p.failing > $3 THEN p.failures ELSE 0 END,
				error = CASE WHEN p.failing > $3 THEN p.error END,
				lease_until = clock_timestamp() + $4 * interval '1 ms', seen = clock_timestamp()
			WHERE p.worker = $1 AND p.part = $2
		$sql$, store) USING worker, own.part, stream_id, own.lease_ms;
		IF own.letters THEN
			EXECUTE format($sql$
				DELETE FROM %1$I.dead_letters d USING %1$I.events e
				WHERE d.worker = $1 AND d.redeliver AND d.delivered AND d.stream_id <= $2 AND e.stream_id = d.stream_id%2$s
			$sql$, store, matrix.wanted(NULL, NULL, NULL, own.parts)) USING worker, stream_id, 0, 0, 0, own.part, own.parts;
		END IF;
		RETURN true;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_ack(text, text, bigint, text) IS
	'This worker is done with everything that it fetched up to a position. False: the lease went to another process, and so do the events. Raises 42704 for no such store or worker, 22023 for a position that was not fetched.';

CREATE FUNCTION matrix.worker_fail(store text, worker text, stream_id bigint, error text, process text DEFAULT '') RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		own record;
		failed int;
	BEGIN
		PERFORM matrix.check_worker(store, worker);
		EXECUTE matrix.held_part_query(store) INTO own USING worker, process;
		IF own.part IS NULL THEN
			RETURN false;
		END IF;
		IF stream_id <= own.position THEN
			PERFORM matrix.bury(store, worker, stream_id, 1, error);
			RETURN true;
		END IF;
		-- What came before it is done.
		PERFORM matrix.worker_ack(store, worker, stream_id - 1, process);
		failed := CASE WHEN own.failing = stream_id THEN own.failures ELSE 0 END + 1;
		IF failed >= own.max_failures THEN
			PERFORM matrix.bury(store, worker, stream_id, failed, error);
			RETURN matrix.worker_ack(store, worker, stream_id, process);
		END IF;
		EXECUTE format('UPDATE %1$I.worker_parts p SET failing = $3, failures = $4,
			error = CASE WHEN NOT EXISTS (SELECT FROM %1$I.events e WHERE e.stream_id = $3 AND e.redacted_by IS NOT NULL) THEN $5 END
			WHERE p.worker = $1 AND p.part = $2', store)
			USING worker, own.part, stream_id, failed, error;
		RETURN false;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_fail(text, text, bigint, text, text) IS
	'This worker failed at an event, and is done with those before it. True: that was once too often, the event is a dead letter now and the worker goes on after it; false: it will get it again. Raises 42704 for no such store or worker, 22023 for a position that was not fetched.';

CREATE FUNCTION matrix.worker_redeliver(store text, worker text, stream_id bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		marked bigint;
	BEGIN
		PERFORM matrix.check_worker(store, worker);
		EXECUTE format('UPDATE %I.dead_letters d SET redeliver = true, delivered = false WHERE d.worker = $1 AND ($2 IS NULL OR d.stream_id = $2)', store)
			USING worker, stream_id;
		GET DIAGNOSTICS marked = ROW_COUNT;
		RETURN marked;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_redeliver(text, text, bigint) IS
	'The worker gets its dead letters, or that of one position, with its next fetches; acknowledged, they are gone. How many. Raises 42704 for no such store or worker.';

CREATE FUNCTION matrix.worker_lag(store text, worker text DEFAULT NULL)
	RETURNS TABLE (name text, "position" bigint, settled bigint, last bigint, lag bigint,
		held_by_pid integer, held_by_prepared text, held_since timestamptz, held_query text)
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		oldest xid := pg_snapshot_xmin(pg_current_snapshot())::xid;
	BEGIN
		PERFORM matrix.check_store(store);
		settled := matrix.position(store);
		EXECUTE format('SELECT coalesce(max(e.stream_id), 0) FROM %I.events e WHERE e.stream_id > 0', store) INTO last;
		RETURN QUERY EXECUTE format($sql$
			SELECT w.worker, w.position, $2, $3, greatest(0, $3 - w.position), h.pid, h.prepared, h.since, h.query
			FROM %I.workers w LEFT JOIN (
				SELECT a.pid, NULL AS prepared, a.xact_start AS since, a.query FROM pg_stat_activity a WHERE a.backend_xid = $4
				UNION ALL
				SELECT NULL, p.gid, p.prepared, NULL FROM pg_prepared_xacts p WHERE p.transaction = $4) h ON $2 < $3
			WHERE $1 IS NULL OR w.worker = $1 ORDER BY 1
		$sql$, store) USING worker, settled, last, oldest;
	END
	$$;
COMMENT ON FUNCTION matrix.worker_lag(text, text) IS
	'How far each worker, or this one, is behind the last event, and while the stream is held back, by whom: the oldest transaction that writes, its pid or the name it was prepared under, since when, its query as far as the caller may see it. Raises 42704 for no such store.';
