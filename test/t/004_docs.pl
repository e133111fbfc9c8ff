# The documentation says what is there: docs/reference.md and docs/events.md.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub contents
{
	open my $in, '<:encoding(UTF-8)', "$top/$_[0]" or die "$_[0]: $!";
	local $/;
	return scalar <$in>;
}

my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->start;
$node->safe_psql('postgres', q{CREATE EXTENSION matrix_events; SELECT matrix.create_store('chat')});
sub rows { return split /\n/, $node->safe_psql('postgres', $_[0]) }

my $reference = contents('docs/reference.md');

my @functions = rows(q{
	SELECT format('matrix.%s(%s) -> %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid))
	FROM pg_proc WHERE pronamespace = 'matrix'::regnamespace});
my %documented = map { my $signature = $_; $signature =~ s/\x{2192}/->/; $signature => 1 } $reference =~ /`(matrix\.\w+\([^`]*\) \x{2192} [^`]+)`/g;
is_deeply([sort keys %documented], [sort @functions], 'every function stands in the reference with its signature, and no other');

my %columns;
for my $section (split /^(?=###? )/m, $reference)
{
	my ($table) = $section =~ /^### .*`chat\.(\w+)`/ or next;
	$columns{$table} = join ', ', map { join ' ', @$_ } map { [/`(\w+)` \| `([\w\[\] ]+)`/] } $section =~ /^(\| `\w+` \| `[\w\[\] ]+` \|)/mg;
}
my %tables = map { split /: / } rows(q{
	SELECT relname || ': ' || string_agg(attname || ' ' || format_type(atttypid, NULL), ', ' ORDER BY attnum)
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	WHERE relnamespace = 'chat'::regnamespace AND relkind IN ('r', 'v') GROUP BY relname});
is_deeply(\%columns, \%tables, 'every table of a store with its columns');

my @settings = rows(q{LOAD 'matrix_events'; SELECT name FROM pg_settings WHERE name LIKE 'matrix\_events.%' ORDER BY 1});
is_deeply([sort $reference =~ /^### `(matrix_events\.\w+)`/mg], \@settings, 'every setting');

my @codes = contents('src/core/violation.c') =~ /^\t\[MX_\w+\] = "(\w+)",/mg;
my ($rules) = $reference =~ /^## Rules\n(.*?)^## /ms;
is_deeply([sort map { /`(\w+)`/g } map { (split / \| /)[0] } grep { /^\| `/ } split /\n/, $rules], [sort @codes], 'every code of a violation');

is_deeply([rows(q{
	SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'matrix'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
	UNION ALL
	SELECT c.oid::regclass::text FROM pg_class c
	WHERE relnamespace = 'chat'::regnamespace AND relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL})],
	[], 'every function and table has a comment');

my $events = qx("$^X" "$top/docs/make_events_md.pl" "$top/src/core/event_types.json");
utf8::decode($events);
ok($events eq contents('docs/events.md'), 'docs/events.md is what make docs makes');

$node->stop;
done_testing();
