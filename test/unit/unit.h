/*
 * unit.h - the core's tests: what they share
 */
#ifndef MX_UNIT_H
#define MX_UNIT_H

#include "core/violation.h"

#include <stdio.h>

extern int	passed;
extern int	failed;

/* Counts a test, and says which one failed. */
#define CHECK(condition, ...) \
	do { \
		if (condition) \
			passed++; \
		else \
		{ \
			failed++; \
			printf("%s:%d: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__); \
			printf("\n"); \
		} \
	} while (0)

/* An arena over malloc that free_arena gives back whole. */
extern void new_arena(mx_arena *arena);
extern void free_arena(mx_arena *arena);

/* Reads JSON; NULL with a failed check when it is none. */
extern const mx_value *read_value(mx_arena *arena, const char *text);

/* Calls f for every line of a file. */
extern void each_line(const char *folder, const char *name,
					  void (*f) (const char *line, size_t length, int number));

extern void test_value(void);
extern void test_grammar(void);
extern void test_schema(void);
extern void test_canonical(void);
extern void test_types(void);
extern void test_event(const char *data);
extern void test_membership(void);
extern void test_presence(void);
extern void test_call(void);
extern void test_identity(const char *data);
extern void test_power(void);
extern void test_words(void);

#endif
