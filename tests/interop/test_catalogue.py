# SPDX-License-Identifier: Apache-2.0
"""The side connection that keeps what names mean: who asks whom, how soon DDL of others is seen, and that its credential
goes to nobody who is not the Target."""

import datetime
import json
import re
import socket
import ssl
import struct
import threading
import time
import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document
from test_tls import make_certificates

TLS, CLEAR, FAKE = 5451, 5452, 5453
PASSWORD = "catalogue-secret"


def setUpModule():
    global machine, tls, clear, certificates
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    certificates = machine.work / "certificates"
    make_certificates(certificates)
    log = dict(log_statement="all", log_line_prefix="%u|%m|", log_min_messages="info")
    tls = machine.start_server("tls", TLS, hba=["hostssl all all 127.0.0.1/32 scram-sha-256"], ssl="on",
                               ssl_cert_file=certificates / "server.pem", ssl_key_file=certificates / "server.key", **log)
    clear = machine.start_server("clear", CLEAR, **log)
    for server in (tls, clear):
        server.sql(harness.SCHEMA)
        server.sql(f"CREATE ROLE cat LOGIN PASSWORD '{PASSWORD}'; REVOKE ALL ON SCHEMA public FROM public;"
                   "REVOKE ALL ON DATABASE postgres FROM public; GRANT CONNECT ON DATABASE postgres TO app, cat;"
                   "GRANT TEMPORARY ON DATABASE postgres TO app")
    (machine.work / "cat").write_text(f"cat:{PASSWORD}\n")
    (machine.work / "cat").chmod(0o600)
    (machine.work / "app").write_text("app:app-secret\n")
    (machine.work / "app").chmod(0o600)
    use(catalogue_target())
    machine.start_daemon()


def catalogue_target(port=TLS, credential="cat", mode="verify-full", **more):
    spec = {"catalogue": {"credential": {"file": str(machine.work / credential)}}, "masks": ["pii"],
            "tls": {"mode": mode, "agent": "off", **({"ca": str(certificates / "ca.pem")} if mode != "prefer" else {})},
            **({"credential": {"file": str(machine.work / "app")}} if port == TLS else {}), **more}
    return target_document("db", f'"127.0.0.1:{port}"', **spec)


def use(target):
    (machine.set_policy if machine.daemon else machine.write_policy)(
        agent_document("bot"), target, mask_document({"shop.customers.ssn": "redact"}),
        entitlement_document("bot", allow=[{"sql": {"statements": ["select", "create"], "tables": ["shop.*"]}}]))


def catalogue():
    """What `status` says of the one Target: (its line, its JSON)."""
    text = machine.sallyport("status").stdout
    status = json.loads(machine.sallyport("-o", "json", "status").stdout)
    return re.search(r"^catalogue\s+(.*)$", text, re.M)[1], status["catalogues"][0]


def statements(server, user, pattern):
    """How many statements of `user` that match stand in the server's log."""
    return len(re.findall(rf"^{user}\|[^|]*\|LOG:  execute .*{pattern}", (server.home / "log").read_text(), re.M))


class Asking:
    """Counts what sessions ask for themselves on `tls` meanwhile. Where the side connection did not come round in time,
    because the machine was busy, they rightly do: `excused` says how often that may have been."""

    def __enter__(self):
        self.late = harness.Lateness()
        self.late.__enter__()
        self.before = statements(tls, "app", "sallyport look-up")
        self.begun = len((tls.home / "log").read_text())
        return self

    def __exit__(self, *_):
        self.late.__exit__()
        self.asked = statements(tls, "app", "sallyport look-up") - self.before
        lines = (tls.home / "log").read_text()[self.begun:]
        times = [datetime.datetime.fromisoformat(at).timestamp()
                 for at in re.findall(r"^cat\|([^|]*) UTC\|", lines, re.M)]
        gaps = [b - a for a, b in zip(times, times[1:]) if b - a > 0.7]
        self.excused = sum(1 + int(gap) for gap in gaps) + int(self.late.allow(0))


