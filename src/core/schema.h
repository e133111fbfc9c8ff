/*
 * schema.h - the part of JSON Schema that Matrix's own schemas use
 *
 * A schema is compiled from a value tree and lives in the same arena as long
 * as the schema is used.  Keywords: type, properties, required,
 * additionalProperties, patternProperties, propertyNames, items, enum, const,
 * pattern, format (Matrix's identifiers), minLength, maxLength (code points),
 * minimum, maximum, minItems, maxItems, minProperties, maxProperties, anyOf,
 * oneOf, allOf, not, $ref to #/$defs or #/definitions; true and false.
 * Annotations are ignored; any other keyword is an error.
 */
#ifndef MX_SCHEMA_H
#define MX_SCHEMA_H

#include "core/violation.h"

typedef struct mx_schema mx_schema;

/*
 * Does the text match a regular expression?  The core decides the simple forms
 * itself (the empty one, ^literal, ^$, ^[class]+$, ^[class]{m,n}$) and asks its host for any
 * other.  check is called once for a pattern when its schema is compiled, and
 * may return what is wrong with it.
 */
typedef struct mx_regex
{
	const char *(*check) (mx_string pattern);
	bool		(*matches) (mx_string pattern, mx_string text);
} mx_regex;

/*
 * Compile source, whose references are looked up in root.  NULL on error: then
 * violations has a row that names the place in the schema.
 */
extern const mx_schema *mx_schema_compile(mx_arena *arena, const mx_value *source, const mx_value *root,
									const mx_regex *regex, mx_violations *violations);

/*
 * Hold a value against a schema; path is where it stands.  With pruned, what
 * is required but missing is no violation: a redaction has removed it.
 */
extern void mx_schema_check(const mx_schema *schema, const mx_value *value, const mx_path *path,
							bool pruned, mx_violations *violations);

#endif
