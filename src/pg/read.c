/*
 * read.c - events in and out: JSON text and jsonb to the core's values, and back
 *
 * Text is read once, by PostgreSQL's own parser.  jsonb is made from the tree,
 * so that every copy of an event comes from one reading.
 */
#include "binding.h"

#include "core/json.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include <setjmp.h>

typedef struct Reader
{
	mx_builder	builder;
	int			depth;
	sigjmp_buf	too_deep;		/* actions cannot stop the parser before version 16 */
} Reader;

static const mx_path top = {NULL, NULL, 0, 0};

void
begin_read(ReadEvent *read)
{
	arena_in(&read->arena, CurrentMemoryContext);
	mx_violations_init(&read->violations, &read->arena);
	read->root = NULL;
	read->nul_replaced = false;
}

static void
deeper(Reader *reader, mx_kind kind)
{
	if (++reader->depth > MX_MAX_DEPTH)
		siglongjmp(reader->too_deep, 1);
	mx_build_open(&reader->builder, kind);
}

static void
shallower(Reader *reader)
{
	reader->depth--;
	mx_build_close(&reader->builder);
}

JSON_ACTION
object_start(void *state)
{
	deeper(state, MX_OBJECT);
	JSON_ACTION_DONE;
}

JSON_ACTION
array_start(void *state)
{
	deeper(state, MX_ARRAY);
	JSON_ACTION_DONE;
}

JSON_ACTION
container_end(void *state)
{
	shallower(state);
	JSON_ACTION_DONE;
}

JSON_ACTION
field_start(void *state, char *name, bool isnull)
{
	mx_build_key(&((Reader *) state)->builder, name, strlen(name));
	JSON_ACTION_DONE;
}

JSON_ACTION
scalar(void *state, char *token, JsonTokenType type)
{
	mx_builder *builder = &((Reader *) state)->builder;

	switch (type)
	{
		case JSON_TOKEN_STRING:
			mx_build_string(builder, token, strlen(token));
			break;
		case JSON_TOKEN_NUMBER:
			mx_build_number(builder, token, strlen(token));
			break;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			mx_build_boolean(builder, type == JSON_TOKEN_TRUE);
			break;
		default:
			mx_build_null(builder);
	}
	JSON_ACTION_DONE;
}

/* Write \ufffd for \u0000, in a copy: both take six bytes. */
static char *
replace_nul(const char *text, int length)
{
	char	   *copy = pnstrdup(text, length);

	for (int i = 0; i + 1 < length; i++)
		if (copy[i] == '\\')
		{
			if (i + 6 <= length && memcmp(copy + i, "\\u0000", 6) == 0)
				memcpy(copy + i, "\\ufffd", 6);
			i++;
		}
	return copy;
}

/* text need not be NUL-terminated; it must be valid in the database's encoding. */
void
read_json_text(ReadEvent *read, char *text, int length)
{
	Reader		reader;
	JsonSemAction actions = {
		.semstate = &reader,
		.object_start = object_start,
		.object_end = container_end,
		.array_start = array_start,
		.array_end = container_end,
		.object_field_start = field_start,
		.scalar = scalar
	};
	JsonLexContext *lexer;
	JsonParseErrorType error;

	if (length > MX_MAX_TEXT)
	{
		mx_violate(&read->violations, MX_TOO_LARGE, &top, "is longer than %d bytes of text", MX_MAX_TEXT);
		return;
	}
	reader.depth = 0;
	mx_builder_init(&reader.builder, &read->arena, &read->violations);
	lexer = make_json_lexer(text, length, GetDatabaseEncoding());
	if (sigsetjmp(reader.too_deep, 0) != 0)
	{
		mx_violate(&read->violations, MX_DEPTH, &top, "is nested deeper than %d levels", MX_MAX_DEPTH);
		return;
	}
	error = pg_parse_json(lexer, &actions);
	if (error == JSON_UNICODE_CODE_POINT_ZERO && !read->nul_replaced)
	{
		begin_read(read);
		read->nul_replaced = true;
		read_json_text(read, replace_nul(text, length), length);
		return;
	}
	if (error != JSON_SUCCESS)
	{
		mx_violations_init(&read->violations, &read->arena);
		mx_violate(&read->violations, MX_MALFORMED, &top, "is not JSON: %s", json_errdetail(error, lexer));
		return;
	}
	read->root = reader.builder.root;
}

void
read_exactly(ReadEvent *read, text *json)
{
	begin_read(read);
	read_json_text(read, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
	if (read->nul_replaced)
	{
		/* PostgreSQL's parser cannot carry U+0000; jansson can. */
		begin_read(read);
		read->root = mx_read_json(&read->arena, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json), &read->violations);
	}
}

