# pg_net_report.sh
#	What is said of pg_net, behind the lines of ours.  Sourced, never run.
#
# Ratios are medians of the rounds' ratios: each was measured side by side.
#
# shellcheck shell=bash

# per_round TITLE EXPRESSION FILE...: the median of what awk makes of $1, $2, ...,
# the files' values in each round
per_round()
{
	local file paths=()

	for file in "${@:3}"; do
		[ -e "$files/$file" ] || return 0
		paths+=("$files/$file")
	done
	paste -d ' ' "${paths[@]}" | awk "{ print $2 }" >"$files/per-round"
	fact "$1" "$(median per-round)"
}

# The better of the batches that were tried is pg_net at its best.
most='($2 > $3 ? $2 : $3)'

# report_pg_net_drain ITEM BATCH BATCH
report_pg_net_drain()
{
	local item=$1 one=net-$1-$2 two=net-$1-$3

	fact "- pg_net as it ships" "$(median "net-$item-ships-rate")"
	fact "- CPU of its worker per call, us" "$(median "net-$item-ships-cpu")"
	fact "- pg_net, $2 in a batch" "$(median "$one-rate")"
	fact "- CPU of its worker per call, us" "$(median "$one-cpu")"
	fact "- pg_net, $3 in a batch" "$(median "$two-rate")"
	fact "- CPU of its worker per call, us" "$(median "$two-cpu")"
	# shellcheck disable=SC2016
	per_round "- times pg_net as it ships" '$1 / $2' "$item-rate" "net-$item-ships-rate"
	[ "$item" != slow ] ||
		# shellcheck disable=SC2016
		per_round "- times pg_net, 1,000 in flight on both sides" '$1 / $2' "$item-rate" "$one-rate"
	per_round "- times pg_net at its best" "\$1 / $most" "$item-rate" "$one-rate" "$two-rate"
}

# In the open loop its pause between batches decides, not their size.
report_pg_net_steady()
{
	fact "- pg_net as it ships, p50 in ms" "$(median net-steady-ships-wire-p50)"
	fact "- p99" "$(median net-steady-ships-wire-p99)"
	fact "- pg_net, 4000 in a batch, p50 in ms" "$(median net-steady-4000-wire-p50)"
	fact "- p99" "$(median net-steady-4000-wire-p99)"
}

report_pg_net_hang()
{
	local batch name

	for batch in ships 4000; do
		name="pg_net, $batch in a batch"
		[ "$batch" != ships ] || name="pg_net as it ships"
		fact "- $name, p50 in ms" "$(difference "net-hang-$batch-wire-p50" "net-steady-$batch-wire-p50")"
		fact "- p99 of the whole" "$(difference "net-hang-$batch-whole-p99" "net-steady-$batch-whole-p99")"
	done
}

report_pg_net_drop()
{
	fact "- pg_net as it ships" "$(median net-drop-ships)"
	fact "- pg_net, 4000 in a batch" "$(median net-drop-4000)"
}
