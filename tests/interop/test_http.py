# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1: curl and requests as agents through the real daemon to a real nginx."""

import json
import os
import pathlib
import subprocess
import textwrap
import unittest

import harness
from harness import agent_document, entitlement_document, wait_until
from issuer import Issuer, make_certificates

WEB, SECURE, SHARED, ISSUER = 8080, 8444, 8081, 8447
DOWNLOAD_BYTES = 100 << 20
PEAK_GROWTH_MAX_KIB = 24 << 10

NGINX = """
daemon off; master_process off; pid {home}/pid; error_log {home}/error.log info; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log {home}/access.log; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
  fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  client_max_body_size 100m; default_type text/plain;
  server {{
    listen 127.0.0.1:{web}; listen 127.0.0.1:{shared}; listen 127.0.0.1:{secure} ssl;
    ssl_certificate {home}/server.pem; ssl_certificate_key {home}/server.key;
    root {home}/root;
    location /v1/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /slow/ {{ alias {home}/root/v1/; limit_rate 20k; }}
    location /echo {{ return 200 "method=$request_method host=$http_host auth=$http_authorization x=$http_x_agent_token connection=$http_connection\\n"; }}
    location /chunks {{ gzip on; gzip_min_length 1; gzip_types text/plain; alias {home}/root/v1/words; }}
    location /gone {{ return 204; }}
    location /moved {{ return 302 /v1/hello; }}
  }}
}}
"""


class Nginx:
    def __init__(self, home):
        self.home = home
        make_certificates(home)
        (home / "root/v1").mkdir(parents=True)
        (home / "root/v1/hello").write_text("hello\n")
        (home / "root/v1/ada").write_text("ada's\n")
        (home / "root/v1/ben").write_text("ben's\n")
        (home / "root/v1/words").write_text("all work and no play\n" * 10_000)
        with open(home / "root/v1/large", "wb") as large:
            large.truncate(DOWNLOAD_BYTES)
        (home / "conf").write_text(NGINX.format(home=home, web=WEB, secure=SECURE, shared=SHARED))
        harness.run(["chown", "-R", f"{harness.NOBODY}:{harness.NOBODY}", str(home)])
        self.process = subprocess.Popen(
            ["setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups", "/usr/sbin/nginx",
             "-c", str(home / "conf"), "-e", str(home / "error.log")], stderr=open(home / "stderr", "w"))
        wait_until("nginx answers", self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.home / "stderr").read_text())
        return subprocess.run(["curl", "-s", f"http://127.0.0.1:{WEB}/echo"], capture_output=True).returncode == 0

    def requests(self):
        """What nginx was asked, oldest first."""
        return [line.split('"')[1] for line in (self.home / "access.log").read_text().splitlines()]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def target(name, port, **more):
    return harness.target_document(name, f'"localhost:{port}", "127.0.0.1:{port}"', **more).replace(
        "protocol: postgres", "protocol: http")


RULES = dict(allow=[{"http": {"methods": ["GET"], "paths": ["/v1/**", "/echo", "/gone", "/chunks", "/moved", "/slow/*"]}},
                    {"http": {"methods": ["PUT"], "paths": ["/v1/in/*"]}}],
             hold=[{"http": {"methods": ["DELETE"], "paths": ["/v1/in/**"]}}],
             deny=[{"http": {"paths": ["/v1/secret/**"]}}])


SUBJECTS = {"ada": "bot", "ben": "rival"}  # as the provider knows them


def document(kind, name, **spec):
    return "\n" + json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
                              "spec": spec}) + "\n"


def shared_workload(token):
    """ada and ben in one cgroup, told apart by the token of each request; each may read what is its own."""
    yield document("Issuer", "corp", url=provider.url, audience="sallyport", ca=str(provider.ca), skew="1s")
    for name, subject in SUBJECTS.items():
        yield document("Agent", name, workload=[{"cgroup": "/pool"}], minLevel="guarded", loopback="divert",
                       token={"issuer": "corp", "subject": subject})
        yield document("Entitlement", f"{name}-shared", agent=name, target="shared",
                       allow=[{"http": {"methods": ["GET"], "paths": ["/echo", f"/v1/{name}", "/slow/*"]}}])
    yield target("shared", SHARED, token=token)


def policy(rules=None, token={"from": "authorization"}):
    return [*shared_workload(token), agent_document("bot"), target("web", WEB),
            target("secure", SECURE, tls={"mode": "verify-full", "ca": str(nginx.home / "ca.pem")}),
            entitlement_document("bot", "web", **(rules or RULES)), entitlement_document("bot", "secure", **RULES)]


