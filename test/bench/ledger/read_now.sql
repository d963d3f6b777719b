SELECT payments.balance(:till);
