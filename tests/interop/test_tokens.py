# SPDX-License-Identifier: Apache-2.0
"""Agents that must prove themselves: tokens of a real OpenID provider over HTTPS, keys that rotate, a provider that is
slow or down, tokens that expire, are renewed or belong to somebody else."""

import base64
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import unittest

import harness
from harness import DSN, agent_document, entitlement_document, target_document, wait_until
from issuer import Issuer

SKEW_S = 1
POD, OTHER_POD = "1b2c3d4e-0000-4000-8000-00000000000a", "1b2c3d4e-0000-4000-8000-00000000000b"
POD_CGROUP = f"/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice"


class ClusterIssuer:
    """Signs tokens of exactly the shape that Kubernetes gives to pods; its keys are a local file."""

    def __init__(self, folder):
        folder.mkdir()
        self.key = folder / "sa.key"
        harness.run(["openssl", "genrsa", "-out", str(self.key), "2048"])
        modulus = harness.run(["openssl", "rsa", "-in", str(self.key), "-noout", "-modulus"]).strip().split("=")[1]
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [
            {"use": "sig", "kty": "RSA", "kid": "sa", "alg": "RS256", "n": self.encode(bytes.fromhex(modulus)),
             "e": "AQAB"}]}))

    @staticmethod
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def token(self, pod_uid, service_account="billing"):
        return self.sign({
            "jti": "ea28ed49-2e11-4280-9ec5-bc3d1d84661a",
            "kubernetes.io": {"namespace": "bots", "node": {"name": "node-7", "uid": "n"},
                              "pod": {"name": "billing-0", "uid": pod_uid},
                              "serviceaccount": {"name": service_account, "uid": "s"},
                              "warnafter": int(time.time()) + 3000},
            "sub": f"system:serviceaccount:bots:{service_account}"})

    def sign(self, claims):
        now = int(time.time())
        payload = {"aud": ["sallyport"], "exp": now + 3600, "iat": now, "nbf": now,
                   "iss": "https://kubernetes.default.svc.cluster.local", **claims}
        signed = ".".join(self.encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "sa"}, payload))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.key)], input=signed.encode(),
                                   capture_output=True, check=True).stdout
        return f"{signed}.{self.encode(signature)}"


def token_agent(name, token):
    return agent_document(name).replace("spec: {", "spec: {token: " + json.dumps(token) + ", ", 1)


def issuer_document(**spec):
    return harness.MASK.replace("kind: Mask", "kind: Issuer").replace("name: pii", "name: corp").format(
        spec=json.dumps(spec))


def policy(**more):
    """Agent bot with the subject `bot` of the provider; rival likewise; `free` asks for no token; `pod` is one."""
    pod = token_agent("pod", {"issuer": "cluster", "subject": "system:serviceaccount:bots:billing",
                              "claims": {"/kubernetes.io/node/name": "node-*"}, "file": str(POD_TOKEN)})
    return [pod.replace("{exec: {name: pod, users: [nobody]}}", f"{{kubernetes: {{uid: {POD}, serviceAccount: billing}}}}"),
            issuer_document(url="https://kubernetes.default.svc.cluster.local", audience="sallyport",
                            jwks=str(cluster.jwks)).replace("name: corp", "name: cluster"),
            entitlement_document("pod", allow=[{"sql": {}}]),
            issuer_document(url=provider.url, audience="sallyport", ca=str(provider.ca), skew=f"{SKEW_S}s", **more),
            token_agent("bot", {"issuer": "corp", "subject": "bot"}),
            token_agent("rival", {"issuer": "corp", "subject": "rival"}), agent_document("free"), target_document(),
            entitlement_document("bot", allow=[{"sql": {}}]), entitlement_document("rival", allow=[{"sql": {}}]),
            entitlement_document("free", allow=[{"sql": {}}])]


def setUpModule():
    global machine, server, provider, cluster, POD_TOKEN
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    cluster = ClusterIssuer(machine.work / "cluster")
    POD_TOKEN = machine.work / "pod-token"
    provider = Issuer(machine.work / "issuer", 8443)
    unittest.addModuleCleanup(provider.close)
    machine.write_policy(*policy())
    machine.start_daemon()