# Runs one statement again and again for some seconds: [[begun, ended, first value or sqlstate], …] (time since the epoch)
LOOP = """
import json, os, psycopg, time
dsn = "host=127.0.0.1 port={port} user=app dbname=postgres sslmode=disable"
out = []
with psycopg.connect(dsn, autocommit=True) as connection:
    end = time.time() + {seconds}
    while time.time() < end:
        begun = time.time()
        try:
            found = connection.execute({sql!r}).fetchone()[0]
        except psycopg.Error as error:
            found = error.sqlstate
        out.append([begun, time.time(), found])
        time.sleep({pause})
print(json.dumps(out))
"""


def loop(sql, seconds=4.0, pause=0.05, port=TLS):
    return machine.python(LOOP.format(sql=sql, seconds=seconds, pause=pause, port=port))


class SideConnection(unittest.TestCase):
    def test_1_sessions_ask_once_and_then_share(self):
        use(catalogue_target())
        with Asking() as own:
            answers = loop("SELECT count(*) > 0 FROM shop.numbers", seconds=6)
        self.assertEqual({found for *_, found in answers}, {True})
        self.assertLessEqual(own.asked, 3 + own.excused, "each second without a side connection")
        self.assertGreaterEqual(statements(tls, "cat", "WITH RECURSIVE"), 1)
        line, status = catalogue()
        self.assertRegex(line, r"^db: side connection to 127\.0\.0\.1:5451, database postgres "
                               r"\(validated \d+\.\d s ago\)$")
        self.assertEqual(status["way"], "side connection")
        self.assertGreaterEqual(status["validated_ms_ago"], 0)
        self.assertNotIn(PASSWORD, machine.daemon_log())

    def test_2_ddl_of_others_is_seen_within_a_second(self):
        use(catalogue_target())
        tls.sql("CREATE TABLE shop.thing (ssn text); INSERT INTO shop.thing VALUES ('plain');"
                "GRANT ALL ON shop.thing TO app")
        moved = []

        def redefine():
            time.sleep(3)
            moved.append(time.time())
            tls.sql("BEGIN; DROP TABLE shop.thing; CREATE VIEW shop.thing AS SELECT ssn FROM shop.customers ORDER BY id;"
                    "GRANT ALL ON shop.thing TO app; COMMIT")
            moved.append(time.time())

        thread = threading.Thread(target=redefine)
        thread.start()
        answers = loop("SELECT ssn FROM shop.thing", seconds=6, pause=0.02)
        thread.join()
        answers += loop("SELECT ssn FROM shop.thing", seconds=1)
        self.assertLessEqual({found for _, ended, found in answers if ended < moved[0]}, {"plain"})
        late = {found for begun, _, found in answers if begun > moved[1] + 1}
        self.assertEqual(len(late), 1)
        self.assertNotIn("219-09-9999", late, "a view over a masked column")

    def test_3_what_a_session_defines_itself_counts_at_once(self):
        use(catalogue_target())
        out = machine.python(f"""
            import json, psycopg, time
            out = []
            with psycopg.connect("host=127.0.0.1 port={TLS} user=app dbname=postgres sslmode=disable",
                                 autocommit=True) as connection:
                for n in range(20):
                    connection.execute("SELECT n FROM shop.numbers LIMIT 1").fetchall()
                    connection.execute(f"CREATE TABLE shop.mine{{n}} (a int, ssn text)")
                    out.append([c.name for c in connection.execute(f"SELECT * FROM shop.mine{{n}}").description])
                    time.sleep(0.1)
            print(json.dumps(out))
            """)
        self.assertEqual(out, [["a", "ssn"]] * 20)

    def test_4_writes_alone_change_nothing(self):
        use(catalogue_target())
        stop = threading.Event()

        def write():
            while not stop.is_set():
                tls.sql("INSERT INTO shop.notes (body) VALUES ('x'); CREATE TEMP TABLE passing (x int)")

        with Asking() as own:
            thread = threading.Thread(target=write)
            thread.start()
            try:
                loop("SELECT count(*) > 0 FROM shop.numbers", seconds=6)
            finally:
                stop.set()
                thread.join()
        self.assertLessEqual(own.asked, 3 + own.excused)

    def test_5_a_definition_makes_sessions_ask_once_more(self):
        use(catalogue_target())
        with Asking() as own:
            thread = threading.Timer(3, lambda: tls.sql("CREATE TABLE shop.another (x int); DROP TABLE shop.another"))
            thread.start()
            answers = loop("SELECT count(*) > 0 FROM shop.numbers", seconds=6)
            thread.join()
        self.assertEqual({found for *_, found in answers}, {True})
        self.assertLessEqual(own.asked, 6 + own.excused)

    def test_6_wrong_password(self):
        (machine.work / "wrong").write_text("cat:not-it\n")
        (machine.work / "wrong").chmod(0o600)
        use(catalogue_target(credential="wrong"))
        self.assert_falls_back(TLS, "password authentication failed", "put the role's password")

    def test_7_no_credential_file(self):
        use(catalogue_target(credential="nowhere"))
        self.assert_falls_back(TLS, "nowhere", "")

    def test_8_a_server_without_tls_gets_nothing(self):
        use(catalogue_target(port=CLEAR, mode="prefer"))
        self.assert_falls_back(CLEAR, "does not support SSL", "turn on ssl")
        self.assertEqual(statements(clear, "cat", ""), 0)

    def test_9_bound_scram_where_the_certificate_proves_nothing(self):
        use(catalogue_target(mode="require"))
        self.assert_in_use()

    def test_a_role_without_connect(self):
        tls.sql("REVOKE CONNECT ON DATABASE postgres FROM cat;"
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cat'")
        try:
            use(catalogue_target(databases=["postgres"]))
            self.assert_falls_back(TLS, "permission denied for database", "GRANT CONNECT")
        finally:
            tls.sql("GRANT CONNECT ON DATABASE postgres TO cat")

    def test_b_a_server_that_goes_and_comes(self):
        use(catalogue_target())
        self.assert_in_use()
        tls.stop()
        harness.wait_until("status says it", lambda: "see that the server runs" in catalogue()[0])
        self.assertEqual(catalogue()[1]["way"], "agent's connection")
        tls.start()
        self.assert_in_use()

    def test_c_one_that_asks_for_the_password_gets_nothing(self):
        use(catalogue_target(port=FAKE, mode="require"))
        for method in (3, 5):  # AuthenticationCleartextPassword, AuthenticationMD5Password
            with FakeServer(method) as fake:
                machine.psql("SELECT count(*) > 0 FROM shop.numbers", dsn=f"host=127.0.0.1 port={FAKE} user=app "
                             "dbname=postgres sslmode=disable connect_timeout=10")
                harness.wait_until("the side connection came", lambda: fake.side_asked)
                time.sleep(0.5)
                self.assertEqual(fake.after_asking, b"")
                harness.wait_until("status says it", lambda: re.search(
                    f"{FAKE}, database postgres: .*channel binding", machine.sallyport("status").stdout))

    def assert_in_use(self):
        harness.wait_until("the side connection is in use", lambda: loop(
            "SELECT count(*) > 0 FROM shop.numbers", seconds=1) and catalogue()[1]["way"] == "side connection")

    def assert_falls_back(self, port, error, hint):
        """Sessions work by asking for themselves, and status says why."""
        def said():
            answers = loop("SELECT count(*) > 0 FROM shop.numbers", seconds=2, port=port)
            self.assertEqual({found for *_, found in answers}, {True})
            return error in catalogue()[1].get("error", "")

        harness.wait_until(error, said)
        line, status = catalogue()
        self.assertEqual(status["way"], "agent's connection")
        self.assertIn(error, status["error"])
        self.assertIn(hint, status["hint"])
        self.assertIn(error, line)


class FakeServer:
    """Stands on the Target's address. Lets an agent in, so that the daemon comes too; asks that one for its password."""

    def __init__(self, method):
        self.method = method
        self.side_asked = False
        self.after_asking = b""

    def __enter__(self):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        self.listener = socket.create_server(("127.0.0.1", FAKE))
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which would keep it open
        self.listener.close()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        try:
            peer.settimeout(60)
            peer.recv(8)  # SSLRequest
            peer.send(b"S")
            secure = self.context.wrap_socket(peer, server_side=True)
            length = struct.unpack("!i", secure.recv(4))[0]
            startup = secure.recv(length)
            if b"sallyport catalogue" not in startup:
                secure.send(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
                time.sleep(3)
                return
            secure.send(struct.pack("!cii", b"R", 8 + (4 if self.method == 5 else 0), self.method) +
                        (b"salt" if self.method == 5 else b""))
            self.side_asked = True
            self.after_asking += secure.recv(100)
        except OSError:
            pass


if __name__ == "__main__":
    harness.main()
