# SPDX-License-Identifier: Apache-2.0
"""node-postgres, pgjdbc, pg_dump and restore, pgbench while policy is edited, and sessions that an edit cuts."""

import json
import re
import time
import unittest

import harness
from harness import DSN, agent_document, entitlement_document, mask_document, target_document

JDBC = "/usr/share/java/postgresql.jar"
READS = {"sql": {"statements": ["select"], "tables": ["shop.customers"]}}
NOTES = {"sql": {"statements": ["select", "insert", "copy"], "tables": ["shop.notes", "shop.numbers"]}}
SETS_PATH = {"sql": {"statements": ["set", "startup"], "settings": ["search_path"]}}


def policy(extra=(), bench=None):
    everything = [{"sql": {}}, {"sql": {"statements": ["unknown"]}}]
    return [
        agent_document("bot"), agent_document("dumper"), agent_document("bench"),
        target_document("db", '"127.0.0.1:5432"', masks=["pii"]),
        target_document("plain", '"[::1]:5432"'),
        mask_document({"shop.customers.email": {"partial": {"keepLast": 4}}, "shop.customers.ssn": "redact",
                       "shop.customers.score": "redact"}),
        entitlement_document("bot", allow=[READS, NOTES, SETS_PATH, *extra]),
        entitlement_document("dumper", "plain", allow=everything),
        entitlement_document("bench", "plain", allow=bench or [
            {"sql": {"statements": ["select", "update", "insert"], "tables": ["public.pgbench_*"]}}]),
    ]


def setUpModule():
    global machine, server
    harness.require("node", "java", "pg_dump", "pgbench")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(*policy())
    machine.start_daemon()


