#!/usr/bin/perl
# docs/events.md from src/core/event_types.json: make_events_md.pl FILE
use strict;
use warnings;
use utf8;
use JSON::PP;

my ($file) = @ARGV;
open my $in, '<:raw', $file or die "$file: $!\n";
my $types = JSON::PP->new->utf8->decode(do { local $/; <$in> });
my $defs = delete $types->{'$defs'};
binmode STDOUT, ':encoding(UTF-8)';

my @kinds = (
	['state', 'State events', 'Room events with a `state_key`; they make the state of a room.'],
	['message', 'Message events', 'Room events without a `state_key`.'],
	['any', 'In rooms and to devices', 'The same type travels as a room event and as a to-device event.'],
	['to_device', 'To-device events', 'From device to device, outside any room.'],
	['presence', 'Presence', 'Outside any room.'],
	['ephemeral', 'Ephemeral events', 'About a room, but no part of its history.'],
	['account_data', 'Account data', 'What a user\'s clients keep on the server, for the account or for a room.'],
);

sub resolve
{
	my ($schema) = @_;
	while (ref $schema eq 'HASH' && $schema->{'$ref'}) { $schema = $defs->{ $schema->{'$ref'} =~ s{.*/}{}r } }
	return $schema;
}

sub list { return join ', ', map { '`' . JSON::PP->new->allow_nonref->encode($_) . '`' } @_ }

sub type_name
{
	my ($type) = @_;
	return join ' or ', map { $_ eq 'integer' || $_ eq 'array' || $_ eq 'object' ? "an $_" : $_ eq 'null' ? 'null' : "a $_" } ref $type ? @$type : $type;
}

my %formats = (
	'mx-user-id' => 'a user ID', 'mx-room-id' => 'a room ID', 'mx-event-id' => 'an event ID', 'mx-room-alias' => 'a room alias',
	'mx-server-name' => 'a server name', 'mx-mxc-uri' => 'an `mxc:` URI', 'uri' => 'a URI',
);

# What a value must be, in words.
sub rules
{
	my ($schema) = @_;
	my @rules;
	return 'anything' unless ref $schema eq 'HASH';
	push @rules, type_name($schema->{type}) if $schema->{type};
	push @rules, $formats{ $schema->{format} } // $schema->{format} if $schema->{format};
	push @rules, 'one of ' . list(@{ $schema->{enum} }) if $schema->{enum};
	push @rules, 'equal to ' . list($schema->{const}) if exists $schema->{const};
	push @rules, "matching `$schema->{pattern}`" if defined $schema->{pattern};
	for (['minimum', 'at least %s'], ['maximum', 'at most %s'], ['minLength', 'at least %s characters long'],
		['maxLength', 'at most %s characters long'], ['minItems', 'at least %s items'], ['maxItems', 'at most %s items'])
	{
		push @rules, sprintf $_->[1], $schema->{ $_->[0] } if defined $schema->{ $_->[0] };
	}
	push @rules, 'keys: ' . rules(resolve($schema->{propertyNames})) if $schema->{propertyNames};
	for my $keyword (qw(anyOf oneOf))
	{
		next unless $schema->{$keyword};
		push @rules, 'one of these: ' . join '; or ', map {
			my $branch = resolve($_);
			my @absent = grep { !$branch->{properties}{$_} } sort keys %{ $branch->{properties} // {} };
			my @parts = $branch->{type} || !($branch->{required} || @absent) ? rules($branch) : ();
			push @parts, 'without ' . join ', ', map { "`$_`" } @absent if @absent;
			push @parts, 'with ' . join ' and ', map { "`$_`" } @{ $branch->{required} } if $branch->{required};
			join ' ', @parts;
		} @{ $schema->{$keyword} };
	}
	return @rules ? join ', ', @rules : 'anything';
}

# One line a value, what is inside it below it.
sub rows
{
	my ($schema, $path, $required) = @_;
	$schema = resolve($schema);
	return ([$path, $required, 'must not be there']) if ref $schema ne 'HASH' && !$schema;
	my @rows = ([$path, $required, rules($schema)]);
	return @rows unless ref $schema eq 'HASH';
	my %required = map { $_ => 1 } @{ $schema->{required} // [] };
	my %properties = (%{ $schema->{properties} // {} }, map { $schema->{properties}{$_} ? () : ($_ => {}) } keys %required);
	for my $key (sort { !$required{$a} <=> !$required{$b} || $a cmp $b } keys %properties)
	{
		push @rows, rows($properties{$key}, $path . '.' . ($key =~ /^\w+$/ ? $key : "\"$key\""), $required{$key});
	}
	push @rows, rows($schema->{patternProperties}{$_}, "$path./$_/", 0) for sort keys %{ $schema->{patternProperties} // {} };
	push @rows, rows($schema->{additionalProperties}, $path . '.*', 0) if ref $schema->{additionalProperties} eq 'HASH';
	push @rows, [$path . '.*', 0, 'no other keys'] if exists $schema->{additionalProperties} && !$schema->{additionalProperties};
	push @rows, rows($schema->{items}, $path . '[*]', 0) if $schema->{items};
	return @rows;
}

sub table
{
	my @rows = @_;
	print "| path | required | must be |\n| --- | --- | --- |\n";
	for (@rows)
	{
		my ($path, $required, $rules) = @$_;
		s/\|/\\|/g for $path, $rules;
		print "| `$path` | ", ($required ? 'yes' : ''), " | $rules |\n";
	}
	print "\n";
}

print <<'E2';
# Event types

What `matrix.validate` and every store know of each event type. This page is made from [`src/core/event_types.json`](../src/core/event_types.json) by `make docs`; that file is what
the extension is built from, so a type is changed or added there, and nowhere else.

* An event is valid if its content fits today's form or, where there is one, the form of 2015.
* Keys that are not named are allowed: Matrix lets anyone add fields.
* A type, or an `m.room.message` with a `msgtype`, that does not stand here is valid when its envelope is.
* Where a type says so, an empty content is valid as well: it takes the state away. After a redaction no key is required.
* `[*]` is each element of an array, `.*` each value under any other key, `./…/` under a key that matches.
* Source: the Matrix specification, at the section named; for the forms of 2015 the specification of that year.

E2
for my $kind (@kinds)
{
	my ($name, $title, $words) = @$kind;
	my @names = grep { $types->{$_}{kind} eq $name } sort keys %$types;
	next unless @names;
	print "## $title\n\n$words\n\n";
	for my $type (@names)
	{
		my $entry = $types->{$type};
		my ($base, $variant) = split /#/, $type;
		print "### ", ($variant ? "$base, `$types->{$base}{variant}` `$variant`" : $type), "\n\n";
		print ucfirst($entry->{section}), ".", ($entry->{empty_content} ? ' An empty content is valid.' : ''),
			($entry->{variant} ? " Its `$entry->{variant}` chooses further rules where they are known." : ''),
			($entry->{description} ? " $entry->{description}" : ''), "\n\n";
		table((map { $entry->{$_} ? rows($entry->{$_}, $_, $_ eq 'state_key') : () } qw(state_key redacts unsigned)),
			rows($entry->{content}, 'content', 1));
		next unless $entry->{content_2015};
		print "Or, as in 2015:\n\n";
		table(rows($entry->{content_2015}, 'content', 1));
	}
}
