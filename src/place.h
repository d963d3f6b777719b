/*
 * place.h
 *		Which data directory on which machine this server runs on.
 */
#ifndef PAY_PLACE_H
#define PAY_PLACE_H

#include "postgres.h"

/*
 * One line that differs between a data directory and a copy of it, on the same
 * machine or on another, and stays the same when the server or the machine is
 * started again.  It is looked at once, and lives as long as the process.
 * Raises an error when the directory cannot be looked at.
 */
extern const char *pay_place(void);

#endif							/* PAY_PLACE_H */
