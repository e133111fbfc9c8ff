/*
 * canonical.h - canonical JSON (spec: appendices, Canonical JSON)
 *
 * Keys sorted by code point, no white space, the shortest escapes, UTF-8.
 */
#ifndef MX_CANONICAL_H
#define MX_CANONICAL_H

#include "core/violation.h"

/* The bytes that mx_canonical_write writes. */
extern size_t mx_canonical_size(const mx_value *value);

/*
 * Write canonical JSON to a buffer of mx_canonical_size bytes (no NUL is
 * added); scratch memory for sorting comes from the arena.  A whole number
 * such as 1e10 or 1.0 is written as an integer; any other number that
 * canonical JSON does not know has to be refused before, by
 * mx_canonical_check.
 */
extern void mx_canonical_write(mx_arena *arena, const mx_value *value, char *to);

/* The same as a text of the arena. */
extern mx_string mx_canonical(mx_arena *arena, const mx_value *value);

/*
 * The form in which rooms up to version 5 are hashed, where canonical JSON's
 * rules on numbers do not bind: integers of any size as they are, fractions and
 * exponents as Python writes a float (1.0, 1e+16, 1e-05), since the servers of
 * these rooms were in Python.  Source: room version 1, Canonical JSON.
 */
extern mx_string mx_canonical_lenient(mx_arena *arena, const mx_value *value);

/* A violation for every number that canonical JSON cannot express. */
extern void mx_canonical_check(const mx_value *value, mx_violations *violations);

#endif
