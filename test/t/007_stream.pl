# No reader of the stream skips or repeats a committed event: not with writers that sleep, roll back, use savepoints, prepare and are killed, not with
# readers that are killed, not over a crash, a restore into another cluster, or on a standby.  A naive reader in the same run does skip some.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sessions;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('stream');
$node->init(allows_streaming => 1, extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->append_conf('postgresql.conf', "max_connections = 60\nmax_prepared_transactions = 20\nsynchronous_commit = off\nwal_writer_delay = 10s\ndeadlock_timeout = '100ms'\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION matrix_events;
	SELECT matrix.create_store('chat');
	CREATE FUNCTION some_events(n int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO chat.events (type, room_id, sender, content)
		SELECT 'm.room.message', '!r' || floor(random() * 20) || ':x', '@u:x', '{"msgtype": "m.text", "body": "b"}' FROM generate_series(1, n)
	$$;
	-- Open transactions of all lengths.
	CREATE PROCEDURE write_events(rounds int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. rounds LOOP
			PERFORM some_events((1 + floor(random() * 3))::int);
			BEGIN
				PERFORM some_events(2);
				IF random() < 0.3 THEN RAISE EXCEPTION USING ERRCODE = 'MXGIV'; END IF;
			EXCEPTION WHEN SQLSTATE 'MXGIV' THEN NULL;
			END;
			IF random() < 0.4 THEN PERFORM pg_sleep(random() * 0.03); END IF;
			PERFORM some_events(1);
			IF random() < 0.15 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
	CREATE TABLE seen (n bigserial, reader text, process text, stream_id bigint, room_id text);
	CREATE TABLE stop ();
	-- "id > last", as people write it.
	CREATE PROCEDURE read_naively() LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			INSERT INTO seen (reader, stream_id) SELECT 'naive', e.stream_id FROM chat.events e
				WHERE e.stream_id > (SELECT coalesce(max(s.stream_id), 0) FROM seen s WHERE s.reader = 'naive') ORDER BY 1;
			COMMIT;
			PERFORM pg_sleep(0.002);
			EXIT WHEN EXISTS (SELECT FROM stop);
		END LOOP;
	END $$;
	CREATE PROCEDURE read_changes() LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			INSERT INTO seen (reader, stream_id) SELECT 'changes', e.stream_id
				FROM matrix.changes('chat', (SELECT coalesce(max(s.stream_id), 0) FROM seen s WHERE s.reader = 'changes'), 7) e;
			COMMIT;
			EXIT WHEN EXISTS (SELECT FROM stop) AND (SELECT max(s.stream_id) FROM seen s WHERE s.reader = 'changes') = (SELECT max(stream_id) FROM chat.events);
		END LOOP;
	END $$;
	-- What was fetched and its acknowledgement are of one transaction, or of two.
	CREATE PROCEDURE work(worker text, process text, apart boolean) LANGUAGE plpgsql AS $$
	DECLARE
		done bigint;
		idle int := 0;
	BEGIN
		PERFORM matrix.worker_open('chat', worker);
		LOOP
			WITH batch AS (INSERT INTO seen (reader, process, stream_id, room_id)
				SELECT worker, $2, e.stream_id, e.room_id FROM matrix.worker_fetch('chat', worker, 11, $2) e RETURNING stream_id)
			SELECT max(stream_id) FROM batch INTO done;
			IF apart THEN COMMIT; END IF;
			IF done IS NULL THEN
				idle := idle + 1;
				PERFORM pg_sleep(0.002);
			ELSE
				idle := 0;
				PERFORM matrix.worker_ack('chat', worker, done, $2);
			END IF;
			COMMIT;
			EXIT WHEN idle > 3 AND EXISTS (SELECT FROM stop)
				AND (SELECT w.position FROM chat.workers w WHERE w.worker = $1) >= (SELECT max(stream_id) FROM chat.events);
		END LOOP;
	END $$;
	SELECT matrix.worker_open('chat', 'once'), matrix.worker_open('chat', 'apart', lease_ms => 200), matrix.worker_open('chat', 'many', parts => 5, lease_ms => 200);
});

sub value { return $node->safe_psql('postgres', $_[0]) }

my @readers = (begin($node, 'CALL read_naively()'), begin($node, 'CALL read_changes()'),
	begin($node, q{CALL work('once', 'a', false)}), begin($node, q{CALL work('apart', 'a', true)}), map { begin($node, "CALL work('many', 'p$_', false)") } 1 .. 3);
my @writers = map { begin($node, 'CALL write_events(150)') } 1 .. 8;
# Some are prepared, and committed by another session later.
for my $i (1 .. 10)
{
	value("BEGIN; SELECT some_events(2); PREPARE TRANSACTION 'p$i'");
	# Two readers are killed, one of them in the middle of its part; and a writer.
	if ($i % 3 == 0)
	{
		value(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL work(''once''%' OR query LIKE 'CALL work(''many'', ''p1''%' OR query LIKE 'CALL work(''apart''%'});
		push @readers, begin($node, q{CALL work('once', 'a', false)}), begin($node, q{CALL work('apart', 'a', true)}), begin($node, q{CALL work('many', 'p1', false)});
		value(q{SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE query LIKE 'CALL write_events%' LIMIT 1) v});
		push @writers, begin($node, 'CALL write_events(50)');
	}
	value($i % 4 == 0 ? "ROLLBACK PREPARED 'p$i'" : "COMMIT PREPARED 'p$i'");
}
is(join('', grep { !/terminating connection/ } map { finish($_) } @writers), '', 'writers');
value('CREATE TABLE IF NOT EXISTS stopped (); INSERT INTO stop DEFAULT VALUES');
is(join('', grep { !/terminating connection/ } map { finish($_) } @readers), '', 'readers');

my $events = value('SELECT count(*) FROM chat.events');
cmp_ok($events, '>', 2000, 'many events');
my $skipped = q{SELECT count(*) FROM chat.events e WHERE NOT EXISTS (SELECT FROM seen s WHERE s.reader = '%s' AND s.stream_id = e.stream_id)};
my $disorder = q{SELECT count(*) FROM (SELECT stream_id, lag(stream_id) OVER (PARTITION BY reader%s ORDER BY n) AS before FROM seen WHERE reader = '%s') s WHERE stream_id <= before};
cmp_ok(value(sprintf($skipped, 'naive')), '>', 0, 'the naive reader skips: this test can fail');
for my $reader (qw(changes once many apart))
{
	is(value(sprintf($skipped, $reader)), '0', "$reader: none skipped");
	is(value("SELECT count(*) FROM seen s WHERE s.reader = '$reader' AND NOT EXISTS (SELECT FROM chat.events e WHERE e.stream_id = s.stream_id)"), '0', "$reader: none that was rolled back");
}
is(value(sprintf($disorder, '', $_)), '0', "$_: none repeated, none out of order") for qw(changes once);
is(value(sprintf($disorder, ', room_id', 'many')), '0', 'many: none repeated, each room in order');
is(value(q{SELECT count(*) FROM seen WHERE reader = 'apart'}) >= $events, 1, 'apart: at least once');
cmp_ok(value(q{SELECT count(DISTINCT process) FROM seen WHERE reader = 'many'}), '>', 1, 'several processes shared the work');

# ---- what holds the stream back is seen ----

value(q{BEGIN; SELECT some_events(1); PREPARE TRANSACTION 'forgotten'});
my $before = value(q{SELECT matrix.position('chat')});
value('SELECT some_events(500)') for 1 .. 3;
is(value(q{SELECT matrix.position('chat')}), $before, 'a prepared transaction holds readers back');
is(value(q{SELECT lag >= 1500, held_by_prepared, last - settled >= 1501 FROM matrix.worker_lag('chat', 'once')}), 't|forgotten|t', 'and can be seen');
is(value(qq{SELECT count(*) FROM matrix.changes('chat', $before, 10000)}), '0', 'nothing beyond it');
value(q{COMMIT PREPARED 'forgotten'});
is(value(qq{SELECT count(*) FROM matrix.changes('chat', $before, 10000)}), '1501', 'and then all of it');

# ---- a sequence with a stock is refused ----

value('ALTER SEQUENCE chat.events_stream_id CACHE 20');
my ($status, $out, $err) = $node->psql('postgres', 'SELECT some_events(1)');
like($err, qr/cannot give stream positions/, 'a cache of positions');
value('ALTER SEQUENCE chat.events_stream_id CACHE 1');

# ---- a crash with commits that nobody waited for: what a reader has seen stays, and no position is given twice ----

my %seen;
my $last = $before;
sub read_on
{
	for (split /\n/, value(qq{SELECT stream_id, event_id FROM matrix.changes('chat', $last, 5000)}))
	{
		my ($id, $event) = split /\|/;
		$seen{$id} = $event;
		$last = $id;
	}
}
for my $crash (1 .. 3)
{
	my @sessions = map { begin($node, 'CALL write_events(100000)') } 1 .. 3;
	my $goal = $last + 300;
	read_on() while $last < $goal;
	$node->stop('immediate');
	finish($_) for @sessions;
	$node->start;
	my $lost = 0;
	my %stored = map { split /\|/ } split /\n/, value(qq{SELECT stream_id, event_id FROM chat.events WHERE stream_id > $before});
	exists $stored{$_} && $stored{$_} eq $seen{$_} or $lost++ for keys %seen;
	is($lost, 0, "crash $crash: what was read is there");
}
value('SELECT some_events(10)');
read_on();
is(value(qq{SELECT count(*) FROM chat.events WHERE stream_id > $before}), scalar(keys %seen), 'and nothing was skipped after it');

# ---- a standby reads, and goes on when it is promoted ----

value(q{ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf()});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('reader');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
value('SELECT some_events(10)');
$node->wait_for_catchup($standby);
my $all = value('SELECT max(stream_id) FROM chat.events');
ok($standby->poll_query_until('postgres', "SELECT matrix.position('chat') = $all"), 'a standby comes to the same position');
is($standby->safe_psql('postgres', qq{SELECT count(*) FROM matrix.changes('chat', $last, 100)}), '10', 'and reads the same changes');

# ---- another cluster, whose count of transactions is far behind the marks ----

my $dump = $node->basedir . '/dump.sql';
$node->command_ok(['pg_dump', '-f', $dump, $node->connstr('postgres')], 'pg_dump');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(allows_streaming => 1, extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$other->append_conf('postgresql.conf', "max_prepared_transactions = 5\n");
$other->start;
$other->safe_psql('postgres', 'CREATE DATABASE restored');
$other->command_ok(['psql', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('restored'), '-f', $dump], 'restore');
is($other->safe_psql('restored', q{SELECT bool_and(mark::text::bigint > txid_current()) FROM (SELECT mark FROM chat.events ORDER BY stream_id DESC LIMIT 1) e}), 't',
	'its marks are ahead of this cluster');
is($other->safe_psql('restored', q{SELECT matrix.position('chat')}), $all, 'all of it is settled');
$other->backup('base');
my $reader = PostgreSQL::Test::Cluster->new('other_reader');
$reader->init_from_backup($other, 'base', has_streaming => 1);
$reader->start;
is($reader->safe_psql('restored', q{SELECT count(*) FROM matrix.changes('chat', 0, 10) e WHERE e.mark::text::bigint > 100000}), '0', 'its standby cannot know that yet');
my $worker = $other->safe_psql('restored', q{SELECT position FROM chat.workers WHERE worker = 'once'});
is($other->safe_psql('restored', qq{SELECT min(stream_id) > $worker FROM matrix.worker_fetch('chat', 'once', 5)}), 't', 'a worker goes on where it was');
$other->wait_for_catchup($reader);
is($reader->safe_psql('restored', q{SELECT matrix.position('chat')}), $all, 'now it knows');
# A prepared transaction may have drawn a lower position.
$other->safe_psql('restored', q{DELETE FROM chat.stream_floor; BEGIN; SELECT some_events(1); PREPARE TRANSACTION 'p'});
cmp_ok($other->safe_psql('restored', q{SELECT matrix.position('chat')}), '<', $all, 'but not beside a prepared transaction');
$other->safe_psql('restored', q{COMMIT PREPARED 'p'});
is($other->safe_psql('restored', q{SELECT matrix.position('chat') = max(stream_id) FROM chat.events}), 't', 'whose end settles it');
$reader->stop;
$other->stop;

$node->stop;
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT some_events(3)}) . $standby->safe_psql('postgres', qq{SELECT count(*) FROM matrix.changes('chat', $last, 100)}), '13', 'the promoted standby goes on');
$standby->stop;
done_testing();
