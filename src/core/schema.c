/*
 * schema.c - compiling a JSON Schema and holding values against it
 */
#include "core/schema.h"

#include "core/grammar.h"

#include <math.h>
#include <string.h>

/* Nested schemas and schemas in all, references followed: more is a loop or an attack. */
#define MAX_NESTING 64
#define MAX_SCHEMAS 20000

/* What minimum, maximum and the length keywords give: absent is NAN. */
typedef struct mx_bounds
{
	double		least;
	double		most;
} mx_bounds;

typedef struct mx_named
{
	mx_string	name;			/* a property, or a pattern of properties */
	const mx_schema *schema;	/* NULL: any value */
	bool		required;
} mx_named;

typedef struct mx_list
{
	const mx_schema **schemas;
	size_t		count;
} mx_list;

struct mx_schema
{
	bool		nothing;		/* the schema false */
	unsigned	kinds;			/* bit set of mx_kind; 0: any */
	bool		integral;		/* numbers must be integers */
	mx_bounds	value;
	mx_bounds	length;
	mx_bounds	items_count;
	mx_bounds	properties_count;
	const mx_named *properties;
	size_t		property_count;
	size_t		required_count;
	const mx_named *patterns;
	size_t		pattern_count;
	const mx_schema *additional;
	const mx_schema *names;
	const mx_schema *items;
	const mx_value *choices;	/* the array of enum */
	const mx_value *constant;
	mx_string	pattern;
	mx_grammar	grammar;
	mx_list		all_of;
	mx_list		any_of;
	const mx_schema *not;
	const mx_regex *regex;
};

typedef struct mx_compiler
{
	mx_arena   *arena;
	const mx_value *root;
	const mx_regex *regex;
	mx_violations *violations;
	size_t		compiled;
} mx_compiler;

static const mx_schema *compile(mx_compiler *compiler, const mx_value *source, const mx_path *path, int nesting);

static mx_string
key_of(const mx_value *value)
{
	return (mx_string) {value->key, value->key_length};
}

static bool
is(mx_string string, const char *text)
{
	return string.length == strlen(text) && memcmp(string.text, text, string.length) == 0;
}

static mx_path
step(const mx_path *outer, const mx_value *child, size_t index)
{
	return (mx_path) {outer, child->key, child->key_length, index};
}

/* ---- patterns ---- */

/* The simple forms that need no regular expression library. */
static bool
is_simple(mx_string pattern, mx_string *literal, mx_string *set, double *least, double *most)
{
	static const char special[] = "\\^$.[]|()?*+{}";
	const char *close;
	size_t		i;

	*literal = *set = (mx_string) {NULL, 0};
	if (pattern.length == 0)
		return true;
	if (pattern.text[0] != '^')
		return false;
	if (is(pattern, "^$"))
	{
		*least = *most = 0;
		*set = (mx_string) {pattern.text, 0};
		return true;
	}
	if (pattern.length > 2 && pattern.text[1] == '[')
	{
		close = memchr(pattern.text, ']', pattern.length);
		if (close == NULL || memchr(pattern.text, '\\', pattern.length) != NULL || pattern.text[2] == '^')
			return false;
		*set = (mx_string) {pattern.text + 2, (size_t) (close - pattern.text) - 2};
		i = (size_t) (close - pattern.text) + 1;
		*least = 1;
		*most = INFINITY;
		if (i + 2 == pattern.length && pattern.text[i] == '+' && pattern.text[i + 1] == '$')
			return true;
		if (i >= pattern.length || pattern.text[i++] != '{')
			return false;
		for (*least = 0; i < pattern.length && pattern.text[i] >= '0' && pattern.text[i] <= '9'; i++)
			*least = *least * 10 + (pattern.text[i] - '0');
		if (i >= pattern.length || pattern.text[i++] != ',')
			return false;
		for (*most = 0; i < pattern.length && pattern.text[i] >= '0' && pattern.text[i] <= '9'; i++)
			*most = *most * 10 + (pattern.text[i] - '0');
		return i + 2 == pattern.length && pattern.text[i] == '}' && pattern.text[i + 1] == '$';
	}
	if (pattern.length == 3 && pattern.text[1] == '\\' && strchr(special, pattern.text[2]) != NULL)
	{
		*literal = (mx_string) {pattern.text + 2, 1};
		return true;
	}
	for (i = 1; i < pattern.length; i++)
		if (pattern.text[i] == '\0' || strchr(special, pattern.text[i]) != NULL)
			return false;
	*literal = (mx_string) {pattern.text + 1, pattern.length - 1};
	return true;
}

