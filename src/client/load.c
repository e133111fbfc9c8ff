/*
 * load.c - matrix-events load: files of events into a store, each line once
 *
 * Lines are gathered into a batch, and a transaction takes the batch: it moves
 * the row of the store's table loads from the batch's beginning to its end,
 * copies the lines, and reads back what was refused.  When the connection is
 * lost, the row says whether the transaction was committed; if not, the batch
 * is still in memory.  Two loads of one source exclude each other by the same
 * row: it moves only from where this load believes it to be.
 */
#include "client.h"

#include "core/json.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCH_BYTES (16 * 1024 * 1024)
/* Beyond what the store takes as an event (1 MiB), but it keeps the text in rejected. */
#define MAX_LINE (64 * 1024 * 1024)

typedef struct Line
{
	size_t		start;			/* in the batch's text */
	size_t		length;
	int64_t		number;
	const char *fault;			/* why PostgreSQL cannot hold it, or NULL */
	bool		reported;
} Line;

typedef struct Place
{
	int64_t		bytes;
	int64_t		lines;
} Place;

typedef struct Batch
{
	char	   *text;
	size_t		used;
	size_t		room;
	Line	   *lines;
	int			count;
	Place		from;
	Place		to;
} Batch;

/* What has been said about lines, until the transaction is committed. */
typedef struct Report
{
	FILE	   *out;			/* writes the next two */
	char	   *text;
	size_t		length;
	int64_t		taken;
	int64_t		refused;		/* in rejected, or faulty */
	int64_t		faulty;
} Report;

typedef struct Load
{
	const Options *options;
	Server		server;
	Lines	   *lines;
	char	   *source;			/* the key in loads */
	bool		forget;			/* nobody can resume it: the row goes at the end */
	Batch		batch;
	Report		report;
	bool		in_doubt;		/* COMMIT was sent, and no answer came */
	bool		trouble;		/* said already: no more of this */
	bool		stopped;		/* by an event, with --strict */
	int64_t		started;		/* ms */
	int64_t		shown;
	int64_t		first_byte;
	int64_t		done;			/* lines that are not blank */
	int64_t		taken;
	int64_t		refused;
	int64_t		faulty;
} Load;

static Outcome
prepare(Server *server)
{
	return ask(server, NULL, server->options->strict ? "SET matrix_events.on_invalid = 'error'" :
			   "SET matrix_events.on_invalid = 'quarantine'", 0, NULL);
}

/* ---- the row of loads ---- */

/* Where the source is loaded up to; the row is made where it is missing. */
static Outcome
find_place(Load *load, Place *place)
{
	char	   *make = store_sql(&load->server, "INSERT INTO %1$s.loads (source, bytes, lines) VALUES ($1, 0, 0) ON CONFLICT (source) DO NOTHING");
	char	   *look = store_sql(&load->server, "SELECT l.bytes, l.lines FROM %1$s.loads l WHERE l.source = $1");
	const char *const values[] = {load->source};
	PGresult   *result = NULL;
	Outcome		outcome = ask(&load->server, NULL, make, 1, values);

	if (outcome == DONE)
		outcome = ask(&load->server, &result, look, 1, values);
	if (outcome == DONE && PQntuples(result) == 1)
	{
		place->bytes = atoll(PQgetvalue(result, 0, 0));
		place->lines = atoll(PQgetvalue(result, 0, 1));
	}
	PQclear(result);
	free(make);
	free(look);
	return outcome;
}

static Outcome
forget_place(Load *load)
{
	char	   *sql = store_sql(&load->server, "DELETE FROM %1$s.loads l WHERE l.source = $1");
	const char *const values[] = {load->source};
	Outcome		outcome = ask(&load->server, NULL, sql, 1, values);

	free(sql);
	return outcome;
}

/* ---- reports ---- */

static void
report_line(Load *load, const Line *line, const char *words)
{
	FILE	   *out = load->report.out;

	if (line != NULL)
		fprintf(out, "%s:%lld: ", load->lines->name, (long long) line->number);
	else
		fprintf(out, "%s: ", load->lines->name);
	print_clean(out, words);
	fputc('\n', out);
}

static bool
holds_text(const Batch *batch, const Line *line, const char *raw, size_t length)
{
	return !line->reported && line->fault == NULL && line->length == length &&
		memcmp(batch->text + line->start, raw, length) == 0;
}

