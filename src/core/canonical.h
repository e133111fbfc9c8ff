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

/* A violation for every number that canonical JSON cannot express. */
extern void mx_canonical_check(const mx_value *value, mx_violations *violations);

#endif
