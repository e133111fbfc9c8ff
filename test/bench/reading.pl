#!/usr/bin/perl
# reading.pl DOCS_FOLDER: reads beside plain SQL in stores of several sizes, what
# each index costs, hashes beside Python and Node; writes benchmarks.md's third part.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Bench;
use Time::HiRes qw(time);

my ($docs) = @ARGV;
my $rounds = $ENV{BENCH_ROUNDS} // 3;
my $only = $ENV{BENCH_ONLY} // '';
my @sizes = split ' ', $ENV{BENCH_SIZES} // '10000 100000 1000000';

# ---- reads ----

# What is shown of a room, and what plain SQL can do for edits: leave them out.
my $shown = 'e.outlier IS NOT TRUE AND e.rejected IS NOT TRUE AND e.soft_failed IS NOT TRUE';
my $no_edit = q{e.content->'m.relates_to'->>'rel_type' IS DISTINCT FROM 'm.replace'};
my $words = q{to_tsvector('simple', e.content->>'body')};
# From the end of the stream backwards, or all that the index finds: as the planner thinks, or as he says.
sub newest
{
	my ($condition, $first) = @_;
	return ("SELECT e.* FROM STORE.events e WHERE $first AND $condition ORDER BY e.stream_id DESC LIMIT 50",
		"WITH e AS MATERIALIZED (SELECT e.* FROM STORE.events e WHERE $first) SELECT e.* FROM e WHERE $condition ORDER BY e.stream_id DESC LIMIT 50");
}
sub found { my ($condition, $more) = @_; return newest(join(' AND ', $no_edit, $shown, $more // ()), "e.type = 'm.room.message' AND $condition") }
sub matches { return "$words @@ to_tsquery('simple', '$_[0]')" }
my $relates_to = q{coalesce(e.content->'m.relates_to'->>'event_id', e.content->'m.relates_to'->'m.in_reply_to'->>'event_id') COLLATE "C"};
# The room in a form that no index serves, or the planner goes through the room.
my $target = "$relates_to = p.root AND e.room_id IS NOT DISTINCT FROM p.room";
# Of each key one probe, or all events of the room: which is better depends on how many events a key has.
sub state_loop
{
	my ($room, $at) = @_;
	return "WITH RECURSIVE k AS (
			(SELECT e.type, e.state_key FROM STORE.events e WHERE e.room_id = $room AND e.state_key IS NOT NULL ORDER BY e.type, e.state_key LIMIT 1)
			UNION ALL
			SELECT n.* FROM k, LATERAL (SELECT e.type, e.state_key FROM STORE.events e WHERE e.room_id = $room AND e.state_key IS NOT NULL
				AND (e.type, e.state_key) > (k.type, k.state_key) ORDER BY e.type, e.state_key LIMIT 1) n)
		SELECT e.* FROM k, LATERAL (SELECT e.* FROM STORE.events e WHERE e.room_id = $room AND e.type = k.type AND e.state_key = k.state_key
			AND e.stream_id <= $at AND e.stream_id > 0 AND $shown ORDER BY e.stream_id DESC LIMIT 1) e";
}
sub state_distinct
{
	my ($room, $at) = @_;
	return "SELECT DISTINCT ON (e.type, e.state_key) e.* FROM STORE.events e
		WHERE e.room_id = $room AND e.state_key IS NOT NULL AND e.stream_id <= $at AND e.stream_id > 0 AND $shown ORDER BY e.type, e.state_key, e.stream_id DESC";
}
sub state_now { my $room = shift; return "SELECT e.* FROM STORE.room_state s JOIN STORE.events e ON e.stream_id = s.stream_id WHERE s.room_id = $room" }
sub state_pair
{
	my ($what, $room, $at) = @_;
	return [$what, "SELECT * FROM matrix.state_at('STORE', $room, $at)", 'the better of a DISTINCT ON and a recursive loop over the keys', state_distinct($room, $at), state_loop($room, $at)];
}

# What, ours, against what, theirs: one or more, the quickest of which counts.
my @reads = (
	['the last 50 events of a room', q{SELECT * FROM matrix.timeline('STORE', p.room)}, 'WHERE room_id ORDER BY stream_id DESC LIMIT 50',
		"SELECT e.* FROM STORE.events e WHERE e.room_id = p.room AND $shown ORDER BY e.stream_id DESC LIMIT 50"],
	['50 events from the middle of a room', q{SELECT * FROM matrix.timeline('STORE', p.room, before => p.middle)}, 'the same with stream_id <',
		"SELECT e.* FROM STORE.events e WHERE e.room_id = p.room AND e.stream_id < p.middle AND $shown ORDER BY e.stream_id DESC LIMIT 50"],
	['one event by its id', q{SELECT * FROM matrix.event('STORE', p.event)}, 'WHERE event_id =', 'SELECT e.* FROM STORE.events e WHERE e.event_id = p.event'],
	['an event and 10 around it', q{SELECT * FROM matrix.context('STORE', p.event)}, 'UNION ALL of two LIMIT 5 and the event',
		"SELECT c.* FROM STORE.events t, LATERAL ((SELECT e.* FROM STORE.events e WHERE e.room_id = t.room_id AND e.stream_id < t.stream_id AND $shown ORDER BY e.stream_id DESC LIMIT 5)
			UNION ALL SELECT t.* UNION ALL (SELECT e.* FROM STORE.events e WHERE e.room_id = t.room_id AND e.stream_id > t.stream_id AND $shown ORDER BY e.stream_id LIMIT 5)) c
		WHERE t.event_id = p.event ORDER BY c.stream_id"],
	state_pair('state_at of 300 keys, now', 'p.state_room', 1_000_000_000),
	state_pair('state_at of 300 keys, in the past', 'p.state_room', 'p.state_past'),
	state_pair('state_at of 10,000 members, now', q{'!big:x'}, 1_000_000_000),
	state_pair('state_at of 10,000 members, in the past', q{'!big:x'}, 'p.big_past'),
	['the last 50 of 220 relations of an event', q{SELECT * FROM matrix.relations('STORE', p.root)}, 'a btree on the JSON expression and stream_id',
		"SELECT e.* FROM STORE.events e WHERE $target AND $shown ORDER BY e.stream_id DESC LIMIT 50"],
	['the last 50 of a thread', q{SELECT * FROM matrix.thread('STORE', p.root)}, 'the same with rel_type = m.thread',
		"SELECT e.* FROM STORE.events e WHERE $target AND e.content->'m.relates_to'->>'rel_type' = 'm.thread' AND $shown ORDER BY e.stream_id DESC LIMIT 50"],
	['60 reactions of an event by key', q{SELECT * FROM matrix.reactions('STORE', p.root)}, 'the same with GROUP BY',
		"SELECT e.content->'m.relates_to'->>'key' AS key, count(DISTINCT e.sender), array_agg(DISTINCT e.sender) FROM STORE.events e
		WHERE $target AND e.type = 'm.reaction' AND e.content->'m.relates_to'->>'rel_type' = 'm.annotation' AND $shown GROUP BY 1 ORDER BY 2 DESC, 1"],
	['the last edit of an event', q{SELECT * FROM matrix.edit('STORE', p.edited)}, 'the same with ORDER BY origin_server_ts DESC LIMIT 1',
		"SELECT e.* FROM STORE.events o JOIN STORE.events e ON $relates_to = o.event_id AND e.room_id IS NOT DISTINCT FROM o.room_id AND e.sender IS NOT DISTINCT FROM o.sender AND e.type = o.type
		WHERE o.event_id = p.edited AND e.content->'m.relates_to'->>'rel_type' = 'm.replace' AND $shown ORDER BY e.origin_server_ts DESC, e.event_id DESC LIMIT 1"],
	['the last 50 mentions of a user', q{SELECT * FROM matrix.mentions('STORE', p.mentioned)}, 'GIN on the JSON array of user_ids',
		newest($shown, q{e.content->'m.mentions' IS NOT NULL AND e.content->'m.mentions'->'user_ids' ? p.mentioned})],
	['search: a common word in a room', q{SELECT * FROM matrix.search('STORE', 'deploy', ARRAY[p.room])}, q{GIN on to_tsvector('simple', body), ORDER BY stream_id DESC LIMIT 50},
		found(matches('deploy'), 'e.room_id = p.room')],
	['search: a common word everywhere', q{SELECT * FROM matrix.search('STORE', 'deploy')}, 'the same', found(matches('deploy'))],
	['search: a word that 10 events have', q{SELECT * FROM matrix.search('STORE', 'zebra')}, 'the same', found(matches('zebra'))],
	['search: a phrase', q{SELECT * FROM matrix.search('STORE', '"release party"')}, 'the same', found(matches('release <-> party'))],
	['search: the beginning of a word', q{SELECT * FROM matrix.search('STORE', 'confer*')}, 'the same', found(matches('confer:*'))],
	['search: Japanese', q{SELECT * FROM matrix.search('STORE', '天気予報')}, 'GIN of trigrams, LIKE', found(q{e.content->>'body' LIKE '%天気予報%'})],
	['search: a common word, ranked', q{SELECT * FROM matrix.search('STORE', 'deploy', ranked => true)}, 'ts_rank of the newest 1000',
		map { "SELECT * FROM (" . s/LIMIT 50/LIMIT 1000/r . ") e ORDER BY ts_rank($words, to_tsquery('simple', 'deploy')) DESC, e.stream_id DESC LIMIT 50" } found(matches('deploy'))],
);

sub in_turns { my ($ours, $theirs) = @_; my $a = $ours->(); my $b = $theirs->() + $theirs->(); $a += $ours->(); return ($a / 2, $b / 2) }
sub spread { my ($format, @all) = @_; @all = sort { $a <=> $b } @all; return sprintf "$format ($format to $format)", median(@all), @all[0, -1] }

# A function that reads so many times, each time something else.  Its plans are kept by its session.
sub prepare
{
	my ($name, $store, $query) = @_;
	$query =~ s/STORE/$store/g;
	$query = "SELECT * FROM ($query) q" if $query =~ /^WITH/;
	$query =~ s/^SELECT/PERFORM/;
	sql("CREATE OR REPLACE FUNCTION bench.$name(times int) RETURNS void LANGUAGE plpgsql AS \$f\$
		DECLARE p bench.asked; BEGIN
		FOR p IN SELECT a.* FROM generate_series(0, times - 1) g JOIN bench.asked a ON a.store = '$store' AND a.n = g % 200 ORDER BY g LOOP $query; END LOOP; END \$f\$");
	my $times = 1;
	my $run = sub { timed("SELECT bench.$name($times)", "SELECT bench.$name(" . ($times > 20 ? 20 : 1) . ')') / $times };
	# As often as makes a twentieth of a second.
	my $once = $run->();
	$times = 1 + int(0.02 / $once);
	$once = $run->();
	$times = 1 + int(0.06 / $once);
	return ($run, $once);
}

# The answers of both must be the same, or they are no match for each other.
sub check
{
	my ($what, $store, @queries) = @_;
	my @answers = map {
		my $query = s/STORE/$store/gr;
		my $rows = $what =~ /by key/ ? q{md5(string_agg(r.key || r.count, ' '))} : q{md5(string_agg(r.stream_id::text, ' ' ORDER BY r.stream_id))};
		open my $psql, '|-', 'psql -XqAt -v ON_ERROR_STOP=1 >answer' or die;
		print $psql "SELECT p.n, $rows FROM bench.asked p, LATERAL ($query) r WHERE p.store = '$store' AND p.n < 5 GROUP BY p.n ORDER BY p.n";
		close $psql or die "failed: $query\n";
		scalar qx(cat answer)
	} @queries;
	$_ eq $answers[0] && $_ ne '' or die "$what: different answers\n" for @answers;
}

my $table = sprintf "%s, %d rounds.\n", measured(), $rounds;
if (my @works = grep { $_->[0] =~ /(?:$only)/ } @reads)
{
	for my $size (@sizes) { my $from = time; sql("CALL bench.fill('s$size', $size)", "VACUUM ANALYZE s$size.events", "ANALYZE s$size.room_state, bench.asked"); printf STDERR "%d events: %.0f s\n", $size, time - $from }
	sql('CHECKPOINT');
	my ($small, $large) = @sizes[0, -1];
	$table .= sprintf "\n| read | µs with %s events | growth, at most 1.20 | growth of the plain SQL | the plain SQL | of its time with %s, at most 1.20 |\n| --- | --- | --- | --- | --- | --- |\n",
		join(', ', @sizes), $large;
	for my $work (@works)
	{
		my ($what, $ours, $against, @theirs) = @$work;
		my (%run, %us, @ratios, @growth, @their_growth);
		check($what, "s$small", $ours, @theirs);
		for my $size (@sizes)
		{
			my ($a) = prepare("ours_$size", "s$size", $ours);
			my ($best, $best_time);
			for my $i (0 .. $#theirs)
			{
				my ($b, $once) = prepare("theirs_${size}_$i", "s$size", $theirs[$i]);
				($best, $best_time) = ($b, $once) if !defined $best || $once < $best_time;
			}
			$run{$size} = [$a, $best];
		}
		for my $round (1 .. $rounds)
		{
			my %took = map { $_ => [in_turns(@{ $run{$_} })] } @sizes;
			push @{ $us{$_} }, $took{$_}[0] * 1e6 for @sizes;
			push @ratios, $took{$large}[0] / $took{$large}[1];
			push @growth, $took{$large}[0] / $took{$small}[0];
			push @their_growth, $took{$large}[1] / $took{$small}[1];
		}
		my $line = sprintf "| %s | %s | %s | %.2f | %s | %s |\n", $what, join(', ', map { sprintf '%.0f', median(@{ $us{$_} }) } @sizes), spread('%.2f', @growth), median(@their_growth), $against, spread('%.2f', @ratios);
		print STDERR $line;
		$table .= $line;
	}
}

# ---- what each index of events costs ----

my $folder = qx(pwd) =~ s/\n//r;
my $events = 0 + qx(wc -l < raw.tsv);
if ('indexes' =~ /(?:$only)/)
{
	sql(q{SELECT matrix.create_store('every')});
	my $copied = sub { my $store = shift; return sub { timed("COPY $store.events (raw) FROM '$folder/raw.tsv'", "TRUNCATE $store.events") / $events * 1e6 } };
	my $every = $copied->('every');
	$table .= "\nThe index of `events`: COPY of $events events of `make bench` into a store with it, and without; three of them are needed to insert: with a second one like it, and without that.\n\n"
		. "| index | µs an event | µs an event in all |\n| --- | --- | --- |\n";
	for my $index (split /\n/, value(q{SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'every.events'::regclass AND NOT indisunique ORDER BY 1}))
	{
		my ($name) = $index =~ /\.(\w+)$/;
		my $needed = $name =~ /_(redacts|relation|state)$/;
		my $second = value("SELECT pg_get_indexdef('$index'::regclass)") =~ s/INDEX \w+ ON every/INDEX ON other/r;
		sql(q{SELECT matrix.create_store('other')}, $needed ? $second : "DROP INDEX other.$name");
		my ($with, $without) = $needed ? ($copied->('other'), $every) : ($every, $copied->('other'));
		my (@costs, @all);
		$with->(), $without->();
		for (1 .. $rounds)
		{
			my ($a, $b) = in_turns($with, $without);
			push @costs, $a - $b;
			push @all, $a;
		}
		my $line = sprintf "| `%s`%s | %s | %.1f |\n", $name, $needed ? ', a second one' : '', spread('%.1f', @costs), median(@all);
		print STDERR $line;
		$table .= $line;
		sql(q{SELECT matrix.drop_store('other', force => true)});
	}
}

# ---- hashes ----

if ('hashes' =~ /(?:$only)/)
{
	sql('CREATE TABLE bench.events (n serial PRIMARY KEY, raw text)', "COPY bench.events (raw) FROM '$folder/raw.tsv'", q{DELETE FROM bench.events WHERE raw !~ 'room_id'}, 'VACUUM (FULL, ANALYZE) bench.events');
	my $count = value('SELECT count(*) FROM bench.events');
	system(q{grep room_id events.ndjson > room-events.ndjson}) == 0 or die;
	my @others = (['Python', "python3 $FindBin::RealBin/hashes.py"], qx(command -v node;) ? ['Node', "node $FindBin::RealBin/hashes.js"] : ());
	$table .= "\n| of $count events, version 11, from text, one core | events/s | " . join(' | ', map { "rate of $_->[0]'s" } @others) . " |\n| --- | --- |" . ' --- |' x @others . "\n";
	for (['content_hash', 'matrix.content_hash(raw)'], ['event_id', q{matrix.event_id(raw, '11')}], ['redact', q{matrix.canonical_json(matrix.redact(raw, '11'))}])
	{
		my ($what, $call) = @$_;
		my @rates;
		my $ours = sub { timed("SELECT count(*) FROM bench.events WHERE ($call) IS NULL", 'SET max_parallel_workers_per_gather = 0') };
		my $answer = value("SELECT encode(sha256(convert_to(string_agg($call, chr(10) ORDER BY n), 'UTF8')), 'hex') FROM bench.events");
		my $line = '';
		for my $other (@others)
		{
			my $theirs = sub { my ($seconds, $hash) = split ' ', qx($other->[1] $what room-events.ndjson); $hash eq $answer or die "$what: $other->[0] has another answer\n"; return $seconds };
			my @ratios;
			for (1 .. $rounds)
			{
				my ($a, $b) = in_turns($ours, $theirs);
				push @rates, $count / $a;
				push @ratios, $b / $a;
			}
			$line .= ' | ' . spread('%.2f', @ratios);
		}
		$line = sprintf "| `%s` | %.0f%s |\n", $what, median(@rates), $line;
		print STDERR $line;
		$table .= $line;
	}
}
write_page($docs, 'reading', 'end of reading', $table) if $only eq '';
