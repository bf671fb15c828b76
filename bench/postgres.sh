#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sallyport (one worker; policy, column mask, detectors and recording on) beside its peers, in one run: straight to
# the server, through haproxy (TCP) and pgbouncer (session).
#   bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS]        as root
. "$(dirname "$0")/lib.sh"
sallyport=$(realpath "${1:?usage: bench/postgres.sh SALLYPORT [SECONDS] [ROUNDS]}")
start_postgres 300
start_pgbouncer
start_haproxy
start_sallyport "$sallyport"
transactions "${2:-5}" "${3:-3}" direct haproxy pgbouncer sallyport
