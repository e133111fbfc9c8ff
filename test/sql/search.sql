-- Full-text search and mentions.  The database is of locale C.
\pset format unaligned
\set SHOW_CONTEXT never
SELECT matrix.create_store('find');
CREATE FUNCTION pg_temp.say(id text, body text, sender text DEFAULT '@a:x', room text DEFAULT '!r:x', extra jsonb DEFAULT '{}', ts bigint DEFAULT 1000)
	RETURNS void LANGUAGE sql AS $$
	INSERT INTO find.events (event_id, type, room_id, sender, origin_server_ts, content)
	VALUES (id, 'm.room.message', room, sender, ts, jsonb_build_object('msgtype', 'm.text', 'body', body) || extra) $$;
CREATE FUNCTION pg_temp.rewrite(id text, target text, body text, ts bigint, sender text DEFAULT '@a:x', room text DEFAULT '!r:x')
	RETURNS void LANGUAGE sql AS $$
	SELECT pg_temp.say(id, '* ' || body, sender, room, jsonb_build_object('m.new_content', jsonb_build_object('msgtype', 'm.text', 'body', body),
		'm.relates_to', jsonb_build_object('rel_type', 'm.replace', 'event_id', target)), ts) $$;
CREATE FUNCTION pg_temp.find(query text, rooms text[] DEFAULT NULL, senders text[] DEFAULT NULL, before bigint DEFAULT NULL, max int DEFAULT 50, ranked boolean DEFAULT false)
	RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(s.event_id, ' ') FROM matrix.search('find', query, rooms, senders, before, max, ranked) s $$;

-- Many scripts.  Each message is found by these, and by nothing that stands beside them.
CREATE TEMP TABLE script (name text, body text, finds text[], misses text[]);
INSERT INTO script VALUES
	('latin', 'Straße naïve ÉTÉ Łódź', '{straße,NAÏVE,été,łódź,ŁÓDŹ,"été łódź","\"naïve été\"",na*}', '{naive,"\"été naïve\"",ete}'),
	('composed', U&'caf\00E9 re\0301sume\0301', ARRAY[U&'cafe\0301', U&'CAF\00C9', U&'r\00E9sum\00E9'], '{cafe,resume}'),
	('cyrillic', 'Привет, МИР!', '{привет,ПРИВЕТ,мир,"мир привет","\"привет мир\"",при*}', '{прив,"\"мир привет\""}'),
	('greek', 'ΟΔΟΣ οδός', '{οδος,οδοσ,ΟΔΌΣ,οδός}', '{οδο}'),
	('arabic', 'مرحبا، كيف حالك؟', '{مرحبا,حالك,"\"مرحبا كيف\""}', '{مرحب}'),
	('hebrew', 'שלום עולם־חדש', '{שלום,חדש,"\"עולם חדש\""}', '{שלו}'),
	('persian', U&'\0645\06CC\200C\0631\0648\0645', ARRAY[U&'\0645\06CC\0631\0648\0645', U&'\0645\06CC\200C\0631\0648\0645'], ARRAY[U&'\0631\0648\0645']),
	('hindi', 'नमस्ते हिन्दी।', '{नमस्ते,हिन्दी,"\"नमस्ते हिन्दी\"",हि*}', '{नमस,न्दी}'),
	('thai', 'สวัสดีครับ', '{สวัสดี,ครับ,ส,สวัสดีครับ}', '{ดีสวัส}'),
	('chinese', '今天天氣很好。我們去公園', '{天氣,今天天氣,氣,公園,"天氣 公園",園}', '{氣天,好我,天公園}'),
	('japanese', '東京タワーTower333へ行く', '{東京,タワー,東京タワー,tower333,TOWER333へ行く,ワー,行,へ行,"\"タワー tower333\""}', '{京東,tower,東京行く}'),
	('fullwidth', 'ｶﾞｷﾞ ＡＢＣ１２３', '{ガギ,abc123,ＡＢＣ１２３}', '{abc}'),
	('korean', '안녕하세요 세계', '{안녕,하세요,세계,안녕하세요,계}', '{세안}'),
	('lao khmer burmese', 'ສະບາຍດີ សួស្តី မင်္ဂလာပါ བཀྲ་ཤིས', '{ບາຍດີ,សួស្តី,လာပါ,བཀྲ་ཤིས}', '{ດີບາຍ}'),
	('emoji', 'done🎉🎉 👍🏽 ❤️ 👩‍👧', '{🎉,👍,❤,❤️,👩‍👧,🎉🎉,"done🎉"}', '{🎊,👨}'),
	('digits', 'call +49 30 1234 at 17:45, 3.14', '{1234,17:45,3.14,"\"49 30\"",12*}', '{123,14.3}'),
	('url', 'see https://matrix.org/docs/spec?q=a_b#c @user:example.org', '{matrix.org,https://matrix.org/docs,@user:example.org,spec,a_b,example}', '{org.matrix,user:org}'),
	('quotes', E'it''s a back\\slash & (paren) | ! <-> :* "q"', '{it''s,back\\slash,paren,q}', '{quote}');
