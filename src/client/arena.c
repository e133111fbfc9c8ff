/*
 * arena.c - memory for the core: blocks of malloc that are freed together
 */
#include "client.h"

#include <stdlib.h>

typedef struct Block
{
	struct Block *next;
	char		memory[];
} Block;

static void *
take_block(void *owner, size_t size)
{
	Memory	   *memory = owner;
	Block	   *block = allocate(NULL, sizeof(*block) + size);

	block->next = memory->blocks;
	memory->blocks = block;
	return block->memory;
}

void
memory_init(Memory *memory)
{
	memory->blocks = NULL;
	mx_arena_init(&memory->arena, take_block, memory);
}

void
memory_reset(Memory *memory)
{
	while (memory->blocks != NULL)
	{
		Block	   *next = memory->blocks->next;

		free(memory->blocks);
		memory->blocks = next;
	}
	memory_init(memory);
}