static bool
in_set(mx_string set, unsigned char c)
{
	for (size_t i = 0; i < set.length; i++)
	{
		unsigned char low = (unsigned char) set.text[i];
		unsigned char high = low;

		if (i + 2 < set.length && set.text[i + 1] == '-')
		{
			high = (unsigned char) set.text[i + 2];
			i += 2;
		}
		if (c >= low && c <= high)
			return true;
	}
	return false;
}

static bool
matches(const mx_regex *regex, mx_string pattern, mx_string text)
{
	mx_string	literal;
	mx_string	set;
	double		least;
	double		most;

	if (!is_simple(pattern, &literal, &set, &least, &most))
		return regex == NULL || regex->matches(pattern, text);
	if (set.text == NULL)
		return literal.length == 0 ||
			(text.length >= literal.length && memcmp(text.text, literal.text, literal.length) == 0);
	if ((double) text.length < least || (double) text.length > most)
		return false;
	for (size_t i = 0; i < text.length; i++)
		if (!in_set(set, (unsigned char) text.text[i]))
			return false;
	return true;
}

/* ---- compiling ---- */

static void
complain(mx_compiler *compiler, const mx_path *path, const char *message)
{
	mx_violate(compiler->violations, MX_TYPE, path, "%s", message);
}

static mx_string
compile_pattern(mx_compiler *compiler, mx_string pattern, const mx_path *path)
{
	mx_string	literal;
	mx_string	set;
	double		least;
	double		most;
	const char *fault = NULL;

	if (!is_simple(pattern, &literal, &set, &least, &most))
		fault = compiler->regex == NULL ? "is a regular expression of a form that is not known here"
			: compiler->regex->check(pattern);
	if (fault != NULL)
		complain(compiler, path, fault);
	return pattern;
}

static void
compile_kinds(mx_compiler *compiler, mx_schema *schema, const mx_value *source, const mx_path *path)
{
	static const struct
	{
		const char *name;
		unsigned	kinds;
	}			types[] = {
		{"null", 1u << MX_NULL}, {"boolean", 1u << MX_BOOLEAN}, {"string", 1u << MX_STRING},
		{"integer", 1u << MX_INTEGER | 1u << MX_NUMBER}, {"number", 1u << MX_INTEGER | 1u << MX_NUMBER},
		{"array", 1u << MX_ARRAY}, {"object", 1u << MX_OBJECT},
	};
	const mx_value *name = source->kind == MX_ARRAY ? source->u.children : source;

	for (; name != NULL; name = source->kind == MX_ARRAY ? name->next : NULL)
	{
		size_t		i;

		for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (mx_equals_text(name, types[i].name))
				break;
		if (i == sizeof(types) / sizeof(types[0]))
		{
			complain(compiler, path, "is not the name of a JSON type");
			return;
		}
		if (mx_equals_text(name, "integer"))
			schema->integral = true;
		schema->kinds |= types[i].kinds;
	}
}

static const mx_schema **
compile_list(mx_compiler *compiler, const mx_value *source, const mx_path *path, int nesting)
{
	const mx_schema **schemas;
	size_t		i = 0;

	if (source->kind != MX_ARRAY || source->length == 0)
	{
		complain(compiler, path, "must be an array of schemas");
		return NULL;
	}
	schemas = mx_alloc(compiler->arena, source->length * sizeof(*schemas));
	for (const mx_value *child = source->u.children; child != NULL; child = child->next, i++)
	{
		mx_path		here = step(path, child, i);

		schemas[i] = compile(compiler, child, &here, nesting + 1);
	}
	return schemas;
}

static mx_named *
compile_named(mx_compiler *compiler, const mx_value *source, const mx_path *path, int nesting,
			  bool patterns, size_t spare, size_t *count)
{
	mx_named   *named;
	size_t		i = 0;

	if (source != NULL && source->kind != MX_OBJECT)
	{
		complain(compiler, path, "must be an object of schemas");
		return NULL;
	}
	*count = source == NULL ? 0 : source->length;
	named = mx_alloc(compiler->arena, (*count + spare + 1) * sizeof(*named));
	for (const mx_value *child = source == NULL ? NULL : source->u.children; child != NULL; child = child->next, i++)
	{
		mx_path		here = step(path, child, i);

		named[i].name = patterns ? compile_pattern(compiler, key_of(child), &here) : key_of(child);
		named[i].schema = compile(compiler, child, &here, nesting + 1);
		named[i].required = false;
	}
	return named;
}

