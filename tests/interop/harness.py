# SPDX-License-Identifier: Apache-2.0
"""A machine of its own for each test file: own cgroup, own network and mount namespaces, a throw-away
PostgreSQL, and a daemon that governs agents started with `sallyport exec` as uid nobody.

Nothing here skips: what is missing (root, BPF, a client) is a failure that says so.
"""

import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent
SALLYPORT = os.environ.get("SALLYPORT", str(SOURCE.parents[1] / "build/userspace/cli/sallyport"))
CACHE = pathlib.Path(os.environ.get("SALLYPORT_TEST_CACHE", str(SOURCE.parents[1] / "build/interop-cache")))
PYTHON = "/usr/bin/python3"  # the distribution's, which has its psycopg and asyncpg
PG_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
NOBODY = 65534
PORT = 5432
INSIDE = "SALLYPORT_INTEROP_INSIDE"


def main():
    """Runs the calling test file in a cgroup and namespaces of its own, and takes them away afterwards."""
    if INSIDE in os.environ:
        unittest.main(verbosity=2, warnings="ignore")
        return
    if os.geteuid() != 0:
        sys.exit("interop tests need root: they load BPF programs and make namespaces")
    if not os.access(SALLYPORT, os.X_OK):
        sys.exit(f"no program at {SALLYPORT}: build the target `sallyport` or set SALLYPORT")
    root = cgroup2_root()
    cgroup = root / f"sptest-interop-{os.getpid()}"
    cgroup.mkdir()
    work = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-interop-"))
    work.chmod(0o755)
    # Nothing of the caller's settings, language or time zone gets into what is tested.
    theirs = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    environment = {**theirs, INSIDE: str(work), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = ["unshare", "--mount", "--net", "--cgroup", PYTHON, *sys.argv]
    child = subprocess.Popen(command, env=environment, preexec_fn=lambda: join(cgroup))
    try:
        code = child.wait()
    finally:
        (cgroup / "cgroup.kill").write_text("1")
        child.wait()
        remove_cgroups(cgroup)
        if os.environ.get("SALLYPORT_KEEP"):
            print("kept:", work)
        else:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(code)


def join(cgroup):
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))


def cgroup2_root():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(point)
    sys.exit("cgroup v2 is not mounted")


def remove_cgroups(cgroup):
    deadline = time.monotonic() + 10
    for path in sorted(cgroup.rglob("*/"), key=lambda p: -len(p.parts)) + [cgroup]:
        if not path.is_dir():
            continue
        while True:
            try:
                path.rmdir()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    print(f"left behind: {path}: {error}", file=sys.stderr)
                    break
                time.sleep(0.05)


def run(command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


class Lateness:
    """How long a thread that wanted to run was kept waiting, in all: what a busy machine may add to a bound in time."""

    def __enter__(self):
        self.seconds = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.measure, daemon=True)
        self.thread.start()
        return self

    def measure(self):
        while not self.over.is_set():
            begun = time.monotonic()
            self.over.wait(0.02)
            if not self.over.is_set():
                self.seconds += max(0.0, time.monotonic() - begun - 0.02)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def allow(self, seconds):
        """The bound to hold things to: `seconds` on a machine at rest."""
        return seconds + 4 * self.seconds


