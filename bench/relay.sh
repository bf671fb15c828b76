#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The relay's floor: pgbench -S, 8 clients, through one worker thread, pgbouncer (session) and haproxy (TCP),
# one after the other, several rounds, in one run. Prints transactions per second, processor time per
# transaction and the ratio to pgbouncer.
#   bench/relay.sh BUILD_DIR [SECONDS] [ROUNDS]        as root; needs postgresql-15, pgbouncer, haproxy
set -euo pipefail
build=${1:?usage: bench/relay.sh BUILD_DIR [SECONDS] [ROUNDS]}
seconds=${2:-10}
rounds=${3:-3}
bin=/usr/lib/postgresql/15/bin
work=$(mktemp -d /tmp/sallyport_relay_XXXXXX)
chmod 755 "$work"
pids=()
# exec where it goes to the background: $! is then the program itself, to be measured and killed.
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
exec_as_postgres() { exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  [ -f "$work/data/postmaster.pid" ] && kill -INT "$(head -1 "$work/data/postmaster.pid")" 2>/dev/null || true
  sleep 1
  rm -rf "$work"
}
trap cleanup EXIT

install -d -o postgres "$work/data" "$work/sock" "$work/bouncer"
as_postgres "$bin/initdb" -D "$work/data" -A trust -U postgres >"$work/initdb.log"
pg=15641 relay=15642 record=15643 bouncer=15644 haproxy=15645
exec_as_postgres "$bin/postgres" -D "$work/data" -p $pg -k "$work/sock" -c listen_addresses=127.0.0.1 \
  -c fsync=off -c max_connections=200 >"$work/postgres.log" 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h 127.0.0.1 -p $pg && break; sleep 0.1; done
"$bin/pgbench" -i -q -s 1 -h 127.0.0.1 -p $pg -U postgres postgres 2>"$work/init.log"

cat >"$work/bouncer/pgbouncer.ini" <<INI
[databases]
* = host=127.0.0.1 port=$pg
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 1000
default_pool_size = 200
log_connections = 0
log_disconnections = 0
logfile = $work/bouncer/log
INI
sed -i 's/^\* = /postgres = user=postgres dbname=postgres /' "$work/bouncer/pgbouncer.ini"
cat >"$work/haproxy.cfg" <<CFG
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
frontend in
  bind 127.0.0.1:$haproxy
  default_backend out
backend out
  server pg 127.0.0.1:$pg
CFG
declare -A port pid tps cpu
port=([direct]=$pg [relay]=$relay [record]=$record [pgbouncer]=$bouncer [haproxy]=$haproxy)
"$build/bench/relay_bench" $relay $pg >"$work/relay.log" & pid[relay]=$!
"$build/bench/relay_bench" $record $pg --record >"$work/record.log" & pid[record]=$!
exec_as_postgres pgbouncer "$work/bouncer/pgbouncer.ini" >"$work/bouncer.log" 2>&1 & pid[pgbouncer]=$!
haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 & pid[haproxy]=$!
pids=("${pid[@]}")
sleep 1

ticks() { [ "$1" = direct ] && echo 0 && return; awk '{print $14 + $15}' "/proc/${pid[$1]}/stat"; }
hz=$(getconf CLK_TCK)
for protocol in simple extended prepared; do
  for name in direct relay record pgbouncer haproxy; do tps[$name]=0 cpu[$name]=0; done
  for _ in $(seq "$rounds"); do
    for name in relay pgbouncer haproxy record direct; do
      before=$(ticks $name)
      out=$("$bin/pgbench" -n -S -M $protocol -c 8 -j 1 -T "$seconds" -h 127.0.0.1 -p "${port[$name]}" -U postgres postgres 2>&1) ||
        { echo "$name: $out"; exit 1; }
      after=$(ticks $name)
      rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$out")
      count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$out")
      tps[$name]=$(awk "BEGIN{print ${tps[$name]} + $rate / $rounds}")
      cpu[$name]=$(awk "BEGIN{print ${cpu[$name]} + ($after - $before) * 1e6 / $hz / $count / $rounds}")
    done
  done
  printf '%-9s %-10s %10s %12s %14s %14s\n' mode through tps us_cpu/tx tps/pgbouncer cpu/pgbouncer
  for name in direct haproxy pgbouncer relay record; do
    awk -v m=$protocol -v n=$name -v t="${tps[$name]}" -v c="${cpu[$name]}" -v bt="${tps[pgbouncer]}" -v bc="${cpu[pgbouncer]}" \
      'BEGIN{printf "%-9s %-10s %10.0f %12.1f %14.2f %14.2f\n", m, n, t, c, t / bt, c / bc}'
  done
done
