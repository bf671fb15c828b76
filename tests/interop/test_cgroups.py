# SPDX-License-Identifier: Apache-2.0
"""Agents that nobody starts with `exec`: units, containers (real ones, by crun), pods; and what is nobody's.

The cgroup namespace of the test file is a whole tree of its own, in which it makes what runtimes make; their state lies
in /var/lib and /run of its mount namespace.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import time
import unittest

import harness
from containers import write_state
from harness import DSN, NOBODY, entitlement_document, target_document, wait_until

WEB = "3f9cab1e5d5d7e0c1b2a39485766f5e4d3c2b1a0918273645546372819aabbcc"
POD_CONTAINER = "c94a8fe5ccb19ba61c4c0873d391e987982fbbd3a94a8fe5ccb19ba61c4c0873"
POD = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f"


def agent(name, *workload, **more):
    return "\n" + json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name},
                       "spec": {"workload": workload, "minLevel": "guarded", **more}}) + "\n"


POLICY = [
    agent("unit", {"systemd": {"unit": "billing.service"}}),
    agent("web", {"docker": {"name": "web", "labels": {"team": "bots"}}}, loopback="divert"),
    agent("pod", {"kubernetes": {"namespace": "bots", "pod": "billing-*"}}),
    agent("one", {"systemd": {"unit": "both.service"}}), agent("two", {"systemd": {"slice": "pool.slice"}}),
    target_document(),
    *(entitlement_document(name, allow=[{"sql": {"statements": ["select"]}}]) for name in ("unit", "web", "pod")),
]


# Put before libc's: as if the kernel had no memory for it, while the file is there.
POLL = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>
int poll(struct pollfd* fds, nfds_t count, int timeout_ms) {
  if (access(FAILS, F_OK) == 0) { errno = ENOMEM; return -1; }
  return ((int (*)(struct pollfd*, nfds_t, int))dlsym(RTLD_NEXT, "poll"))(fds, count, timeout_ms);
}
"""


@contextlib.contextmanager
def poll_that_can_fail():
    """What is started within has poll() fail while `poll-fails` is there."""
    library = machine.work / "poll.so"
    harness.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library, f'-DFAILS="{machine.work}/poll-fails"', "-ldl"],
                input=POLL)
    os.environ["LD_PRELOAD"] = str(library)
    yield
    del os.environ["LD_PRELOAD"]


def setUpModule():
    global machine, server, root
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    for folder in ("/var/lib", "/run"):
        harness.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder])
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    root = harness.cgroup2_root()
    (root / "pool.slice").mkdir()
    (root / "governed").mkdir()
    machine.write_policy(*POLICY)
    with poll_that_can_fail():
        machine.start_daemon("--govern", "/governed")


