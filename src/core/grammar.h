/*
 * grammar.h - Matrix identifiers (spec: appendices, Identifier Grammar)
 *
 * Historical forms are accepted: what any server may already hold is valid.
 * Each function returns NULL when the text is well-formed, and otherwise what
 * is wrong, as a sentence's predicate in static memory.
 */
#ifndef MX_GRAMMAR_H
#define MX_GRAMMAR_H

#include "core/value.h"

typedef const char *(*mx_grammar) (mx_string text);

extern const char *mx_check_user_id(mx_string text);
extern const char *mx_check_room_id(mx_string text);
extern const char *mx_check_event_id(mx_string text);
extern const char *mx_check_room_alias(mx_string text);
extern const char *mx_check_server_name(mx_string text);
extern const char *mx_check_mxc_uri(mx_string text);

/* The grammar that JSON Schema's format names (mx-user-id, ...), or NULL. */
extern mx_grammar mx_grammar_named(mx_string format);

#endif
