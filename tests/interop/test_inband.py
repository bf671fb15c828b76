# SPDX-License-Identifier: Apache-2.0
"""Several agents in one cgroup, told apart by the token that each shows as its PostgreSQL password or has in a file:
tokens of a real OpenID provider, real psql and psycopg; and what becomes of open sessions when that changes."""

import json
import subprocess
import textwrap
import time
import unittest

import harness
from harness import DSN, NOBODY, entitlement_document, target_document, wait_until
from issuer import Issuer

SKEW_S = 1
FILE_DSN = DSN.replace("127.0.0.1", "::1")  # the Target at this address takes tokens of files only


def document(kind, name, **spec):
    return "\n" + json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
                              "spec": spec}) + "\n"


def agent(name, cgroup, **token):
    return document("Agent", name, workload=[{"cgroup": cgroup}], minLevel="guarded", loopback="divert",
                    token={"issuer": "corp", "subject": name, **token})


def policy(rival_subject="rival", pool="/pool", plain="/plain"):
    """bot and rival in one cgroup, each with a table of its own; `third` is elsewhere; `plain` is asked for no token."""
    credential = {"file": str(CREDENTIAL)}
    return [document("Issuer", "corp", url=provider.url, audience="sallyport", ca=str(provider.ca), skew=f"{SKEW_S}s"),
            agent("bot", pool, file=str(machine.work / "token-bot")),
            agent("rival", pool, subject=rival_subject, file=str(machine.work / "token-rival")),
            agent("third", "/elsewhere"),
            target_document(hosts='"127.0.0.1:5432"', credential=credential, token={"from": "password"}),
            target_document("files", hosts='"[::1]:5432"', credential=credential),
            document("Agent", "plain", workload=[{"cgroup": plain}], minLevel="guarded", loopback="divert"),
            *(document("Entitlement", f"{name}-{target}", agent=name, target=target,
                       allow=[{"sql": {"tables": [table]}}])
              for name, table in (("bot", "shop.notes"), ("rival", "shop.numbers"), ("third", "shop.*"),
                                  ("plain", "shop.*"))
              for target in ("db", "files"))]


def setUpModule():
    global machine, server, provider, root, CREDENTIAL
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server(auth="scram-sha-256")
    server.sql(harness.SCHEMA)
    CREDENTIAL = machine.work / "credential"
    CREDENTIAL.write_text("app:app-secret\n")
    CREDENTIAL.chmod(0o600)
    provider = Issuer(machine.work / "issuer", 8446)
    unittest.addModuleCleanup(provider.close)
    root = harness.cgroup2_root()
    for name in ("pool", "elsewhere", "plain", "outside"):
        (root / name).mkdir()
    machine.write_policy(*policy())
    machine.start_daemon()
    for name in ("pool", "elsewhere", "plain"):
        wait_until(f"/{name} is enrolled", lambda: f"cgroup /{name} is enrolled" in machine.daemon_log())


def command(words, token=None, cgroup="pool"):
    """A command as nobody in a cgroup, with a token as PGPASSWORD."""
    more = {"PGPASSWORD": token} if token else {}
    return dict(args=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *map(str, words)],
                text=True, cwd="/tmp", env=harness.agent_environment(more),
                preexec_fn=lambda: harness.join(root / cgroup))


def psql(token=None, sql="SELECT count(*) FROM shop.numbers", cgroup="pool", dsn=DSN):
    return subprocess.run(**command(["psql", "-X", "-w", "-At", "-c", sql, dsn], token, cgroup), capture_output=True,
                          timeout=60)


def sessions():
    return json.loads(machine.sallyport("-o", "json", "sessions", "list").stdout)


