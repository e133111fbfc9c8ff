# Memory: 100,000 refused events, and as many stored ones, in one session.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->start;
$node->safe_psql('postgres', q{CREATE EXTENSION matrix_events; SELECT matrix.create_store('chat')});

# What one backend holds after $n rounds of a statement, less what it held after the first hundred.
sub growth
{
	my ($statement, $rounds) = @_;
	return $node->safe_psql('postgres', qq{
		SET client_min_messages = error;
		CREATE TEMP TABLE held (at int, bytes bigint);
		DO \$\$ BEGIN
			FOR i IN 1 .. $rounds LOOP
				BEGIN $statement; EXCEPTION WHEN data_exception THEN NULL; END;
				IF i IN (100, $rounds) THEN
					INSERT INTO held SELECT i, sum(used_bytes) FROM pg_backend_memory_contexts WHERE name LIKE 'matrix_events%' OR name IN ('TopMemoryContext', 'CacheMemoryContext');
				END IF;
			END LOOP;
		END \$\$;
		SELECT (max(bytes) - min(bytes))::float / min(bytes) FROM held});
}

my $good = q{'{"type":"org.example.x","room_id":"!r:b","sender":"@a:b","origin_server_ts":1,"content":{"a":[1,2,{"b":"c"}]}}'};
cmp_ok(growth(q{INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message","content":{"msgtype":1,"x":[{"y":1.5}]}}')}, 100000),
	'<', 0.05, 'refused with an error');
cmp_ok(growth(q{SET LOCAL matrix_events.on_invalid = 'quarantine'; INSERT INTO chat.events (raw) VALUES ('not json')}, 20000),
	'<', 0.05, 'refused into quarantine');
cmp_ok(growth("INSERT INTO chat.events (raw) VALUES ($good)", 20000), '<', 0.05, 'stored');
cmp_ok(growth(q{
	INSERT INTO chat.events (type, room_id, sender, event_id, content) VALUES ('m.room.message', '!r:b', '@a:b', '$m' || i, '{"msgtype": "m.text", "body": "b"}');
	INSERT INTO chat.events (type, room_id, sender, content, extra) VALUES ('m.room.redaction', '!r:b', '@a:b', '{}', jsonb_build_object('redacts', '$m' || i))}, 5000),
	'<', 0.05, 'redacted');
# What one statement needs at most does not follow its length.
my @peak = split /\n/, $node->safe_psql('postgres', q{
	SET client_min_messages = error;
	INSERT INTO chat.events (type, room_id, sender, event_id, content) SELECT 'm.room.message', '!r:b', '@a:b', '$n' || i, '{"msgtype": "m.text", "body": "b"}' FROM generate_series(1, 80000) i;
	CREATE FUNCTION peak() RETURNS text LANGUAGE sql AS $$ SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status', 0, 10000, true), 'VmHWM:\s*(\d+)') $$;
	CREATE FUNCTION redacts(low int, high int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO chat.events (type, room_id, sender, content, extra) SELECT 'm.room.redaction', '!r:b', '@a:b', '{}', jsonb_build_object('redacts', '$n' || i) FROM generate_series(low, high) i $$;
	SELECT redacts(1, 20000);
	SELECT peak();
	SELECT redacts(20001, 80000);
	SELECT peak()});
@peak = grep { /\d/ } @peak;
SKIP:
{
	skip 'no /proc here', 2 if @peak != 2;
	cmp_ok($peak[0], '<', 300000, 'redacted by one statement');
	cmp_ok($peak[1], '<', 2 * $peak[0], 'redacted by one three times as long');
}
cmp_ok(growth("PERFORM count(*) FROM matrix.validate($good); PERFORM matrix.is_valid('{'), matrix.canonical_json('{\"a\":\"\\u0000\"}')", 100000),
	'<', 0.05, 'validated');
is($node->safe_psql('postgres', q{SELECT count(*) FROM chat.events WHERE type = 'org.example.x'}), '20000', 'the good ones are there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM chat.rejected'), '20000', 'the quarantined ones are there');
$node->stop;
done_testing();
