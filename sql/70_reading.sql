-- Reading rooms: timelines, one event and what stands around it, the state at a
-- position.  With the caller's rights.

CREATE FUNCTION matrix.event(store text, event_id text) RETURNS matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION matrix.event(text, text) IS
	'The event with this id, or null. Raises 42704 for no such store, 42501 without SELECT on its events.';

CREATE FUNCTION matrix.timeline(store text, room_id text, before bigint DEFAULT NULL, max integer DEFAULT 50, after bigint DEFAULT NULL, types text[] DEFAULT NULL)
	RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE ROWS 50;
COMMENT ON FUNCTION matrix.timeline(text, text, bigint, integer, bigint, text[]) IS
	'The events of a room, history among them, of these types (null: any): the last ones before a position, newest first, by default before none; or with after the first ones after a position, oldest first. At most max, null: all. Whoever goes on from the last position that he got sees nothing twice. Raises 42704 for no such store, 42501 without SELECT on its events.';

CREATE FUNCTION matrix.context(store text, event_id text, max integer DEFAULT 10) RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE STRICT ROWS 11;
COMMENT ON FUNCTION matrix.context(text, text, integer) IS
	'An event and at most max others of its room around it, half of them before it, oldest first. No row: there is no such event. Raises 42704 for no such store, 42501 without SELECT on its events.';

CREATE FUNCTION matrix.state_at(store text, room_id text, stream_id bigint) RETURNS SETOF matrix.event
	AS 'MODULE_PATHNAME' LANGUAGE c STABLE STRICT ROWS 50;
COMMENT ON FUNCTION matrix.state_at(text, text, bigint) IS
	'The state of a room when the event at this position had been taken, by type and state key: of each the last event up to it. History, which changes no state, counts for positions below 0 only. Costs by the number of keys. Raises 42704 for no such store, 42501 without SELECT on its events.';