class Proof(unittest.TestCase):
    """What its cases share: a token file of each one's own."""

    def setUp(self):
        self.file = machine.work / f"token-{self.id().rsplit('.', 1)[-1]}"

    def put(self, token):
        """As whoever renews it does: the file is replaced, never half written."""
        fresh = self.file.with_suffix(".fresh")
        fresh.write_text(token + "\n")
        fresh.chmod(0o644)
        fresh.rename(self.file)

    def command(self, agent, command):
        words = machine.agent_command(agent, command)
        at = words.index("--agent")
        return words[:at] + ["--token-file", str(self.file)] + words[at:]

    def psql(self, query="SELECT 7", agent="bot"):
        return subprocess.run(self.command(agent, ["psql", "-X", "-At", "-c", query, DSN]), text=True,
                                      capture_output=True, timeout=60, env=harness.agent_environment(None), cwd="/tmp")

    def start(self, seconds=60):
        """A session that says each 100 ms that it lives; ends when the connection does."""
        code = f"""
            import psycopg, sys, time
            with psycopg.connect({DSN!r}, autocommit=True) as c:
                print("open", flush=True)
                try:
                    for _ in range({seconds * 10}):
                        c.execute("SELECT 1")
                        time.sleep(0.1)
                except psycopg.Error as error:
                    print(str(error).splitlines()[0], flush=True)
        """
        process = subprocess.Popen(
            self.command("bot", [harness.PYTHON, "-c", harness.textwrap.dedent(code)]), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=harness.agent_environment(None), cwd="/tmp")
        self.addCleanup(process.stdout.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.assertEqual(process.stdout.readline(), "open\n")
        return process

    def refused(self, done, *words):
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        for word in ("refused by policy", *words):
            self.assertIn(word, done.stderr)


class Tokens(Proof):
    def test_its_own_token_lets_it_in_and_is_named_in_the_record(self):
        self.put(provider.token())
        done = self.psql()
        self.assertEqual((done.stdout, done.stderr), ("7\n", ""))
        self.assertIn("proven as corp bot", machine.daemon_log())
        self.assertNotIn(self.file.read_text().strip().rsplit(".", 1)[1], machine.daemon_log() + machine.records())

    def test_anothers_token_is_refused_before_any_dial(self):
        self.put(provider.token("rival"))
        self.refused(self.psql(), "its subject is `rival`")
        self.assertIn("token-mismatch: agent bot", machine.daemon_log())
        self.assertIn("token-mismatch", machine.records())

    def test_no_token_and_no_file(self):
        self.refused(self.psql(), "it presents no token")
        done = machine.agent("bot", ["true"])
        self.assertEqual(done.returncode, 125)
        self.assertIn("--token-file", done.stderr)

    def test_an_agent_that_is_asked_for_none(self):
        self.assertEqual(machine.psql("SELECT 7", agent="free").stdout, "7\n")

    def test_a_token_that_nobody_signed(self):
        head, body, signature = provider.token().split(".")
        self.put(".".join((head, body, signature[:-8] + ("A" * 8))))
        self.refused(self.psql(), "its signature was not made by the issuer's key")

    def test_a_file_of_somebody_else(self):
        self.put(provider.token())
        self.file.chmod(0o600)
        self.refused(self.psql(), "Permission denied")

    def test_expiry_ends_an_open_session(self):
        token = provider.token(seconds=12)
        body = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"] + SKEW_S
        self.put(token)
        process = self.start()
        self.assertIn("its token expired", process.stdout.readline())
        # Not sooner; how much later is flow_standing_test's to say, on a clock that no other process slows.
        self.assertGreater(time.time(), ends - 0.1)
        process.wait(30)

    def test_renewal_carries_it_on(self):
        self.put(provider.token(seconds=12))
        process = self.start(seconds=20)
        self.put(provider.token(seconds=120))
        self.assertEqual(process.stdout.read(), "")
        self.assertEqual(process.wait(30), 0)

    def test_a_change_of_policy_ends_it(self):
        self.put(provider.token())
        process = self.start()
        try:
            machine.set_policy(*[d.replace('"subject": "bot"', '"subject": "other"') for d in policy()])
            self.assertIn("its subject is `bot`", process.stdout.readline())
        finally:
            machine.set_policy(*policy())
        process.wait(30)


class Shown(Proof):
    """What `agents` says of a workload's token."""

    @staticmethod
    def workloads():
        return json.loads(machine.sallyport("-o", "json", "agents", "show", "bot").stdout)["workloads"]

    def sleeper(self, token):
        wait_until("those of other tests have gone", lambda: not self.workloads())
        self.put(token)
        process = subprocess.Popen(self.command("bot", ["sleep", "60"]), env=harness.agent_environment(None), cwd="/tmp")
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)

        def known():
            states = [each["token"] for each in self.workloads()]
            return states[0] if len(states) == 1 and states[0]["state"] != "pending" else None

        return wait_until("its one workload stands somehow", known)

    def row(self):
        lines = machine.sallyport("agents").stdout.splitlines()
        return next(line for line in lines if line.startswith("bot "))

    def test_proven_until_when_and_as_whom(self):
        token = self.sleeper(provider.token())
        self.assertEqual((token["state"], token["issuer"], token["subject"]), ("proven", "corp", "bot"))
        self.assertLess(token["expires"], token["until"], "the skew is added")
        shown = machine.sallyport("agents", "show", "bot")
        self.assertEqual(shown.returncode, 0, shown.stdout)
        self.assertIn(f"token proven until {token['until']}\n", shown.stdout)
        self.assertIn("corp/bot\n", shown.stdout)
        self.assertIn(f"proven until {token['until']}", self.row())

    def test_refused_and_why(self):
        token = self.sleeper(provider.token("rival"))
        self.assertEqual(token["state"], "refused")
        self.assertIn("its subject is `rival`", token["why"])
        shown = machine.sallyport("agents", "show", "bot")
        self.assertEqual(shown.returncode, 1, shown.stdout)
        self.assertIn("token refused\n", shown.stdout)
        self.assertIn("its subject is `rival`, and Agent `bot` asks for", shown.stdout)
        self.assertIn("refused", self.row())

    def test_none_where_none_is_asked_for(self):
        lines = machine.sallyport("agents").stdout.splitlines()
        self.assertRegex(next(line for line in lines if line.startswith("free ")), r" -  +\d")


