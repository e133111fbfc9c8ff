# What the benchmarks share.
package Bench;
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(sql value timed median measured write_page);

sub sql { system('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', map { ('-c', $_) } @_) == 0 or die "failed: @_\n" }

sub value { my $out = qx(psql -XqAt -v ON_ERROR_STOP=1 -c "$_[0]"); die "failed: $_[0]\n" if $?; chomp $out; return $out }

# The seconds of one statement, without the start of psql, after those before it.
sub timed
{
	my ($statement, @before) = @_;
	my $out = qx(psql -XqAt -v ON_ERROR_STOP=1 -o /dev/null @{[map { qq(-c "$_") } @before]} -c '\\timing on' -c "$statement");
	die "failed: $statement\n" if $?;
	my ($ms) = $out =~ /Time: ([0-9.]+) ms/ or die "no time: $out";
	return $ms / 1000;
}

sub median { my @s = sort { $a <=> $b } @_; return @s % 2 ? $s[@s / 2] : ($s[@s / 2 - 1] + $s[@s / 2]) / 2 }

# When, and on what.
sub measured
{
	my @now = gmtime;
	my $cpus = qx(nproc); chomp $cpus;
	my ($cpu) = qx(cat /proc/cpuinfo) =~ /model name\s*:\s*(.*)/;
	return sprintf 'Measured on %04d-%02d-%02d: PostgreSQL %s, %d cores%s', $now[5] + 1900, $now[4] + 1, $now[3], value('SHOW server_version'), $cpus, $cpu ? " ($cpu)" : '';
}

# The part of benchmarks.md between two marks is written anew.
sub write_page
{
	my ($docs, $begin, $end, $text) = @_;
	open my $in, '<', "$docs/benchmarks.md" or die "benchmarks.md: $!";
	my $page = do { local $/; <$in> };
	close $in;
	$page =~ s/(<!-- $begin -->\n).*?(<!-- $end -->)/$1$text$2/s or die "benchmarks.md has no marks\n";
	open my $out, '>', "$docs/benchmarks.md" or die "benchmarks.md: $!";
	print $out $page;
	close $out;
}

1;
