/*
 * listen.c - matrix-events listen and relay: a store's events as they come
 *
 * Notifications only wake it; what is new is read from the stream, so nothing
 * is missed when the connection was away.  What is handed on is known here (a
 * position) or to the store (a worker's): it is acknowledged after it is
 * written or its command has ended well, so a crash repeats it and never
 * skips it.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PAUSE 100			/* ms, after a command that failed; doubled each time */
#define LONGEST_PAUSE 5000

/* The columns of an event. */
enum
{
	STREAM_ID, EVENT_ID, TYPE, ROOM_ID, SENDER, EVENT
};

#define EVENT_COLUMNS "SELECT e.stream_id, e.event_id, e.type, e.room_id, e.sender, coalesce(e.raw, matrix.event_json(e)::pg_catalog.text) FROM "

typedef struct Listen
{
	Server		server;
	const Options *options;
	char	   *rooms;			/* as SQL arrays, or NULL */
	char	   *types;
	char	   *senders;
	int64_t		done;			/* the position up to which all is handed on; NO_POSITION: not known */
	int64_t		acknowledged;	/* what the store knows of that */
	int64_t		pause;			/* after a command that failed */
} Listen;

/* ---- the store's side ---- */

static Outcome
listen_on(Server *server, const char *kind)
{
	char	   *channel = allocate(NULL, strlen(server->options->store) + strlen(kind) + 2);
	char	   *quoted;
	char	   *sql;
	Outcome		outcome;

	sprintf(channel, "%s_%s", server->options->store, kind);
	quoted = PQescapeIdentifier(server->conn, channel, strlen(channel));
	sql = allocate(NULL, strlen(quoted) + 10);
	sprintf(sql, "LISTEN %s", quoted);
	outcome = ask(server, NULL, sql, 0, NULL);
	PQfreemem(quoted);
	free(channel);
	free(sql);
	return outcome;
}

static Outcome
prepare(Server *server)
{
	static const char *const kinds[] = {"member", "presence", "call"};
	Outcome		outcome = DONE;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && outcome == DONE; i++)
		outcome = listen_on(server, kinds[i]);
	return outcome;
}

/* Where it begins. */
static Outcome
open_stream(Listen *listen)
{
	const char *const values[] = {listen->options->store, listen->options->worker, listen->types, listen->rooms, listen->senders};

	if (listen->options->worker != NULL)
		return ask(&listen->server, NULL, "SELECT matrix.worker_open($1, $2, types => $3, rooms => $4, senders => $5)", 5, values);
	return listen->done == NO_POSITION ? ask_position(&listen->server, &listen->done) : DONE;
}

/* Events after what is done, in order; *result NULL: there are none. */
static Outcome
fetch(Listen *listen, PGresult **result)
{
	const Options *options = listen->options;
	char		most[32];
	char		after[32];
	const char *const of_worker[] = {options->store, options->worker, most, options->process};
	const char *const of_stream[] = {options->store, after, most, listen->types, listen->rooms, listen->senders};
	int64_t		position;
	Outcome		outcome;

	*result = NULL;
	snprintf(most, sizeof(most), "%lld", (long long) options->max);
	snprintf(after, sizeof(after), "%lld", (long long) listen->done);
	if (options->worker != NULL)
		outcome = ask(&listen->server, result, EVENT_COLUMNS "matrix.worker_fetch($1, $2, $3, $4) e", 4, of_worker);
	else
	{
		outcome = ask_position(&listen->server, &position);
		if (outcome != DONE || position <= listen->done)
			return outcome;
		outcome = ask(&listen->server, result, EVENT_COLUMNS "matrix.changes($1, $2, $3, $4, $5, $6) e", 6, of_stream);
		/* What nobody wants up to there need not be looked through again. */
		if (outcome == DONE && PQntuples(*result) == 0)
			listen->done = position;
	}
	if (outcome == DONE && PQntuples(*result) == 0)
	{
		PQclear(*result);
		*result = NULL;
	}
	return outcome;
}

/* A function of the worker that says yes or no: FUNCTION(store, worker, position, ...). */
static Outcome
tell(Listen *listen, const char *sql, int64_t position, const char *error, bool *yes)
{
	const Options *options = listen->options;
	char		number[32];
	const char *const values[] = {options->store, options->worker, number, options->process, error};
	PGresult   *result = NULL;
	Outcome		outcome;

	snprintf(number, sizeof(number), "%lld", (long long) position);
	outcome = ask(&listen->server, &result, sql, error == NULL ? 4 : 5, values);
	*yes = outcome == DONE && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	PQclear(result);
	return outcome;
}