def setUpModule():
    global machine, nginx, provider, pool
    harness.require("curl", "nginx")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    (machine.work / "nginx").mkdir()
    nginx = Nginx(machine.work / "nginx")
    unittest.addModuleCleanup(nginx.close)
    provider = Issuer(machine.work / "issuer", ISSUER)
    unittest.addModuleCleanup(provider.close)
    pool = harness.cgroup2_root() / "pool"
    pool.mkdir()
    machine.write_policy(*policy())
    machine.start_daemon()
    wait_until("/pool is enrolled", lambda: "cgroup /pool is enrolled" in machine.daemon_log())


def curl(*arguments, **options):
    return machine.agent("bot", ["curl", "-sS", "--max-time", "120", *arguments], **options)


def url(path, port=WEB):
    return f"http://127.0.0.1:{port}{path}"


def last_session():
    listed = json.loads(machine.sallyport("sessions", "list", "-o", "json", "--agent", "bot").stdout)
    newest = max(listed, key=lambda session: session["opened"])
    return json.loads(machine.sallyport("sessions", "show", newest["id"], "-o", "json").stdout)


class Curl(unittest.TestCase):
    def test_reads_and_is_refused_in_words(self):
        got = curl(url("/v1/hello"))
        self.assertEqual(got.stdout, "hello\n", got.stderr)
        before = len(nginx.requests())
        got = curl("-w", "%{http_code}", "-X", "POST", "-d", "a=b", url("/v1/hello"))
        self.assertIn("refused by policy for agent bot: no rule of Entitlement bot-web allows POST /v1/hello", got.stdout)
        self.assertIn("hint: allow: [{http: {methods: [POST], paths: [/v1/hello]}}]", got.stdout)
        self.assertTrue(got.stdout.endswith("403"), got.stdout)
        got = curl("-H", "Accept: application/json", url("/v1/secret/a"))
        self.assertIn("bot-web.deny[0]", json.loads(got.stdout)["error"]["detail"])
        self.assertEqual(len(nginx.requests()), before, "nothing of a refused request reached the server")

    def test_one_connection_many_requests_each_judged(self):
        done = curl("-w", "%{http_code} %{num_connects}\\n", "-o", "/dev/null", url("/v1/hello"), "-o", "/dev/null",
                    url("/v1/secret/a"), "-o", "/dev/null", url("/gone"))
        self.assertEqual(done.stdout.split("\n")[:3], ["200 1", "403 0", "204 0"], done.stderr)
        operations = [op for op in last_session()["log"] if op["kind"] == "http"]
        self.assertEqual([(op["decision"], op["statement"]) for op in operations],
                         [("allow", f"GET 127.0.0.1:{WEB}/v1/hello"), ("deny", f"GET 127.0.0.1:{WEB}/v1/secret/a"),
                          ("allow", f"GET 127.0.0.1:{WEB}/gone")])
        self.assertEqual(operations[0]["ended"]["tag"], "200 OK")

    def test_head_http10_redirects_chunks_and_other_hosts(self):
        self.assertIn("Content-Length: 6", curl("-I", url("/v1/hello")).stdout)
        self.assertEqual(curl("--http1.0", url("/v1/hello")).stdout, "hello\n")
        self.assertEqual(curl("-L", url("/moved")).stdout, "hello\n")
        words = curl("--compressed", url("/chunks")).stdout
        self.assertEqual(words, "all work and no play\n" * 10_000)
        self.assertEqual(curl("--http2", url("/v1/hello")).stdout, "hello\n", "an offer of h2c that nobody takes")
        self.assertIn("is not listed by the target", curl("-H", "Host: other.internal", url("/v1/hello")).stdout)
        self.assertIn("not relayed", curl("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", url("/echo")).stdout)
        self.assertIn("host=localhost:8080 ", curl(f"http://localhost:{WEB}/echo").stdout)
        self.assertIn("`.` or `..`", curl("--path-as-is", url("/v1/../echo")).stdout)

    def test_uploads_stream(self):
        data = os.urandom(5 << 20)
        (machine.work / "upload").write_bytes(data)
        (machine.work / "upload").chmod(0o644)
        for name, options in (("chunked", ["-H", "Transfer-Encoding: chunked"]), ("length", [])):
            with self.subTest(name):
                done = curl("-w", "%{http_code}", "-T", machine.work / "upload", *options, url(f"/v1/in/{name}"))
                self.assertEqual(done.stdout, "201", done.stderr)
                self.assertEqual((nginx.home / f"root/v1/in/{name}").read_bytes(), data)
        refused = curl("-w", "%{http_code}", "-o", "/dev/null", "-T", machine.work / "upload", url("/v1/other"))
        self.assertEqual(refused.stdout, "403", refused.stderr)

    def test_tls_to_the_server(self):
        self.assertEqual(curl(f"http://localhost:{SECURE}/v1/hello").stdout, "hello\n")

    def test_tls_from_the_agent(self):
        # Nobody hands out the daemon's authority, which is made anew at each start.
        got = curl("-k", f"https://localhost:{SECURE}/v1/hello")
        self.assertEqual(got.stdout, "hello\n", got.stderr)
        self.assertEqual(curl("-k", "-w", "%{http_code}", "-o", "/dev/null",
                              f"https://localhost:{SECURE}/v1/secret/a").stdout, "403")


