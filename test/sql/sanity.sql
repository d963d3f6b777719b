--
-- Rules of the house that are queries over the catalogue.  Each must give no
-- row; what stands after NOT IN is an exemption, with its reason.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE TEMP VIEW member AS SELECT classid, objid FROM pg_depend
	WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'payments');
-- the rules look at something
SELECT classid::regclass, count(*) > 0 AS some FROM member GROUP BY 1 ORDER BY 1::text COLLATE "C";

-- everything people meet has a comment: schema, tables, views, functions, types
-- (sequences, indexes, triggers and the row types of tables speak for themselves)
SELECT pg_describe_object(classid, objid, 0) AS lacks_comment FROM member m
	WHERE obj_description(objid, classid::regclass::name) IS NULL
		AND NOT (classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = objid) NOT IN ('r', 'v'))
		AND NOT (classid = 'pg_type'::regclass AND (SELECT typcategory = 'A' OR EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid
			AND relkind <> 'c') FROM pg_type t WHERE t.oid = objid))
	ORDER BY 1;
-- and a comment is a sentence, not a name
SELECT pg_describe_object(classid, objid, 0) AS says_little FROM member m
	WHERE length(obj_description(objid, classid::regclass::name)) < 15;

-- a fixed search_path, ending in pg_temp; not the procedure pay: it commits, and
-- the server forbids that with a SET clause; nor those that set it themselves
SELECT oid::regprocedure AS search_path_is_open FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND coalesce((SELECT string_agg(c, ' ') FROM unnest(proconfig) c WHERE c !~ '^(jit|enable_[a-z]+)=off$'), '') <> 'search_path=pg_catalog, pg_temp'
		AND proname NOT IN ('pay', 'post', 'post_entries', 'post_batch');
SELECT oid::regprocedure AS definer_without_path FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND prosecdef AND proconfig IS NULL
		AND proname NOT IN ('post', 'post_entries', 'post_batch');
-- who writes or reads tables for its caller is SECURITY DEFINER; who grants, and who only checks a row, is not
SELECT oid::regprocedure AS runs_as_its_caller FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND NOT prosecdef AND proname NOT IN ('pay', 'grant_to', 'version', 'rearm')
		AND prorettype <> 'trigger'::regtype;
-- no argument is changed by folding NULLs away unseen, nothing pretends to be immutable or safe to run in parallel
SELECT oid::regprocedure AS strict_immutable_or_parallel FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND (proisstrict OR provolatile = 'i' OR proparallel <> 'u');
-- nothing but C and SQL: no other language is needed at run time
SELECT p.oid::regprocedure AS needs_a_language FROM pg_proc p JOIN pg_language l ON l.oid = prolang
	WHERE pronamespace = 'payments'::regnamespace AND lanname NOT IN ('c', 'sql');
SELECT oid::regprocedure AS open_to_public FROM pg_proc
	WHERE pronamespace = 'payments'::regnamespace AND has_function_privilege('public', oid, 'execute');

-- a dump carries every row: tables and sequences are marked
SELECT c.oid::regclass AS not_dumped FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'S')
		AND relname NOT IN ('ledger_snapshot', 'ledger_stray', 'ledger_horizon',	-- built anew from the entries
			'schema_record', 'schema_record_id_seq')	-- a copy records its own schema
		AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'payments') ORDER BY 1::text;
-- with all of its rows, but those that CREATE EXTENSION itself inserts
SELECT t::regclass AS dumped_in_part, condition FROM pg_extension, ROWS FROM (unnest(extconfig), unnest(extcondition)) x (t, condition)
	WHERE extname = 'payments' AND condition <> '' AND t::regclass <> 'payments.currency'::regclass;

-- every foreign key can be looked up from both sides
SELECT conrelid::regclass AS of_table, conname AS lacks_index FROM pg_constraint c
	WHERE connamespace = 'payments'::regnamespace AND contype = 'f' AND NOT EXISTS (SELECT FROM pg_index i
		WHERE i.indrelid = c.conrelid AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) ~ 'IS NOT NULL')
			AND (SELECT array_agg(k ORDER BY k) FROM unnest((indkey::int2[])[0:cardinality(conkey) - 1]) k)
				= (SELECT array_agg(k ORDER BY k) FROM unnest(conkey) k))
		AND conname NOT IN ('ledger_entry_account_id_currency_fkey',	-- an account has one currency: its id finds them
			-- behind the order, and what they refer to never goes
			'payment_order_history_payment_order_id_fkey', 'psp_answer_attempt_fkey', 'wallet_transaction_payment_order_id_fkey')
	ORDER BY 1::text, 2;
-- constraints are checked from the beginning, and none may be put off but the zero sum
SELECT conrelid::regclass AS of_table, conname AS loose FROM pg_constraint
	WHERE connamespace = 'payments'::regnamespace AND (NOT convalidated OR condeferrable) AND conname <> 'ledger_entry_zero_sum';

-- what belongs to an order says to which, and can be found by it
SELECT c.oid::regclass AS lacks_order_id FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'order_id' AND atttypid = 'text'::regtype)
		AND relname NOT IN ('currency', 'merchant', 'buyer', 'seller', 'node', 'cluster',	-- reference
			'schema_record', 'maintenance_log',	-- about the schema
			'worker_epoch', 'arming', 'event_consumer', 'ledger_account', 'ledger_account_event', 'ledger_balance', 'wallet',	-- of no order
			'ledger_clearing', 'balance_assertion', 'ledger_seal', 'ledger_snapshot', 'ledger_stray', 'ledger_horizon',
			'ledger_hold_end', 'ledger_hold_open',	-- of a hold, which says it
			'reconciliation', 'reconciliation_page', 'reconciliation_finding_end')	-- of a merchant; of a finding, which says it
	ORDER BY 1::text;
