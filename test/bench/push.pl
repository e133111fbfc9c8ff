#!/usr/bin/perl
# push.pl DOCS_FOLDER: writers beside each way of pushing, the way of an event to a worker, and reading the stream; writes benchmarks.md's second table.
use strict;
use warnings;
use DBI;
use FindBin;
use lib $FindBin::RealBin;
use Bench;
use IO::Handle;
use IO::Select;
use Time::HiRes qw(time);

my ($docs) = @ARGV;
my $rounds = $ENV{BENCH_ROUNDS} // 3;

sql(q{CREATE EXTENSION matrix_events}, q{SELECT matrix.create_store('chat', 'x'), matrix.create_store('rows', 'x'), matrix.create_store('read', 'x')},
	# What people write: a notification for each row.
	q{UPDATE rows.settings SET push = 'off'},
	q{CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM pg_notify('rows', json_build_object('id', NEW.stream_id, 'type', NEW.type, 'room', NEW.room_id, 'event_id', NEW.event_id)::text); RETURN NULL; END $$},
	q{CREATE TRIGGER z_tell AFTER INSERT ON rows.events FOR EACH ROW EXECUTE FUNCTION tell()});
my %ways = (off => 'chat', commit => 'chat', relay => 'chat', 'a row trigger' => 'rows');

sub written
{
	my ($way, $writers) = @_;
	my $store = $ways{$way};
	sql("TRUNCATE $store.events", 'TRUNCATE chat.push_queue', $store eq 'chat' ? "UPDATE chat.settings SET push = '$way'" : 'SELECT 1', 'CHECKPOINT');
	my $relay = $way eq 'relay' ? open(my $pipe, '-|', 'matrix-events relay -q -s chat 2>/dev/null') : 0;
	my $seconds = qx(./insert "" 'INSERT INTO $store.events (raw) VALUES (\$1)' 1 $writers 0 few.tsv);
	die "insert failed\n" if $?;
	if ($relay) { kill 'TERM', $relay; waitpid $relay, 0 }
	return $seconds;
}

my $table = sprintf "Durable commits on disk, 4000 single-row inserts of the mix a run, %d rounds: the rate of a store with `push = 'off'` is 1.\n\n"
	. "| writers | listeners | push at commit | by relay | a bare `pg_notify` row trigger | inserts/s with push off |\n| --- | --- | --- | --- | --- | --- |\n", $rounds;
for ([1, 0], [2, 0], [4, 0], [8, 0], [16, 0], [8, 1], [8, 16])
{
	my ($writers, $listeners) = @$_;
	my @open;
	for (1 .. $listeners)
	{
		open my $psql, '|-', 'psql -Xq >/dev/null' or die;
		$psql->autoflush;
		print $psql "LISTEN chat_member; LISTEN chat_presence; LISTEN chat_call; LISTEN rows;\n";
		push @open, $psql;
	}
	my (%ratios, @off);
	for my $round (1 .. $rounds)
	{
		my $off = written('off', $writers);
		my %took;
		$took{$_} = written($_, $writers) for 'commit', 'relay', 'a row trigger';
		$off = ($off + written('off', $writers)) / 2;
		push @off, 4000 / $off;
		push @{ $ratios{$_} }, $off / $took{$_} for keys %took;
	}
	close $_ for @open;
	my $line = sprintf "| %d | %d | %s | %.0f |\n", $writers, $listeners,
		join(' | ', map { sprintf '%.2f (%.2f to %.2f)', median(@$_), (sort { $a <=> $b } @$_)[0, -1] } @ratios{'commit', 'relay', 'a row trigger'}), median(@off);
	print STDERR $line;
	$table .= $line;
}

# From the end of the writer's statement to the event in the worker's hands.
my ($writer, $worker) = map { DBI->connect('dbi:Pg:', undef, undef, {RaiseError => 1, AutoCommit => 1, PrintWarn => 0}) } 1 .. 2;
$writer->do(q{UPDATE chat.settings SET push = 'commit'});
$worker->do(q{SELECT matrix.worker_open('chat', 'bench', after => matrix.position('chat'))});
$worker->do('LISTEN chat_member');
my $socket = IO::Select->new;
open my $handle, '<&=', $worker->{pg_socket} or die;
$socket->add($handle);
my @took;
for my $i (1 .. 500)
{
	$writer->do(q{INSERT INTO chat.events (type, room_id, sender, state_key, content) VALUES ('m.room.member', '!r:x', '@u' || ? || ':x', '@u' || ? || ':x', '{"membership":"join"}')}, undef, $i, $i);
	my $from = time;
	my $events = [];
	until (@$events)
	{
		$socket->can_read(1);
		1 while $worker->pg_notifies;
		$events = $worker->selectall_arrayref(q{SELECT stream_id FROM matrix.worker_fetch('chat', 'bench')});
	}
	push @took, (time - $from) * 1000;
	$worker->do(q{SELECT matrix.worker_ack('chat', 'bench', ?)}, undef, $events->[-1][0]);
}
@took = sort { $a <=> $b } @took;
$table .= sprintf "\nFrom the commit of a member event to the worker that has fetched it, woken by the notification: median %.1f ms, p99 %.1f ms (500 events, one writer).\n",
	median(@took), $took[494];

# Reading the stream, and loading a file.
sql(q{COPY read.events (raw) FROM PROGRAM 'cat } . `pwd` =~ s/\n//r . q{/raw.tsv'});
sub command { my $from = time; system($_[0]) == 0 or die "failed: $_[0]\n"; return time - $from }
my @pairs = (
	map({ my $max = $_; ["`worker_fetch` of $max events", 'SELECT of the same rows', 'rate',
		sub { sql(q{SELECT matrix.worker_open('read', 'bench', after => 0)}); timed("SELECT * FROM matrix.worker_fetch('read', 'bench', $max)", "SELECT * FROM matrix.worker_fetch('read', 'bench', 1)") },
		sub { timed("SELECT * FROM read.events WHERE stream_id > 0 ORDER BY stream_id LIMIT $max", 'SELECT * FROM read.events ORDER BY stream_id LIMIT 1') }] } 100, 1000, 20000),
	["`matrix-events load` of 20000 events", '`psql \\copy` of the same file', 'time',
		sub { sql('TRUNCATE chat.events'); command('matrix-events load -s chat --no-resume events.ndjson 2>/dev/null') },
		sub { sql('TRUNCATE chat.events'); command(q{psql -Xq -c "\\\\copy chat.events (raw) FROM raw.tsv"}) }]);
$table .= "\n| work | against | ratio |\n| --- | --- | --- |\n";
for (@pairs)
{
	my ($what, $against, $kind, $ours, $theirs) = @$_;
	my @ratios;
	$ours->(), $theirs->();
	for (1 .. 3 * $rounds)
	{
		my $a = $ours->();
		my $b = $theirs->() + $theirs->();
		$a += $ours->();
		push @ratios, $kind eq 'rate' ? $b / $a : $a / $b;
	}
	@ratios = sort { $a <=> $b } @ratios;
	my $line = sprintf "| %s | %s | %.2f of its %s (%.2f to %.2f) |\n", $what, $against, median(@ratios), $kind, $ratios[0], $ratios[-1];
	print STDERR $line;
	$table .= $line;
}

write_page($docs, 'push', 'end of push', $table);
