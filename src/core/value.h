/*
 * value.h - JSON values as the core sees them
 *
 * Whoever reads JSON (PostgreSQL's parser, a jsonb, jansson) builds a tree of
 * mx_value with an mx_builder; everything else in the core only looks at such
 * trees.  All memory comes from an mx_arena, which the caller owns and frees
 * as a whole; nothing here is freed piece by piece.  The arena's alloc
 * function may leave by longjmp (PostgreSQL's does when memory runs out), so
 * the core holds no other resource while it runs.
 */
#ifndef MX_VALUE_H
#define MX_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, in bytes unless said otherwise. */
#define MX_MAX_EVENT	65536	/* an event as canonical JSON (spec: Size limits) */
#define MX_MAX_ID		255		/* an identifier, a type, a state key */
#define MX_MAX_TEXT		(1024 * 1024)	/* the JSON text of any event */
#define MX_MAX_DEPTH	1000	/* levels of nesting */
#define MX_MAX_INTEGER	INT64_C(9007199254740991)	/* 2^53 - 1 */

typedef struct mx_arena
{
	void	   *(*alloc) (void *owner, size_t size);	/* never returns NULL */
	void	   *owner;
	char	   *next;
	char	   *end;
} mx_arena;

typedef enum mx_kind
{
	MX_NULL,
	MX_BOOLEAN,
	MX_INTEGER,					/* within +-(2^53 - 1), no fraction, no exponent */
	MX_NUMBER,					/* any other number; text holds it as written */
	MX_STRING,
	MX_ARRAY,
	MX_OBJECT
} mx_kind;

typedef struct mx_value
{
	mx_kind		kind;
	uint32_t	length;			/* bytes of text, or number of children */
	uint32_t	key_length;
	const char *key;			/* decoded name where the parent is an object */
	struct mx_value *next;		/* the sibling after this one */
	union
	{
		bool		boolean;
		int64_t		integer;
		const char *text;		/* string or number; not NUL-terminated */
		struct mx_value *children;
	}			u;
} mx_value;

/* A string of known length that nobody owns. */
typedef struct mx_string
{
	const char *text;
	size_t		length;
} mx_string;

typedef struct mx_violations mx_violations;

/* One open container of a tree that is being built. */
typedef struct mx_open
{
	mx_value   *container;
	mx_value  **tail;
	struct mx_open *outer;
} mx_open;

typedef struct mx_builder
{
	mx_arena   *arena;
	mx_violations *violations;	/* gets duplicate keys and impossible numbers */
	mx_value   *root;
	mx_open    *innermost;
	const char *key;
	uint32_t	key_length;
} mx_builder;

extern void mx_arena_init(mx_arena *arena, void *(*alloc) (void *, size_t), void *owner);
extern void *mx_alloc(mx_arena *arena, size_t size);
extern char *mx_format(mx_arena *arena, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/*
 * Build a tree: keys and strings are kept by reference, so they must live as
 * long as the arena.  An object that names a key twice gets a violation
 * (code duplicate_key), and so does a number that no double can hold.
 */
extern void mx_builder_init(mx_builder *builder, mx_arena *arena, mx_violations *violations);
extern void mx_build_open(mx_builder *builder, mx_kind kind);
extern void mx_build_close(mx_builder *builder);
extern void mx_build_key(mx_builder *builder, const char *key, size_t length);
extern void mx_build_string(mx_builder *builder, const char *text, size_t length);
extern void mx_build_number(mx_builder *builder, const char *text, size_t length);
extern void mx_build_boolean(mx_builder *builder, bool value);
extern void mx_build_null(mx_builder *builder);

/* The member of an object, or NULL: no such member, or not an object. */
extern const mx_value *mx_member(const mx_value *object, const char *key);
/* Whether the member of an object has this key. */
extern bool mx_key_is(const mx_value *member, const char *key);

/*
 * A copy of an object, in the arena, with the members that are wanted; they are
 * copied as well, but share what is in them.  Anything else becomes an empty object.
 */
extern mx_value *mx_select(mx_arena *arena, const mx_value *object,
						   bool (*wanted) (const mx_value *member, const void *context),
						   const void *context);

extern bool mx_equals_text(const mx_value *value, const char *text);
/* A string's text; text NULL: not there, or no string. */
extern mx_string mx_string_of(const mx_value *value);
extern mx_string mx_string_from(const char *text);
extern bool mx_same(mx_string a, mx_string b);
/* The order of two texts by bytes: below 0, 0, above 0. */
extern int	mx_compare(mx_string a, mx_string b);
extern bool mx_equal(const mx_value *a, const mx_value *b);
extern const char *mx_kind_name(const mx_value *value);

/* An MX_INTEGER, or an MX_NUMBER without a fraction such as 1.0 or 1e3. */
extern bool mx_is_integral(const mx_value *value);
extern double mx_number(const mx_value *value);

/* The code points of a string in UTF-8. */
extern size_t mx_code_points(mx_string string);

#endif
