# matrix.search and matrix.mentions against looking at every event: random
# questions over a stream with gaps, edits, redactions, flags and history.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('search');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->append_conf('postgresql.conf', "shared_buffers = 256MB\nfsync = off");
$node->start;
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION matrix_events;
SELECT matrix.create_store('chat');

-- Few words are frequent and most are rare; so are rooms and senders.
CREATE FUNCTION pick(prefix text, many int, skew int) RETURNS text LANGUAGE sql VOLATILE
	AS $$ SELECT prefix || floor(many * power(random(), skew))::int $$;
CREATE FUNCTION words() RETURNS text LANGUAGE sql VOLATILE
	AS $$ SELECT string_agg(pick('w', 1000, 4), ' ') FROM generate_series(1, 1 + floor(random() * 8)::int) $$;

CREATE PROCEDURE say(many int) LANGUAGE plpgsql AS $$
BEGIN
	-- A gap, sometimes longer than any part of the stream that the index knows.
	PERFORM setval('chat.events_stream_id', nextval('chat.events_stream_id') + floor(power(random(), 6) * 9000000)::bigint);
	INSERT INTO chat.events (type, room_id, sender, content, outlier, soft_failed)
	SELECT CASE WHEN random() < 0.85 THEN 'm.room.message' WHEN random() < 0.5 THEN 'm.reaction' ELSE 'org.example.x' END,
		pick('!r', 60, 3) || ':x', pick('@u', 100, 3) || ':x',
		jsonb_build_object('msgtype', 'm.text', 'body', words())
			|| CASE WHEN random() < 0.02 THEN jsonb_build_object('m.mentions', jsonb_build_object('user_ids', jsonb_build_array(pick('@u', 20, 2) || ':x'))) ELSE '{}' END,
		CASE WHEN random() < 0.01 THEN true END, CASE WHEN random() < 0.01 THEN true END
	FROM generate_series(1, many);
END $$;
CREATE PROCEDURE change(many int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO chat.events (type, room_id, sender, content, origin_server_ts)
	SELECT e.type, e.room_id, CASE WHEN random() < 0.9 THEN e.sender ELSE '@other:x' END,
		jsonb_build_object('msgtype', 'm.text', 'body', '* x', 'm.new_content', jsonb_build_object('msgtype', 'm.text', 'body', words()),
			'm.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', e.event_id)), floor(random() * 1e12)::bigint
	FROM (SELECT * FROM chat.events WHERE type = 'm.room.message' AND matrix.rel_type(content) IS DISTINCT FROM 'm.replace' ORDER BY random() LIMIT many) e;
	INSERT INTO chat.events (type, room_id, sender, content, extra)
	SELECT 'm.room.redaction', e.room_id, e.sender, '{}', jsonb_build_object('redacts', e.event_id)
	FROM (SELECT * FROM chat.events WHERE type = 'm.room.message' ORDER BY random() LIMIT many / 10) e;
END $$;

-- What questions are asked, what is answered, and what it should be.
CREATE TABLE asked (question text, hits int, missing bigint[], wrong bigint[]);
CREATE PROCEDURE compare(question text, given bigint[], wanted bigint[]) LANGUAGE sql AS $$
	INSERT INTO asked SELECT question, cardinality(wanted), ARRAY(SELECT unnest(wanted) EXCEPT SELECT unnest(given) LIMIT 5),
		ARRAY(SELECT unnest(given) EXCEPT SELECT unnest(wanted) LIMIT 5) WHERE given IS NOT NULL OR wanted IS NOT NULL;
	UPDATE asked a SET question = a.question || ': the order' WHERE given <> wanted AND a.question = compare.question AND missing || wrong = '{}'
$$;
CREATE PROCEDURE ask(many int) LANGUAGE plpgsql AS $$
DECLARE
	w text[];
	query text;
	rooms text[];
	senders text[];
	before bigint;
	after bigint;
	most int;
	mentioned text;
	given bigint[];
	wanted bigint[];
