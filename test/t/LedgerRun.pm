# LedgerRun: a short run of everything that a ledger does, and an auditor of
# its books.  Tests that crash, copy and upgrade a database share it.
#
#	use LedgerRun;
#	my @steps = ledger_steps();
#	$node->safe_psql('shop', $_->{sql}) for @steps;
#	is($node->safe_psql('shop', ledger_audit_sql($node, 'shop')), '', 'sound');
#
# A step is a hash: name; sql, which commits, prepares or finishes at most one
# transaction; and
#
#	session	1: in a second session, which stays open from step to step
#	fails	1: the last statement of sql must fail
#	again	what to run when the run is repeated on books that may have this
#			step or not: sql itself unless given; '' is nothing
#	once	1: repeated only where it is missing
#
# A step that can be repeated prints the same when it is.
#
# The auditor trusts nothing of the extension: it reads the tables.
package LedgerRun;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(ledger_steps ledger_rows_sql ledger_books_sql ledger_audit_sql
  ledger_repeat_sql ledger_repeated differences);

# {"account": ..., "amount": ...} of a list of pairs
sub entries
{
	my @pairs = @_;
	my @entries;

	while (my ($account, $amount) = splice @pairs, 0, 2)
	{
		my $currency = $account =~ /:([A-Z]{3})$/ ? qq(, "currency": "$1") : '';

		push @entries, qq({"account": "$account", "amount": $amount$currency});
	}
	return "'[" . join(', ', @entries) . "]'";
}

sub post
{
	my ($key, @pairs) = @_;
	return "SELECT payments.post('$key', 'run.test', " . entries(@pairs)
	  . ", effective_at => '2020-01-01 00:00+00')";
}

# The id of a ledger transaction, and of an account
sub id_of { return "(SELECT id FROM payments.ledger_transaction WHERE transaction_key = '$_[0]')" }

sub account_of { return "(SELECT id FROM payments.ledger_account WHERE code = '$_[0]')" }

# Rows past every function: header, two entries, and their balances.
sub raw
{
	my ($key, $from, $to, $amount) = @_;
	my ($a, $b) = map { account_of($_) } $from, $to;

	return qq(BEGIN;
		WITH header AS (
			INSERT INTO payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)
			VALUES (nextval('payments.ledger_transaction_id_seq'), '$key', 'run.raw', '2020-01-01 00:00+00', now())
			RETURNING id)
		INSERT INTO payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)
		SELECT id, $a, 1, 2, 'KRW', $amount FROM header UNION ALL SELECT id, $b, 2, 2, 'KRW', -$amount FROM header;
		) . balances_sql($a, $b) . '; COMMIT';
}

sub balances_sql
{
	my ($a, $b) = @_;
	return qq(UPDATE payments.ledger_balance b SET balance = e.total
		FROM (SELECT account_id, sum(amount) AS total FROM payments.ledger_entry GROUP BY account_id) e
		WHERE e.account_id = b.account_id AND b.account_id IN ($a, $b) AND b.balance <> e.total);
}

# The same by COPY, which writes many rows with one record: three headers, with
# twelve entries each.  The ids are those that the sequence draws.
sub copied
{
	my ($key, $from, $to) = @_;
	my ($a, $b) = map { account_of($_) } $from, $to;

	return qq(SELECT current_setting('data_directory') || '/run.copy' AS file \\gset
		BEGIN;
		COPY (SELECT nextval('payments.ledger_transaction_id_seq'), '$key ' || n, 'run.copy', '2020-01-01 00:00+00', now()
			FROM generate_series(1, 3) n) TO :'file';
		COPY payments.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at) FROM :'file';
		COPY (SELECT t.id, CASE WHEN n <= 6 THEN $a ELSE $b END, n, 12, 'KRW', CASE WHEN n <= 6 THEN 5 ELSE -5 END
			FROM payments.ledger_transaction t, generate_series(1, 12) n WHERE t.kind = 'run.copy' ORDER BY t.id, n) TO :'file';
		COPY payments.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount) FROM :'file';
		) . balances_sql($a, $b) . '; COMMIT';
}