class Requests(unittest.TestCase):
    def test_a_session_with_keep_alive_and_pipelines_of_refusals(self):
        got = machine.python(f"""
            import json, requests
            s = requests.Session()
            s.trust_env = False
            out = [s.get("{url('/v1/hello')}").text]
            out.append(s.post("{url('/v1/hello')}", json={{"a": 1}}, headers={{"Accept": "application/json"}}).json())
            out.append(s.put("{url('/v1/in/r')}", data=(b"x" * 1000 for _ in range(100))).status_code)
            out.append(len(s.get("{url('/v1/in/r')}").content))
            print(json.dumps(out))
            """)
        self.assertEqual((got[0], got[2], got[3]), ("hello\n", 201, 100_000))
        self.assertIn("POST /v1/hello", got[1]["error"]["message"])
        self.assertEqual(len([op for op in last_session()["log"] if op["kind"] == "http"]), 4)


class Held(unittest.TestCase):
    def test_a_request_waits_and_what_policy_denies_meanwhile_is_refused_at_once(self):
        self.addCleanup(lambda: machine.set_policy(*policy()))
        victim = nginx.home / "root/v1/in/victim"
        self.assertEqual(curl("-w", "%{http_code}", "-T", "/etc/hostname", url("/v1/in/victim")).stdout, "201")
        client = machine.start_agent("bot", ["curl", "-sS", "-w", "%{http_code}", "-X", "DELETE", url("/v1/in/victim")])
        wait_until("it is held", lambda: any(op["decision"] == "hold" for op in last_session()["log"]))
        self.assertTrue(victim.exists())
        machine.set_policy(*policy({**RULES, "hold": [{"http": {"paths": ["/nothing"]}}]}))
        out = client.communicate(timeout=30)[0]
        self.assertIn("policy denies it now", out)
        self.assertTrue(out.endswith("403"), out)
        self.assertTrue(victim.exists())


class Live(unittest.TestCase):
    def test_a_change_of_policy_cuts_an_answer(self):
        self.addCleanup(lambda: machine.set_policy(*policy()))
        client = machine.start_agent("bot", ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download} %{errormsg}",
                                             url("/slow/large")])
        wait_until("it is being sent", lambda: b"/slow/large" in b"".join(
            p.read_bytes() for p in (machine.state_dir / "records").rglob("*") if p.is_file()))
        machine.set_policy(*policy(dict(allow=[{"http": {"methods": ["GET"], "paths": ["/v1/**"]}}])))
        out = client.communicate(timeout=60)[0]
        self.assertNotEqual(client.returncode, 0, out)
        wait_until("the record says why", lambda: any(
            "cut: refused by policy" in (op.get("ended") or {}).get("error", {}).get("message", "")
            for op in last_session()["log"]))

    def test_a_large_answer_takes_no_memory(self):
        curl("-o", "/dev/null", url("/v1/hello"))
        before = peak_kib()
        done = curl("-o", "/dev/null", "-w", "%{size_download} %{time_total}", url("/v1/large"))
        size, seconds = done.stdout.split()
        self.assertEqual(int(size), DOWNLOAD_BYTES, done.stderr)
        growth = peak_kib() - before
        print(f"{DOWNLOAD_BYTES >> 20} MiB in {seconds} s, peak of the daemon grew by {growth} KiB")
        self.assertLess(growth, PEAK_GROWTH_MAX_KIB)


