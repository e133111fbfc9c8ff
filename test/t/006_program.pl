# The program matrix-events: validate, load, export, listen, relay.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $conversation = abs_path("$FindBin::RealBin/../data/conversation.ndjson");
my @broken = (45, 54, 61, 66, 95, 96, 128, 132, 160, 161, 178, 179, 184, 185);
my $folder = PostgreSQL::Test::Utils::tempdir();

sub contents
{
	open my $in, '<:raw', $_[0] or die "$_[0]: $!";
	local $/;
	return scalar <$in>;
}

sub file
{
	my ($name, $text) = @_;
	open my $out, '>:raw', "$folder/$name" or die "$folder/$name: $!";
	print $out $text;
	close $out or die "$folder/$name: $!";
	return "$folder/$name";
}

# Runs it; input undef: none.  Its exit status, stdout and stderr.
sub program
{
	my ($input, @arguments) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run(['matrix-events', @arguments], '<', defined $input ? \$input : \'', '>', \$out, '2>', \$err);
	return ($? >> 8, $out, $err);
}

sub event { my ($id, $more) = @_; return qq({"type":"org.example.x","event_id":"\$$id","room_id":"!r:x","sender":"\@a:x","origin_server_ts":1,"content":{}) . ($more // '') . "}\n" }
sub numbers { my ($text, $file) = @_; my %seen; return [grep { !$seen{$_}++ } $text =~ /^\Q$file\E:(\d+): /mg] }

# Without a command, with wrong ones, and what it says of itself.
program_help_ok('matrix-events');
program_version_ok('matrix-events');
program_options_handling_ok('matrix-events');
for my $command (qw(validate load export listen relay))
{
	my ($status, $out, $err) = program(undef, $command, '--help');
	is("$status $err", '0 ', "$command --help");
	like($out, qr/^matrix-events $command .*^Usage: matrix-events $command/ms, "$command --help says how");
	is((program(undef, $command, '--nonsense'))[0], 2, "$command --nonsense");
	is((program(undef, $command))[0], 2, "$command without a store") if $command ne 'validate';
}
is((program(undef))[0], 2, 'no command');
is((program(undef, 'load', '--store', 'chat', '--batch', '0'))[0], 2, 'a number out of range');
is((program(undef, 'validate', '--store', 'chat'))[0], 2, "another command's option");
is((program(undef, 'listen', '--store', 'chat', '--worker', 'w', '--since', '1'))[0], 2, 'options that exclude each other');

# validate
my ($status, $out, $err) = program(undef, 'validate', $conversation);
is($status, 1, 'validate: some are invalid');
is_deeply(numbers($out, $conversation), \@broken, 'the broken lines by their numbers');
like($out, qr/^\Q$conversation\E:128: sender: is not a user ID/m, 'path and message');
like($out, qr/^\Q$conversation\E:54: is not JSON/m, 'no path for the whole event');
is_deeply([program(contents($conversation), 'validate', '-q')], [1, '', ''], 'stdin, quietly');
($status, $out, $err) = program(undef, 'validate', glob("$FindBin::RealBin/../data/events/*.ndjson"));
is("$status$out$err", '0', 'files that are valid');
is((program("\n \r\n" . event('a') . "\n", 'validate'))[0], 0, 'blank lines');
($status, $out, $err) = program(event('a') . substr(event('b'), 0, -2), 'validate', '-');
like($out, qr/^stdin:2: is not JSON/, 'a last line without newline');
($status, $out, $err) = program(event('a') . "\n" . '[' x 3_000_000 . "\n{\"a\":\"\xff\"}\n\0\n" . event('b') . '[' x 1001 . "\n", 'validate');
is_deeply(numbers($out, 'stdin'), [3, 4, 5, 7], 'a huge line, wrong bytes, depth');
like($out, qr/^stdin:3: is longer than/m, 'the huge line');
is((program(undef, 'validate', "$folder/missing"))[0], 2, 'a missing file');
is((program(undef, 'validate', $folder))[0], 2, 'a folder');
is((program(undef, 'validate', "$folder/missing", $conversation))[0], 2, 'a missing file is worse than an invalid event');

my $node = PostgreSQL::Test::Cluster->new('program');
$node->init(allows_streaming => 1, extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION matrix_events');
my @server = ('-d', $node->connstr('postgres'));
sub query { return $node->safe_psql('postgres', $_[0]) }
sub store { my ($name) = @_; query("SELECT matrix.create_store('$name')"); return $name }
# The events of a store in the order of the stream, without what differs from load to load.
sub events_of { my ($name) = @_; return query(qq{SELECT matrix.event_json(e) - CASE WHEN e.room_id IS NULL THEN 'event_id' ELSE '' END FROM "$name".events e ORDER BY stream_id}) }
sub loads_of { my ($name) = @_; return query(qq{SELECT source, bytes, lines FROM "$name".loads ORDER BY 1}) }

# load
my $size = -s $conversation;
($status, $out, $err) = program(undef, 'load', @server, '-s', store('chat'), $conversation);
is("$status $out", '0 ', 'load');
is_deeply(numbers($err, $conversation), \@broken, 'what was refused, by line');
like($err, qr/^\Q$conversation\E:185: state_key: is required$/m, 'with path and reason');
like($err, qr/: 317 taken, 0 known, 14 refused, /, 'sum');
is(query('SELECT count(*) FROM chat.events'), '317', 'events');
is(query('SELECT count(*) FROM chat.rejected'), '14', 'rejected');
is(loads_of('chat'), "$conversation|$size|331", 'loads');
my $whole = events_of('chat');
($status, $out, $err) = program(undef, 'load', @server, '-s', 'chat', $conversation);
is($status, 0, 'once more');
like($err, qr/is already loaded/, 'says so');
is(query('SELECT count(*) FROM chat.rejected'), '14', 'and does nothing');
($status, $out, $err) = program(undef, 'load', @server, '-s', 'chat', '--no-resume', $conversation);
# Presence, receipts and the like have no event_id to be known by.
my $without_id = query('SELECT count(*) FROM chat.events') - 317;
like($err, qr/: $without_id taken, @{[317 - $without_id]} known, 14 refused, /, 'from the beginning: the events are known');

# A file that grew, one that shrank, and one that is named.
my $growing = file('growing', event('a') . event('b') . "broken\n");
program(undef, 'load', @server, '-s', store('grown'), $growing);
file('growing', contents($growing) . "\n" . event('c') . "broken\n");
($status, $out, $err) = program(undef, 'load', @server, '-s', 'grown', $growing);
like($err, qr/going on after line 3.*growing:6: is not JSON.*: 1 taken, 0 known, 1 refused/s, 'only the new lines, by their numbers');
file('growing', event('a'));
($status, $out, $err) = program(undef, 'load', @server, '-s', 'grown', $growing);
is($status, 2, 'a file that shrank');
like($err, qr/shorter than what is loaded/, 'says so');
is(query('SELECT count(*) FROM grown.events'), '3', 'and nothing happens');
program(event('d'), 'load', @server, '-s', 'grown', '--name', 'feed');
program(event('d') . event('e'), 'load', @server, '-s', 'grown', '--name', 'feed', '-');
is(query(q{SELECT lines FROM grown.loads WHERE source = 'feed'}), '2', 'stdin with a name goes on');
is(query('SELECT count(*) FROM grown.loads'), '2', 'stdin without one leaves no row');

# Lines that COPY would trip over, and what PostgreSQL cannot hold.
my $odd = join '', "\\.\n", "\\N\n", "a\tb\r\n", "\x01\x02\n", event('odd', q(,"x":"\u0000\\\\")), "\\\n", "bad \xff\xfe\n", "nul \0 byte\n", "\xed\xa0\x80\n", event('last');
($status, $out, $err) = program($odd, 'load', @server, '-s', store('odd'), '--batch', 3);
is($status, 1, 'lines that could not be kept');
is_deeply(numbers($err, 'stdin'), [1, 2, 3, 4, 6, 7, 8, 9], 'reported') or diag $err;
like($err, qr/^stdin:7: is not UTF-8\nstdin:8: holds a NUL byte\nstdin:9: is not UTF-8$/m, 'and why');
like($err, qr/: 2 taken, 0 known, 8 refused/, 'the others are taken');
is(query(q{SELECT string_agg(raw, ',' ORDER BY rejected_id) FROM odd.rejected}), "\\.,\\N,a\tb\r,\x01\x02,\\", 'as they came');
is(query('SELECT count(*) FROM odd.loads'), '0', 'no row is left');

# The same broken line again and again, a conflict, a call that is refused at the statement's end.
my $call = q({"type":"m.call.invite","event_id":"$call","room_id":"!r:x","sender":"@a:x","origin_server_ts":3,"content":{"call_id":"c","version":0,"lifetime":1,"offer":{"type":"offer","sdp":""}}});
my $member = join '', map { qq({"type":"m.room.member","event_id":"\$m$_","room_id":"!r:x","sender":"\@$_:x","state_key":"\@$_:x","origin_server_ts":1,"content":{"membership":"join"}}\n) } qw(a b c);
my $again = "broken\n" . event('a') . "broken\n" . $member . "broken\n$call\n" . event('a') . event('a') =~ s/!r:x/!other:x/r;
($status, $out, $err) = program($again, 'load', @server, '-s', store('again'));
is_deeply([sort { $a <=> $b } @{numbers($err, 'stdin')}], [1, 3, 7, 8, 10], 'each of them by its line') or diag $err;
like($err, qr/^stdin:8: room_id: must be a room with exactly two joined members/m, 'the call');
like($err, qr/^stdin:10: event_id: belongs to another event/m, 'the conflict');
like($err, qr/: 4 taken, 1 known, 5 refused/, 'sum');

# --strict
my $strict = file('strict', event('a') . event('b') . "\n" . event('c') . "broken\n" . event('d'));
($status, $out, $err) = program(undef, 'load', @server, '-s', store('strict'), '--strict', '--batch', 2, $strict);
is($status, 1, 'strict');
like($err, qr/^\Q$strict\E:5: invalid Matrix event: the event is not JSON/m, 'stops at the line');
is(query('SELECT count(*) FROM strict.events'), '2', 'what was committed stays');
is(query('SELECT lines FROM strict.loads'), '2', 'and loads says so');
file('strict', contents($strict) =~ s/broken/ /r);
is((program(undef, 'load', @server, '-s', 'strict', '--strict', $strict))[0], 0, 'it goes on when the line is mended');
is(events_of('strict') =~ tr/\n// + 1, 4, 'each event once');
($status, $out, $err) = program("\xff\n", 'load', @server, '-s', 'strict', '--strict');
like("$status $err", qr/^1 stdin:1: is not UTF-8/, 'strict with what is no text');
is(query('SELECT count(*) FROM strict.loads'), '1', 'stdin leaves no row');

# Who may load.
query(q{CREATE ROLE loader LOGIN; GRANT USAGE ON SCHEMA chat TO loader; GRANT INSERT ON chat.events TO loader});
($status, $out, $err) = program(event('z'), 'load', @server, '-U', 'loader', '-s', 'chat');
is($status, 2, 'a role without the rights');
like($err, qr/permission denied for table loads/, 'says which');
query(q{GRANT SELECT, INSERT, UPDATE, DELETE ON chat.loads TO loader; GRANT SELECT ON chat.rejected TO loader});
is((program(event('z') . "broken\n", 'load', @server, '-U', 'loader', '-s', 'chat'))[0], 0, 'with them');
is((program(event('z'), 'load', @server, '-s', 'nowhere'))[0], 2, 'no such store');
is((program(event('z'), 'load', '-d', 'host=/nowhere', '-s', 'chat'))[0], 2, 'no server');

# A server that is killed in the middle: each line once, each refused line reported once.
my $long = file('long', join '', map { $_ % 1000 == 500 ? "broken $_\n" : event("e$_") } 1 .. 20000);
program(undef, 'load', @server, '-s', store('quiet'), $long);
sub begin
{
	my ($input, @arguments) = @_;
	my ($out, $err) = ('', '');
	my @command = $arguments[-1] eq '-' ? ('sh', '-c', q(cat "$0" | exec matrix-events "$@"), $long) : 'matrix-events';
	return {out => \$out, err => \$err, run => IPC::Run::start([@command, @arguments], '<', $input, '>', \$out, '2>', \$err)};
}
sub finish { my ($program) = @_; $program->{run}->finish; return $? }
my $hold = q{CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1) FROM pg_class WHERE NEW.event_id = '$e12345' LIMIT 1; RETURN NEW; END $$};
sub held { return query(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) }
for my $way (qw(file stdin))
{
	# The transaction that has e12345 waits for us, so it is there when the server dies.
	query(q{SELECT matrix.create_store('killed'); } . ($way eq 'file' ? "$hold;" : '') . q{
		CREATE TRIGGER z_hold BEFORE INSERT ON killed.events FOR EACH ROW EXECUTE FUNCTION hold()});
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('SELECT pg_advisory_lock(1)');
	# A pipe of ours would be inherited by the server that we start, and never end.
	my $loading = begin(\'', 'load', @server, '-s', 'killed', '--batch', 700, $way eq 'file' ? $long : '-');
	my $waiting = 0;
	for (1 .. 1800)
	{
		$loading->{run}->pump_nb;
		last if $waiting = held();
		usleep(100_000);
	}
	is($waiting, 1, "$way: a batch is under way");
	$node->stop('immediate');
	$node->start;
	is(finish($loading), 0, "$way: it comes to its end");
	like(${ $loading->{err} }, qr/trying again\n(.*\n)*matrix-events: connected again/, "$way: after another try") or diag ${ $loading->{err} };
	is(events_of('killed'), events_of('quiet'), "$way: the same events as without the crash");
	is(query('SELECT count(*) FROM killed.rejected'), '20', "$way: each refused line once");
	is_deeply(numbers(${ $loading->{err} }, $way eq 'file' ? $long : 'stdin'), [map { $_ * 1000 + 500 } 0 .. 19], "$way: each reported");
	eval { $locker->quit };
	query(q{SELECT matrix.drop_store('killed', true)});
}

# The program is killed: the next one goes on where its last transaction ended.
query(qq{SELECT matrix.create_store('killed'); CREATE TRIGGER z_hold BEFORE INSERT ON killed.events FOR EACH ROW EXECUTE FUNCTION hold()});
my $locker = $node->background_psql('postgres');
$locker->query_safe('SELECT pg_advisory_lock(1)');
my $victim = begin(\'', 'load', @server, '-s', 'killed', '--batch', 700, $long);
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}), 'a batch is under way');
$victim->{run}->signal('KILL');
finish($victim);
$locker->quit;
like((program(undef, 'load', @server, '-s', 'killed', $long))[2], qr/going on after line 11900\n/, 'the program was killed');
is(events_of('killed'), events_of('quiet'), 'the same events as if it was not');
is(query('SELECT count(*) FROM killed.rejected'), '20', 'each refused line once');

# The answer to COMMIT is lost, the transaction is not: a commit that waits for a standby is there already.
my $doubt = file('doubt', event('first'));
program(undef, 'load', @server, '-s', store('doubt'), $doubt);
file('doubt', contents($doubt) . event('second') . "broken\n" . event('third'));
$node->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'\nsynchronous_commit = local\n");
$node->reload;
my $doubtful;
{
	local $ENV{PGOPTIONS} = '-c synchronous_commit=on';
	$doubtful = begin(\'', 'load', @server, '-s', 'doubt', $doubt);
}
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT'}), 'a commit waits');
$node->append_conf('postgresql.conf', "synchronous_standby_names = ''\n");
$node->stop('immediate');
$node->start;
is(finish($doubtful), 0, 'its answer is lost');
like(${ $doubtful->{err} }, qr/trying again\n(.*\n)*matrix-events: connected again\n\Q$doubt\E:3: is not JSON.*\n.*: 2 taken, 0 known, 1 refused/, 'it is found to be done, and reported once');
is(query('SELECT count(*) FROM doubt.events') . query('SELECT count(*) FROM doubt.rejected'), '31', 'nothing is there twice');

# It gives up when the server stays away.
$node->stop;
is((program(undef, 'load', @server, '-s', 'quiet', '--retry', 0, $long))[0], 2, 'no server at the beginning');
$node->start;
my $patient = begin(\'', 'relay', @server, '-s', 'quiet', '--retry', 1);
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'SELECT matrix.relay($1)'}), 'a server');
$node->stop;
is(finish($patient) >> 8, 2, 'that does not come back');
like(${ $patient->{err} }, qr/gave up after 1 s: /, 'in time');
$node->start;

