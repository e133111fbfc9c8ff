/*
 * main.c - the commands and options of the program, signals, and what it says
 */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct Command
{
	const char *name;
	const char *letters;		/* of the options that it takes, as in long_options */
	bool		takes_files;
	int			(*run) (const Options *options);
	const char *help;
} Command;

#define SERVER_LETTERS "dhpUsR"
#define SERVER_HELP \
	"\n" \
	"Server:\n" \
	"  -d, --dbname NAME      database, or a connection string\n" \
	"  -h, --host HOST        host, or folder of the socket\n" \
	"  -p, --port PORT\n" \
	"  -U, --username NAME\n" \
	"      --retry SECONDS    how long a lost server is asked again (300)\n" \
	"What is not given comes from libpq: PGHOST, PGSERVICE, ~/.pgpass and so on.\n"

/* Letters beyond the short options name long ones only. */
static const char short_options[] = "+d:h:p:U:s:qo:";
static const struct option long_options[] = {
	{"dbname", required_argument, NULL, 'd'},
	{"host", required_argument, NULL, 'h'},
	{"port", required_argument, NULL, 'p'},
	{"username", required_argument, NULL, 'U'},
	{"store", required_argument, NULL, 's'},
	{"retry", required_argument, NULL, 'R'},
	{"quiet", no_argument, NULL, 'q'},
	{"batch", required_argument, NULL, 'b'},
	{"strict", no_argument, NULL, 'S'},
	{"name", required_argument, NULL, 'n'},
	{"no-resume", no_argument, NULL, 'N'},
	{"since", required_argument, NULL, 'a'},
	{"until", required_argument, NULL, 'u'},
	{"history", no_argument, NULL, 'H'},
	{"output", required_argument, NULL, 'o'},
	{"room", required_argument, NULL, 'r'},
	{"type", required_argument, NULL, 't'},
	{"sender", required_argument, NULL, 'e'},
	{"worker", required_argument, NULL, 'w'},
	{"process", required_argument, NULL, 'P'},
	{"max", required_argument, NULL, 'm'},
	{"poll", required_argument, NULL, 'l'},
	{"exec", required_argument, NULL, 'x'},
	{"once", no_argument, NULL, 'O'},
	{"interval", required_argument, NULL, 'i'},
	{"help", no_argument, NULL, '?'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0}
};

