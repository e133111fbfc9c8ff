/*
 * export.c - matrix-events export: the events of a store, one a line
 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* " AND column = ANY (list)", if there is a list. */
static void
put_filter(FILE *sql, PGconn *conn, const char *column, const List *list)
{
	char	   *text = array_text(list);
	char	   *literal = text == NULL ? NULL : PQescapeLiteral(conn, text, strlen(text));

	if (literal != NULL)
		fprintf(sql, " AND e.%s = ANY (%s::pg_catalog.text[])", column, literal);
	PQfreemem(literal);
	free(text);
}

/* COPY takes no parameters: what the user gave stands in it as literals. */
static char *
copy_statement(const Server *server, int64_t after, int64_t until)
{
	const Options *options = server->options;
	char	   *text;
	size_t		length;
	FILE	   *sql = open_memstream(&text, &length);

	if (sql == NULL)
		allocate(NULL, SIZE_MAX);
	fprintf(sql, "COPY (SELECT e.stream_id, coalesce(e.raw, matrix.event_json(e)::pg_catalog.text) "
			"FROM %s.events e WHERE e.stream_id <= %lld", server->schema, (long long) until);
	if (after != NO_POSITION)
		fprintf(sql, " AND e.stream_id > %lld", (long long) after);
	if (!options->history)
		fputs(" AND e.stream_id > 0", sql);
	put_filter(sql, server->conn, "room_id", &options->rooms);
	put_filter(sql, server->conn, "type", &options->types);
	fputs(" ORDER BY e.stream_id) TO STDOUT", sql);
	fclose(sql);
	return text;
}

/*
 * Undo COPY's escapes.  A newline of the event's text, which JSON has between
 * its tokens only, becomes a space: an event is a line.
 */
static void
put_event(FILE *out, const char *from)
{
	for (; *from != '\0' && *from != '\n'; from++)
	{
		if (*from == '\\')
		{
			from++;
			fputc(*from == 'n' || *from == 'r' ? ' ' : *from == 't' ? '\t' : *from, out);
		}
		else
			fputc(*from, out);
	}
	fputc('\n', out);
}

/* *last: the position that is written. */
static Outcome
copy_events(Server *server, FILE *out, int64_t until, int64_t *last)
{
	char	   *sql = copy_statement(server, *last, until);
	PGresult   *result = PQexec(server->conn, sql);
	Outcome		outcome = judge(server, result);
	char	   *row;

	free(sql);
	if (outcome != DONE)
		return outcome;
	PQclear(result);
	while (PQgetCopyData(server->conn, &row, 0) > 0)
	{
		put_event(out, strchr(row, '\t') + 1);
		*last = atoll(row);
		PQfreemem(row);
		server_works(server);
		if (ferror(out))
			return flush_output(out, "the output") ? DONE : FAILED;
	}
	outcome = judge(server, result = PQgetResult(server->conn));
	if (outcome != DONE)
		return outcome;
	PQclear(result);
	if (*last < until)
		*last = until;
	return flush_output(out, "the output") ? DONE : FAILED;
}

static Outcome
find_end(Server *server, int64_t *until)
{
	const Options *options = server->options;
	Outcome		outcome = ask_position(server, until);

	if (outcome == DONE && options->until != NO_POSITION && options->until < *until)
		*until = options->until;
	return outcome;
}

int
export(const Options *options)
{
	Server		server;
	FILE	   *out = options->output == NULL ? stdout : fopen(options->output, "w");
	int64_t		last = options->since;
	int64_t		until = 0;
	Outcome		outcome = FAILED;

	if (out == NULL)
	{
		say("cannot open %s: %s", options->output, strerror(errno));
		return EXIT_TROUBLE;
	}
	if (!server_connect(&server, options, NULL))
		return EXIT_TROUBLE;
	do
		outcome = find_end(&server, &until);
	while (outcome == LOST && server_reconnect(&server));
	if (outcome == DONE)
	{
		do
			outcome = copy_events(&server, out, until, &last);
		while (outcome == LOST && server_reconnect(&server));
		if (last != NO_POSITION)
			fprintf(stderr, "last: %lld\n", (long long) last);
	}
	server_close(&server);
	if (options->output != NULL && fclose(out) != 0)
	{
		say("cannot write to %s: %s", options->output, strerror(errno));
		return EXIT_TROUBLE;
	}
	return outcome == DONE ? EXIT_DONE : EXIT_TROUBLE;
}
