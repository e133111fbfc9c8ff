/*
 * types.c - the table of event types
 */
#include "core/types.h"

#include "core/json.h"

#include <stdlib.h>
#include <string.h>

typedef struct mx_entry
{
	const char *name;
	const char *json;
} mx_entry;

/* Sorted by name; the first is $defs.  Made from event_types.json. */
static const mx_entry built_in[] = {
#include "core/event_types.inc"
};

#define BUILT_IN (sizeof(built_in) / sizeof(built_in[0]))

typedef struct mx_user_type
{
	mx_event_type type;
	struct mx_user_type *next;
} mx_user_type;

struct mx_types
{
	mx_arena   *arena;
	const mx_regex *regex;
	const mx_value *root;		/* {"$defs": ...}; NULL: not read yet */
	const mx_event_type *compiled[BUILT_IN];
	mx_user_type *user_types;
};

mx_types *
mx_types_new(mx_arena *arena, const mx_regex *regex)
{
	mx_types   *types = mx_alloc(arena, sizeof(*types));

	memset(types, 0, sizeof(*types));
	types->arena = arena;
	types->regex = regex;
	return types;
}

static int
compare(const void *key, const void *entry)
{
	const mx_string *name = key;
	const char *other = ((const mx_entry *) entry)->name;
	size_t		length = strlen(other);
	int			order = memcmp(name->text, other, name->length < length ? name->length : length);

	return order != 0 ? order : (name->length > length) - (name->length < length);
}

static const mx_entry *
look_up(mx_string name)
{
	const mx_entry *entry = bsearch(&name, built_in, BUILT_IN, sizeof(built_in[0]), compare);

	return entry == built_in ? NULL : entry;
}

bool
mx_types_is_built_in(mx_string name)
{
	return look_up(name) != NULL;
}

