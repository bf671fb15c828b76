#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The relay's floor: pgbench -S, 8 clients, through one worker thread without policy (`relay`), the same with a record
# a message (`record`), pgbouncer (session) and haproxy (TCP), in one run.
#   bench/relay.sh BUILD_DIR [SECONDS] [ROUNDS]        as root
. "$(dirname "$0")/lib.sh"
build=$(realpath "${1:?usage: bench/relay.sh BUILD_DIR [SECONDS] [ROUNDS]}")
start_postgres 200
start_pgbouncer
start_haproxy
port[relay]=15641 port[record]=15642
"$build/bench/relay_bench" "${port[relay]}" "${port[direct]}" >"$work/relay.log" & pid[relay]=$!
"$build/bench/relay_bench" "${port[record]}" "${port[direct]}" --record >"$work/record.log" & pid[record]=$!
wait_for relay listening "${port[relay]}"
wait_for record listening "${port[record]}"
transactions "${2:-10}" "${3:-3}" direct haproxy pgbouncer relay record
