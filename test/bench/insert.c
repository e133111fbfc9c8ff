/*
 * insert.c - single-row inserts by prepared statement, as a server does them
 *
 *     insert CONNINFO STATEMENT PARAMETERS CLIENTS PER_TRANSACTION FILE
 *
 * Each client is a process with a connection of its own and every CLIENTS-th
 * line of FILE, whose tab-separated fields (COPY's text format without escapes
 * but \N, \t, \n and \\) are the statement's parameters.  PER_TRANSACTION 0: no
 * transaction block.  Prints the seconds from the moment when all clients are
 * connected and prepared to the end of the last one.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARAMETERS 32

static int	parameters;
static int	clients;
static int	per_transaction;

static void
fail(const char *what)
{
	fprintf(stderr, "insert: %s\n", what);
	_exit(1);
}

static void
check(PGconn *conn, PGresult *result, ExecStatusType expected)
{
	if (PQresultStatus(result) != expected)
		fail(PQerrorMessage(conn));
	PQclear(result);
}

/* Take a line apart in place; the fields' escapes are undone. */
static void
split(char *line, const char **values)
{
	char	   *out = line;
	int			field = 0;

	values[0] = line;
	for (char *in = line;; in++)
	{
		if (*in == '\t' || *in == '\0')
		{
			int			end = *in == '\0';

			*out++ = '\0';
			if (++field == parameters && !end)
				fail("a line has too many fields");
			if (end)
				break;
			values[field] = out;
		}
		else if (*in == '\\' && in[1] == 'N')
		{
			values[field] = NULL;
			in++;
		}
		else if (*in == '\\')
		{
			in++;
			*out++ = *in == 'n' ? '\n' : *in == 't' ? '\t' : *in == 'r' ? '\r' : *in;
		}
		else
			*out++ = *in;
	}
	if (field != parameters)
		fail("a line has too few fields");
}

static void
run(PGconn *conn, char **lines, int count, int client)
{
	const char *values[MAX_PARAMETERS];
	int			open = 0;

	for (int i = client; i < count; i += clients)
	{
		if (per_transaction > 0 && open == 0)
			check(conn, PQexec(conn, "BEGIN"), PGRES_COMMAND_OK);
		split(lines[i], values);
		check(conn, PQexecPrepared(conn, "s", parameters, values, NULL, NULL, 0), PGRES_COMMAND_OK);
		if (per_transaction > 0 && (++open == per_transaction || i + clients >= count))
		{
			check(conn, PQexec(conn, "COMMIT"), PGRES_COMMAND_OK);
			open = 0;
		}
	}
}

int
main(int argc, char **argv)
{
	char	  **lines = NULL;
	int			count = 0;
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		length;
	FILE	   *file;
	int			ready[2];
	int			go[2];
	char		byte;
	struct timespec from;
	struct timespec to;
	int			status;
	int			failed = 0;

	if (argc != 7 || (file = fopen(argv[6], "r")) == NULL || pipe(ready) < 0 || pipe(go) < 0)
		fail("see the head of insert.c");
	parameters = atoi(argv[3]);
	clients = atoi(argv[4]);
	per_transaction = atoi(argv[5]);
	while ((length = getline(&line, &size, file)) > 0)
	{
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		if ((count & (count - 1)) == 0)
			lines = realloc(lines, sizeof(*lines) * (count == 0 ? 1 : count * 2));
		lines[count++] = strdup(line);
	}
	for (int client = 0; client < clients; client++)
	{
		if (fork() == 0)
		{
			PGconn	   *conn = PQconnectdb(argv[1]);

			if (PQstatus(conn) != CONNECTION_OK)
				fail(PQerrorMessage(conn));
			check(conn, PQprepare(conn, "s", argv[2], 0, NULL), PGRES_COMMAND_OK);
			close(go[1]);
			if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 0)
				fail("a pipe broke");
			run(conn, lines, count, client);
			PQfinish(conn);
			_exit(0);
		}
	}
	close(ready[1]);
	for (int client = 0; client < clients; client++)
		if (read(ready[0], &byte, 1) != 1)
			fail("a client did not start");
	clock_gettime(CLOCK_MONOTONIC, &from);
	close(go[1]);
	while (wait(&status) > 0)
		if (status != 0)
			failed = 1;
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%.6f\n", (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9);
	return failed;
}