static const Command commands[] = {
	{"validate", "q", true, validate,
		"matrix-events validate checks events, one JSON object a line, without a server.\n"
		"\n"
		"Usage: matrix-events validate [--quiet] [FILE...]\n"
		"\n"
		"Prints each violation as FILE:LINE: PATH: MESSAGE. Without FILE, or where it is -,\n"
		"reads stdin.\n"
		"\n"
		"  -q, --quiet            print nothing\n"
		"\n"
		"Exits with 0: all are valid, 1: some are not, 2: a file cannot be read.\n"},
	{"load", SERVER_LETTERS "bSnN", true, load,
		"matrix-events load loads events, one JSON object a line, into a store.\n"
		"\n"
		"Usage: matrix-events load --store NAME [OPTION...] [FILE...]\n"
		"\n"
		"Invalid events go to the store's table rejected and are reported as\n"
		"FILE:LINE: PATH: MESSAGE; events that the store has are skipped. The store's table\n"
		"loads says how far a file is loaded: the same command goes on from there. Without\n"
		"FILE, or where it is -, reads stdin.\n"
		"\n"
		"  -s, --store NAME       the store\n"
		"      --batch N          lines of a transaction (5000)\n"
		"      --strict           stop at the first invalid event\n"
		"      --name NAME        what the file is called in loads (its absolute path); with\n"
		"                         it stdin can be resumed, too\n"
		"      --no-resume        load the file from its beginning\n"
		SERVER_HELP
		"\n"
		"Exits with 0: every line is in the store or in rejected, 1: a line is in neither,\n"
		"2: it could not be done, 128 + N: stopped by signal N.\n"},
	{"export", SERVER_LETTERS "auHort", false, export,
		"matrix-events export writes a store's events, one JSON object a line, in the order\n"
		"of the stream.\n"
		"\n"
		"Usage: matrix-events export --store NAME [OPTION...]\n"
		"\n"
		"The last line on stderr, \"last: N\", says where --since N goes on.\n"
		"\n"
		"  -s, --store NAME       the store\n"
		"      --since N          events after position N\n"
		"      --until N          events up to position N\n"
		"      --room ID          of this room; as the next one, may be given again\n"
		"      --type TYPE        of this type\n"
		"      --history          events below position 0, too\n"
		"  -o, --output FILE      write to a file instead of stdout\n"
		SERVER_HELP
		"\n"
		"Exits with 0, or with 2: it could not be done.\n"},
	{"listen", SERVER_LETTERS "awPmlxOrte", false, listen_events,
		"matrix-events listen writes a store's events as they come, one a line:\n"
		"{\"stream_id\": N, \"event\": {...}}\n"
		"\n"
		"Usage: matrix-events listen --store NAME [OPTION...]\n"
		"\n"
		"  -s, --store NAME       the store\n"
		"      --since N          begin after position N; without it and --worker, now\n"
		"      --worker NAME      be this worker: the store keeps the position, and gives\n"
		"                         events again that were not acknowledged\n"
		"      --process NAME     one of several processes that share a worker\n"
		"      --room ID          of this room; as the next two, may be given again\n"
		"      --type TYPE        of this type\n"
		"      --sender ID        of this sender\n"
		"      --max N            events that are fetched at once (100)\n"
		"      --poll MS          look for events at least so often (1000)\n"
		"      --exec COMMAND     instead of writing the line, run COMMAND with the line as its\n"
		"                         input, and MATRIX_STREAM_ID, MATRIX_EVENT_ID, MATRIX_TYPE,\n"
		"                         MATRIX_ROOM_ID and MATRIX_SENDER set. If it fails, a worker\n"
		"                         gets the event again\n"
		"      --once             stop when there are no more events\n"
		SERVER_HELP
		"\n"
		"Exits with 0 when it is stopped or done, or with 2: it could not be done.\n"},
	{"relay", SERVER_LETTERS "i", false, relay,
		"matrix-events relay sends the notifications of a store whose setting push is relay.\n"
		"\n"
		"Usage: matrix-events relay --store NAME [OPTION...]\n"
		"\n"
		"Any number of relays may run: each notification is sent once.\n"
		"\n"
		"  -s, --store NAME       the store\n"
		"      --interval MS      look for changes so often (200)\n"
		SERVER_HELP
		"\n"
		"Exits with 0 when it is stopped, or with 2: it could not be done.\n"}
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help[] =
"matrix-events works with streams of Matrix events in PostgreSQL (extension matrix_events).\n"
"\n"
"Usage: matrix-events COMMAND [OPTION...]\n"
"\n"
"  validate   check events, without a server\n"
"  load       load events into a store\n"
"  export     write the events of a store\n"
"  listen     write events as they come, or run a command for each\n"
"  relay      send notifications on behalf of the writers\n"
"\n"
"  --help     of a command: its options\n"
"  --version\n";

volatile int stop_signal = 0;

static void
ask_to_stop(int number)
{
	stop_signal = number;
}

void
catch_signals(void)
{
	struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = (int) SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In slices: a signal that comes just before poll would not end it. */
void
pause_ms(int64_t ms)
{
	int64_t		end = now_ms() + ms;

	for (int64_t left = ms; left > 0 && stop_signal == 0; left = end - now_ms())
		poll(NULL, 0, left < 200 ? (int) left : 200);
}

void
say(const char *format,...)
{
	va_list		args;

	fprintf(stderr, "%smatrix-events: ", isatty(STDERR_FILENO) ? "\r\033[K" : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void
print_clean(FILE *to, const char *text)
{
	for (; *text != '\0'; text++)
		fputc((unsigned char) *text < 0x20 || *text == 0x7F ? '?' : *text, to);
}

bool
flush_output(FILE *to, const char *name)
{
	if (fflush(to) == 0 && !ferror(to))
		return true;
	say("cannot write to %s: %s", name, strerror(errno));
	return false;
}

void *
allocate(void *block, size_t size)
{
	void	   *result = realloc(block, size);

	if (result == NULL)
	{
		say("out of memory");
		exit(EXIT_TROUBLE);
	}
	return result;
}

static void
usage(const Command *command, const char *format,...)
{
	va_list		args;

	fprintf(stderr, "matrix-events: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry matrix-events %s%s--help.\n", command == NULL ? "" : command->name, command == NULL ? "" : " ");
	exit(EXIT_TROUBLE);
}

static int64_t
number(const Command *command, const char *name, const char *text, int64_t least, int64_t most)
{
	char	   *end;
	long long	value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || value < least || value > most)
		usage(command, "--%s must be a number from %lld to %lld, not %s", name, (long long) least, (long long) most, text);
	return value;
}

static void
add(List *list, const char *item)
{
	list->items = allocate(list->items, sizeof(*list->items) * ((size_t) list->count + 1));
	list->items[list->count++] = item;
}

static void
take_option(const Command *command, Options *options, int letter, const char *name)
{
	switch (letter)
	{
		case 'd': options->dbname = optarg; break;
		case 'h': options->host = optarg; break;
		case 'p': options->port = optarg; break;
		case 'U': options->user = optarg; break;
		case 's': options->store = optarg; break;
		case 'R': options->retry = number(command, name, optarg, 0, 1000000000); break;
		case 'q': options->quiet = true; break;
		case 'b': options->batch = number(command, name, optarg, 1, 1000000); break;
		case 'S': options->strict = true; break;
		case 'n': options->name = optarg; break;
		case 'N': options->no_resume = true; break;
		case 'a': options->since = number(command, name, optarg, NO_POSITION + 1, INT64_MAX); break;
		case 'u': options->until = number(command, name, optarg, NO_POSITION + 1, INT64_MAX); break;
		case 'H': options->history = true; break;
		case 'o': options->output = optarg; break;
		case 'r': add(&options->rooms, optarg); break;
		case 't': add(&options->types, optarg); break;
		case 'e': add(&options->senders, optarg); break;
		case 'w': options->worker = optarg; break;
		case 'P': options->process = optarg; break;
		case 'm': options->max = number(command, name, optarg, 1, 100000); break;
		case 'l': options->poll = number(command, name, optarg, 1, 86400000); break;
		case 'x': options->exec = optarg; break;
		case 'O': options->once = true; break;
		case 'i': options->interval = number(command, name, optarg, 1, 86400000); break;
	}
}

static void
print_and_exit(const char *text)
{
	fputs(text, stdout);
	exit(flush_output(stdout, "stdout") ? EXIT_DONE : EXIT_TROUBLE);
}

static const Command *
find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	usage(NULL, "there is no command %s", name);
	return NULL;
}

int
main(int argc, char **argv)
{
	static Options options = {.retry = 300, .batch = 5000, .max = 100, .poll = 1000, .interval = 200, .process = "",
		.since = NO_POSITION, .until = NO_POSITION};
	const Command *command;
	int			letter;
	int			which = -1;

	if (argc < 2)
		usage(NULL, "which command?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)
		print_and_exit(help);
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		print_and_exit("matrix-events " MATRIX_EVENTS_VERSION "\n");
	command = find_command(argv[1]);
	options.command = command->name;

	/* Options may follow files; a lone - is a file. */
	opterr = 0;
	optind = 2;
	while (optind < argc)
	{
		const char *word = argv[optind];

		which = -1;
		letter = getopt_long(argc, argv, short_options, long_options, &which);
		if (letter == -1)
		{
			/* Behind -- all are files. */
			if (strcmp(word, "--") == 0)
				while (optind < argc)
					add(&options.files, argv[optind++]);
			else
				add(&options.files, argv[optind++]);
		}
		else if (which >= 0 && letter == '?' && strcmp(long_options[which].name, "help") == 0)
			print_and_exit(command->help);
		else if (letter == 'V')
			print_and_exit("matrix-events " MATRIX_EVENTS_VERSION "\n");
		else if (letter == '?')
			usage(command, "%s is no option, or lacks its value", word);
		else if (strchr(command->letters, letter) == NULL)
			usage(command, "%s does not take %s", command->name, word);
		else
		{
			for (which = 0; long_options[which].val != letter; which++)
				;
			take_option(command, &options, letter, long_options[which].name);
		}
	}
	if (options.files.count > 0 && !command->takes_files)
		usage(command, "%s takes no files", command->name);
	if (options.store == NULL && strchr(command->letters, 's') != NULL)
		usage(command, "which store? Give --store");
	if (options.name != NULL && options.files.count > 1)
		usage(command, "--name is for one file");
	if (options.worker != NULL && options.since != NO_POSITION)
		usage(command, "a worker has a position of its own: --since cannot be given with --worker");
	if (options.files.count == 0)
		add(&options.files, "-");
	return command->run(&options);
}