class Drivers(unittest.TestCase):
    def test_node_postgres(self):
        modules = harness.CACHE / "node_modules"
        self.assertTrue((modules / "pg").is_dir(), "run tests/interop/prepare.py: it installs node-postgres")
        done = machine.agent("bot", ["node", harness.SOURCE / "client.js"], env={"NODE_PATH": str(modules)})
        self.assertEqual(done.returncode, 0, done.stderr)
        got = json.loads(done.stdout)
        self.assertNotRegex(done.stdout, "ada@|grace@|219-09|457-55")
        self.assertEqual([row["id"] for row in got["simple"]], [1, 2, 3])
        self.assertEqual(got["refused"][:2], ["42501", True])
        self.assertEqual([got["after"], got["pool"]], [[{"one": 1}], 19900])

    def test_pgjdbc(self):
        server.sql("TRUNCATE shop.notes")
        self.assertTrue(harness.pathlib.Path(JDBC).exists(), "libpostgresql-jdbc-java is not installed")
        classes = machine.work / "classes"
        harness.run(["javac", "-cp", JDBC, "-d", classes, harness.SOURCE / "Client.java"])
        done = machine.agent("bot", ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{JDBC}:{classes}", "Client"])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotRegex(done.stdout, "ada@|grace@")
        self.assertEqual(len(re.findall(r"(?m)^row [12] ", done.stdout)), 6)
        for line in ("tables true", "batch 200", "fetched 500500", "refused 42501", "copied 2"):
            self.assertIn(line, done.stdout)
        self.assertEqual(server.sql("SELECT count(*) FROM shop.notes"), "202")

    def test_pg_dump_and_restore(self):
        dsn = "host=::1 user=app dbname={}"
        dump = machine.work / "dump"
        dump.mkdir(mode=0o777)
        dump.chmod(0o777)
        server.sql("CREATE DATABASE copy OWNER app")
        plain = ["psql", "-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-f", f"{dump}/p", dsn.format("copy")]
        custom = ["pg_restore", "--exit-on-error", "--no-owner", "--no-acl", "-d", dsn.format("copy"), f"{dump}/c"]
        for kind, restore in (("p", plain), ("c", custom)):
            with self.subTest(kind):
                done = machine.agent("dumper", ["pg_dump", "-n", "shop", "-T", "shop.payroll", "--no-owner", "--no-acl",
                                                "-F", kind, "-f", f"{dump}/{kind}", dsn.format("postgres")])
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                server.sql("DROP SCHEMA IF EXISTS shop CASCADE", "copy")
                done = machine.agent("dumper", restore)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(server.sql("SELECT count(*), max(email) FROM shop.customers", "copy"),
                                 "3|grace@example.org")

    def test_pg_dump_of_what_is_not_allowed(self):
        done = machine.agent("bot", ["pg_dump", "-n", "shop", DSN])
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("refused by policy", done.stderr)


class PolicyEdits(unittest.TestCase):
    def test_pgbench_goes_on_while_policy_is_edited(self):
        harness.run(["pgbench", "-i", "-q", "-s", "1", "-h", server.home, "-U", "postgres", "postgres"])
        server.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
        runs = [(mode, script, machine.start_agent(
            "bench", ["pgbench", "-n", *script, "-M", mode, "-c", "2", "-T", "6", "host=::1 user=app dbname=postgres"]))
            for mode in ("simple", "extended", "prepared") for script in (["-S"], [])]
        end = time.monotonic() + 6
        edits = 0
        while time.monotonic() < end or edits < 60 and not re.search("in force, epoch ([5-9]|[1-9][0-9])",
                                                                     machine.daemon_log()):
            edits += 1
            machine.write_policy(*policy(extra=[{"sql": {"statements": ["select"], "tables": [f"shop.t{edits}"]}}]))
            time.sleep(0.4)
        for mode, script, client in runs:
            out, _ = client.communicate(timeout=180)
            with self.subTest(mode=mode, script=script):
                self.assertEqual(client.returncode, 0, out)
                self.assertRegex(out, r"number of failed transactions: 0 ")
                # How many depends on what else the machine does.
                self.assertGreater(int(re.search(r"transactions actually processed: (\d+)", out)[1]), 5)
        self.assertRegex(machine.daemon_log(), "in force, epoch ([5-9]|[1-9][0-9])")

    def test_an_edit_that_takes_a_right_away_cuts_in_mid_result(self):
        machine.set_policy(*policy())
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import json, rawpg, time
            c = rawpg.connect()
            c.query("SELECT a.t, b.t FROM shop.numbers a, shop.numbers b, shop.numbers c")
            c.receive(); c.receive()
            print("flowing", flush=True)
            rows, last = 0, None
            while (message := c.receive()) is not None:
                last = message
            print(json.dumps([last[0], rawpg.Answers([last]).errors()]), flush=True)
            """])
        self.assertEqual(client.stdout.readline(), "flowing\n")
        with harness.Lateness() as late:
            begun = time.time()
            without = [entitlement_document("bot", allow=[READS])]
            machine.write_policy(*(d for d in policy() if "bot-db" not in d), *without)
            out, _ = client.communicate(timeout=180)
        self.assertLess(machine.last_closed() - begun, late.allow(3))
        kind, errors = json.loads(out)
        self.assertEqual([kind, errors[0]["S"], errors[0]["C"]], ["E", "FATAL", "42501"])
        machine.set_policy(*policy())

    def test_an_idle_session_is_cut_when_the_target_goes(self):
        machine.set_policy(*policy())
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import json, rawpg
            c = rawpg.connect()
            print("idle", flush=True)
            print(json.dumps(c.until_end().errors()), flush=True)
            """])
        self.assertEqual(client.stdout.readline(), "idle\n")
        with harness.Lateness() as late:
            begun = time.time()
            machine.write_policy(*(d for d in policy() if "bot-db" not in d))
            out, _ = client.communicate(timeout=180)
        self.assertLess(machine.last_closed() - begun, late.allow(3))
        self.assertEqual(json.loads(out)[0]["C"], "42501")
        machine.set_policy(*policy())

    def test_a_connection_is_registered_before_anything_is_decided(self):
        """Invariant 3: one that has said nothing yet is there for a change of policy to find."""
        def flows():
            return json.loads(machine.sallyport("-o", "json", "status").stdout)["flows"]

        machine.set_policy(*policy())
        harness.wait_until("earlier flows are over", lambda: flows() == 0)
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import json, rawpg, sys
            silent = [rawpg.dial() for _ in range(8)]
            print("silent", flush=True)
            sys.stdin.readline()
            for c in silent:
                c.socket.settimeout(120)
                c.startup()
            print(json.dumps([[e["C"] for e in c.until_end().errors()] for c in silent]), flush=True)
            """])
        try:
            self.assertEqual(client.stdout.readline(), "silent\n")
            harness.wait_until("all are registered, with nothing decided", lambda: flows() == 8, 10)
            machine.set_policy(*(d for d in policy() if "bot-db" not in d))
            out, _ = client.communicate("go\n", timeout=180)
        finally:
            client.kill()
            machine.set_policy(*policy())
        self.assertEqual(json.loads(out), [["42501"]] * 8)

    def test_prepared_statements_are_judged_by_the_new_policy(self):
        machine.set_policy(*policy())
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import json, rawpg, sys
            c = rawpg.connect()
            c.parse("s", "SELECT n FROM shop.numbers WHERE n = 1"); c.bind("", "s"); c.execute(""); c.sync()
            print(c.until_ready().texts(), flush=True)
            sys.stdin.readline()
            c.bind("", "s"); c.execute(""); c.sync()
            print(json.dumps(c.until_ready().errors()), flush=True)
            """])
        self.assertEqual(client.stdout.readline(), "[['1']]\n")
        machine.set_policy(*(d for d in policy() if "bot-db" not in d), entitlement_document("bot", allow=[READS]))
        out, _ = client.communicate("go\n", timeout=180)
        self.assertEqual(json.loads(out)[0]["C"], "42501")
        machine.set_policy(*policy())

    def test_a_broken_policy_changes_nothing(self):
        machine.set_policy(*policy())
        machine.set_policy("kind: Nonsense\n")
        self.assertEqual(machine.psql("SELECT n FROM shop.numbers WHERE n = 1").stdout, "1\n")
        machine.set_policy(*policy())


if __name__ == "__main__":
    harness.main()