def make(path):
    folder = root / path.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def psql(folder, *words, sql="SELECT count(*) FROM shop.numbers"):
    """psql as nobody in a cgroup."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "psql", "-X", "-At", *words, "-c",
               sql, DSN]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, cwd="/tmp",
                          preexec_fn=lambda: harness.join(folder), env=harness.agent_environment(None))


def enrolled(path):
    return wait_until(f"{path} is enrolled", lambda: f"cgroup {path} is enrolled" in machine.daemon_log())


def show(name):
    return json.loads(machine.sallyport("-o", "json", "agents", "show", name).stdout)


class Units(unittest.TestCase):
    def test_a_unit_is_its_agent_and_the_session_names_the_process(self):
        folder = make("/system.slice/billing.service")
        enrolled("/system.slice/billing.service")
        done = psql(folder, "-v", "password=hunter2")
        self.assertEqual((done.stdout, done.stderr), ("1000\n", ""))
        session = json.loads(machine.sallyport("-o", "json", "sessions", "list", "--agent", "unit").stdout)[0]
        self.assertEqual(session["workload"], "systemd:billing.service")
        self.assertRegex(session["principal"], r"^unit \(systemd:billing.service, psql\[\d+\]\)$")
        process = session["process"]
        self.assertEqual((process["unknown"], process["uid"], process["directory"]), ("", NOBODY, "/tmp"))
        self.assertTrue(process["executable"].endswith("/psql"), process)
        self.assertEqual(process["sha256"], harness.run(["sha256sum", process["executable"]]).split()[0])
        self.assertIn("password=<secret>", process["arguments"])
        self.assertNotIn("hunter2", json.dumps(session))
        self.assertTrue(process["parents"])
        text = machine.sallyport("sessions", "show", session["id"]).stdout
        self.assertIn(session["principal"], text)
        refused = psql(folder, sql="DELETE FROM shop.numbers", *("-v", "VERBOSITY=verbose"))
        self.assertRegex(refused.stderr, r"principal: unit \(systemd:billing.service, psql\[\d+\]\)")

    def test_below_the_unit_it_is_the_unit_and_a_like_name_elsewhere_is_not(self):
        below = make("/system.slice/billing.service/system.slice/other.service")
        enrolled("/system.slice/billing.service")
        self.assertEqual(psql(below).stdout, "1000\n")
        self.assertEqual(len(show("unit")["workloads"]), 1)
        fake = make("/user.slice/user-1000.slice/user@1000.service/system.slice/billing.service")
        time.sleep(0.3)
        self.assertEqual(len(show("unit")["workloads"]), 1)
        self.assertEqual(psql(fake).stdout, "1000\n", "nobody's: goes as it is")

    def test_it_goes_and_comes_back_as_another_cgroup(self):
        folder = make("/system.slice/billing.service")
        enrolled("/system.slice/billing.service")
        for path in sorted(folder.rglob("*/"), key=lambda p: -len(p.parts)) + [folder]:
            path.rmdir()
        wait_until("it is forgotten", lambda: show("unit")["workloads"] == [])
        folder = make("/system.slice/billing.service")
        wait_until("it is enrolled again", lambda: len(show("unit")["workloads"]) == 1)
        self.assertEqual(psql(folder).stdout, "1000\n")

    def test_two_agents_that_select_it_are_both_named_and_it_is_refused(self):
        folder = make("/pool.slice/both.service")
        enrolled("/pool.slice/both.service")
        done = psql(folder)
        self.assertNotEqual(done.returncode, 0)
        wait_until("the log names both", lambda: "Agents one and two both select it" in machine.daemon_log())

    def test_a_change_of_policy_enrols_what_is_there_and_never_lets_go(self):
        folder = make("/system.slice/later.service")
        self.assertEqual(psql(folder).stdout, "1000\n", "nobody's")
        machine.set_policy(*POLICY, agent("later", {"systemd": {"unit": "later.service"}}),
                           entitlement_document("later", allow=[{"sql": {"tables": ["shop.notes"]}}]))
        enrolled("/system.slice/later.service")
        self.assertIn("refused by policy for agent later", psql(folder).stderr)
        machine.set_policy(*POLICY)
        wait_until("it is refused", lambda: psql(folder).returncode != 0 and
                   "no Agent selects it any more" in machine.daemon_log())


class Watching(unittest.TestCase):
    def test_a_poll_that_fails_does_not_end_it(self):
        said = "watching cgroups: poll: Cannot allocate memory; going on in a second"
        fails = machine.work / "poll-fails"
        fails.touch()
        make("/system.slice/woken.service")  # what waits is woken, and waits again
        wait_until("it says so", lambda: said in machine.daemon_log())
        make("/pool.slice/meanwhile.service")
        fails.unlink()
        enrolled("/pool.slice/meanwhile.service")


class Governed(unittest.TestCase):
    def test_what_is_nobodys_is_refused_from_its_first_moment(self):
        done = psql(make("/governed/new"))
        self.assertIn("Connection refused", done.stderr)
        self.assertEqual(machine.sallyport("status").returncode, 0)


class Containers(unittest.TestCase):
    def run_container(self, container, name, script, labels):
        """In the machine's network namespace; in those of their own: test_containers.py."""
        write_state(f"/var/lib/docker/containers/{container}/config.v2.json",
                    {"ID": container, "Name": f"/{name}", "Config": {"Image": "bots/web:1", "Labels": labels}})
        bundle = machine.work / f"bundle-{name}-{container[:6]}"
        (bundle / "rootfs").mkdir(parents=True)
        bind = [{"destination": f"/{d}", "type": "bind", "source": f"/{d}", "options": ["rbind", "ro"]}
                for d in ("usr", "bin", "sbin", "lib", "lib64", "etc") if pathlib.Path(f"/{d}").exists()]
        spec = {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "hostname": name,
                "process": {"args": ["/bin/sh", "-c", script], "cwd": "/", "env": ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"],
                            "user": {"uid": 0, "gid": 0}, "capabilities": {}},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}, *bind,
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                           {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
                "linux": {"cgroupsPath": f"/docker/{container}",
                          "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount")]}}
        (bundle / "config.json").write_text(json.dumps(spec))
        command = (f"mount -t cgroup2 none /sys/fs/cgroup && exec crun --root {bundle}/state --cgroup-manager cgroupfs "
                   f"run --bundle {bundle} {container[:12]}")
        return subprocess.run(["unshare", "--mount", "sh", "-c", command], text=True, capture_output=True, timeout=60)

    def test_a_container_is_known_by_name_and_labels(self):
        harness.require("crun")
        script = f"psql -X -At -c 'SELECT count(*) FROM shop.numbers' '{DSN}' 2>&1"
        done = self.run_container(WEB, "web", script, {"team": "bots"})
        self.assertEqual(done.stdout, "1000\n", done.stderr + machine.daemon_log()[-2000:])
        session = json.loads(machine.sallyport("-o", "json", "sessions", "list", "--agent", "web").stdout)[0]
        self.assertEqual((session["workload"], session["cgroup"]), ("docker:web", f"/docker/{WEB}"))
        self.assertEqual(session["process"]["unknown"], "", session["process"])

    def test_a_label_that_does_not_match_is_named(self):
        container = "b" * 64
        write_state(f"/var/lib/docker/containers/{container}/config.v2.json",
                    {"ID": container, "Name": "/web", "Config": {"Image": "bots/web:1", "Labels": {"team": "ops"}}})
        make(f"/docker/{container}")
        near = wait_until("it is looked at", lambda: [n for n in show("web")["near"] if container in n["cgroup"]])
        self.assertEqual(near[0]["mismatches"], [{"fact": "labels.team", "wanted": "bots", "found": "ops"}])
        text = machine.sallyport("agents", "show", "web").stdout
        self.assertIn("labels.team: ops; wanted bots", text)


