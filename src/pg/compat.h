/*
 * compat.h - what differs between PostgreSQL 14 and 18, in one place
 */
#ifndef MATRIX_EVENTS_COMPAT_H
#define MATRIX_EVENTS_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "common/jsonapi.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/rel.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM < 140000
#error "matrix_events needs PostgreSQL 14 or later"
#endif

/* Actions of the JSON parser return a verdict from 16 on. */
#if PG_VERSION_NUM >= 160000
#define JSON_ACTION static JsonParseErrorType
#define JSON_ACTION_DONE return JSON_SUCCESS
#else
#define JSON_ACTION static void
#define JSON_ACTION_DONE return
#endif

static inline JsonLexContext *
make_json_lexer(char *text, int length, int encoding)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, length, encoding, true);
#else
	return makeJsonLexContextCstringLen(text, length, encoding, true);
#endif
}

static inline IndexScanDesc
begin_index_scan(Relation heap, Relation index, Snapshot snapshot, int keys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, keys, 0);
#else
	return index_beginscan(heap, index, snapshot, keys, 0);
#endif
}

/*
 * From here on names without a schema are pg_catalog's, until the path is
 * unpinned; an error does that too.  Before 17 a SET clause costs a function as
 * much as a read of some rows.
 */
static inline int
pin_search_path(void)
{
#if PG_VERSION_NUM >= 170000
	int			level = NewGUCNestLevel();

	RestrictSearchPath();
	return level;
#else
	OverrideSearchPath path = {.schemas = NIL, .addCatalog = true};

	PushOverrideSearchPath(&path);
	return 0;
#endif
}

static inline void
unpin_search_path(int level)
{
#if PG_VERSION_NUM >= 170000
	AtEOXact_GUC(true, level);
#else
	PopOverrideSearchPath();
#endif
}

static inline Oid
primary_key_index(Relation table)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(table, false);
#else
	return RelationGetPrimaryKeyIndex(table);
#endif
}

#if PG_VERSION_NUM < 160000
#define owns_table(table, role) pg_class_ownercheck(table, role)
#define uses_schema(schema, role) (pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK)
#else
#define owns_table(table, role) object_ownercheck(RelationRelationId, table, role)
#define uses_schema(schema, role) (object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK)
#endif

#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#endif