static Outcome
acknowledge(Listen *listen)
{
	bool		ours;
	Outcome		outcome;

	if (listen->options->worker == NULL || listen->done == listen->acknowledged)
		return DONE;
	outcome = tell(listen, "SELECT matrix.worker_ack($1, $2, $3, $4)", listen->done, NULL, &ours);
	if (outcome != DONE)
		return outcome;
	listen->acknowledged = listen->done;
	if (!ours)
		say("another process has taken over from worker %s", listen->options->worker);
	return DONE;
}

/* ---- our side ---- */

/* The line for an event.  Newlines of its text, which JSON has between tokens only, become spaces. */
static void
put_line(FILE *out, const PGresult *events, int row)
{
	fprintf(out, "{\"stream_id\": %s, \"event\": ", PQgetvalue(events, row, STREAM_ID));
	for (const char *at = PQgetvalue(events, row, EVENT); *at != '\0'; at++)
		fputc(*at == '\n' || *at == '\r' ? ' ' : *at, out);
	fputs("}\n", out);
}

static void
put_variable(const char *name, const PGresult *events, int row, int column)
{
	if (PQgetisnull(events, row, column))
		unsetenv(name);
	else
		setenv(name, PQgetvalue(events, row, column), 1);
}

/* In the new process: never comes back. */
static void
become_command(const Listen *listen, const PGresult *events, int row, FILE *input)
{
	put_variable("MATRIX_STREAM_ID", events, row, STREAM_ID);
	put_variable("MATRIX_EVENT_ID", events, row, EVENT_ID);
	put_variable("MATRIX_TYPE", events, row, TYPE);
	put_variable("MATRIX_ROOM_ID", events, row, ROOM_ID);
	put_variable("MATRIX_SENDER", events, row, SENDER);
	if (dup2(fileno(input), STDIN_FILENO) == STDIN_FILENO)
		execl("/bin/sh", "sh", "-c", listen->options->exec, (char *) NULL);
	_exit(127);
}

/*
 * True: the command has taken the event.  *why: else what happened.  Its input
 * is a file without a name, for it need not read it: a pipe would break.
 */