static void
compile_properties(mx_compiler *compiler, mx_schema *schema, const mx_value *properties,
				   const mx_value *required, const mx_path *path, int nesting)
{
	size_t		spare = required != NULL && required->kind == MX_ARRAY ? required->length : 0;
	mx_path		here = {path, "properties", 10, 0};
	mx_named   *named = compile_named(compiler, properties, &here, nesting, false, spare, &schema->property_count);

	if (named == NULL)
		return;
	schema->properties = named;
	if (required == NULL)
		return;
	if (required->kind != MX_ARRAY)
	{
		here = (mx_path) {path, "required", 8, 0};
		complain(compiler, &here, "must be an array of strings");
		return;
	}
	for (const mx_value *name = required->u.children; name != NULL; name = name->next)
	{
		size_t		i;

		if (name->kind != MX_STRING)
		{
			here = (mx_path) {path, "required", 8, 0};
			complain(compiler, &here, "must be an array of strings");
			return;
		}
		for (i = 0; i < schema->property_count; i++)
			if (mx_same(named[i].name, mx_string_of(name)))
				break;
		if (i == schema->property_count)
		{
			named[i] = (mx_named) {mx_string_of(name), NULL, false};
			schema->property_count++;
		}
		if (!named[i].required)
			schema->required_count++;
		named[i].required = true;
	}
}

static const mx_value *
resolve(mx_compiler *compiler, const mx_value *reference)
{
	static const char *const places[] = {"$defs", "definitions"};

	for (size_t i = 0; i < 2; i++)
	{
		size_t		n = strlen(places[i]);
		const mx_value *place = mx_member(compiler->root, places[i]);

		if (place == NULL || place->kind != MX_OBJECT || reference->length < n + 3 ||
			memcmp(reference->u.text, "#/", 2) != 0 ||
			memcmp(reference->u.text + 2, places[i], n) != 0 || reference->u.text[n + 2] != '/')
			continue;
		for (const mx_value *child = place->u.children; child != NULL; child = child->next)
			if (child->key_length == reference->length - n - 3 &&
				memcmp(child->key, reference->u.text + n + 3, child->key_length) == 0)
				return child;
	}
	return NULL;
}

static bool
is_annotation(mx_string keyword)
{
	static const char *const annotations[] = {
		"title", "description", "example", "examples", "default", "deprecated", "readOnly", "writeOnly",
		"$schema", "$id", "$comment", "$defs", "definitions"
	};

	for (size_t i = 0; i < sizeof(annotations) / sizeof(annotations[0]); i++)
		if (is(keyword, annotations[i]))
			return true;
	return keyword.length > 2 && memcmp(keyword.text, "x-", 2) == 0;
}

