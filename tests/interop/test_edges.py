# SPDX-License-Identifier: Apache-2.0
"""Where the way ends: unlisted, unreachable, restarting servers, a full disk, a dead daemon, the control socket."""

import json
import os
import signal
import time
import unittest

import harness
from harness import DSN, agent_document, entitlement_document, target_document

NOBODY_THERE = 5555
UNLISTED = 5433
RESERVED = 256 << 10  # limits::kRecordReserveBytes


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    server.sql("CREATE DATABASE second")
    server.sql("ALTER ROLE app REPLICATION")
    machine.start_server("unlisted", UNLISTED)
    # The record lies on a small file system of its own, so that it can run full.
    machine.state_dir.mkdir()
    harness.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "none", str(machine.state_dir)])
    machine.write_policy(
        agent_document("bot"), agent_document("rival"), agent_document("idle"), agent_document("replica"),
        target_document(databases=["postgres"]), target_document("second", databases=["second"]),
        target_document("gone", f'"127.0.0.1:{NOBODY_THERE}"'), target_document("rivals", '"127.0.0.1:5999"'),
        entitlement_document("bot", allow=[{"sql": {"statements": ["select", "insert"], "tables": ["shop.*"]}},
                                           {"sql": {"statements": ["call"], "functions": ["pg_catalog.pg_sleep"]}}]),
        entitlement_document("bot", "gone", allow=[{"sql": {}}]),
        entitlement_document("bot", "second", allow=[{"sql": {"tables": ["shop.numbers"]}}]),
        entitlement_document("replica", allow=[{"sql": {"statements": ["replication", "unknown"]}}]),
        entitlement_document("rival", "rivals", allow=[{"sql": {}}]))
    machine.start_daemon()