class Keys(Proof):
    """Each of these changes the provider; they are run in this order."""

    def test_a_rotation_is_noticed_by_the_first_token_with_the_new_key(self):
        self.put(provider.token())
        process = self.start(seconds=25)
        provider.ask(do="rotate")
        asked, since = provider.ask(do="count")["keys"], time.monotonic()
        self.put(provider.token(seconds=120))
        wait_until("the new key is asked for", lambda: provider.ask(do="count")["keys"] > asked, 30)
        wait_until("the new token proves it", lambda: self.psql().stdout == "7\n", 30)
        # At most every 10 s, whatever tokens say.
        self.assertLess(provider.ask(do="count")["keys"] - asked, 2 + (time.monotonic() - since) / 10)
        self.assertEqual(process.stdout.read(), "")
        process.wait(30)

    def test_down_the_last_keys_count(self):
        self.put(provider.token())
        self.assertEqual(self.psql().stdout, "7\n")
        provider.ask(do="down")
        try:
            self.assertEqual(self.psql().stdout, "7\n")
        finally:
            provider.ask(do="up")

    def test_slow_at_the_start_of_an_issuer_is_waited_for(self):
        self.put(provider.token())
        provider.ask(do="slow", ms=1000)
        try:
            machine.set_policy(*policy(keepKeys="2h"))  # another source: asked for anew
            self.assertEqual(self.psql().stdout, "7\n")
        finally:
            provider.ask(do="slow", ms=0)
            machine.set_policy(*policy())
            wait_until("keys are there", lambda: any(
                i["keys"] for i in json.loads(machine.sallyport("status", "-o", "json").stdout)["issuers"]))


