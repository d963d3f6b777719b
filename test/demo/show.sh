# show.sh
#	How the demo speaks: prose, the SQL that is run, results, what was expected.
#	Sourced by run.
#
# The application's statements are shown and then run, the same text by the
# same role.  What Toss did comes from the simulator's records alone.
#
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
failures=0
table=(-P footer=off -P linestyle=unicode -P border=1 -P unicode_border_linestyle=single)

bold='' red='' green='' blue='' plain=''
if [ -t 1 ]; then
	bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' blue=$'\e[34m' plain=$'\e[0m'
fi

title()
{
	local rule

	printf -v rule '%*s' $((95 - ${#1})) ''
	printf '\n%s── %s %s%s\n\n' "$bold" "$1" "${rule// /─}" "$plain"
}

tell()
{
	printf '%s\n' "$@"
}

# Indent a result.  Dropped are the empty line that psql ends a table with, the
# rule of a table without columns, and fields of errors meant for programs.
indent()
{
	sed -e '/^$/d' -e '/^──$/d' -e '/^[A-Z ]* NAME: /d' -e '/^LOCATION: /d' \
		-e 's/^/    /'
}

# connect ROLE PSQL-OPTION...: errors with SQLSTATE, detail and hint
connect()
{
	PGUSER=$1 psql -X -q -v ON_ERROR_STOP=1 -v VERBOSITY=verbose \
		-v SHOW_CONTEXT=never "${@:2}" 2>&1
}

# ask SQL: one value, quietly
ask()
{
	connect shop_books -At -c "$1"
}

# shown ROLE [PSQL-OPTION...]: show the SQL of standard input, run it as that
# role, show what comes.  An error is a result like any other.
shown()
{
	local sql

	sql=$(cat)
	show_sql "$sql"
	{ connect "$1" "${table[@]}" "${@:2}" <<<"$sql" || true; } | indent
	tell
}

app()
{
	shown shop_app "$@"
}

till()
{
	shown shop_till "$@"
}

show_sql()
{
	local line

	while IFS= read -r line; do
		printf '  %s│ %s%s\n' "$blue" "$line" "$plain"
	done <<<"$1"
}

# The same as the auditor, from a file, without showing the statement
books()
{
	connect shop_books "${table[@]}" "$@" | indent
	tell
}

# expect WHAT WANTED FOUND: say how it ended, and remember if it was not so.
expect()
{
	if [ "$2" = "$3" ]; then
		printf '  %s✓%s %s: %s\n' "$green" "$plain" "$1" "$3"
	else
		printf '  %s✗ %s: %s, but it should be %s%s\n' "$red" "$1" "$3" "$2" \
			"$plain"
		failures=$((failures + 1))
	fi
}

# expect_soon WHAT WANTED SQL: the same of one value that becomes so, when the
# worker has done its part
expect_soon()
{
	local i found

	for ((i = 0; i < 300; i++)); do
		found=$(ask "$3")
		[ "$found" != "$2" ] || break
		sleep 0.1
	done
	expect "$1" "$2" "$found"
}

# sqlstate_of ROLE SQL: the SQLSTATE that the statement fails with
sqlstate_of()
{
	{ connect "$1" -At -c "$2" || true; } |
		sed -n 's/^.*ERROR:  \([0-9A-Z]\{5\}\): .*/\1/p'
}

status_of()
{
	ask "SELECT status FROM payments.payment WHERE order_id = '$1'"
}

amount_of()
{
	ask "SELECT amount FROM payments.payment WHERE order_id = '$1'"
}

payment_key_of()
{
	ask "SELECT payment_key FROM payments.payment WHERE order_id = '$1'"
}

# 1234567 to 1,234,567
won()
{
	sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"
}

#
# Toss, or what stands in for it
#

# control PATH [BODY]
control()
{
	curl -sS --fail-with-body --max-time 10 ${2+-d "$2"} "$TOSS_CONTROL_URL/$1"
}

# member NAME: a member of the JSON object on standard input
member()
{
	sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"
}

# buyer_pays ORDER METHOD: the buyer authenticates in Toss's window.  Sets key
# and amount, as the success redirect carries them.
buyer_pays()
{
	amount=$(amount_of "$1")
	key=$(control pay "{\"orderId\":\"$1\",\"amount\":$amount,\"method\":\"$2\"}" |
		member paymentKey)
	redirect "$1" "$amount"
}

redirect()
{
	tell "  Browser ← Toss   /success?orderId=$1&amount=$2&paymentKey=$key" ""
}

# webhooks_arrive ORDER: what Toss tells of it reaches the shop's page
webhooks_arrive()
{
	connect shop_app -At -v order="$1" -v webhooks="$(control webhooks)" \
		-f "$here/webhooks.sql"
}

# What Toss's own records say of an order, one line a request
toss_did()
{
	connect shop_books -At -v order="$1" \
		-v requests="$(control requests)" -v journal="$(control journal)" \
		-f "$here/toss.sql"
	tell
}

# How often Toss charged for an order
charges_of()
{
	control journal | grep -c "^{\"kind\":\"charge\".*\"orderId\":\"$1\"" || true
}
