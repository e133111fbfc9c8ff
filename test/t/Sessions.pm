# Sessions of psql that run beside a test.
package Sessions;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(begin finish);

sub begin
{
	my ($node, $statement) = @_;
	my ($out, $err) = ('', '');
	return {err => \$err, run => IPC::Run::start(['psql', '-Xqd', $node->connstr('postgres'), '-v', 'ON_ERROR_STOP=1', '-c', $statement], '>', \$out, '2>', \$err)};
}

# What it had to complain about.
sub finish
{
	my ($session) = @_;
	$session->{run}->finish;
	return ${ $session->{err} };
}

1;
