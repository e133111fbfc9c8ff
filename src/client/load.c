/*
 * load.c - matrix-events load: files of events into a store, each line once
 */
#include "load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCH_BYTES (16 * 1024 * 1024)
/* Beyond what the store takes as an event (1 MiB), but it keeps the text in rejected. */
#define MAX_LINE (64 * 1024 * 1024)

static Outcome
prepare(Server *server)
{
	return ask(server, NULL, server->options->strict ? "SET matrix_events.on_invalid = 'error'" :
			   "SET matrix_events.on_invalid = 'quarantine'", 0, NULL);
}

static void
show_progress(Load *load)
{
	int64_t		now = now_ms();
	int64_t		bytes = load->batch.from.bytes;

	if (!isatty(STDERR_FILENO) || now - load->shown < 200)
		return;
	load->shown = now;
	fprintf(stderr, "\r\033[K%s: %lld events", load->lines->name, (long long) load->done);
	if (now > load->started)
		fprintf(stderr, ", %lld/s", (long long) (load->done * 1000 / (now - load->started)));
	if (load->refused > 0)
		fprintf(stderr, ", %lld refused", (long long) load->refused);
	if (load->lines->size > 0)
		fprintf(stderr, ", %lld %%", (long long) (bytes * 100 / load->lines->size));
	if (load->lines->size > 0 && bytes > load->first_byte)
		fprintf(stderr, ", %lld s left", (long long) ((double) (now - load->started) *
				(double) (load->lines->size - bytes) / (double) (bytes - load->first_byte) / 1000));
	fflush(stderr);
}

/* What the source is called in loads; NULL, after a word about it: it has no name. */
static char *
name_source(Load *load, const char *file)
{
	char	   *name;

	if (load->options->name != NULL)
		name = strdup(load->options->name);
	else if (load->lines->regular)
		name = realpath(file, NULL);
	else
	{
		/* Of this run only; the row goes at its end. */
		load->forget = true;
		name = allocate(NULL, 100);
		snprintf(name, 100, "%s %lld %d", load->lines->name, (long long) time(NULL), (int) getpid());
	}
	if (name == NULL || text_fault(name, strlen(name)) != NULL)
	{
		say("%s needs a --name in UTF-8", file);
		free(name);
		return NULL;
	}
	return name;
}

/* Go to where the source is loaded up to.  False: there is nothing to do, or load->trouble. */
static bool
begin_source(Load *load)
{
	Place	   *from = &load->batch.from;
	Outcome		outcome;

	do
		outcome = load->options->no_resume ? forget_place(load) : DONE;
	while (outcome == LOST && server_reconnect(&load->server));
	while (outcome == DONE && (outcome = find_place(load, from)) == LOST && server_reconnect(&load->server))
		outcome = DONE;
	load->trouble = outcome != DONE;
	if (load->trouble || from->bytes == 0)
		return !load->trouble;
	if (load->lines->regular && from->bytes == load->lines->size)
	{
		say("%s is already loaded", load->lines->name);
		return false;
	}
	load->trouble = !skip_to(load->lines, from->bytes, from->lines);
	if (!load->trouble)
		say("%s: going on after line %lld", load->lines->name, (long long) from->lines);
	return !load->trouble;
}

static void
load_lines(Load *load)
{
	Batch	   *batch = &load->batch;
	Lines	   *lines = load->lines;
	ReadStatus	status = READ_LINE;

	load->started = now_ms();
	load->first_byte = batch->from.bytes;
	while (!load->trouble && status != READ_END && stop_signal == 0)
	{
		status = next_line(lines);
		load->trouble = status == READ_TROUBLE;
		if (status == READ_LINE && !is_blank(lines->line, lines->length))
			gather(batch, lines);
		/* A pipe that says nothing for a while does not hold up what it has said. */
		if (batch->count >= load->options->batch || batch->used >= MAX_BATCH_BYTES ||
			(status == READ_NOTHING && batch->count > 0))
		{
			load->trouble = !send_batch(load);
			show_progress(load);
		}
	}
	if (!load->trouble && lines->offset > batch->from.bytes)
		load->trouble = !send_batch(load);
}

static void
sum_up(const Load *load)
{
	const Place *place = &load->batch.from;

	say("%s: %lld taken, %lld known, %lld refused, %.1f s", load->lines->name, (long long) load->taken,
		(long long) (load->done - load->taken - load->refused), (long long) load->refused,
		(double) (now_ms() - load->started) / 1000);
	if (stop_signal != 0 || load->trouble)
		say("%s is loaded up to line %lld (byte %lld)%s", load->lines->name, (long long) place->lines, (long long) place->bytes,
			load->forget ? "" : load->options->no_resume ? "; without --no-resume the same command goes on from there" :
			"; the same command goes on from there");
}

static void
load_source(Load *load)
{
	bool		begun = begin_source(load);

	if (begun)
		load_lines(load);
	if (load->forget && (!load->trouble || load->stopped))
	{
		Outcome		outcome;

		do
			outcome = forget_place(load);
		while (outcome == LOST && server_reconnect(&load->server));
	}
	if (begun)
		sum_up(load);
}

/* False: the next file is not for this run. */
static bool
load_file(Load *load, const char *file, int *exit_code)
{
	load->lines = open_lines(file, MAX_LINE);
	load->source = load->lines == NULL ? NULL : name_source(load, file);
	load->trouble = load->source == NULL;
	if (!load->trouble)
		load_source(load);
	if (load->trouble)
		*exit_code = load->stopped ? EXIT_REFUSED : EXIT_TROUBLE;
	else if (load->faulty > 0)
		*exit_code = EXIT_REFUSED;
	if (stop_signal != 0)
		*exit_code = 128 + stop_signal;
	if (load->lines != NULL)
		close_lines(load->lines);
	free(load->source);
	free(load->batch.lines);
	free(load->batch.text);
	if (load->report.out != NULL)
		fclose(load->report.out);
	free(load->report.text);
	return !load->trouble && stop_signal == 0;
}

int
load(const Options *options)
{
	Server		server;
	int			exit_code = EXIT_DONE;
	bool		going = true;

	if (!server_connect(&server, options, prepare))
		return EXIT_TROUBLE;
	catch_signals();
	for (int i = 0; i < options->files.count && going; i++)
	{
		Load		one = {.options = options, .server = server};

		going = load_file(&one, options->files.items[i], &exit_code);
		server = one.server;
	}
	server_close(&server);
	return exit_code;
}
