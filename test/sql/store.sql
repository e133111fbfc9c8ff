-- Making and dropping stores, and who may do what.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('Weird "name''');
INSERT INTO "Weird ""name'"."events" (type, content) VALUES ('org.example.x', '{}');
SET matrix_events.on_invalid = 'quarantine';
INSERT INTO "Weird ""name'"."events" (raw) VALUES ('{');
SELECT raw FROM "Weird ""name'"."rejected";
RESET matrix_events.on_invalid;
SELECT matrix.create_store('Weird "name''');
SELECT matrix.create_store(repeat('x', 55));
SELECT matrix.create_store('');
SELECT matrix.drop_store('nowhere');
CREATE TABLE "Weird ""name'".mine ();
SELECT matrix.drop_store('Weird "name''', true);
DROP SCHEMA "Weird ""name'" CASCADE;
-- A schema that is there already can become a store, if it is the caller's.
CREATE SCHEMA ready;
SELECT matrix.create_store('ready');
ALTER SCHEMA ready RENAME TO renamed;
INSERT INTO renamed.events (type, content) VALUES ('org.example.x', '{}');
SELECT count(*) FROM renamed.events;
-- Roles: an owner without superuser, a writer with INSERT alone.
CREATE ROLE regress_owner;
CREATE ROLE regress_writer;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_owner', current_database()); END $$;
SET ROLE regress_owner;
SELECT matrix.create_store('owned');
SELECT matrix.create_store('renamed');
SELECT matrix.drop_store('renamed', true);
GRANT USAGE ON SCHEMA owned TO regress_writer;
GRANT INSERT ON owned.events TO regress_writer;
RESET ROLE;
SET ROLE regress_writer;
INSERT INTO owned.events (type, content) VALUES ('org.example.x', '{}');
SET matrix_events.on_invalid = 'quarantine';
INSERT INTO owned.events (raw) VALUES ('nonsense');
RESET matrix_events.on_invalid;
-- What his events change is written as the owner.
INSERT INTO owned.events (type, room_id, sender, state_key, content) VALUES ('m.room.member', '!r:b', '@a:b', '@a:b', '{"membership":"join"}');
INSERT INTO owned.events (type, sender, content) VALUES ('m.presence', '@a:b', '{"presence":"online"}');
INSERT INTO owned.room_state (room_id, type, state_key, event_id, stream_id, content) VALUES ('!r:b', 't', '', '$f', 1, '{}');
SELECT * FROM owned.presence;
SELECT matrix.rebuild('owned');
SELECT matrix.verify('owned');
SELECT matrix.fold_stream('owned.events');
SELECT * FROM owned.events;
SELECT * FROM owned.rejected;
INSERT INTO owned.rejected (raw, violations) VALUES ('', '[]');
INSERT INTO owned.event_types VALUES ('org.example.x', '{}');
SELECT matrix.register_event_type('owned', 'org.example.x', '{}');
SELECT matrix.forget_cached_types('owned.events');
SELECT matrix.create_store('forbidden');
RESET ROLE;
SELECT count(*) FROM owned.events;
SELECT count(*) FROM owned.rejected;
SELECT user_id, membership FROM owned.members;
SELECT user_id, presence FROM owned.presence;
-- The trigger works for events tables only.
CREATE TABLE other (stream_id bigint);
CREATE TRIGGER t BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION matrix.events_before_row();
INSERT INTO other VALUES (1);
CREATE TABLE elsewhere OF matrix.event;
CREATE TRIGGER t BEFORE INSERT ON elsewhere FOR EACH ROW EXECUTE FUNCTION matrix.events_before_row();
INSERT INTO elsewhere (type, content) VALUES ('x', '{}');
SELECT matrix.events_before_row();
DROP TABLE other, elsewhere;
SELECT matrix.drop_store('owned', true);
SELECT matrix.drop_store('renamed', true);
DROP OWNED BY regress_owner, regress_writer;
DROP ROLE regress_owner, regress_writer;