static void
compile_keyword(mx_compiler *compiler, mx_schema *schema, const mx_value *source, const mx_value *keyword,
				const mx_path *here, int nesting)
{
	const mx_path *outer = here->outer;
	mx_string	name = key_of(keyword);
	struct
	{
		const char *name;
		double	   *bound;
	}			bounds[] = {
		{"minimum", &schema->value.least}, {"maximum", &schema->value.most},
		{"minLength", &schema->length.least}, {"maxLength", &schema->length.most},
		{"minItems", &schema->items_count.least}, {"maxItems", &schema->items_count.most},
		{"minProperties", &schema->properties_count.least}, {"maxProperties", &schema->properties_count.most},
	};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (is(name, bounds[i].name))
		{
			if (keyword->kind != MX_INTEGER && keyword->kind != MX_NUMBER)
				complain(compiler, here, "must be a number");
			else
				*bounds[i].bound = mx_number(keyword);
			return;
		}
	if (is(name, "type"))
		compile_kinds(compiler, schema, keyword, here);
	else if (is(name, "properties"))
		compile_properties(compiler, schema, keyword, mx_member(source, "required"), outer, nesting);
	else if (is(name, "required"))
	{
		if (mx_member(source, "properties") == NULL)
			compile_properties(compiler, schema, NULL, keyword, outer, nesting);
	}
	else if (is(name, "patternProperties"))
		schema->patterns = compile_named(compiler, keyword, here, nesting, true, 0, &schema->pattern_count);
	else if (is(name, "additionalProperties"))
		schema->additional = compile(compiler, keyword, here, nesting + 1);
	else if (is(name, "propertyNames"))
		schema->names = compile(compiler, keyword, here, nesting + 1);
	else if (is(name, "items"))
		schema->items = compile(compiler, keyword, here, nesting + 1);
	else if (is(name, "not"))
		schema->not = compile(compiler, keyword, here, nesting + 1);
	else if (is(name, "allOf"))
	{
		schema->all_of.schemas = compile_list(compiler, keyword, here, nesting);
		schema->all_of.count = schema->all_of.schemas == NULL ? 0 : keyword->length;
	}
	else if (is(name, "anyOf") || is(name, "oneOf"))
	{
		schema->any_of.schemas = compile_list(compiler, keyword, here, nesting);
		schema->any_of.count = schema->any_of.schemas == NULL ? 0 : keyword->length;
	}
	else if (is(name, "const"))
		schema->constant = keyword;
	else if (is(name, "enum"))
	{
		schema->choices = keyword;
		if (keyword->kind != MX_ARRAY)
			complain(compiler, here, "must be an array");
	}
	else if (is(name, "pattern") || is(name, "format") || is(name, "$ref"))
	{
		if (keyword->kind != MX_STRING)
			complain(compiler, here, "must be a string");
		else if (is(name, "pattern"))
			schema->pattern = compile_pattern(compiler, mx_string_of(keyword), here);
		else if (is(name, "format"))
			schema->grammar = mx_grammar_named(mx_string_of(keyword));
		else
		{
			const mx_value *target = resolve(compiler, keyword);

			if (target == NULL)
				complain(compiler, here, "refers to nothing in #/$defs or #/definitions");
			else
			{
				const mx_schema **one = mx_alloc(compiler->arena, sizeof(*one));

				one[0] = compile(compiler, target, here, nesting + 1);
				schema->all_of = (mx_list) {one, 1};
			}
		}
	}
	else if (!is_annotation(name))
		complain(compiler, here, "is a keyword that is not supported");
}

static const mx_schema *
compile(mx_compiler *compiler, const mx_value *source, const mx_path *path, int nesting)
{
	mx_schema  *schema = mx_alloc(compiler->arena, sizeof(*schema));
	size_t		i = 0;

	memset(schema, 0, sizeof(*schema));
	schema->value = schema->length = schema->items_count = schema->properties_count = (mx_bounds) {NAN, NAN};
	schema->regex = compiler->regex;
	if (nesting > MAX_NESTING || ++compiler->compiled > MAX_SCHEMAS)
		complain(compiler, path, "nests schemas too deep, or refers to itself");
	else if (source->kind == MX_BOOLEAN)
		schema->nothing = !source->u.boolean;
	else if (source->kind != MX_OBJECT)
		complain(compiler, path, "must be a schema: an object, true or false");
	else
	{
		if (mx_member(source, "$ref") != NULL && mx_member(source, "allOf") != NULL)
			complain(compiler, path, "has both $ref and allOf, which is not supported");
		for (const mx_value *keyword = source->u.children; keyword != NULL; keyword = keyword->next)
		{
			mx_path		here = step(path, keyword, i++);

			compile_keyword(compiler, schema, source, keyword, &here, nesting);
		}
	}
	return schema;
}

const mx_schema *
mx_schema_compile(mx_arena *arena, const mx_value *source, const mx_value *root,
				  const mx_regex *regex, mx_violations *violations)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	mx_compiler compiler = {arena, root, regex, violations, 0};
	size_t		before = violations->count;
	const mx_schema *schema = compile(&compiler, source, &top, 0);

	return violations->count == before ? schema : NULL;
}

/* ---- checking ---- */

