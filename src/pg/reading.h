/*
 * reading.h - what the functions share that read a store with the rights of
 * their caller; see reading.c
 *
 * The search path is pinned while a plan runs.  What else the planner must be
 * told, the SQL function sets: a kept plan may be made anew whenever it runs.
 */
#ifndef READING_H
#define READING_H

#include "derive.h"

#include "utils/rel.h"

/* The events table of the store that the first argument names, to be closed by the caller.  Errors: 22004 null, 42704. */
extern Relation open_store(FunctionCallInfo fcinfo);

/* What a plan reads, as the result of a function that returns a set of rows like these; closes the table. */
extern Datum return_rows(FunctionCallInfo fcinfo, Relation events, TupleDesc like, PlanId id, const Datum *values, const bool *nulls);

/* The first row that a plan reads, as the result of a function of (store text, event_id text) that returns matrix.event; null: there is none. */
extern Datum return_event(FunctionCallInfo fcinfo, PlanId id);

/* The only value that a plan reads, of a type passed by value, as the result of a function of (store text, the plan's argument). */
extern Datum return_value(FunctionCallInfo fcinfo, PlanId id);

#endif
