/*
 * lines.c - lines of any length from files of any size, in bounded memory
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long to wait for a pipe before its reader looks around, in ms. */
#define PATIENCE 1000

Lines *
open_lines(const char *name, size_t most)
{
	bool		is_stdin = strcmp(name, "-") == 0;
	int			fd = is_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	struct stat status;
	Lines	   *lines;

	if (fd < 0 || fstat(fd, &status) < 0)
	{
		say("cannot open %s: %s", name, strerror(errno));
		return NULL;
	}
	lines = allocate(NULL, sizeof(*lines));
	memset(lines, 0, offsetof(Lines, buffer));
	lines->name = is_stdin ? "stdin" : name;
	lines->fd = fd;
	lines->most = most;
	lines->regular = S_ISREG(status.st_mode) && !is_stdin;
	lines->size = S_ISREG(status.st_mode) ? status.st_size : 0;
	return lines;
}

void
close_lines(Lines *lines)
{
	if (lines->fd != STDIN_FILENO)
		close(lines->fd);
	free(lines->line);
	free(lines);
}

/* READ_LINE: the buffer holds something. */
static ReadStatus
fill(Lines *lines)
{
	ssize_t		got;

	if (lines->at < lines->end)
		return READ_LINE;
	if (!lines->regular)
	{
		struct pollfd wait = {.fd = lines->fd, .events = POLLIN};

		if (poll(&wait, 1, PATIENCE) <= 0)
			return READ_NOTHING;
	}
	got = read(lines->fd, lines->buffer, sizeof(lines->buffer));
	if (got < 0 && errno == EINTR)
		return READ_NOTHING;
	if (got < 0)
	{
		say("cannot read %s: %s", lines->name, strerror(errno));
		return READ_TROUBLE;
	}
	lines->at = 0;
	lines->end = (size_t) got;
	return got == 0 ? READ_END : READ_LINE;
}

/* Add to the line what fits. */
static void
append(Lines *lines, const char *text, size_t length)
{
	if (length > lines->most - lines->length)
	{
		length = lines->most - lines->length;
		lines->too_long = true;
	}
	if (lines->length + length > lines->room)
	{
		lines->room = (lines->length + length) * 2;
		lines->line = allocate(lines->line, lines->room);
	}
	if (length > 0)
		memcpy(lines->line + lines->length, text, length);
	lines->length += length;
}

ReadStatus
next_line(Lines *lines)
{
	bool		ended = false;

	if (lines->pending == 0)
	{
		lines->too_long = false;
		lines->length = 0;
	}
	while (!ended)
	{
		ReadStatus	status = fill(lines);
		const char *from = lines->buffer + lines->at;
		const char *newline;
		size_t		length;

		if (status == READ_END && lines->pending > 0)
			break;
		if (status != READ_LINE)
			return status;
		newline = memchr(from, '\n', lines->end - lines->at);
		ended = newline != NULL;
		length = ended ? (size_t) (newline - from) : lines->end - lines->at;
		append(lines, from, length);
		lines->at += length + ended;
		lines->pending += (int64_t) length + ended;
	}
	lines->offset += lines->pending;
	lines->pending = 0;
	lines->number++;
	return READ_LINE;
}

bool
skip_to(Lines *lines, int64_t offset, int64_t number)
{
	if (lines->regular && offset <= lines->size)
	{
		if (lseek(lines->fd, offset, SEEK_SET) < 0)
		{
			say("cannot seek in %s: %s", lines->name, strerror(errno));
			return false;
		}
		lines->offset = offset;
	}
	while (lines->offset < offset && stop_signal == 0)
	{
		ReadStatus	status = fill(lines);
		int64_t		held = (int64_t) (lines->end - lines->at);

		if (status == READ_TROUBLE)
			return false;
		if (status == READ_END)
		{
			say("%s is shorter than what is loaded of it: --no-resume loads it from its beginning", lines->name);
			return false;
		}
		if (status == READ_LINE)
		{
			if (held > offset - lines->offset)
				held = offset - lines->offset;
			lines->at += (size_t) held;
			lines->offset += held;
		}
	}
	lines->number = number;
	return true;
}

bool
is_blank(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

/* The bytes of the character here, or 0: it is none.  Source: RFC 3629, section 4. */
static size_t
character(const unsigned char *at, size_t length)
{
	size_t		bytes = at[0] < 0x80 ? 1 : at[0] >= 0xC2 && at[0] <= 0xDF ? 2 :
		at[0] >= 0xE0 && at[0] <= 0xEF ? 3 : at[0] >= 0xF0 && at[0] <= 0xF4 ? 4 : 0;

	if (bytes > length)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((at[i] & 0xC0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
		(at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F))
		return 0;
	return bytes;
}

const char *
text_fault(const char *text, size_t length)
{
	size_t		bytes;

	for (size_t i = 0; i < length; i += bytes)
	{
		if (text[i] == '\0')
			return "holds a NUL byte";
		bytes = character((const unsigned char *) text + i, length - i);
		if (bytes == 0)
			return "is not UTF-8";
	}
	return NULL;
}
