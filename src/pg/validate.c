/*
 * validate.c - matrix.validate, matrix.is_valid, matrix.canonical_json
 */
#include "binding.h"

#include "core/canonical.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* The built-in event types, compiled once in a backend as they are asked for. */
static mx_types *
built_in_types(void)
{
	static mx_types *types = NULL;

	if (types == NULL)
	{
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "matrix_events types",
													  ALLOCSET_DEFAULT_SIZES);
		mx_arena   *arena = MemoryContextAlloc(context, sizeof(*arena));

		arena_in(arena, context);
		types = mx_types_new(arena, &matrix_regex);
	}
	return types;
}

static void
read_text_argument(ReadEvent *read, text *event)
{
	begin_read(read);
	read_json_text(read, VARDATA_ANY(event), VARSIZE_ANY_EXHDR(event));
}

static void
read_jsonb_argument(ReadEvent *read, Jsonb *event)
{
	begin_read(read);
	read_jsonb(read, event);
}

static void
check_event(ReadEvent *read, size_t text_length)
{
	mx_event	event;
	mx_event_options options = {.text_length = text_length, .nul_replaced = read->nul_replaced};

	if (read->root != NULL)
		mx_event_check(read->root, built_in_types(), &options, &event, &read->violations);
}

static void
check_text(ReadEvent *read, text *event)
{
	read_text_argument(read, event);
	check_event(read, VARSIZE_ANY_EXHDR(event));
}

/* A byte of jsonb makes six of JSON at most (\u001f), and a number sixteen of twelve. */
static void
check_jsonb(ReadEvent *read, Jsonb *event)
{
	read_jsonb_argument(read, event);
	check_event(read, VARSIZE(event) * 6 <= MX_MAX_EVENT ? VARSIZE(event) * 6 : 0);
}

/*
 * matrix.is_valid(event text | json | jsonb) returns boolean.  Never raises an
 * error over what the event holds.
 */
PG_FUNCTION_INFO_V1(is_valid_text);
Datum
is_valid_text(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	check_text(&read, PG_GETARG_TEXT_PP(0));
	PG_RETURN_BOOL(read.violations.count == 0);
}

PG_FUNCTION_INFO_V1(is_valid_jsonb);
Datum
is_valid_jsonb(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	check_jsonb(&read, PG_GETARG_JSONB_P(0));
	PG_RETURN_BOOL(read.violations.count == 0);
}

/* One violation a call. */
static Datum
next_violation(FunctionCallInfo fcinfo, void (*check) (ReadEvent *, FunctionCallInfo))
{
	FuncCallContext *calls;
	const mx_violation *violation;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext caller;
		ReadEvent	read;
		TupleDesc	tuple;

		calls = SRF_FIRSTCALL_INIT();
		caller = MemoryContextSwitchTo(calls->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &tuple) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "matrix.validate is declared with another result type");
		calls->tuple_desc = BlessTupleDesc(tuple);
		check(&read, fcinfo);
		calls->user_fctx = read.violations.first;
		MemoryContextSwitchTo(caller);
	}
	calls = SRF_PERCALL_SETUP();
	violation = calls->user_fctx;
	if (violation == NULL)
		SRF_RETURN_DONE(calls);
	calls->user_fctx = violation->next;
	values[0] = CStringGetTextDatum(violation->path);
	values[1] = CStringGetTextDatum(mx_code_name(violation->code));
	values[2] = CStringGetTextDatum(violation->message);
	SRF_RETURN_NEXT(calls, HeapTupleGetDatum(heap_form_tuple(calls->tuple_desc, values, nulls)));
}

static void
check_text_argument(ReadEvent *read, FunctionCallInfo fcinfo)
{
	check_text(read, PG_GETARG_TEXT_PP(0));
}

static void
check_jsonb_argument(ReadEvent *read, FunctionCallInfo fcinfo)
{
	check_jsonb(read, PG_GETARG_JSONB_P(0));
}

/*
 * matrix.validate(event text | json | jsonb) returns setof (path, code,
 * message): everything that is wrong with the event, no row when it is valid.
 */
PG_FUNCTION_INFO_V1(validate_text);
Datum
validate_text(PG_FUNCTION_ARGS)
{
	return next_violation(fcinfo, check_text_argument);
}

PG_FUNCTION_INFO_V1(validate_jsonb);
Datum
validate_jsonb(PG_FUNCTION_ARGS)
{
	return next_violation(fcinfo, check_jsonb_argument);
}

static text *
canonical_json(ReadEvent *read)
{
	size_t		size;
	text	   *result;

	if (read->root != NULL)
		mx_canonical_check(read->root, &read->violations);
	if (read->violations.count > 0)
		raise_violations(&read->violations);
	size = mx_canonical_size(read->root);
	result = palloc(VARHDRSZ + size);
	SET_VARSIZE(result, VARHDRSZ + size);
	mx_canonical_write(&read->arena, read->root, VARDATA(result));
	return result;
}

/*
 * matrix.canonical_json(event text | json | jsonb) returns text.  Raises 22032
 * for what is not JSON, 22030 for a duplicate key and 22023 for a number that
 * canonical JSON cannot express.  Source: appendices, Canonical JSON.
 */
PG_FUNCTION_INFO_V1(canonical_json_text);
Datum
canonical_json_text(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_exactly(&read, PG_GETARG_TEXT_PP(0));
	PG_RETURN_TEXT_P(canonical_json(&read));
}

PG_FUNCTION_INFO_V1(canonical_json_jsonb);
Datum
canonical_json_jsonb(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_jsonb_argument(&read, PG_GETARG_JSONB_P(0));
	PG_RETURN_TEXT_P(canonical_json(&read));
}
