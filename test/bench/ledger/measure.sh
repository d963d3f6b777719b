# measure.sh
#	How the ledger's benchmark counts.  Sourced, never run.
#
# One measurement is one line of $files/ITEM.SIDE: transfers per second, server
# CPU in µs, WAL bytes, WAL records, full-page images and disk bytes per
# transfer.  Side A's line n and side B's line n are of the same round.
#
# shellcheck shell=bash

ticks=$(getconf CLK_TCK)
base=0

sql()
{
	psql -X -q -At -v ON_ERROR_STOP=1 "$@"
}

# Seconds that the postmaster and what it started used up to now, those that
# have ended included.  Unlike rates, they suffer little from other load.
cpu()
{
	{ cat "/proc/$server/stat" /proc/[0-9]*/stat 2>/dev/null || true; } |
		awk -v pid="$server" -v hz="$ticks" '
			{ sub(/^.*\) /, "") }
			NR == 1 || $2 == pid { used += $12 + $13 + $14 + $15 }
			END { print used / hz }'
}

wal()
{
	sql -d postgres -c "SELECT wal_bytes || ' ' || wal_records || ' ' || wal_fpi FROM pg_stat_wal"
}

# What the tables of a side and their indexes take
disk()
{
	local of="nspname = 'payments'"

	case $1 in
		bare) of="nspname = 'bare'" ;;
		update | pgledger) of="nspname = 'public'" ;;
	esac
	sql -d "$(database_of "$1")" -c "SELECT sum(pg_total_relation_size(c.oid))
		FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND $of"
}

database_of()
{
	case $1 in
		pgledger | big | loaded) echo "bench_$1" ;;
		small) echo "bench_small_$round" ;;
		update) echo bench_pgbench ;;
		*) echo "$PGDATABASE" ;;
	esac
}

# From now on it counts.
start_counting()
{
	disk_before=$(disk "$1")
	wal_before=$(wal)
	cpu_before=$(cpu)
	started=$EPOCHREALTIME
}

# The clients' processes are gone, and have been reaped: their parent has their
# time, and what they wrote is in the statistics.
wait_until_quiet()
{
	while [ "$(sql -d postgres -c "SELECT count(*) FROM pg_stat_activity WHERE usename = 'bench'")" != 0 ]; do
		sleep 0.05
	done
	sleep 0.1
}

# stop_counting ITEM SIDE TRANSFERS [RATE]: note what they took; without a rate
# it is that of the time since the start.
stop_counting()
{
	local ended=$EPOCHREALTIME

	wait_until_quiet
	[ "$3" -gt 0 ] || { echo "not ok - $1 $2 did nothing"; return 1; }
	awk -v n="$3" -v rate="${4-}" -v seconds="$(awk "BEGIN { print $ended - $started }")" \
		-v cpu="$(awk "BEGIN { print $(cpu) - $cpu_before }")" \
		-v wal="$wal_before $(wal)" -v disk="$disk_before $(disk "$2")" 'BEGIN {
			split(wal, w); split(disk, d)
			printf "%.1f %.2f %.1f %.2f %.3f %.1f\n", rate == "" ? n / seconds : rate,
				cpu / n * 1e6, (w[4] - w[1]) / n, (w[5] - w[2]) / n, (w[6] - w[3]) / n,
				(d[2] - d[1]) / n }' | tee -a "$files/$1.$2" |
		awk -v what="$1 $2" '{ printf "\t%-24s %8.0f/s %8.1f us\n", what, $1, $2 }'
}

# new_base: the beginning of keys that nobody has used, ten digits
new_base()
{
	base=$((base < EPOCHSECONDS ? EPOCHSECONDS : base + 1))
}

# run_pgbench SIDE CLIENTS COMMIT OPTION...: sets rate, and done to the number
# of its transactions.
run_pgbench()
{
	new_base
	PGUSER=bench PGOPTIONS="-c synchronous_commit=$3" \
		pgbench -n -M prepared -c "$2" -j $(($2 < 2 ? 1 : 2)) -D n=0 -D base="$base" \
		-D accounts="$accounts" "${@:4}" "$(database_of "$1")" >"$files/pgbench" 2>&1 ||
		{ cat "$files/pgbench"; return 1; }
	! grep -q 'aborted' "$files/pgbench" || { cat "$files/pgbench"; return 1; }
	rate=$(sed -n 's/^tps = \([0-9.]*\) .*/\1/p' "$files/pgbench")
	done=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$files/pgbench")
}

# What pgbench has to run for a side and a kind of work
script_of()
{
	case $1 in
		bare) script=(-f "$here/bare.sql") ;;
		update) script=(-b simple-update) ;;
		pgledger) script=(-f "$here/pgledger_$2.sql") ;;
		exact) script=(-f "$here/$2.sql" -D hot=asset:hot) ;;
		striped) script=(-f "$here/$2.sql" -D hot=psp:hot) ;;
		*) script=(-f "$here/$2.sql") ;;
	esac
}