def wait_until(what, condition, seconds=60.0):
    """Until `condition` gives something true. The time only ends what hangs: it is no promise of ours."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def require(*programs):
    for program in programs:
        if not shutil.which(program):
            raise AssertionError(f"`{program}` is not installed: run scripts/dev setup")


AGENT = """
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec: {{workload: [{{exec: {{name: {name}, users: [nobody]}}}}], minLevel: guarded, loopback: divert}}
"""
TARGET = """
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {{name: {name}}}
spec: {{protocol: postgres, hosts: [{hosts}]{more}}}
"""
MASK = """
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {{name: pii}}
spec: {spec}
"""
ENTITLEMENT = """
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {{name: {agent}-{target}}}
spec: {spec}
"""


def agent_document(name):
    return AGENT.format(name=name)


def target_document(name="db", hosts=f'"127.0.0.1:{PORT}", "[::1]:{PORT}"', **more):
    return TARGET.format(name=name, hosts=hosts, more="".join(f", {k}: {json.dumps(v)}" for k, v in more.items()))


def mask_document(columns, detect=()):
    entries = [{"column": column, "with": strategy} for column, strategy in columns.items()]
    return MASK.format(spec=json.dumps({"columns": entries, **({"detect": list(detect)} if detect else {})}))


def entitlement_document(agent, target="db", **spec):
    return ENTITLEMENT.format(agent=agent, target=target, spec=json.dumps({"agent": agent, "target": target, **spec}))


class Machine:
    """What setUpModule makes once: the namespaces are furnished, PostgreSQL and the daemon started on demand."""

    def __init__(self):
        self.work = pathlib.Path(os.environ[INSIDE])
        root = cgroup2_root()
        run(["umount", str(root)])
        run(["mount", "-t", "cgroup2", "none", str(root)])
        self.bpffs = self.work / "bpf"
        self.bpffs.mkdir(exist_ok=True)
        run(["mount", "-t", "bpf", "none", str(self.bpffs)])
        run(["ip", "link", "set", "lo", "up"])
        self.policy_dir = self.work / "policy"
        self.policy_dir.mkdir(exist_ok=True)
        self.run_dir = self.work / "run"
        self.state_dir = self.work / "state"
        self.socket = self.run_dir / "control.sock"
        self.daemon = None
        self.servers = []

    # policy and daemon ------------------------------------------------------------------------------

    def write_policy(self, *documents):
        """Replaces the whole policy in one rename, as an editor does."""
        fresh = self.policy_dir / ".fresh"
        fresh.write_text("---".join(documents))
        fresh.rename(self.policy_dir / "policy.yaml")

    def set_policy(self, *documents):
        """Replaces the policy and has the daemon read it now; a bad one it refuses."""
        self.write_policy(*documents)
        return self.sallyport("policy", "reload")

    def start_daemon(self, *options):
        self.log = open(self.work / "daemon.log", "a+")
        self.daemon = subprocess.Popen(
            [SALLYPORT, "daemon", "--policy", self.policy_dir, "--state", self.state_dir, "--run-dir", self.run_dir,
             "--bpffs", self.bpffs, "--workers", "2", "--log-level", "debug", *options],
            stdout=self.log, stderr=self.log)

        def ready():
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}:\n{self.daemon_log()}")
            return "ready: level" in self.daemon_log()

        wait_until("the daemon is ready", ready, 120)

    def daemon_log(self):
        return (self.work / "daemon.log").read_text()

    def sallyport(self, *arguments):
        """The command line as root, outside of every agent."""
        return subprocess.run([SALLYPORT, "--socket", str(self.socket), *arguments], text=True, capture_output=True,
                              timeout=120)

    def last_closed(self, agent="bot"):
        """When the agent's newest session was over, as recorded, in seconds since the epoch: how fast the agent reads
        what was sent is its own affair."""
        listed = json.loads(self.sallyport("sessions", "list", "-o", "json", "--agent", agent).stdout)
        at = max(session["closed"] or "" for session in listed)
        return datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()

    def records(self):
        """Every byte of the record as text, for what must or must not stand in it."""
        files = [p for p in (self.state_dir / "records").rglob("*") if p.is_file()]
        return b"".join(p.read_bytes() for p in files).decode("utf-8", "replace")

    def agent_command(self, agent, command):
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", SALLYPORT, "--socket",
                str(self.socket), "exec", "--agent", agent, "--", *map(str, command)]

    def agent(self, agent, command, timeout=180, env=None, stdin=None):
        """Runs a command as an agent to its end. Returns CompletedProcess with text."""
        return subprocess.run(self.agent_command(agent, command), text=True, capture_output=True, timeout=timeout,
                              env=agent_environment(env), input=stdin, cwd="/tmp")

    def start_agent(self, agent, command, env=None, **options):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(self.agent_command(agent, command), env=agent_environment(env), cwd="/tmp",
                                **{**pipes, **options})

    def psql(self, *commands, agent="bot", options=(), stdin=None, dsn=None, env=None):
        """psql -X as an agent, each command a -c of its own; verbose errors."""
        words = ["psql", "-X", "-v", "VERBOSITY=verbose", "-At", *options]
        for command in commands:
            words += ["-c", command]
        return self.agent(agent, words + [dsn or DSN], stdin=stdin, env=env)

    def python(self, code, agent="bot", env=None, timeout=180):
        """Runs Python as an agent; what it prints last is JSON and is returned."""
        done = self.agent(agent, [PYTHON, "-c", textwrap.dedent(code)], env=env, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"client failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    # PostgreSQL -------------------------------------------------------------------------------------

    def start_server(self, name="main", port=PORT, auth="trust", hba=None, bin_dir=PG_BIN, **settings):
        server = Server(self, name, port, auth, hba, bin_dir, settings)
        self.servers.append(server)
        return server

    def close(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(60)
            if self.daemon.poll() is None:
                self.daemon.kill()
                self.daemon.wait()
                raise AssertionError("the daemon did not stop within 60 s of SIGTERM")
            if self.daemon.returncode != 0:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}:\n{self.daemon_log()[-3000:]}")
        for server in self.servers:
            server.stop()


DSN = f"host=127.0.0.1 port={PORT} user=app dbname=postgres"


def agent_environment(more):
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "PGDSN": DSN,
            "PGCONNECT_TIMEOUT": "60", "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", **(more or {})}


class Server:
    """A PostgreSQL of its own under uid postgres; trust for 127.0.0.1 unless told otherwise."""

    def __init__(self, machine, name, port, auth, hba, bin_dir, settings):
        self.port = port
        self.bin_dir = pathlib.Path(bin_dir)
        self.home = machine.work / f"pg-{name}"
        self.home.mkdir()
        shutil.chown(self.home, "postgres", "postgres")
        self.data = self.home / "data"
        self.sudo = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env", "HOME=/tmp",
                     "LC_ALL=C.UTF-8"]
        run([*self.sudo, self.bin_dir / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
             "--no-sync"])
        lines = ["local all all trust", *(hba or [f"host all all 127.0.0.1/32 {auth}", f"host all all ::1/128 {auth}"])]
        (self.data / "pg_hba.conf").write_text("\n".join(lines) + "\n")
        self.settings = {"listen_addresses": "127.0.0.1,::1", "port": port, "unix_socket_directories": self.home,
                         "fsync": "off", "logging_collector": "off", "log_min_messages": "warning", **settings}
        self.process = None
        self.start()

    def start(self):
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        log = open(self.home / "log", "a")
        self.process = subprocess.Popen([*self.sudo, self.bin_dir / "postgres", "-D", self.data, *options],
                                        stdout=log, stderr=log, cwd="/tmp")

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"PostgreSQL ended:\n{(self.home / 'log').read_text()}")
            probe = subprocess.run(["psql", "-X", "-h", self.home, "-p", str(self.port), "-U", "postgres", "-c", ""],
                                   capture_output=True)
            return probe.returncode == 0

        wait_until("PostgreSQL is ready", ready, 120)

    def stop(self, how=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)  # env and setpriv exec, so this pid is the postmaster's
            self.process.wait(120)

    def sql(self, text, database="postgres"):
        """As superuser, over the Unix socket, no agent: the truth."""
        return run(["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.home, "-p", str(self.port), "-U",
                    "postgres", "-d", database, "-f", "-"], input=text).strip()


SCHEMA = """
CREATE ROLE app LOGIN PASSWORD 'app-secret';
CREATE ROLE other LOGIN;
GRANT other TO app;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, ssn text,
  born date, score float8, credit numeric(10,2), active bool, token uuid);
INSERT INTO shop.customers VALUES
  (1, 'Ada', 'ada@example.com', '219-09-9999', '1815-12-10', 1.5, 10.25, true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  (2, 'Grace', 'grace@example.org', '457-55-5462', '1906-12-09', 2.5, 20.50, false,
   'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
  (3, 'Edsger', 'edsger@example.com', NULL, '1930-05-11', NULL, NULL, NULL, NULL);
CREATE TABLE shop.notes (id serial PRIMARY KEY, body text);
CREATE TABLE shop.payroll (employee text, salary int);
INSERT INTO shop.payroll VALUES ('Ada', 91000);
CREATE TABLE shop.numbers (n int, t text);
INSERT INTO shop.numbers SELECT n, 'row ' || n FROM generate_series(1, 1000) n;
GRANT USAGE ON SCHEMA shop TO app, other;
GRANT CREATE ON SCHEMA shop TO app;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app, other;
GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO app, other;
"""


def find_process(ancestor, name):
    """The process called `name` at or below `ancestor`, by pid in our namespace."""
    def look():
        pending = [ancestor]
        while pending:
            pid = pending.pop()
            try:
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    return pid
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    pending += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return None
    return wait_until(f"a process {name}", look)
