/*
 * fuzz.c - libFuzzer on the core: any bytes give a verdict
 *
 * Each input is read as JSON, checked as an event, held against itself as a
 * schema, and written as canonical JSON, which must read back as the same.
 */
#include "core/canonical.h"
#include "core/event.h"
#include "core/json.h"

#include <stdlib.h>
#include <string.h>

typedef struct Block
{
	struct Block *next;
	char		memory[];
} Block;

static void *
allocate(void *owner, size_t size)
{
	Block	  **blocks = owner;
	Block	   *block = malloc(sizeof(*block) + size);

	if (block == NULL)
		abort();
	block->next = *blocks;
	*blocks = block;
	return block->memory;
}

static void
must_read_back(mx_arena *arena, const mx_value *value, mx_violations *violations)
{
	size_t		size = mx_canonical_size(value);
	char	   *canonical = mx_alloc(arena, size + 1);
	const mx_value *again;

	mx_canonical_write(arena, value, canonical);
	mx_canonical_check(value, violations);
	if (violations->count > 0)
		return;
	again = mx_read_json(arena, canonical, size, violations);
	if (again == NULL || !mx_equal(value, again) || mx_canonical_size(again) != size)
		abort();
}

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Block	   *blocks = NULL;
	mx_arena	arena;
	mx_violations violations;
	const mx_value *value;
	char	   *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	mx_arena_init(&arena, allocate, &blocks);
	mx_violations_init(&violations, &arena);
	value = mx_read_json(&arena, text, size, &violations);
	if (value != NULL)
	{
		mx_types   *types = mx_types_new(&arena, NULL);
		mx_event	event;
		mx_event_options options = {.text_length = size};

		mx_types_add(types, (mx_string) {"org.example.fuzz", 16}, value, &violations);
		mx_violations_init(&violations, &arena);
		mx_event_check(value, types, &options, &event, &violations);
		mx_violations_init(&violations, &arena);
		must_read_back(&arena, value, &violations);
	}
	while (blocks != NULL)
	{
		Block	   *next = blocks->next;

		free(blocks);
		blocks = next;
	}
	free(text);
	return 0;
}
