/*
 * server.c - the connection: making it, asking, and making it again
 *
 * What is lost in the middle is tried again, so commands send no statement
 * whose effect they could not find out afterwards.
 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_PAUSE 100			/* ms; doubled with each try */
#define LONGEST_PAUSE 5000

/* Length of an error message without the newlines at its end. */
static int
trimmed(const char *text)
{
	size_t		length = strlen(text);

	while (length > 0 && text[length - 1] == '\n')
		length--;
	return (int) length;
}

static bool
try_connect(Server *server)
{
	const Options *options = server->options;
	const char *const keys[] = {"dbname", "host", "port", "user", "client_encoding", "fallback_application_name", NULL};
	const char *const values[] = {options->dbname, options->host, options->port, options->user, "UTF8", "matrix-events", NULL};

	PQfinish(server->conn);
	server->conn = PQconnectdbParams(keys, values, 1);
	return server->conn != NULL && PQstatus(server->conn) == CONNECTION_OK;
}

/* Names in our statements are qualified; nothing else may come between. */
static Outcome
set_up(Server *server)
{
	const char *const values[] = {server->options->store};
	Outcome		outcome = ask(server, NULL, "SELECT pg_catalog.set_config('search_path', '', false)", 0, NULL);

	if (outcome == DONE)
		outcome = ask(server, NULL, "SELECT matrix.check_store($1)", 1, values);
	return outcome == DONE && server->prepare != NULL ? server->prepare(server) : outcome;
}

bool
server_connect(Server *server, const Options *options, Outcome (*prepare) (Server *))
{
	bool		works = false;

	*server = (Server) {.options = options, .prepare = prepare, .pause = FIRST_PAUSE};
	if (!try_connect(server))
	{
		const char *error = PQerrorMessage(server->conn);

		say("%.*s", trimmed(error), error);
	}
	else if ((server->schema = PQescapeIdentifier(server->conn, options->store, strlen(options->store))) == NULL)
		say("the store's name is not UTF-8");
	else
		works = set_up(server) == DONE;
	if (!works)
		server_close(server);
	return works;
}

bool
server_reconnect(Server *server)
{
	int64_t		now = now_ms();
	const char *error;

	if (server->lost_since == 0)
		server->lost_since = now;
	while (now - server->lost_since < server->options->retry * 1000)
	{
		pause_ms(server->pause);
		if (stop_signal != 0)
			return false;
		server->pause = server->pause * 2 < LONGEST_PAUSE ? server->pause * 2 : LONGEST_PAUSE;
		if (try_connect(server))
		{
			Outcome		outcome = set_up(server);

			if (outcome == DONE)
				say("connected again");
			if (outcome != LOST)
				return outcome == DONE;
		}
		now = now_ms();
	}
	error = PQerrorMessage(server->conn);
	say("gave up after %lld s: %.*s", (long long) server->options->retry, trimmed(error), error);
	return false;
}

void
server_works(Server *server)
{
	server->lost_since = 0;
	server->pause = FIRST_PAUSE;
}

void
server_close(Server *server)
{
	PQfreemem(server->schema);
	PQfinish(server->conn);
}

/* The server went away or shuts down, or had to choose a victim. */
static bool
worth_another_try(const Server *server, const PGresult *result)
{
	static const char *const states[] = {"08", "40", "57P01", "57P02", "57P03"};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	for (size_t i = 0; state != NULL && i < sizeof(states) / sizeof(states[0]); i++)
		if (strncmp(state, states[i], strlen(states[i])) == 0)
			return true;
	return PQstatus(server->conn) == CONNECTION_BAD;
}

/* The server's words where it said some, else libpq's. */
static void
say_error(const Server *server, const PGresult *result, const char *what_now)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);

	if (message == NULL)
		message = PQerrorMessage(server->conn);
	say("%.*s%s", (int) strcspn(message, "\n"), message, what_now);
	if (detail != NULL)
		fprintf(stderr, "%s\n", detail);
	if (hint != NULL)
		fprintf(stderr, "%s\n", hint);
}

Outcome
judge(Server *server, PGresult *result)
{
	Outcome		outcome;

	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
		case PGRES_TUPLES_OK:
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
			return DONE;
		default:
			break;
	}
	outcome = worth_another_try(server, result) ? LOST : FAILED;
	say_error(server, result, outcome == LOST ? "; trying again" : "");
	PQclear(result);
	return outcome;
}

Outcome
ask(Server *server, PGresult **result, const char *sql, int count, const char *const *values)
{
	PGresult   *answer = PQexecParams(server->conn, sql, count, NULL, values, NULL, NULL, 0);
	Outcome		outcome = judge(server, answer);

	if (outcome == DONE && result != NULL)
		*result = answer;
	else if (outcome == DONE)
		PQclear(answer);
	return outcome;
}

char *
store_sql(const Server *server, const char *format)
{
	int			length = snprintf(NULL, 0, format, server->schema);
	char	   *sql = allocate(NULL, (size_t) length + 1);

	snprintf(sql, (size_t) length + 1, format, server->schema);
	return sql;
}

Outcome
ask_position(Server *server, int64_t *position)
{
	const char *const values[] = {server->options->store};
	PGresult   *result = NULL;
	Outcome		outcome = ask(server, &result, "SELECT matrix.position($1)", 1, values);

	if (outcome == DONE)
		*position = atoll(PQgetvalue(result, 0, 0));
	PQclear(result);
	return outcome;
}

char *
array_text(const List *list)
{
	size_t		room = 3;
	char	   *text;
	char	   *to;

	if (list->count == 0)
		return NULL;
	for (int i = 0; i < list->count; i++)
		room += strlen(list->items[i]) * 2 + 3;
	to = text = allocate(NULL, room);
	*to++ = '{';
	for (int i = 0; i < list->count; i++)
	{
		*to++ = '"';
		for (const char *from = list->items[i]; *from != '\0'; from++)
		{
			if (*from == '"' || *from == '\\')
				*to++ = '\\';
			*to++ = *from;
		}
		*to++ = '"';
		*to++ = i + 1 < list->count ? ',' : '}';
	}
	*to = '\0';
	return text;
}
