-- A validator as people write them by hand in PL/pgSQL: the envelope and the two
-- commonest types, nothing else.  The benchmark compares matrix.is_valid to it.
CREATE FUNCTION bench.check_event(event jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	content jsonb := event->'content';
BEGIN
	IF jsonb_typeof(event) IS DISTINCT FROM 'object'
		OR jsonb_typeof(event->'type') IS DISTINCT FROM 'string'
		OR jsonb_typeof(content) IS DISTINCT FROM 'object'
		OR jsonb_typeof(event->'sender') IS DISTINCT FROM 'string'
		OR (event->>'sender') !~ '^@[^:]*:.+$' OR octet_length(event->>'sender') > 255 THEN
		RETURN false;
	END IF;
	IF event ? 'room_id' AND (
		jsonb_typeof(event->'room_id') <> 'string' OR (event->>'room_id') !~ '^![^:]+(:.+)?$'
		OR jsonb_typeof(event->'event_id') IS DISTINCT FROM 'string' OR (event->>'event_id') !~ '^\$'
		OR jsonb_typeof(event->'origin_server_ts') IS DISTINCT FROM 'number') THEN
		RETURN false;
	END IF;
	CASE event->>'type'
		WHEN 'm.room.message' THEN
			IF jsonb_typeof(content->'body') IS DISTINCT FROM 'string'
				OR jsonb_typeof(content->'msgtype') IS DISTINCT FROM 'string' THEN
				RETURN false;
			END IF;
			IF content->>'msgtype' IN ('m.image', 'm.file', 'm.audio', 'm.video')
				AND NOT content ? 'file' AND (content->>'url') !~ '^mxc://' THEN
				RETURN false;
			END IF;
		WHEN 'm.room.member' THEN
			IF content->>'membership' NOT IN ('invite', 'join', 'leave', 'ban', 'knock')
				OR NOT event ? 'state_key' THEN
				RETURN false;
			END IF;
		ELSE
			NULL;
	END CASE;
	RETURN true;
END
$$;
