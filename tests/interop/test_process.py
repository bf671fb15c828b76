# SPDX-License-Identifier: Apache-2.0
"""Rules for some of an agent's processes: the real psql and not a copy of it elsewhere, by path and by digest; and what
agents, sessions and refusals say of it."""

import json
import pathlib
import shutil
import subprocess
import unittest

import harness
from harness import DSN, NOBODY, PG_BIN, entitlement_document, target_document, wait_until
from test_cgroups import agent

PSQL = str(PG_BIN / "psql")  # what Debian's /usr/bin/psql, a script, runs in the end
UNIT = "/system.slice/billing.service"
COUNT = "SELECT count(*) FROM shop.numbers"


def setUpModule():
    global machine, folder, copy, large
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    machine.start_server().sql(harness.SCHEMA)
    copy, large = machine.work / "psql", machine.work / "large-psql"
    shutil.copy(PSQL, copy)
    shutil.copy(PSQL, large)
    with open(large, "ab") as file:  # ELF does not mind what lies behind it; another digest, and over 8 MiB
        file.write(bytes(96 << 20))
    machine.write_policy(*policy(exe=PSQL))
    machine.start_daemon()
    folder = harness.cgroup2_root() / UNIT.lstrip("/")
    folder.mkdir(parents=True)
    wait_until("it is enrolled", lambda: f"cgroup {UNIT} is enrolled" in machine.daemon_log())


def policy(*, more=(), **process):
    rules = [{"sql": {"statements": ["select"]}, "process": process}]
    return [agent("unit", {"systemd": {"unit": "billing.service"}}, loopback="divert"), harness.agent_document("bot"),
            target_document(), entitlement_document("unit", allow=rules), entitlement_document("bot", allow=rules), *more]


def digest(path):
    return harness.run(["sha256sum", str(path)]).split()[0]


def call(*command, sql=COUNT, prefix=()):
    words = [*prefix, *command, "-X", "-At", "-c", sql, DSN]
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *words], text=True,
                          capture_output=True, timeout=60, cwd="/tmp", preexec_fn=lambda: harness.join(folder),
                          env=harness.agent_environment(None))


def last_session():
    return json.loads(machine.sallyport("-o", "json", "sessions", "list", "--agent", "unit").stdout)[-1]


class Path(unittest.TestCase):
    def setUp(self):
        machine.set_policy(*policy(exe=PSQL))

    def test_the_real_one_is_allowed_and_its_copy_refused_by_name(self):
        self.assertEqual(call("psql").stdout, "1000\n")
        done = call(copy)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"is for another process: its executable is {copy}, not {PSQL}", done.stderr)
        session = last_session()
        self.assertRegex(session["principal"], r"^unit \(systemd:billing.service, psql\[\d+\]\)$")
        self.assertIn(session["principal"], done.stderr)
        self.assertIn(session["principal"], machine.sallyport("sessions", "list").stdout)
        self.assertIn(session["principal"], machine.sallyport("sessions", "show", session["id"]).stdout)

    def test_the_hint_is_the_rule_that_allows_it(self):
        done = call(copy, "-v", "VERBOSITY=verbose")
        self.assertIn(f"process: {{exe: {copy}}}", done.stderr)
        machine.set_policy(*policy(exe=str(copy)))
        self.assertEqual(call(copy).stdout, "1000\n")
        self.assertIn("not " + str(copy), call("psql").stderr)

    def test_another_program_in_the_same_cgroup_is_refused(self):
        script = f"import psycopg; psycopg.connect('{DSN}')"
        done = subprocess.run([harness.PYTHON, "-c", script], text=True, capture_output=True, timeout=60,
                              preexec_fn=lambda: harness.join(folder), env=harness.agent_environment(None))
        self.assertIn("is for another process: its executable is /usr/bin/python3", done.stderr)

    def test_a_path_that_a_user_mounted_over_proves_nothing(self):
        script = f'mount --bind {large} {PSQL} && exec "$@"'
        done = call(PSQL, prefix=["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        self.assertNotEqual(done.stdout, "1000\n")
        self.assertIn("its path proves nothing: its mounts are its own", done.stderr)
        self.assertEqual(last_session()["process"]["executable"], PSQL, "as it claims, and the record says so")
        self.assertIn("its mounts are its own", last_session()["process"]["executable_doubt"])

    def test_what_exec_started_is_told_by_the_nodes_own_path(self):
        self.assertEqual(machine.psql(COUNT).stdout, "1000\n")


class Digest(unittest.TestCase):
    def test_counts_wherever_the_file_lies(self):
        machine.set_policy(*policy(sha256=digest(PSQL)))
        self.assertEqual(call("psql").stdout, "1000\n")
        self.assertEqual(call(copy).stdout, "1000\n")
        done = call(large)
        self.assertIn(f"the SHA-256 of its executable is {digest(large)}", done.stderr)

    def test_of_a_large_one_the_first_session_waits_for(self):
        other = machine.work / "first-psql"
        shutil.copy(large, other)  # a file that nobody has digested yet
        machine.set_policy(*policy(sha256=digest(other)))
        self.assertEqual(call(other).stdout, "1000\n")
        self.assertEqual(last_session()["process"]["sha256"], digest(other))


class Ids(unittest.TestCase):
    def test_are_the_kernels(self):
        machine.set_policy(*policy(exe=PSQL, uid=NOBODY))
        self.assertEqual(call("psql").stdout, "1000\n")
        machine.set_policy(*policy(exe=PSQL, uid=[0, 1000]))
        self.assertIn(f"its uid is {NOBODY}, not 0 or 1000", call("psql").stderr)


class Agents(unittest.TestCase):
    def test_say_that_no_token_is_asked_for(self):
        listed = {each["name"]: each for each in json.loads(machine.sallyport("-o", "json", "agents").stdout)}
        self.assertIsNone(listed["unit"]["workloads"][0]["token"])


if __name__ == "__main__":
    harness.main()