/* "a string or null": what a schema takes, for people. */
static const char *
kinds_text(const mx_schema *schema, char *buffer, size_t size)
{
	static const struct
	{
		unsigned	kind;
		const char *name;
	}			names[] = {
		{1u << MX_OBJECT, "an object"}, {1u << MX_ARRAY, "an array"}, {1u << MX_STRING, "a string"},
		{1u << MX_INTEGER, "a number"}, {1u << MX_BOOLEAN, "a boolean"}, {1u << MX_NULL, "null"},
	};
	size_t		used = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (schema->kinds & names[i].kind)
		{
			const char *name = names[i].kind == 1u << MX_INTEGER && schema->integral ? "an integer" : names[i].name;

			if (used > 0)
				strcpy(buffer + used, " or "), used += 4;
			if (used + strlen(name) + 5 > size)
				break;
			strcpy(buffer + used, name);
			used += strlen(name);
		}
	return buffer;
}

static void
check_bounds(mx_bounds bounds, double number, mx_code low, mx_code high, const char *verb, const char *unit,
			 const mx_path *path, mx_violations *violations)
{
	if (number < bounds.least)
		mx_violate(violations, low, path, "must %s at least %.0f%s", verb, bounds.least, unit);
	if (number > bounds.most)
		mx_violate(violations, high, path, "must %s at most %.0f%s", verb, bounds.most, unit);
}

static void
check_string(const mx_schema *schema, mx_string text, const mx_path *path, mx_violations *violations)
{
	const char *fault = schema->grammar == NULL ? NULL : schema->grammar(text);

	if (fault != NULL)
		mx_violate(violations, MX_GRAMMAR, path, "%s", fault);
	if (schema->pattern.text != NULL && !matches(schema->regex, schema->pattern, text))
		mx_violate(violations, MX_PATTERN, path, "must match %.*s",
				   (int) mx_clip(schema->pattern.text, schema->pattern.length, 200), schema->pattern.text);
	if (!isnan(schema->length.least) || !isnan(schema->length.most))
		check_bounds(schema->length, (double) mx_code_points(text), MX_TOO_SHORT, MX_TOO_LONG, "be",
					 " characters long", path, violations);
}

static void
check_object(const mx_schema *schema, const mx_value *value, const mx_path *path, bool pruned,
			 mx_violations *violations)
{
	size_t		found = 0;

	check_bounds(schema->properties_count, value->length, MX_TOO_FEW, MX_TOO_MANY, "have", " members", path, violations);
	if (schema->property_count == 0 && schema->pattern_count == 0 && schema->additional == NULL &&
		schema->names == NULL)
		return;
	for (const mx_value *child = value->u.children; child != NULL; child = child->next)
	{
		mx_path		here = step(path, child, 0);
		mx_string	name = key_of(child);
		bool		known = false;

		for (size_t i = 0; i < schema->property_count; i++)
			if (mx_same(schema->properties[i].name, name))
			{
				/* A name that is only required has no schema of its own. */
				known = schema->properties[i].schema != NULL;
				found += schema->properties[i].required;
				if (known)
					mx_schema_check(schema->properties[i].schema, child, &here, pruned, violations);
				break;
			}
		for (size_t i = 0; i < schema->pattern_count; i++)
			if (matches(schema->regex, schema->patterns[i].name, name))
			{
				known = true;
				mx_schema_check(schema->patterns[i].schema, child, &here, pruned, violations);
			}
		if (!known && schema->additional != NULL)
			mx_schema_check(schema->additional, child, &here, pruned, violations);
		if (schema->names != NULL)
		{
			mx_value	as_string = {.kind = MX_STRING, .length = child->key_length};

			as_string.u.text = child->key;
			mx_schema_check(schema->names, &as_string, &here, pruned, violations);
		}
	}
	if (found < schema->required_count && !pruned)
		for (size_t i = 0; i < schema->property_count; i++)
		{
			mx_string	name = schema->properties[i].name;
			mx_path		here = {path, name.text, name.length, 0};
			const mx_value *child = value->u.children;

			if (!schema->properties[i].required)
				continue;
			while (child != NULL && !mx_same(key_of(child), name))
				child = child->next;
			if (child == NULL)
				mx_violate(violations, MX_MISSING, &here, "is required");
		}
}

