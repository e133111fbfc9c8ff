/*
 * identity.c - matrix.redact, matrix.content_hash, matrix.check_hash, matrix.event_id
 *
 * The core says what is hashed; PostgreSQL hashes.
 */
#include "binding.h"

#include "common/base64.h"
#include "common/sha2.h"
#include "core/canonical.h"
#include "core/redact.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

void
base64_from_hash(const uint8 *hash, char *base64)
{
	char		padded[MX_HASH_LENGTH + 2];
	int			length PG_USED_FOR_ASSERTS_ONLY = pg_b64_encode((const void *) hash, PG_SHA256_DIGEST_LENGTH,
																padded, sizeof(padded));

	Assert(length == MX_HASH_LENGTH + 1);
	memcpy(base64, padded, MX_HASH_LENGTH);
}

void
matrix_sha256(const char *bytes, size_t length, char *base64)
{
	text	   *input = cstring_to_text_with_len(bytes, length);
	bytea	   *hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea, PointerGetDatum(input)));

	base64_from_hash((const uint8 *) VARDATA_ANY(hash), base64);
	pfree(input);
}

/* ---- arguments: the event as text or json, or as jsonb ---- */

static void
read_text_argument(ReadEvent *read, FunctionCallInfo fcinfo)
{
	read_exactly(read, PG_GETARG_TEXT_PP(0));
}

static void
read_jsonb_argument(ReadEvent *read, FunctionCallInfo fcinfo)
{
	begin_read(read);
	read_jsonb(read, PG_GETARG_JSONB_P(0));
}

static void
raise_if_any(const ReadEvent *read)
{
	if (read->violations.count > 0)
		raise_violations(&read->violations);
}

static const mx_room_version *
room_version_argument(FunctionCallInfo fcinfo)
{
	text	   *name = PG_GETARG_TEXT_PP(1);
	size_t		length = VARSIZE_ANY_EXHDR(name);
	const mx_room_version *version = mx_room_version_named((mx_string) {VARDATA_ANY(name), length});
	StringInfoData known;

	if (version != NULL)
		return version;
	initStringInfo(&known);
	for (int i = 0; i < MX_ROOM_VERSIONS; i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", mx_room_versions[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown room version \"%.*s\"", (int) mx_clip(VARDATA_ANY(name), length, 64), VARDATA_ANY(name)),
			 errhint("Known room versions: %s.", known.data)));
}

/*
 * Raises an error unless the event can be redacted, and what is left of it has
 * only numbers that the room's version allows.
 */
static void
check_event(ReadEvent *read, const mx_room_version *version,
			const mx_value *(*left) (mx_arena *, const mx_value *, const mx_room_version *))
{
	raise_if_any(read);
	mx_redact_check(read->root, &read->violations);
	raise_if_any(read);
	if (mx_room_has(version, MX_NUMBERS_ARE_CANONICAL))
		mx_canonical_check(left(&read->arena, read->root, version), &read->violations);
	raise_if_any(read);
}

/* ---- redact ---- */

static const mx_value *
redact(ReadEvent *read, const mx_room_version *version)
{
	check_event(read, version, mx_redact);
	return mx_redact(&read->arena, read->root, version);
}

/*
 * matrix.redact(event text | json | jsonb, room_version text): the redacted
 * event in the type of the event.  Raises 22032 for what is not JSON, 22030 for
 * a duplicate key, 22023 for a version that is not known, for what is no event,
 * and from version 6 on for a number that canonical JSON cannot express.
 */
PG_FUNCTION_INFO_V1(redact_text);
Datum
redact_text(PG_FUNCTION_ARGS)
{
	const mx_room_version *version = room_version_argument(fcinfo);
	ReadEvent	read;
	const mx_value *redacted;
	mx_string	result;

	read_text_argument(&read, fcinfo);
	redacted = redact(&read, version);
	result = mx_room_has(version, MX_NUMBERS_ARE_CANONICAL) ?
		mx_canonical(&read.arena, redacted) : mx_canonical_lenient(&read.arena, redacted);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result.text, result.length));
}

