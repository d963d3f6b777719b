/*
 * trigger.h
 *		What trigger functions share: how they were called, and their columns.
 */
#ifndef PAY_TRIGGER_H
#define PAY_TRIGGER_H

#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

/* Raises 39P01 unless called as a row trigger on UPDATE with this timing. */
extern TriggerData *pay_trigger_on_update(FunctionCallInfo fcinfo,
										  bool before);

/* Raises 39P01 unless called after an UPDATE statement, with its new rows. */
extern TriggerData *pay_trigger_after_statement(FunctionCallInfo fcinfo);

/* A column of the old or new row, by name. */
extern Datum pay_trigger_column(TriggerData *trigger, HeapTuple row,
								const char *column, bool *is_null);

/* The first of these columns that the update changes, or NULL. */
extern const char *pay_trigger_changed(TriggerData *trigger,
									   const char *const *columns);

#endif							/* PAY_TRIGGER_H */
