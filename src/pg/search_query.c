/*
 * search_query.c - matrix.search_query, matrix.search_scope: what is asked for
 *
 * Both put an expression together as text and leave its form to tsqueryin; the
 * lexemes in it are quoted.
 */
#include "search.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "nodes/value.h"
#include "utils/array.h"
#include "utils/builtins.h"

/* Code points of a query that are looked at. */
#define MAX_QUERY	1000

/* At most so many parts of the stream are asked for at once, and less where there are longer ones. */
#define MAX_PARTS	128
#define ENOUGH_PARTS	16

static void
append_lexeme(StringInfo into, const char *kind, const char *text, size_t length)
{
	appendStringInfoChar(into, '\'');
	appendStringInfoString(into, kind);
	for (size_t i = 0; i < length; i++)
	{
		if (text[i] == '\'' || text[i] == '\\')
			appendStringInfoChar(into, text[i]);
		appendStringInfoChar(into, text[i]);
	}
	appendStringInfoChar(into, '\'');
}

/* What matches nothing; tsqueryin would notice that there is nothing in it. */
static TSQuery
query_from(const StringInfo expression)
{
	TSQuery		empty;

	if (expression->len > 0)
		return DatumGetTSQuery(DirectFunctionCall1(tsqueryin, CStringGetDatum(expression->data)));
	empty = palloc0(HDRSIZETQ);
	SET_VARSIZE(empty, HDRSIZETQ);
	return empty;
}

/* ---- words that people type ---- */

/*
 * A phrase: 'a' <-> ('b' & 'c' | 'd') <2> 'e'.  What a dictionary makes of one
 * word stands at one place: lexemes of one variant go together.
 */
static void
append_phrase(StringInfo into, const ParsedText *parsed, bool prefix)
{
	for (int i = 0; i < parsed->curwords;)
	{
		const ParsedWord *words = parsed->words;
		int			place = i;
		bool		ends;

		if (i > 0)
			/* A parser that makes two words of one may have gone beyond the next. */
			appendStringInfo(into, " <%d> ", Max(words[i].pos.pos - words[i - 1].pos.pos, 1));
		for (; i < parsed->curwords && words[i].pos.pos == words[place].pos.pos; i++)
		{
			appendStringInfoString(into, i == place ? "(" : words[i].nvariant == words[i - 1].nvariant ? " & " : " | ");
			append_lexeme(into, "", words[i].word, words[i].len);
			ends = words[i].pos.pos == words[parsed->curwords - 1].pos.pos;
			if ((words[i].flags & TSL_PREFIX) != 0 || (prefix && ends))
				appendStringInfoString(into, ":*");
		}
		appendStringInfoChar(into, ')');
	}
}

/* A term under each configuration; empty where there is no word in it. */
static char *
term_expression(const uint32_t *text, size_t length, bool prefix, const Oid *configs, int count)
{
	List	   *seen = NIL;
	StringInfoData all;

	initStringInfo(&all);
	for (int i = 0; i < count; i++)
	{
		Lexemes		lexemes;
		StringInfoData one;
		uint32_t   *copy = palloc(sizeof(*copy) * (length + 1));

		memcpy(copy, text, sizeof(*copy) * length);
		start_lexemes(&lexemes);
		add_words(&lexemes, copy, length, &configs[i], 1, true);
		initStringInfo(&one);
		append_phrase(&one, &lexemes.parsed, prefix);
		if (one.len == 0 || list_member(seen, makeString(one.data)))
			continue;
		appendStringInfo(&all, "%s(%s)", all.len > 0 ? " | " : "", one.data);
		seen = lappend(seen, makeString(one.data));
	}
	return all.data;
}

static bool
is_space(uint32_t c)
{
	return c <= 0x20 || c == 0x85 || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
		c == 0x202F || c == 0x3000;
}

static bool
is_quote(uint32_t c)
{
	return c == '"' || (c >= 0x201C && c <= 0x201F);
}

typedef struct Term
{
	const uint32_t *text;
	size_t		length;
	bool		quoted;
	bool		without;
	bool		prefix;
} Term;

/* The next term of a query from *at on; false: there is none. */
static bool
next_term(const uint32_t *query, size_t length, size_t *at, Term *term)
{
	size_t		i = *at;

	while (i < length && is_space(query[i]))
		i++;
	if (i == length)
		return false;
	*term = (Term) {0};
	if (query[i] == '-' && i + 1 < length && !is_space(query[i + 1]))
	{
		term->without = true;
		i++;
	}
	term->quoted = is_quote(query[i]);
	if (term->quoted)
		i++;
	term->text = query + i;
	while (i < length && !is_quote(query[i]) && (term->quoted || !is_space(query[i])))
		i++;
	term->length = query + i - term->text;
	if (term->quoted && i < length)
		i++;
	term->prefix = term->length > 1 && term->text[term->length - 1] == '*';
	*at = i;
	return true;
}

static bool
is_or(const Term *term)
{
	return !term->quoted && !term->without && term->length == 2 && term->text[0] == 'O' && term->text[1] == 'R';
}

/*
 * matrix.search_query(configs regconfig[], query text) returns tsquery: what
 * people type.  Words, "a phrase", -without, these OR those (of neighbours,
 * before all must match), begin*.  No text is an error; one without words
 * matches nothing.
 */
