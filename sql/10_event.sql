-- The events table type.  Columns are only ever added at its end: src/pg/binding.h
-- numbers them.
CREATE TYPE matrix.event AS (
	stream_id			bigint,
	event_id			text COLLATE "C",
	type				text COLLATE "C",
	room_id				text COLLATE "C",
	sender				text COLLATE "C",
	state_key			text COLLATE "C",
	origin_server_ts	bigint,
	received_ts			bigint,
	content				jsonb,
	unsigned			jsonb,
	extra				jsonb,
	raw					text COLLATE "C",
	mark				xid8,
	outlier				boolean,
	rejected			boolean,
	soft_failed			boolean,
	derives				boolean,
	redacts				text COLLATE "C",
	redacted_by			text COLLATE "C",
	kept				jsonb
);
COMMENT ON TYPE matrix.event IS
	'One Matrix event as a row: the type of every store''s events table.';
COMMENT ON COLUMN matrix.event.stream_id IS 'The stream position: the order in which the store took its events. Negative: history that was backfilled.';
COMMENT ON COLUMN matrix.event.event_id IS 'The event''s id; a local one where the event came without.';
COMMENT ON COLUMN matrix.event.type IS 'The event''s type, such as m.room.message.';
COMMENT ON COLUMN matrix.event.room_id IS 'The room; null for events outside rooms, such as m.presence.';
COMMENT ON COLUMN matrix.event.sender IS 'The user who sent the event.';
COMMENT ON COLUMN matrix.event.state_key IS 'The state key; null for events that are not state events.';
COMMENT ON COLUMN matrix.event.origin_server_ts IS 'When the sender''s server says it was sent: milliseconds since 1970-01-01 UTC.';
COMMENT ON COLUMN matrix.event.received_ts IS 'When the store took it: milliseconds since 1970-01-01 UTC.';
COMMENT ON COLUMN matrix.event.content IS 'The event''s content.';
COMMENT ON COLUMN matrix.event.unsigned IS 'What a server added to the event: age, transaction_id, redacted_because and the like.';
COMMENT ON COLUMN matrix.event.extra IS 'Every other top-level key: auth_events, prev_events, depth, hashes, signatures, redacts and the like.';
COMMENT ON COLUMN matrix.event.raw IS 'In: the JSON text to take. Kept only where jsonb cannot hold the event exactly (U+0000 in a string).';
COMMENT ON COLUMN matrix.event.outlier IS 'True: a server holds the event without the room''s state at it. It changes no derived row.';
COMMENT ON COLUMN matrix.event.rejected IS 'True: a server''s authorization rules rejected it. It changes no derived row.';
COMMENT ON COLUMN matrix.event.soft_failed IS 'True: it failed against the room''s current state. It changes no derived row.';
COMMENT ON COLUMN matrix.event.derives IS 'True: it changed derived rows when it came. Given by the store.';
COMMENT ON COLUMN matrix.event.mark IS 'The next transaction id when the position was given: what tells readers that no lower position can still appear.';
COMMENT ON COLUMN matrix.event.redacts IS 'Of a redaction: the event_id that it names. Given by the store.';
COMMENT ON COLUMN matrix.event.redacted_by IS 'The event_id of the redaction that took the content away; null: none did. Given by the store.';
COMMENT ON COLUMN matrix.event.kept IS 'Of a redacted event of a call: the ids and numbers that the call is made of. Given by the store.';