class Told(unittest.TestCase):
    """What its cases share."""

    def open_session(self, token, sql, cgroup="pool", dsn=DSN):
        """psycopg, which says each 100 ms that it lives, until its connection ends."""
        code = f"""
            import psycopg, time
            with psycopg.connect({dsn!r}, autocommit=True) as c:
                print("open", flush=True)
                try:
                    for _ in range(600):
                        c.execute({sql!r})
                        time.sleep(0.1)
                except psycopg.Error as error:
                    print(str(error).splitlines()[0], flush=True)
        """
        process = subprocess.Popen(**command([harness.PYTHON, "-c", textwrap.dedent(code)], token, cgroup),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.assertEqual(process.stdout.readline(), "open\n")
        return process


class Inband(Told):
    def test_each_connection_is_the_agent_whose_token_it_shows(self):
        bot, rival = provider.token("bot"), provider.token("rival")
        as_bot = self.open_session(bot, "SELECT * FROM shop.notes")
        as_rival = self.open_session(rival, "SELECT * FROM shop.numbers LIMIT 1")
        self.assertEqual(psql(rival).stdout, "1000\n")
        refused = psql(bot)
        self.assertIn("refused by policy for agent bot: no rule of Entitlement bot-db allows select shop.numbers", refused.stderr)
        live = sorted(each["agent"] for each in sessions() if each["state"] == "live")
        self.assertEqual(live, ["bot", "rival"])
        counted = {each["name"]: each["flows"] for each in json.loads(machine.sallyport("-o", "json", "agents").stdout)}
        self.assertEqual((counted["bot"], counted["rival"]), (1, 1))
        named = {session["principal"].split(", psql")[0].split(", python")[0] for session in sessions()}
        self.assertIn("bot (cgroup:/pool, corp/bot", named)
        self.assertIn("rival (cgroup:/pool, corp/rival", named)
        for process in (as_bot, as_rival):
            self.assertIsNone(process.poll())
        # The password never leaves the node's memory: not upstream, not into a log, not into a record.
        everything = machine.daemon_log() + machine.records() + (server.home / "log").read_text()
        for token in (bot, rival):
            self.assertNotIn(token.rsplit(".", 1)[1], everything)

    def test_a_token_of_an_agent_that_is_elsewhere(self):
        third = provider.token("third")
        before = machine.daemon_log().count("token-mismatch: agents bot and rival, workload cgroup:/pool")
        done = psql(third)
        self.assertEqual(done.returncode, 2)
        self.assertIn("its subject is `third`", done.stderr)
        session = next(each for each in sessions() if each["denied"] == 1 and each["agent"] == "")
        self.assertIn("token-mismatch", machine.sallyport("sessions", "show", session["id"]).stdout)
        wait_until("it is raised", lambda: machine.daemon_log().count(
            "token-mismatch: agents bot and rival, workload cgroup:/pool") > before)
        self.assertEqual(psql(third, cgroup="elsewhere").stdout, "1000\n", "and there it is its own")

    def test_no_token_and_what_is_none(self):
        done = psql()
        self.assertIn("no password supplied", done.stderr)
        wait_until("it is on record", lambda: any(s["denied"] == 1 and s["operations"] == 0 for s in sessions()))
        self.assertIn("its token is not accepted", psql("app-secret").stderr)

    def test_expiry_ends_the_session(self):
        process = self.open_session(provider.token("rival", seconds=4), "SELECT 1 FROM shop.numbers LIMIT 1")
        began = time.time()
        self.assertIn("its token expired", process.stdout.readline())
        self.assertGreater(time.time(), began + 1)

    def test_a_change_of_policy_ends_the_session(self):
        process = self.open_session(provider.token("rival"), "SELECT 1 FROM shop.numbers LIMIT 1")
        try:
            machine.set_policy(*policy(rival_subject="other"))
            self.assertIn("its subject is `rival`", process.stdout.readline())
        finally:
            machine.set_policy(*policy())

    def test_a_workload_that_stops_being_its_agents_ends_the_session(self):
        process = self.open_session(provider.token("rival"), "SELECT 1 FROM shop.numbers LIMIT 1")
        try:
            machine.set_policy(*policy(pool="/another"))
            # Whichever is seen first: that the token fits no more, or that the cgroup is nobody's.
            self.assertRegex(process.stdout.readline(), "Agent `rival` selects /another|no Agent selects it any more")
        finally:
            machine.set_policy(*policy())
            wait_until("it is theirs again", lambda: psql(provider.token("rival")).stdout == "1000\n")

    def test_an_agent_that_leaves_policy_ends_its_session(self):
        process = self.open_session(provider.token("third"), "SELECT 1 FROM shop.numbers LIMIT 1", "elsewhere")
        try:
            machine.set_policy(*[each for each in policy() if "third" not in each])
            self.assertIn("refused by policy for agent third", process.stdout.readline())
        finally:
            machine.set_policy(*policy())

    def test_bad_tokens_of_one_workload_delay_no_other(self):
        """One of each agent's own goes on while 40 at a time are refused beside it."""
        head, body, _ = provider.token("bot").split(".")
        flood = f"""
            for i in $(seq 1 200); do
              PGPASSWORD={head}.{body}.$(printf %0342d $i) psql -X -w -c '' '{DSN}' >/dev/null 2>&1 &
              [ $((i % 40)) = 0 ] && wait
            done; wait"""
        attack = subprocess.Popen(**command(["bash", "-c", flood], cgroup="pool"))
        third = provider.token("third")
        for _ in range(5):
            self.assertEqual(psql(third, cgroup="elsewhere").stdout, "1000\n")
        attack.wait(120)
        self.assertEqual(psql(provider.token("rival")).stdout, "1000\n")


class WithoutToken(Told):
    """An agent that only its cgroup proves."""

    def start(self):
        return self.open_session(None, "SELECT 1 FROM shop.numbers LIMIT 1", "plain")

    def closed_because(self, said):
        wait_until("the record says why", lambda: any(
            said in each.get("close_reason", "") for each in sessions() if each["agent"] == "plain"))

    def test_that_stops_selecting_its_workload_ends_its_session(self):
        process = self.start()
        try:
            machine.set_policy(*policy(plain="/another"))
            self.assertIn("no Agent selects it any more", process.stdout.readline())
            self.closed_because("no Agent selects it any more")
        finally:
            machine.set_policy(*policy())
            wait_until("it is its again", lambda: psql(cgroup="plain").stdout == "1000\n")

    def test_whose_workload_becomes_anothers_ends_its_session(self):
        process = self.start()
        other = document("Agent", "other", workload=[{"cgroup": "/plain"}], minLevel="guarded", loopback="divert")
        try:
            machine.set_policy(*policy(plain="/another"), other)
            self.assertIn("its workload is agent other's now", process.stdout.readline())
        finally:
            machine.set_policy(*policy())
            wait_until("it is its again", lambda: psql(cgroup="plain").stdout == "1000\n")

    def test_whose_cgroup_goes_ends_the_session_that_a_process_took_along(self):
        process = self.start()
        (root / "outside" / "cgroup.procs").write_text(str(process.pid))
        self.assertIsNone(process.poll())
        (root / "plain").rmdir()
        try:
            self.assertIn("its cgroup has gone", process.stdout.readline())
        finally:
            (root / "plain").mkdir()
            wait_until("it is its again", lambda: psql(cgroup="plain").stdout == "1000\n")


class Files(Told):
    """The same two agents on a Target that takes no token inside: a file tells which of them the cgroup is."""

    def put(self, name, token):
        file = machine.work / f"token-{name}"
        fresh = file.with_suffix(".fresh")
        fresh.write_text(token)
        fresh.chmod(0o644)
        fresh.rename(file)
        self.addCleanup(lambda: file.unlink(missing_ok=True))

    def psql_for(self, sql):
        # A while in the cgroup first: a file is seen through a process.
        return subprocess.run(**command(["sh", "-c", f'sleep 2; exec psql -X -w -At -c "{sql}" "{FILE_DSN}"']),
                              capture_output=True, timeout=60)

    def test_the_file_that_is_there_chooses_and_another_ends_the_session(self):
        self.put("rival", provider.token("rival"))
        self.assertEqual(self.psql_for("SELECT count(*) FROM shop.numbers").stdout, "1000\n")
        process = self.open_session(None, "SELECT 1 FROM shop.numbers LIMIT 1", dsn=FILE_DSN)
        (machine.work / "token-rival").unlink()
        self.put("rival", provider.token("bot"))
        self.put("bot", provider.token("bot"))
        self.assertRegex(process.stdout.readline(), "agent rival: its token is not accepted|agent bot now")

    def test_two_proven_at_once_are_none(self):
        self.put("bot", provider.token("bot"))
        self.put("rival", provider.token("rival"))
        done = self.psql_for("SELECT 1")
        self.assertIn("its tokens prove it to be agent bot and agent rival", done.stderr)


if __name__ == "__main__":
    harness.main()