class Tokens(unittest.TestCase):
    """Two agents in one cgroup."""

    def pool(self, code, **options):
        """Runs Python in their cgroup; what it prints last is JSON."""
        done = subprocess.run(
            ["setpriv", f"--reuid={harness.NOBODY}", f"--regid={harness.NOBODY}", "--clear-groups", harness.PYTHON, "-c",
             textwrap.dedent(code)], text=True, capture_output=True, timeout=120, cwd="/tmp",
            env=harness.agent_environment(None), preexec_fn=lambda: harness.join(pool), **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def ask(self, rows, scheme="Bearer ", field="Authorization"):
        """Requests on one connection, each a path and a token: status and body of each."""
        return self.pool(f"""
            import http.client, json
            c = http.client.HTTPConnection("127.0.0.1", {SHARED}, timeout=60)
            out, sockets = [], set()
            for path, token in json.loads({json.dumps(json.dumps(rows))}):
                c.request("GET", path, headers={{"{field}": "{scheme}" + token}} if token else {{}})
                sockets.add(c.sock.getsockname())
                r = c.getresponse()
                out.append([r.status, r.read().decode(), r.getheader("WWW-Authenticate") or ""])
            assert len(sockets) == 1, sockets
            print(json.dumps(out))
            """)

    def test_requests_on_one_connection_are_judged_apart(self):
        ada, ben = provider.token("bot"), provider.token("rival")
        answers = self.ask([("/v1/ada", ada), ("/v1/ada", ben), ("/v1/ben", ben), ("/v1/ben", ada), ("/echo", ada),
                            ("/echo", "")])
        self.assertEqual([each[0] for each in answers], [200, 403, 200, 403, 200, 401])
        self.assertEqual((answers[0][1], answers[2][1]), ("ada's\n", "ben's\n"))
        self.assertIn("refused by policy for agent ben: no rule of Entitlement ben-shared allows GET /v1/ada", answers[1][1])
        self.assertIn("refused by policy for agent ada", answers[3][1])
        self.assertIn("auth= x=", answers[4][1], "the token does not go upstream")
        self.assertIn("it shows no token", answers[5][1])
        self.assertIn("Bearer", answers[5][2])
        listed = json.loads(machine.sallyport("sessions", "list", "-o", "json").stdout)
        newest = max((s for s in listed if s["target"] == "shared"), key=lambda session: session["opened"])
        shown = json.loads(machine.sallyport("sessions", "show", newest["id"], "-o", "json").stdout)
        whose = [(op["decision"], op["principal"]["agent"], op["principal"]["subject"])
                 for op in shown["log"] if op["kind"] == "http" and "principal" in op]
        self.assertEqual(whose, [("allow", "ada", "bot"), ("deny", "ben", "rival"), ("allow", "ben", "rival"),
                                 ("deny", "ada", "bot"), ("allow", "ada", "bot")])
        everything = machine.daemon_log() + machine.records()
        for token in (ada, ben):
            self.assertNotIn(token.rsplit(".", 1)[1], everything)

    def test_a_token_that_is_none_and_one_of_nobody_here(self):
        head, body, _ = provider.token("bot").split(".")
        forged, elsewhere = f"{head}.{body}.AAAA", provider.token("third")
        answers = self.ask([("/v1/ada", forged), ("/v1/ada", elsewhere), ("/v1/ada", provider.token("bot"))])
        self.assertEqual([each[0] for each in answers], [401, 401, 200])

    def test_a_named_header_leaves_authorization_to_the_target(self):
        self.addCleanup(lambda: machine.set_policy(*policy()))
        machine.set_policy(*policy(token={"from": "header", "name": "X-Agent-Token"}))
        answer = self.pool(f"""
            import json, urllib.request
            r = urllib.request.Request("http://127.0.0.1:{SHARED}/echo", headers={{
                "X-Agent-Token": "{provider.token("bot")}", "Authorization": "Basic own"}})
            print(json.dumps(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(r).read().decode()))
            """)
        self.assertIn("auth=Basic own x= ", answer)

    def test_its_expiry_cuts_an_answer(self):
        out = self.pool(f"""
            import http.client, json
            c = http.client.HTTPConnection("127.0.0.1", {SHARED}, timeout=60)
            c.request("GET", "/slow/large", headers={{"Authorization": "Bearer {provider.token("bot", seconds=3)}"}})
            r = c.getresponse()
            total = 0
            try:
                while piece := r.read(1 << 16):
                    total += len(piece)
                print(json.dumps("whole"))
            except (OSError, http.client.IncompleteRead) as error:
                print(json.dumps(type(error).__name__))
            """)
        self.assertIn(out, ("ConnectionResetError", "IncompleteRead"))


def peak_kib():
    for line in pathlib.Path(f"/proc/{machine.daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


if __name__ == "__main__":
    harness.main()
