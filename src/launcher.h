/*
 * launcher.h
 *		The launcher; see launcher.c.
 */
#ifndef PAY_LAUNCHER_H
#define PAY_LAUNCHER_H

#include "postgres.h"

/* Let the postmaster start the launcher; only while preloading. */
extern void pay_launcher_register(void);

extern PGDLLEXPORT void payments_launcher_main(Datum main_arg);

#endif							/* PAY_LAUNCHER_H */
