/*
 * value.c - the arena, the builder of value trees, and looking into them
 */
#include "core/value.h"

#include "core/violation.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 8192

/* The longest number that is looked at: more digits than a double's range. */
#define MAX_NUMBER_TEXT 400
#define MAX_EXPONENT 308

void
mx_arena_init(mx_arena *arena, void *(*alloc) (void *, size_t), void *owner)
{
	arena->alloc = alloc;
	arena->owner = owner;
	arena->next = arena->end = NULL;
}

void *
mx_alloc(mx_arena *arena, size_t size)
{
	void	   *result;

	size = (size + 7) & ~(size_t) 7;
	if (size > CHUNK / 4)
		return arena->alloc(arena->owner, size);
	if ((size_t) (arena->end - arena->next) < size)
	{
		arena->next = arena->alloc(arena->owner, CHUNK);
		arena->end = arena->next + CHUNK;
	}
	result = arena->next;
	arena->next += size;
	return result;
}

char *
mx_format(mx_arena *arena, const char *format,...)
{
	va_list		args;
	int			length;
	char	   *result;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	result = mx_alloc(arena, (size_t) length + 1);
	va_start(args, format);
	vsnprintf(result, (size_t) length + 1, format, args);
	va_end(args);
	return result;
}

void
mx_builder_init(mx_builder *builder, mx_arena *arena, mx_violations *violations)
{
	memset(builder, 0, sizeof(*builder));
	builder->arena = arena;
	builder->violations = violations;
}

static mx_value *
add(mx_builder *builder, mx_kind kind)
{
	mx_value   *value = mx_alloc(builder->arena, sizeof(*value));
	mx_open    *parent = builder->innermost;

	value->kind = kind;
	value->length = 0;
	value->key = builder->key;
	value->key_length = builder->key_length;
	value->next = NULL;
	builder->key = NULL;
	builder->key_length = 0;
	if (parent == NULL)
		builder->root = value;
	else
	{
		*parent->tail = value;
		parent->tail = &value->next;
		parent->container->length++;
	}
	return value;
}

void
mx_build_open(mx_builder *builder, mx_kind kind)
{
	mx_value   *container = add(builder, kind);
	mx_open    *open = mx_alloc(builder->arena, sizeof(*open));

	container->u.children = NULL;
	open->container = container;
	open->tail = &container->u.children;
	open->outer = builder->innermost;
	builder->innermost = open;
}

/* The path of the innermost open container, and of its last child in it. */
static mx_path
path_of(const mx_open *open, mx_path *frames)
{
	mx_path		here;

	if (open->outer == NULL)
		return (mx_path) {NULL, NULL, 0, 0};
	*frames = path_of(open->outer, frames + 1);
	here.outer = frames;
	here.key = open->container->key;
	here.key_length = open->container->key_length;
	here.index = open->outer->container->length - 1;
	return here;
}

static void
report(mx_builder *builder, mx_code code, const char *key, size_t key_length, const char *message)
{
	static const mx_path root = {NULL, NULL, 0, 0};
	mx_path		frames[MX_MAX_DEPTH + 2];
	mx_path		here = root;

	if (builder->innermost != NULL)
	{
		mx_open    *open = builder->innermost;

		frames[0] = path_of(open, frames + 1);
		here.outer = &frames[0];
		here.key = key;
		here.key_length = key_length;
		here.index = open->container->length - (key == NULL);
	}
	mx_violate(builder->violations, code, &here, "%s", message);
}

static int
compare_keys(const void *a, const void *b)
{
	const mx_value *left = *(mx_value *const *) a;
	const mx_value *right = *(mx_value *const *) b;

	if (left->key_length != right->key_length)
		return left->key_length < right->key_length ? -1 : 1;
	return memcmp(left->key, right->key, left->key_length);
}

static bool
same_key(const mx_value *a, const mx_value *b)
{
	return a->key_length == b->key_length && memcmp(a->key, b->key, a->key_length) == 0;
}

