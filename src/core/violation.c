/*
 * violation.c - collecting violations, and writing paths
 */
#include "core/violation.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_STEPS 40

static const char *const code_names[MX_CODES] = {
	[MX_MALFORMED] = "malformed",
	[MX_DUPLICATE_KEY] = "duplicate_key",
	[MX_DEPTH] = "depth",
	[MX_TOO_LARGE] = "too_large",
	[MX_TOO_LONG] = "too_long",
	[MX_TOO_SHORT] = "too_short",
	[MX_TOO_MANY] = "too_many",
	[MX_TOO_FEW] = "too_few",
	[MX_MISSING] = "missing",
	[MX_UNEXPECTED] = "unexpected",
	[MX_TYPE] = "type",
	[MX_ENUM] = "enum",
	[MX_PATTERN] = "pattern",
	[MX_GRAMMAR] = "grammar",
	[MX_NUMBER_RANGE] = "number_range",
	[MX_FLOAT] = "float",
	[MX_MISMATCH] = "mismatch",
	[MX_TWO_PARTY] = "two_party",
	[MX_CONFLICT] = "conflict",
};

const char *
mx_code_name(mx_code code)
{
	return code_names[code];
}

void
mx_violations_init(mx_violations *violations, mx_arena *arena)
{
	violations->arena = arena;
	violations->count = 0;
	violations->first = NULL;
	violations->tail = &violations->first;
}

size_t
mx_clip(const char *text, size_t length, size_t most)
{
	if (length <= most)
		return length;
	while (most > 0 && ((unsigned char) text[most] & 0xC0) == 0x80)
		most--;
	return most;
}

void
mx_violate(mx_violations *violations, mx_code code, const mx_path *path, const char *format,...)
{
	va_list		args;
	char		message[512];
	size_t		length;
	mx_violation *violation;

	if (violations->count++ >= MX_MAX_VIOLATIONS)
		return;
	va_start(args, format);
	length = (size_t) vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	length = mx_clip(message, length, sizeof(message) - 2);
	violation = mx_alloc(violations->arena, sizeof(*violation));
	violation->code = code;
	violation->path = mx_path_text(violations->arena, path);
	violation->message = mx_format(violations->arena, "%.*s", (int) length, message);
	violation->next = NULL;
	*violations->tail = violation;
	violations->tail = &violation->next;
}

/* Both lists live in one arena. */
void
mx_violations_take(mx_violations *into, const mx_violations *from)
{
	if (from->first == NULL)
		return;
	if (into->count < MX_MAX_VIOLATIONS)
	{
		*into->tail = from->first;
		into->tail = from->tail;
	}
	into->count += from->count;
}

static bool
is_plain(const char *key, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		char		c = key[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			  (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return length > 0;
}

/* Copy a key between double quotes, escaped as a jsonpath string. */
static char *
put_quoted(char *to, const char *key, size_t length)
{
	*to++ = '"';
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) key[i];

		if (c < 0x20)
			to += sprintf(to, "\\u%04x", c);
		else
		{
			if (c == '"' || c == '\\')
				*to++ = '\\';
			*to++ = (char) c;
		}
	}
	*to++ = '"';
	return to;
}

const char *
mx_path_text(mx_arena *arena, const mx_path *path)
{
	const mx_path *steps[MAX_STEPS];
	size_t		n = 0;
	size_t		room = 1;
	char	   *result;
	char	   *to;

	for (; path != NULL && path->outer != NULL; path = path->outer)
	{
		if (n == MAX_STEPS)
		{
			memmove(steps, steps + 1, (MAX_STEPS - 1) * sizeof(*steps));
			n--;
		}
		steps[n++] = path;
		room += path->key == NULL ? 24 : 3 + 6 * (path->key_length < MX_MAX_ID ? path->key_length : MX_MAX_ID);
	}
	to = result = mx_alloc(arena, room);
	while (n-- > 0)
	{
		const mx_path *step = steps[n];
		size_t		length = mx_clip(step->key, step->key_length, MX_MAX_ID);

		if (step->key == NULL)
		{
			to += sprintf(to, "[%zu]", step->index);
			continue;
		}
		if (to != result)
			*to++ = '.';
		if (is_plain(step->key, length))
		{
			memcpy(to, step->key, length);
			to += length;
		}
		else
			to = put_quoted(to, step->key, length);
	}
	*to = '\0';
	return result;
}
