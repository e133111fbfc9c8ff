-- A user's own event types.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('chat');
SELECT matrix.register_event_type('chat', 'org.example.poll',
	'{"type": "object", "required": ["question", "answers"],
	  "properties": {"question": {"type": "string", "pattern": "\\?$"},
	                 "answers": {"type": "array", "minItems": 2, "items": {"type": "string", "maxLength": 10}}}}');
CREATE FUNCTION poll(content jsonb) RETURNS void LANGUAGE sql AS
	$$ INSERT INTO chat.events (type, room_id, sender, content) VALUES ('org.example.poll', '!r:b', '@a:b', content) $$;
SELECT poll('{"question": "Tea?", "answers": ["yes", "no"]}');
SELECT poll('{"question": "Tea", "answers": ["yes", 1]}');
SELECT poll('{"question": "Tea?", "answers": ["certainly not"]}');
-- Of the whole event, as Matrix's own schemas are.
SELECT matrix.register_event_type('chat', 'org.example.poll',
	'{"allOf": [{"$ref": "core-event-schema/state_event.yaml"}],
	  "properties": {"content": {"type": "object", "required": ["q"]}, "state_key": {"type": "string", "pattern": "^$"}}}');
SELECT poll('{"q": 1}');
INSERT INTO chat.events (type, room_id, sender, state_key, content) VALUES
	('org.example.poll', '!r:b', '@a:b', 'x', '{}');
INSERT INTO chat.events (type, room_id, sender, state_key, content) VALUES
	('org.example.poll', '!r:b', '@a:b', '', '{"q": 1}');
SELECT matrix.forget_event_type('chat', 'org.example.poll');
SELECT matrix.forget_event_type('chat', 'org.example.poll');
SELECT poll('{}');
-- What cannot be registered.
SELECT matrix.register_event_type('chat', 'm.room.message', '{}');
SELECT matrix.register_event_type('chat', 'org.example.x', '{"type": "text"}');
SELECT matrix.register_event_type('chat', 'org.example.x', '{"if": {}}');
SELECT matrix.register_event_type('chat', 'org.example.x', '{"properties": {"content": {"pattern": "("}}}');
SELECT matrix.register_event_type('chat', 'org.example.x', '{"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "items": {"$ref": "#/$defs/a"}}');
SELECT matrix.register_event_type('nowhere', 'org.example.x', '{}');
SELECT count(*) FROM chat.event_types;
DROP FUNCTION poll;
SELECT matrix.drop_store('chat', true);