static void
find_duplicates(mx_builder *builder, mx_value *object)
{
	if (object->length <= 12)
	{
		for (mx_value *a = object->u.children; a != NULL; a = a->next)
			for (mx_value *b = a->next; b != NULL; b = b->next)
				if (same_key(a, b))
				{
					report(builder, MX_DUPLICATE_KEY, b->key, b->key_length,
						   "stands more than once in its object");
					break;
				}
	}
	else
	{
		mx_value  **sorted = mx_alloc(builder->arena, object->length * sizeof(*sorted));
		size_t		n = 0;

		for (mx_value *child = object->u.children; child != NULL; child = child->next)
			sorted[n++] = child;
		qsort(sorted, n, sizeof(*sorted), compare_keys);
		for (size_t i = 1; i < n; i++)
			if (same_key(sorted[i - 1], sorted[i]))
				report(builder, MX_DUPLICATE_KEY, sorted[i]->key, sorted[i]->key_length,
					   "stands more than once in its object");
	}
}

void
mx_build_close(mx_builder *builder)
{
	if (builder->innermost->container->kind == MX_OBJECT)
		find_duplicates(builder, builder->innermost->container);
	builder->innermost = builder->innermost->outer;
}

void
mx_build_key(mx_builder *builder, const char *key, size_t length)
{
	builder->key = key;
	builder->key_length = (uint32_t) length;
}

void
mx_build_string(mx_builder *builder, const char *text, size_t length)
{
	mx_value   *value = add(builder, MX_STRING);

	value->u.text = text;
	value->length = (uint32_t) length;
}

void
mx_build_boolean(mx_builder *builder, bool boolean)
{
	add(builder, MX_BOOLEAN)->u.boolean = boolean;
}

void
mx_build_null(mx_builder *builder)
{
	add(builder, MX_NULL);
}

/* Can a double, and so any sane numeric, hold this number? */
static bool
in_range(const char *text, size_t length)
{
	const char *e = memchr(text, 'e', length);
	char		copy[MAX_NUMBER_TEXT + 1];

	if (length > MAX_NUMBER_TEXT)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (e == NULL)
		e = memchr(text, 'E', length);
	if (e != NULL && labs(strtol(copy + (e - text) + 1, NULL, 10)) > MAX_EXPONENT)
		return false;
	return !isinf(strtod(copy, NULL));
}

void
mx_build_number(mx_builder *builder, const char *text, size_t length)
{
	mx_value   *value = add(builder, MX_NUMBER);
	bool		negative = length > 0 && text[0] == '-';
	int64_t		integer = 0;
	size_t		i;

	for (i = negative; i < length && i < 17 && text[i] >= '0' && text[i] <= '9'; i++)
		integer = integer * 10 + (text[i] - '0');
	if (i == length && integer <= MX_MAX_INTEGER)
	{
		value->kind = MX_INTEGER;
		value->u.integer = negative ? -integer : integer;
		return;
	}
	value->u.text = text;
	value->length = (uint32_t) length;
	if (!in_range(text, length))
	{
		report(builder, MX_NUMBER_RANGE, value->key, value->key_length,
			   "is a number beyond what can be stored");
		value->kind = MX_NULL;
		value->length = 0;
	}
}

const mx_value *
mx_member(const mx_value *object, const char *key)
{
	size_t		length = strlen(key);

	if (object == NULL || object->kind != MX_OBJECT)
		return NULL;
	for (const mx_value *child = object->u.children; child != NULL; child = child->next)
		if (child->key_length == length && memcmp(child->key, key, length) == 0)
			return child;
	return NULL;
}

bool
mx_key_is(const mx_value *member, const char *key)
{
	return member->key_length == strlen(key) && memcmp(member->key, key, member->key_length) == 0;
}

