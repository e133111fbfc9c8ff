#!/usr/bin/perl
# The benchmark: bench.pl WORK_FOLDER DOCS_FOLDER, on the server of the environment.
#
# Every figure is a ratio of two works measured in turns in each round; what is printed is the median over the rounds, with the least and the
# greatest.  Writes benchmarks.md's table and benchmarks.svg.
use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use Bench;
use Time::HiRes qw(time);

my ($work, $docs) = @ARGV;
my $rounds = $ENV{BENCH_ROUNDS} // 9;
my $many = $ENV{BENCH_MANY} // 1_000_000;
chdir $work or die;

my $columns = value(q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'bench.plain'::regclass AND attnum > 0});
my $into_plain = 'INSERT INTO bench.plain VALUES (' . join(', ', map { "\$$_" } 1 .. $columns) . ')';
my $into_store = 'INSERT INTO chat.events (raw) VALUES ($1)';
sub emptied { sql('TRUNCATE chat.events, valid.events, hand.events, lean.events, leanvalid.events, byhand.room_state, byhand.room_members, byhand.user_presence, byhand.room_calls, bench.plain') }

sub inserts
{
	my ($statement, $parameters, $clients, $per_transaction, $file) = @_;
	emptied();
	my $seconds = qx("$work/insert" "" '$statement' $parameters $clients $per_transaction $file);
	die "insert failed\n" if $?;
	return $seconds;
}

sub insert_pair
{
	my ($clients, $per_transaction) = @_;
	return (
		sub { inserts($into_store, 1, $clients, $per_transaction, 'raw-few.tsv') },
		sub { inserts($into_plain, $columns, $clients, $per_transaction, 'columns-few.tsv') });
}

sub copied { my ($table, $file) = @_; return sub { emptied(); timed("COPY $table FROM '$work/$file'") } }
my $copy_valid = copied('valid.events (raw)', 'raw.tsv');
my $copy_columns = copied('bench.plain', 'columns.tsv');
my $copy_derived = copied('chat.events (raw)', 'raw.tsv');
my $copy_hand = copied('hand.events (raw)', 'raw.tsv');
my $copy_lean = copied('lean.events (raw)', 'raw.tsv');
my $copy_leanvalid = copied('leanvalid.events (raw)', 'raw.tsv');
sub expression { my $e = shift; return sub { timed("SELECT count(*) FROM bench.events WHERE ($e) IS NULL") } }

