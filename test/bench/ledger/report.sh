# report.sh
#	The ledger's benchmark as tables, and what has to hold afterwards for them
#	to count.  Sourced, never run.
#
# shellcheck shell=bash

describe()
{
	sql <<-'SQL'
		SELECT format('payments %s, PostgreSQL %s, shared_buffers %s, fsync %s, synchronous_commit %s, full_page_writes %s',
			payments.version(), current_setting('server_version'), current_setting('shared_buffers'),
			current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes'));
	SQL
	echo "$(uname -sr), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	echo "load average at the start: $(cut -d ' ' -f 1-3 /proc/loadavg)"
	echo "$rounds rounds of $seconds s each; $accounts accounts; $transfers transfers loaded first," \
		"$small in the small ledger and $large in the large one; clients on the same cores"
	[ -n "${PGLEDGER_SQL-}" ] || echo "PGLEDGER_SQL is not set: nothing is compared with pgledger"
	echo
}

# table HEADING: the lines that follow on the standard input, "item side title"
rows()
{
	local item side title

	while read -r item side title; do
		[ -e "$files/$item.$side" ] || continue
		printf '| %-46s | %8.0f | %8s | %8.1f | %8.0f | %7.1f | %6.2f | %8.0f |\n' "$title" \
			"$(median 1 "$item" "$side")" "$(versus "$item" "$side")" "$(median 2 "$item" "$side")" \
			"$(median 3 "$item" "$side")" "$(median 4 "$item" "$side")" \
			"$(median 5 "$item" "$side")" "$(median 6 "$item" "$side")"
	done
}

# ratio COLUMN ITEM SIDE OTHER: the median of the rounds' ratios, or nothing
ratio()
{
	[ -e "$files/$2.$3" ] && [ -e "$files/$2.$4" ] || return 0
	paste -d ' ' "$files/$2.$3" "$files/$2.$4" | awk -v n="$1" '{ print $n / $(n + 6) }' |
		sort -n | awk '{ v[NR] = $1 }
			END { printf "%.2f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

versus()
{
	ratio 1 "$1" "$2" pgledger
}

report()
{
	local kind

	printf '\n| %-46s | %8s | %8s | %8s | %8s | %7s | %6s | %8s |\n' "each per transfer" "per s" \
		"pgledger" "CPU us" "WAL B" "records" "images" "disk B"
	echo "|---|---:|---:|---:|---:|---:|---:|---:|"
	rows <<-'ROWS'
		one-off		ours		1 client, commits not waited for
		one-off		bare		- bare INSERT
		one-off		update		- simple-update
		one-off		pgledger	- pgledger
		one			ours		1 client
		one			bare		- bare INSERT
		one			update		- simple-update
		one			pgledger	- pgledger
		uniform		ours		16 clients
		uniform		bare		- bare INSERT
		uniform		update		- simple-update
		uniform		pgledger	- pgledger
		hot			striped		16 clients, one account in all, striped
		hot			exact		16 clients, one account in all, exact
		hot			pgledger	- pgledger
		three		ours		16 clients, three entries
		three		pgledger	- pgledger, two transfers in a call
		batch-10	ours		1 client, batches of 10
		batch-10	bare		- bare INSERT
		batch-10	pgledger	- pgledger
		batch-100	ours		1 client, batches of 100
		batch-100	bare		- bare INSERT
		batch-100	pgledger	- pgledger
		batch-1000	ours		1 client, batches of 1,000
		batch-1000	bare		- bare INSERT
		batch-1000	pgledger	- pgledger
		batches		ours		16 clients, batches of 100
		batches		striped		- every account striped
		batches		bare		- bare INSERT
		batches		pgledger	- pgledger
		size		small		1 client, commits not waited for, small ledger
		size		big			1 client, commits not waited for, large ledger
	ROWS
	printf '\n| %-46s | %8s | %8s | %8s | %8s |\n' "an account with $transfers entries" "per s" "CPU us" "p50 ms" "p99 ms"
	echo "|---|---:|---:|---:|---:|"
	for kind in "${reads[@]}"; do
		[ ! -e "$files/read-$kind.ours" ] || read_row "$kind"
	done
	bars
}

read_row()
{
	local titles=("now:balance now" "effective:balance as of a time" "recorded:balance as it was known at a time"
		"both:balance as of a time as known at another" "statement:statement of an hour") title

	for title in "${titles[@]}"; do
		[ "${title%%:*}" != "$1" ] || break
	done
	printf '| %-46s | %8.0f | %8.1f | %8.3f | %8.3f |\n' "${title#*:}" "$(median 1 "read-$1" ours)" \
		"$(median 2 "read-$1" ours)" "$(median 1 "latency-$1" ours)" "$(median 2 "latency-$1" ours)"
}

# bar WHAT LEAST|MOST BAR VALUE
bar()
{
	[ -n "$4" ] || return 0
	awk -v what="$1" -v way="$2" -v bar="$3" -v value="$4" 'BEGIN {
		reached = way == "least" ? value >= bar : value <= bar
		printf "| %-58s | %-5s %6s | %8.2f | %-3s |\n", what, way, bar, value, reached ? "yes" : "no" }'
}

value()
{
	[ ! -e "$files/$2.$3" ] || median "$1" "$2" "$3"
}

# What issue 3 asks for
bars()
{
	local as_of=

	[ ! -e "$files/latency-both.ours" ] || as_of=$(median 1 latency-both ours)
	printf '\n| %-58s | %-12s | %8s | %-3s |\n|---|---|---:|---|\n' "measure" "bar" "here" "met"
	bar "times pgledger's rate, 16 clients" least 5 "$(ratio 1 uniform ours pgledger)"
	bar "times pgledger's rate, one hot account, striped" least 10 "$(ratio 1 hot striped pgledger)"
	bar "times pgledger's rate, 16 clients, batches of 100" least 10 "$(ratio 1 batches ours pgledger)"
	bar "times pgledger's rate, 1 client, batches of 100" least 10 "$(ratio 1 batch-100 ours pgledger)"
	bar "WAL bytes per transfer, 16 clients" most 850 "$(value 3 uniform ours)"
	bar "disk bytes per transfer, indexes included" most 300 "$(value 6 uniform ours)"
	bar "CPU per transfer in us, 1 client, synchronous_commit off" most 60 "$(value 2 one-off ours)"
	bar "share of the bare INSERT's rate, 16 clients" least 0.6 "$(ratio 1 uniform ours bare)"
	bar "as-of balance on both clocks, median in ms" most 1 "$as_of"
	bar "cost (CPU) in the large ledger, times that in the small" most 1.2 "$(ratio 2 size big small)"
	echo
}

check()
{
	if [ -z "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1: ${2:0:500}"
		failed=yes
	fi
}

# nothing WHAT DATABASE OPTION...: a query that finds nothing, and does not fail
nothing()
{
	local found

	found=$(sql -d "$2" "${@:3}" 2>&1) || found+=" (psql failed)"
	check "$1" "$found"
}

# same WHAT DATABASE QUERY SIDE...: are as many there as were sent?
same()
{
	local sent there

	sent=$(cat "${@:4}" | awk '{ n += $1 } END { printf "%d", n }')
	there=$(sql -d "$2" -c "$3")
	check "$1" "$([ "$sent" = "$there" ] || echo "$there are there, $sent were sent")"
}

audit()
{
	local database failed='' copies=()

	for ((round = 0; round <= rounds; round++)); do
		copies+=("bench_small_$round")
	done
	(($(count_checkpoints) == checkpoints)) || check "no checkpoint came between" "there were some"
	same "ours: every transfer is there" "$PGDATABASE" "SELECT count(*) FROM payments.ledger_transaction" \
		"$files"/sent.{ours,exact,striped}
	same "bare: every transfer is there" "$PGDATABASE" "SELECT count(*) FROM bare.ledger_transaction" "$files/sent.bare"
	for database in bench_big "${copies[@]}"; do
		same "$database: every transfer is there" "$database" \
			"SELECT count(*) FROM payments.ledger_transaction" "$files/sent.${database#bench_}"
	done
	for database in "$PGDATABASE" bench_big "${copies[@]}"; do
		nothing "$database: payments.verify() holds" "$database" \
			-c "SELECT * FROM payments.verify() WHERE holds IS NOT TRUE"
	done
	nothing "balances of all times are sums of entries" "$PGDATABASE" \
		-v start="$load_start" -v ms="$load_ms" -f "$here/audit.sql"
	if [ -n "${PGLEDGER_SQL-}" ]; then
		same "pgledger: every transfer is there" bench_pgledger \
			"SELECT count(*) FROM pgledger_transfers" "$files/sent.pgledger"
		nothing "pgledger: balances are sums of entries" bench_pgledger -f "$here/pgledger_audit.sql"
	fi
	[ -z "$failed" ]
}
