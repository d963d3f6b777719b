-- What pg_dump writes: every row of every table, and every sequence.  Rows
-- that this script itself inserts are left out, since CREATE EXTENSION brings
-- them back.  Snapshots of the ledger and their mark are left out: they are
-- built anew, and without a mark the old ids are let in.  So is
-- payments.schema_record: a copy records its own schema.

SELECT pg_catalog.pg_extension_config_dump('payments.currency', 'WHERE code NOT IN (''KRW'', ''USD'', ''JPY'')');
SELECT pg_catalog.pg_extension_config_dump('payments.merchant', '');
SELECT pg_catalog.pg_extension_config_dump('payments.buyer', '');
SELECT pg_catalog.pg_extension_config_dump('payments.seller', '');
SELECT pg_catalog.pg_extension_config_dump('payments.node', '');
SELECT pg_catalog.pg_extension_config_dump('payments.cluster', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_event', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_order', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_order_history', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund_line', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund_history', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_claim', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_call', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_call_queue', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_call_deposit', '');
SELECT pg_catalog.pg_extension_config_dump('payments.virtual_account', '');
SELECT pg_catalog.pg_extension_config_dump('payments.deposit_movement', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund_account', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_attempt', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_answer', '');
SELECT pg_catalog.pg_extension_config_dump('payments.operator_action', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation_page', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation_finding', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation_finding_end', '');
SELECT pg_catalog.pg_extension_config_dump('payments.worker_epoch', '');
SELECT pg_catalog.pg_extension_config_dump('payments.arming', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_account', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_transaction', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_entry', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_balance', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_account_event', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_hold', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_hold_end', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_hold_open', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_clearing', '');
SELECT pg_catalog.pg_extension_config_dump('payments.balance_assertion', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_seal', '');
SELECT pg_catalog.pg_extension_config_dump('payments.wallet', '');
SELECT pg_catalog.pg_extension_config_dump('payments.wallet_transaction', '');
SELECT pg_catalog.pg_extension_config_dump('payments.event', '');
SELECT pg_catalog.pg_extension_config_dump('payments.event_consumer', '');
SELECT pg_catalog.pg_extension_config_dump('payments.webhook', '');
SELECT pg_catalog.pg_extension_config_dump('payments.webhook_body', '');
SELECT pg_catalog.pg_extension_config_dump('payments.webhook_queue', '');
SELECT pg_catalog.pg_extension_config_dump('payments.webhook_outcome', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_secret', '');
SELECT pg_catalog.pg_extension_config_dump('payments.maintenance_log', '');

SELECT pg_catalog.pg_extension_config_dump('payments.merchant_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_order_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.payment_order_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.refund_history_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.psp_call_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.operator_action_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.arming_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.reconciliation_finding_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_account_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_transaction_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_account_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_hold_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.ledger_clearing_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.balance_assertion_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.wallet_transaction_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.webhook_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('payments.maintenance_log_id_seq', '');
