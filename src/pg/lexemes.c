/*
 * lexemes.c - from texts to lexemes
 *
 * The core finds the words.  Words of scripts with spaces go through
 * PostgreSQL's parser and dictionaries, freed of all that the parser might
 * understand as something else; pairs of characters are lexemes as they are.
 */
#include "search.h"

#include "common/unicode_norm.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"

/* Bytes of words that are parsed at once, about. */
#define CHUNK	4096

/* What is left for the lexemes that are no words. */
#define MAX_SIZE	(MAXSTRPOS - 256 * 1024)

void
start_lexemes(Lexemes *lexemes)
{
	lexemes->parsed.lenwords = 32;
	lexemes->parsed.words = palloc(sizeof(ParsedWord) * lexemes->parsed.lenwords);
	lexemes->parsed.curwords = 0;
	lexemes->parsed.pos = 0;
	lexemes->size = 0;
	lexemes->full = false;
}

/* Each lexeme has its bytes, padding and one position. */
static void
count_lexeme(Lexemes *lexemes, const ParsedWord *word)
{
	lexemes->size += word->len + 1 + sizeof(uint16) + sizeof(WordEntryPos);
	if (lexemes->size > MAX_SIZE)
		lexemes->full = true;
}

/* The word is the lexemes' from now on: make_tsvector frees it. */
static void
push_lexeme(Lexemes *lexemes, char *word, size_t length, int position, uint16 flags)
{
	ParsedText *parsed = &lexemes->parsed;
	ParsedWord *added;

	if (parsed->curwords == parsed->lenwords)
	{
		parsed->lenwords *= 2;
		parsed->words = repalloc(parsed->words, sizeof(ParsedWord) * parsed->lenwords);
	}
	added = &parsed->words[parsed->curwords++];
	*added = (ParsedWord) {.len = length, .word = word, .flags = flags};
	added->pos.pos = LIMITPOS(position);
	count_lexeme(lexemes, added);
}

void
add_lexeme(Lexemes *lexemes, const char *kind, const char *text, size_t length)
{
	size_t		before = strlen(kind);
	char	   *word = palloc(before + length);

	if (lexemes->full)
		return;
	memcpy(word, kind, before);
	memcpy(word + before, text, length);
	push_lexeme(lexemes, word, before + length, MAXENTRYPOS - 1, 0);
}

uint32_t *
code_points(const char *text, size_t length, size_t max, size_t *count)
{
	uint32_t   *points;

	length = pg_mbcliplen(text, length, Min(length, max * pg_database_encoding_max_length()));
	points = palloc(sizeof(uint32_t) * (length + 1));
	*count = Min((size_t) pg_mb2wchar_with_len(text, points, length), max);
	return points;
}

/* The same in normal form. */
static uint32_t *
normalize(uint32_t *text, size_t *length)
{
	bool		ascii = true;

	for (size_t i = 0; i < *length && ascii; i++)
		ascii = text[i] < 0x80;
	if (!ascii)
	{
		*length = mx_clean_text(text, *length);
		text[*length] = 0;
		if (unicode_is_normalized_quickcheck(UNICODE_NFKC, text) != UNICODE_NORM_QC_YES)
			text = unicode_normalize(UNICODE_NFKC, text);
		*length = 0;
		while (text[*length] != 0 && *length < MAX_TEXT)
			(*length)++;
	}
	mx_fold_text(text, *length);
	return text;
}

/* Bytes of a word, after what is there. */
static void
append_word(StringInfo into, const mx_words *words, const mx_word *word)
{
	size_t		length = word->to - word->from;

	enlargeStringInfo(into, length * MAX_MULTIBYTE_CHAR_LEN + 1);
	into->len += pg_wchar2mb_with_len(words->text + word->from, into->data + into->len, length);
}

/*
 * Words with single spaces between them, of which the last one stands at
 * parsed.pos.  A parser that makes more or fewer of them moves only these.
 */
static void
add_spaced(Lexemes *lexemes, StringInfo chunk, int words, const Oid *configs, int count)
{
	int			end = lexemes->parsed.pos;

	for (int i = 0; i < count && chunk->len > 0 && !lexemes->full; i++)
	{
		int			before = lexemes->parsed.curwords;

		CHECK_FOR_INTERRUPTS();
		lexemes->parsed.pos = end - words;
		parsetext(configs[i], &lexemes->parsed, chunk->data, chunk->len);
		for (int j = before; j < lexemes->parsed.curwords; j++)
			count_lexeme(lexemes, &lexemes->parsed.words[j]);
	}
	lexemes->parsed.pos = end;
	resetStringInfo(chunk);
}

void
add_words(Lexemes *lexemes, uint32_t *text, size_t length, const Oid *configs, int count, bool query)
{
	mx_words	words = {.text = normalize(text, &length)};
	mx_word		word;
	StringInfoData chunk;
	int			spaced = 0;

	if (count == 0)
		return;
	words.length = length;
	initStringInfo(&chunk);
	while (!lexemes->full && mx_next_word(&words, &word))
	{
		int			before = chunk.len;

		if (word.kind == MX_WORD_SPACED)
		{
			if (before > 0)
				appendStringInfoChar(&chunk, ' ');
			append_word(&chunk, &words, &word);
			if (chunk.len - before <= MAX_WORD)
			{
				spaced++;
				lexemes->parsed.pos++;
				if (chunk.len < CHUNK)
					continue;
				before = chunk.len;
			}
			chunk.len = before;
		}
		add_spaced(lexemes, &chunk, spaced, configs, count);
		spaced = 0;
		if (word.kind == MX_WORD_SPACED)
			continue;
		lexemes->parsed.pos++;
		if (!query || word.kind != MX_WORD_TAIL)
		{
			append_word(&chunk, &words, &word);
			push_lexeme(lexemes, pnstrdup(chunk.data, chunk.len), chunk.len, lexemes->parsed.pos,
						query && word.kind == MX_WORD_ALONE ? TSL_PREFIX : 0);
			resetStringInfo(&chunk);
		}
		CHECK_FOR_INTERRUPTS();
	}
	if (!lexemes->full)
		add_spaced(lexemes, &chunk, spaced, configs, count);
}

const Oid *
configs_of(ArrayType *array, int *count)
{
	if (ARR_HASNULL(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a text search configuration must not be null")));
	*count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (const Oid *) ARR_DATA_PTR(array);
}
