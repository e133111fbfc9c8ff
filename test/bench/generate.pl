#!/usr/bin/perl
# Events as a homeserver receives them over federation: generate.pl COUNT > FILE
#
# One event a line, the same lines for the same COUNT: rooms and users drawn
# with a few much busier than the rest, 85 of 100 events messages, with the
# hashes, signatures, prev_events and auth_events that servers add.
use strict;
use warnings;
use JSON::PP;
use utf8;

my $count = shift // 10_000;
my $json = JSON::PP->new->utf8->canonical;
my $state = 42;

# A linear congruential generator: the same everywhere.
sub draw { $state = ($state * 1103515245 + 12345) % 2147483648; return int(($state / 2147483648) * $_[0]) }
sub any { return $_[draw(scalar @_)] }
sub busy { my $n = shift; return draw(draw($n) + 1) }
my @alphabet = ('a' .. 'z', 'A' .. 'Z', 0 .. 9, '-', '_');
sub token { return join '', map { $alphabet[draw(64)] } 1 .. shift }

my @words = qw(the of to and we can you build server room today with think about there would message client
	bridge state from that this have been deploy is are for release Grüße naïve 今日 привет 🎉 maybe later ok yes);
sub words { return join ' ', map { any(@words) } 1 .. shift }

my @servers = map { "$_.example.org" } qw(hq chat eu us lab);
my @rooms = map { '!' . token(18) . ':' . any(@servers) } 1 .. 200;
my @users = map { "\@user$_:" . any(@servers) } 1 .. 1000;
my @recent = map { '$' . token(43) } 1 .. 20;
my $now = 1_760_000_000_000;

my %make = (
	message => sub {
		my $body = words(3 + draw(25));
		return ('m.room.message', {msgtype => 'm.text', body => $body, 'm.mentions' => {}});
	},
	html => sub {
		my $body = words(3 + draw(30));
		return ('m.room.message', {
			msgtype => 'm.text', body => $body, format => 'org.matrix.custom.html',
			formatted_body => "<p>$body</p>", 'm.mentions' => {user_ids => [any(@users)]}});
	},
	reply => sub {
		return ('m.room.message', {
			msgtype => 'm.text', body => words(3 + draw(20)), 'm.relates_to' => {'m.in_reply_to' => {event_id => any(@recent)}}});
	},
	edit => sub {
		my $body = words(3 + draw(20));
		return ('m.room.message', {
			msgtype => 'm.text', body => "* $body", 'm.new_content' => {msgtype => 'm.text', body => $body},
			'm.relates_to' => {rel_type => 'm.replace', event_id => any(@recent)}});
	},
	image => sub {
		return ('m.room.message', {
			msgtype => 'm.image', body => token(8) . '.jpg', url => 'mxc://' . any(@servers) . '/' . token(24),
			info => {w => 100 + draw(4000), h => 100 + draw(4000), size => draw(4_000_000), mimetype => 'image/jpeg',
				'xyz.amorgan.blurhash' => token(28)}});
	},
	encrypted => sub {
		return ('m.room.encrypted', {
			algorithm => 'm.megolm.v1.aes-sha2', ciphertext => token(200 + draw(400)), session_id => token(43),
			sender_key => token(43), device_id => uc token(10)});
	},
	reaction => sub {
		return ('m.reaction', {'m.relates_to' => {rel_type => 'm.annotation', event_id => any(@recent), key => any('👍', '🎉', '❤️')}});
	},
	redaction => sub { return ('m.room.redaction', {redacts => any(@recent), reason => words(3)}) },
	member => sub {
		my ($sender) = @_;
		return ('m.room.member', {membership => any('join', 'join', 'join', 'leave', 'invite'), displayname => words(2),
			avatar_url => 'mxc://' . any(@servers) . '/' . token(24)}, $sender);
	},
	topic => sub { return ('m.room.topic', {topic => words(8)}, '') },
	call => sub {
		return ('m.call.invite', {call_id => token(16), party_id => token(8), version => '1', lifetime => 60000,
			offer => {type => 'offer', sdp => "v=0\r\no=- " . draw(2**30) . " 2 IN IP4 127.0.0.1\r\n" . token(300)}});
	},
	presence => sub { return ('m.presence', {presence => any('online', 'unavailable', 'offline'), last_active_ago => draw(600_000)}) },
);
# Of 1000 events: 650 m.room.message, 200 encrypted, 100 that relate or redact, and the rest.
my %mix = (message => 380, html => 120, reply => 110, edit => 20, image => 20, encrypted => 200, reaction => 80,
	redaction => 20, member => 25, topic => 2, call => 3, presence => 20);
my @mix = map { ($_) x $mix{$_} } sort keys %mix;

for my $n (1 .. $count) {
	my $sender = $users[busy(scalar @users)];
	my ($type, $content, $state_key) = $make{any(@mix)}->($sender);
	$now += draw(400);
	my %event = (type => $type, sender => $sender, content => $content);
	if ($type ne 'm.presence') {
		my $id = '$' . token(43);
		my ($server) = $sender =~ /:(.*)/;
		%event = (%event,
			event_id => $id, room_id => $rooms[busy(scalar @rooms)], origin_server_ts => $now, depth => 1000 + int($n / 200),
			prev_events => [any(@recent)], auth_events => [map { any(@recent) } 1 .. 3],
			hashes => {sha256 => token(43)}, signatures => {$server => {'ed25519:a_' . uc(substr $server, 0, 2) => token(86)}},
			unsigned => {age => draw(100_000)});
		$event{state_key} = $state_key if defined $state_key;
		shift @recent;
		push @recent, $id;
	}
	print $json->encode(\%event), "\n";
}
