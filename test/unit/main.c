/*
 * main.c - runs the core's tests: unit DATA-FOLDER
 */
#include "unit.h"

#include "core/json.h"

#include <stdlib.h>
#include <string.h>

int			passed = 0;
int			failed = 0;

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

void
new_arena(mx_arena *arena)
{
	Block	  **blocks = malloc(sizeof(*blocks));

	*blocks = NULL;
	mx_arena_init(arena, allocate, blocks);
}

void
free_arena(mx_arena *arena)
{
	Block	  **blocks = arena->owner;

	while (*blocks != NULL)
	{
		Block	   *next = (*blocks)->next;

		free(*blocks);
		*blocks = next;
	}
	free(blocks);
}

const mx_value *
read_value(mx_arena *arena, const char *text)
{
	mx_violations violations;
	const mx_value *value;

	mx_violations_init(&violations, arena);
	value = mx_read_json(arena, text, strlen(text), &violations);
	CHECK(value != NULL, "cannot read %s", text);
	return value;
}

void
each_line(const char *folder, const char *name, void (*f) (const char *, size_t, int))
{
	char		path[1024];
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		length;
	int			number = 0;
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	CHECK(file != NULL, "cannot open %s", path);
	if (file == NULL)
		return;
	while ((length = getline(&line, &size, file)) > 0)
	{
		if (line[length - 1] == '\n')
			length--;
		f(line, (size_t) length, ++number);
	}
	CHECK(number > 0, "%s is empty", path);
	free(line);
	fclose(file);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: unit DATA-FOLDER\n");
		return 2;
	}
	test_value();
	test_grammar();
	test_schema();
	test_canonical();
	test_types();
	test_event(argv[1]);
	test_membership();
	test_presence();
	test_call();
	test_identity(argv[1]);
	test_power();
	test_words();
	printf("unit: %d passed, %d failed\n", passed, failed);
	return failed > 0;
}
