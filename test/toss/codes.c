/*-------------------------------------------------------------------------
 *
 * codes.c
 *	  The error codes of the Toss API, with HTTP status and message.
 *
 * Owns one const table.  Every code documented for confirm, query and cancel
 * is in it, and the codes of the overall list.  A message of NULL means that
 * the status is documented but no text was seen; such a code is answered
 * with a neutral text.  Not guessable: the text of
 * ALREADY_PROCESSING_REQUEST was never seen either, ours is made up.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "simulator.h"

static const Code codes[] = {
	/* confirm, in the order of the documentation */
	{400, "ALREADY_PROCESSED_PAYMENT",
	"이미 처리된 결제 입니다."},
	{400, "ALREADY_PROCESSING_REQUEST",
	"이미 처리 중인 요청입니다."},
	{400, "PROVIDER_ERROR",
	"일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요."},
	{400, "EXCEED_MAX_CARD_INSTALLMENT_PLAN",
	"설정 가능한 최대 할부 개월 수를 초과했습니다."},
	{400, "INVALID_REQUEST",
	"잘못된 요청입니다."},
	{400, "NOT_ALLOWED_POINT_USE",
	"포인트 사용이 불가한 카드로 카드 포인트 결제에 실패했습니다."},
	{400, "INVALID_API_KEY",
	"잘못된 시크릿키 연동 정보 입니다."},
	{400, "INVALID_REJECT_CARD",
	"카드 사용이 거절되었습니다. 카드사 문의가 필요합니다."},
	{400, "BELOW_MINIMUM_AMOUNT",
	"신용카드는 결제금액이 100원 이상, 계좌는 200원이상부터 결제가 가능합니다."},
	{400, "INVALID_CARD_EXPIRATION",
	"카드 정보를 다시 확인해주세요. (유효기간)"},
	{400, "INVALID_STOPPED_CARD",
	"정지된 카드 입니다."},
	{400, "EXCEED_MAX_DAILY_PAYMENT_COUNT",
	"하루 결제 가능 횟수를 초과했습니다."},
	{400, "NOT_SUPPORTED_INSTALLMENT_PLAN_CARD_OR_MERCHANT",
	"할부가 지원되지 않는 카드 또는 가맹점 입니다."},
	{400, "INVALID_CARD_INSTALLMENT_PLAN",
	"할부 개월 정보가 잘못되었습니다."},
	{400, "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN",
	"할부가 지원되지 않는 카드입니다."},
	{400, "EXCEED_MAX_PAYMENT_AMOUNT",
	"하루 결제 가능 금액을 초과했습니다."},
	{400, "NOT_FOUND_TERMINAL_ID",
	"단말기번호(Terminal Id)가 없습니다. 토스페이먼츠로 문의 바랍니다."},
	{400, "INVALID_AUTHORIZE_AUTH",
	"유효하지 않은 인증 방식입니다."},
	{400, "INVALID_CARD_LOST_OR_STOLEN",
	"분실 혹은 도난 카드입니다."},
	{400, "RESTRICTED_TRANSFER_ACCOUNT",
	"계좌는 등록 후 12시간 뒤부터 결제할 수 있습니다. 관련 정책은 해당 은행으로 문의해주세요."},
	{400, "INVALID_CARD_NUMBER",
	"카드번호를 다시 확인해주세요."},
	{400, "INVALID_UNREGISTERED_SUBMALL",
	"등록되지 않은 서브몰입니다."},
	{400, "NOT_REGISTERED_BUSINESS",
	"등록되지 않은 사업자 번호입니다."},
	{400, "EXCEED_MAX_ONE_DAY_WITHDRAW_AMOUNT",
	"1일 출금 한도를 초과했습니다."},
	{400, "EXCEED_MAX_ONE_TIME_WITHDRAW_AMOUNT",
	"1회 출금 한도를 초과했습니다."},
	{400, "CARD_PROCESSING_ERROR",
	"카드사에서 오류가 발생했습니다."},
	{400, "EXCEED_MAX_AMOUNT",
	"거래금액 한도를 초과했습니다."},
	{400, "INVALID_ACCOUNT_INFO_RE_REGISTER",
	"유효하지 않은 계좌입니다. 계좌 재등록 후 시도해주세요."},
	{400, "NOT_AVAILABLE_PAYMENT",
	"결제가 불가능한 시간대입니다"},
	{400, "UNAPPROVED_ORDER_ID",
	"아직 승인되지 않은 주문번호입니다."},
	{400, "EXCEED_MAX_MONTHLY_PAYMENT_AMOUNT",
	"당월 결제 가능금액인 1,000,000원을 초과 하셨습니다."},
	{401, "UNAUTHORIZED_KEY",
	"인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다."},
	{403, "REJECT_ACCOUNT_PAYMENT",
	"잔액부족으로 결제에 실패했습니다."},
	{403, "REJECT_CARD_PAYMENT",
	"한도초과 혹은 잔액부족으로 결제에 실패했습니다."},
	{403, "REJECT_CARD_COMPANY",
	"결제 승인이 거절되었습니다."},
	{403, "FORBIDDEN_REQUEST",
	"허용되지 않은 요청입니다."},
	{403, "REJECT_TOSSPAY_INVALID_ACCOUNT",
	"선택하신 출금 계좌가 출금이체 등록이 되어 있지 않아요. 계좌를 다시 등록해 주세요."},
	{403, "EXCEED_MAX_AUTH_COUNT",
	"최대 인증 횟수를 초과했습니다. 카드사로 문의해주세요."},
	{403, "EXCEED_MAX_ONE_DAY_AMOUNT",
	"일일 한도를 초과했습니다."},
	{403, "NOT_AVAILABLE_BANK",
	"은행 서비스 시간이 아닙니다."},
	{403, "INVALID_PASSWORD",
	"결제 비밀번호가 일치하지 않습니다."},
	{403, "INCORRECT_BASIC_AUTH_FORMAT",
	"잘못된 요청입니다. ':' 를 포함해 인코딩해주세요."},
	{403, "FDS_ERROR",
	"[토스페이먼츠] 위험거래가 감지되어 결제가 제한됩니다. 발송된 문자에 포함된 링크를 통해 본인인증 후 결제가 가능합니다. (고객센터: 1644-8051)"},
	{404, "NOT_FOUND_PAYMENT",
	"존재하지 않는 결제 정보 입니다."},
	{404, "NOT_FOUND_PAYMENT_SESSION",
	"결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다."},
	{500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING",
	"결제가 완료되지 않았어요. 다시 시도해주세요."},
	{500, "FAILED_INTERNAL_SYSTEM_PROCESSING",
	"내부 시스템 처리 작업이 실패했습니다. 잠시 후 다시 시도해주세요."},
	{500, "UNKNOWN_PAYMENT_ERROR",
	"결제에 실패했어요. 같은 문제가 반복된다면 은행이나 카드사로 문의해주세요."},
	{400, "INVALID_IDEMPOTENCY_KEY",
	"멱등키는 300자 이하여야 합니다."},
	{409, "IDEMPOTENT_REQUEST_PROCESSING",
	"이전 멱등 요청이 처리중입니다."},
	/* confirm, only in the overall list */
	{500, "UNKNOWN_ERROR", NULL},
	{400, "MAINTAINED_METHOD", NULL},
	{404, "NOT_FOUND_MERCHANT", NULL},
	{400, "INVALID_PAYMENT_KEY", NULL},
	{400, "INVALID_ORDER_ID", NULL},
	{400, "DUPLICATED_ORDER_ID", NULL},
	{400, "PAY_PROCESS_ABORTED", NULL},
	{400, "INVALID_TEST_CODE", NULL},
	{404, "NOT_FOUND_HTTP_METHOD", NULL},
	{400, "EXCEEDS_TRANSFER_AMOUNT_MAXIMUM", NULL},
	/* cancel */
	{400, "ALREADY_CANCELED_PAYMENT",
	"이미 취소된 결제 입니다."},
	{400, "INVALID_REFUND_ACCOUNT_INFO",
	"환불 계좌번호와 예금주명이 일치하지 않습니다."},
	{400, "EXCEED_CANCEL_AMOUNT_DISCOUNT_AMOUNT",
	"즉시할인금액보다 적은 금액은 부분취소가 불가능합니다."},
	{400, "INVALID_REFUND_ACCOUNT_NUMBER",
	"잘못된 환불 계좌번호입니다."},
	{400, "INVALID_BANK",
	"유효하지 않은 은행입니다."},
	{400, "NOT_MATCHES_REFUNDABLE_AMOUNT",
	"잔액 결과가 일치하지 않습니다."},
	{400, "REFUND_REJECTED",
	"환불이 거절됐습니다. 결제사에 문의 부탁드립니다."},
	{400, "ALREADY_REFUND_PAYMENT",
	"이미 환불된 결제입니다."},
	{400, "FORBIDDEN_BANK_REFUND_REQUEST",
	"고객 계좌가 입금이 되지 않는 상태입니다."},
	{403, "NOT_CANCELABLE_AMOUNT",
	"취소 할 수 없는 금액 입니다."},
	{403, "FORBIDDEN_CONSECUTIVE_REQUEST",
	"반복적인 요청은 허용되지 않습니다. 잠시 후 다시 시도해주세요."},
	{403, "NOT_CANCELABLE_PAYMENT",
	"취소 할 수 없는 결제 입니다."},
	{403, "EXCEED_MAX_REFUND_DUE",
	"환불 가능한 기간이 지났습니다."},
	{403, "NOT_ALLOWED_PARTIAL_REFUND_WAITING_DEPOSIT",
	"입금 대기중인 결제는 부분 환불이 불가합니다."},
	{403, "NOT_ALLOWED_PARTIAL_REFUND",
	"에스크로 주문, 현금 카드 결제일 때는 부분 환불이 불가합니다. 이외 다른 결제 수단에서 부분 취소가 되지 않을 때는 토스페이먼츠에 문의해 주세요."},
	{403, "NOT_CANCELABLE_PAYMENT_FOR_DORMANT_USER",
	"휴면 처리된 회원의 결제는 취소할 수 없습니다."},
	{403, "EXCEED_CANCEL_LIMIT",
	"취소 한도 금액을 초과 하였습니다."},
	{500, "FAILED_REFUND_PROCESS",
	"은행 응답시간 지연이나 일시적인 오류로 환불요청에 실패했습니다."},
	{500, "FAILED_METHOD_HANDLING_CANCEL",
	"취소 중 결제 시 사용한 결제 수단 처리과정에서 일시적인 오류가 발생했습니다."},
	{500, "FAILED_PARTIAL_REFUND",
	"은행 점검, 해약 계좌 등의 사유로 부분 환불이 실패했습니다."},
	{500, "COMMON_ERROR",
	"일시적인 오류가 발생했습니다. 잠시 후 다시 시도해주세요."},
	{400, "INVALID_REFUND_AMOUNT", NULL},
	{400, "ALREADY_REFUNDING_PAYMENT", NULL},
	{403, "EXCEED_MAX_REFUND_AMOUNT", NULL},
	{403, "NOT_SUPPORTED_REFUND", NULL},
	{403, "NOT_ALLOWED_REFUND_BANK", NULL},
	/* query */
	{400, "NOT_SUPPORTED_MONTHLY_INSTALLMENT_PLAN_BELOW_AMOUNT", NULL},
	{404, "NOT_FOUND", NULL},
	/* transactions, settlements, billing */
	{400, "INVALID_DATE", NULL},
	{400, "INVALID_ISO_DATE_FORMAT", NULL},
	{400, "INVALID_PAGING_KEY", NULL},
	{400, "EXCEED_MAX_QUERY_LIMIT", NULL},
	{400, "API_VERSION_UPDATE_NEEDED", NULL},
	{400, "NOT_MATCHES_CUSTOMER_KEY", NULL},
	{400, "INVALID_BILL_KEY_REQUEST", NULL},
	{400, "ALREADY_REMOVED_BILLING_KEY", NULL},
	{500, "FAILED_DB_PROCESSING", NULL},
	/* the rest of the overall list */
	{400, "ACCOUNT_OWNER_CHECK_FAILED", NULL},
	{400, "ALREADY_CLOSE_ACCOUNT", NULL},
	{400, "ALREADY_COMPLETED_PAYMENT", NULL},
	{400, "ALREADY_EXIST_SUBMALL", NULL},
	{400, "BELOW_ZERO_AMOUNT", NULL},
	{400, "DUPLICATED_CASH_RECEIPT", NULL},
	{400, "DUPLICATED_REQUEST", NULL},
	{400, "EXCEED_MAX_DUE_DATE", NULL},
	{400, "EXCEED_MAX_VALID_HOURS", NULL},
	{400, "EXCEED_MIN_CARD_INSTALLMENT_PLAN", NULL},
	{400, "EXCEED_UNKNOWN_CASE", NULL},
	{400, "INCORRECT_FAIL_URL_FORMAT", NULL},
	{400, "INCORRECT_SUCCESS_URL_FORMAT", NULL},
	{400, "INVALID_ACCOUNT_NOT_CORRECT_BANK", NULL},
	{400, "INVALID_ACCOUNT_NUMBER", NULL},
	{400, "INVALID_ACCOUNT_NUMBER_OR_UNAVAILABLE", NULL},
	{400, "INVALID_AUTHORIZE_AUTH_TYPE_GIFT_CERTIFICATE", NULL},
	{400, "INVALID_BILLING_AUTH", NULL},
	{400, "INVALID_BIRTH_DAY_FORMAT", NULL},
	{400, "INVALID_BUSINESS_NUMBER", NULL},
	{400, "INVALID_CARD", NULL},
	{400, "INVALID_CARD_COMPANY", NULL},
	{400, "INVALID_CARD_IDENTITY", NULL},
	{400, "INVALID_CARD_INSTALLMENT_AMOUNT", NULL},
	{400, "INVALID_CARD_INSTALLMENT_PLANS_WITH_MAX_AND_SINGLE", NULL},
	{400, "INVALID_CARD_PASSWORD", NULL},
	{400, "INVALID_CASH_RECEIPT_INFO", NULL},
	{400, "INVALID_CLIENT_KEY", NULL},
	{400, "INVALID_CURRENCY", NULL},
	{400, "INVALID_CUSTOMER_KEY", NULL},
	{400, "INVALID_EASY_PAY", NULL},
	{400, "INVALID_EMAIL", NULL},
	{400, "INVALID_FLOW_MODE_PARAMETERS", NULL},
	{400, "INVALID_IDENTIFICATION_TYPE", NULL},
	{400, "INVALID_ORDER_NAME", NULL},
	{400, "INVALID_PAYABLE_DATE", NULL},
	{400, "INVALID_REQUIRED_PARAM", NULL},
	{400, "INVALID_SUBMALL_ID", NULL},
	{400, "INVALID_SUCCESS_URL", NULL},
	{400, "INVALID_URL", NULL},
	{400, "INVALID_URL_FORMAT", NULL},
	{400, "INVALID_VALID_HOURS_WITH_DUE_DATE_AND_SINGLE", NULL},
	{400, "INVALID_VIRTUAL_ACCOUNT_TYPE", NULL},
	{400, "NOT_ALLOWED_HOLIDAY", NULL},
	{400, "NOT_ALLOWED_INSTALLMENT_BELOW_AMOUNT", NULL},
	{400, "NOT_ENOUGH_AMOUNT", NULL},
	{400, "NOT_MATCH_PAYEE_NAME", NULL},
	{400, "NOT_REGISTERED_SUBMALL", NULL},
	{400, "NOT_SUPPORTED_CARD_TYPE", NULL},
	{400, "NOT_SUPPORTED_CARRIER", NULL},
	{400, "NOT_SUPPORTED_METHOD", NULL},
	{400, "NOT_SUPPORTED_PROCESS", NULL},
	{400, "NOT_SUPPORTED_USD", NULL},
	{400, "PAY_PROCESS_CANCELED", NULL},
	{400, "REQUIRED_ACCOUNT_KEY", NULL},
	{400, "REQUIRED_AMOUNT", NULL},
	{400, "USER_ACCOUNT_ON_HOLD", NULL},
	{403, "NOT_ALLOWED_CHANGING_ACCOUNT", NULL},
	{404, "NOT_FOUND_BILLING", NULL},
	{404, "NOT_FOUND_MERCHANT_INTEGRATION", NULL},
	{404, "NOT_FOUND_METHOD", NULL},
	{404, "NOT_FOUND_METHOD_IN_GROUP", NULL},
	{404, "NOT_FOUND_METHOD_OWNERSHIP", NULL},
	{404, "NOT_FOUND_SUBMALL", NULL},
	{404, "PAYOUT_NOT_FOUND", NULL},
	{500, "FAILED_BILL_KEY_AUTH_CREATION", NULL},
	{500, "FAILED_BILLING_AUTO_CANCEL", NULL},
	{500, "FAILED_HASH_DATA_CREATION", NULL},
	{500, "FAILED_METHOD_HANDLING", NULL},
	/* ours: the status is documented, the code is not */
	{429, "TOO_MANY_REQUESTS", NULL},
	{413, "PAYLOAD_TOO_LARGE", NULL},
};

/* Finds a code by its name; NULL when Toss has no such code. */
const Code *
sim_code_find(const char *name)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
	{
		if (strcmp(codes[i].name, name) == 0)
			return &codes[i];
	}
	return NULL;
}

/* Enumerates the table; NULL past its end. */
const Code *
sim_code_at(size_t position)
{
	if (position >= sizeof(codes) / sizeof(codes[0]))
		return NULL;
	return &codes[position];
}

/* Appends the error object of the v1 endpoints. */
void
sim_code_write(Text *out, const Code *code)
{
	sim_text_add(out, "{\"code\":\"");
	sim_text_add(out, code->name);
	sim_text_add(out, "\",\"message\":");
	sim_text_add_json(out, code->message ? code->message :
					  "요청을 처리할 수 없습니다.");
	sim_text_add(out, "}");
}
