/*
 * search_vector.c - matrix.is_searched, matrix.search_vector: what an event is
 * found by
 *
 * Both stand in an index of every store, which is the only place where the
 * lexemes of events are kept.
 */
#include "search.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* What is searched: one row a type.  Weights are 0 to 3, for D to A. */
static const struct
{
	const char *type;
	const char *field;			/* of the content */
	const char *block;			/* of the content, with texts of several mimetypes; or NULL */
	int			weight;
}			searched[] = {
	{"m.room.message", "body", NULL, 0},
	{"m.sticker", "body", NULL, 0},
	{"m.room.name", "name", NULL, 3},
	{"m.room.topic", "topic", "m.topic", 2},
};

/* The row of a type; -1: it is not searched. */
static int
row_of(text *type)
{
	mx_string	name = {VARDATA_ANY(type), VARSIZE_ANY_EXHDR(type)};

	for (int i = 0; i < lengthof(searched); i++)
		if (mx_same(name, mx_string_from(searched[i].type)))
			return i;
	return -1;
}

/*
 * matrix.is_searched(type text) returns boolean: whether events of this type
 * are found by words.
 */
PG_FUNCTION_INFO_V1(is_searched);
Datum
is_searched(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(row_of(PG_GETARG_TEXT_PP(0)) >= 0);
}

/* matrix.searched_types() returns text[]: the types that are. */
PG_FUNCTION_INFO_V1(searched_types);
Datum
searched_types(PG_FUNCTION_ARGS)
{
	Datum		types[lengthof(searched)];

	for (int i = 0; i < lengthof(searched); i++)
		types[i] = CStringGetTextDatum(searched[i].type);
	PG_RETURN_ARRAYTYPE_P(construct_array(types, lengthof(searched), TEXTOID, -1, false, TYPALIGN_INT));
}

/* Spec: m.room.topic, TextualRepresentation: no mimetype is text/plain. */
static bool
plain_text(JsonbContainer *block, mx_string *string)
{
	JsonbContainer *texts = jsonb_container(block, "m.text");

	if (texts == NULL || !JsonContainerIsArray(texts))
		return false;
	for (uint32 i = 0; i < JsonContainerSize(texts); i++)
	{
		JsonbValue *one = getIthJsonbValueFromContainer(texts, i);
		mx_string	mimetype;

		if (one->type == jbvBinary && jsonb_string(one->val.binary.data, "body", string) &&
			(!jsonb_string(one->val.binary.data, "mimetype", &mimetype) || mx_same(mimetype, mx_string_from("text/plain"))))
			return true;
	}
	return false;
}

static bool
starts_with(mx_string string, const char *prefix)
{
	return string.length >= strlen(prefix) && memcmp(string.text, prefix, strlen(prefix)) == 0;
}

/*
 * A reply of old begins with lines that quote what it replies to, the first with
 * its sender.  Spec: Rich replies, v1.12.
 */
static mx_string
without_fallback(mx_string body)
{
	if (!starts_with(body, "> <") && !starts_with(body, "> * <"))
		return body;
	while (starts_with(body, "> "))
	{
		const char *end = memchr(body.text, '\n', body.length);
		size_t		line = end == NULL ? body.length : end + 1 - body.text;

		body.text += line;
		body.length -= line;
	}
	return body;
}

/* The text of an event that counts; false: it has none. */
static bool
own_text(int row, JsonbContainer *content, bool edit, mx_string *string)
{
	JsonbContainer *holds = edit ? jsonb_container(content, "m.new_content") : content;

	if (searched[row].block != NULL && plain_text(jsonb_container(holds, searched[row].block), string))
		return true;
	if (!jsonb_string(holds, searched[row].field, string))
		return false;
	if (jsonb_container(content, "m.relates_to") != NULL)
		*string = without_fallback(*string);
	return true;
}

/* Spec: User and room mentions.  Of an edit: whom it mentions newly. */
static void
add_mentions(Lexemes *lexemes, JsonbContainer *content)
{
	JsonbContainer *mentions = jsonb_container(content, "m.mentions");
	JsonbContainer *users = jsonb_container(mentions, "user_ids");

	if (jsonb_is_true(mentions, "room"))
		add_lexeme(lexemes, LEXEME_MENTION, EVERYBODY, strlen(EVERYBODY));
	if (users == NULL || !JsonContainerIsArray(users))
		return;
	for (uint32 i = 0; i < JsonContainerSize(users); i++)
	{
		JsonbValue *user = getIthJsonbValueFromContainer(users, i);

		if (user->type == jbvString && user->val.string.len > 0 && user->val.string.len <= MX_MAX_ID)
			add_lexeme(lexemes, LEXEME_MENTION, user->val.string.val, user->val.string.len);
	}
}

static void
add_id(Lexemes *lexemes, const char *kind, text *id)
{
	if (VARSIZE_ANY_EXHDR(id) <= MX_MAX_ID)
		add_lexeme(lexemes, kind, VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id));
}

static void
add_parts(Lexemes *lexemes, int64 stream_id)
{
	for (int part = 0; part < PARTS; part++)
	{
		char		digits[MAXINT8LEN + 1];

		add_lexeme(lexemes, LEXEME_PART(part), digits, pg_lltoa(stream_id >> PART_BITS(part), digits));
	}
}

static void
set_weight(TSVector vector, int weight)
{
	for (int i = 0; i < vector->size; i++)
		for (int j = 0; j < POSDATALEN(vector, &ARRPTR(vector)[i]); j++)
			WEP_SETWEIGHT(POSDATAPTR(vector, &ARRPTR(vector)[i])[j], weight);
}

/*
 * matrix.search_vector(configs regconfig[], stream_id bigint, room_id text,
 * sender text, type text, content jsonb) returns tsvector: the lexemes of an
 * event under each of these text search configurations.  Null for a type that
 * is not searched, or without one of configs, stream_id, type and content.
 */
PG_FUNCTION_INFO_V1(search_vector);
Datum
search_vector(PG_FUNCTION_ARGS)
{
	int			row = PG_ARGISNULL(4) ? -1 : row_of(PG_GETARG_TEXT_PP(4));
	const Oid  *configs;
	int			count;
	Jsonb	   *content;
	mx_string	string;
	mx_string	event_id;
	mx_string	rel_type;
	bool		edit;
	Lexemes		lexemes;
	TSVector	vector;

	if (row < 0 || PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(5))
		PG_RETURN_NULL();
	configs = configs_of(PG_GETARG_ARRAYTYPE_P(0), &count);
	content = PG_GETARG_JSONB_P(5);
	start_lexemes(&lexemes);
	add_parts(&lexemes, PG_GETARG_INT64(1));
	if (!PG_ARGISNULL(2))
		add_id(&lexemes, LEXEME_ROOM, PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		add_id(&lexemes, LEXEME_SENDER, PG_GETARG_TEXT_PP(3));
	edit = jsonb_relation(content, &event_id, &rel_type) && mx_same(rel_type, mx_string_from("m.replace"));
	if (edit)
		add_lexeme(&lexemes, LEXEME_EDIT, "", 0);
	add_mentions(&lexemes, &content->root);
	if (own_text(row, &content->root, edit, &string))
	{
		size_t		length;
		uint32_t   *points = code_points(string.text, string.length, MAX_TEXT, &length);

		add_words(&lexemes, points, length, configs, count, false);
	}
	vector = make_tsvector(&lexemes.parsed);
	if (searched[row].weight > 0)
		set_weight(vector, searched[row].weight);
	PG_RETURN_TSVECTOR(vector);
}
