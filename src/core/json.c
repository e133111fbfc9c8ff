/*
 * json.c - reading JSON text with jansson
 *
 * The only file that includes jansson.h.  Inside a backend, memory from the
 * arena may be refused by longjmp; so no arena memory is asked for while a
 * jansson tree is alive, except from a block that was taken before.
 *
 * jansson's json_object() is never called: PostgreSQL exports a function of
 * that name, and in a backend the call would go there.  "make check-symbols"
 * watches over this.
 */
#include "core/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* A block of the arena that is handed out while a jansson tree lives. */
typedef struct mx_block
{
	char	   *next;
	char	   *end;
	bool		full;
} mx_block;

static void *
take(void *owner, size_t size)
{
	mx_block   *block = owner;
	void	   *result = block->next;

	if ((size_t) (block->end - block->next) < size)
	{
		/* Cannot happen: see room_for.  Stay inside the block all the same. */
		block->full = true;
		return block->next = block->end - size;
	}
	block->next += size;
	return result;
}

static const char *
copy(mx_arena *arena, const char *text, size_t length)
{
	char	   *result = mx_alloc(arena, length + 1);

	memcpy(result, text, length);
	result[length] = '\0';
	return result;
}

/* False: it is nested too deep, which jansson allows and those who walk trees do not. */
static bool
build(mx_builder *builder, const json_t *json, int depth)
{
	mx_arena   *arena = builder->arena;

	if (depth > MX_MAX_DEPTH && (json_is_object(json) || json_is_array(json)))
		return false;
	switch (json_typeof(json))
	{
		case JSON_OBJECT:
			mx_build_open(builder, MX_OBJECT);
			for (void *at = json_object_iter((json_t *) json); at != NULL;
				 at = json_object_iter_next((json_t *) json, at))
			{
				const char *key = json_object_iter_key(at);

				mx_build_key(builder, copy(arena, key, strlen(key)), strlen(key));
				if (!build(builder, json_object_iter_value(at), depth + 1))
					return false;
			}
			mx_build_close(builder);
			break;
		case JSON_ARRAY:
			mx_build_open(builder, MX_ARRAY);
			for (size_t i = 0; i < json_array_size(json); i++)
				if (!build(builder, json_array_get(json, i), depth + 1))
					return false;
			mx_build_close(builder);
			break;
		case JSON_STRING:
			mx_build_string(builder, copy(arena, json_string_value(json), json_string_length(json)),
							json_string_length(json));
			break;
		case JSON_INTEGER:
		case JSON_REAL:
			{
				char		number[64];
				int			length = json_typeof(json) == JSON_INTEGER ?
					snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(json)) :
					snprintf(number, sizeof(number), "%.17g", json_real_value(json));

				/* A real stays one, even a whole one. */
				if (json_typeof(json) == JSON_REAL && strcspn(number, ".e") == (size_t) length)
					length += snprintf(number + length, sizeof(number) - (size_t) length, ".0");
				mx_build_number(builder, copy(arena, number, (size_t) length), (size_t) length);
				break;
			}
		case JSON_TRUE:
		case JSON_FALSE:
			mx_build_boolean(builder, json_is_true(json));
			break;
		default:
			mx_build_null(builder);
	}
	return true;
}

/*
 * More than the tree of a text of this length can take.  The densest text is
 * nested arrays and objects, "[[[" or {"":{"":: a value and an mx_open, with
 * the sorted list of a wide object, for every byte or two; a number is printed
 * with at most 64 bytes for one digit or more.
 */
static size_t
room_for(size_t length)
{
	return (length + 2) * (sizeof(mx_value) + sizeof(mx_open) + sizeof(void *) + 32) + 4 * 8192;
}

const mx_value *
mx_read_json(mx_arena *arena, const char *text, size_t length, mx_violations *violations)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	mx_violations found;
	mx_builder	builder;
	mx_block	block;
	mx_arena	inside;
	json_error_t error;
	json_t	   *json;
	size_t		room = room_for(length);
	bool		built;

	if (length > MX_MAX_TEXT)
	{
		mx_violate(violations, MX_TOO_LARGE, &top, "is longer than %d bytes of text", MX_MAX_TEXT);
		return NULL;
	}
	block.next = mx_alloc(arena, room);
	block.end = block.next + room;
	block.full = false;
	mx_arena_init(&inside, take, &block);
	mx_violations_init(&found, &inside);
	mx_builder_init(&builder, &inside, &found);

	json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (json != NULL)
	{
		built = build(&builder, json, 1);
		json_decref(json);
		if (!built)
		{
			mx_violate(violations, MX_DEPTH, &top, "is nested deeper than %d levels", MX_MAX_DEPTH);
			return NULL;
		}
		mx_violations_take(violations, &found);
		return block.full ? NULL : builder.root;
	}
	mx_violate(violations,
			   json_error_code(&error) == json_error_duplicate_key ? MX_DUPLICATE_KEY :
			   json_error_code(&error) == json_error_numeric_overflow ? MX_NUMBER_RANGE :
			   json_error_code(&error) == json_error_stack_overflow ? MX_DEPTH : MX_MALFORMED,
			   &top, "is not JSON: %s, in line %d", error.text, error.line);
	return NULL;
}
