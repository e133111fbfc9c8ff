/*
 * test_grammar.c - identifiers
 */
#include "unit.h"

#include "core/grammar.h"

#include <string.h>

static void
valid(mx_grammar check, const char *text)
{
	CHECK(check((mx_string) {text, strlen(text)}) == NULL, "%s is refused", text);
}

static void
invalid(mx_grammar check, const char *text)
{
	CHECK(check((mx_string) {text, strlen(text)}) != NULL, "%s is accepted", text);
}

static void
lengths(mx_grammar check, char sigil)
{
	char		text[300];

	memset(text, 'a', sizeof(text));
	text[0] = sigil;
	memcpy(text + 100, ":b.c", 4);
	CHECK(check((mx_string) {text, 255}) == NULL, "255 bytes after %c", sigil);
	CHECK(check((mx_string) {text, 256}) != NULL, "256 bytes after %c", sigil);
	text[50] = '\0';
	CHECK(check((mx_string) {text, 255}) != NULL, "U+0000 after %c", sigil);
}

void
test_grammar(void)
{
	static const char *const servers[] = {
		"example.org", "example.org:8448", "1.2.3.4", "1.2.3.4:80", "[::1]", "[2001:db8::1]:443", "localhost", "A-b.C"
	};
	static const char *const no_servers[] = {
		"", ":80", "example.org:", "example.org:123456", "example.org:8a", "exa mple.org", "example.org/x",
		"[::1", "[]", "[::1]x", "[::1]:", "ex\xC3\xA4mple.org", "a_b"
	};

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++)
		valid(mx_check_server_name, servers[i]);
	for (size_t i = 0; i < sizeof(no_servers) / sizeof(no_servers[0]); i++)
		invalid(mx_check_server_name, no_servers[i]);

	valid(mx_check_user_id, "@alice:example.org");
	valid(mx_check_user_id, "@:example.org");
	valid(mx_check_user_id, "@Al!ce \xE2\x82\xAC:example.org:80");
	invalid(mx_check_user_id, "@alice");
	invalid(mx_check_user_id, "@alice:");
	invalid(mx_check_user_id, "alice:example.org");
	invalid(mx_check_user_id, "@");
	invalid(mx_check_user_id, "");
	lengths(mx_check_user_id, '@');

	valid(mx_check_room_id, "!room:example.org");
	valid(mx_check_room_id, "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM");
	invalid(mx_check_room_id, "room:example.org");
	invalid(mx_check_room_id, "!");
	invalid(mx_check_room_id, "!room:exa mple");
	lengths(mx_check_room_id, '!');

	valid(mx_check_event_id, "$31hneApxJ/1o+63DmFrpeqnkFfWppnzWso1JvH3ogLM");
	valid(mx_check_event_id, "$old:example.org");
	invalid(mx_check_event_id, "old:example.org");
	invalid(mx_check_event_id, "$");
	lengths(mx_check_event_id, '$');

	valid(mx_check_room_alias, "#room:example.org");
	invalid(mx_check_room_alias, "#room");
	invalid(mx_check_room_alias, "room:example.org");
	lengths(mx_check_room_alias, '#');

	valid(mx_check_mxc_uri, "mxc://example.org/abcDEF");
	invalid(mx_check_mxc_uri, "mxc://example.org/");
	invalid(mx_check_mxc_uri, "mxc://example.org");
	invalid(mx_check_mxc_uri, "mxc:///abc");
	invalid(mx_check_mxc_uri, "https://example.org/abc");

	CHECK(mx_grammar_named((mx_string) {"mx-user-id", 10}) == mx_check_user_id, "format mx-user-id");
	CHECK(mx_grammar_named((mx_string) {"uri", 3}) == NULL, "an unknown format");
}
