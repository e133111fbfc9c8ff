/*
 * words.c - a text as words to search for, in any script
 */
#include "core/words.h"

#include "core/words_table.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

mx_char_class
mx_class_of(uint32_t character)
{
	size_t		low = 0;
	size_t		high = LENGTH(classes);

	if (character < 0x80)
		return (character >= '0' && character <= '9') || ((character | 0x20) >= 'a' && (character | 0x20) <= 'z') ?
			MX_CHAR_LETTER : MX_CHAR_SEPARATOR;
	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (character > classes[middle].last)
			low = middle + 1;
		else if (character < classes[middle].first)
			high = middle;
		else
			return classes[middle].class;
	}
	return MX_CHAR_SEPARATOR;
}

static uint32_t
fold(uint32_t character)
{
	size_t		low = 0;
	size_t		high = LENGTH(folds);

	if (character < 0x80)
		return character >= 'A' && character <= 'Z' ? character | 0x20 : character;
	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (character > folds[middle].last)
			low = middle + 1;
		else if (character < folds[middle].first)
			high = middle;
		else if ((character - folds[middle].first) % (uint32_t) folds[middle].step == 0)
			return (uint32_t) ((int32_t) character + folds[middle].delta);
		else
			return character;
	}
	return character;
}

size_t
mx_clean_text(uint32_t *text, size_t length)
{
	size_t		kept = 0;
	int			marks = 0;

	for (size_t i = 0; i < length; i++)
	{
		mx_char_class class = mx_class_of(text[i]);

		if (class == MX_CHAR_IGNORED)
			continue;
		marks = class == MX_CHAR_MARK ? marks + 1 : 0;
		if (marks <= MX_MAX_MARKS)
			text[kept++] = text[i];
	}
	return kept;
}

void
mx_fold_text(uint32_t *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		text[i] = fold(text[i]);
}

static mx_char_class
class_at(const mx_words *words, size_t i)
{
	return i < words->length ? mx_class_of(words->text[i]) : MX_CHAR_SEPARATOR;
}

/* Where the character at i ends, with its marks. */
static size_t
after_marks(const mx_words *words, size_t i)
{
	do
		i++;
	while (class_at(words, i) == MX_CHAR_MARK);
	return i;
}

bool
mx_next_word(mx_words *words, mx_word *word)
{
	mx_char_class class = MX_CHAR_SEPARATOR;
	size_t		next;

	while (words->at < words->length &&
		   ((class = class_at(words, words->at)) == MX_CHAR_SEPARATOR || class == MX_CHAR_IGNORED))
		words->at++;
	if (words->at == words->length)
		return false;
	word->from = words->at;
	next = after_marks(words, words->at);
	if (class == MX_CHAR_UNSPACED)
	{
		bool		pair = class_at(words, next) == MX_CHAR_UNSPACED;

		word->kind = pair ? MX_WORD_PAIR : words->in_run ? MX_WORD_TAIL : MX_WORD_ALONE;
		word->to = pair ? after_marks(words, next) : next;
		words->in_run = pair;
	}
	else
	{
		while (class_at(words, next) == MX_CHAR_LETTER)
			next = after_marks(words, next);
		word->kind = MX_WORD_SPACED;
		word->to = next;
	}
	words->at = next;
	return true;
}