PG_FUNCTION_INFO_V1(search_query);
Datum
search_query(PG_FUNCTION_ARGS)
{
	text	   *typed = PG_GETARG_TEXT_PP(1);
	int			count;
	const Oid  *configs = configs_of(PG_GETARG_ARRAYTYPE_P(0), &count);
	size_t		length;
	uint32_t   *query = code_points(VARDATA_ANY(typed), VARSIZE_ANY_EXHDR(typed), MAX_QUERY, &length);
	size_t		at = 0;
	StringInfoData expression;
	Term		term;
	bool		either = false; /* an OR stands before this term */
	bool		open = false;	/* the term before this one had words */

	initStringInfo(&expression);
	while (next_term(query, length, &at, &term))
	{
		char	   *words;

		if (is_or(&term) && open && !either)
		{
			either = true;
			continue;
		}
		words = term_expression(term.text, term.length, term.prefix, configs, count);
		if (words[0] != '\0')
		{
			/* (a) & (b | !c) & (d) */
			if (either)
				expression.data[--expression.len] = '\0';
			appendStringInfo(&expression, "%s%s(%s))", either ? " | " : expression.len > 0 ? " & (" : "(",
							 term.without ? "!" : "", words);
		}
		open = words[0] != '\0';
		either = false;
	}
	PG_RETURN_TSQUERY(query_from(&expression));
}

/* ---- where to look ---- */

static void
append_and(StringInfo into)
{
	if (into->len > 0)
		appendStringInfoString(into, " & ");
}

/* Any of these: a tree of small depth, as lists may be long. */
static void
append_any(StringInfo into, const char *kind, const mx_string *ids, int count)
{
	if (count <= 1)
	{
		/* No identifier is empty. */
		append_lexeme(into, kind, count == 0 ? "" : ids[0].text, count == 0 ? 0 : ids[0].length);
		return;
	}
	appendStringInfoChar(into, '(');
	append_any(into, kind, ids, count / 2);
	appendStringInfoString(into, " | ");
	append_any(into, kind, ids + count / 2, count - count / 2);
	appendStringInfoChar(into, ')');
}

static void
append_any_of(StringInfo into, const char *kind, ArrayType *array)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int			fit = 0;
	mx_string  *ids;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	ids = palloc(sizeof(*ids) * (count + 1));
	for (int i = 0; i < count; i++)
	{
		text	   *id = nulls[i] ? NULL : DatumGetTextPP(values[i]);

		/* What is too long is no identifier, and no event's. */
		if (id != NULL && VARSIZE_ANY_EXHDR(id) <= MX_MAX_ID)
			ids[fit++] = (mx_string) {VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)};
	}
	append_and(into);
	append_any(into, kind, ids, fit);
}

/* The parts of the stream with the positions from low to high, and some around them. */
static void
append_window(StringInfo into, int64 low, int64 high)
{
	int			part = 0;

	while (part < PARTS - 1 && (high >> PART_BITS(part)) - (low >> PART_BITS(part)) >= ENOUGH_PARTS)
		part++;
	low >>= PART_BITS(part);
	high >>= PART_BITS(part);
	if (high - low >= MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a part of the stream must not be longer than %d positions", (MAX_PARTS - 1) << PART_BITS(PARTS - 1))));
	appendStringInfoChar(into, '(');
	for (int64 at = low; at <= high; at++)
	{
		char		digits[MAXINT8LEN + 1];

		if (at > low)
			appendStringInfoString(into, " | ");
		append_lexeme(into, LEXEME_PART(part), digits, pg_lltoa(at, digits));
	}
	appendStringInfoChar(into, ')');
}

/*
 * matrix.search_scope(low bigint, high bigint, rooms text[], senders text[],
 * mentioned text, edits boolean) returns tsquery: events from about low to about
 * high (null: anywhere), in one of these rooms, of one of these senders (null: any), mentioning a
 * user (null: or not), edits only (or not).
 */
PG_FUNCTION_INFO_V1(search_scope);
Datum
search_scope(PG_FUNCTION_ARGS)
{
	StringInfoData expression;

	bool		anywhere = PG_ARGISNULL(0) || PG_ARGISNULL(1);

	if (PG_ARGISNULL(5) || (!anywhere && PG_GETARG_INT64(0) > PG_GETARG_INT64(1)))
		PG_RETURN_NULL();
	initStringInfo(&expression);
	if (!anywhere)
		append_window(&expression, PG_GETARG_INT64(0), PG_GETARG_INT64(1));
	if (!PG_ARGISNULL(2))
		append_any_of(&expression, LEXEME_ROOM, PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3))
		append_any_of(&expression, LEXEME_SENDER, PG_GETARG_ARRAYTYPE_P(3));
	if (!PG_ARGISNULL(4))
	{
		text	   *mentioned = PG_GETARG_TEXT_PP(4);
		mx_string	user = {VARDATA_ANY(mentioned), VARSIZE_ANY_EXHDR(mentioned)};

		append_and(&expression);
		append_any(&expression, LEXEME_MENTION, &user, user.length <= MX_MAX_ID);
	}
	if (PG_GETARG_BOOL(5))
	{
		append_and(&expression);
		append_lexeme(&expression, LEXEME_EDIT, "", 0);
	}
	PG_RETURN_TSQUERY(query_from(&expression));
}
