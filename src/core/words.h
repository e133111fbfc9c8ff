/*
 * words.h - a text as words to search for, in any script
 *
 * Words of scripts that have spaces between them are runs of letters and
 * digits.  Scripts that have none (Chinese, Japanese, Thai, ...; Korean too,
 * whose particles stick to words), symbols and emoji give overlapping pairs of
 * characters, and the last character of each run by itself: so one character is
 * found as the beginning of a pair, and a longer text as a phrase of pairs.
 *
 * Texts are code points.  The way of a text: mx_clean_text, normalization to
 * NFKC by the host, mx_fold_text, then mx_next_word until there is none.
 */
#ifndef MX_WORDS_H
#define MX_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Marks (accents, vowel signs) in a row that are kept, as in Unicode's
 * Stream-Safe Text Format: normalizing a row takes time by its square.
 */
#define MX_MAX_MARKS	30

/* What ends a word, what makes one, what is no part of the text at all. */
typedef enum mx_char_class
{
	MX_CHAR_SEPARATOR,
	MX_CHAR_LETTER,				/* or a digit, of a script with spaces */
	MX_CHAR_MARK,				/* belongs to the character before it */
	MX_CHAR_UNSPACED,			/* a symbol, or of a script without spaces */
	MX_CHAR_IGNORED				/* joiners, variation selectors, skin tones */
} mx_char_class;

typedef enum mx_word_kind
{
	MX_WORD_SPACED,
	MX_WORD_PAIR,				/* two characters */
	MX_WORD_TAIL,				/* the last one of a run of several */
	MX_WORD_ALONE				/* the only one of its run */
} mx_word_kind;

/* Each word takes one place in the text; a pair that of its first character. */
typedef struct mx_word
{
	mx_word_kind kind;
	size_t		from;
	size_t		to;				/* exclusive */
} mx_word;

typedef struct mx_words
{
	const uint32_t *text;
	size_t		length;
	size_t		at;				/* 0 to begin with */
	bool		in_run;			/* a pair ended here; false to begin with */
} mx_words;

extern mx_char_class mx_class_of(uint32_t character);

/* Takes out what is ignored and too many marks; returns the length that is left. */
extern size_t mx_clean_text(uint32_t *text, size_t length);

/* Makes upper and lower case, and the two forms of sigma, one. */
extern void mx_fold_text(uint32_t *text, size_t length);

/* The next word; false: there is none. */
extern bool mx_next_word(mx_words *words, mx_word *word);

#endif