/*
 * What the store refused at the end of the statement comes back as the JSON of
 * the row, so it is found by its event_id.
 */
static Line *
line_with_id(const Batch *batch, const char *raw, size_t length)
{
	Memory		memory;
	mx_violations violations;
	mx_string	id;
	Line	   *found = NULL;

	memory_init(&memory);
	mx_violations_init(&violations, &memory.arena);
	id = mx_string_of(mx_member(mx_read_json(&memory.arena, raw, length, &violations), "event_id"));
	for (int i = 0; id.text != NULL && found == NULL && i < batch->count; i++)
	{
		Line	   *line = &batch->lines[i];
		const char *text = batch->text + line->start;

		if (!line->reported && line->fault == NULL && memmem(text, line->length, id.text, id.length) != NULL &&
			mx_same(id, mx_string_of(mx_member(mx_read_json(&memory.arena, text, line->length, &violations), "event_id"))))
			found = line;
	}
	memory_reset(&memory);
	return found;
}

/* The rows come in the order of the lines: look on from the last one. */
static Line *
line_of(const Batch *batch, const char *raw, size_t length, int *at)
{
	for (int n = 0; n < batch->count; n++)
	{
		Line	   *line = &batch->lines[(*at + n) % batch->count];

		if (holds_text(batch, line, raw, length))
		{
			*at = (int) (line - batch->lines);
			return line;
		}
	}
	return line_with_id(batch, raw, length);
}

static void
report_refused(Load *load, const PGresult *rejected)
{
	Report	   *report = &load->report;
	int			at = 0;
	Line	   *line = NULL;

	for (int i = 0; i < PQntuples(rejected); i++)
	{
		if (!PQgetisnull(rejected, i, 0))
		{
			line = line_of(&load->batch, PQgetvalue(rejected, i, 0), (size_t) PQgetlength(rejected, i, 0), &at);
			if (line != NULL)
				line->reported = true;
			report->refused++;
			/* The trigger took it before it was refused. */
			report->taken -= strcmp(PQgetvalue(rejected, i, 2), "t") == 0;
		}
		report_line(load, line, PQgetvalue(rejected, i, 1));
	}
}

