# SPDX-License-Identifier: Apache-2.0
# What the benchmarks share. Source it first, with the script's own arguments: it starts the script again in
# namespaces, a cgroup and a folder ($work) of its own, so that nothing of the machine's is touched and everything
# started ends with the script. Then: start_postgres, start_pgbouncer, start_haproxy, start_sallyport, through, ticks.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
if [ -z "${SALLYPORT_BENCH_WORK:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo "$0: needs root" >&2; exit 2; }
  root=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/self/mounts)
  work=$(mktemp -d /tmp/sallyport_bench_XXXXXX)
  chmod 755 "$work"
  cgroup=$root/$(basename "$work")
  mkdir "$cgroup"
  status=0
  (echo "$BASHPID" >"$cgroup/cgroup.procs" && SALLYPORT_BENCH_WORK=$work exec unshare --mount --cgroup --net --pid \
    --fork --kill-child --mount-proc "$BASH" "$0" "$@") || status=$?
  for _ in $(seq 50); do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -e "$cgroup" ] || break
    sleep 0.1
  done || true
  rm -rf "$work"
  exit "$status"
fi
work=$SALLYPORT_BENCH_WORK
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
ulimit -n "$(ulimit -Hn)"
bin=/usr/lib/postgresql/15/bin
hz=$(getconf CLK_TCK)
declare -A pid port
mkdir "$work"/{cgroup,bpf}
mount -t cgroup2 none "$work/cgroup"
mount -t bpf none "$work/bpf"
ip link set lo up
export PGSSLMODE=disable  # pgbouncer and haproxy would speak in clear anyway, sallyport in TLS with a client that prefers it

