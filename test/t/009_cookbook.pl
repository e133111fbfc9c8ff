# docs/cookbook.md: every query gives what stands below it.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
open my $in, '<:raw', "$top/docs/cookbook.md" or die "docs/cookbook.md: $!";
my $page = do { local $/; <$in> };
close $in;

# The page's cells, line by line: how wide psql draws them depends on what its version knows of scripts and emoji.
sub cells
{
	return [map { join '|', map { s/^ +| +$//gr } split /\|/, $_, -1 } grep { !/^-+(\+-+)*$/ } split /\n/, $_[0]];
}

my ($before, @parts) = split /^## /m, $page;
my ($setup) = $before =~ /^```sql\n(.*?)^```$/ms or die 'no block that loads the conversation';
$setup =~ s{(?=test/data/)}{$top/};

$ENV{PGTZ} = 'UTC';
$ENV{PGCLIENTENCODING} = 'UTF8';
my $node = PostgreSQL::Test::Cluster->new('cookbook');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
# Its transactions can hold back what matrix.changes gives.
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', $setup);

is(scalar @parts, 2, 'a part for moderators and one for clients');
for my $part (@parts)
{
	my ($title, @questions) = split /^### /m, $part;
	is(scalar @questions, 10, 'ten questions: ' . ($title =~ /^(.*)/)[0]);
	for my $question (@questions)
	{
		my ($name) = $question =~ /^(.*)/;
		my ($query, $expected) = $question =~ /\A[^\n]+\n\n```sql\n([^`]*?)```\n\n```text\n([^`]*?)```\n\n(?!```)\S.*\z/s;
		if (!defined $query)
		{
			fail("$name: a query, its result and what to know");
			next;
		}
		my ($status, $out, $err) = $node->psql('postgres', $query, extra_params => ['-P', 'tuples_only=off', '-P', 'footer=off']);
		is($err, '', "$name: no error") if $status != 0 || $err ne '';
		is_deeply(cells($out), cells($expected), $name);
	}
}

$node->stop;
done_testing();
