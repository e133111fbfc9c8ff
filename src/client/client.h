/*
 * client.h - the program matrix-events: what its commands share
 *
 * The only part that includes libpq-fe.h.  Lines of events go to stdout or to
 * the store; whatever is said about them to stderr, but for the violations
 * that validate was asked for.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "core/violation.h"

#include <libpq-fe.h>
#include <stdio.h>

/* What the program exits with; a signal that stops load adds 128 to its number. */
#define EXIT_DONE		0
#define EXIT_REFUSED	1		/* an event is invalid, or could not be kept */
#define EXIT_TROUBLE	2		/* usage, files, the server */

/* ---- main.c ---- */

#define NO_POSITION INT64_MIN

typedef struct List
{
	const char **items;
	int			count;
} List;

typedef struct Options
{
	const char *command;
	const char *dbname;			/* as the next three NULL: libpq's default */
	const char *host;
	const char *port;
	const char *user;
	const char *store;
	int64_t		retry;			/* seconds for which a lost server is asked again */
	bool		quiet;
	int64_t		batch;			/* lines of a transaction */
	bool		strict;
	const char *name;
	bool		no_resume;
	int64_t		since;			/* positions; NO_POSITION: not given */
	int64_t		until;
	bool		history;
	const char *output;
	List		rooms;
	List		types;
	List		senders;
	const char *worker;
	const char *process;
	int64_t		max;
	int64_t		poll;			/* ms, as interval */
	const char *exec;
	bool		once;
	int64_t		interval;
	List		files;
} Options;

/* The signal that asked the program to stop, or 0. */
extern volatile int stop_signal;
/* From now on SIGINT and SIGTERM ask; the second one kills. */
extern void catch_signals(void);
/* Sleep so many ms, or until asked to stop. */
extern void pause_ms(int64_t ms);
extern int64_t now_ms(void);

/* A line on stderr: "matrix-events: ...".  Wipes the progress line. */
extern void say(const char *format,...) __attribute__((format(printf, 1, 2)));
/* Text that may hold anything, such as control sequences of a terminal. */
extern void print_clean(FILE *to, const char *text);
/* False, after a word about it: what was written did not get there. */
extern bool flush_output(FILE *to, const char *name);
extern void *allocate(void *block, size_t size);

extern int	validate(const Options *options);
extern int	load(const Options *options);
extern int	export(const Options *options);
extern int	listen_events(const Options *options);
extern int	relay(const Options *options);

/* ---- lines.c ---- */

typedef enum ReadStatus
{
	READ_LINE,
	READ_END,
	READ_NOTHING,				/* yet: ask again */
	READ_TROUBLE				/* said already */
} ReadStatus;

typedef struct Lines
{
	const char *name;			/* for messages */
	int			fd;
	bool		regular;		/* a file in which one can seek */
	int64_t		size;			/* 0: not known */
	int64_t		offset;			/* bytes up to the end of the last line */
	int64_t		number;			/* of the last line */
	char	   *line;			/* without its newline */
	size_t		length;
	bool		too_long;		/* line holds the first most bytes of it */
	size_t		most;
	int64_t		pending;		/* bytes read of a line that has not ended */
	size_t		room;
	size_t		at;
	size_t		end;
	char		buffer[65536];
} Lines;

/* name "-" is stdin.  NULL, after a word about it: cannot be opened. */
extern Lines *open_lines(const char *name, size_t most);
extern void close_lines(Lines *lines);
/* The next line, which ends at a newline or at the end of the file. */
extern ReadStatus next_line(Lines *lines);
/* Go to the place after so many bytes and lines.  False, after a word about it: there is none. */
extern bool skip_to(Lines *lines, int64_t offset, int64_t number);
extern bool is_blank(const char *text, size_t length);
/* As PostgreSQL wants text: well-formed UTF-8 without NUL. */
extern const char *text_fault(const char *text, size_t length);

/* ---- arena.c: memory of the core that goes away as a whole ---- */

typedef struct Memory
{
	mx_arena	arena;
	struct Block *blocks;
} Memory;

extern void memory_init(Memory *memory);
extern void memory_reset(Memory *memory);

/* ---- server.c ---- */

typedef enum Outcome
{
	DONE,
	LOST,						/* the connection, or a deadlock: reconnect and try again */
	FAILED						/* said already */
} Outcome;

typedef struct Server
{
	const Options *options;
	PGconn	   *conn;
	Outcome		(*prepare) (struct Server *server);	/* of each new connection, or NULL */
	char	   *schema;			/* the store's name, quoted */
	int64_t		lost_since;		/* ms; 0: it works */
	int64_t		pause;
} Server;

/* False, after a word about it: there is no server, or it cannot be used. */
extern bool server_connect(Server *server, const Options *options, Outcome (*prepare) (Server *));
/* After LOST.  False, after a word about it: --retry is over.  Or asked to stop. */
extern bool server_reconnect(Server *server);
/* Something came out of it: the next loss has all the time again. */
extern void server_works(Server *server);
extern void server_close(Server *server);
/*
 * Run a statement with text parameters.  DONE: *result is the caller's, who
 * clears it; result NULL: nobody wants it.
 */
extern Outcome ask(Server *server, PGresult **result, const char *sql, int count, const char *const *values);
/* What came of a statement.  The result is cleared, unless DONE. */
extern Outcome judge(Server *server, PGresult *result);
/* SQL with %1$s for the store's schema; the caller frees it. */
extern char *store_sql(const Server *server, const char *format);
/* matrix.position of the store: all up to it is settled. */
extern Outcome ask_position(Server *server, int64_t *position);
/* The list as the text of a text[], NULL for none; the caller frees it. */
extern char *array_text(const List *list);

#endif