# Posts that a handler undoes, three levels deep
my $nested = q(DO $$
	BEGIN
		PERFORM payments.post('nested 1', 'run.test', '[{"account": "asset:a", "amount": 1}, {"account": "asset:n1", "amount": -1}]',
			effective_at => '2020-01-01 00:00+00');
		BEGIN
			PERFORM payments.post('nested 2', 'run.test', '[{"account": "asset:a", "amount": 2}, {"account": "asset:n2", "amount": -2}]',
				effective_at => '2020-01-01 00:00+00');
			BEGIN
				PERFORM payments.post('nested 3', 'run.test', '[{"account": "asset:a", "amount": 4}, {"account": "asset:n3", "amount": -4}]',
					effective_at => '2020-01-01 00:00+00');
				PERFORM 1 / 0;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
			PERFORM payments.post('nested 4', 'run.test', '[{"account": "asset:b", "amount": 8}, {"account": "asset:n3", "amount": -8}]',
				effective_at => '2020-01-01 00:00+00');
			RAISE unique_violation;
		EXCEPTION WHEN unique_violation THEN NULL;
		END;
		PERFORM payments.post('nested 5', 'run.test', '[{"account": "asset:b", "amount": 16}, {"account": "asset:n3", "amount": -16}]',
			effective_at => '2020-01-01 00:00+00');
	END $$);

