/*
 * json.h - reading JSON text with jansson
 *
 * For the program, the tests and the schemas.  The server reads events with
 * PostgreSQL's parser instead, which is eight times as fast.
 */
#ifndef MX_JSON_H
#define MX_JSON_H

#include "core/violation.h"

/*
 * Read one JSON text.  NULL when it is none: then violations says why.  The
 * tree is owned by the arena.
 */
extern const mx_value *mx_read_json(mx_arena *arena, const char *text, size_t length,
									mx_violations *violations);

#endif
