/*
 * grammar.c - Matrix identifiers
 */
#include "core/grammar.h"

#include <string.h>

static bool
one_of(char c, const char *others)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c != '\0' && strchr(others, c) != NULL);
}

static bool
all_of(mx_string text, const char *others)
{
	for (size_t i = 0; i < text.length; i++)
		if (!one_of(text.text[i], others))
			return false;
	return text.length > 0;
}

static bool
all_digits(mx_string text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.text[i] < '0' || text.text[i] > '9')
			return false;
	return true;
}

static mx_string
from(mx_string text, size_t start)
{
	return (mx_string) {text.text + start, text.length - start};
}

/* hostname [":" port]: an IPv6 address in brackets, an IPv4 address or a DNS name. */
const char *
mx_check_server_name(mx_string text)
{
	static const char wrong[] = "is not a server name";
	const char *end;
	mx_string	host = text;
	mx_string	port = {NULL, 0};

	if (text.length > 0 && text.text[0] == '[')
	{
		end = memchr(text.text, ']', text.length);
		if (end == NULL)
			return wrong;
		host = (mx_string) {text.text + 1, (size_t) (end - text.text) - 1};
		if (host.length < 2 || host.length > 45 || !all_of(host, ":."))
			return wrong;
		port = from(text, host.length + 2);
		if (port.length == 0)
			return NULL;
		if (port.text[0] != ':')
			return wrong;
	}
	else
	{
		end = memchr(text.text, ':', text.length);
		if (end != NULL)
		{
			host.length = (size_t) (end - text.text);
			port = from(text, host.length);
		}
		if (host.length < 1 || host.length > 255 || !all_of(host, "-."))
			return wrong;
		if (end == NULL)
			return NULL;
	}
	port = from(port, 1);
	return port.length >= 1 && port.length <= 5 && all_digits(port) ? NULL : wrong;
}

/* A sigil, at most 255 bytes, no NUL; what is common to all identifiers. */
static const char *
check_sigil(mx_string text, char sigil, const char *wrong)
{
	if (text.length < 2 || text.text[0] != sigil)
		return wrong;
	if (text.length > MX_MAX_ID)
		return "is longer than 255 bytes";
	if (memchr(text.text, '\0', text.length) != NULL)
		return "holds U+0000";
	return NULL;
}

static const char *
check_with_server(mx_string text, char sigil, bool server_required, const char *wrong)
{
	const char *fault = check_sigil(text, sigil, wrong);
	const char *colon;

	if (fault != NULL)
		return fault;
	colon = memchr(text.text, ':', text.length);
	if (colon == NULL)
		return server_required ? wrong : NULL;
	if (mx_check_server_name(from(text, (size_t) (colon - text.text) + 1)) != NULL)
		return "has no valid server name after the colon";
	return NULL;
}

const char *
mx_check_user_id(mx_string text)
{
	return check_with_server(text, '@', true, "is not a user ID (@localpart:server)");
}

/* Room version 12 and later have no server part. */
const char *
mx_check_room_id(mx_string text)
{
	return check_with_server(text, '!', false, "is not a room ID (!opaque or !opaque:server)");
}

const char *
mx_check_room_alias(mx_string text)
{
	return check_with_server(text, '#', true, "is not a room alias (#localpart:server)");
}

const char *
mx_check_event_id(mx_string text)
{
	return check_sigil(text, '$', "is not an event ID ($opaque)");
}

const char *
mx_check_mxc_uri(mx_string text)
{
	static const char wrong[] = "is not a content URI (mxc://server/media)";
	mx_string	rest;
	const char *slash;

	if (text.length < 6 || memcmp(text.text, "mxc://", 6) != 0)
		return wrong;
	rest = from(text, 6);
	slash = memchr(rest.text, '/', rest.length);
	if (slash == NULL || slash == rest.text + rest.length - 1)
		return wrong;
	rest.length = (size_t) (slash - rest.text);
	return mx_check_server_name(rest) == NULL ? NULL : wrong;
}

mx_grammar
mx_grammar_named(mx_string format)
{
	static const struct
	{
		const char *name;
		mx_grammar	check;
	}			grammars[] = {
		{"mx-user-id", mx_check_user_id},
		{"mx-room-id", mx_check_room_id},
		{"mx-event-id", mx_check_event_id},
		{"mx-room-alias", mx_check_room_alias},
		{"mx-server-name", mx_check_server_name},
		{"mx-mxc-uri", mx_check_mxc_uri},
	};

	for (size_t i = 0; i < sizeof(grammars) / sizeof(grammars[0]); i++)
		if (format.length == strlen(grammars[i].name) &&
			memcmp(format.text, grammars[i].name, format.length) == 0)
			return grammars[i].check;
	return NULL;
}
