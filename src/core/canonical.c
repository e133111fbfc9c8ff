/*
 * canonical.c - canonical JSON
 */
#include "core/canonical.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a byte takes within a string: 0 for \u00xx. */
static char
short_escape(unsigned char c)
{
	switch (c)
	{
		case '\b':
			return 'b';
		case '\t':
			return 't';
		case '\n':
			return 'n';
		case '\f':
			return 'f';
		case '\r':
			return 'r';
		case '"':
		case '\\':
			return (char) c;
		default:
			return 0;
	}
}

static size_t
string_size(const char *text, size_t length)
{
	size_t		size = length + 2;

	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c < 0x20 || c == '"' || c == '\\')
			size += short_escape(c) != 0 ? 1 : 5;
	}
	return size;
}

static char *
write_string(char *to, const char *text, size_t length)
{
	*to++ = '"';
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			*to++ = (char) c;
		else if (short_escape(c) != 0)
		{
			*to++ = '\\';
			*to++ = short_escape(c);
		}
		else
		{
			static const char digits[] = "0123456789abcdef";

			memcpy(to, "\\u00", 4);
			to[4] = digits[c >> 4];
			to[5] = digits[c & 15];
			to += 6;
		}
	}
	*to++ = '"';
	return to;
}

static bool
expressible(const mx_value *number)
{
	return mx_is_integral(number) && fabs(mx_number(number)) <= (double) MX_MAX_INTEGER;
}

static int
number_text(const mx_value *number, char *buffer, size_t size)
{
	if (number->kind == MX_INTEGER)
		return snprintf(buffer, size, "%lld", (long long) number->u.integer);
	if (expressible(number))
		return snprintf(buffer, size, "%lld", (long long) mx_number(number));
	return snprintf(buffer, size, "%.*s", (int) number->length, number->u.text);
}

size_t
mx_canonical_size(const mx_value *value)
{
	char		buffer[512];
	size_t		size = 2;

	switch (value->kind)
	{
		case MX_NULL:
			return 4;
		case MX_BOOLEAN:
			return value->u.boolean ? 4 : 5;
		case MX_INTEGER:
		case MX_NUMBER:
			return (size_t) number_text(value, buffer, sizeof(buffer));
		case MX_STRING:
			return string_size(value->u.text, value->length);
		default:
			if (value->length > 1)
				size += value->length - 1;
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
			{
				if (value->kind == MX_OBJECT)
					size += string_size(child->key, child->key_length) + 1;
				size += mx_canonical_size(child);
			}
			return size;
	}
}

/* By bytes of UTF-8, which is by code points. */
static int
compare_keys(const void *a, const void *b)
{
	const mx_value *left = *(const mx_value *const *) a;
	const mx_value *right = *(const mx_value *const *) b;
	size_t		shorter = left->key_length < right->key_length ? left->key_length : right->key_length;
	int			order = memcmp(left->key, right->key, shorter);

	return order != 0 ? order : (left->key_length > right->key_length) - (left->key_length < right->key_length);
}

static char *
write_value(mx_arena *arena, const mx_value *value, char *to)
{
	char		buffer[512];
	size_t		length;
	size_t		n = 0;
	const mx_value **sorted;

	switch (value->kind)
	{
		case MX_NULL:
			memcpy(to, "null", 4);
			return to + 4;
		case MX_BOOLEAN:
			length = value->u.boolean ? 4 : 5;
			memcpy(to, value->u.boolean ? "true" : "false", length);
			return to + length;
		case MX_INTEGER:
		case MX_NUMBER:
			length = (size_t) number_text(value, buffer, sizeof(buffer));
			memcpy(to, buffer, length);
			return to + length;
		case MX_STRING:
			return write_string(to, value->u.text, value->length);
		case MX_ARRAY:
			*to++ = '[';
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
			{
				to = write_value(arena, child, to);
				if (child->next != NULL)
					*to++ = ',';
			}
			*to++ = ']';
			return to;
		default:
			sorted = mx_alloc(arena, (value->length + 1) * sizeof(*sorted));
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
				sorted[n++] = child;
			qsort(sorted, n, sizeof(*sorted), compare_keys);
			*to++ = '{';
			for (size_t i = 0; i < n; i++)
			{
				if (i > 0)
					*to++ = ',';
				to = write_string(to, sorted[i]->key, sorted[i]->key_length);
				*to++ = ':';
				to = write_value(arena, sorted[i], to);
			}
			*to++ = '}';
			return to;
	}
}

void
mx_canonical_write(mx_arena *arena, const mx_value *value, char *to)
{
	write_value(arena, value, to);
}

static void
check(const mx_value *value, const mx_path *path, mx_violations *violations)
{
	size_t		i = 0;

	if (value->kind == MX_NUMBER && !expressible(value))
		mx_violate(violations, mx_is_integral(value) ? MX_NUMBER_RANGE : MX_FLOAT, path,
				   "is not a number that canonical JSON can express");
	if (value->kind < MX_ARRAY)
		return;
	for (const mx_value *child = value->u.children; child != NULL; child = child->next)
	{
		mx_path		here = {path, child->key, child->key_length, i++};

		check(child, &here, violations);
	}
}

void
mx_canonical_check(const mx_value *value, mx_violations *violations)
{
	static const mx_path top = {NULL, NULL, 0, 0};

	check(value, &top, violations);
}
