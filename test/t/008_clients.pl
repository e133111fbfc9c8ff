# The workers of docs/workers.md, as they stand there: each gets what was there before it came, what is pushed while it runs, and what came while it was cut
# off; and one through pgbouncer. A client that this machine does not have is skipped.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
# JDBC knows no unix sockets.
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION matrix_events;
	SELECT matrix.create_store('chat');
	CREATE FUNCTION write(id text) RETURNS void LANGUAGE sql AS $$
		INSERT INTO chat.events (event_id, type, room_id, sender, state_key, content)
		VALUES ('$' || id, 'm.room.member', '!r:x', '@a:x', '@a:x', jsonb_build_object('membership', 'join', 'displayname', id)) $$;
	SELECT write('before');
});
sub value { return $node->safe_psql('postgres', $_[0]) }

my $workers = do { local (@ARGV, $/) = "$FindBin::RealBin/../../docs/workers.md"; <> };
sub code { my ($title, $language) = @_; return $workers =~ /^### \Q$title\E.*?^```\Q$language\E\n(.*?)^```/ms ? $1 : die "docs/workers.md has no $title" }
my $folder = PostgreSQL::Test::Utils::tempdir();
my ($node_js) = grep { -x } map { "$_/node" } split /:/, $ENV{PATH};
$node_js //= '/usr/bin/node';
my $java = '/usr/bin/java';
my %clients = (
	shell => {code => code('psql, in a shell', 'sh'), run => ['sh'], test => ['true']},
	python => {code => code('Python (psycopg)', 'python'), run => ['/usr/bin/python3'], test => ['/usr/bin/python3', '-c', 'import psycopg']},
	node => {code => code('Node (pg)', 'js'), run => [$node_js], test => [$node_js, '-e', 'require("pg")']},
	java => {code => code('Java (JDBC)', 'java'), run => [$java, '-cp', '/usr/share/java/postgresql.jar'], test => ['sh', '-c', "test -f /usr/share/java/postgresql.jar && test -f \$(dirname \$(readlink -f $java))/javac"]},
	perl => {code => code('Perl (DBD::Pg)', 'perl'), run => ['/usr/bin/perl'], test => ['/usr/bin/perl', '-e', 'use DBD::Pg']});

# Driven by PGHOST and the like, as all of them are.
@ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'postgres', value('SELECT current_user'));

$ENV{DATABASE_URL} = 'jdbc:postgresql://127.0.0.1:' . $node->port . "/postgres?user=$ENV{PGUSER}";

sub start
{
	my ($name) = @_;
	my $file = "$folder/$name" . ($name eq 'java' ? '.java' : '');
	open my $out, '>', $file or die;
	print $out $clients{$name}{code};
	close $out;
	my ($stdout, $stderr) = ('', '');
	return {out => \$stdout, err => \$stderr, run => IPC::Run::start([@{ $clients{$name}{run} }, $file], '>', \$stdout, '2>', \$stderr)};
}

sub has
{
	my ($session, $text) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$session->{run}->pump_nb;
		return 1 if ${ $session->{out} } =~ /\$\Q$text\E /;
		last unless $session->{run}->pumpable;
		usleep(100_000);
	}
	diag("no $text in: ${ $session->{out} }${ $session->{err} }");
	return 0;
}

sub stop { my ($session) = @_; $session->{run}->kill_kill; }

for my $name (sort keys %clients)
{
	SKIP:
	{
		skip "no $name client here", 4 if !-x $clients{$name}{run}[0] && $name ne 'shell' || system(@{ $clients{$name}{test} }) != 0;
		my $session = start($name);
		ok(has($session, 'before'), "$name: what was there");
		value("SELECT write('$name-live')");
		ok(has($session, "$name-live"), "$name: what comes while it runs");
		stop($session);
		value("SELECT write('$name-away')");
		$session = start($name);
		ok(has($session, "$name-away"), "$name: what came while it was away");
		stop($session);
		unlike(${ $session->{out} }, qr/\$before /, "$name: and nothing that it has acknowledged");
	}
}