/* One of the alternatives must hold; the one that came furthest is reported. */
static void
check_alternatives(const mx_schema *schema, const mx_value *value, const mx_path *path, bool pruned,
				   mx_violations *violations)
{
	mx_violations best;
	bool		have = false;

	for (size_t i = 0; i < schema->any_of.count; i++)
	{
		const mx_schema *branch = schema->any_of.schemas[i];
		mx_violations tried;

		mx_violations_init(&tried, violations->arena);
		mx_schema_check(branch, value, path, pruned, &tried);
		if (tried.count == 0)
			return;
		if (branch->kinds == 0 || branch->kinds & 1u << value->kind)
		{
			if (!have || tried.count < best.count)
				best = tried;
			/* An empty list's tail points into itself, but these have rows. */
			have = true;
		}
	}
	if (have)
		mx_violations_take(violations, &best);
	else
	{
		mx_schema	all = *schema;
		char		buffer[128];

		for (size_t i = 0; i < schema->any_of.count; i++)
			all.kinds |= schema->any_of.schemas[i]->kinds;
		mx_violate(violations, MX_TYPE, path, "must be %s, not %s",
				   kinds_text(&all, buffer, sizeof(buffer)), mx_kind_name(value));
	}
}

static void
check_choices(const mx_schema *schema, const mx_value *value, const mx_path *path, mx_violations *violations)
{
	char		list[256] = "";
	size_t		used = 0;

	for (const mx_value *choice = schema->choices->u.children; choice != NULL; choice = choice->next)
	{
		if (mx_equal(choice, value))
			return;
		if (choice->kind == MX_STRING && used + choice->length + 8 < sizeof(list))
		{
			if (used > 0)
				strcpy(list + used, ", "), used += 2;
			memcpy(list + used, choice->u.text, choice->length);
			used += choice->length;
			list[used] = '\0';
		}
	}
	mx_violate(violations, MX_ENUM, path, "must be one of: %s", list);
}

void
mx_schema_check(const mx_schema *schema, const mx_value *value, const mx_path *path, bool pruned,
				mx_violations *violations)
{
	char		buffer[128];

	if (schema->nothing)
	{
		mx_violate(violations, MX_UNEXPECTED, path, "must not be there");
		return;
	}
	if (schema->kinds != 0 && !(schema->kinds & 1u << value->kind))
	{
		mx_violate(violations, MX_TYPE, path, "must be %s, not %s",
				   kinds_text(schema, buffer, sizeof(buffer)), mx_kind_name(value));
		return;
	}
	if (schema->choices != NULL)
		check_choices(schema, value, path, violations);
	if (schema->constant != NULL && !mx_equal(schema->constant, value))
	{
		if (schema->constant->kind == MX_STRING)
			mx_violate(violations, MX_ENUM, path, "must be \"%.*s\"",
					   (int) mx_clip(schema->constant->u.text, schema->constant->length, 200), schema->constant->u.text);
		else
			mx_violate(violations, MX_ENUM, path, "must be the one value that its schema gives");
	}
	switch (value->kind)
	{
		case MX_STRING:
			check_string(schema, mx_string_of(value), path, violations);
			break;
		case MX_INTEGER:
		case MX_NUMBER:
			if (schema->integral && !mx_is_integral(value))
				mx_violate(violations, MX_TYPE, path, "must be %s, not a fraction",
						   kinds_text(schema, buffer, sizeof(buffer)));
			if (!isnan(schema->value.least) || !isnan(schema->value.most))
				check_bounds(schema->value, mx_number(value), MX_NUMBER_RANGE, MX_NUMBER_RANGE, "be", "", path, violations);
			break;
		case MX_ARRAY:
			check_bounds(schema->items_count, value->length, MX_TOO_FEW, MX_TOO_MANY, "have", " elements", path, violations);
			if (schema->items != NULL)
			{
				size_t		i = 0;

				for (const mx_value *child = value->u.children; child != NULL; child = child->next)
				{
					mx_path		here = step(path, child, i++);

					mx_schema_check(schema->items, child, &here, pruned, violations);
				}
			}
			break;
		case MX_OBJECT:
			check_object(schema, value, path, pruned, violations);
			break;
		default:
			break;
	}
	for (size_t i = 0; i < schema->all_of.count; i++)
		mx_schema_check(schema->all_of.schemas[i], value, path, pruned, violations);
	if (schema->any_of.count > 0)
		check_alternatives(schema, value, path, pruned, violations);
	if (schema->not != NULL)
	{
		mx_violations tried;

		mx_violations_init(&tried, violations->arena);
		mx_schema_check(schema->not, value, path, pruned, &tried);
		if (tried.count == 0)
			mx_violate(violations, MX_UNEXPECTED, path, "has a form that its schema forbids");
	}
}