SELECT c.oid::regclass AS order_id_lacks_index FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'order_id'
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		AND c.oid NOT IN ('payments.ledger_entry'::regclass,	-- found by their transactions, which have one
			'payments.psp_attempt'::regclass)	-- by their calls
		AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indkey[0] = attnum);
-- keys compare bytes, in every database alike
SELECT attrelid::regclass AS of_table, attname AS collates FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r' AND attcollation <> 0 AND attcollation <> '"C"'::regcollation
		AND EXISTS (SELECT FROM pg_index WHERE indrelid = attrelid AND attnum = ANY (indkey))
		AND (attrelid, attname) NOT IN (('payments.wallet_transaction'::regclass, 'kind'));	-- one of a few words
-- money is numeric, times have a zone, ids have 64 bits
SELECT attrelid::regclass AS of_table, attname, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
		AND (atttypid IN ('real'::regtype, 'double precision'::regtype, 'money'::regtype, 'timestamp'::regtype, 'json'::regtype, 'varchar'::regtype)
			OR attname ~ 'amount|balance$|commission$' AND attname !~ '_rate$' AND atttypid <> 'numeric'::regtype
			OR attname ~ '(^|_)id$' AND atttypid NOT IN ('bigint'::regtype, 'text'::regtype));
SELECT seqrelid::regclass AS short_or_cycling FROM pg_sequence WHERE seqrelid IN (SELECT objid FROM member)
	AND (seqtypid <> 'bigint'::regtype OR seqcycle OR seqcache <> 1);
-- tables have a primary key (node has one row, and an index that says so), are logged, and are nobody's child
SELECT oid::regclass AS lacks_primary_key FROM pg_class c WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) AND relname NOT IN ('node');
SELECT oid::regclass AS not_plain FROM pg_class WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
	AND (relpersistence <> 'p' OR relispartition OR relhassubclass OR relrowsecurity OR relhasrules);
-- every constraint was named by us: table, underscore, what it says
SELECT conrelid::regclass AS of_table, conname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
	WHERE connamespace = 'payments'::regnamespace AND (conname !~ ('^' || relname || '_') OR conname ~ '_check[0-9]*$');

-- nothing of ours lies outside our schema (but the schema itself)
SELECT pg_describe_object(classid, objid, 0) AS astray FROM member
	WHERE classid <> 'pg_namespace'::regclass AND CASE classid
		WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = objid)
		WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = objid)
		WHEN 'pg_type'::regclass THEN (SELECT typnamespace FROM pg_type WHERE oid = objid)
		END IS DISTINCT FROM 'payments'::regnamespace;
-- and nothing in our schema is not ours
SELECT c.oid::regclass AS stranger FROM pg_class c WHERE relnamespace = 'payments'::regnamespace AND relkind IN ('r', 'v', 'S', 'f', 'p', 'm')
	AND c.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass);
SELECT oid::regprocedure AS stranger FROM pg_proc WHERE pronamespace = 'payments'::regnamespace
	AND oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass);

-- guards bind everybody: ENABLE ALWAYS, and on every table that records what happened, all three
SELECT tgrelid::regclass AS of_table, tgname AS not_always FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'payments'::regnamespace AND NOT tgisinternal AND tgenabled <> 'A';
SELECT c.oid::regclass AS can_be_deleted_from FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & (2 | 8) = (2 | 8))
		AND relname NOT IN ('merchant', 'buyer', 'seller', 'node', 'event_consumer',	-- reference, and offsets
			'psp_call_queue', 'psp_call_deposit', 'ledger_hold_open', 'webhook_queue',	-- hot: rows come and go
			'webhook_body',	-- goes after a month
			'refund_account',	-- goes with the end of its refund
			'ledger_balance', 'ledger_snapshot', 'ledger_stray', 'ledger_horizon', 'wallet')	-- sums that can be built anew
	ORDER BY 1::text;
SELECT c.oid::regclass AS can_be_truncated FROM pg_class c
	WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgtype & 32 = 32)
		AND relname NOT IN ('merchant', 'buyer', 'seller', 'node', 'event_consumer', 'ledger_balance', 'wallet',
			'ledger_snapshot', 'ledger_stray', 'ledger_horizon', 'ledger_hold_open', 'cluster', 'worker_epoch')
	ORDER BY 1::text;
SELECT tgrelid::regclass AS of_table, tgname AS derives_on_insert FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'payments'::regnamespace AND NOT tgisinternal AND tgtype & 4 = 4 AND tgtype & 2 = 2;
-- a trigger function can do nothing when it is called in another way
SELECT oid::regprocedure, t.code FROM pg_proc, test.try(format('SELECT %s', oid::regprocedure)) t
	WHERE pronamespace = 'payments'::regnamespace AND prorettype = 'trigger'::regtype AND t.code <> '39P01';

-- views hide what they filter from leaky functions
SELECT oid::regclass AS leaks FROM pg_class WHERE relnamespace = 'payments'::regnamespace AND relkind = 'v'
	AND NOT coalesce('security_barrier=true' = ANY (reloptions), false);
-- no C symbol is used twice, and each has our prefix
SELECT prosrc FROM pg_proc WHERE pronamespace = 'payments'::regnamespace AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
	AND (prosrc !~ '^payments_' OR prosrc <> 'payments_' || proname);

-- settings: ours are all here, and those that decide where money goes are out of a session's reach
SELECT name FROM pg_settings WHERE name ~ '^payments\.' AND context <> 'sighup'
	AND name <> 'payments.maintenance';	-- is there when preloaded, and takes a restart
SELECT count(*) > 5 AS several, bool_and(short_desc ~ '\.$') AS sentences FROM pg_settings WHERE name ~ '^payments\.';
SET payments.no_such_setting = 1;	-- fails
