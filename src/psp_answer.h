/*
 * psp_answer.h
 *		Answers of the PSP, as they are kept.
 */
#ifndef PAY_PSP_ANSWER_H
#define PAY_PSP_ANSWER_H

#include "postgres.h"

#include "toss_json.h"

/* Text from outside, cut and in the database's encoding; NULL stays NULL. */
extern char *pay_psp_answer_text(const char *text, int max);

/* The kept fields of a Payment as JSON text; NULL when it is none. */
extern char *pay_psp_answer_response(const PayTossBody *body);

#endif							/* PAY_PSP_ANSWER_H */
