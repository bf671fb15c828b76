#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# pgbench -S, 8 clients, in simple, extended and prepared protocol: straight to the server, through haproxy (TCP),
# pgbouncer (session) and sallyport (one worker; policy, column mask, detectors and recording on), in turn, in one run.
#   bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS]        as root
set -euo pipefail
sallyport=$(realpath "${1:?usage: bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS]}")
seconds=${2:-5}
rounds=${3:-3}
bin=/usr/lib/postgresql/15/bin
work=$(mktemp -d /tmp/sallyport_bench_XXXXXX)
chmod 755 "$work"
declare -A pid port tps cpu
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
exec_as_postgres() { exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
cleanup() {
  for one in "${pid[@]}"; do kill "$one" 2>/dev/null || true; done
  [ -f "$work/data/postmaster.pid" ] && kill -INT "$(head -1 "$work/data/postmaster.pid")" 2>/dev/null || true
  sleep 1
  rmdir /sys/fs/cgroup/{,unified/}sallyport.slice/*.scope 2>/dev/null || true
  rm -rf "$work" /sys/fs/bpf/sallyport
  rmdir /sys/fs/cgroup/{,unified/}sallyport.slice 2>/dev/null || true
}
trap cleanup EXIT

pg=15651
port=([direct]=$pg [haproxy]=15652 [pgbouncer]=15653 [sallyport]=$pg)
install -d -o postgres "$work/data" "$work/bouncer"
as_postgres "$bin/initdb" -D "$work/data" -A trust -U postgres >"$work/initdb.log"
exec_as_postgres "$bin/postgres" -D "$work/data" -p $pg -k "$work/data" -c listen_addresses=127.0.0.1 -c fsync=off \
  >"$work/postgres.log" 2>&1 &
for _ in $(seq 100); do "$bin/pg_isready" -q -h 127.0.0.1 -p $pg && break; sleep 0.1; done
"$bin/pgbench" -i -q -s 1 -h 127.0.0.1 -p $pg -U postgres postgres 2>"$work/init.log"

cat >"$work/bouncer/pgbouncer.ini" <<INI
[databases]
postgres = host=127.0.0.1 port=$pg user=postgres dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port[pgbouncer]}
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 1000
default_pool_size = 200
logfile = $work/bouncer/log
INI
cat >"$work/haproxy.cfg" <<CFG
global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen pg
  bind 127.0.0.1:${port[haproxy]}
  server pg 127.0.0.1:$pg
CFG
mkdir -p "$work"/{policy,state,run}
cat >"$work/policy/bench.yaml" <<YAML
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bench}
spec: {workload: [{exec: bench}], minLevel: guarded}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: bench-db}
spec: {protocol: postgres, hosts: ["127.0.0.1:$pg"], masks: [pii]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {name: pii}
spec: {columns: [{column: public.pgbench_history.filler, with: redact}], detect: [{type: email, with: redact}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: bench}
spec:
  agent: bench
  target: bench-db
  allow: [{sql: {statements: [select], tables: ["public.pgbench_*"]}}]
YAML
exec_as_postgres pgbouncer "$work/bouncer/pgbouncer.ini" >"$work/bouncer.log" 2>&1 & pid[pgbouncer]=$!
haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 & pid[haproxy]=$!
"$sallyport" daemon --workers 1 --policy "$work/policy" --state "$work/state" --run-dir "$work/run" \
  >"$work/daemon.log" 2>&1 & pid[sallyport]=$!
for _ in $(seq 100); do [ -S "$work/run/control.sock" ] && break; sleep 0.1; done

ticks() { [ "$1" = direct ] && echo 0 && return; awk '{print $14 + $15}' "/proc/${pid[$1]}/stat"; }
hz=$(getconf CLK_TCK)
names="direct haproxy pgbouncer sallyport"
for protocol in simple extended prepared; do
  for name in $names; do tps[$name]=0 cpu[$name]=0; done
  for _ in $(seq "$rounds"); do
    for name in $names; do
      run=()
      [ $name = sallyport ] && run=("$sallyport" --socket "$work/run/control.sock" exec --allow-root --agent bench --)
      before=$(ticks $name)
      out=$("${run[@]}" "$bin/pgbench" -n -S -M $protocol -c 8 -j 1 -T "$seconds" -h 127.0.0.1 -p "${port[$name]}" \
        -U postgres postgres 2>&1) || { echo "$name: $out"; tail -3 "$work/daemon.log"; exit 1; }
      after=$(ticks $name)
      rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$out")
      count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$out")
      tps[$name]=$(awk "BEGIN{print ${tps[$name]} + $rate / $rounds}")
      cpu[$name]=$(awk "BEGIN{print ${cpu[$name]} + ($after - $before) * 1e6 / $hz / $count / $rounds}")
    done
  done
  printf '%-9s %-10s %10s %12s %14s %14s\n' mode through tps us_cpu/tx tps/pgbouncer cpu/pgbouncer
  for name in $names; do
    awk -v m=$protocol -v n=$name -v t="${tps[$name]}" -v c="${cpu[$name]}" -v bt="${tps[pgbouncer]}" \
      -v bc="${cpu[pgbouncer]}" 'BEGIN{printf "%-9s %-10s %10.0f %12.1f %14.2f %14.2f\n", m, n, t, c, t / bt, c / bc}'
  done
done
