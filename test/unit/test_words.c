/*
 * test_words.c - words of texts in many scripts
 *
 * What is expected is written with a | before each word, + after a pair of
 * characters, . after the last and ! after the only one of a run.
 */
#include "unit.h"

#include "core/words.h"

#include <string.h>

static size_t
length_of(const uint32_t *text)
{
	size_t		length = 0;

	while (text[length] != 0)
		length++;
	return length;
}

static void
words(const uint32_t *text, const uint32_t *expected, int line)
{
	static const uint32_t ends[] = {[MX_WORD_PAIR] = '+', [MX_WORD_TAIL] = '.', [MX_WORD_ALONE] = '!'};
	uint32_t	copy[200];
	uint32_t	got[600];
	size_t		count = 0;
	size_t		length = length_of(text);
	mx_word		word;
	mx_words	reading = {copy, 0, 0, false};

	memcpy(copy, text, length * sizeof(*text));
	reading.length = mx_clean_text(copy, length);
	mx_fold_text(copy, reading.length);
	while (mx_next_word(&reading, &word))
	{
		got[count++] = '|';
		memcpy(got + count, copy + word.from, (word.to - word.from) * sizeof(*copy));
		count += word.to - word.from;
		if (word.kind != MX_WORD_SPACED)
			got[count++] = ends[word.kind];
	}
	CHECK(count == length_of(expected) && memcmp(got, expected, count * sizeof(*got)) == 0,
		  "other words than expected, line %d", line);
}

#define WORDS(text, expected) words((const uint32_t *) U"" text, (const uint32_t *) U"" expected, __LINE__)

static void
test_marks(void)
{
	uint32_t	text[100] = {'e'};

	for (int i = 1; i < 100; i++)
		text[i] = 0x0301;
	CHECK(mx_clean_text(text, 100) == 1 + MX_MAX_MARKS, "marks in a row are not bounded");
	text[50] = 'e';
	CHECK(mx_clean_text(text, 1 + MX_MAX_MARKS) == 1 + MX_MAX_MARKS, "marks within the bound are lost");
}

void
test_words(void)
{
	/* Scripts with spaces: whatever is no letter, digit or mark separates. */
	WORDS("", "");
	WORDS(" \t\n.,;-_*#\"'()", "");
	WORDS("Hello, World! 42", "|hello|world|42");
	WORDS("don't under_score a-b", "|don|t|under|score|a|b");
	WORDS("https://example.org/a?b=c", "|https|example|org|a|b|c");
	WORDS("@user:example.org #room:b $1e5", "|user|example|org|room|b|1e5");
	WORDS("Gr\u00FC\u00DFe na\u00EFve \u00C9T\u00C9 \u0141\u00F3d\u017A", "|gr\u00FC\u00DFe|na\u00EFve|\u00E9t\u00E9|\u0142\u00F3d\u017A");
	WORDS("E\u0301te\u0301", "|e\u0301te\u0301");
	WORDS("\u041F\u0440\u0438\u0432\u0435\u0442, \u041C\u0418\u0420\u2026", "|\u043F\u0440\u0438\u0432\u0435\u0442|\u043C\u0438\u0440");
	WORDS("\u039F\u0394\u039F\u03A3 \u03BF\u03B4\u03CC\u03C2", "|\u03BF\u03B4\u03BF\u03C3|\u03BF\u03B4\u03CC\u03C3");
	WORDS("\u0130\u0131I \u1E9E", "|i\u0131i|\u00DF");
	WORDS("\u0645\u0631\u062D\u0628\u0627\u060C \u0628\u0650\u0643\u061F", "|\u0645\u0631\u062D\u0628\u0627|\u0628\u0650\u0643");
	/* A zero-width non-joiner does not split a Persian word. */
	WORDS("\u0645\u06CC\u200C\u0631\u0648\u0645", "|\u0645\u06CC\u0631\u0648\u0645");
	WORDS("\u05E9\u05C1\u05DC\u05D5\u05DD\u05BE\u05E2", "|\u05E9\u05C1\u05DC\u05D5\u05DD|\u05E2");
	/* Virama, vowel signs and danda. */
	WORDS("\u0939\u093F\u0928\u094D\u0926\u0940\u0964 \u0915\u094D\u200D\u0937", "|\u0939\u093F\u0928\u094D\u0926\u0940|\u0915\u094D\u0937");
	WORDS("\u0661\u0662 \u0967", "|\u0661\u0662|\u0967");
	WORDS("\u10D0\u10D1 \u0531\u0562 \u1200\u1201\u1361\u1202", "|\u10D0\u10D1|\u0561\u0562|\u1200\u1201|\u1202");

	/* Scripts without: pairs. */
	WORDS("\u4ECA", "|\u4ECA!");
	WORDS("\u4ECA\u65E5", "|\u4ECA\u65E5+|\u65E5.");
	WORDS("\u4ECA\u65E5\u306F\u3001\u6674\u3002", "|\u4ECA\u65E5+|\u65E5\u306F+|\u306F.|\u6674!");
	WORDS("\u30D3\u30FC\u30EB", "|\u30D3\u30FC+|\u30FC\u30EB+|\u30EB.");
	WORDS("\u6771\u4EACTower333\u3078", "|\u6771\u4EAC+|\u4EAC.|tower333|\u3078!");
	WORDS("\uC548\uB155 \uD558\uC138", "|\uC548\uB155+|\uB155.|\uD558\uC138+|\uC138.");
	/* Thai: marks stay with their character. */
	WORDS("\u0E01\u0E31\u0E19\u0E17\u0E35\u0E48", "|\u0E01\u0E31\u0E19+|\u0E19\u0E17\u0E35\u0E48+|\u0E17\u0E35\u0E48.");
	WORDS("\u0E81\u0EB2 \u1780\u17D2\u1781 \u1000\u102C \u0F56\u0F7C\u0F51\u0F0B\u0F66",
		  "|\u0E81\u0EB2+|\u0EB2.|\u1780\u17D2\u1781+|\u1781.|\u1000\u102C!|\u0F56\u0F7C\u0F51+|\u0F51.|\u0F66!");
	/* Emoji: without variation selectors, joiners and skin tones. */
	WORDS("ok\U0001F389", "|ok|\U0001F389!");
	WORDS("\u2764\uFE0F", "|\u2764!");
	WORDS("\U0001F44D\U0001F3FD", "|\U0001F44D!");
	WORDS("\U0001F468\u200D\U0001F469", "|\U0001F468\U0001F469+|\U0001F469.");
	WORDS("\U0001F1E9\U0001F1EA", "|\U0001F1E9\U0001F1EA+|\U0001F1EA.");

	/* Marks without a character, and what no character is. */
	WORDS("\u0301\u0301", "|\u0301\u0301");
	WORDS("a\uFFFDb \uE000", "|a|b");
	test_marks();
	CHECK(mx_class_of(0) == MX_CHAR_SEPARATOR && mx_class_of(UINT32_MAX) == MX_CHAR_SEPARATOR &&
		  mx_class_of(0x110000) == MX_CHAR_SEPARATOR, "what is no character has another class");
}
