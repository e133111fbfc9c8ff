# A store survives: dump and restore, a killed server, a replica's promotion.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1, extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION matrix_events;
	SELECT matrix.create_store('chat', server_name => 'example.org');
	SELECT matrix.register_event_type('chat', 'org.example.poll', '{"required": ["q"]}');
	INSERT INTO chat.events (type, room_id, sender, content)
		SELECT 'org.example.poll', '!r:example.org', '@a:example.org', jsonb_build_object('q', i) FROM generate_series(1, 1000) i;
	INSERT INTO chat.events (raw) VALUES
		('{"type":"org.example.nul","event_id":"$nul","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"content":{"a":"\u0000"}}');
	SET matrix_events.on_invalid = 'quarantine';
	INSERT INTO chat.events (raw) VALUES ('no event');
});

my $sum = q{SELECT count(*), max(stream_id), md5(string_agg(e::text, '' ORDER BY stream_id)) FROM chat.events e};
my $before = $node->safe_psql('postgres', $sum);

# A dump holds everything, and restores without a trigger taking events twice.
my $dump = $node->basedir . '/dump.sql';
$node->command_ok(['pg_dump', '-f', $dump, $node->connstr('postgres')], 'pg_dump');
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$other->start;
# Into a database of another collation, where this server can have one.
my ($no_icu) = $other->psql('postgres',
	q{CREATE DATABASE restored TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk'});
$other->safe_psql('postgres', 'CREATE DATABASE restored') if $no_icu;
$other->command_ok(['psql', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('restored'), '-f', $dump], 'restore');
is($other->safe_psql('restored', $sum), $before, 'the same events, at the same positions');
is($other->safe_psql('restored', 'SELECT count(*) FROM chat.rejected'), '1', 'the rejected one too');
is($other->safe_psql('restored', q{
	INSERT INTO chat.events (type, content) VALUES ('org.example.x', '{}') RETURNING stream_id > 1001}), 't', 'positions go on');
my ($status, $out, $err) = $other->psql('restored', q{INSERT INTO chat.events (type, content) VALUES ('org.example.poll', '{}')});
like($err, qr/content\.q is required/, 'the registered type still binds');
$other->stop;

# kill -9 of the whole server in the middle of writing.
my $session = IPC::Run::start(['psql', '-Xqd', $node->connstr('postgres'), '-c', q{
	DO $$ BEGIN LOOP
		INSERT INTO chat.events (type, room_id, sender, content) VALUES ('org.example.poll', '!r:b', '@a:b', '{"q":1}');
		COMMIT;
	END LOOP; END $$}], '>', \my $killed_out, '2>', \my $killed_err);
$node->poll_query_until('postgres', 'SELECT count(*) > 1200 FROM chat.events') or die 'no progress';
$node->stop('immediate');
$session->finish;
$node->start;
is($node->safe_psql('postgres', q{SELECT count(*) = count(DISTINCT stream_id) AND count(*) > 1200 FROM chat.events}), 't', 'recovered');
is($node->safe_psql('postgres', q{
	WITH old AS MATERIALIZED (SELECT max(stream_id) AS m FROM chat.events)
	SELECT last_value >= m FROM old, chat.events_stream_id}), 't', 'the sequence is not behind the rows');

# A standby reads, validates, and writes once it is promoted.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', $sum), $node->safe_psql('postgres', $sum), 'a standby has the same events');
is($standby->safe_psql('postgres', q{SELECT matrix.is_valid('{}')}), 'f', 'and validates');
$node->stop;
$standby->promote;
is($standby->safe_psql('postgres', q{
	WITH old AS MATERIALIZED (SELECT max(stream_id) AS m FROM chat.events),
		new AS (INSERT INTO chat.events (type, content) VALUES ('org.example.x', '{}') RETURNING stream_id)
	SELECT stream_id > m FROM old, new}), 't', 'positions go on after a promotion');
$standby->stop;
done_testing();