SELECT pg_temp.say('$' || name, body) FROM script \g /dev/null
SELECT s.name, f.query, pg_temp.find(f.query) AS "not found by" FROM script s, unnest(s.finds) f(query)
	WHERE '$' || s.name NOT IN (SELECT event_id FROM matrix.search('find', f.query));
SELECT s.name, m.query AS "found by" FROM script s, unnest(s.misses) m(query)
	WHERE '$' || s.name IN (SELECT event_id FROM matrix.search('find', m.query));
SELECT count(*) AS finds FROM script, unnest(finds) \gset
\echo :finds finds

-- What people type.
SELECT pg_temp.say('$1', 'the quick brown fox'), pg_temp.say('$2', 'the slow brown dog'), pg_temp.say('$3', 'a quick dog', '@b:x'), pg_temp.say('$4', 'brown fox quick', '@b:x', '!other:x') \g /dev/null
SELECT query, pg_temp.find(query) FROM unnest(ARRAY['quick', 'quick brown', '"quick brown"', 'quick -brown', 'fox OR dog', 'brown fox OR dog -slow', 'qui*', '"the qui*"', '-"brown dog" brown',
	'QUICK', 'quick OR', 'OR quick', '"quick', '“quick brown”', 'quick"brown fox"', 'or']) query;
