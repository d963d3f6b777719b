/*
 * fault.h
 *		Named points of the code at which a test may strike.
 *
 * A point is compiled into the build that "make faults" makes, and into no
 * other: elsewhere it is nothing, and its name is not in the library.  This
 * header includes none of the server's, so that every file may have points.
 *
 * test/crash/matrix strikes at every one of them.
 */
#ifndef PAY_FAULT_H
#define PAY_FAULT_H

#ifdef PAYMENTS_FAULTS

#include <stdbool.h>

extern void pay_fault_init(void);
extern void pay_fault_hit(const char *point, bool may_raise);
extern bool pay_fault_is_planned(const char *point);

#define PAY_FAULT_INIT()			pay_fault_init()
#define PAY_FAULT(point)			pay_fault_hit(point, true)

/* Behind a commit, or in a callback of libcurl: no error may be raised. */
#define PAY_FAULT_QUIET(point)		pay_fault_hit(point, false)

/* Is something planned here?  For what has to be done differently then. */
#define PAY_FAULT_PLANNED(point)	pay_fault_is_planned(point)

#else

#define PAY_FAULT_INIT()			((void) 0)
#define PAY_FAULT(point)			((void) 0)
#define PAY_FAULT_QUIET(point)		((void) 0)
#define PAY_FAULT_PLANNED(point)	false

#endif
#endif							/* PAY_FAULT_H */
