# SPDX-License-Identifier: Apache-2.0
"""What look-ups cost: pgbench -S with 8 clients through the daemon, without and with a side connection, in turn.

    SALLYPORT=build/release/userspace/cli/sallyport tests/interop/measure_catalogue.py [SECONDS] [ROUNDS]     as root
"""
import re
import sys

import harness
from harness import agent_document, entitlement_document, mask_document, run, target_document
from test_tls import make_certificates

PORT = 5461
COUNT = ("SELECT coalesce(sum(calls), 0)::int || ' ' || coalesce(sum(total_exec_time + total_plan_time), 0) FROM "
         "pg_stat_statements WHERE {}")


def measure(machine, server, seconds):
    server.sql("SELECT pg_stat_statements_reset()")
    out = machine.agent("bot", ["pgbench", "-n", "-S", "-c", "8", "-j", "1", "-T", str(seconds), "-h", "127.0.0.1", "-p",
                                str(PORT), "-U", "app", "postgres"], timeout=seconds + 60, env={"PGSSLMODE": "disable"})
    rate = float(re.search(r"tps = ([\d.]+)", out.stdout)[1])
    asked, asked_ms = server.sql(COUNT.format("userid = 'app'::regrole AND query LIKE '%pg_my_temp_schema()%'")).split()
    side, side_ms = server.sql(COUNT.format("userid = 'cat'::regrole")).split()
    return rate, int(asked) / seconds, float(asked_ms) / seconds, int(side) / seconds, float(side_ms) / seconds


def main():
    seconds, rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 8, int(sys.argv[2]) if len(sys.argv) > 2 else 3
    machine = harness.Machine()
    certificates = machine.work / "certificates"
    make_certificates(certificates)
    server = machine.start_server("tls", PORT, hba=["hostssl all all 127.0.0.1/32 scram-sha-256"], ssl="on",
                                  ssl_cert_file=certificates / "server.pem", ssl_key_file=certificates / "server.key",
                                  shared_preload_libraries="pg_stat_statements",
                                  **{"pg_stat_statements.track_planning": "on"})
    run(["pgbench", "-i", "-q", "-h", str(server.home), "-p", str(PORT), "-U", "postgres", "postgres"])
    server.sql("CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN PASSWORD 'a'; CREATE ROLE cat LOGIN PASSWORD 'c';"
               "GRANT SELECT ON ALL TABLES IN SCHEMA public TO app")
    for name, password in (("app", "a"), ("cat", "c")):
        (machine.work / name).write_text(f"{name}:{password}\n")
        (machine.work / name).chmod(0o600)
    spec = {"tls": {"mode": "verify-full", "ca": str(certificates / "ca.pem"), "agent": "off"}, "masks": ["pii"],
            "credential": {"file": str(machine.work / "app")}}
    side = {"catalogue": {"credential": {"file": str(machine.work / "cat")}}}
    others = (agent_document("bot"), mask_document({"public.pgbench_history.filler": "redact"},
                                                   [{"type": "email", "with": "redact"}]),
              entitlement_document("bot", allow=[{"sql": {"statements": ["select"], "tables": ["public.pgbench_*"]}}]))
    machine.write_policy(target_document("db", f'"127.0.0.1:{PORT}"', **spec), *others)
    machine.start_daemon()
    print(f"{'way':<22}{'tps':>8}{'look-ups/s':>12}{'ms/s':>8}{'side stmts/s':>14}{'ms/s':>8}")
    try:
        for _ in range(rounds):
            for way, more in (("agent's connection", {}), ("side connection", side)):
                machine.set_policy(target_document("db", f'"127.0.0.1:{PORT}"', **spec, **more), *others)
                print("{:<22}{:>8.0f}{:>12.1f}{:>8.1f}{:>14.1f}{:>8.1f}".format(way, *measure(machine, server, seconds)))
    finally:
        machine.close()


if __name__ == "__main__":
    if harness.INSIDE in harness.os.environ:
        main()
    else:
        harness.main()