SELECT left(q, 6) AS query, count(*) FROM unnest(ARRAY['', ' ', '-', '--', '*', '"', '""', '"-"', '- -', '()', '&|!', ':*', '<->', '''', '\', 'a''b\c:*', '-*', '"*', 'OR', 'OR OR', repeat('(', 5000), repeat('"', 999),
	repeat('a ', 5000), repeat('a', 100000), repeat('今', 5000), repeat('-a OR ', 500), E'\u0301', E'\uFFFF', E'\U0010FFFF', E'\u200D']) q, matrix.search('find', q) GROUP BY q ORDER BY q COLLATE "C";
SELECT matrix.search_query('{simple}', q) FROM unnest(ARRAY['', '-', E'a\\b ''c', 'x OR y z -w', '今日は晴', 'a今b', '"a b" c*', '-a']) q;
SELECT matrix.search_query('{simple,english,german}', q) FROM unnest(ARRAY['the running dogs', 'die Häuser', '今日', '42', '"the dogs"']) q;
SELECT matrix.search_query('{english}', 'the'), matrix.search_query('{}', 'word'), matrix.search_query(NULL, 'word');
SELECT matrix.search_query('{NULL}', 'word');

-- Rooms, senders, pages.
SELECT pg_temp.find('brown', '{!other:x}'), pg_temp.find('brown', '{!other:x,!r:x}'), pg_temp.find('brown', '{}'), pg_temp.find('brown', '{NULL}'), pg_temp.find('brown', ARRAY[repeat('r', 5000)]);
SELECT pg_temp.find('quick', senders => '{@b:x}'), pg_temp.find('quick', '{!r:x}', '{@b:x,@c:x}');
SELECT pg_temp.find('brown', max => 2), pg_temp.find('brown', max => 2, before => (SELECT stream_id FROM find.events WHERE event_id = '$2')), pg_temp.find('brown', max => 0);
SELECT pg_temp.find('quick', max => -1);

-- Edits: the last valid one counts, at the place of the message.
SELECT pg_temp.say('$e', 'original words'), pg_temp.say('$between', 'filler'), pg_temp.rewrite('$e1', '$e', 'changed words', 2000),
	pg_temp.rewrite('$evil', '$e', 'forged words', 9000, '@b:x'), pg_temp.rewrite('$far', '$e', 'far words', 9000, '@a:x', '!other:x'),
	pg_temp.rewrite('$ee', '$e1', 'twice words', 9000), pg_temp.rewrite('$late', '$e', 'late words', 1500) \g /dev/null
SELECT w, pg_temp.find(w) FROM unnest('{original,changed,forged,far,twice,late,words}'::text[]) w;
SELECT event_id, stream_id = (SELECT stream_id FROM find.events WHERE event_id = '$e') AS place, content FROM matrix.search('find', 'changed');
SELECT pg_temp.find('words', before => (SELECT stream_id FROM find.events WHERE event_id = '$e1')),
	pg_temp.find('words', before => (SELECT stream_id FROM find.events WHERE event_id = '$e'));
SELECT pg_temp.find('-words', before => (SELECT stream_id FROM find.events WHERE event_id = '$between') + 1, max => 2);
-- An edit that came before its message, and one whose message is not there.
SELECT pg_temp.rewrite('$early1', '$early', 'early bird', 2000), pg_temp.say('$early', 'early worm'), pg_temp.rewrite('$lost1', '$lost', 'lost bird', 2000) \g /dev/null
SELECT pg_temp.find('early'), pg_temp.find('early worm'), pg_temp.find('lost');
-- More edits than are looked at above a page: the messages are asked.
SELECT pg_temp.say('$m' || i, 'plain ' || i), pg_temp.rewrite('$n' || i, '$m' || i, 'plain revised ' || i, 2000) FROM generate_series(1, 30) i \g /dev/null
SELECT pg_temp.say('$old', 'many plain'), pg_temp.say('$older', 'many plain') \g /dev/null
SELECT pg_temp.rewrite('$r' || i, '$old', 'many revised ' || i, 2000 + i) FROM generate_series(1, 600) i \g /dev/null
SELECT pg_temp.find('many'), pg_temp.find('many', before => (SELECT max(stream_id) - 5 FROM find.events)), pg_temp.find('revised', max => 2),
	pg_temp.find('revised', before => (SELECT stream_id FROM find.events WHERE event_id = '$old'), max => 2),
	pg_temp.find('revised', before => (SELECT stream_id FROM find.events WHERE event_id = '$older'), max => 2);
SELECT count(*), count(DISTINCT event_id) FROM matrix.search('find', 'plain OR revised', max => 1000);

-- A reply's quoted lines are not its words; other quotes are.
SELECT pg_temp.say('$reply', E'> <@b:x> quotation of old\n> second line\n\nanswer', extra => '{"m.relates_to":{"m.in_reply_to":{"event_id":"$1"}}}'),
	pg_temp.say('$emote', E'> * <@b:x> quotation\nanswer', extra => '{"m.relates_to":{"m.in_reply_to":{"event_id":"$1"}}}'),
	pg_temp.say('$own', E'> quotation\nanswer', extra => '{"m.relates_to":{"m.in_reply_to":{"event_id":"$1"}}}'), pg_temp.say('$no', E'> <@b:x> quotation\nanswer'),
	pg_temp.say('$only', E'> <@b:x> quotation', extra => '{"m.relates_to":{"m.in_reply_to":{"event_id":"$1"}}}') \g /dev/null
SELECT pg_temp.find('answer'), pg_temp.find('quotation'), pg_temp.find('second');

-- Names and topics, and what is not searched.
INSERT INTO find.events (event_id, type, room_id, sender, state_key, content) VALUES
	('$name', 'm.room.name', '!r:x', '@a:x', '', '{"name":"Gardeners"}'), ('$topic', 'm.room.topic', '!r:x', '@a:x', '', '{"topic":"gardeners talk"}'),
	('$blocks', 'm.room.topic', '!r:x', '@a:x', '', '{"topic":"fallback","m.topic":{"m.text":[{"mimetype":"text/html","body":"<b>bold</b>"},{"body":"gardeners plain"}]}}');
INSERT INTO find.events (event_id, type, room_id, sender, content) VALUES ('$custom', 'org.example.x', '!r:x', '@a:x', '{"body":"gardeners"}'),
	('$sticker', 'm.sticker', '!r:x', '@a:x', '{"body":"gardeners","url":"mxc://x/y","info":{}}');
SELECT pg_temp.say('$said', 'of gardeners') \g /dev/null
SELECT pg_temp.find('gardeners'), pg_temp.find('fallback OR bold'), pg_temp.find('gardeners', ranked => true), pg_temp.find('gardeners', ranked => true, max => 1);
INSERT INTO find.events (event_id, type, room_id, sender, content, soft_failed, rejected, outlier)
	SELECT '$bad' || i, 'm.room.message', '!r:x', '@c:x', '{"msgtype":"m.text","body":"gardeners","m.mentions":{"room":true}}', i = 1, i = 2, i = 3 FROM generate_series(1, 3) i;
SELECT pg_temp.find('gardeners', senders => '{@c:x}');

-- Mentions.
SELECT pg_temp.say('$to' || i, 'hey', extra => '{"m.mentions":{"user_ids":["@b:x","@b:x",7,""]}}') FROM generate_series(1, 5) i \g /dev/null
SELECT pg_temp.say('$all', 'hey', extra => '{"m.mentions":{"room":true,"user_ids":"@b:x"}}'), pg_temp.say('$none', 'hey @b:x', extra => '{"m.mentions":{"room":1}}'),
	pg_temp.say('$newly', '* hey', extra => '{"m.mentions":{"user_ids":["@c:x"]},"m.new_content":{"msgtype":"m.text","body":"hey","m.mentions":{"user_ids":["@b:x","@c:x"]}},"m.relates_to":{"rel_type":"m.replace","event_id":"$to1"}}') \g /dev/null
CREATE FUNCTION pg_temp.mentions(user_id text, before bigint DEFAULT NULL, after bigint DEFAULT NULL, max int DEFAULT 50) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(m.event_id, ' ') FROM matrix.mentions('find', user_id, before, after, max) m $$;
SELECT u, pg_temp.mentions(u) FROM unnest('{@b:x,@c:x,@d:x,@room,"",7}'::text[]) u;
SELECT stream_id AS to3 FROM find.events WHERE event_id = '$to3' \gset
SELECT pg_temp.mentions('@b:x', max => 2), pg_temp.mentions('@b:x', :to3, max => 1), pg_temp.mentions('@b:x', after => 0, max => 2), pg_temp.mentions('@b:x', after => :to3), pg_temp.mentions('@b:x', after => 0, before => :to3);

-- Windows of the stream: far apart, and below 0.
SELECT setval('find.events_stream_id', 10000000), pg_temp.say('$w1', 'scattered'), setval('find.events_stream_id', 11000000), pg_temp.say('$w2', 'scattered') \g /dev/null
SELECT pg_temp.rewrite('$w3', '$1', 'scattered fox', 3000), pg_temp.say('$w4', 'scattered', extra => '{"m.mentions":{"user_ids":["@far:x"]}}') \g /dev/null
INSERT INTO find.events (stream_id, event_id, type, room_id, sender, content)
	SELECT -1, '$past' || i, 'm.room.message', '!r:x', '@a:x', '{"msgtype":"m.text","body":"scattered","m.mentions":{"user_ids":["@far:x"]}}' FROM generate_series(1, 3) i;
SELECT pg_temp.find('scattered'), pg_temp.find('scattered', before => 10000001), pg_temp.find('scattered', before => -1), pg_temp.find('scattered', before => -5000000), pg_temp.mentions('@far:x'), pg_temp.mentions('@far:x', after => -100, max => 3);
SELECT matrix.search_scope(-1025, 1024, '{!a:x,!b:x,!c:x}', '{@a:x}', '@b:x', true);
SELECT matrix.search_scope(0, 70000, NULL, NULL, NULL, false), matrix.search_scope(1, 0, NULL, NULL, NULL, false) IS NULL;
SELECT matrix.search_scope(-9223372036854775808, 9223372036854775807, NULL, NULL, NULL, false);

-- Far back, and then more than are read at once: the windows become smaller again.
SELECT setval('find.events_stream_id', 12000000) \g /dev/null
SELECT pg_temp.say('$dense' || i, 'dense') FROM generate_series(1, 5000) i \g /dev/null
SELECT setval('find.events_stream_id', 13000000), pg_temp.say('$gap', 'gap') \g /dev/null
SELECT pg_temp.find('dense', max => 3), pg_temp.find('dense', before => 12000004), count(*), count(DISTINCT event_id), min(event_id COLLATE "C") FROM matrix.search('find', 'dense', max => 6000);

-- Redacted: nothing is left.
ALTER TABLE find.events DISABLE TRIGGER a_matrix_event;
UPDATE find.events SET content = '{}' WHERE event_id IN ('$e', '$3');
ALTER TABLE find.events ENABLE TRIGGER a_matrix_event;
SELECT pg_temp.find('words'), pg_temp.find('"quick dog"');
ANALYZE find.events;
SELECT count(*) FROM pg_stats WHERE schemaname = 'find' AND tablename = 'events_search';

-- What an index cannot hold is left out, and nothing is noticed.
SELECT length(matrix.search_vector('{simple,english}', 1, '!r:x', '@a:x', 'm.room.message', jsonb_build_object('body', b))) FROM (VALUES
	(repeat('x', 60000)), (repeat('x', 2001) || ' y'), (repeat('今', 20000)), (repeat('x ', 30000)), ('e' || repeat(U&'\0301\0302', 16000)), (repeat(U&'\FDFA', 20000)),
	((SELECT string_agg(chr(i), '') FROM generate_series(19968, 40000) i)), ((SELECT string_agg(i || 'x', ' ') FROM generate_series(1, 100000) i))) t(b);
SELECT matrix.search_vector('{simple}', 1, NULL, NULL, 'm.room.message', '[1]'), matrix.search_vector('{simple}', 1, NULL, NULL, 'org.example.x', '{"body":"x"}') IS NULL, matrix.search_vector('{simple}', 1, repeat('r', 300), '', 'm.room.message', '{"body":7}');

-- Configurations: what a message is found by, and what the index is made of.
SELECT matrix.set_search_configs('find', '{english,german}');
SELECT search_configs FROM find.settings;
SELECT pg_get_indexdef('find.events_search'::regclass);
SELECT pg_temp.say('$en', 'The foxes were running'), pg_temp.say('$de', 'Die Häuser der Füchse') \g /dev/null
SELECT pg_temp.find('fox run'), pg_temp.find('Haus'), pg_temp.find('häusern'), pg_temp.find('the'), pg_temp.find('"foxes run"'), pg_temp.find('天氣');
-- A plain UPDATE makes the index anew as well; a wrong one does not pass.
UPDATE find.settings SET search_configs = '{simple}';
SELECT pg_temp.find('run'), pg_temp.find('running'), pg_get_indexdef('find.events_search'::regclass) LIKE '%ARRAY[''simple''::regconfig]%';
UPDATE find.settings SET search_configs = '{klingon}';
SELECT matrix.set_search_configs('find', '{NULL}');
SELECT pg_temp.find('running');
SELECT matrix.set_search_configs('find', '{}');
SELECT pg_temp.find('running'), pg_temp.find('天氣'), pg_temp.mentions('@c:x');
CREATE TEXT SEARCH CONFIGURATION public.mine (COPY = simple);
SELECT matrix.set_search_configs('find', '{public.mine}');
SELECT search_configs, pg_temp.find('running') FROM find.settings;
DROP TEXT SEARCH CONFIGURATION public.mine;

-- Another store in the same session; a reader needs SELECT on events.
SELECT matrix.create_store('find2');
SELECT count(*) FROM matrix.search('find2', 'running'), matrix.mentions('find2', '@a:x');
CREATE ROLE regress_reader;
GRANT USAGE ON SCHEMA find TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM matrix.search('find', 'running');
SELECT count(*) FROM matrix.mentions('find', '@c:x');
RESET ROLE;
GRANT SELECT ON find.events TO regress_reader;
SET ROLE regress_reader;
SELECT count(*) FROM matrix.search('find', 'running');
SELECT count(*) FROM matrix.mentions('find', '@c:x');
SELECT matrix.set_search_configs('find', '{simple}');
RESET ROLE;
SELECT * FROM matrix.search_window(NULL, '{1}', '{x}', '{NULL}', '{}', '{}', 1, 2, 1, NULL, NULL, 'x', false);
SELECT * FROM matrix.mentions_window(NULL, '{1}', 1, 2, 1, true);
SELECT count(*) FROM matrix.search_window('find', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) w WHERE (w.event).event_id IS NOT NULL;
SELECT matrix.search(NULL, 'x');
SELECT matrix.mentions(NULL, '@c:x');
-- The ends of all numbers.
SELECT matrix.search('find', 'zzz', max => -1);
SELECT matrix.mentions('find', '@c:x', max => -1);
SELECT (SELECT count(*) FROM matrix.search('find', 'zzz', max => 2147483647)), (SELECT count(*) FROM matrix.search('find', 'running', max => 2147483647)),
	(SELECT count(*) FROM matrix.search('find', 'running', before => 9223372036854775807)), (SELECT count(*) FROM matrix.search('find', 'running', before => -9223372036854775808)),
	(SELECT count(*) FROM matrix.mentions('find', '@c:x', max => 2147483647)), (SELECT count(*) FROM matrix.mentions('find', '@c:x', after => 9223372036854775807)),
	(SELECT count(*) FROM matrix.mentions('find', '@c:x', before => -9223372036854775808)), (SELECT count(*) FROM matrix.mentions('find', NULL));
-- Kept plans of a store that gets another name.
ALTER SCHEMA find RENAME TO found;
SELECT count(*) FROM matrix.search('found', 'running'), matrix.timeline('found', '!r:x', max => 1);
ALTER SCHEMA found RENAME TO find;
SELECT matrix.search('nowhere', 'x');
SELECT matrix.mentions('nowhere', '@a:x');
SELECT matrix.set_search_configs('nowhere', '{simple}');
SELECT matrix.drop_store('find', true), matrix.drop_store('find2', true);
DROP TEXT SEARCH CONFIGURATION public.mine;
DROP ROLE regress_reader;
