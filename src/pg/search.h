/*
 * search.h - lexemes: what events are searched by
 *
 * The words of an event and of a query become lexemes in the same way
 * (lexemes.c), so that they meet.  Beside words an event has lexemes that no
 * word can be, for they begin with a control character: its room, its sender,
 * whom it mentions, where in the stream it stands.
 */
#ifndef MATRIX_EVENTS_SEARCH_H
#define MATRIX_EVENTS_SEARCH_H

#include "binding.h"

#include "core/words.h"
#include "tsearch/ts_utils.h"

#define LEXEME_ROOM		"\1r"
#define LEXEME_SENDER	"\1s"
#define LEXEME_MENTION	"\1u"
#define LEXEME_EDIT		"\1e"	/* an edit; nothing behind it */
/* The parts of the stream that an event is in, of 2^PART_BITS positions: PARTS lexemes. */
#define LEXEME_PART(part)	((const char *[]) {"\1a", "\1b", "\1c"}[part])
#define PART_BITS(part)	(10 + 6 * (part))
#define PARTS			3
#define EVERYBODY		"@room"	/* whom an m.mentions with room: true mentions */

/* A dictionary may lengthen a word a little; a tsvector takes 2047 bytes. */
#define MAX_WORD		2000
/* Code points of a text that are looked at; an event has 65536 bytes. */
#define MAX_TEXT		65536

typedef struct Lexemes
{
	ParsedText	parsed;
	size_t		size;			/* bytes in a tsvector, at most */
	bool		full;			/* what comes now is left out: a tsvector takes 1 MB */
} Lexemes;

extern void start_lexemes(Lexemes *lexemes);
extern void add_lexeme(Lexemes *lexemes, const char *kind, const char *text, size_t length);

/* Code points of a text in the database's encoding, at most max. */
extern uint32_t *code_points(const char *text, size_t length, size_t max, size_t *count);

/*
 * Adds the lexemes of a text under each text search configuration; none of
 * these: no lexemes.  The code points are overwritten.  For a query the last
 * character of a run of pairs is left out, as it is in the last pair, and a
 * character by itself becomes a prefix.
 */
extern void add_words(Lexemes *lexemes, uint32_t *text, size_t length, const Oid *configs, int count, bool query);

/* The elements of a regconfig[]; 22004 for a null among them. */
extern const Oid *configs_of(ArrayType *array, int *count);

#endif