as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
# exec where it goes to the background: $! is then the program itself, to be measured.
exec_as_postgres() { exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
# wait_for WHAT COMMAND... : at most ten seconds.
wait_for() {
  local what=$1
  shift
  for _ in $(seq 100); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "not within 10 s: $what" >&2
  tail -5 "$work"/*.log >&2
  exit 1
}
# listening PORT
listening() { ss -Hltn "sport = :$1" | grep -q .; }

# start_postgres CONNECTIONS_MAX : pgbench's tables of scale 1 are made too.
start_postgres() {
  port[direct]=15651
  install -d -o postgres "$work/data"
  as_postgres "$bin/initdb" -D "$work/data" -A trust -U postgres >"$work/initdb.log"
  exec_as_postgres "$bin/postgres" -D "$work/data" -p "${port[direct]}" -k "$work/data" -c "listen_addresses=127.0.0.1,127.0.0.2,127.0.0.3" \
    -c fsync=off -c max_connections="$1" >"$work/postgres.log" 2>&1 &
  wait_for PostgreSQL "$bin/pg_isready" -q -h 127.0.0.1 -p "${port[direct]}"
  "$bin/pgbench" -i -q -s 1 -h 127.0.0.1 -p "${port[direct]}" -U postgres postgres 2>"$work/init.log"
}

start_pgbouncer() {
  port[pgbouncer]=15653
  install -d -o postgres "$work/bouncer"
  cat >"$work/bouncer/pgbouncer.ini" <<INI
[databases]
postgres = host=127.0.0.1 port=${port[direct]} user=postgres dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port[pgbouncer]}
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 10000
default_pool_size = 200
log_connections = 0
log_disconnections = 0
logfile = $work/bouncer/log
INI
  exec_as_postgres pgbouncer "$work/bouncer/pgbouncer.ini" >"$work/bouncer.log" 2>&1 & pid[pgbouncer]=$!
  wait_for pgbouncer listening "${port[pgbouncer]}"
}

start_haproxy() {
  port[haproxy]=15652
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
  server pg 127.0.0.1:${port[direct]}
CFG
  haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 & pid[haproxy]=$!
  wait_for haproxy listening "${port[haproxy]}"
}

# start_sallyport PROGRAM : one worker, recording on. The server is four Targets: at 127.0.0.1 with a column mask and a
# detector, at 127.0.0.2 without masks, at 127.0.0.3 with two masked columns of `wide`; and client.py's at port 15654.
start_sallyport() {
  sallyport=$1
  port[sallyport]=${port[direct]}
  mkdir -p "$work"/{policy,state,run}
  cat >"$work/policy/bench.yaml" <<YAML
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bench}
spec: {workload: [{exec: bench}], minLevel: guarded, loopback: divert}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: bench-db}
spec: {protocol: postgres, hosts: ["127.0.0.1:${port[direct]}", "127.0.0.1:15654"], masks: [pii]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: plain-db}
spec: {protocol: postgres, hosts: ["127.0.0.2:${port[direct]}"]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: masked-db}
spec: {protocol: postgres, hosts: ["127.0.0.3:${port[direct]}"], masks: [wide]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {name: wide}
spec: {columns: [{column: public.wide.email, with: partial}, {column: public.wide.ssn, with: redact}]}
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
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: plain}
spec: {agent: bench, target: plain-db, allow: [{sql: {statements: [select, copy], tables: [public.wide]}}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: masked}
spec: {agent: bench, target: masked-db, allow: [{sql: {statements: [select, copy], tables: [public.wide]}}]}
YAML
  "$sallyport" daemon --workers 1 --policy "$work/policy" --state "$work/state" --run-dir "$work/run" \
    --bpffs "$work/bpf" --cgroup-root "$work/cgroup" >"$work/daemon.log" 2>&1 & pid[sallyport]=$!
  wait_for "the daemon" grep -q 'ready: level' "$work/daemon.log"
}

# through NAME COMMAND... : as the agent when NAME is sallyport.
through() {
  local name=$1
  shift
  [ "$name" != sallyport ] || set -- "$sallyport" --socket "$work/run/control.sock" exec --allow-root --agent bench -- "$@"
  "$@"
}

# ticks NAME : processor time used so far, in clock ticks.
ticks() { [ -z "${pid[$1]:-}" ] && echo 0 && return; awk '{print $14 + $15}' "/proc/${pid[$1]}/stat"; }

# transactions SECONDS ROUNDS NAME... : pgbench -S, 8 clients, through each in turn, in the three protocols. Prints
# transactions per second and processor time a transaction, and both as ratios to pgbouncer's.
transactions() {
  local seconds=$1 rounds=$2 protocol name out before after rate count
  local -A tps cpu
  shift 2
  for protocol in ${PROTOCOLS:-simple extended prepared}; do
    for name in "$@"; do tps[$name]=0 cpu[$name]=0; done
    for _ in $(seq "$rounds"); do
      for name in "$@"; do
        before=$(ticks "$name")
        out=$(through "$name" "$bin/pgbench" -n -S -M "$protocol" -c 8 -j 1 -T "$seconds" -h 127.0.0.1 \
          -p "${port[$name]}" -U postgres postgres 2>&1) || { echo "$name: $out"; tail -3 "$work/daemon.log"; exit 1; }
        after=$(ticks "$name")
        rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$out")
        count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' <<<"$out")
        tps[$name]=$(awk "BEGIN{print ${tps[$name]} + $rate / $rounds}")
        cpu[$name]=$(awk "BEGIN{print ${cpu[$name]} + ($after - $before) * 1e6 / $hz / $count / $rounds}")
      done
    done
    printf '%-9s %-10s %10s %12s %14s %14s\n' mode through tps us_cpu/tx tps/pgbouncer cpu/pgbouncer
    for name in "$@"; do
      awk -v m="$protocol" -v n="$name" -v t="${tps[$name]}" -v c="${cpu[$name]}" -v bt="${tps[pgbouncer]}" \
        -v bc="${cpu[pgbouncer]}" \
        'BEGIN{printf "%-9s %-10s %10.0f %12.1f %14.2f %14.2f\n", m, n, t, c, t / bt, c / bc}'
    done
  done
}
