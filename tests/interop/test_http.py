# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1: curl and requests as agents through the real daemon to a real nginx."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import unittest

import harness
from harness import agent_document, entitlement_document, wait_until
from issuer import make_certificates

WEB, SECURE = 8080, 8444
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
    listen 127.0.0.1:{web}; listen 127.0.0.1:{secure} ssl;
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
        (home / "root/v1/words").write_text("all work and no play\n" * 10_000)
        with open(home / "root/v1/large", "wb") as large:
            large.truncate(DOWNLOAD_BYTES)
        (home / "conf").write_text(NGINX.format(home=home, web=WEB, secure=SECURE))
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


def policy(rules=None):
    return [agent_document("bot"), target("web", WEB),
            target("secure", SECURE, tls={"mode": "verify-full", "ca": str(nginx.home / "ca.pem")}),
            entitlement_document("bot", "web", **(rules or RULES)), entitlement_document("bot", "secure", **RULES)]


def setUpModule():
    global machine, nginx
    harness.require("curl", "nginx")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    (machine.work / "nginx").mkdir()
    nginx = Nginx(machine.work / "nginx")
    unittest.addModuleCleanup(nginx.close)
    machine.write_policy(*policy())
    machine.start_daemon()


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


def peak_kib():
    for line in pathlib.Path(f"/proc/{machine.daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


if __name__ == "__main__":
    harness.main()
