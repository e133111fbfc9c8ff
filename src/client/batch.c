/*
 * batch.c - lines into a store, by a transaction that takes each batch once
 *
 * The transaction moves the row of the store's table loads from the batch's
 * beginning to its end, copies the lines, and reads back what was refused.
 * When the connection is lost, the row says whether it was committed; if not,
 * the batch is still in memory.  Two loads of one source exclude each other by
 * the same row: it moves only from where this load believes it to be.
 */
#include "load.h"

#include "core/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the row of loads ---- */

Outcome
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

Outcome
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

/* ---- a transaction ---- */

void
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
		PQclear(PQgetResult(server->conn));
		ask(server, NULL, "ROLLBACK", 0, NULL);
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

static void
print_report(Report *report)
{
	fflush(report->out);
	if (report->length > 0)
		fprintf(stderr, "%s%s", isatty(STDERR_FILENO) ? "\r\033[K" : "", report->text);
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
	if (outcome != DONE)
		return outcome;
	if (!moved)
		return look_again(load);
	begin_report(load);
	load->in_doubt = false;
	report_faulty(load);
	if (has_lines(&load->batch, false))
		outcome = copy_lines(load);
	if (outcome == DONE)
		outcome = read_refused(load, last);
	if (outcome == DONE)
	{
		load->in_doubt = true;
		outcome = ask(server, NULL, "COMMIT", 0, NULL);
	}
	return outcome;
}

bool
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
		print_report(report);
		load->stopped = true;
		return false;
	}
	do
		outcome = try_batch(load);
	while (outcome == LOST && server_reconnect(&load->server));
	if (outcome != DONE)
		return false;
	server_works(&load->server);
	print_report(report);
	load->done += batch->count;
	load->taken += report->taken;
	load->refused += report->refused;
	load->faulty += report->faulty;
	batch->from = batch->to;
	batch->count = 0;
	batch->used = 0;
	return true;
}
