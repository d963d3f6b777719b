/*
 * db_plan.h
 *		How our own statements are planned: as if our tables were large.
 */
#ifndef PAY_DB_PLAN_H
#define PAY_DB_PLAN_H

extern bool pay_db_plans_ours;	/* true while a statement of ours runs */

extern void pay_db_plan_register(void);

#endif							/* PAY_DB_PLAN_H */