class Destinations(unittest.TestCase):
    def test_an_unlisted_destination_is_refused_in_words(self):
        done = machine.psql("SELECT 1", dsn=f"host=127.0.0.1 port={UNLISTED} user=app dbname=postgres")
        self.assertEqual(done.returncode, 2)
        self.assertIn("refused by policy", done.stderr)
        self.assertIn(f"127.0.0.1:{UNLISTED}", done.stderr)

    def test_an_agent_without_an_entitlement_on_a_listed_one(self):
        done = machine.psql("SELECT 1", agent="rival")
        self.assertEqual(done.returncode, 2)
        self.assertIn("refused by policy for agent rival", done.stderr)

    def test_ipv6_and_host_names(self):
        for host in ("::1", "localhost"):
            with self.subTest(host):
                done = machine.psql("SELECT 7", dsn=f"host={host} user=app dbname=postgres")
                self.assertEqual((done.stdout, done.stderr), ("7\n", ""))

    def test_the_agent_still_sees_the_address_it_asked_for(self):
        got = machine.python("""
            import json, rawpg
            c = rawpg.connect()
            print(json.dumps(c.socket.getpeername()))
            """)
        self.assertEqual(got, ["127.0.0.1", 5432])

    def test_nothing_listens_there(self):
        done = machine.psql("SELECT 1", dsn=f"host=127.0.0.1 port={NOBODY_THERE} user=app dbname=postgres")
        self.assertEqual(done.returncode, 2)
        self.assertIn("target gone at 127.0.0.1:5555", done.stderr)
        self.assertRegex(done.stderr, "(?i)refused")

    def test_startup_parameters_and_replication_are_judged(self):
        done = machine.psql("SELECT 1", dsn=DSN + " options='-c session_preload_libraries=x'")
        self.assertIn("refused by policy", done.stderr)
        for value in ("database", "true"):
            done = machine.psql("IDENTIFY_SYSTEM", dsn=DSN + f" replication={value}")
            self.assertIn("refused by policy", done.stderr)

    def test_a_replication_connection_that_is_entitled(self):
        done = machine.psql("IDENTIFY_SYSTEM", agent="replica", dsn=DSN + " replication=database")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^\d+\|1\|")
        done = machine.psql("IDENTIFY_SYSTEM", agent="rival", dsn=DSN + " replication=database")
        self.assertIn("refused by policy for agent rival", done.stderr)

    def test_two_targets_at_one_address_are_told_apart_by_the_database(self):
        for database, expected in (("postgres", "1\n"), ("second", "")):
            done = machine.psql("SELECT count(*) - count(*) + 1 FROM shop.notes", dsn=DSN.replace(
                "dbname=postgres", f"dbname={database}"))
            self.assertEqual(done.stdout, expected, done.stderr)
        self.assertIn("select shop.notes", done.stderr, "the second Target's Entitlement says nothing of it")
        done = machine.psql("SELECT n FROM shop.numbers LIMIT 1", dsn=DSN.replace("=postgres", "=second"))
        self.assertIn("42P01", done.stderr, "allowed there, only there is no such table")
        done = machine.psql("SELECT 1", dsn=DSN.replace("=postgres", "=third"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("is listed by the targets `db` and `second`", done.stderr)
        shown = machine.sallyport("sessions", "list", "-o", "json", "--target", "second").stdout
        self.assertIn('"second"', shown)

    def test_a_flow_is_registered_before_it_is_decided(self):
        """Invariant 3. Which Target it is hangs on the database, so nothing is decided before the startup message."""
        def flows():
            return json.loads(machine.sallyport("-o", "json", "status").stdout)["flows"]

        harness.wait_until("earlier flows are over", lambda: flows() == 0)
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import rawpg, sys
            silent = [rawpg.dial() for _ in range(8)]
            print("silent", flush=True)
            sys.stdin.readline()
            """])
        try:
            self.assertEqual(client.stdout.readline(), "silent\n")
            harness.wait_until("all are registered", lambda: flows() == 8, 10)
            client.communicate("go\n", timeout=180)
        finally:
            client.kill()

    def test_who_is_not_the_users_of_an_agent_may_not_become_it(self):
        done = machine.agent("nobody-knows", ["true"])
        self.assertEqual(done.returncode, 125)
        self.assertIn("nobody-knows", done.stderr)


class ControlSocket(unittest.TestCase):
    def test_an_agent_cannot_reach_it(self):
        got = machine.python(f"""
            import json, socket
            out = []
            for path in ("{machine.socket}", "/run/sallyport/control.sock"):
                s = socket.socket(socket.AF_UNIX)
                try:
                    s.connect(path)
                    s.sendall(b"GET /v1/sessions HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
                    out.append(s.recv(4000).decode())
                except OSError as error:
                    out.append(str(error))
            print(json.dumps(out))
            """)
        for answer in got:
            self.assertNotIn("200 OK", answer)

    def test_a_process_in_the_slice_that_nobody_enrolled_is_refused_too(self):
        stray = harness.cgroup2_root() / "sallyport.slice/stray"
        stray.mkdir(parents=True)
        try:
            done = harness.subprocess.run([harness.SALLYPORT, "--socket", str(machine.socket), "status"], text=True,
                                          capture_output=True, preexec_fn=lambda: harness.join(stray))
        finally:
            harness.wait_until("the process has left", lambda: not (stray / "cgroup.procs").read_text())
            stray.rmdir()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("agents are refused here", done.stdout + done.stderr)
        self.assertEqual(machine.sallyport("status").returncode, 0, "who asks from outside is served")

    def test_an_agent_cannot_become_another(self):
        done = machine.agent("bot", [harness.SALLYPORT, "--socket", machine.socket, "exec", "--agent", "rival", "--",
                                     "true"])
        self.assertEqual(done.returncode, 125, done.stderr)

    def test_a_user_without_a_role_reads_no_sessions(self):
        done = harness.subprocess.run(
            ["setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups", harness.SALLYPORT,
             "--socket", str(machine.socket), "sessions", "list"], text=True, capture_output=True)
        self.assertNotEqual(done.returncode, 0)


class Failures(unittest.TestCase):
    def test_server_restart_in_mid_flow(self):
        client = machine.start_agent("bot", ["psql", "-X", "-v", "VERBOSITY=verbose", "-At", DSN])
        try:
            client.stdin.write("SELECT 'before';\n")
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), "before\n")
            server.stop()
            server.start()
            out, _ = client.communicate("SELECT 'between';\n", timeout=180)
        finally:
            client.kill()
        self.assertIn("57P01", out, "the server's own words come through")
        self.assertEqual(machine.psql("SELECT 'after'").stdout, "after\n")

    def test_server_killed_in_mid_result(self):
        client = machine.start_agent("bot", ["psql", "-X", "-v", "VERBOSITY=verbose", "-At", DSN, "-c",
                                             "SELECT pg_catalog.pg_sleep(30)"])
        harness.wait_until("the query runs", lambda: server.sql(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_catalog.pg_sleep%'") == "1")
        server.stop(signal.SIGQUIT)
        server.start()
        out, _ = client.communicate(timeout=180)
        self.assertNotEqual(client.returncode, 0)
        self.assertRegex(out, "57P02|08006|closed")

    def test_when_the_record_cannot_be_written_agents_are_refused(self):
        filler = machine.state_dir / "filler"
        client = machine.start_agent("bot", ["psql", "-X", "-v", "VERBOSITY=verbose", "-At", DSN])
        try:
            client.stdin.write("SELECT 'before';\n")
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), "before\n")
            with filler.open("wb") as file, harness.contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 65536)
                    file.flush()
            with filler.open("ab") as file, harness.contextlib.suppress(OSError):
                while True:
                    os.write(file.fileno(), b"x")
            client.stdin.write("INSERT INTO shop.notes (body) VALUES ('unrecorded " + "x" * RESERVED + "');\n")
            client.stdin.flush()
            out, _ = client.communicate(timeout=180)
            for _ in range(40):  # another worker's segment has space reserved
                fresh = machine.psql("SELECT length('" + "x" * (RESERVED // 4) + "')")
                if fresh.returncode == 2:
                    break
        finally:
            client.kill()
            filler.unlink(missing_ok=True)
        self.assertIn("record", out)
        self.assertEqual(server.sql("SELECT count(*) FROM shop.notes WHERE body LIKE 'unrecorded%'"), "0")
        self.assertEqual(fresh.returncode, 2)
        self.assertIn("record cannot be written", fresh.stderr)
        self.assertRegex(fresh.stderr, "(?i)HINT: .*no space left")
        harness.wait_until("agents are served again", lambda: machine.psql("SELECT 1").stdout == "1\n")

    def test_when_the_record_directory_is_removed_agents_are_refused(self):
        records = machine.state_dir / "records"
        client = machine.start_agent("bot", ["psql", "-X", "-v", "VERBOSITY=verbose", "-At", DSN])
        try:
            client.stdin.write("SELECT 'before';\n")
            client.stdin.flush()
            self.assertEqual(client.stdout.readline(), "before\n")
            self.assertEqual(machine.sallyport("status").returncode, 0)
            harness.shutil.rmtree(records)
            client.stdin.write("INSERT INTO shop.notes (body) VALUES ('unrecorded');\n")
            client.stdin.flush()
            out, _ = client.communicate(timeout=180)
            fresh = machine.psql("SELECT 1")
            status = machine.sallyport("status")
        finally:
            client.kill()
            records.mkdir(mode=0o700, exist_ok=True)
        self.assertIn("58030", out)
        self.assertEqual(server.sql("SELECT count(*) FROM shop.notes WHERE body = 'unrecorded'"), "0")
        self.assertEqual(fresh.returncode, 2)
        self.assertIn("record cannot be written", fresh.stderr)
        self.assertEqual(status.returncode, 1)
        self.assertIn("cannot be written, agents are refused", status.stdout)
        harness.wait_until("agents are served again", lambda: machine.psql("SELECT 1").stdout == "1\n")
        harness.wait_until("status says so", lambda: machine.sallyport("status").returncode == 0)

    def test_a_dead_daemon_means_refused_and_a_new_one_takes_over(self):
        client = machine.start_agent("bot", ["sh", "-c", "read go; psql -X -At -c 'SELECT 1' \"$PGDSN\"; read go;"
                                                         " psql -X -At -c 'SELECT 2' \"$PGDSN\""])
        try:
            harness.wait_until("the agent runs", lambda: harness.find_process(client.pid, "sh"))
            time.sleep(0.3)
            machine.daemon.kill()
            machine.daemon.wait()
            client.stdin.write("go\n")
            client.stdin.flush()
            self.assertIn("refused", client.stdout.readline())
            (machine.work / "daemon.log").write_text("")
            machine.start_daemon()
            out, _ = client.communicate("go\n", timeout=180)
        finally:
            client.kill()
        self.assertTrue(out.endswith("2\n"), out)


if __name__ == "__main__":
    harness.main()