static bool
run_command(const Listen *listen, const PGresult *events, int row, char *why, size_t size)
{
	FILE	   *input = tmpfile();
	int			status = -1;
	pid_t		child = -1;

	if (input != NULL)
	{
		put_line(input, events, row);
		if (fflush(input) == 0 && !ferror(input) && lseek(fileno(input), 0, SEEK_SET) == 0)
			child = fork();
		if (child == 0)
			become_command(listen, events, row, input);
		while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	if (child < 0)
		snprintf(why, size, "cannot run it: %s", strerror(errno));
	else if (WIFSIGNALED(status))
		snprintf(why, size, "signal %d", WTERMSIG(status));
	else
		snprintf(why, size, "exit status %d", WEXITSTATUS(status));
	if (input != NULL)
		fclose(input);
	return status == 0;
}

/* A command failed: a worker gets the event again, or it goes to the dead letters. */
static Outcome
give_back(Listen *listen, int64_t position, const char *why)
{
	bool		dead;
	Outcome		outcome = tell(listen, "SELECT matrix.worker_fail($1, $2, $3, process => $4, error => $5)", position, why, &dead);

	if (outcome != DONE)
		return outcome;
	if (dead)
	{
		say("the event at %lld goes to the dead letters", (long long) position);
		listen->done = listen->acknowledged = position;
		listen->pause = FIRST_PAUSE;
		return DONE;
	}
	pause_ms(listen->pause);
	listen->pause = listen->pause * 2 < LONGEST_PAUSE ? listen->pause * 2 : LONGEST_PAUSE;
	return DONE;
}

/* One after the other, until one is to be given again. */
static Outcome
run_commands(Listen *listen, const PGresult *events)
{
	Outcome		outcome = DONE;

	for (int row = 0; row < PQntuples(events) && outcome == DONE && stop_signal == 0; row++)
	{
		int64_t		position = atoll(PQgetvalue(events, row, STREAM_ID));
		char		why[200];

		if (run_command(listen, events, row, why, sizeof(why)))
			listen->pause = FIRST_PAUSE;
		else
		{
			/* A signal from the terminal reaches the command, too. */
			if (stop_signal != 0)
				break;
			say("the command failed for the event at %lld: %s", (long long) position, why);
			if (listen->options->worker != NULL)
				return give_back(listen, position, why);
		}
		listen->done = position;
		outcome = acknowledge(listen);
	}
	return outcome;
}

static Outcome
write_events(Listen *listen, const PGresult *events)
{
	int			row;

	for (row = 0; row < PQntuples(events); row++)
		put_line(stdout, events, row);
	if (!flush_output(stdout, "stdout"))
		return FAILED;
	listen->done = atoll(PQgetvalue(events, row - 1, STREAM_ID));
	return acknowledge(listen);
}

/* Wait for a notification, at most for --poll ms. */
static Outcome
wait_for_more(Listen *listen)
{
	PGconn	   *conn = listen->server.conn;
	int64_t		end = now_ms() + listen->options->poll;
	bool		notified = false;

	for (int64_t left = listen->options->poll; left > 0 && !notified && stop_signal == 0; left = end - now_ms())
	{
		struct pollfd wait = {.fd = PQsocket(conn), .events = POLLIN};
		PGnotify   *notification;

		/* In slices: a signal that comes just before poll would not end it. */
		if (poll(&wait, 1, left < 200 ? (int) left : 200) > 0 && PQconsumeInput(conn) == 0)
			return judge(&listen->server, NULL);
		while ((notification = PQnotifies(conn)) != NULL)
		{
			notified = true;
			PQfreemem(notification);
		}
	}
	return DONE;
}

/* One round; *caught_up: nothing was left. */
static Outcome
hand_on(Listen *listen, bool *caught_up)
{
	PGresult   *events;
	Outcome		outcome = acknowledge(listen);

	if (outcome == DONE)
		outcome = fetch(listen, &events);
	if (outcome != DONE)
		return outcome;
	server_works(&listen->server);
	*caught_up = events == NULL;
	if (events == NULL)
		return DONE;
	outcome = listen->options->exec != NULL ? run_commands(listen, events) : write_events(listen, events);
	PQclear(events);
	return outcome;
}

int
listen_events(const Options *options)
{
	Listen		listen = {.options = options, .done = options->since, .acknowledged = NO_POSITION, .pause = FIRST_PAUSE};
	bool		caught_up = false;
	Outcome		outcome;

	if (!server_connect(&listen.server, options, prepare))
		return EXIT_TROUBLE;
	catch_signals();
	listen.rooms = array_text(&options->rooms);
	listen.types = array_text(&options->types);
	listen.senders = array_text(&options->senders);
	do
		outcome = open_stream(&listen);
	while (outcome == LOST && server_reconnect(&listen.server));
	while (outcome == DONE && stop_signal == 0 && !(caught_up && options->once))
	{
		outcome = caught_up ? wait_for_more(&listen) : DONE;
		if (outcome == DONE && stop_signal == 0)
			outcome = hand_on(&listen, &caught_up);
		if (outcome == LOST && server_reconnect(&listen.server))
			outcome = DONE;
	}
	if (options->worker == NULL && listen.done != NO_POSITION)
		fprintf(stderr, "last: %lld\n", (long long) listen.done);
	server_close(&listen.server);
	free(listen.rooms);
	free(listen.types);
	free(listen.senders);
	return outcome == DONE || (outcome == LOST && stop_signal != 0) ? EXIT_DONE : EXIT_TROUBLE;
}

int
relay(const Options *options)
{
	const char *const values[] = {options->store};
	Server		server;
	Outcome		outcome = DONE;

	if (!server_connect(&server, options, NULL))
		return EXIT_TROUBLE;
	catch_signals();
	while (outcome == DONE && stop_signal == 0)
	{
		outcome = ask(&server, NULL, "SELECT matrix.relay($1)", 1, values);
		if (outcome == DONE)
		{
			server_works(&server);
			pause_ms(options->interval);
		}
		else if (outcome == LOST && server_reconnect(&server))
			outcome = DONE;
	}
	server_close(&server);
	return outcome == DONE || (outcome == LOST && stop_signal != 0) ? EXIT_DONE : EXIT_TROUBLE;
}
