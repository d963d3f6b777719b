/*
 * psp_answer.h
 *		Answers of the PSP, as they are kept.
 */
#ifndef PAY_PSP_ANSWER_H
#define PAY_PSP_ANSWER_H

#include "postgres.h"

#include "psp_call.h"

/* Text from outside, cut and in the database's encoding; NULL stays NULL. */
extern char *pay_psp_answer_text(const char *text, int max);

/* A time of Toss's; 0 when the text is none, or NULL. */
extern TimestampTz pay_psp_answer_time(const char *text);

/*
 * Write the answers, with what was done because of them; what is kept of a
 * Payment goes into results as well.
 */
extern void pay_psp_answer_write(PayResult *results, int n,
								 const char *const *actions);

/* A time of Toss's; 0 when the text is none, or NULL. */
extern TimestampTz pay_psp_answer_time(const char *text);

#endif							/* PAY_PSP_ANSWER_H */