static void
report_faulty(Load *load)
{
	for (int i = 0; i < load->batch.count; i++)
		if (load->batch.lines[i].fault != NULL)
		{
			report_line(load, &load->batch.lines[i], load->batch.lines[i].fault);
			load->report.refused++;
			load->report.faulty++;
		}
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

/* ---- a batch ---- */

static void
gather(Batch *batch, const Lines *lines)
{
	Line	   *line;

	if ((batch->count & (batch->count - 1)) == 0)
		batch->lines = allocate(batch->lines, sizeof(*batch->lines) * (batch->count == 0 ? 1 : (size_t) batch->count * 2));
	line = &batch->lines[batch->count++];
	*line = (Line) {.start = batch->used, .length = lines->length, .number = lines->number};
	line->fault = lines->too_long ? "is longer than 64 MiB" : text_fault(lines->line, lines->length);
	if (line->fault != NULL)
		return;
	if (batch->used + line->length > batch->room)
	{
		batch->room = (batch->used + line->length) * 2;
		batch->text = allocate(batch->text, batch->room);
	}
	memcpy(batch->text + batch->used, lines->line, line->length);
	batch->used += line->length;
}

/* A line as COPY's text format wants it, with its newline; the caller frees it. */
static char *
escaped(const char *text, size_t length, size_t *escaped_length)
{
	char	   *result = allocate(NULL, length * 2 + 1);
	char	   *to = result;

	for (size_t i = 0; i < length; i++)
	{
		char		letter = text[i] == '\\' ? '\\' : text[i] == '\t' ? 't' : text[i] == '\r' ? 'r' : '\0';

		if (letter != '\0')
			*to++ = '\\';
		*to++ = letter != '\0' ? letter : text[i];
	}
	*to++ = '\n';
	*escaped_length = (size_t) (to - result);
	return result;
}

/* The number after the table's name in "COPY events, line 3, ...", whatever the language; 0: none. */
static int64_t
line_in_context(const PGresult *result)
{
	const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
	const char *at = context == NULL ? NULL : strstr(context, "COPY events,");

	if (at == NULL)
		return 0;
	at += strcspn(at, "0123456789\n");
	return atoll(at);
}

/* With --strict: the event that stops the load. */
static void
report_stop(Load *load, const PGresult *result)
{
	int64_t		number = line_in_context(result);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

	for (int i = 0; i < load->batch.count && number > 0; i++)
		if (load->batch.lines[i].fault == NULL && --number == 0)
			fprintf(stderr, "%s:%lld: ", load->lines->name, (long long) load->batch.lines[i].number);
	print_clean(stderr, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	fputc('\n', stderr);
	if (detail != NULL)
		fprintf(stderr, "%s\n", detail);
}

static bool
is_about_an_event(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state != NULL && (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0);
}

static Outcome
copy_lines(Load *load)
{
	Server	   *server = &load->server;
	const Batch *batch = &load->batch;
	char	   *sql = store_sql(server, "COPY %1$s.events (raw) FROM STDIN");
	PGresult   *result = PQexec(server->conn, sql);
	Outcome		outcome = judge(server, result);
	bool		sent = true;

	free(sql);
	if (outcome != DONE)
		return outcome;
	PQclear(result);
	for (int i = 0; i < batch->count && sent; i++)
	{
		size_t		length;
		char	   *text;

		if (batch->lines[i].fault != NULL)
			continue;
		text = escaped(batch->text + batch->lines[i].start, batch->lines[i].length, &length);
		sent = PQputCopyData(server->conn, text, (int) length) == 1;
		free(text);
	}
	PQputCopyEnd(server->conn, NULL);
	result = PQgetResult(server->conn);
	if (load->options->strict && is_about_an_event(result))
	{
		report_stop(load, result);
		PQclear(result);
		load->stopped = true;
		return FAILED;
	}
	outcome = judge(server, result);
	if (outcome == DONE)
	{
		load->report.taken = atoll(PQcmdTuples(result));
		PQclear(result);
		PQclear(PQgetResult(server->conn));
	}
	return outcome;
}

/* Move the row; *moved false: it was not where the batch begins.  *last: the newest row of rejected. */
static Outcome
move_row(Load *load, bool *moved, char *last, size_t size)
{
	const Batch *batch = &load->batch;
	char		numbers[4][32];
	const char *const values[] = {load->source, numbers[0], numbers[1], numbers[2], numbers[3]};
	char	   *sql = store_sql(&load->server,
		"UPDATE %1$s.loads l SET bytes = $2, lines = $3, updated = pg_catalog.clock_timestamp() "
		"WHERE l.source = $1 AND l.bytes = $4 AND l.lines = $5 "
		"RETURNING (SELECT coalesce(pg_catalog.max(r.rejected_id), 0) FROM %1$s.rejected r)");
	PGresult   *result = NULL;
	Outcome		outcome;

	snprintf(numbers[0], sizeof(numbers[0]), "%lld", (long long) batch->to.bytes);
	snprintf(numbers[1], sizeof(numbers[1]), "%lld", (long long) batch->to.lines);
	snprintf(numbers[2], sizeof(numbers[2]), "%lld", (long long) batch->from.bytes);
	snprintf(numbers[3], sizeof(numbers[3]), "%lld", (long long) batch->from.lines);
	outcome = ask(&load->server, &result, sql, 5, values);
	*moved = outcome == DONE && PQntuples(result) == 1;
	if (*moved)
		snprintf(last, size, "%s", PQgetvalue(result, 0, 0));
	PQclear(result);
	free(sql);
	return outcome;
}

/* What this transaction refused: a row for each violation, the text in the first one's. */
static Outcome
read_refused(Load *load, const char *last)
{
	const char *const values[] = {last};
	char	   *sql = store_sql(&load->server,
		"SELECT CASE WHEN v.n = 1 THEN r.raw END, "
		"pg_catalog.concat_ws(': ', nullif(v.value->>'path', ''), v.value->>'message'), v.value->>'code' = 'two_party' "
		"FROM %1$s.rejected r, pg_catalog.jsonb_array_elements(r.violations) WITH ORDINALITY v(value, n) "
		"WHERE r.rejected_id > $1 AND r.xmin = pg_catalog.pg_current_xact_id()::pg_catalog.xid ORDER BY r.rejected_id, v.n");
	PGresult   *result = NULL;
	Outcome		outcome = ask(&load->server, &result, sql, 1, values);

	if (outcome == DONE)
		report_refused(load, result);
	PQclear(result);
	free(sql);
	return outcome;
}

static bool
has_lines(const Batch *batch, bool faulty)
{
	for (int i = 0; i < batch->count; i++)
		if ((batch->lines[i].fault != NULL) == faulty)
			return true;
	return false;
}

static void
begin_report(Load *load)
{
	Report	   *report = &load->report;

	if (report->out != NULL)
		fclose(report->out);
	free(report->text);
	*report = (Report) {.text = NULL};
	report->out = open_memstream(&report->text, &report->length);
	if (report->out == NULL)
		allocate(NULL, SIZE_MAX);
	for (int i = 0; i < load->batch.count; i++)
		load->batch.lines[i].reported = false;
}

/* The row is not where the batch begins. */
static Outcome
look_again(Load *load)
{
	Place		place;
	Outcome		outcome = ask(&load->server, NULL, "ROLLBACK", 0, NULL);

	if (outcome == DONE)
		outcome = find_place(load, &place);
	if (outcome != DONE)
		return outcome;
	/* The try whose end was lost did commit. */
	if (load->in_doubt && place.bytes == load->batch.to.bytes && place.lines == load->batch.to.lines)
		return DONE;
	say("another process loads %s", load->source);
	return FAILED;
}

/* A transaction; DONE: the batch is in the store. */
static Outcome
try_batch(Load *load)
{
	Server	   *server = &load->server;
	char		last[32];
	bool		moved = false;
	Outcome		outcome = ask(server, NULL, "BEGIN", 0, NULL);

	if (outcome == DONE)
		outcome = move_row(load, &moved, last, sizeof(last));
	if (outcome == DONE && !moved)
		return look_again(load);
	begin_report(load);
	load->in_doubt = false;
	report_faulty(load);
	if (outcome == DONE && has_lines(&load->batch, false))
	{
		outcome = copy_lines(load);
		if (outcome == DONE)
			outcome = read_refused(load, last);
	}
	if (outcome == DONE)
	{
		load->in_doubt = true;
		outcome = ask(server, NULL, "COMMIT", 0, NULL);
	}
	return outcome;
}

/* False, after a word about it: the batch is not in the store. */
static bool
send_batch(Load *load)
{
	Batch	   *batch = &load->batch;
	Report	   *report = &load->report;
	Outcome		outcome;

	batch->to = (Place) {load->lines->offset, load->lines->number};
	load->in_doubt = false;
	if (load->options->strict && has_lines(batch, true))
	{
		begin_report(load);
		report_faulty(load);
		fflush(report->out);
		fputs(report->text, stderr);
		load->stopped = true;
		return false;
	}
	do
		outcome = try_batch(load);
	while (outcome == LOST && server_reconnect(&load->server));
	if (outcome != DONE)
		return false;
	server_works(&load->server);
	fflush(report->out);
	if (report->length > 0)
		fprintf(stderr, "%s%s", isatty(STDERR_FILENO) ? "\r\033[K" : "", report->text);
	load->done += batch->count;
	load->taken += report->taken;
	load->refused += report->refused;
	load->faulty += report->faulty;
	batch->from = batch->to;
	batch->count = 0;
	batch->used = 0;
	show_progress(load);
	return true;
}

/* ---- a file ---- */

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
	while (status != READ_END && stop_signal == 0)
	{
		status = next_line(lines);
		if (status == READ_TROUBLE)
			load->trouble = true;
		if (load->trouble)
			return;
		if (status == READ_LINE && !is_blank(lines->line, lines->length))
			gather(batch, lines);
		/* A pipe that says nothing for a while does not hold up what it has said. */
		if (batch->count >= load->options->batch || batch->used >= MAX_BATCH_BYTES ||
			(status != READ_LINE || stop_signal != 0 ? lines->offset > batch->from.bytes : false))
			load->trouble = !send_batch(load);
		if (load->trouble)
			return;
	}
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
			load->forget ? "" : "; the same command goes on from there");
}

static void
load_source(Load *load)
{
	bool		begun = begin_source(load);

	if (begun)
		load_lines(load);
	if (load->forget && !load->trouble)
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
		Load		load = {.options = options, .server = server};

		going = load_file(&load, options->files.items[i], &exit_code);
		server = load.server;
	}
	server_close(&server);
	return exit_code;
}