static mx_event_kind
kind_named(const mx_value *name)
{
	static const char *const names[] = {
		[MX_KIND_ANY] = "any", [MX_KIND_MESSAGE] = "message", [MX_KIND_STATE] = "state",
		[MX_KIND_PRESENCE] = "presence", [MX_KIND_EPHEMERAL] = "ephemeral",
		[MX_KIND_ACCOUNT_DATA] = "account_data", [MX_KIND_TO_DEVICE] = "to_device"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (mx_equals_text(name, names[i]))
			return (mx_event_kind) i;
	return MX_KIND_ANY;
}

static const mx_schema *
part(mx_types *types, const mx_value *block, const char *key, mx_violations *violations)
{
	const mx_value *source = mx_member(block, key);

	return source == NULL ? NULL :
		mx_schema_compile(types->arena, source, types->root, types->regex, violations);
}

/* The built-in data is checked by a unit test: it has no violations. */
static const mx_event_type *
compile_built_in(mx_types *types, size_t i)
{
	mx_violations violations;
	mx_event_type *type;
	const mx_value *block;
	const mx_value *variant;

	mx_violations_init(&violations, types->arena);
	if (types->root == NULL)
	{
		const char *text = mx_format(types->arena, "{\"$defs\": %s}", built_in[0].json);

		types->root = mx_read_json(types->arena, text, strlen(text), &violations);
	}
	block = mx_read_json(types->arena, built_in[i].json, strlen(built_in[i].json), &violations);
	type = mx_alloc(types->arena, sizeof(*type));
	memset(type, 0, sizeof(*type));
	type->name = (mx_string) {built_in[i].name, strlen(built_in[i].name)};
	type->kind = kind_named(mx_member(block, "kind"));
	type->content = part(types, block, "content", &violations);
	type->content_2015 = part(types, block, "content_2015", &violations);
	type->state_key = part(types, block, "state_key", &violations);
	type->unsigned_data = part(types, block, "unsigned", &violations);
	type->redacts = part(types, block, "redacts", &violations);
	type->empty_content = mx_member(block, "empty_content") != NULL;
	variant = mx_member(block, "variant");
	if (variant != NULL)
		type->variant = mx_format(types->arena, "%.*s", (int) variant->length, variant->u.text);
	if (violations.count == 0)
		types->compiled[i] = type;
	return types->compiled[i];
}

static const mx_event_type *
get(mx_types *types, const mx_entry *entry)
{
	size_t		i = (size_t) (entry - built_in);

	return types->compiled[i] != NULL ? types->compiled[i] : compile_built_in(types, i);
}

const mx_event_type *
mx_types_find(mx_types *types, mx_string name, const mx_value *content)
{
	const mx_entry *entry = look_up(name);
	const mx_event_type *type;
	const mx_value *chosen;

	if (entry == NULL)
	{
		for (mx_user_type *user = types->user_types; user != NULL; user = user->next)
			if (user->type.name.length == name.length &&
				memcmp(user->type.name.text, name.text, name.length) == 0)
				return &user->type;
		return NULL;
	}
	type = get(types, entry);
	if (type == NULL || type->variant == NULL)
		return type;
	chosen = mx_member(content, type->variant);
	if (chosen != NULL && chosen->kind == MX_STRING && chosen->length <= MX_MAX_ID)
	{
		char		full[2 * MX_MAX_ID + 1];

		memcpy(full, name.text, name.length);
		full[name.length] = '#';
		memcpy(full + name.length + 1, chosen->u.text, chosen->length);
		entry = look_up((mx_string) {full, name.length + 1 + chosen->length});
		if (entry != NULL)
			return get(types, entry);
	}
	return type;
}

/* Matrix's own schemas say allOf: [{$ref: .../state_event.yaml}]. */
static bool
refers_to(const mx_value *schema, const char *suffix)
{
	const mx_value *all_of = mx_member(schema, "allOf");
	size_t		n = strlen(suffix);

	if (all_of == NULL || all_of->kind != MX_ARRAY)
		return false;
	for (const mx_value *one = all_of->u.children; one != NULL; one = one->next)
	{
		const mx_value *reference = mx_member(one, "$ref");

		if (reference != NULL && reference->kind == MX_STRING && reference->length >= n &&
			memcmp(reference->u.text + reference->length - n, suffix, n) == 0)
			return true;
	}
	return false;
}

/* The schema without its reference to the envelope, which is checked anyway. */
static const mx_value *
without_envelope(mx_arena *arena, const mx_value *schema)
{
	mx_builder	builder;
	mx_value   *result;
	mx_value  **tail;

	mx_builder_init(&builder, arena, NULL);
	mx_build_open(&builder, MX_OBJECT);
	result = builder.root;
	tail = &result->u.children;
	for (const mx_value *child = schema->u.children; child != NULL; child = child->next)
	{
		mx_value   *copy;

		if (child->key_length == 5 && memcmp(child->key, "allOf", 5) == 0)
			continue;
		copy = mx_alloc(arena, sizeof(*copy));
		*copy = *child;
		copy->next = NULL;
		*tail = copy;
		tail = &copy->next;
		result->length++;
	}
	return result;
}

bool
mx_types_add(mx_types *types, mx_string name, const mx_value *schema, mx_violations *violations)
{
	mx_user_type *user = mx_alloc(types->arena, sizeof(*user));
	bool		envelope = refers_to(schema, "event.yaml");
	bool		whole = envelope || mx_member(mx_member(schema, "properties"), "content") != NULL;
	const mx_value *source = envelope ? without_envelope(types->arena, schema) : schema;
	const mx_schema *compiled = mx_schema_compile(types->arena, source, schema, types->regex, violations);

	if (compiled == NULL)
		return false;
	memset(user, 0, sizeof(*user));
	user->type.name = name;
	user->type.kind = refers_to(schema, "state_event.yaml") ? MX_KIND_STATE :
		refers_to(schema, "room_event.yaml") ? MX_KIND_MESSAGE : MX_KIND_ANY;
	if (whole)
		user->type.event = compiled;
	else
		user->type.content = compiled;
	user->next = types->user_types;
	types->user_types = user;
	return true;
}
