# Thousands of single faults in our sample events: each must be judged as a
# second, independent reading of the table of event types judges it, and the
# path must be the fault's.
use strict;
use warnings;
use File::Basename;
use File::Temp;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use Test::More;

my $root = dirname(__FILE__) . '/../..';
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $types = $json->decode(slurp("$root/src/core/event_types.json"));
my $defs = delete $types->{'$defs'};

sub slurp { local (@ARGV, $/) = @_; return scalar <> }

# ---- the second reading: is a value valid under a schema? ----

sub kind
{
	my ($v) = @_;
	return 'null' unless defined $v;
	return 'boolean' if JSON::PP::is_bool($v);
	return 'object' if ref $v eq 'HASH';
	return 'array' if ref $v eq 'ARRAY';
	return JSON::PP->new->allow_nonref->encode($v) =~ /^"/ ? 'string' : 'number';
}

my %grammar = (
	'mx-user-id' => qr/^@[^:]*:[0-9A-Za-z.-]+(:\d{1,5})?$/,
	'mx-room-id' => qr/^!./, 'mx-event-id' => qr/^\$./, 'mx-room-alias' => qr/^#[^:]*:[0-9A-Za-z.-]+$/,
	'mx-server-name' => qr/^[0-9A-Za-z.-]+(:\d{1,5})?$/, 'mx-mxc-uri' => qr{^mxc://[^/]+/.});

sub fits
{
	my ($s, $v) = @_;
	return $s ? 1 : 0 if JSON::PP::is_bool($s);
	if (my $ref = $s->{'$ref'})
	{
		return fits($defs->{ $ref =~ s{.*/}{}r }, $v);
	}
	my $kind = kind($v);
	if (my $type = $s->{type})
	{
		return 0 unless grep {
			$_ eq $kind || ($_ eq 'integer' && $kind eq 'number' && $v == int $v)
		} ref $type ? @$type : $type;
	}
	return 0 if $s->{enum} && !grep { kind($_) eq $kind && $_ eq $v } @{ $s->{enum} };
	return 0 if exists $s->{const} && !($kind eq kind($s->{const}) && $v eq $s->{const});
	if ($kind eq 'string')
	{
		return 0 if $s->{format} && $v !~ $grammar{ $s->{format} };
		return 0 if $s->{pattern} && $v !~ /$s->{pattern}/;
		return 0 if defined $s->{minLength} && length $v < $s->{minLength};
		return 0 if defined $s->{maxLength} && length $v > $s->{maxLength};
	}
	if ($kind eq 'number')
	{
		return 0 if defined $s->{minimum} && $v < $s->{minimum};
		return 0 if defined $s->{maximum} && $v > $s->{maximum};
	}
	if ($kind eq 'array' && $s->{items})
	{
		fits($s->{items}, $_) || return 0 for @$v;
	}
	if ($kind eq 'object')
	{
		exists $v->{$_} || return 0 for @{ $s->{required} || [] };
		for my $key (keys %$v)
		{
			my $known = 0;
			if ($s->{properties} && exists $s->{properties}{$key})
			{
				$known = 1;
				return 0 unless fits($s->{properties}{$key}, $v->{$key});
			}
			for my $pattern (keys %{ $s->{patternProperties} || {} })
			{
				next unless $key =~ /$pattern/;
				$known = 1;
				return 0 unless fits($s->{patternProperties}{$pattern}, $v->{$key});
			}
			return 0 if !$known && exists $s->{additionalProperties} && !fits($s->{additionalProperties}, $v->{$key});
			return 0 if $s->{propertyNames} && !fits($s->{propertyNames}, $key);
		}
	}
	for my $any ($s->{anyOf}, $s->{oneOf})
	{
		return 0 if $any && !grep { fits($_, $v) } @$any;
	}
	return 1;
}

sub type_of
{
	my ($event) = @_;
	my $name = $event->{type};
	my $base = $types->{$name};
	my $variant = $base->{variant} && $event->{content}{ $base->{variant} };
	return $types->{"$name#$variant"} if defined $variant && !ref $variant && $types->{"$name#$variant"};
	return $base;
}

sub content_is_valid
{
	my ($event) = @_;
	my $type = type_of($event);
	my $content = $event->{content};
	return 1 if $type->{empty_content} && !%$content;
	return fits($type->{content}, $content) || ($type->{content_2015} && fits($type->{content_2015}, $content));
}

# ---- the faults ----

my @wrong = (undef, JSON::PP::true, 7, -1, 'wrong', [], {});

sub path_text
{
	my $text = '';
	for (@_)
	{
		$text .= ref $_ ? "[$$_]" : ($text eq '' ? '' : '.') . (/^[A-Za-z_][A-Za-z0-9_]*$/ ? $_ : $json->encode($_));
	}
	return $text;
}

# Calls $f for every change of one place below $node: as it is while $f runs.
sub each_fault
{
	my ($node, $path, $f) = @_;
	my @places = ref $node eq 'HASH' ? sort keys %$node : map { \(my $i = $_) } 0 .. $#$node;
	for my $place (@places)
	{
		my $slot = ref $place ? \$node->[$$place] : \$node->{$place};
		my $old = $$slot;
		my @here = (@$path, $place);
		for my $new (@wrong)
		{
			$$slot = $new;
			$f->(\@here);
		}
		$$slot = $old;
		if (!ref $place)
		{
			delete $node->{$place};
			$f->(\@here);
			$node->{$place} = $old;
			$slot = \$node->{$place};
		}
		each_fault($$slot, \@here, $f) if ref $$slot eq 'HASH' || ref $$slot eq 'ARRAY';
	}
}

my (@lines, @expected);
for my $file ('current', '2015')
{
	for my $line (split /\n/, slurp("$root/test/data/events/$file.ndjson"))
	{
		my $event = $json->decode($line);
		next if ref $event->{content} ne 'HASH';
		each_fault($event->{content}, ['content'], sub {
			my ($path) = @_;
			# Whose presence it is, is a rule of the envelope.
			return if $event->{type} eq 'm.presence' && $path->[1] eq 'user_id';
			push @lines, $json->encode($event);
			push @expected, [content_is_valid($event) ? 1 : 0, path_text(@$path)];
		});
	}
}

my $cases = File::Temp->new;
print $cases "$_\n" for @lines;
close $cases;
chmod 0644, $cases->filename;

my $node = PostgreSQL::Test::Cluster->new('faults');
$node->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION matrix_events; CREATE TABLE faults (n serial, event text)');
my $name = $cases->filename;
$node->safe_psql('postgres', "\\copy faults (event) FROM '$name' WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')");
my @found = split /\n/, $node->safe_psql('postgres',
	"SELECT coalesce((SELECT json_agg(path)::text FROM matrix.validate(event)), '[]') FROM faults ORDER BY n");

my ($wrong_verdict, $wrong_path, $refused) = (0, 0, 0);
for my $i (0 .. $#lines)
{
	my $paths = $json->decode($found[$i]);
	my ($valid, $path) = @{ $expected[$i] };
	if ($valid != (@$paths == 0))
	{
		diag("verdict: $lines[$i]: @$paths") if $wrong_verdict++ < 5;
	}
	elsif (!$valid)
	{
		$refused++;
		# The fault itself, or, where it chose a variant, what that variant requires.
		next if grep { index($_, $path) == 0 } @$paths;
		next if $path =~ /^content\.(msgtype|method|from_device|transaction_id)$/;
		diag("path $path: $lines[$i]: @$paths") if $wrong_path++ < 5;
	}
}
cmp_ok(scalar @lines, '>', 7000, 'thousands of faults');
cmp_ok($refused, '>', 5000, 'thousands of refusals');
is(scalar @found, scalar @lines, 'a verdict each');
is($wrong_verdict, 0, 'every verdict is right');
is($wrong_path, 0, 'every path is the fault\'s');
$node->stop;
done_testing();
