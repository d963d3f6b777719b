# Books: the whole of the ledger as rows, and the rows as the model's lines.
#
# Ids and times of day are left out, so that the same program makes the same
# lines.
package Books;

use strict;
use warnings;

use JSON::PP;

use Model;

my $json = JSON::PP->new->canonical->allow_nonref;

sub accounts
{
	return q(SELECT a.code, a.kind, a.currency, CASE WHEN count(b.stripe) = min(b.stripes) THEN min(b.stripes) END,
		min(b.state), min(b.floor), min(b.ceiling), sum(b.held), sum(b.balance)
		FROM payments.ledger_account a LEFT JOIN payments.ledger_balance b ON b.account_id = a.id
		GROUP BY a.id);
}

sub transactions
{
	return q(SELECT t.id, CASE WHEN t.transaction_key LIKE 'hold:%' THEN 'hold:' || (SELECT hold_key
			FROM payments.ledger_hold WHERE id = substring(t.transaction_key FROM 6)::bigint)
			ELSE t.transaction_key END, t.kind, t.order_id, t.description, t.metadata,
		CASE WHEN t.effective_at = t.recorded_at THEN 'now' ELSE extract(epoch FROM t.effective_at)::bigint::text END,
		t.reverses_id, (SELECT string_agg(a.code || ' ' || e.currency || ' ' || e.amount, '|')
			FROM payments.ledger_entry e JOIN payments.ledger_account a ON a.id = e.account_id
			WHERE e.transaction_id = t.id)
		FROM payments.ledger_transaction t);
}

sub events
{
	return q(SELECT a.code, e.event, e.state, e.stripes, e.floor, e.ceiling, e.reason
		FROM payments.ledger_account_event e JOIN payments.ledger_account a ON a.id = e.account_id);
}

sub holds
{
	return q(SELECT h.hold_key, a.code, h.amount, h.order_id, h.description, h.metadata, e.outcome, e.amount, e.reason
		FROM payments.ledger_hold h JOIN payments.ledger_account a ON a.id = h.account_id
			LEFT JOIN payments.ledger_hold_end e ON e.hold_id = h.id);
}

# Rows of those queries as the model's lines
sub lines
{
	my ($class, $kind, $rows) = @_;
	my $line = { accounts => \&account_line, transactions => \&transaction_line, events => \&event_line,
		holds => \&hold_line }->{$kind};
	my %by_id = map { $_->[0] => $_ } @$rows;

	return sort map { $json->encode($line->($_, \%by_id)) } @$rows;
}

sub account_line
{
	my ($row) = @_;
	return [ 'account', @$row[ 0 .. 2 ], defined $row->[3] ? $row->[3] + 0 : undef, $row->[4],
		map { defined ? '' . Model::thousandths($_) : undef } @$row[ 5 .. 8 ] ];
}

sub transaction_line
{
	my ($row, $by_id) = @_;
	my (undef, undef, @rest) = @$row;

	return [ 'transaction', key_of($row->[0], $by_id), @rest[ 0 .. 2 ],
		defined $rest[3] ? $json->decode($rest[3]) : undef, $rest[4],
		defined $rest[5] ? key_of($rest[5], $by_id) : undef,
		sort map { s/([\d.-]+)$/Model::thousandths($1)/er } split /\|/, $rest[6] // '' ];
}

sub event_line
{
	my ($row) = @_;
	return [ 'event', @$row[ 0 .. 2 ], $row->[3] + 0,
		map({ defined ? '' . Model::thousandths($_) : undef } @$row[ 4, 5 ]), $row->[6] ];
}

sub hold_line
{
	my ($row) = @_;
	my ($key, $account, $amount, $order_id, $description, $metadata, $outcome, $taken, $reason) = @$row;

	return [ 'hold', $key, $account, '' . Model::thousandths($amount), $order_id, $description,
		defined $metadata ? $json->decode($metadata) : undef, $outcome,
		defined $taken ? '' . Model::thousandths($taken) : undef, $reason ];
}

# A key without the id that may be in it
sub key_of
{
	my ($id, $by_id) = @_;
	my $key = $by_id->{$id}[1];

	return $key =~ /^reversal:(\d+)$/ ? 'reversal:' . key_of($1, $by_id) : $key;
}

1;
