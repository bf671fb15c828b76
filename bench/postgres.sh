#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sallyport (one worker; policy, masks, detectors and recording on) beside its peers, in one run: straight to the
# server, through haproxy (TCP) and pgbouncer (session).
#   bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS] [PART…]        as root
# Parts, all by default: transactions, rows (a million of them), latency, idle (connections), others (who are no agents).
. "$(dirname "$0")/lib.sh"
usage="usage: bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS] [PART…]"
sallyport=$(realpath "${1:?$usage}")
seconds=${2:-5} rounds=${3:-3}
shift $(($# < 3 ? $# : 3))
parts=${*:-transactions rows latency idle others}
client=$here/client.py
sql() { "$bin/psql" -XAtq -h 127.0.0.1 -p "${port[direct]}" -U postgres postgres -c "$1"; }
# median of the numbers on standard input
median() { sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

# A million rows: bytes a second, the median of the rounds.
rows() {
  sql "CREATE TABLE wide AS SELECT i AS id, 'name ' || i AS name, 'user' || i || '@example.com' AS email,
    lpad((i % 1000)::text, 3, '1') || '-45-' || lpad((i % 10000)::text, 4, '0') AS ssn,
    repeat('note ', 8) AS note FROM generate_series(1, 1000000) i"
  sql 'VACUUM ANALYZE wide'
  drained "SELECT id, name, email, ssn, note FROM wide" haproxy direct pgbouncer sallyport "sallyport, two masked"
  local format
  for format in text csv binary; do
    drained "COPY wide TO STDOUT (FORMAT $format)" haproxy sallyport "sallyport, two masked"
  done
}
# drained STATEMENT WAY…
drained() {
  local statement=$1 name where rate base=
  shift
  printf '%-22s %10s %14s   %s\n' "million rows through" MB/s MB/s/haproxy "$statement"
  for name; do
    case $name in
      sallyport) where=127.0.0.2 ;;
      sallyport,*) where=127.0.0.3 ;;
      *) where=127.0.0.1 ;;
    esac
    rate=$(for _ in $(seq "$rounds"); do
      through "${name%,*}" "$client" drain $where "${port[${name%,*}]}" "$statement"
    done | awk '{print $2 / $1 / 1e6}' | median)
    base=${base:-$rate}
    awk -v n="$name" -v r="$rate" -v b="$base" 'BEGIN{printf "%-22s %10.0f %14.2f\n", n, r, r / b}'
  done
}

# One client: a one-row query, and a connection.
latency() {
  local name times connects
  printf '%-12s %22s %26s %26s\n' "us through" "one row p50 p99" "connect() p50 p99" "logged in p50 p99"
  for name in direct haproxy pgbouncer sallyport; do
    rm -f "$work"/latency.*
    (cd "$work" && through "$name" "$bin/pgbench" -n -S -c 1 -T "$seconds" -l --log-prefix="$work/latency" -h 127.0.0.1 \
      -p "${port[$name]}" -U postgres postgres >/dev/null 2>&1)
    times=$(cat "$work"/latency.* | awk '{print $3}' | sort -n | awk '{v[NR] = $1} END {print v[int(NR / 2)], v[int(NR * 0.99)]}')
    connects=$(through "$name" "$client" connect 127.0.0.1 "${port[$name]}" 500)
    # shellcheck disable=SC2086
    printf '%-12s %15s %6s %19s %6s %19s %6s\n' "$name" $times $connects
  done
}

memory_kib() { awk '/^RssAnon/ {print $2}' "/proc/${pid[sallyport]}/status"; }

# Connections that said one query each and wait.
idle() {
  "$client" serve 15654 >/dev/null 2>"$work/serve.log" &
  wait_for "client.py's server" listening 15654
  local before after count=5000
  before=$(memory_kib)
  coproc HELD { through sallyport "$client" idle 127.0.0.1 15654 $count 2>"$work/idle.log"; }
  local held_pid=$HELD_PID
  read -r _ <&"${HELD[0]}" || { tail -3 "$work/idle.log"; exit 1; }
  sleep 1
  after=$(memory_kib)
  awk -v b="$before" -v a="$after" -v n=$count \
    'BEGIN{printf "%d idle connections: %.1f KiB of the daemon each\n", n, (a - b) / n}'
  kill "$held_pid" 2>/dev/null || true
  wait "$held_pid" 2>/dev/null || true
}

# connect() of a process that is no agent's, with the daemon and its programs there and not there, in turn.
others() {
  "$client" accept 15655 &
  wait_for "client.py's listener" listening 15655
  local i each=50000
  for i in $(seq 10); do
    "$client" plain 127.0.0.1 15655 $each >>"$work/others.with"
    kill "${pid[sallyport]}"
    wait "${pid[sallyport]}" 2>/dev/null || true
    rm -rf "$work"/bpf/sallyport
    "$client" plain 127.0.0.1 15655 $each >>"$work/others.without"
    start_sallyport "$sallyport"
    through sallyport true  # an agent's cgroup exists, with its programs
  done
  for i in with without; do
    printf 'connect() of no agent, %-7s sallyport: p50 %s us, p99 %s us (medians of 10 times %s)\n' $i \
      "$(awk '{print $1}' "$work/others.$i" | median)" "$(awk '{print $2}' "$work/others.$i" | median)" $each
  done
}

start_postgres 300
start_pgbouncer
start_haproxy
start_sallyport "$sallyport"
for part in $parts; do
  case $part in
    transactions) transactions "$seconds" "$rounds" direct haproxy pgbouncer sallyport ;;
    rows | latency | idle | others) "$part" ;;
    *) echo "$usage" >&2; exit 2 ;;
  esac
done
