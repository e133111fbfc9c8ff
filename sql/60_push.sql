-- What is pushed to those who listen.

CREATE FUNCTION matrix.push_calls(events regclass, entries text[], last bigint) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE c STRICT;
COMMENT ON FUNCTION matrix.push_calls(regclass, text[], bigint) IS
	'Pushes entries on calls, as JSON objects. Behind matrix.call_tick. Raises 42501 unless the caller may update call_state.';

CREATE FUNCTION matrix.relay(store text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	AS $$
	DECLARE
		queued record;
		kind text;
		entries text;
		last bigint;
		more boolean;
		relayed bigint := 0;
	BEGIN
		PERFORM matrix.check_store(store);
		-- One relay at a time, so that each channel keeps its order.
		IF NOT pg_try_advisory_xact_lock(format('%I.push_queue', store)::regclass::oid::int, 4) THEN
			RETURN 0;
		END IF;
		FOR queued IN EXECUTE format($sql$
			WITH taken AS (
				DELETE FROM %1$I.push_queue q
				WHERE q.queue_id IN (SELECT o.queue_id FROM %1$I.push_queue o ORDER BY o.queue_id LIMIT 1000)
				RETURNING q.*)
			SELECT t.channel, t.events, t.last, t.more, t.queue_id FROM taken t
			-- The end.
			UNION ALL SELECT NULL, NULL, NULL, NULL, NULL ORDER BY channel, queue_id
		$sql$, store)
		LOOP
			-- {"store":S,"events":[E,E],"last":N,"more":false} within 7999 bytes
			IF kind = queued.channel AND NOT more AND NOT queued.more AND octet_length(entries) + octet_length(queued.events)
				+ octet_length(to_json(store)::text) + 71 <= 7999
			THEN
				entries := entries || ',' || queued.events;
				last := greatest(last, queued.last);
			ELSE
				IF kind IS NOT NULL THEN
					PERFORM pg_notify(store || '_' || kind,
						format('{"store":%s,"events":[%s],"last":%s,"more":%s}', to_json(store), entries, last, to_json(more)));
				END IF;
				kind := queued.channel;
				entries := queued.events;
				last := queued.last;
				more := queued.more;
			END IF;
			relayed := relayed + 1;
		END LOOP;
		RETURN relayed - 1;
	END
	$$;
COMMENT ON FUNCTION matrix.relay(text) IS
	'Sends what writers have queued, where the setting push is relay, and at most 1000 statements of it; how many: 0 when nothing is left, or while another relay is at work. Raises 42704 for no such store.';