/* Strings are not copied: the jsonb must live as long as the tree. */
void
build_from_jsonb(mx_builder *builder, Jsonb *jsonb)
{
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	bool		raw_scalar = false;
	int			depth = 0;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_ARRAY && value.val.array.rawScalar)
			raw_scalar = true;
		else if (token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT)
		{
			if (++depth > MX_MAX_DEPTH)
			{
				mx_violate(builder->violations, MX_DEPTH, &top, "is nested deeper than %d levels", MX_MAX_DEPTH);
				while (depth-- > 1)
					mx_build_close(builder);
				return;
			}
			mx_build_open(builder, token == WJB_BEGIN_ARRAY ? MX_ARRAY : MX_OBJECT);
		}
		else if (token == WJB_END_ARRAY || token == WJB_END_OBJECT)
		{
			if (!raw_scalar)
			{
				depth--;
				mx_build_close(builder);
			}
		}
		else if (token == WJB_KEY)
			mx_build_key(builder, value.val.string.val, value.val.string.len);
		else if (value.type == jbvString)
			mx_build_string(builder, value.val.string.val, value.val.string.len);
		else if (value.type == jbvNumeric)
		{
			char	   *number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));

			mx_build_number(builder, number, strlen(number));
		}
		else if (value.type == jbvBool)
			mx_build_boolean(builder, value.val.boolean);
		else
			mx_build_null(builder);
	}
}

void
read_jsonb(ReadEvent *read, Jsonb *jsonb)
{
	mx_builder	builder;

	mx_builder_init(&builder, &read->arena, &read->violations);
	build_from_jsonb(&builder, jsonb);
	read->root = builder.root;
}

/* ---- out ---- */

/* jsonb's own order of keys: by length, then by bytes. */
static int
compare_pairs(const void *a, const void *b)
{
	const JsonbPair *left = a;
	const JsonbPair *right = b;

	if (left->key.val.string.len != right->key.val.string.len)
		return left->key.val.string.len < right->key.val.string.len ? -1 : 1;
	return memcmp(left->key.val.string.val, right->key.val.string.val, left->key.val.string.len);
}

static Numeric
numeric_from_value(const mx_value *value)
{
	if (value->kind == MX_INTEGER)
		return int64_to_numeric(value->u.integer);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in,
											   CStringGetDatum(pnstrdup(value->u.text, value->length)),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* Keys are unique: the core has refused the event otherwise. */
static void
fill_jsonb_value(const mx_value *value, JsonbValue *result)
{
	int			i = 0;

	switch (value->kind)
	{
		case MX_NULL:
			result->type = jbvNull;
			break;
		case MX_BOOLEAN:
			result->type = jbvBool;
			result->val.boolean = value->u.boolean;
			break;
		case MX_INTEGER:
		case MX_NUMBER:
			result->type = jbvNumeric;
			result->val.numeric = numeric_from_value(value);
			break;
		case MX_STRING:
			result->type = jbvString;
			result->val.string.val = unconstify(char *, value->u.text);
			result->val.string.len = value->length;
			break;
		case MX_ARRAY:
			result->type = jbvArray;
			result->val.array.rawScalar = false;
			result->val.array.nElems = value->length;
			result->val.array.elems = palloc(sizeof(JsonbValue) * (value->length + 1));
			for (const mx_value *child = value->u.children; child != NULL; child = child->next)
				fill_jsonb_value(child, &result->val.array.elems[i++]);
			break;
		case MX_OBJECT:
			result->type = jbvObject;
			result->val.object.nPairs = value->length;
			result->val.object.pairs = palloc(sizeof(JsonbPair) * (value->length + 1));
			for (const mx_value *child = value->u.children; child != NULL; child = child->next, i++)
			{
				JsonbPair  *pair = &result->val.object.pairs[i];

				pair->key.type = jbvString;
				pair->key.val.string.val = unconstify(char *, child->key);
				pair->key.val.string.len = child->key_length;
				pair->order = i;
				fill_jsonb_value(child, &pair->value);
			}
			if (i > 1)
				qsort(result->val.object.pairs, i, sizeof(JsonbPair), compare_pairs);
			break;
	}
}

Jsonb *
jsonb_from_value(const mx_value *value)
{
	JsonbValue	converted;

	fill_jsonb_value(value, &converted);
	return JsonbValueToJsonb(&converted);
}

/* [{"path": ..., "code": ..., "message": ...}, ...] */
Jsonb *
jsonb_from_violations(const mx_violations *violations)
{
	mx_builder	builder;
	mx_arena	arena;

	arena_in(&arena, CurrentMemoryContext);
	mx_builder_init(&builder, &arena, NULL);
	mx_build_open(&builder, MX_ARRAY);
	for (const mx_violation *violation = violations->first; violation != NULL; violation = violation->next)
	{
		const char *code = mx_code_name(violation->code);

		mx_build_open(&builder, MX_OBJECT);
		mx_build_key(&builder, "path", 4);
		mx_build_string(&builder, violation->path, strlen(violation->path));
		mx_build_key(&builder, "code", 4);
		mx_build_string(&builder, code, strlen(code));
		mx_build_key(&builder, "message", 7);
		mx_build_string(&builder, violation->message, strlen(violation->message));
		mx_build_close(&builder);
	}
	mx_build_close(&builder);
	return jsonb_from_value(builder.root);
}

text *
text_from_value(const mx_value *string)
{
	return cstring_to_text_with_len(string->u.text, string->length);
}