my @steps = (
	{ name => 'a post', sql => post('plain', 'asset:a', 1000, 'asset:b', -1000) },
	{ name => 'the same again', sql => post('plain', 'asset:a', 1000, 'asset:b', -1000) },
	{ name => 'everything in it', sql => q{SELECT payments.post('full', 'run.test', } .
		  entries('asset:a', 5, 'asset:b', -5, 'asset:a:USD', '12.34', 'asset:b:USD', '-12.34',
			'asset:a:JPY', 7, 'asset:b:JPY', -7) .
		  q[, 'order-1', '2020-01-02 03:04:05+09', 'all of it', '{"why": ["a", 1]}')] },
	{ name => 'twenty entries', sql => post('twenty', map { ("asset:t$_", $_ <= 10 ? 3 : -3) } 1 .. 20) },
	{ name => 'many posts in one transaction',
		sql => q(SELECT count(payments.post('many ' || i, 'run.test', format(
			'[{"account": "asset:hot", "amount": %s}, {"account": "asset:m%s", "amount": %s}]', i, i % 15, -i)::jsonb,
			effective_at => '2020-01-01 00:00+00')) FROM generate_series(1, 25) i) },
	{ name => 'refused: not zero', fails => 1, sql => post('refused', 'asset:a', 1, 'asset:b', -2) },
	{ name => 'refused: other content', fails => 1, sql => post('plain', 'asset:a', 999, 'asset:b', -999) },
	{ name => 'rolled back', sql => 'BEGIN; '
		  . post('never', 'asset:a', 77, 'asset:never', -77) . ' > 0; ROLLBACK' },
	{ name => 'savepoints', sql => 'BEGIN; ' . join('; ',
			post('outer', 'asset:a', 9, 'asset:b', -9),
			'SAVEPOINT s', post('undone', 'asset:a', 50, 'asset:undone', -50) . ' > 0',
			'SAVEPOINT t', post('undone too', 'asset:b', 50, 'asset:undone2', -50) . ' > 0',
			'ROLLBACK TO s', post('inner', 'asset:b', 3, 'asset:late', -3),
			'RELEASE s', post('outer 2', 'asset:a', 1, 'asset:late', -1)) . '; COMMIT' },
	{ name => 'exceptions', sql => $nested },
	{ name => 'prepared', again => '', sql => 'BEGIN; '
		  . post('prepared', 'asset:p1', 11, 'asset:p2', -11) . q(; PREPARE TRANSACTION 'run 1') },
	{ name => 'another one', again => '', sql => 'BEGIN; '
		  . post('given up', 'asset:g1', 13, 'asset:g2', -13) . q(; PREPARE TRANSACTION 'run 2') },
	{ name => 'another session begins', session => 1, again => '',
		sql => 'BEGIN; ' . post('slow 1', 'asset:s1', 21, 'asset:s2', -21) },
	{ name => 'a post meanwhile', sql => post('meanwhile', 'asset:a', 2, 'asset:new', -2) },
	{ name => 'reversed',
		sql => 'SELECT payments.reverse(' . id_of('plain') . q{, 'a mistake')} },
	{ name => 'another session goes on', session => 1, again => '',
		sql => post('slow 2', 'asset:s1', 22, 'asset:s3', -22) },
	{ name => 'a checkpoint', sql => 'CHECKPOINT' },
	{ name => 'prepared: committed', finishes => 'run 1',
		again => post('prepared', 'asset:p1', 11, 'asset:p2', -11), sql => q(COMMIT PREPARED 'run 1') },
	{ name => 'raw rows', once => 1, sql => raw('raw 1', 'asset:a', 'asset:b', 31) },
	{ name => 'copied rows', once => 1, sql => copied('copied', 'asset:a', 'asset:b') },
	{ name => 'another session commits', session => 1,
		again => 'BEGIN; ' . post('slow 1', 'asset:s1', 21, 'asset:s2', -21) . '; '
		  . post('slow 2', 'asset:s1', 22, 'asset:s3', -22) . '; COMMIT',
		sql => 'COMMIT' },
	{ name => 'another one: rolled back', finishes => 'run 2', again => '', sql => q(ROLLBACK PREPARED 'run 2') },
	{ name => 'an array form',
		sql => q(SELECT payments.post_entries('array', 'run.test', ARRAY['asset:a', 'asset:b', 'asset:a:USD', 'asset:b:USD'],
			ARRAY[15, -15, 1.5, -1.5], ARRAY['KRW', 'KRW', 'USD', 'USD'], effective_at => '2020-01-01 00:00+00')) },
	{ name => 'a batch',
		sql => q(SELECT string_agg(id::text, ' ' ORDER BY n) FROM payments.post_batch(
			ARRAY(SELECT 'batch ' || i FROM generate_series(1, 50) i), array_fill('run.batch'::text, ARRAY[50]), array_fill(2, ARRAY[50]),
			ARRAY(SELECT CASE n WHEN 1 THEN 'asset:hot' ELSE 'asset:batch' || i % 7 END FROM generate_series(1, 50) i, generate_series(1, 2) n ORDER BY i, n),
			ARRAY(SELECT CASE n WHEN 1 THEN i ELSE -i END FROM generate_series(1, 50) i, generate_series(1, 2) n ORDER BY i, n),
			effective_ats => array_fill('2020-01-01 00:00+00'::timestamptz, ARRAY[50]))) },
	{ name => 'a batch that is half there',
		sql => q(SELECT string_agg(id::text, ' ' ORDER BY n) FROM payments.post_batch(
			ARRAY['batch 50', 'batch 51'], ARRAY['run.batch', 'run.batch'], ARRAY[2, 2],
			ARRAY['asset:hot', 'asset:batch1', 'asset:a', 'asset:hot'], ARRAY[50, -50, 1, -1],
			effective_ats => array_fill('2020-01-01 00:00+00'::timestamptz, ARRAY[2]))) },
	{ name => 'a part reversed',
		sql => 'SELECT payments.reverse(' . id_of('twenty') . q{, 'a part', } . entries('asset:t1', -2, 'asset:t20', 2) . ')' },
	{ name => 'an account with limits',
		sql => q(SELECT payments.open_account('wallet:7', kind => 'liability', currency => 'KRW', floor => 0, ceiling => 10000, reason => 'run')) },
	{ name => 'money in it', sql => post('deposit', 'asset:a', 500, 'wallet:7', -500) },
	{ name => 'refused: too much', fails => 1, sql => post('too much', 'asset:a', -501, 'wallet:7', 501) },
	{ name => 'a hold', sql => q(SELECT payments.hold('hold 1', 'wallet:7', 200, expires_in => '1 year')) },
	{ name => 'another hold', sql => q(SELECT payments.hold('hold 2', 'wallet:7', 100, expires_in => '1 year')) },
	{ name => 'a third, prepared', again => '',
		sql => q(BEGIN; SELECT payments.hold('hold 3', 'wallet:7', 50, expires_in => '1 year'); PREPARE TRANSACTION 'run 3') },
	{ name => 'a third, committed', finishes => 'run 3',
		again => q(SELECT payments.hold('hold 3', 'wallet:7', 50, expires_in => '1 year')), sql => q(COMMIT PREPARED 'run 3') },
	{ name => 'posted in part', once => 1,
		sql => q{SELECT payments.post_hold((SELECT id FROM payments.ledger_hold WHERE hold_key = 'hold 1'), 'run.hold', }
		  . entries('wallet:7', 150, 'asset:b', -150) . q{, effective_at => '2020-01-01 00:00+00')} },
	{ name => 'voided', once => 1,
		sql => q(SELECT payments.void_hold((SELECT id FROM payments.ledger_hold WHERE hold_key = 'hold 2'), 'run')) },
	{ name => 'a hold for a moment', sql => q(SELECT payments.hold('hold 4', 'wallet:7', 20, expires_in => '1 microsecond')) },
	{ name => 'expired', once => 1, sql => q(SELECT payments.expire_holds()) },
	{ name => 'limits', once => 1, sql => q(SELECT payments.set_account_limits('wallet:7', 10, 9000, 'run')) },
	{ name => 'striped', once => 1, sql => q(SELECT payments.set_account_stripes('asset:hot', 8, 'run')) },
	{ name => 'posts to stripes', sql => q(SELECT count(payments.post('striped ' || i, 'run.test', format(
			'[{"account": "asset:hot", "amount": %s}, {"account": "asset:m%s", "amount": %s}]', i, i % 15, -i)::jsonb,
			effective_at => '2020-01-01 00:00+00')) FROM generate_series(1, 10) i) },
	{ name => 'exact', once => 1, sql => q(SELECT payments.set_account_stripes('asset:hot', 1, 'run')) },
	{ name => 'frozen', once => 1, sql => q(SELECT payments.freeze_account('asset:new', 'run')) },
	{ name => 'refused: frozen', fails => 1, once => 1, sql => post('frozen', 'asset:a', 1, 'asset:new', -1) },
	{ name => 'thawed', once => 1, sql => q(SELECT payments.unfreeze_account('asset:new', 'run')) },
	{ name => 'posted again', sql => post('thawed', 'asset:a', 1, 'asset:new', -1) },
	{ name => 'a large one', sql => q(SELECT payments.post('large', 'run.test', '[{"account": "asset:a", "amount": 1}, {"account": "asset:late", "amount": -1}]',
			effective_at => '2020-01-01 00:00+00', metadata => (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 1000) i))) },
	{ name => 'an empty account', sql => post('emptied', 'asset:a', -3, 'asset:new', 3) },
	{ name => 'closed', once => 1, sql => q(SELECT payments.close_account('asset:new', 'run')) },
	{ name => 'opened again', once => 1, sql => q(SELECT payments.reopen_account('asset:new', 'run')) },
	{ name => 'balances rebuilt', sql => q(SELECT count(*) FROM payments.rebuild_balances()) },
	{ name => 'an assertion', once => 1,
		sql => q(SELECT payments.assert_balance('asset:a', '2020-02-01 00:00+00', 1, 'the bank', 'run')) },
	{ name => 'raw rows, once more', once => 1, sql => raw('raw 2', 'asset:b', 'asset:p1', 17) },
	{ name => 'a merchant', once => 1, sql => q(SELECT payments.set_merchant('default', 'test_ck_run')) },
	{ name => 'a checkout', once => 1,
		sql => q(SELECT amount FROM payments.checkout(7, '[{"seller_id": 1, "amount": 900}]')) },
	{ name => 'a clearing account', once => 1, sql => q(SELECT payments.set_clearing('asset:b', true, 'run')) },
	{ name => 'one that is late', sql => q(SELECT payments.post('late', 'run.test', '[{"account": "asset:hot", "amount": 1}, {"account": "asset:b", "amount": -1}]',
			effective_at => '2019-01-01 00:00+00')) },
	{ name => 'a long one', sql => post('long', ('asset:hot', 1) x 250, 'asset:b', -250) },
	(map { { name => "snapshots $_", once => 1, sql => 'SELECT payments.write_snapshots()' } } 1 .. 4),
	(map { { name => "seal $_", once => 1, sql => 'SELECT payments.seal_ledger(100)' } } 1 .. 2),
	{ name => 'the last post', sql => post('last', 'asset:a', 6, 'asset:z', -6) });

