/*
 * relations.c - what an event relates to: matrix.relates_to, matrix.rel_type
 *
 * Both are in an index of every store, so they run for each event that is
 * inserted: they look into the jsonb where it lies, without making a tree.  So
 * does search_vector.c.
 * Source: client-server API, Forming relationships between events; Rich replies.
 */
#include "binding.h"

#include "utils/builtins.h"

/* The member of a container, which need not be an object; NULL: none. */
static JsonbValue *
member(JsonbContainer *container, const char *key, JsonbValue *found)
{
	if (container == NULL || !JsonContainerIsObject(container))
		return NULL;
	return getKeyJsonValueFromContainer(container, key, strlen(key), found);
}

JsonbContainer *
jsonb_container(JsonbContainer *container, const char *key)
{
	JsonbValue	found;

	if (member(container, key, &found) == NULL || found.type != jbvBinary)
		return NULL;
	return found.val.binary.data;
}

bool
jsonb_string(JsonbContainer *container, const char *key, mx_string *string)
{
	JsonbValue	found;

	if (member(container, key, &found) == NULL || found.type != jbvString)
		return false;
	*string = (mx_string) {found.val.string.val, found.val.string.len};
	return true;
}

bool
jsonb_is_true(JsonbContainer *container, const char *key)
{
	JsonbValue	found;

	return member(container, key, &found) != NULL && found.type == jbvBool && found.val.boolean;
}

/* It can be an identifier or a type. */
static bool
fits(mx_string string)
{
	return string.length > 0 && string.length <= MX_MAX_ID;
}

bool
jsonb_relation(Jsonb *content, mx_string *event_id, mx_string *rel_type)
{
	JsonbContainer *relation = jsonb_container(&content->root, "m.relates_to");

	if (relation == NULL)
		return false;
	if (!jsonb_string(relation, "rel_type", rel_type))
	{
		*rel_type = mx_string_from("m.in_reply_to");
		relation = jsonb_container(relation, "m.in_reply_to");
	}
	return jsonb_string(relation, "event_id", event_id) && fits(*event_id) && fits(*rel_type);
}

/*
 * matrix.relates_to(content jsonb) returns text: the id of the event that an
 * event with this content relates to.  Null: none.
 */
PG_FUNCTION_INFO_V1(relates_to);
Datum
relates_to(PG_FUNCTION_ARGS)
{
	mx_string	event_id;
	mx_string	rel_type;

	if (!jsonb_relation(PG_GETARG_JSONB_P(0), &event_id, &rel_type))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(event_id.text, event_id.length));
}

/*
 * matrix.rel_type(content jsonb) returns text: how it relates to it;
 * m.in_reply_to where it is a reply and nothing else.  Null: it does not.
 */
PG_FUNCTION_INFO_V1(rel_type);
Datum
rel_type(PG_FUNCTION_ARGS)
{
	mx_string	event_id;
	mx_string	rel_type;

	if (!jsonb_relation(PG_GETARG_JSONB_P(0), &event_id, &rel_type))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(rel_type.text, rel_type.length));
}
