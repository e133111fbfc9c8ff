-- The same derivations as people write them by hand: row triggers in PL/pgSQL.
-- The benchmark compares the cost that they add.
CREATE SCHEMA byhand;
CREATE TABLE byhand.room_state (room_id text, type text, state_key text, event_id text, content jsonb, PRIMARY KEY (room_id, type, state_key));
CREATE TABLE byhand.room_members (room_id text, user_id text, membership text, displayname text, avatar_url text, PRIMARY KEY (room_id, user_id));
CREATE TABLE byhand.user_presence (user_id text PRIMARY KEY, presence text, status_msg text, last_active_ts bigint);
CREATE TABLE byhand.room_calls (room_id text, call_id text, state text, caller text, PRIMARY KEY (room_id, call_id));
CREATE FUNCTION hand.derive() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.state_key IS NOT NULL THEN
		INSERT INTO byhand.room_state VALUES (NEW.room_id, NEW.type, NEW.state_key, NEW.event_id, NEW.content)
		ON CONFLICT (room_id, type, state_key) DO UPDATE SET event_id = excluded.event_id, content = excluded.content;
	END IF;
	IF NEW.type = 'm.room.member' THEN
		INSERT INTO byhand.room_members VALUES (NEW.room_id, NEW.state_key, NEW.content->>'membership', NEW.content->>'displayname', NEW.content->>'avatar_url')
		ON CONFLICT (room_id, user_id) DO UPDATE SET membership = excluded.membership, displayname = excluded.displayname, avatar_url = excluded.avatar_url;
	ELSIF NEW.type = 'm.presence' THEN
		INSERT INTO byhand.user_presence VALUES (NEW.sender, NEW.content->>'presence', NEW.content->>'status_msg', NEW.received_ts)
		ON CONFLICT (user_id) DO UPDATE SET presence = excluded.presence, status_msg = excluded.status_msg,
			last_active_ts = greatest(byhand.user_presence.last_active_ts, excluded.last_active_ts);
	ELSIF NEW.type IN ('m.room.message', 'm.room.encrypted', 'm.sticker', 'm.reaction') THEN
		INSERT INTO byhand.user_presence VALUES (NEW.sender, 'offline', NULL, NEW.received_ts)
		ON CONFLICT (user_id) DO UPDATE SET last_active_ts = greatest(byhand.user_presence.last_active_ts, excluded.last_active_ts);
	ELSIF NEW.type LIKE 'm.call.%' THEN
		INSERT INTO byhand.room_calls VALUES (NEW.room_id, NEW.content->>'call_id', CASE NEW.type WHEN 'm.call.invite' THEN 'invited' WHEN 'm.call.answer' THEN 'answered' ELSE 'ended' END, NEW.sender)
		ON CONFLICT (room_id, call_id) DO UPDATE SET state = excluded.state;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER derive AFTER INSERT ON hand.events FOR EACH ROW EXECUTE FUNCTION hand.derive();
