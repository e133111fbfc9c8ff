/*
 * test_types.c - finding types and variants, and users' types
 */
#include "unit.h"

#include "core/json.h"
#include "core/types.h"

#include <string.h>

static mx_string
string(const char *text)
{
	return (mx_string) {text, strlen(text)};
}

static void
find_built_in(void)
{
	mx_arena	arena;
	mx_types   *types;
	const mx_event_type *type;

	new_arena(&arena);
	types = mx_types_new(&arena, NULL);
	type = mx_types_find(types, string("m.room.message"), read_value(&arena, "{\"msgtype\": \"m.image\"}"));
	CHECK(type != NULL && type->kind == MX_KIND_MESSAGE && strcmp(type->name.text, "m.room.message#m.image") == 0,
		  "the variant of a known msgtype");
	type = mx_types_find(types, string("m.room.message"), read_value(&arena, "{\"msgtype\": \"org.example.x\"}"));
	CHECK(type != NULL && strcmp(type->name.text, "m.room.message") == 0, "an unknown msgtype");
	type = mx_types_find(types, string("m.room.message"), NULL);
	CHECK(type != NULL, "no content");
	CHECK(type == mx_types_find(types, string("m.room.message"), NULL), "compiled once");
	type = mx_types_find(types, string("m.room.member"), NULL);
	CHECK(type != NULL && type->kind == MX_KIND_STATE && type->state_key != NULL, "m.room.member");
	CHECK(mx_types_find(types, string("$defs"), NULL) == NULL, "$defs is not a type");
	CHECK(mx_types_find(types, string("m.room"), NULL) == NULL, "a prefix is not a type");
	CHECK(mx_types_find(types, string(""), NULL) == NULL, "the empty type");
	free_arena(&arena);
}

static void
add_user_types(void)
{
	mx_arena	arena;
	mx_violations violations;
	mx_types   *types;
	const mx_event_type *type;

	new_arena(&arena);
	mx_violations_init(&violations, &arena);
	types = mx_types_new(&arena, NULL);
	CHECK(mx_types_add(types, string("org.example.poll"), read_value(&arena, "{\"required\": [\"question\"]}"), &violations),
		  "a schema of the content");
	type = mx_types_find(types, string("org.example.poll"), NULL);
	CHECK(type != NULL && type->content != NULL && type->event == NULL, "describes the content");
	CHECK(mx_types_add(types, string("org.example.vote"),
					   read_value(&arena, "{\"allOf\": [{\"$ref\": \"core-event-schema/state_event.yaml\"}],"
							"\"properties\": {\"content\": {\"type\": \"object\"}}}"), &violations),
		  "a schema in Matrix's form");
	type = mx_types_find(types, string("org.example.vote"), NULL);
	CHECK(type != NULL && type->event != NULL && type->kind == MX_KIND_STATE, "describes a state event");
	CHECK(!mx_types_add(types, string("org.example.bad"), read_value(&arena, "{\"type\": \"colour\"}"), &violations),
		  "a bad schema");
	CHECK(mx_types_find(types, string("org.example.bad"), NULL) == NULL, "is not added");
	free_arena(&arena);
}

void
test_types(void)
{
	find_built_in();
	add_user_types();
}