# A signal: the batch at hand is finished, and the same command goes on.
query(q{SELECT matrix.create_store('stopped')});
pipe(my $reader, my $writer) or die $!;
my $feed = begin($reader, 'load', @server, '-s', 'stopped', '--name', 'feed');
close $reader;
$writer->autoflush(1);
print $writer event("s$_") for 1 .. 100;
ok($node->poll_query_until('postgres', 'SELECT count(*) = 100 FROM stopped.events'), 'a pipe that pauses does not hold up its lines');
$feed->{run}->signal('TERM');
is(finish($feed) >> 8, 128 + 15, 'a signal');
close $writer;
like(${ $feed->{err} }, qr/stdin is loaded up to line 100 .*goes on from there/, 'says where');
($status, $out, $err) = program(join('', map { event("s$_") } 1 .. 150), 'load', @server, '-s', 'stopped', '--name', 'feed');
like($err, qr/: 50 taken, 0 known/, 'goes on');

# export
store('copy');
($status, $out, $err) = program(undef, 'export', @server, '-s', 'odd');
is($status, 0, 'export');
is($out =~ tr/\n//, 2, 'a line each');
like($out, qr/^[^\n]*\\u0000\\\\[^\n]*\n/, 'U+0000 and backslashes as they came');
program(undef, 'export', @server, '-s', 'chat', '-o', "$folder/exported");
is((program(undef, 'load', @server, '-s', 'copy', "$folder/exported"))[0], 0, 'and back in');
is(query(q{SELECT string_agg(matrix.event_json(e)::text, ',' ORDER BY stream_id) FROM copy.events e}),
	query(q{SELECT string_agg(matrix.event_json(e)::text, ',' ORDER BY stream_id) FROM chat.events e}), 'the same events');
($status, $out, $err) = program(undef, 'export', @server, '-s', 'chat', '--room', '!garden:example.org', '--type', 'm.room.name', '--type', 'm.room.topic', '--room', 'x"\',{');
is(join(' ', sort map { /"type": "(m\.room\.\w+)"/ } split /\n/, $out),
	query(q{SELECT string_agg(type, ' ' ORDER BY type) FROM chat.events WHERE room_id = '!garden:example.org' AND type IN ('m.room.name', 'm.room.topic')}), 'by room and type');
my $position = query(q{SELECT matrix.position('chat')});
($status, $out, $err) = program(undef, 'export', @server, '-s', 'chat', '--since', 10, '--until', 20);
is($out =~ tr/\n//, query('SELECT count(*) FROM chat.events WHERE stream_id > 10 AND stream_id <= 20'), 'a part');
is($err, "last: 20\n", 'and where it ended');
is((program(undef, 'export', @server, '-s', 'chat'))[2], "last: $position\n", 'where the stream ends');
query(q{INSERT INTO stopped.events (stream_id, raw) VALUES (-1, '} . event('old') . q{')});
is((program(undef, 'export', @server, '-s', 'stopped'))[1] =~ tr/\n//, 150, 'without history');
like((program(undef, 'export', @server, '-s', 'stopped', '--history'))[1], qr/\A[^\n]*"\$old"/, 'with history, and that first');

# listen
sub ids { return join ' ', $_[0] =~ /^\{"stream_id": (-?\d+), "event": \{.*\}\}$/mg }
($status, $out, $err) = program(undef, 'listen', @server, '-s', 'stopped', '--since', 140, '--once', '--max', 3);
is("$status " . ids($out), '0 ' . join(' ', 141 .. 150), 'listen since a position');
is($err, "last: 150\n", 'and where it ended');
is((program(undef, 'listen', @server, '-s', 'stopped', '--once'))[1], '', 'from now on: nothing');
is(ids((program(undef, 'listen', @server, '-s', 'chat', '--since', 0, '--once', '--type', 'm.room.name', '--sender', '@alice:example.org', '--max', 2))[1]),
	query(q{SELECT string_agg(stream_id::text, ' ' ORDER BY stream_id) FROM chat.events WHERE type = 'm.room.name' AND sender = '@alice:example.org'}), 'by type and sender');
like((program(undef, 'listen', @server, '-s', 'odd', '--since', 0, '--once'))[1], qr/"event": \{[^\n]*\\u0000\\\\/, 'the event as it came');

# A worker: what it wrote is acknowledged.
my @worker = ('listen', @server, '-s', 'stopped', '--worker', 'w', '--once');
is(ids((program(undef, @worker, '--max', 7))[1]), join(' ', 1 .. 150), 'a new worker reads from the beginning');
is((program(undef, @worker))[1], '', 'and nothing twice');
query(q{INSERT INTO stopped.events (raw) VALUES ('} . event('new') . q{')});
is(ids((program(undef, @worker))[1]), '151', 'what is new');

# It follows, and after the server was away it goes on without a gap.
my $following = begin(\'', 'listen', @server, '-s', 'stopped', '--since', 149, '--poll', 100);
sub comes
{
	my ($program, $pattern) = @_;
	for (1 .. 1800)
	{
		$program->{run}->pump_nb;
		return 1 if ${ $program->{out} } =~ $pattern;
		usleep(100_000);
	}
	return 0;
}
ok(comes($following, qr/"\$new"/), 'it has caught up');
query(q{INSERT INTO stopped.events (raw) VALUES ('} . event('live1') . q{')});
ok(comes($following, qr/"\$live1"/), 'an event comes');
$node->stop('immediate');
$node->start;
query(q{INSERT INTO stopped.events (raw) VALUES ('} . event('live2') . q{')});
ok(comes($following, qr/"\$live2"/), 'the server went and came');
$following->{run}->signal('INT');
is(finish($following), 0, 'it ends when it is asked to');
is(query(q{SELECT count(*) FROM stopped.events WHERE stream_id > 149}), scalar(split / /, ids(${ $following->{out} })), 'each event once');

# --exec
my $log = "$folder/log";
($status, $out, $err) = program(undef, 'listen', @server, '-s', 'chat', '--since', 0, '--type', 'm.room.topic', '--once',
	'--exec', qq(printf '%s %s %s %s %s ' "\$MATRIX_STREAM_ID" "\$MATRIX_EVENT_ID" "\$MATRIX_TYPE" "\$MATRIX_ROOM_ID" "\$MATRIX_SENDER" >> '$log'; cat >> '$log'));
is("$status$out", '0', 'a command for each event');
is(contents($log) =~ s/^(\S+ \S+ \S+ \S+ \S+) \{"stream_id": \d+, "event": \{.*\}\}$/$1/mgr,
	query(q{SELECT string_agg(concat_ws(' ', stream_id, event_id, type, room_id, sender) || E'\n', '' ORDER BY stream_id) FROM chat.events WHERE type = 'm.room.topic'}), 'with the event as input and in the environment');
($status, $out, $err) = program(undef, 'listen', @server, '-s', 'stopped', '--since', 148, '--once', '--exec', 'test $MATRIX_STREAM_ID != 149');
is($status, 0, 'a command that fails and reads nothing');
is(join("\n", $err =~ /^.*failed.*$/mg), 'matrix-events: the command failed for the event at 149: exit status 1', 'is reported');
unlink $log;
# The second event fails twice: it is given again, and none before it.
($status, $out, $err) = program(undef, 'listen', @server, '-s', 'stopped', '--worker', 'x', '--once', '--max', 5,
	'--exec', qq(echo \$MATRIX_STREAM_ID >> '$log'; test \$MATRIX_STREAM_ID != 2 || test `grep -c '^2\$' '$log'` = 3));
is($status, 0, 'a worker whose command fails');
is(join(' ', (split /\n/, contents($log))[0 .. 5]), '1 2 2 2 3 4', 'gets the event again, in order');
is(() = $err =~ /failed for the event at 2: exit status 1/g, 2, 'and says so');

# relay
my $relay = begin(\'', 'relay', @server, '-s', 'stopped', '--interval', 10);
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'SELECT matrix.relay($1)'}), 'relay calls matrix.relay');
$node->restart;
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'SELECT matrix.relay($1)'}), 'again when the server is back');
$relay->{run}->signal('TERM');
is(finish($relay), 0, 'it ends when it is asked to');
$node->stop;
done_testing();
