# The workers of docs/workers.md, as they stand there: each gets what was there before it came, what is pushed while it runs, and what came while it was cut
# off; and one through pgbouncer. A client that this machine does not have is skipped.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('clients');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
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
my %clients = (
	shell => {code => code('psql, in a shell', 'sh'), run => ['sh'], test => ['true']},
	python => {code => code('Python (psycopg)', 'python'), run => ['/usr/bin/python3'], test => ['/usr/bin/python3', '-c', 'import psycopg']},
	node => {code => code('Node (pg)', 'js'), run => [$node_js], test => [$node_js, '-e', 'require("pg")']},
	perl => {code => code('Perl (DBD::Pg)', 'perl'), run => ['/usr/bin/perl'], test => ['/usr/bin/perl', '-e', 'use DBD::Pg']});

# Driven by PGHOST and the like, as all of them are.
@ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ($node->host, $node->port, 'postgres', value('SELECT current_user'));

sub start
{
	my ($name) = @_;
	open my $out, '>', "$folder/$name" or die;
	print $out $clients{$name}{code};
	close $out;
	my ($stdout, $stderr) = ('', '');
	return {out => \$stdout, err => \$stderr, run => IPC::Run::start([@{ $clients{$name}{run} }, "$folder/$name"], '>', \$stdout, '2>', \$stderr)};
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
	value(q{SELECT matrix.worker_open('chat', 'pooled', parts => 2)});
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
	is(scalar(keys %got), value('SELECT count(*) FROM chat.events WHERE stream_id > 0'), 'behind pgbouncer: every event');
	is(scalar(grep { $_ > 1 } values %got), 0, 'and each once');
	$bouncer->kill_kill;
}
$node->stop;
done_testing();
