# Redacted means gone: a word stands in every event that can be redacted and in
# every copy that servers, workers and the store make of it; once all is redacted,
# nothing that anybody can ask, dump, copy or read from the disk holds it.
#
# What stays by design: what the specification keeps of an event, ids and numbers
# of calls, and what PostgreSQL keeps of the past: the WAL, and backups that were
# made before.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use lib $FindBin::RealBin;
use Sessions;
use Test::More;

# Compression splits it, but leaves a part of it that nothing else has.
my $word = 'Zq7Xk9Jw4Vb2';
my $parts = join '|', map { lc substr($word, $_, 6) } 0 .. length($word) - 6;
# Of an event that was redacted by one who may not.
my $other = 'Qy3Hv8Tn5Lc6';

my $node = PostgreSQL::Test::Cluster->new('erasure');
$node->init(allows_streaming => 'logical', extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
# Nothing cleans up before we look.
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_prepared_transactions = 5\nfull_page_writes = on\n");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION matrix_events;
	SELECT matrix.create_store('chat', server_name => 'example.org');
	UPDATE chat.settings SET push = 'relay';
});

# ---- events of every type, with the word in every string that can hold it ----

my $json = JSON::PP->new->canonical->allow_nonref;
my @examples;
for my $file (qw(current 2015))
{
	open my $in, '<', "$FindBin::RealBin/../data/events/$file.ndjson" or die $!;
	push @examples, map { $json->decode($_) } <$in>;
}

# What a redaction leaves: what the specification keeps of some types (the last two: of version 6, and 11), a call's ids, what names other events.
my %stays = map { $_ => 1 } qw(membership join_rule history_visibility users events allow join_authorised_via_users_server signed aliases
	call_id party_id selected_party_id invitee event_id rel_type redacts);

