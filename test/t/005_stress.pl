# Many writers at once on few rooms, users and calls: what is derived is the
# fold of the stream, and what is redacted is gone, whatever commits late, rolls back, is killed or crashes,
# and writers of single statements never deadlock.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->append_conf('postgresql.conf', "deadlock_timeout = '100ms'\nmax_connections = 40\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION matrix_events;
	SELECT matrix.create_store('chat');
	-- Events at random: members, state, power levels, presence, calls, messages, edits, and redactions of events that are there or still to come.
	CREATE SEQUENCE ids;
	CREATE FUNCTION some_events(n int) RETURNS TABLE (event_id text, type text, room_id text, sender text, state_key text, content jsonb, unsigned jsonb)
	LANGUAGE sql VOLATILE AS $$
		SELECT '$' || nextval('ids'), k.type, CASE WHEN k.type <> 'm.presence' THEN '!r' || r.room || ':x' END, u,
			CASE k.type WHEN 'm.room.member' THEN u WHEN 'm.room.topic' THEN '' WHEN 'm.room.power_levels' THEN '' END,
			CASE WHEN k.type = 'm.room.member' THEN jsonb_build_object('membership', (ARRAY['join', 'join', 'join', 'leave', 'ban', 'invite'])[1 + floor(r.a * 6)],
					'displayname', 'n' || floor(r.b * 3))
				WHEN k.type = 'm.room.topic' THEN jsonb_build_object('topic', r.b::text)
				WHEN k.type = 'm.presence' THEN jsonb_build_object('presence', (ARRAY['online', 'offline', 'unavailable', 'hidden', 'free_for_chat'])[1 + floor(r.a * 5)])
				WHEN k.type = 'm.room.message' AND r.a < 0.6 THEN '{"msgtype": "m.text", "body": "b"}'
				WHEN k.type = 'm.room.message' THEN jsonb_build_object('msgtype', 'm.text', 'body', '* e', 'm.new_content', '{"msgtype": "m.text", "body": "e"}'::jsonb,
					'm.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', r.target))
				WHEN k.type = 'm.room.redaction' THEN jsonb_build_object('redacts', r.target, 'reason', 'why')
				WHEN k.type = 'm.room.power_levels' THEN jsonb_build_object('redact', 50, 'users', jsonb_build_object(u, 100 * round(r.a), '@u1:x1', 50))
				ELSE jsonb_build_object('call_id', 'c' || floor(r.b * 12), 'version', '1', 'party_id', 'p' || floor(r.c * 2), 'lifetime', floor(r.c * 3000)::int,
					'offer', '{"type": "offer", "sdp": ""}'::jsonb, 'answer', '{"type": "answer", "sdp": ""}'::jsonb, 'candidates', '[]'::jsonb,
					'reason', 'user_hangup', 'selected_party_id', 'p' || floor(r.a * 2)) END,
			-- What servers repeat of other events.
			CASE WHEN k.type = 'm.room.topic' THEN jsonb_build_object('prev_content', jsonb_build_object('topic', r.c::text), 'replaces_state', r.target)
				WHEN k.type = 'm.room.member' AND r.c < 0.5 THEN jsonb_build_object('invite_room_state', jsonb_build_array(
					jsonb_build_object('type', 'm.room.topic', 'state_key', '', 'sender', u, 'content', jsonb_build_object('topic', r.c::text))))
				WHEN k.type = 'm.room.message' AND r.c < 0.2 THEN jsonb_build_object('m.relations', jsonb_build_object('m.replace', jsonb_build_object('event_id', r.target))) END
		FROM (SELECT i, random() AS a, random() AS b, random() AS c, random() AS d, 1 + floor(random() * 4) AS room, '@u' || o.one || ':x' || o.one AS u,
				'$' || (SELECT greatest(1, last_value - 15 + floor(random() * 25))::int FROM ids) AS target
			FROM generate_series(1, n) i, LATERAL (SELECT floor(random() * 5 + i * 0)::int AS one) o) r,
			LATERAL (SELECT (ARRAY['m.room.member', 'm.room.member', 'm.room.topic', 'm.presence', 'm.presence', 'm.room.message', 'm.call.invite', 'm.call.invite',
				'm.call.answer', 'm.call.hangup', 'm.call.candidates', 'm.call.reject', 'm.call.select_answer', 'm.room.message', 'm.room.message',
				'm.room.redaction', 'm.room.redaction', 'm.room.redaction', 'm.room.power_levels'])[1 + floor(r.d * 19)] AS type) k
	$$;
	CREATE PROCEDURE single_statements(rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			INSERT INTO chat.events (event_id, type, room_id, sender, state_key, content, unsigned)
				SELECT * FROM some_events((1 + floor(random() * 12))::int);
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
	CREATE PROCEDURE transactions(rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			FOR j IN 1 .. (1 + floor(random() * 4))::int LOOP
				-- A savepoint that is given up now and then.
				BEGIN
					INSERT INTO chat.events (event_id, type, room_id, sender, state_key, content, unsigned) SELECT * FROM some_events((1 + floor(random() * 3))::int);
					IF random() < 0.2 THEN RAISE EXCEPTION USING ERRCODE = 'MXGIV'; END IF;
				EXCEPTION WHEN SQLSTATE 'MXGIV' OR deadlock_detected THEN NULL;
				END;
			END LOOP;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
	CREATE PROCEDURE deletions(rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			BEGIN
				DELETE FROM chat.events WHERE stream_id IN (SELECT e.stream_id FROM chat.events e ORDER BY random() LIMIT 2);
			EXCEPTION WHEN deadlock_detected THEN NULL;
			END;
			COMMIT;
		END LOOP;
	END $$;
});

sub verified { is($node->safe_psql('postgres', q{SELECT * FROM matrix.verify('chat')}), '', $_[0]) }
sub gone
{
	is($node->safe_psql('postgres', q{SELECT e.event_id, r.* FROM chat.events e, matrix.erasure_report('chat', e.event_id) r WHERE e.redacted_by IS NOT NULL}), '', $_[0]);
}
sub count_events { return $node->safe_psql('postgres', 'SELECT count(*) FROM chat.events') }

my @sessions = map { begin($node, 'CALL single_statements(120)') } 1 .. 4;
is(join('', map { finish($_) } @sessions), '', 'writers of single statements, and none fails');
cmp_ok(count_events(), '>', 1500, 'they wrote');
verified('verify after single statements');
gone('nothing repeats what is redacted');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM chat.events WHERE redacted_by IS NOT NULL'), '>', 20, 'they redacted');

@sessions = ((map { begin($node, 'CALL transactions(80)') } 1 .. 4), begin($node, 'CALL deletions(30)'));
push @sessions, begin($node, q{DO $$ BEGIN FOR i IN 1 .. 20 LOOP PERFORM matrix.presence_tick('chat', matrix.now_ms() + 400000), matrix.call_tick('chat'); COMMIT; END LOOP; END $$});
# Whoever else it waits for in a circle gives way.
my $victim = do { local $ENV{PGOPTIONS} = '-c deadlock_timeout=1h'; begin($node, 'CALL transactions(100000)') };
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL transactions(100000)%' AND state = 'active'});
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL transactions(100000)%'});
like(finish($victim), qr/terminating connection/, 'one is killed');
is(join('', grep { !/deadlock/ } map { finish($_) } @sessions), '', 'transactions with savepoints, deletions and ticks');
verified('verify after transactions');
gone('nor after transactions');

@sessions = map { begin($node, 'CALL transactions(100000)') } 1 .. 3;
my $before = count_events();
$node->poll_query_until('postgres', "SELECT count(*) > $before + 100 FROM chat.events") or die 'no progress';
$node->stop('immediate');
finish($_) for @sessions;
$node->start;
cmp_ok(count_events(), '>', $before, 'recovered');
verified('verify after a crash');
cmp_ok($node->safe_psql('postgres', q{SELECT matrix.rebuild('chat')}), '>', 1000, 'rebuild');
verified('verify after a rebuild');

# What is derived survives a dump, and triggers take nothing twice.
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(['pg_dump', '-n', 'chat', '-n', 'matrix', '-e', 'matrix_events', '-f', $node->basedir . '/dump.sql', $node->connstr('postgres')], 'pg_dump');
$node->command_ok(['psql', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $node->basedir . '/dump.sql'], 'restore');
is($node->safe_psql('restored', q{SELECT * FROM matrix.verify('chat')}), '', 'verify after a restore');
$node->stop;
done_testing();