mx_value *
mx_select(mx_arena *arena, const mx_value *object, bool (*wanted) (const mx_value *, const void *), const void *context)
{
	mx_value   *selection = mx_alloc(arena, sizeof(*selection));
	mx_value  **tail = &selection->u.children;

	*selection = *object;
	selection->kind = MX_OBJECT;
	selection->length = 0;
	for (const mx_value *child = object->kind == MX_OBJECT ? object->u.children : NULL; child != NULL; child = child->next)
		if (wanted(child, context))
		{
			*tail = mx_alloc(arena, sizeof(**tail));
			**tail = *child;
			tail = &(*tail)->next;
			selection->length++;
		}
	*tail = NULL;
	return selection;
}

bool
mx_equals_text(const mx_value *value, const char *text)
{
	return value != NULL && value->kind == MX_STRING && value->length == strlen(text) &&
		memcmp(value->u.text, text, value->length) == 0;
}

mx_string
mx_string_of(const mx_value *value)
{
	if (value == NULL || value->kind != MX_STRING)
		return (mx_string) {NULL, 0};
	return (mx_string) {value->u.text, value->length};
}

mx_string
mx_string_from(const char *text)
{
	return (mx_string) {text, strlen(text)};
}

bool
mx_same(mx_string a, mx_string b)
{
	if (a.text == NULL || b.text == NULL)
		return a.text == b.text;
	return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

int
mx_compare(mx_string a, mx_string b)
{
	int			order = memcmp(a.text, b.text, a.length < b.length ? a.length : b.length);

	return order != 0 ? order : a.length < b.length ? -1 : a.length > b.length;
}

bool
mx_is_integral(const mx_value *value)
{
	double		number;

	if (value->kind == MX_INTEGER)
		return true;
	if (value->kind != MX_NUMBER)
		return false;
	number = mx_number(value);
	return floor(number) == number;
}

double
mx_number(const mx_value *value)
{
	char		copy[MAX_NUMBER_TEXT + 1];

	if (value->kind == MX_INTEGER)
		return (double) value->u.integer;
	memcpy(copy, value->u.text, value->length);
	copy[value->length] = '\0';
	return strtod(copy, NULL);
}

/* Equality as JSON Schema's enum and const mean it; depth is bounded. */
bool
mx_equal(const mx_value *a, const mx_value *b)
{
	bool		numbers = (a->kind == MX_INTEGER || a->kind == MX_NUMBER) &&
		(b->kind == MX_INTEGER || b->kind == MX_NUMBER);

	if (numbers)
		return mx_number(a) == mx_number(b);
	if (a->kind != b->kind)
		return false;
	switch (a->kind)
	{
		case MX_NULL:
			return true;
		case MX_BOOLEAN:
			return a->u.boolean == b->u.boolean;
		case MX_STRING:
			return a->length == b->length && memcmp(a->u.text, b->u.text, a->length) == 0;
		case MX_ARRAY:
			if (a->length != b->length)
				return false;
			for (const mx_value *x = a->u.children, *y = b->u.children; x != NULL; x = x->next, y = y->next)
				if (!mx_equal(x, y))
					return false;
			return true;
		case MX_OBJECT:
			if (a->length != b->length)
				return false;
			for (const mx_value *x = a->u.children; x != NULL; x = x->next)
			{
				const mx_value *y;

				for (y = b->u.children; y != NULL && !same_key(x, y); y = y->next)
					;
				if (y == NULL || !mx_equal(x, y))
					return false;
			}
			return true;
		default:
			return false;
	}
}

const char *
mx_kind_name(const mx_value *value)
{
	static const char *const names[] = {
		[MX_NULL] = "null", [MX_BOOLEAN] = "a boolean", [MX_INTEGER] = "an integer",
		[MX_NUMBER] = "a number", [MX_STRING] = "a string", [MX_ARRAY] = "an array",
		[MX_OBJECT] = "an object"
	};

	return names[value->kind];
}

size_t
mx_code_points(mx_string string)
{
	size_t		count = 0;

	for (size_t i = 0; i < string.length; i++)
		count += ((unsigned char) string.text[i] & 0xC0) != 0x80;
	return count;
}