# A store that holds this many events already takes some more, which are then rolled back; and so
# does a plain table, whose rows have the positions before those of the ready columns.
my %filled;
sub fill
{
	my ($size) = @_;
	return if $filled{$size}++;
	my $columns = value(q{SELECT string_agg(CASE attname WHEN 'stream_id' THEN 'stream_id - 10000000' ELSE attname END, ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = 'bench.plain'::regclass AND attnum > 0});
	sql("SELECT matrix.create_store('filled$size'); INSERT INTO filled$size.events (raw) SELECT raw FROM bench.many LIMIT $size",
		"CREATE TABLE bench.plain$size (LIKE bench.plain INCLUDING INDEXES); INSERT INTO bench.plain$size SELECT $columns FROM filled$size.events ORDER BY stream_id",
		"ANALYZE filled$size.events, bench.plain$size");
}
sub into_filled
{
	my ($size, $table, $file) = @_;
	return sub {
		fill($size);
		my $out = qx(psql -XqAt -v ON_ERROR_STOP=1 -c BEGIN -c '\\timing on' -c "COPY $table FROM '$work/$file'" -c ROLLBACK);
		my ($ms) = $out =~ /Time: ([0-9.]+) ms/ or die "no time: $out";
		return $ms / 1000;
	};
}
sub grown
{
	my ($size, $name) = @_;
	return ["COPY into a store of $name events", 'COPY into one of 10,000', 'time', 1.20, (map { into_filled($_, "filled$_.events (raw)", 'raw.tsv') } $size, 10_000), 'all'],
		["COPY of ready columns into a plain table of $name", 'COPY into one of 10,000', 'time', undef, (map { into_filled($_, "bench.plain$_", 'columns.tsv') } $size, 10_000), 'all'];
}

# A user in 10,000 rooms takes another name; and those very events as ready rows.
my $name = 0;
sub renamed { $name++; return timed("SELECT matrix.set_profile('profile', '\@u:x', 'name $name', NULL)") }
sub renamed_plain { sql('TRUNCATE bench.plain'); return timed('INSERT INTO bench.plain SELECT * FROM bench.renamed') }
sub read_presence
{
	my ($users, $from) = @_;
	return sub { timed("SELECT count(p.last_active_ts) FROM $from p WHERE p.user_id = ANY (ARRAY(SELECT r.user_id FROM bench.readers r WHERE r.n <= $users))") };
}

# What, against what, 'time' (at most) or 'rate' (at least), the budget, the two
# works, over how many events, and a work that is part of both and does not count.
my @works = (
	['COPY of raw events, validated', 'COPY of ready columns into a plain table with the same indexes', 'time', 1.30, $copy_valid, $copy_columns, 'all'],
	['COPY of raw events, all derived', 'COPY of ready columns into a plain table with the same indexes', 'time', 1.45, $copy_derived, $copy_columns, 'all'],
	['what all derivations add to COPY', 'what PL/pgSQL row triggers add', 'time', 0.20, $copy_lean, $copy_hand, 'all', $copy_leanvalid],
	(map {
		my $kind = $_;
		["what is derived of ${kind} events alone adds", 'what PL/pgSQL row triggers add', 'time', undef,
			(map { copied("$_.events (raw)", "$kind.tsv") } qw(lean hand)), 0 + qx(wc -l < $kind.tsv), copied('leanvalid.events (raw)', "$kind.tsv")]
	} qw(member presence call)),
	(map {
		my ($clients, $per_transaction) = @$_;
		["single-row INSERT, $clients client" . ($clients > 1 ? 's' : '') . ($per_transaction ? ", $per_transaction to a transaction" : ''),
			'the same of ready columns into the plain table', 'rate', 0.80, insert_pair(@$_), 'few'];
	} [1, 0], [2, 0], [4, 0], [1, 50], [2, 50], [4, 50]),
	['is_valid(text)', 'jsonb_in of the same text', 'time', 1.5, expression('matrix.is_valid(raw)'), expression('raw::jsonb'), 'all'],
	['is_valid(jsonb)', 'jsonb_in of the same text', 'time', 0.8, expression('matrix.is_valid(doc)'), expression('raw::jsonb'), 'all'],
	['is_valid(jsonb)', 'a hand-written PL/pgSQL validator of the envelope and two types', 'time', undef, expression('matrix.is_valid(doc)'), expression('bench.check_event(doc)'), 'all'],
	grown(100_000, '100,000'), grown($many, $many),
	['a user in 10,000 rooms takes another name', 'INSERT of those events as ready rows into the plain table', 'time', undef, \&renamed, \&renamed_plain, 10_001],
	(map {
		["reading the presence of $_ users", 'the same by hand, of users who never hide', 'time', undef, read_presence($_, 'seen.presence'), read_presence($_, 'bench.seen_by_hand'), $_]
	} 10, 1000, 100_000),
);
if (my $only = $ENV{BENCH_ONLY}) { @works = grep { $_->[0] =~ /$only/ } @works }

my $events = value('SELECT count(*) FROM bench.events');
my $few = qx(wc -l < raw-few.tsv); chomp $few;
my @results;
for my $w (@works)
{
	my ($what, $against, $kind, $budget, $ours, $theirs, $over, $part) = @$w;
	my (@ratios, @us, @their_us);
	my $n = $over eq 'few' ? $few : $over eq 'all' ? $events : $over;
	$ours->(), $theirs->();    # warm
	for my $round (1 .. $rounds)
	{
		# Ours, theirs, theirs, ours: what drifts meets both alike.
		my $a = $ours->();
		my $b = $theirs->() + $theirs->();
		$a += $ours->();
		if ($part)
		{
			my $common = $part->() + $part->();
			$a -= $common;
			$b -= $common;
		}
		push @ratios, $kind eq 'rate' ? $b / $a : $a / $b;
		push @us, $a / 2 / $n * 1e6;
		push @their_us, $b / 2 / $n * 1e6;
	}
	@ratios = sort { $a <=> $b } @ratios;
	push @results, [$what, $against, $kind, $budget, \@ratios, median(@us), median(@their_us)];
	printf STDERR "%-55s %.2f (%.2f to %.2f)%s  %.1f / %.1f us\n", $what, median(@ratios), $ratios[0], $ratios[-1],
		defined $budget ? sprintf('  budget %.2f', $budget) : '', median(@us), median(@their_us);
}
exit if $ENV{BENCH_ONLY};

# ---- docs/benchmarks.md: the part between the marks is written anew ----

my $mean = value('SELECT round(avg(octet_length(raw))) FROM bench.events');
my $table = sprintf("%s, %d events of %d bytes on average, %d rounds.\n\n", measured(), $events, $mean, $rounds);
$table .= "| work | against | ratio: median (least to greatest) | budget | µs an event | µs of the other |\n| --- | --- | --- | --- | --- | --- |\n";
for (@results)
{
	my ($what, $against, $kind, $budget, $ratios, $us, $their_us) = @$_;
	$table .= sprintf("| %s | %s | %.2f of its %s (%.2f to %.2f) | %s | %.1f | %.1f |\n", $what, $against, median(@$ratios), $kind,
		$ratios->[0], $ratios->[-1], !defined $budget ? '' : ($kind eq 'time' ? 'at most ' : 'at least ') . sprintf('%.2f', $budget), $us, $their_us);
}
# Presence without bloat: each event updates its user's row.
inserts($into_store, 1, 2, 0, 'presence.tsv');
sleep 2;
my ($updated, $hot, $size) = split /\|/, value(q{
	SELECT n_tup_upd, n_tup_hot_upd, pg_size_pretty(pg_relation_size(relid)) FROM pg_stat_user_tables
	WHERE schemaname = 'chat' AND relname = 'presence_state'});
$table .= sprintf "\nPresence events of 1000 users, without vacuum: of %d updates of their rows in this run %.0f %% were HOT; after 4000 single ones the table had %s.\n",
	$updated, 100 * $hot / ($updated || 1), $size;

write_page($docs, 'figures', 'end', $table);

# ---- the plot: a row a work, a dot a round, a line the budget ----

my ($left, $width, $height, $top) = (420, 460, 30, 34);
my $max = 2;
my $x = sub { my $r = shift; $r = $max if $r > $max; $r = 0 if $r < 0; return $left + $r / $max * $width };
my $bottom = $top + $height * @results;
my $svg = sprintf qq(<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">\n<rect width="100%%" height="100%%" fill="white"/>\n),
	$left + $width + 70, $bottom + 46;
$svg .= sprintf qq(<text x="8" y="18" font-weight="bold">Ratio to the work named in the table: a dot a round, the bar the median, the red line the budget</text>\n);
for (my $tick = 0; $tick <= $max + 0.01; $tick += 0.25)
{
	$svg .= sprintf qq(<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="%d" text-anchor="middle">%.2f</text>\n),
		$x->($tick), $top, $x->($tick), $bottom, $tick == 1 ? '#888' : '#ddd', $x->($tick), $bottom + 16, $tick;
}
my $y = $top;
for (@results)
{
	my ($what, $against, $kind, $budget, $ratios) = @$_;
	my $label = $what . ($against =~ /PL\/pgSQL/ ? ' (to PL/pgSQL)' : '') . ($kind eq 'rate' ? ', rate' : ', time');
	$svg .= sprintf qq(<text x="%d" y="%d" text-anchor="end">%s</text>\n), $left - 8, $y + 19, $label;
	$svg .= sprintf qq(<rect x="%d" y="%d" width="%.1f" height="12" fill="#9ecae1"/>\n), $left, $y + 9, $x->(median(@$ratios)) - $left;
	$svg .= sprintf qq(<circle cx="%.1f" cy="%d" r="2.5" fill="#08519c" fill-opacity="0.6"/>\n), $x->($_), $y + 15 for @$ratios;
	$svg .= sprintf qq(<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#cb181d" stroke-width="2"/>\n), $x->($budget), $y + 4, $x->($budget), $y + 26
		if defined $budget;
	$svg .= sprintf qq(<text x="%.1f" y="%d">%.2f</text>\n), $left + $width + 12, $y + 19, median(@$ratios);
	$y += $height;
}
$svg .= sprintf qq(<text x="%d" y="%d" text-anchor="middle">time: lower is better; rate: higher is better</text>\n</svg>\n), $left + $width / 2, $bottom + 36;
open my $out, '>', "$docs/benchmarks.svg" or die;
print $out $svg;
close $out;
print $table;
