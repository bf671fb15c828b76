# SPDX-License-Identifier: Apache-2.0
"""TLS on either leg and both, every way to log in, and bytes where none may be."""

import socket
import unittest

import harness
from harness import agent_document, entitlement_document, target_document

CLEAR, SCRAM, MD5, TLS = 5432, 5441, 5442, 5443
DSN = "host={host} port={port} user=app dbname=postgres sslmode={ssl} password={password}"


def make_certificates(home):
    """A CA and a certificate for `localhost` and 127.0.0.1, as PEM files of user postgres."""
    home.mkdir()
    (home / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    fresh = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    harness.run([*fresh, "-x509", "-days", "2", "-subj", "/CN=interop CA", "-keyout", home / "ca.key", "-out",
                 home / "ca.pem"])
    harness.run([*fresh, "-subj", "/CN=localhost", "-keyout", home / "server.key", "-out", home / "server.csr"])
    harness.run(["openssl", "x509", "-req", "-in", home / "server.csr", "-CA", home / "ca.pem", "-CAkey",
                 home / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", home / "san", "-out",
                 home / "server.pem"])
    for path in home.iterdir():
        harness.shutil.chown(path, "postgres", "postgres")
        path.chmod(0o600 if path.suffix == ".key" else 0o644)


def setUpModule():
    global machine, scram, tls
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    certificates = machine.work / "certificates"
    make_certificates(certificates)
    machine.start_server("clear", CLEAR).sql(harness.SCHEMA)
    scram = machine.start_server("scram", SCRAM, "scram-sha-256")
    md5 = machine.start_server("md5", MD5, "md5", password_encryption="md5")
    md5.sql("CREATE ROLE app LOGIN PASSWORD 'app-secret'")
    tls = machine.start_server("tls", TLS, hba=["hostssl all all 127.0.0.1/32 scram-sha-256",
                                                "hostssl all all ::1/128 scram-sha-256"],
                               ssl="on", ssl_cert_file=certificates / "server.pem",
                               ssl_key_file=certificates / "server.key")
    for server in (scram, tls):
        server.sql("CREATE ROLE app LOGIN PASSWORD 'app-secret'; CREATE ROLE stranger LOGIN PASSWORD 'x'")


def use(ports_and_specs):
    """One Target for each port; returns when the daemon runs that policy."""
    documents = [agent_document("bot")]
    for port, spec in ports_and_specs.items():
        hosts = spec.pop("hosts", f'"127.0.0.1:{port}"')
        documents += [target_document(f"t{port}", hosts, **spec),
                      entitlement_document("bot", f"t{port}", allow=[{"sql": {"statements": ["select"]}}])]
    if machine.daemon:
        machine.set_policy(*documents)
    else:
        machine.write_policy(*documents)
        machine.start_daemon()


def secret(name, text):
    path = machine.work / name
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def psql(port, ssl="disable", password="app-secret", host="127.0.0.1", query="SELECT 'in'", more=""):
    return machine.psql(query, dsn=DSN.format(host=host, port=port, ssl=ssl, password=password) + " " + more)


class LoginCase(unittest.TestCase):
    def served(self, done):
        self.assertEqual((done.stdout, done.stderr), ("in\n", ""))

    def turned_away(self, done, words):
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn(words, done.stderr)


class Passthrough(LoginCase):
    @classmethod
    def setUpClass(cls):
        ca = str(machine.work / "certificates/ca.pem")
        use({CLEAR: {}, SCRAM: {}, MD5: {}, TLS: {"tls": {"mode": "verify-full", "ca": ca}}})

    def test_tls_on_the_agents_leg_only(self):
        self.served(psql(CLEAR, "require"))
        out = psql(CLEAR, "require", query=r"\conninfo").stdout
        self.assertIn("SSL connection", out)

    def test_scram_with_one_leg_in_clear(self):
        self.served(psql(SCRAM))
        self.served(psql(SCRAM, "require"))
        self.turned_away(psql(SCRAM, password="wrong"), "password authentication failed")

    def test_md5_with_one_leg_in_clear(self):
        self.served(psql(MD5))
        self.served(psql(MD5, "require"))
        self.turned_away(psql(MD5, password="wrong"), "password authentication failed")

    def test_tls_on_the_targets_leg_only(self):
        self.served(psql(TLS))

    def test_tls_on_both_legs_says_why_it_cannot_be(self):
        done = psql(TLS, "require")
        self.turned_away(done, "with TLS on both legs SCRAM with channel binding cannot pass through")
        self.assertIn("give the Target a credential", done.stderr)

    def test_tls_on_both_legs_without_channel_binding(self):
        self.served(psql(TLS, "require", more="channel_binding=disable"))


class Proof(LoginCase):
    def test_a_server_of_another_name_gets_nothing(self):
        ca = str(machine.work / "certificates/ca.pem")
        credential = secret("credential", "app:app-secret\n")
        use({TLS: {"hosts": f'"[::1]:{TLS}"', "tls": {"mode": "verify-full", "ca": ca},
                   "credential": {"file": credential}}})
        done = psql(TLS, host="::1")
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertRegex(done.stderr, "(?i)certificate|mismatch|verify")

    def test_a_server_of_another_authority_gets_nothing(self):
        use({TLS: {"tls": {"mode": "verify-ca"}}})
        done = psql(TLS)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertRegex(done.stderr, "(?i)certificate|issuer|self.signed")

    def test_a_server_without_tls_where_it_is_required(self):
        use({CLEAR: {"tls": {"mode": "require"}}, SCRAM: {"tls": {"agent": "require"}}})
        self.turned_away(psql(CLEAR), "refuses TLS, which its tls.mode require")
        self.turned_away(psql(SCRAM), "requires TLS from its agents")

    def test_a_method_below_the_least_allowed(self):
        use({MD5: {"auth": {"min": "scram-sha-256"}}, CLEAR: {"auth": {"min": "scram-sha-256"}}})
        self.turned_away(psql(MD5), "below auth.min scram-sha-256")
        self.turned_away(psql(CLEAR), "below auth.min scram-sha-256")


class OwnLogin(LoginCase):
    def test_credential_file_with_tls_on_both_legs(self):
        ca = str(machine.work / "certificates/ca.pem")
        credential = secret("credential", "app:app-secret\n")
        use({TLS: {"hosts": f'"127.0.0.1:{TLS}"', "tls": {"mode": "verify-full", "ca": ca},
                   "credential": {"file": credential}},
             SCRAM: {"credential": {"file": credential}}, MD5: {"credential": {"file": credential}}})
        self.served(psql(TLS, "require", password="none-of-its-business"))
        self.served(psql(TLS, password="none-of-its-business"))
        self.served(psql(SCRAM, "require", password=""))
        self.turned_away(psql(MD5), "below auth.min scram-sha-256")
        with self.subTest("the file is read again when it changes"):
            secret("credential", "app:changed\n")
            done = psql(SCRAM)
            self.assertEqual(done.returncode, 2)
            self.assertIn("password authentication failed", done.stderr)
            secret("credential", "app:app-secret\n")
            self.served(psql(SCRAM))
        self.assertNotIn("app-secret", machine.records() + machine.daemon_log())

    def test_scram_verifier(self):
        ca = str(machine.work / "certificates/ca.pem")
        # Client and server key can be told from the proof only for the same salt and iterations: the server's own.
        for server, port in ((scram, SCRAM), (tls, TLS)):
            verifier = server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
            path = secret(f"verifiers-{port}", f"# of {port}\napp:{verifier}\n")
            spec = {"credential": {"verifier": path}}
            use({port: {**spec, **({"tls": {"mode": "verify-full", "ca": ca}} if port == TLS else {})}})
            for ssl in ("disable", "require"):
                with self.subTest(port=port, ssl=ssl):
                    self.served(psql(port, ssl))
                    self.turned_away(psql(port, ssl, password="wrong"), "password authentication failed")
            self.served(psql(port, "require", more="channel_binding=require"))
        done = machine.psql("SELECT 1", dsn=f"host=127.0.0.1 port={SCRAM} user=stranger dbname=postgres password=x")
        self.assertEqual(done.returncode, 2)


class Openings(LoginCase):
    @classmethod
    def setUpClass(cls):
        use({CLEAR: {}, SCRAM: {"tls": {"agent": "off"}}})

    def test_bytes_behind_an_ssl_request_end_the_flow(self):
        got = machine.python("""
            import json, rawpg
            out = []
            for request in (rawpg.SSL_REQUEST, rawpg.GSSENC_REQUEST):
                c = rawpg.dial()
                c.socket.sendall(request + b"Q\\0\\0\\0\\x0dDROP x;\\0")
                c.socket.settimeout(120)
                answer = b""
                try:
                    while more := c.socket.recv(100):
                        answer += more
                except ConnectionResetError:
                    pass
                out.append(answer.decode("latin-1"))
            print(json.dumps(out))
            """)
        for answer in got:
            self.assertNotIn(answer[:1], ("S", "N"))

    def test_gss_encryption_is_refused_and_the_rest_goes_on(self):
        got = machine.python("""
            import json, rawpg
            c = rawpg.dial()
            c.socket.settimeout(120)
            c.socket.sendall(rawpg.GSSENC_REQUEST); gss = c.socket.recv(1)
            c.socket.sendall(rawpg.SSL_REQUEST); ssl = c.socket.recv(1)
            rawpg.secure(c)
            c.startup(); c.until_ready()
            c.query("SELECT 5")
            print(json.dumps([gss.decode(), ssl.decode(), c.until_ready().texts()]))
            """)
        self.assertEqual(got, ["N", "S", [["5"]]])

    def test_direct_tls(self):
        got = machine.python("""
            import json, rawpg
            c = rawpg.secure(rawpg.dial(), "postgresql")
            c.socket.settimeout(120)
            c.startup(); c.until_ready()
            c.query("SELECT 5")
            print(json.dumps([c.socket.selected_alpn_protocol(), c.until_ready().texts()]))
            """)
        self.assertEqual(got, ["postgresql", [["5"]]])

    def test_tls_that_is_off_falls_back_or_fails(self):
        self.served(psql(SCRAM, "prefer"))
        self.turned_away(psql(SCRAM, "require"), "server does not support SSL")

    def test_silence_and_half_messages_hurt_nobody(self):
        sockets = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import rawpg, sys
            keep = [rawpg.dial() for _ in range(50)]
            for c in keep[::2]:
                c.socket.sendall(b"\\0\\0\\1")
            print("up", flush=True)
            sys.stdin.read()
            """])
        self.assertEqual(sockets.stdout.readline(), "up\n")
        self.served(psql(CLEAR))
        sockets.communicate("", timeout=180)


if __name__ == "__main__":
    harness.main()
