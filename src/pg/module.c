/*
 * module.c - the module itself: its settings, its version, what it lends the core
 */
#include "binding.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "regex/regex.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;

int			on_invalid = ON_INVALID_ERROR;
bool		notify = true;
bool		in_batch = false;

static const struct config_enum_entry on_invalid_options[] = {
	{"error", ON_INVALID_ERROR, false},
	{"quarantine", ON_INVALID_QUARANTINE, false},
	{NULL, 0, false}
};

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomEnumVariable("matrix_events.on_invalid",
							 "What happens to an event that is not valid.",
							 "error: the statement fails.  quarantine: the event goes to the "
							 "store's table rejected, and the statement goes on.",
							 &on_invalid, ON_INVALID_ERROR, on_invalid_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("matrix_events.notify",
							 "Whether this session's writes are pushed to who listens.",
							 "off: neither notified nor queued for matrix.relay.",
							 &notify, true, PGC_USERSET, 0, NULL, NULL, NULL);
	/* Set by matrix.take_batch only. */
	DefineCustomBoolVariable("matrix_events.in_batch",
							 "Whether an event that another transaction is inserting fails the statement, which does not wait.",
							 NULL, &in_batch, false, PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("matrix_events");
}

static void *
allocate(void *owner, size_t size)
{
	return MemoryContextAlloc((MemoryContext) owner, size);
}

void
arena_in(mx_arena *arena, MemoryContext context)
{
	mx_arena_init(arena, allocate, context);
}

/* An invalid pattern is PostgreSQL's own error: 2201B. */
static const char *
check_regex(mx_string pattern)
{
	(void) RE_compile_and_cache(cstring_to_text_with_len(pattern.text, pattern.length),
								REG_ADVANCED | REG_NOSUB, C_COLLATION_OID);
	return NULL;
}

static bool
matches_regex(mx_string pattern, mx_string text)
{
	return RE_compile_and_execute(cstring_to_text_with_len(pattern.text, pattern.length),
								  unconstify(char *, text.text), (int) text.length,
								  REG_ADVANCED | REG_NOSUB, C_COLLATION_OID, 0, NULL);
}

const mx_regex matrix_regex = {check_regex, matches_regex};

/*
 * matrix.version() returns text: the version of the library, which equals the
 * extension's when both are of one installation.
 */
PG_FUNCTION_INFO_V1(version);
Datum
version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MATRIX_EVENTS_VERSION));
}