class Pods(unittest.TestCase):
    def test_a_pod_is_known_once_the_runtime_told_of_it(self):
        config = {"ociVersion": "1.1.0", "annotations": {
            "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-namespace": "bots",
            "io.kubernetes.cri.sandbox-name": "billing-7d9f", "io.kubernetes.cri.sandbox-uid": POD}}
        write_state(f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{POD_CONTAINER}/config.json", config)
        folder = make(f"/kubepods/burstable/pod{POD}/{POD_CONTAINER}")
        enrolled(f"/kubepods/burstable/pod{POD}")
        self.assertEqual(psql(folder).stdout, "1000\n")
        session = json.loads(machine.sallyport("-o", "json", "sessions", "list", "--agent", "pod").stdout)[0]
        self.assertEqual(session["workload"], "kubernetes:bots/billing-7d9f")

    def test_a_container_that_says_another_pod_is_not_believed(self):
        other, container = "1f3c2b1a-1111-4222-8333-9a8b7c6d5e4f", "d" * 64
        write_state(f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container}/config.json", {"annotations": {
            "io.kubernetes.cri.sandbox-namespace": "bots", "io.kubernetes.cri.sandbox-name": "billing-1",
            "io.kubernetes.cri.sandbox-uid": POD}})
        make(f"/kubepods/burstable/pod{other}/{container}")
        wait_until("the log says so", lambda: f"says pod {POD}, the cgroup says {other}" in machine.daemon_log())
        self.assertNotIn(other, json.dumps(show("pod")["workloads"]))


if __name__ == "__main__":
    harness.main()