sub ledger_steps { return @steps }

# The run once more, as a script for psql, in books that have all that was done
# up to a step; prepared says which transactions are prepared in them.  Before
# what each step prints comes a line "@ n".
sub ledger_repeat_sql
{
	my ($steps, $upto, @prepared) = @_;
	my %is_prepared = map { $_ => 1 } @prepared;
	my @script;

	for my $i (0 .. $#$steps)
	{
		my $step = $steps->[$i];
		my $sql = $step->{again} // $step->{sql};

		$sql = $step->{sql} if $step->{finishes} && $is_prepared{ $step->{finishes} };
		next if $sql eq '' || $step->{once} && $i <= $upto;
		push @script, "\\echo @ $i", $step->{fails}
		  ? ('\set ON_ERROR_STOP 0', "$sql;", '\set ON_ERROR_STOP 1', '\echo :SQLSTATE') : "$sql;";
	}
	return join "\n", @script;
}

# Which of the steps that had been done did not print the same again
sub ledger_repeated
{
	my ($steps, $upto, %said) = @_;

	return map { "$steps->[$_]{name}: first $steps->[$_]{answer}, then $said{$_}\n" }
	  grep {
		my $step = $steps->[$_];
		defined $said{$_} && defined $step->{answer} && !$step->{again} && !$step->{once}
		  && $said{$_} ne $step->{answer} . ($step->{answer} eq '' ? '' : "\n")
	  } 0 .. $upto;
}

# The first lines that are in the one text only, or in the other
sub differences
{
	my ($expected, $got) = @_;
	my (%expected, %got);

	$expected{$_}++ for split /\n/, $expected;
	$got{$_}++ for split /\n/, $got;
	my @lines = ((map { "missing: $_\n" } grep { !$got{$_} } sort keys %expected),
		(map { "too many: $_\n" } grep { !$expected{$_} } sort keys %got));
	@lines = ("other order or number of equal lines\n") if !@lines && $expected ne $got;
	return join '', splice @lines, 0, 20;
}

# Every row of every table, one a line, as they lie there; not snapshots, which
# no dump has, nor the record of the schema, of which each copy makes its own.
sub ledger_rows_sql
{
	my ($node, $database) = @_;
	my @tables = split /\n/, $node->safe_psql($database, q(
		SELECT relname FROM pg_class WHERE relnamespace = 'payments'::regnamespace AND relkind = 'r'
		AND relname NOT IN ('ledger_snapshot', 'ledger_stray', 'ledger_horizon', 'schema_record') ORDER BY relname));

	return sorted(map { "SELECT '$_ ' || t::text AS row FROM payments.$_ t" } @tables);
}

# What the books say, without numbers that a sequence drew, times of day, and
# the stripe that an amount fell on: equal for two runs of the same steps.
sub ledger_books_sql
{
	my ($node, $database) = @_;
	my @parts = (q(
		SELECT 'transaction ' || concat_ws('|', regexp_replace(t.transaction_key, '^(reversal|hold):[0-9]+', '\1:n'), t.kind, t.order_id, t.description,
				t.metadata, CASE WHEN t.effective_at < '2021-01-01' THEN t.effective_at END, r.transaction_key,
				(SELECT string_agg(concat_ws(' ', e.entry_no, e.entry_count, a.code, e.currency, e.amount, e.order_id), ', ' ORDER BY e.entry_no)
					FROM payments.ledger_entry e JOIN payments.ledger_account a ON a.id = e.account_id WHERE e.transaction_id = t.id)) AS row
		FROM payments.ledger_transaction t LEFT JOIN payments.ledger_transaction r ON r.id = t.reverses_id),
		q(SELECT 'account ' || concat_ws('|', a.code, a.kind, a.currency, min(b.state), max(b.state), count(*), min(b.floor), max(b.ceiling),
				sum(b.held), sum(b.balance))
		FROM payments.ledger_account a JOIN payments.ledger_balance b ON b.account_id = a.id GROUP BY a.id));
	my %more = (
		ledger_account_event => q(SELECT 'account event ' || concat_ws('|', a.code,
				row_number() OVER (PARTITION BY a.code ORDER BY e.id), e.event, e.state, e.floor, e.ceiling, e.stripes, e.reason)
			FROM payments.ledger_account_event e JOIN payments.ledger_account a ON a.id = e.account_id),
		ledger_hold => q(SELECT 'hold ' || concat_ws('|', h.hold_key, a.code, h.currency, h.amount, h.order_id, h.description)
			FROM payments.ledger_hold h JOIN payments.ledger_account a ON a.id = h.account_id),
		ledger_hold_end => q(SELECT 'hold end ' || concat_ws('|', h.hold_key, e.outcome, e.amount, e.reason, e.transaction_id IS NOT NULL)
			FROM payments.ledger_hold_end e JOIN payments.ledger_hold h ON h.id = e.hold_id));

	for my $table (sort keys %more)
	{
		push @parts, $more{$table}
		  if $node->safe_psql($database, "SELECT to_regclass('payments.$table')") ne '';
	}
	return sorted(@parts);
}

sub sorted { return 'SELECT row FROM (' . join(' UNION ALL ', @_) . ') r ORDER BY row COLLATE "C"' }

# A line for everything that is wrong.  Every table is read as a heap; whether
# the indexes say the same is asked of amcheck, where it is installed.
sub ledger_audit_sql
{
	my ($node, $database) = @_;
	my $has_amcheck = $node->safe_psql($database,
		q(SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'));

	return q(
		SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;
		SELECT format('transaction %s: %s adds up to %s', transaction_id, currency, sum(amount))
		FROM payments.ledger_entry GROUP BY transaction_id, currency HAVING sum(amount) <> 0;
		SELECT format('transaction %s: entries %s of %s', t.id, array_agg(e.entry_no ORDER BY e.entry_no), max(e.entry_count))
		FROM payments.ledger_transaction t LEFT JOIN payments.ledger_entry e ON e.transaction_id = t.id GROUP BY t.id
		HAVING count(e.*) < 2 OR count(e.*) <> max(e.entry_count) OR max(e.entry_count) <> min(e.entry_count)
			OR count(DISTINCT e.entry_no) <> count(e.*) OR max(e.entry_no) <> count(e.*);
		SELECT format('entry %s %s: no header', e.transaction_id, e.entry_no)
		FROM payments.ledger_entry e LEFT JOIN payments.ledger_transaction t ON t.id = e.transaction_id WHERE t.id IS NULL;
		SELECT format('entry %s %s: account %s in %s', e.transaction_id, e.entry_no, e.account_id, e.currency)
		FROM payments.ledger_entry e LEFT JOIN payments.ledger_account a ON a.id = e.account_id
		WHERE a.currency IS DISTINCT FROM e.currency;
		SELECT format('key %s: %s times', transaction_key, count(*))
		FROM payments.ledger_transaction GROUP BY transaction_key HAVING count(*) > 1;
		SELECT format('id %s: %s times', id, count(*)) FROM payments.ledger_transaction GROUP BY id HAVING count(*) > 1;
		SELECT format('account %s: %s times', code, count(*)) FROM payments.ledger_account GROUP BY code HAVING count(*) > 1;
		SELECT format('transaction %s: reversed %s times', reverses_id, count(*)) FROM payments.ledger_transaction
		WHERE reverses_id IS NOT NULL GROUP BY reverses_id HAVING count(*) > 1;
		SELECT format('account %s: %s balance rows of %s', a.code, count(b.*), max(b.stripes))
		FROM payments.ledger_account a LEFT JOIN payments.ledger_balance b ON b.account_id = a.id GROUP BY a.id
		HAVING count(b.*) = 0 OR count(b.*) <> max(b.stripes) OR max(b.stripes) <> min(b.stripes)
			OR max(b.stripe) <> count(b.*) - 1 OR count(DISTINCT b.stripe) <> count(b.*);
		SELECT format('account %s: balance %s, entries %s', a.code, b.balance, e.amount)
		FROM payments.ledger_account a
			LEFT JOIN (SELECT account_id, sum(balance) AS balance FROM payments.ledger_balance GROUP BY account_id) b ON b.account_id = a.id
			LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM payments.ledger_entry GROUP BY account_id) e ON e.account_id = a.id
		WHERE coalesce(b.balance, 0) <> coalesce(e.amount, 0);
		SELECT format('account %s: %s on new year''s day, entries %s', a.code, payments.balance(a.code, '2020-01-01 12:00+00'), e.amount)
		FROM payments.ledger_account a
			LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM payments.ledger_entry e JOIN payments.ledger_transaction t ON t.id = e.transaction_id
				WHERE t.effective_at <= '2020-01-01 12:00+00' GROUP BY account_id) e ON e.account_id = a.id
		WHERE payments.balance(a.code, '2020-01-01 12:00+00') <> coalesce(e.amount, 0);
		SELECT format('currency %s: all balances add up to %s', a.currency, sum(b.balance))
		FROM payments.ledger_balance b JOIN payments.ledger_account a ON a.id = b.account_id
		GROUP BY a.currency HAVING sum(b.balance) <> 0;
		SELECT format('sequence of transactions stands at %s, ids at %s', s.last_value, t.last)
		FROM payments.ledger_transaction_id_seq s, (SELECT max(id) AS last FROM payments.ledger_transaction) t WHERE t.last > s.last_value;
	) . (!$has_amcheck ? '' : q(
		SELECT concat_ws(' ', 'heap of', c.relname, v.blkno, v.offnum, v.msg)
		FROM pg_class c, LATERAL verify_heapam(c.oid) v WHERE c.relnamespace = 'payments'::regnamespace AND c.relkind = 'r';
		SELECT 'index' FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		WHERE c.relnamespace = 'payments'::regnamespace AND bt_index_check(i.indexrelid, true)::text <> '';
	)) . q(
		RESET enable_indexscan; RESET enable_indexonlyscan; RESET enable_bitmapscan;
		SELECT format('verify: %s: %s', invariant, counterexample) FROM payments.verify() WHERE NOT holds;
	);
}

1;
