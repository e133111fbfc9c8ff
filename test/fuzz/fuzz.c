/*
 * fuzz.c - libFuzzer on the core: any bytes give a verdict
 *
 * Each input is read as JSON, checked as an event, held against itself as a
 * schema, written as canonical JSON, which must read back as the same, and
 * redacted by every room version, which must leave its id as it is.
 */
#include "core/canonical.h"
#include "core/event.h"
#include "core/identity.h"
#include "core/json.h"
#include "core/redact.h"

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

/* A host's hash as far as the core can tell: other bytes, another text. */
static void
mix(const char *bytes, size_t length, char *base64)
{
	uint64_t	hash = 14695981039346656037u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char) bytes[i]) * 1099511628211u;
	for (int i = 0; i < MX_HASH_LENGTH; i++, hash = hash >> 6 | hash << 58)
		base64[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[hash & 63];
}

static void
must_stay_the_same(mx_arena *arena, const mx_value *event)
{
	for (int i = -1; i < MX_ROOM_VERSIONS; i++)
	{
		const mx_room_version *version = i < 0 ? NULL : &mx_room_versions[i];
		const mx_value *redacted = mx_redact(arena, event, version);

		if (!mx_same(mx_canonical_lenient(arena, mx_redact(arena, redacted, version)), mx_canonical_lenient(arena, redacted)) ||
			!mx_same(mx_event_id(arena, event, version, mix), mx_event_id(arena, redacted, version, mix)))
			abort();
		mx_redacts(event, version);
		mx_room_id_of_create(arena, event, version, mix);
	}
	mx_content_hash_matches(arena, event, mix);
	mx_content_hash(arena, event, mix);
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
		must_stay_the_same(&arena, value);
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
