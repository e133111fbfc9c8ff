/*
 * validate.c - matrix-events validate: what is wrong with the events of a file
 */
#include "client.h"

#include "core/event.h"
#include "core/json.h"

/* False: the event is invalid. */
static bool
check_line(const Lines *lines, mx_types *types, Memory *memory, bool quiet)
{
	mx_event_options options = {.text_length = lines->length};
	mx_violations violations;
	mx_event	event;
	const mx_value *root;

	mx_violations_init(&violations, &memory->arena);
	root = mx_read_json(&memory->arena, lines->line, lines->length, &violations);
	if (root != NULL)
		mx_event_check(root, types, &options, &event, &violations);
	for (const mx_violation *violation = violations.first; violation != NULL && !quiet; violation = violation->next)
	{
		printf("%s:%lld: ", lines->name, (long long) lines->number);
		if (violation->path[0] != '\0')
		{
			print_clean(stdout, violation->path);
			fputs(": ", stdout);
		}
		print_clean(stdout, violation->message);
		putchar('\n');
	}
	return violations.count == 0;
}

static int
check_file(const char *name, mx_types *types, bool quiet)
{
	/* One byte more than an event may have is enough to say so. */
	Lines	   *lines = open_lines(name, MX_MAX_TEXT + 1);
	Memory		memory;
	int			result = EXIT_DONE;
	ReadStatus	status;

	if (lines == NULL)
		return EXIT_TROUBLE;
	memory_init(&memory);
	while ((status = next_line(lines)) == READ_LINE || status == READ_NOTHING)
	{
		if (status == READ_LINE && !is_blank(lines->line, lines->length) &&
			!check_line(lines, types, &memory, quiet))
			result = EXIT_REFUSED;
		memory_reset(&memory);
	}
	close_lines(lines);
	return status == READ_TROUBLE ? EXIT_TROUBLE : result;
}

int
validate(const Options *options)
{
	Memory		memory;
	mx_types   *types;
	int			result = EXIT_DONE;

	memory_init(&memory);
	types = mx_types_new(&memory.arena, NULL);
	for (int i = 0; i < options->files.count; i++)
	{
		int			one = check_file(options->files.items[i], types, options->quiet);

		if (one > result)
			result = one;
	}
	memory_reset(&memory);
	return flush_output(stdout, "stdout") ? result : EXIT_TROUBLE;
}
