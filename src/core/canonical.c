/*
 * canonical.c - canonical JSON
 */
#include "core/canonical.h"

#include <float.h>
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

/*
 * The shortest decimal that reads back as the double, the nearest one if there
 * are several: d[.ddd]e+xx, as printf writes it.
 */
static void
shortest(double number, char *buffer, size_t size)
{
	/* 15 digits hold whatever has no more, but where doubles get short of digits. */
	int			precision = fabs(number) < DBL_MIN ? 0 : DBL_DIG - 1;
	char	   *e;
	char	   *last;

	for (;; precision++)
	{
		snprintf(buffer, size, "%.*e", precision, number);
		e = strchr(buffer, 'e');
		if (strtod(buffer, NULL) == number)
			break;
		/* Doubles lie closer below a power of 2 than above it: there the next decimal can fit. */
		if (e[-1] < '9')
		{
			e[-1]++;
			if (strtod(buffer, NULL) == number)
				break;
		}
	}
	last = e - 1;
	while (precision > 0 && *last == '0')
		last--;
	if (*last != '.')
		last++;
	memmove(last, e, strlen(e) + 1);
}

/* As Python's repr of a float, which is how servers in Python wrote fractions. */
static int
double_text(double number, char *buffer, size_t size)
{
	char		scientific[32];
	char	   *digits = scientific;
	char	   *e;
	char		sign[2] = {0, 0};
	int			exponent;
	int			count;

	shortest(number, scientific, sizeof(scientific));
	if (*digits == '-')
		sign[0] = *digits++;
	e = strchr(digits, 'e');
	exponent = atoi(e + 1);
	if (exponent < -4 || exponent >= 16)
		return snprintf(buffer, size, "%s", scientific);
	/* ddddd, then the point in its place. */
	*e = '\0';
	count = (int) (e - digits);
	if (count > 1)
		memmove(digits + 1, digits + 2, (size_t) --count);
	if (exponent < 0)
		return snprintf(buffer, size, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
	if (count <= exponent)
		return snprintf(buffer, size, "%s%s%.*s.0", sign, digits, exponent + 1 - count, "000000000000000");
	return snprintf(buffer, size, "%s%.*s.%s", sign, exponent + 1, digits,
					count == exponent + 1 ? "0" : digits + exponent + 1);
}

static int
number_text(const mx_value *number, bool lenient, char *buffer, size_t size)
{
	bool		whole = true;

	if (number->kind == MX_INTEGER)
		return snprintf(buffer, size, "%lld", (long long) number->u.integer);
	if (!lenient && expressible(number))
		return snprintf(buffer, size, "%lld", (long long) mx_number(number));
	for (uint32_t i = 0; i < number->length; i++)
		if (strchr(".eE", number->u.text[i]) != NULL)
			whole = false;
	if (lenient && !whole)
		return double_text(mx_number(number), buffer, size);
	return snprintf(buffer, size, "%.*s", (int) number->length, number->u.text);
}

static size_t
size_of(const mx_value *value, bool lenient)
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
			return (size_t) number_text(value, lenient, buffer, sizeof(buffer));
		case MX_STRING:
			return string_size(value->u.text, value->length);
		default:
			if (value->length > 1)
				size += value->length - 1;
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
			{
				if (value->kind == MX_OBJECT)
					size += string_size(child->key, child->key_length) + 1;
				size += size_of(child, lenient);
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
write_value(mx_arena *arena, const mx_value *value, bool lenient, char *to)
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
			length = (size_t) number_text(value, lenient, buffer, sizeof(buffer));
			memcpy(to, buffer, length);
			return to + length;
		case MX_STRING:
			return write_string(to, value->u.text, value->length);
		case MX_ARRAY:
			*to++ = '[';
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
			{
				to = write_value(arena, child, lenient, to);
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
				to = write_value(arena, sorted[i], lenient, to);
			}
			*to++ = '}';
			return to;
	}
}

size_t
mx_canonical_size(const mx_value *value)
{
	return size_of(value, false);
}

void
mx_canonical_write(mx_arena *arena, const mx_value *value, char *to)
{
	write_value(arena, value, false, to);
}

static mx_string
written(mx_arena *arena, const mx_value *value, bool lenient)
{
	size_t		size = size_of(value, lenient);
	char	   *text = mx_alloc(arena, size);

	write_value(arena, value, lenient, text);
	return (mx_string) {text, size};
}

mx_string
mx_canonical(mx_arena *arena, const mx_value *value)
{
	return written(arena, value, false);
}

mx_string
mx_canonical_lenient(mx_arena *arena, const mx_value *value)
{
	return written(arena, value, true);
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