# Whatever is written, every write commits and every payload is JSON of what a notification can hold.
{
	my $letters = q{repeat(U&'\+01F600', 40) || repeat('"', 60)};
	my ($out, $err) = ('', '');
	my $status = $node->psql('postgres', qq{
		LISTEN chat_member; LISTEN chat_presence; LISTEN chat_call;
		INSERT INTO chat.events (type, room_id, sender, content)
			VALUES ('m.room.message', '!big:x', '\@a:x', jsonb_build_object('msgtype', 'm.text', 'body', repeat('"', 30000)));
		INSERT INTO chat.events (event_id, type, room_id, sender, state_key, content)
			SELECT '\$' || u, 'm.room.member', '!' || $letters, u, u, '{"membership": "join"}' FROM (SELECT '\@' || repeat(U&'\\0007', 200) || i || ':x' AS u FROM generate_series(1, 9) i) s;
		INSERT INTO chat.events (event_id, type, room_id, sender, content)
			SELECT '\$c' || repeat(U&'\\0007', 200), 'm.call.invite', '!' || $letters, '\@' || repeat(U&'\\0007', 200) || '1:x',
				jsonb_build_object('call_id', repeat(U&'\\0007', 255), 'version', '1', 'party_id', 'p', 'lifetime', 60000, 'offer', jsonb_build_object('type', 'offer', 'sdp', ''));
		COPY (SELECT json_build_object('type', 'm.room.member', 'event_id', '\$m' || i, 'room_id', '!many:x', 'sender', '\@m' || i || ':x', 'state_key', '\@m' || i || ':x',
			'origin_server_ts', 1, 'content', json_build_object('membership', 'join')) FROM generate_series(1, 100000) i) TO '$folder/many.ndjson';
		COPY chat.events (raw) FROM '$folder/many.ndjson';
		SELECT count(*) FROM chat.members WHERE room_id = '!many:x';
	}, stdout => \$out, stderr => \$err, on_error_stop => 1);
	is($status, 0, 'all of it is written') or diag($err);
	like($out, qr/^100000$/m, 'a hundred thousand members');
	my @payloads = $out =~ /^Asynchronous notification "\w+" with payload "(.*)" received from server process with PID \d+\.$/mg;
	my @read = grep { defined } map { eval { JSON::PP->new->utf8->decode($_) } } @payloads;
	is(scalar(@payloads), 3, 'a notification for each statement that concerns a channel');
	is(scalar(@read), 3, 'all of them JSON');
	is(scalar(grep { length > 7999 } @payloads), 0, 'none is too long');
	is_deeply([map { $_->{more} ? 1 : 0 } @read], [1, 0, 1], 'and those that were cut say so');
	is($read[2]{last}, value('SELECT max(stream_id) FROM chat.events'), 'the last position is told all the same');
}

SKIP:
{
	my ($pgbouncer) = grep { -x } '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer';
	skip 'no pgbouncer here', 3 unless $pgbouncer;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $user = value('SELECT current_user');
	open my $ini, '>', "$folder/pgbouncer.ini" or die;
	print $ini "[databases]\n* = host=" . $node->host . " port=" . $node->port . "\n[pgbouncer]\nunix_socket_dir = $folder\nlisten_addr =\nlisten_port = $port\n",
		"auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nlogfile = $folder/pgbouncer.log\npidfile = $folder/pgbouncer.pid\n";
	close $ini;
	# With auth_type any all are one user, who is named here.
	my $text = do { local (@ARGV, $/) = "$folder/pgbouncer.ini"; <> };
	$text =~ s/^(\* = .*)$/$1 user=$user/m;
	open $ini, '>', "$folder/pgbouncer.ini" or die;
	print $ini $text;
	close $ini;
	my ($out, $err) = ('', '');
	my $bouncer = IPC::Run::start([$pgbouncer, "$folder/pgbouncer.ini"], '>', \$out, '2>', \$err);
	my @pooled = ('psql', '-XqAt', '-h', $folder, '-p', $port, '-d', 'postgres');
	my $up = 0;
	for (1 .. 100) { $up = system("@pooled -c 'SELECT 1' >/dev/null 2>&1") == 0; last if $up; usleep(100_000) }
	ok($up, 'pgbouncer runs') or diag($out, $err);
	value(q{SELECT matrix.worker_open('chat', 'pooled', after => matrix.position('chat'), parts => 2)});
	# Eight processes over two connections, in turns, until nothing is left.
	value(qq{SELECT write('pooled-$_')}) for 1 .. 40;
	my %got;
	for my $turn (1 .. 60)
	{
		my $process = 'p' . $turn % 8;
		my @lines = split /\n/, qx(@pooled -c "SELECT stream_id FROM matrix.worker_fetch('chat', 'pooled', 5, '$process')");
		next unless @lines;
		$got{$_}++ for @lines;
		qx(@pooled -c "SELECT matrix.worker_ack('chat', 'pooled', $lines[-1], '$process')") =~ /t/ or diag("no acknowledgement for $process");
	}
	is(scalar(keys %got), 40, 'behind pgbouncer: every event');
	is(scalar(grep { $_ > 1 } values %got), 0, 'and each once');
	$bouncer->kill_kill;
}
$node->stop;
done_testing();