BEGIN
	FOR i IN 1..many LOOP
		w := ARRAY(SELECT pick('w', 1000, 1 + floor(random() * 5)::int) FROM generate_series(1, 3));
		query := (ARRAY[w[1], w[1] || ' ' || w[2], w[1] || ' OR ' || w[2], w[1] || ' -' || w[2], '-' || w[1], format('"%s %s"', w[1], w[2]),
			left(w[1], 3) || '*', format('%s OR "%s %s"', w[1], w[2], w[3])])[1 + floor(random() * 8)::int];
		rooms := CASE WHEN random() < 0.4 THEN ARRAY(SELECT pick('!r', 60, 2) || ':x' FROM generate_series(1, 1 + floor(random() * 3)::int)) END;
		senders := CASE WHEN random() < 0.3 THEN ARRAY(SELECT pick('@u', 100, 2) || ':x' FROM generate_series(1, 1 + floor(random() * 3)::int)) END;
		before := CASE WHEN random() < 0.5 THEN (SELECT stream_id + floor(random() * 3)::int - 1 FROM message OFFSET floor(random() * (SELECT count(*) FROM message)) LIMIT 1) END;
		most := (ARRAY[1, 5, 50, 300, 10000, NULL])[1 + floor(random() * 6)::int];
		SELECT array_agg(s.stream_id) INTO given FROM matrix.search('chat', query, rooms, senders, before, most) s;
		SELECT array_agg(m.stream_id) INTO wanted FROM (SELECT m.stream_id FROM message m
			WHERE m.words @@ matrix.search_query('{simple}', query) AND (m.room_id = ANY (rooms) OR rooms IS NULL)
				AND (m.sender = ANY (senders) OR senders IS NULL) AND (m.stream_id < before OR before IS NULL)
			ORDER BY m.stream_id DESC LIMIT most) m;
		CALL compare(concat_ws(' ', i, 'search', query, rooms, senders, 'before', before, 'max', most), given, wanted);

		mentioned := pick('@u', 20, 1) || ':x';
		after := CASE WHEN random() < 0.5 THEN before - floor(random() * 1000000)::bigint END;
		before := CASE WHEN random() < 0.5 THEN before END;
		SELECT array_agg(s.stream_id) INTO given FROM matrix.mentions('chat', mentioned, before, after, most) s;
		SELECT array_agg(m.stream_id) INTO wanted FROM (SELECT e.stream_id FROM chat.events e
			WHERE e.content->'m.mentions'->'user_ids' ? mentioned AND matrix.is_searched(e.type) AND e.outlier IS NOT TRUE AND e.soft_failed IS NOT TRUE
				AND (e.stream_id < before OR before IS NULL) AND (e.stream_id > after OR after IS NULL)
			ORDER BY CASE WHEN after IS NULL THEN -e.stream_id ELSE e.stream_id END LIMIT most) m;
		CALL compare(concat_ws(' ', i, 'mentions', mentioned, 'before', before, 'after', after, 'max', most), given, wanted);
	END LOOP;
END $$;

SELECT setseed(0.7);
DO $$ BEGIN
	FOR i IN 1..25 LOOP
		CALL say(1 + floor(power(random(), 2) * 6000)::int);
		IF i % 3 = 0 THEN CALL change(400); END IF;
	END LOOP;
END $$;
SELECT matrix.backfill('chat', VARIADIC array_agg(jsonb_build_object('event_id', '$h' || g, 'type', 'm.room.message', 'room_id', '!r' || g % 7 || ':x',
	'sender', '@u' || g % 11 || ':x', 'origin_server_ts', g, 'content', jsonb_build_object('msgtype', 'm.text', 'body', words()))::text)) FROM generate_series(1, 3000) g;
-- Every message, with the words of its last edit.
CREATE TABLE message AS
	SELECT o.stream_id, o.room_id, o.sender, edit.stream_id AS edit,
		matrix.search_vector('{simple}', o.stream_id, o.room_id, o.sender, o.type, CASE WHEN edit.event_id IS NULL THEN o.content ELSE edit.content END) AS words
	FROM chat.events o LEFT JOIN LATERAL matrix.edit('chat', o.event_id) edit ON true
	WHERE o.type = 'm.room.message' AND o.outlier IS NOT TRUE AND o.soft_failed IS NOT TRUE AND matrix.rel_type(o.content) IS DISTINCT FROM 'm.replace';
SQL

my $said = $node->safe_psql('postgres', q{SELECT count(*) > 30000 AND max(stream_id) > 9000000 AND min(stream_id) < 0 AND count(edit) > 1000 FROM message});
is($said, 't', 'there are many messages, with gaps, history and edits');
# First with entries that no vacuum has put into the index, then with none.
$node->safe_psql('postgres', 'CALL ask(100)');
$node->safe_psql('postgres', 'VACUUM ANALYZE chat.events');
$node->safe_psql('postgres', 'CALL ask(100)');
is($node->safe_psql('postgres', q{SELECT question, missing, wrong FROM asked WHERE missing || wrong <> '{}' OR question LIKE '%: the order'}), '', 'search and mentions answer as one who looks at every event');
is($node->safe_psql('postgres', 'SELECT count(*) > 200 AND sum(hits) > 50000 FROM asked'), 't', 'most questions had answers');

$node->stop;
done_testing();