class Discovery(unittest.TestCase):
    """Providers that do what none should, one path each of one server."""

    BASE = "https://localhost:8444"

    def answers(self):
        def document(name, **more):
            return {"issuer": f"{self.BASE}/{name}", "jwks_uri": f"{self.BASE}/{name}/keys", **more}

        keys = json.loads(cluster.jwks.read_text())
        return {  # name: (document, its status, the keys, what is said)
            "good": (document("good"), 200, keys, ""),
            "redirect": ({}, 302, keys, "a redirect, which is not followed"),
            "other": (document("good"), 200, keys, f"is of issuer `{self.BASE}/good`"),
            "slash": (document("slash", issuer=f"{self.BASE}/slash/"), 200, keys, "is of issuer"),
            "plain": (document("plain", jwks_uri="http://localhost:8444/plain/keys"), 200, keys, "names no https"),
            "broken": (document("broken"), 500, keys, "status 500"),
            "long": (document("long"), 200, {"keys": [], "x": "x" * 300_000}, "an answer longer than 262144 bytes"),
            "empty": (document("empty"), 200, {"keys": []}, "no key that could verify"),
            "twice": (document("twice"), 200, '{"keys": [], "keys": []}', "a member twice"),
            "secret": (document("secret"), 200, {"keys": [{"kty": "oct", "k": "AAAA", "alg": "HS256"}]}, "no key that"),
        }

    def serve(self):
        answers = self.answers()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name, _, rest = self.path[1:].partition("/")
                document, status, keys, _ = answers[name]
                body = document if rest.startswith(".well-known") else keys
                body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status if rest.startswith(".well-known") else 200)
                if status == 302:
                    self.send_header("Location", f"{Discovery.BASE}/good/{rest}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # whoever asked has had enough
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 8444), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(machine.work / "issuer/server.pem", machine.work / "issuer/server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return answers

    def test_only_what_can_be_trusted_is_taken(self):
        answers = self.serve()
        issuers = [issuer_document(url=f"{self.BASE}/{name}", audience="a", ca=str(provider.ca)).replace(
            "name: corp", f"name: x-{name}") for name in answers]
        # The same server, but signed by nobody whom the machine trusts; and one that is not there.
        issuers += [issuer_document(url=f"{self.BASE}/good", audience="a").replace("name: corp", "name: x-stranger"),
                    issuer_document(url="https://127.0.0.1:8444/good", audience="a", ca=str(provider.ca)).replace(
                        "name: corp", "name: x-name"),
                    issuer_document(url="https://localhost:8445", audience="a").replace("name: corp", "name: x-gone")]
        wanted = {f"x-{name}": said for name, (_, _, _, said) in answers.items()}
        wanted |= {"x-stranger": "certificate", "x-name": "127.0.0.1", "x-gone": "8445"}
        machine.set_policy(*policy(), *issuers)
        self.addCleanup(lambda: machine.set_policy(*policy()))

        def told():
            found = {each["issuer"]: each for each in json.loads(
                machine.sallyport("status", "-o", "json").stdout)["issuers"] if each["issuer"] in wanted}
            asked = [each for each in found.values() if "not been asked" not in each["error"]]
            return found if len(asked) == len(wanted) else None

        found = wait_until("all of them have been asked", told, 60)
        for name, said in wanted.items():
            with self.subTest(name):
                self.assertIn(said, found[name]["error"])
                self.assertEqual(found[name]["keys"], 0 if said else 1)
                if not said:
                    self.assertEqual(found[name]["error"], "")


class Restart(Proof):
    def test_a_new_daemon_knows_where_the_token_of_a_running_agent_is(self):
        self.put(provider.token())
        process = subprocess.Popen(
            self.command("bot", ["sh", "-c", f"echo up; read line; exec psql -X -At -c 'SELECT 7' '{DSN}'"]), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=harness.agent_environment(None), cwd="/tmp")
        self.assertEqual(process.stdout.readline(), "up\n")
        machine.daemon.terminate()
        self.assertEqual(machine.daemon.wait(30), 0)
        (machine.work / "daemon.log").rename(machine.work / "daemon.log.before")
        machine.start_daemon()
        self.assertEqual(process.communicate("go\n", timeout=60)[0], "7\n")
        self.assertIn("proven as corp bot", machine.daemon_log())


class Pods(unittest.TestCase):
    """A pod's cgroup as the kubelet makes it, and a token that is bound to a pod."""

    def setUp(self):
        self.cgroup = harness.cgroup2_root() / POD_CGROUP[1:] / f"cri-containerd-{'a' * 64}.scope"
        self.cgroup.mkdir(parents=True, exist_ok=True)
        wait_until("the pod is enrolled", lambda: f"cgroup {POD_CGROUP} is enrolled" in machine.daemon_log())

    def psql(self, token):
        fresh = POD_TOKEN.with_suffix(".fresh")
        fresh.write_text(token)
        fresh.rename(POD_TOKEN)

        def enter():
            (self.cgroup / "cgroup.procs").write_text(str(os.getpid()))
            os.setgid(harness.NOBODY)
            os.setuid(harness.NOBODY)

        # A while in the pod first: what was read for the process before is looked at again.
        return subprocess.run(["sh", "-c", f"sleep 2; exec psql -X -At -c 'SELECT 7' '{DSN}'"], text=True,
                              capture_output=True, timeout=60, env=harness.agent_environment(None), cwd="/tmp",
                              preexec_fn=enter)

    def test_its_own_token(self):
        done = self.psql(cluster.token(POD))
        self.assertEqual((done.stdout, done.stderr), ("7\n", ""))
        self.assertIn("proven as cluster system:serviceaccount:bots:billing", machine.daemon_log())

    def test_a_valid_token_of_another_pod(self):
        done = self.psql(cluster.token(OTHER_POD))
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"bound to pod bots/billing-0 (uid {OTHER_POD}), and this workload is in the pod of uid {POD}",
                      done.stderr)
        self.assertIn("token-mismatch: agent pod", machine.daemon_log())
        self.assertIn("token-mismatch", machine.records())

    def test_another_service_account_of_the_same_pod(self):
        done = self.psql(cluster.token(POD, "deployer"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("its subject is `system:serviceaccount:bots:deployer`", done.stderr)


if __name__ == "__main__":
    harness.main()
