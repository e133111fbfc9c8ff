/*
 * profiles.c - the trigger of a store's profiles: a change sends the events
 * that Matrix asks for (client-server API, Events on Change of Profile
 * Information), in one statement, as the store's owner
 */
#include "binding.h"

#include "access/table.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

/* matrix.profile_statement's parameter, by what happened. */
static const char *
changed_query(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_INSERT(event))
		return "SELECT n.user_id, n.displayname, n.avatar_url, NULL::text AS old_displayname, NULL::text AS old_avatar_url FROM inserted n";
	if (TRIGGER_FIRED_BY_DELETE(event))
		return "SELECT o.user_id, NULL::text AS displayname, NULL::text AS avatar_url, o.displayname AS old_displayname, "
			"o.avatar_url AS old_avatar_url FROM deleted o";
	return "SELECT n.user_id, n.displayname, n.avatar_url, o.displayname AS old_displayname, o.avatar_url AS old_avatar_url "
		"FROM updated n JOIN replaced o ON o.user_id = n.user_id";
}

/*
 * matrix.profiles_after_statement() returns trigger: on every store's profiles
 * table, AFTER INSERT, UPDATE or DELETE, FOR EACH STATEMENT, with transition
 * tables inserted, updated and replaced, deleted.
 */
PG_FUNCTION_INFO_V1(profiles_after_statement);
Datum
profiles_after_statement(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	events;
	Oid			schema;
	AsOwner		before;
	char	   *statement;
	int			guc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("matrix.profiles_after_statement is not called as the trigger it is made for"),
				 errhint("matrix.create_store sets it up.")));
	schema = RelationGetNamespace(trigger->tg_relation);
	events = table_open(get_relname_relid("events", schema), RowExclusiveLock);
	guc = enter_store(get_store(events), &before);
	/* All of it or nothing, whatever the session does with invalid events. */
	(void) set_config_option("matrix_events.on_invalid", "error", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
		elog(ERROR, "could not reach the transition tables of a store's profiles");
	if (SPI_execute(psprintf("SELECT matrix.profile_statement(%s, %s)", quote_literal_cstr(get_namespace_name(schema)),
							 quote_literal_cstr(changed_query(trigger->tg_event))), true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not make the statement that sends a profile");
	statement = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (SPI_execute(statement, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not send the events of a changed profile");
	leave_store(guc, before);
	table_close(events, NoLock);
	return PointerGetDatum(NULL);
}