# measure ITEM CLIENTS COMMIT WORK SIDE EXTENT...
measure()
{
	script_of "$5" "$4"
	start_counting "$5"
	run_pgbench "$5" "$2" "$3" "${@:6}" "${script[@]}"
	stop_counting "$1" "$5" "$done" "$rate"
	case $5-$4 in
		small-*) echo "$done" >>"$files/sent.small_$round" ;;
		pgledger-three) echo $((2 * done)) >>"$files/sent.$5" ;;
		*) echo "$done" >>"$files/sent.$5" ;;
	esac
}

# Calls with arrays of SIZE transfers, made before the clock starts: a driver
# has them at hand.
write_batches()
{
	local side=$1 client=$2 batches=$3 size=$4

	new_base
	awk -v side="$side" -v batches="$batches" -v size="$size" -v accounts="$accounts" \
		-v seed="$RANDOM$client" -v base="$base" -v client="$(printf %02d "$client")" \
		-v account="$([ "$side" = striped ] && echo psp: || echo liability:)" '
		BEGIN {
			srand(seed)
			if (side == "pgledger")
				print "PREPARE batch (transfer_request[]) AS SELECT id FROM pgledger_create_transfers($1);"
			else if (side == "bare")
				print "PREPARE batch (text[], int[], numeric[]) AS" \
					" WITH k AS (SELECT n, key, nextval(\047bare.ledger_transaction_id_seq\047) AS id" \
					" FROM unnest($1) WITH ORDINALITY k (key, n))," \
					" h AS (INSERT INTO bare.ledger_transaction (id, transaction_key, kind, effective_at, recorded_at)" \
					" SELECT id, key, \047transfer\047, now(), now() FROM k)" \
					" INSERT INTO bare.ledger_entry (transaction_id, account_id, entry_no, entry_count, currency, amount)" \
					" SELECT k.id, e.account_id, (e.n + 1) % 2 + 1, 2, \047KRW\047, e.amount" \
					" FROM unnest($2, $3) WITH ORDINALITY e (account_id, amount, n) JOIN k ON k.n = (e.n + 1) / 2;"
			else
				print "PREPARE batch (text[], text[], int[], text[], numeric[]) AS" \
					" SELECT id FROM payments.post_batch($1, $2, $3, $4, $5);"
			for (b = 0; b < batches; b++)
			{
				keys = kinds = counts = names = ids = amounts = rows = ""
				for (i = 0; i < size; i++)
				{
					comma = i == 0 ? "" : ","
					x = int(rand() * accounts)
					y = (x + 1 + int(rand() * (accounts - 1))) % accounts
					amount = 1 + int(rand() * 100000)
					keys = keys comma base sprintf("%07d", ++n) client
					kinds = kinds comma "transfer"
					counts = counts comma 2
					names = names comma account x "," account y
					ids = ids comma x + 1 "," y + 1
					amounts = amounts comma amount ",-" amount
					rows = rows comma "\"(pgla_01JTVST7XAES5BXHWZN4" (x + 100000) \
						",pgla_01JTVST7XAES5BXHWZN4" (y + 100000) "," amount ")\""
				}
				if (side == "pgledger")
					printf "EXECUTE batch (\047{%s}\047);\n", rows
				else if (side == "bare")
					printf "EXECUTE batch (\047{%s}\047, \047{%s}\047, \047{%s}\047);\n", keys, ids, amounts
				else
					printf "EXECUTE batch (\047{%s}\047, \047{%s}\047, \047{%s}\047, \047{%s}\047, \047{%s}\047);\n",
						keys, kinds, counts, names, amounts
			}
		}' >"$files/batch.$client"
}

# measure_batches ITEM CLIENTS SIZE SIDE: many clients send four times as much, so
# that their sessions last, too
measure_batches()
{
	local transfers=$(($2 > 1 ? batched * 4 : batched)) client pids=()
	local batches=$(((transfers + $2 * $3 - 1) / ($2 * $3)))

	for ((client = 1; client <= $2; client++)); do
		write_batches "$4" "$client" "$batches" "$3"
	done
	start_counting "$4"
	for ((client = 1; client <= $2; client++)); do
		PGUSER=bench sql -d "$(database_of "$4")" -o /dev/null -f "$files/batch.$client" &
		pids+=($!)
	done
	wait_for "${pids[@]}"
	stop_counting "$1" "$4" $((batches * $2 * $3))
	echo $((batches * $2 * $3)) >>"$files/sent.$4"
}

wait_for()
{
	local pid

	for pid; do
		wait "$pid" || { echo "not ok - a client failed"; return 1; }
	done
}

# Latency in ms, from pgbench's log
percentile()
{
	cat "$files/latency".* | awk '{ print $3 / 1000 }' | sort -n | awk -v p="$1" '{ v[NR] = $1 }
		END { i = int(NR * p / 100); print v[i < 1 ? 1 : i] }'
}

# median COLUMN ITEM SIDE
median()
{
	awk -v n="$1" '{ print $n }' "$files/$2.$3" | sort -n | awk '{ v[NR] = $1 }
		END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