# Every way to put the word into one string of a value, as [the place, the value's copy].
sub with_word
{
	my ($value) = @_;
	my @found;
	if (ref $value eq 'HASH')
	{
		for my $key (grep { !$stays{$_} } sort keys %$value)
		{
			push @found, map { [[$key, @{ $_->[0] }], {%$value, $key => $_->[1]}] } with_word($value->{$key});
		}
	}
	elsif (ref $value eq 'ARRAY')
	{
		for my $i (0 .. $#$value)
		{
			push @found, map { my @copy = @$value; $copy[$i] = $_->[1]; [[$i, @{ $_->[0] }], \@copy] } with_word($value->[$i]);
		}
	}
	elsif (defined $value && !ref $value && $json->encode($value) =~ /^"/)
	{
		@found = ([[], "$value$word"]);
	}
	return @found;
}

sub put
{
	my ($into, $value, @path) = @_;
	my $last = pop @path;
	$into = ref $into eq 'ARRAY' ? $into->[$_] : $into->{$_} for @path;
	ref $into eq 'ARRAY' ? $into->[$last] = $value : $into->{$last} = $value;
}

sub get
{
	my ($from, @path) = @_;
	$from = ref $from eq 'ARRAY' ? $from->[$_] : $from->{$_} for @path;
	return $from;
}

# All in one query: which of these events are valid?
sub which_are_valid
{
	my (@events) = @_;
	my $file = $node->basedir . '/candidates';
	open my $out, '>', $file or die $!;
	print $out map { $json->encode($_) . "\n" } @events;
	close $out;
	return split /\n/, $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE candidates (n serial, event text);
		COPY candidates (event) FROM '$file' (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02');
		SELECT matrix.is_valid(event) FROM candidates ORDER BY n});
}

my %room = (6 => '!six:example.org', 11 => '!eleven:example.org');
my (@events, @ids);
my $number = 0;
# m.room.create cannot be redacted; redactions come at the end; what is outside rooms is nobody's to redact.
for my $example (grep { $_->{sender} && $_->{room_id} && $_->{type} ne 'm.room.create' && $_->{type} ne 'm.room.redaction' } @examples)
{
	my $id = '$e' . ++$number;
	push @ids, $id;
	push @events, {%$example, event_id => $id, room_id => $room{$number % 2 ? 6 : 11}};
}
my (@candidates, @at);
for my $i (0 .. $#events)
{
	for my $candidate (with_word($events[$i]{content}))
	{
		push @candidates, {%{ $events[$i] }, content => $candidate->[1]};
		push @at, [$i, $candidate->[0], get($candidate->[1], @{ $candidate->[0] })];
	}
}
my @valid = which_are_valid(@candidates);
$events[$_] = $json->decode($json->encode($events[$_])) for 0 .. $#events;
put($events[$at[$_][0]]{content}, $at[$_][2], @{ $at[$_][1] }) for grep { $valid[$_] eq 't' } 0 .. $#valid;
cmp_ok(scalar(grep { $_ eq 't' } @valid), '>', 150, 'strings of content that take the word');
for my $event (@events)
{
	my $stripped = [{type => 'm.room.topic', state_key => '', sender => '@alice:example.org', content => {topic => $word}}];
	my $related = {type => 'm.room.message', event_id => '$no', sender => '@alice:example.org', content => {body => $word}};
	$event->{content}{'org.example.more'} = {a => [$word]};
	$event->{unsigned} = {
		age => 1, 'org.example.more' => $word, prev_content => {body => $word}, redacted_because => {reason => $word},
		invite_room_state => $stripped, knock_room_state => $stripped,
		'm.relations' => {'m.thread' => {latest_event => $related}, 'm.replace' => $related}
	};
	$event->{$_} = {body => $word} for qw(prev_content redacted_because org.example.more);
	$event->{invite_room_state} = $stripped;
}
is_deeply([grep { $_ ne 't' } which_are_valid(@events)], [], 'they are valid');

# ---- what else a store holds ----

my $next = 0;
sub event
{
	my ($type, $content, %more) = @_;
	my $id = '$x' . ++$next;
	push @ids, $id unless delete $more{stays};
	push @events, {type => $type, content => $content, event_id => $id, room_id => $room{6}, sender => '@alice:example.org', origin_server_ts => 1760000000000 + $next, %more};
	return $events[-1]{event_id};
}
sub message { my ($content, %more) = @_; return event('m.room.message', {msgtype => 'm.text', body => $word, %$content}, %more) }

# Edits, a thread, reactions, replies; and what servers aggregate of them, in an event that stays.
my $reply = '$reply';
my $related = {type => 'm.room.message', event_id => $reply, sender => '@alice:example.org', content => {msgtype => 'm.text', body => $word}};
my $bundles = {'m.relations' => {'m.thread' => {latest_event => $related}}};
my $root = message({body => 'root'}, stays => 1, unsigned => $bundles);
push @ids, $reply;
message({'m.relates_to' => {rel_type => 'm.thread', event_id => $root}}, event_id => $reply, stays => 1);
message({'m.new_content' => {msgtype => 'm.text', body => $word}, 'm.relates_to' => {rel_type => 'm.replace', event_id => $reply}});
message({'m.relates_to' => {'m.in_reply_to' => {event_id => $root}}});
event('m.reaction', {'m.relates_to' => {rel_type => 'm.annotation', event_id => $root, key => $word}});
# State, and what repeats it: what replaced it, today's and 2015's, invites of both.
my $topic = event('m.room.topic', {topic => $word}, state_key => '');
event('m.room.topic', {topic => 'two'}, state_key => '', stays => 1, unsigned => {prev_content => {topic => $word}, replaces_state => $topic});
event('m.room.topic', {topic => 'three'}, state_key => '', stays => 1, prev_content => {topic => $word}, replaces_state => $topic);
my $stripped = [{type => 'm.room.topic', state_key => '', sender => '@alice:example.org', content => {topic => $word}}];
event('m.room.member', {membership => 'invite'}, state_key => '@carol:other.org', stays => 1, unsigned => {invite_room_state => $stripped});
event('m.room.member', {membership => 'invite'}, state_key => '@dave:other.org', stays => 1, invite_room_state => $stripped);
event('m.room.member', {membership => 'knock'}, state_key => '@erin:other.org', sender => '@erin:other.org', stays => 1, unsigned => {knock_room_state => $stripped});
event('m.room.name', {name => "name $word"}, state_key => '');
event('m.room.member', {membership => 'join', displayname => $word, avatar_url => "mxc://example.org/$word"}, state_key => '@bob:example.org', sender => '@bob:example.org');
# A call with a reason.
event('m.call.invite', {call_id => 'call', party_id => 'p', version => '1', lifetime => 60000, offer => {type => 'offer', sdp => $word}});
event('m.call.hangup', {call_id => 'call', party_id => 'p', version => '1', reason => $word});
# Large: outside of its row, compressed or not.
my @letters = ('a' .. 'y', 'A' .. 'P', 0 .. 9, '+', '/');
message({body => "$word " . join('', map { $letters[rand @letters] } 1 .. 60000) . " $word"});
message({body => "$word " x 5000});
# What is to be found later by one who may not redact it.
event('m.room.message', {msgtype => 'm.text', body => $other}, event_id => '$stays', stays => 1);

my $nul = $json->encode({type => 'm.room.message', event_id => '$nul', room_id => $room{6}, sender => '@alice:example.org', origin_server_ts => 1,
	content => {msgtype => 'm.text', body => "NUL $word"}, unsigned => {prev_content => {a => "$word NUL"}}}) =~ s/NUL/\\u0000/gr;
push @ids, '$nul', '$history';

sub lines { return join '', map { "$_\n" } @_ }
my $file = $node->basedir . '/events';
sub load
{
	open my $out, '>', $file or die $!;
	print $out lines(@_);
	close $out;
	$node->safe_psql('postgres', qq{SET matrix_events.on_invalid = 'quarantine'; COPY chat.events (raw) FROM '$file' (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')});
}
load(map { $json->encode($_) }
	(map { +{type => 'm.room.create', event_id => "\$create$_", room_id => $room{$_}, sender => '@alice:example.org', state_key => '', origin_server_ts => 1,
		content => {creator => '@alice:example.org', room_version => "$_"}} } 6, 11), @events);
load($nul);
is($node->safe_psql('postgres', 'SELECT count(*) FROM chat.rejected'), '0', 'nothing was refused');
$node->safe_psql('postgres', qq{
	SET matrix_events.on_invalid = 'quarantine';
	INSERT INTO chat.events (stream_id, raw) VALUES (-1, '{"type":"m.room.message","event_id":"\$history","room_id":"$room{6}","sender":"\@alice:example.org","origin_server_ts":1,
		"content":{"msgtype":"m.text","body":"$word"}}');
	-- Refused under the id of an event: invalid, and another event.
	INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message","event_id":"$reply","room_id":"$room{6}","content":{"body":"$word"}}'),
		('{"type":"m.room.message","event_id":"$reply","room_id":"$room{11}","sender":"\@alice:example.org","origin_server_ts":1,"content":{"msgtype":"m.text","body":"$word"}}');
	-- What the store itself sends repeats what was there.
	SELECT matrix.set_profile('chat', '\@bob:example.org', 'Bob', NULL);
	SELECT matrix.send('chat', '$room{6}', '\@alice:example.org', 'm.room.name', '{"name": "send"}', '');
	SELECT matrix.send('chat', '$room{6}', '\@alice:example.org', 'm.room.message', '{"msgtype": "m.text", "body": "$word"}', txn_id => 't');
	-- What workers say.
	SELECT matrix.worker_open('chat', 'fails', after => 0, max_failures => 1), matrix.worker_open('chat', 'stands', after => 0);
	SELECT count(*) FROM matrix.worker_fetch('chat', 'fails', 100000);
	SELECT count(*) FROM matrix.worker_fetch('chat', 'stands', 100000);
	SELECT matrix.worker_fail('chat', 'fails', e.stream_id, 'cannot read $word') FROM chat.events e WHERE e.event_id = '$reply';
	SELECT matrix.worker_fail('chat', 'stands', e.stream_id, 'cannot read $word') FROM chat.events e WHERE e.event_id = '$reply';
	-- Statistics that hold it, so that the search for them can find some.
	CREATE TABLE control AS SELECT '$word' || n % 2 AS a, n % 2 AS b FROM generate_series(1, 1000) n;
	CREATE STATISTICS control_ext (mcv) ON a, b FROM control;
	ANALYZE;
});
push @ids, split /\n/, $node->safe_psql('postgres', q{SELECT event_id FROM chat.transactions});

# ---- where to look ----

# Every function of the schema: a call for all events, what it is ('reads', 'writes': on a primary only), and whether it gives contents.
my $all = 'FROM chat.events e';
my %calls = (
	'matrix.version()' => ['reads', 'SELECT matrix.version()'],
	(map { my $type = $_; map { ("matrix.$_->[0]($type$_->[1])" => ['reads', "SELECT f.* $all, matrix.$_->[0](matrix.event_json(e)::$type$_->[2]) f", $_->[3]]) }
		['validate', '', ''], ['is_valid', '', ''], ['canonical_json', '', '', 1], ['redact', ',text', ", '10'"], ['event_id', ',text', ", '10'"],
		['content_hash', '', ''], ['check_hash', '', '']} qw(text json jsonb)),
	'matrix.is_store(text)' => ['reads', q{SELECT matrix.is_store('chat')}],
	'matrix.check_store(text)' => ['reads', q{SELECT matrix.check_store('chat')}],
	'matrix.now_ms()' => ['reads', 'SELECT matrix.now_ms()'],
	'matrix.event_json(matrix.event)' => ['reads', "SELECT matrix.event_json(e) $all", 1],
	'matrix.visible_spans(bigint[])' => ['reads', 'SELECT s.* FROM chat.presence_state p, matrix.visible_spans(p.hidden) s'],
	'matrix.presence_query(text,text)' => ['reads', q{SELECT matrix.presence_query('chat', '0')}],
	'matrix.calls_query(text,text)' => ['reads', q{SELECT matrix.calls_query('chat', '0')}],
	'matrix.relates_to(jsonb)' => ['reads', "SELECT matrix.relates_to(e.content) $all"],
	'matrix.rel_type(jsonb)' => ['reads', "SELECT matrix.rel_type(e.content) $all"],
	'matrix.relations(text,text,text,text,bigint,bigint,integer)' => ['reads', "SELECT r.* $all, matrix.relations('chat', e.event_id) r", 1],
	'matrix.thread(text,text,bigint,bigint,integer)' => ['reads', "SELECT r.* $all, matrix.thread('chat', e.event_id) r", 1],
	'matrix.reactions(text,text)' => ['reads', "SELECT r.* $all, matrix.reactions('chat', e.event_id) r", 1],
	'matrix.apply_edit(jsonb,jsonb)' => ['reads', "SELECT matrix.apply_edit(e.content, e.content) $all", 1],
	'matrix.edit(text,text)' => ['reads', "SELECT r.* $all, matrix.edit('chat', e.event_id) r", 1],
	'matrix.edited(text,text)' => ['reads', "SELECT r.* $all, matrix.edited('chat', e.event_id) r", 1],
	'matrix.is_searched(text)' => ['reads', "SELECT matrix.is_searched(e.type) $all"],
	'matrix.searched_types()' => ['reads', 'SELECT matrix.searched_types()'],
	'matrix.search_vector(regconfig[],bigint,text,text,text,jsonb)' => ['reads', "SELECT matrix.search_vector('{simple}', e.stream_id, e.room_id, e.sender, e.type, e.content) $all", 1],
	'matrix.search_query(regconfig[],text)' => ['reads', q{SELECT matrix.search_query('{simple}', 'a')}],
	'matrix.search_scope(bigint,bigint,text[],text[],text,boolean)' => ['reads', 'SELECT matrix.search_scope(1, 2, NULL, NULL, NULL, false)'],
	'matrix.next_window(integer,bigint,integer,integer,bigint)' => ['reads', 'SELECT matrix.next_window(10, 1, 1, 1, 1)'],
	'matrix.search_expression(text[])' => ['reads', q{SELECT matrix.search_expression('{simple}')}],
	'matrix.search_configs(text)' => ['reads', q{SELECT matrix.search_configs('chat')}],
	'matrix.next_searched(text,bigint,boolean)' => ['reads', q{SELECT matrix.next_searched('chat', 0, false)}],
	'matrix.search_hits(text,tsquery,integer)' => ['reads', "SELECT * FROM matrix.search_hits('chat', matrix.search_query('{simple}', '$word'), 100)"],
	'matrix.search_window(text,bigint[],text[],text[],bigint[],text[],bigint,bigint,integer,text[],text[],tsquery,boolean)' => ['reads',
		q{SELECT w.* FROM (SELECT array_agg(e.stream_id) AS hits, array_agg(e.event_id::text) AS ids, array_agg(NULL::text) AS edited FROM chat.events e) a,
			matrix.search_window('chat', a.hits, a.ids, a.edited, '{}', '{}', -100000, 100000, NULL, NULL, NULL, 'x', false) w}, 1],
	'matrix.mentions_window(text,bigint[],bigint,bigint,integer,boolean)' => ['reads',
		q{SELECT w.* FROM (SELECT array_agg(e.stream_id) AS hits FROM chat.events e) a, matrix.mentions_window('chat', a.hits, -100000, 100000, NULL, true) w}, 1],
	'matrix.search(text,text,text[],text[],bigint,integer,boolean)' => ['reads', "SELECT * FROM matrix.search('chat', '$word')", 1],
	'matrix.mentions(text,text,bigint,bigint,integer)' => ['reads', q{SELECT m.* FROM (SELECT DISTINCT sender FROM chat.events UNION SELECT '@room') u, matrix.mentions('chat', u.sender) m}],
	'matrix.presence_seen_by(text,text,bigint)' => ['reads', q{SELECT p.* FROM (SELECT DISTINCT sender FROM chat.events) u, matrix.presence_seen_by('chat', u.sender) p}],
	'matrix.call_to_answer(text,text,text,bigint)' => ['reads', "SELECT matrix.call_to_answer('chat', '$room{6}', '\@bob:example.org', 0)"],
	'matrix."position"(text)' => ['reads', q{SELECT matrix.position('chat')}],
	'matrix.stream_position(regclass,boolean)' => ['reads', q{SELECT matrix.stream_position('chat.events', false)}],
	'matrix.wanted(text[],text[],text[],integer)' => ['reads', 'SELECT matrix.wanted(NULL, NULL, NULL, 1)'],
	'matrix.changes(text,bigint,integer,text[],text[],text[])' => ['writes', q{SELECT * FROM matrix.changes('chat', 0, 100000)}, 1],
	'matrix.held_part_query(text)' => ['reads', q{SELECT matrix.held_part_query('chat')}],
	'matrix.worker_lag(text,text)' => ['writes', q{SELECT * FROM matrix.worker_lag('chat')}],
	'matrix.check_worker(text,text)' => ['reads', q{SELECT matrix.check_worker('chat', 'fails')}],
	'matrix.event(text,text)' => ['reads', "SELECT r.* $all, matrix.event('chat', e.event_id) r", 1],
	'matrix.timeline(text,text,bigint,integer,bigint,text[])' => ['reads', "SELECT * FROM matrix.timeline('chat', '$room{6}', max => NULL)", 1],
	'matrix.context(text,text,integer)' => ['reads', "SELECT r.* $all, matrix.context('chat', e.event_id) r", 1],
	'matrix.state_at(text,text,bigint)' => ['reads', "SELECT r.* $all, matrix.state_at('chat', e.room_id, e.stream_id) r WHERE e.state_key IS NOT NULL", 1],
	'matrix.batch_counts()' => ['reads', 'SELECT * FROM matrix.batch_counts()'],
	'matrix.erasure_report(text,text)' => ['reads', "SELECT r.* $all, matrix.erasure_report('chat', e.event_id) r"],
	'matrix.check_event_schema(text,jsonb)' => ['reads', q{SELECT matrix.check_event_schema('org.example.x', '{}')}],
	'matrix.fold_stream(regclass)' => ['writes', q{DELETE FROM chat.room_state; SELECT matrix.fold_stream('chat.events'); SELECT * FROM chat.room_state}, 1],
	'matrix.apply_redactions(regclass)' => ['writes', q{SELECT matrix.apply_redactions('chat.events')}],
	'matrix.rebuild(text)' => ['writes', q{SELECT matrix.rebuild('chat'); SELECT * FROM chat.room_state}, 1],
	'matrix.verify(text)' => ['writes', q{SELECT * FROM matrix.verify('chat')}],
	'matrix.make_search_index(text)' => ['writes', q{DROP INDEX chat.events_search; SELECT matrix.make_search_index('chat')}],
	'matrix.set_search_configs(text,regconfig[])' => ['writes', q{SELECT matrix.set_search_configs('chat', '{english}')}],
	'matrix.forget_cached_types(regclass)' => ['writes', q{SELECT matrix.forget_cached_types('chat.events')}],
	'matrix.create_store(text,text)' => ['writes', q{SELECT matrix.create_store('other')}],
	'matrix.drop_store(text,boolean)' => ['writes', q{SELECT matrix.drop_store('chat', true)}],
	'matrix.register_event_type(text,text,jsonb)' => ['writes', q{SELECT matrix.register_event_type('chat', 'org.example.x', '{}')}],
	'matrix.forget_event_type(text,text)' => ['writes', q{SELECT matrix.forget_event_type('chat', 'org.example.x')}],
	'matrix.presence_tick(text,bigint)' => ['writes', q{SELECT matrix.presence_tick('chat')}],
	'matrix.call_tick(text,bigint)' => ['writes', q{SELECT matrix.call_tick('chat')}],
	'matrix.profile_statement(text,text)' => ['reads', q{SELECT matrix.profile_statement('chat', 'SELECT 1')}],
	'matrix.set_profile(text,text,text,text)' => ['writes', q{SELECT matrix.set_profile('chat', '@bob:example.org', 'Robert', NULL)}],
	'matrix.send(text,text,text,text,jsonb,text,text)' => ['writes', "SELECT matrix.send('chat', '$room{6}', '\@alice:example.org', 'm.room.message', '{}', txn_id => 't')", 1],
	'matrix.push_calls(regclass,text[],bigint)' => ['writes', q{SELECT matrix.push_calls('chat.events', '{}', 1)}],
	'matrix.relay(text)' => ['writes', q{LISTEN chat_member; LISTEN chat_call; SELECT matrix.relay('chat')}],
	'matrix.worker_open(text,text,bigint,text[],text[],text[],integer,integer,integer)' => ['writes', q{SELECT matrix.worker_open('chat', 'new')}],
	'matrix.worker_close(text,text)' => ['writes', q{SELECT matrix.worker_close('chat', 'fails')}],
	'matrix.worker_fetch(text,text,integer,text)' => ['writes', q{SELECT matrix.worker_open('chat', 'new', 0); SELECT * FROM matrix.worker_fetch('chat', 'new', 100000)}, 1],
	'matrix.bury(text,text,bigint,integer,text)' => ['writes', "SELECT matrix.bury('chat', 'fails', e.stream_id, 1, '$word') $all WHERE e.event_id = '$reply'; SELECT * FROM chat.dead_letters", 1],
	'matrix.worker_ack(text,text,bigint,text)' => ['writes', q{SELECT matrix.worker_ack('chat', 'fails', 1)}],
	'matrix.worker_fail(text,text,bigint,text,text)' => ['writes',
		"SELECT matrix.worker_fail('chat', 'stands', e.stream_id, '$word') $all WHERE e.event_id = '$reply'; SELECT * FROM chat.worker_parts", 1],
	'matrix.worker_redeliver(text,text,bigint)' => ['writes', q{SELECT matrix.worker_redeliver('chat', 'fails'); SELECT * FROM matrix.worker_fetch('chat', 'fails')}, 1],
	'matrix.wait_for_batch(regclass)' => ['writes', q{SELECT matrix.wait_for_batch('chat.events')}],
	'matrix.take_batch(text,text[],boolean)' => ['writes', q{SELECT matrix.take_batch('chat', '{}', false)}],
	'matrix.ingest(text,text[])' => ['writes', q{SELECT matrix.ingest('chat', VARIADIC '{}')}],
	'matrix.backfill(text,text[])' => ['writes', q{SELECT matrix.backfill('chat', VARIADIC '{}')}],
	# Triggers: what they do is what this test is about.
	map { ("matrix.$_()" => ['trigger']) } qw(events_before_row events_after_row events_after_statement profiles_after_statement search_configs_after_update settings_after_update));

is_deeply([sort keys %calls], [sort split /\n/, $node->safe_psql('postgres', q{SET search_path = ''; SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'matrix'::regnamespace})],
	'every function is called');

sub holds_word { return $_[0] =~ /\Q$word\E/i }

# The functions that give the word away.
sub told_by
{
	my ($server, $only) = @_;
	my (@told, @failed);
	for my $function (grep { $calls{$_}[1] && (!$only || $calls{$_}[0] eq $only) } sort keys %calls)
	{
		my $sql = $calls{$function}[0] eq 'reads' ? $calls{$function}[1] : "BEGIN; $calls{$function}[1]; ROLLBACK";
		my ($status, $out, $err) = $server->psql('postgres', $sql);
		push @failed, "$function: $err" if $status;
		push @told, $function if holds_word($out);
	}
	is_deeply(\@failed, [], 'all of them run');
	return \@told;
}

# The tables and views of a database, catalogs included, that hold it.
sub rows_with_word
{
	my ($server, $catalogs) = @_;
	my @relations = split /\n/, $server->safe_psql('postgres', q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relkind IN ('r', 'v', 'm')
		AND nspname NOT IN ('information_schema', 'pg_toast', 'pg_catalog')} . ($catalogs ? q{ OR c.oid IN ('pg_statistic'::regclass, 'pg_stats'::regclass, 'pg_stats_ext'::regclass)} : ''));
	return [sort grep { $server->safe_psql('postgres', "SELECT count(*) FROM $_ t WHERE t::text ILIKE '%$word%'") > 0 } @relations];
}

sub file_holds
{
	my ($path) = @_;
	open my $in, '<:raw', $path or return 0;
	local $/;
	my $bytes = lc <$in>;
	my $wide = join "\0", split //, lc $word;
	return $bytes =~ /$parts/ || index($bytes, $wide) >= 0;
}

# Everything on the disk but the WAL, when what is dead is vacuumed away.
sub files_with_word
{
	my ($server) = @_;
	$server->safe_psql('postgres', 'VACUUM FULL');
	$server->safe_psql('postgres', 'CHECKPOINT');
	return grep { file_holds($_) } map { glob($server->data_dir . "/$_") } qw(base/*/* global/* pg_stat/* pg_stat_tmp/* pg_logical/* pg_logical/*/* pg_notify/* pg_xact/*);
}

sub dump_with_word
{
	my ($database) = @_;
	my $dump = $node->basedir . '/dump.sql';
	$node->command_ok(['pg_dump', '-f', $dump, $node->connstr($database)], 'pg_dump');
	return file_holds($dump) ? 1 : 0;
}

# ---- a standby and a logical copy, which were there before ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('erasure_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
my $copy = PostgreSQL::Test::Cluster->new('erasure_copy');
$copy->init(extra => ['--locale=C.UTF-8', '--encoding=UTF8']);
$copy->start;
$node->command_ok(['pg_dump', '--schema-only', '-e', 'matrix_events', '-n', 'chat', '-f', $node->basedir . '/schema.sql', $node->connstr('postgres')], 'the schema');
$node->command_ok(['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $node->basedir . '/schema.sql', '-d', $copy->connstr('postgres')], 'a copy');
my $connection = $node->connstr("postgres") =~ s!'!''!gr;
$node->safe_psql('postgres', 'CREATE PUBLICATION chat FOR TABLE ' . $node->safe_psql('postgres', q{SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE relnamespace = 'chat'::regnamespace AND relkind = 'r'}));
$copy->safe_psql('postgres', "CREATE SUBSCRIPTION chat CONNECTION '$connection' PUBLICATION chat");
$copy->poll_query_until('postgres', q{SELECT count(1) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')}) or die 'no copy';

# ---- before: it is everywhere ----

my @telling = grep { $calls{$_}[2] } sort keys %calls;
my @holding = qw(chat.dead_letters chat.events chat.members chat.rejected chat.room_state chat.rooms chat.worker_parts);
is_deeply(told_by($node), \@telling, 'before: functions tell the word');
is_deeply(rows_with_word($node, 1), [sort @holding, 'chat.call_state', 'chat.calls', 'control', qw(pg_statistic pg_stats pg_stats_ext)], 'before: tables and statistics hold it');
is(dump_with_word('postgres'), 1, 'before: a dump holds it');
cmp_ok(scalar(() = files_with_word($node)), '>', 5, 'before: files hold it');
$node->wait_for_catchup($standby);
is_deeply(told_by($standby, 'reads'), [grep { $calls{$_}[0] eq 'reads' } @telling], 'before: a standby tells it');
cmp_ok(scalar @{ rows_with_word($copy) }, '>', 5, 'before: a logical copy holds it');
cmp_ok($node->safe_psql('postgres', "SELECT count(DISTINCT e.event_id) $all, matrix.erasure_report('chat', e.event_id) WHERE e.event_id = ANY ('{" . join(',', @ids) . "}')"),
	'==', scalar @ids, 'before: each of them is reported');

# ---- all is redacted, with a reason that is redacted, too ----

$node->safe_psql('postgres', 'DROP TABLE control');
my @redactions;
for my $id (@ids)
{
	my $room = $node->safe_psql('postgres', "SELECT room_id FROM chat.events WHERE event_id = '$id'");
	push @redactions, {type => 'm.room.redaction', event_id => '$r' . scalar @redactions, room_id => $room, sender => '@mod:example.org',
		origin_server_ts => 1, redacts => $id, content => {redacts => $id, reason => $word}, unsigned => {'org.example.more' => $word}};
}
my @again = map { +{%$_, event_id => "$_->{event_id}r", redacts => $_->{event_id}, content => {redacts => $_->{event_id}}, unsigned => {}} } @redactions;
push @again, {%{ $again[0] }, event_id => '$reve', room_id => $room{6}, sender => '@eve:evil.org', redacts => '$stays', content => {}};
load(map { $json->encode($_) } @redactions);
like(join(' ', @{ rows_with_word($node) }), qr/chat\.events/, 'the reasons are there');
load(map { $json->encode($_) } @again);
push @ids, map { $_->{event_id} } @redactions;

# Servers that do not know of it, and send copies again.
load(map { $json->encode($_) }
	{type => 'm.room.message', event_id => '$bundle', room_id => $room{6}, sender => '@alice:example.org', origin_server_ts => 1, content => {msgtype => 'm.text', body => 'root'}, unsigned => $bundles},
	{type => 'm.room.topic', event_id => '$topic2', room_id => $room{6}, sender => '@alice:example.org', state_key => '', origin_server_ts => 1, content => {topic => 'four'},
		unsigned => {prev_content => {topic => $word}, replaces_state => $topic}},
	(map { +{type => 'm.room.member', event_id => "\$invite$_->[0]", room_id => $room{6}, sender => '@alice:example.org', state_key => "\@u$_->[0]:other.org", origin_server_ts => 1,
		content => {membership => 'invite'}, %{ $_->[1] }} } [1, {unsigned => {invite_room_state => $stripped}}], [2, {invite_room_state => $stripped}]),
	(map { +{%$_, event_id => $_->{event_id}, type => 'm.room.message'} } grep { $_->{event_id} eq $reply } @events));
$node->safe_psql('postgres', qq{
	UPDATE chat.events SET unsigned = unsigned || '{"prev_content": {"topic": "$word"}, "replaces_state": "$topic"}' WHERE event_id = '\$topic2';
	UPDATE chat.events SET unsigned = unsigned || '{"m.relations": {"m.thread": {"latest_event": {"event_id": "$reply", "content": {"body": "$word"}}}}}' WHERE event_id IN ('$root', '$reply');
	SET matrix_events.on_invalid = 'quarantine';
	INSERT INTO chat.events (raw) VALUES ('{"type":"m.room.message","event_id":"$reply","content":{"body":"$word"}}');
	SELECT matrix.worker_fail('chat', 'stands', e.stream_id, 'cannot read $word') FROM chat.events e WHERE e.event_id = '$reply';
	ANALYZE;
});

# ---- after: it is nowhere ----

is_deeply(told_by($node), [], 'after: no function tells the word');
is($node->safe_psql('postgres', "SELECT e.event_id, e.unsigned, e.extra, e.content $all WHERE e::text ILIKE '%$word%'"), '', 'after: no event holds it');
is_deeply(rows_with_word($node, 1), [], 'after: no table, view nor statistics hold it');
is(dump_with_word('postgres'), 0, 'after: no dump holds it');
# Whoever is just leaving, or copying, may hold back what is dead.
my @files = ('?');
for (my $try = 0; @files && $try < 30; $try++)
{
	sleep 1 if $try;
	@files = files_with_word($node);
}
is_deeply(\@files, [], 'after: no file holds it, once what is dead is vacuumed away');
$node->wait_for_catchup($standby);
is_deeply(told_by($standby, 'reads'), [], 'after: nor does a standby tell it');
is_deeply(rows_with_word($standby, 1), [], 'after: nor hold it');
$node->wait_for_catchup('chat');
is_deeply(rows_with_word($copy), [], 'after: nor a logical copy');
is($node->safe_psql('postgres', "SELECT e.event_id, r.* $all, matrix.erasure_report('chat', e.event_id) r WHERE e.event_id = ANY ('{" . join(',', @ids) . "}')"), '', 'after: nothing is reported');
is($node->safe_psql('postgres', q{SELECT * FROM matrix.verify('chat')}), '', 'verify');
is($node->safe_psql('postgres', 'SELECT count(*) FROM chat.events WHERE redacted_by IS NOT NULL'), scalar @ids, 'all of them, and no other, are redacted');

# What was redacted by one who may not is there, and what lies beside stays.
like($node->safe_psql('postgres', q{SELECT content, redacted_by FROM chat.events WHERE event_id = '$stays'}), qr/$other/, 'what nobody may redact is there');
is($node->safe_psql('postgres', "SELECT count(*) FROM matrix.search('chat', '$other')"), '1', 'and is found');
is($node->safe_psql('postgres', q{SELECT state, end_reason, hangup_reason FROM chat.calls WHERE call_id = 'call'}), 'ended|cancelled|', 'the call is what it was, but for its reason');
is($node->safe_psql('postgres', q{SELECT kept FROM chat.events WHERE type = 'm.call.hangup' AND kept->>'call_id' = 'call'}), '{"call_id": "call", "party_id": "p"}', 'its ids stay');
ok(scalar(grep { file_holds($_) } glob($node->data_dir . '/pg_wal/0*')), 'the WAL holds it as long as it is kept');

# Prepared: the event, its redaction, both.
sub body { return $node->safe_psql('postgres', "SELECT content->>'body' FROM chat.events WHERE event_id = '$_[0]'") }
sub said { return "INSERT INTO chat.events (type, room_id, sender, event_id, content) VALUES ('m.room.message', '$room{6}', '\@bob:example.org', '\$p$_[0]', '{\"msgtype\": \"m.text\", \"body\": \"b\"}');" }
sub redacted { return "INSERT INTO chat.events (type, room_id, sender, content, extra) VALUES ('m.room.redaction', '$room{6}', '\@bob:example.org', '{}', '{\"redacts\": \"\$p$_[0]\"}');" }
sub waiting { $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) or die 'nobody waits' }
for my $case ([1, said(1), redacted(1)], [2, redacted(2), said(2)])
{
	$node->safe_psql('postgres', "BEGIN; $case->[1] PREPARE TRANSACTION 'one'");
	my $session = begin($node, $case->[2]);
	waiting();
	$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
	is(finish($session) . body("\$p$case->[0]"), '', "prepared: $case->[0]");
}
my $first = begin($node, "BEGIN; ${\ said(3)} SELECT pg_sleep(2); PREPARE TRANSACTION 'one'");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
my $second = begin($node, "BEGIN; ${\ redacted(3)} PREPARE TRANSACTION 'two'");
is(finish($second), '', 'the redaction is prepared');
# Who comes to look second waits for it.
waiting();
$node->safe_psql('postgres', "COMMIT PREPARED 'two'");
is(finish($first), '', 'and then the event');
$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
is(body('$p3'), '', 'prepared: both');

$copy->stop;
$standby->stop;
$node->stop;
done_testing();