PG_FUNCTION_INFO_V1(redact_jsonb);
Datum
redact_jsonb(PG_FUNCTION_ARGS)
{
	const mx_room_version *version = room_version_argument(fcinfo);
	ReadEvent	read;

	read_jsonb_argument(&read, fcinfo);
	PG_RETURN_JSONB_P(jsonb_from_value(redact(&read, version)));
}

/* ---- event_id ---- */

static text *
event_id(ReadEvent *read, const mx_room_version *version)
{
	static const mx_path top = {NULL, NULL, 0, 0};
	static const mx_path path = {&top, "event_id", 8, 0};
	mx_string	id;

	check_event(read, version, mx_reference_form);
	id = mx_event_id(&read->arena, read->root, version, matrix_sha256);
	if (id.text == NULL)
	{
		mx_violate(&read->violations, MX_MISSING, &path, "is required, and a string, in room version %s", version->name);
		raise_violations(&read->violations);
	}
	return cstring_to_text_with_len(id.text, id.length);
}

/*
 * matrix.event_id(event text | json | jsonb, room_version text) returns text.
 * Errors as matrix.redact; 22023 also for an event of version 1 or 2 that does
 * not carry its id.  Source: server-server API, Calculating the reference hash.
 */
PG_FUNCTION_INFO_V1(event_id_text);
Datum
event_id_text(PG_FUNCTION_ARGS)
{
	const mx_room_version *version = room_version_argument(fcinfo);
	ReadEvent	read;

	read_text_argument(&read, fcinfo);
	PG_RETURN_TEXT_P(event_id(&read, version));
}

PG_FUNCTION_INFO_V1(event_id_jsonb);
Datum
event_id_jsonb(PG_FUNCTION_ARGS)
{
	const mx_room_version *version = room_version_argument(fcinfo);
	ReadEvent	read;

	read_jsonb_argument(&read, fcinfo);
	PG_RETURN_TEXT_P(event_id(&read, version));
}

/* ---- content_hash, check_hash ---- */

/* Any object has a content hash. */
static void
check_object(ReadEvent *read)
{
	static const mx_path top = {NULL, NULL, 0, 0};

	raise_if_any(read);
	if (read->root->kind != MX_OBJECT)
		mx_violate(&read->violations, MX_TYPE, &top, "must be an object, not %s", mx_kind_name(read->root));
	raise_if_any(read);
}

static text *
content_hash(ReadEvent *read)
{
	mx_string	hash;

	check_object(read);
	hash = mx_content_hash(&read->arena, read->root, matrix_sha256);
	return cstring_to_text_with_len(hash.text, hash.length);
}

/*
 * matrix.content_hash(event text | json | jsonb) returns text.  Raises 22032
 * for what is not JSON, 22030 for a duplicate key and 22023 for what is no
 * object.  Source: server-server API, Calculating the content hash.
 */
PG_FUNCTION_INFO_V1(content_hash_text);
Datum
content_hash_text(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_text_argument(&read, fcinfo);
	PG_RETURN_TEXT_P(content_hash(&read));
}

PG_FUNCTION_INFO_V1(content_hash_jsonb);
Datum
content_hash_jsonb(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_jsonb_argument(&read, fcinfo);
	PG_RETURN_TEXT_P(content_hash(&read));
}

/* matrix.check_hash(event text | json | jsonb) returns boolean.  Errors as matrix.content_hash. */
PG_FUNCTION_INFO_V1(check_hash_text);
Datum
check_hash_text(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_text_argument(&read, fcinfo);
	check_object(&read);
	PG_RETURN_BOOL(mx_content_hash_matches(&read.arena, read.root, matrix_sha256));
}

PG_FUNCTION_INFO_V1(check_hash_jsonb);
Datum
check_hash_jsonb(PG_FUNCTION_ARGS)
{
	ReadEvent	read;

	read_jsonb_argument(&read, fcinfo);
	check_object(&read);
	PG_RETURN_BOOL(mx_content_hash_matches(&read.arena, read.root, matrix_sha256));
}
