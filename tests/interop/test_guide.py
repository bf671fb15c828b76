# SPDX-License-Identifier: Apache-2.0
"""docs/identity.md, word for word: its files are written where it says, its commands run as it says, on a machine where
login.example.com is a real OpenID provider and db.internal a real PostgreSQL.

A block's first line says what it is: ```sh is run, ```yaml file=PATH and ```ini file=PATH are written to PATH; a plain
```yaml is loaded if it is policy. What cannot be had here stands in, and is real-shaped: `kubectl` answers with what a
cluster of one node would (the pod it is given is run by crun as the kubelet would have it), `systemctl start` runs the
unit's commands in the unit's cgroup, `sudo` is what the test runs as root. Agents ask for level guarded, which is what
development machines reach.
"""

import configparser
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import containers
import harness
import yaml
from harness import run, wait_until
from issuer import Issuer
from test_tokens import ClusterIssuer

GUIDE = harness.SOURCE.parents[1] / "docs/identity.md"
POLICY = pathlib.Path("/etc/sallyport/policy")
USER, UID = "deploy", 4321
HOME = pathlib.Path("/home/deploy")
POD = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f"
CONTAINER = "c9" * 32
TARGET = """
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: invoices-db}
spec: {protocol: postgres, hosts: ["db.internal:5432"], databases: [invoices]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: billing-bot-invoices}
spec: {agent: billing-bot, target: invoices-db, allow: [{sql: {statements: [select], tables: [public.invoices]}}]}
"""
KUBECTL = """#!/bin/sh
# What a cluster would answer; recorded from none, shaped as Kubernetes 1.29 writes it.
case "$*" in
  "get --raw /.well-known/openid-configuration") cat {answers}/discovery ;;
  "get --raw /openid/v1/jwks") cat {answers}/jwks ;;
  "apply -f "*) cp "$3" {answers}/applied.yaml && echo "pod/billing-bot created" ;;
  "logs -n bots billing-bot") cat {answers}/logs ;;
  *) echo "not in the guide: kubectl $*" >&2; exit 1 ;;
esac
"""


def blocks():
    """(heading, words after the fence, text) of each block."""
    heading, fence, text = "", None, []
    for line in GUIDE.read_text().splitlines():
        if fence is not None and line == "```":
            yield heading, fence, "\n".join(text) + "\n"
            fence, text = None, []
        elif fence is not None:
            text.append(line)
        elif line.startswith("```"):
            fence = line[3:].split()
        elif line.startswith("#"):
            heading = line.lstrip("# ")


def own_folders():
    """/etc, /home, /run and /var/lib of this test's own."""
    etc = machine.work / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    for folder in ("/home", "/run", "/var/lib"):
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder])
    run(["mount", "--bind", str(etc), "/etc"])
    run(["mount", "-t", "bpf", "none", "/sys/fs/bpf"])
    with open("/etc/passwd", "a") as users:
        users.write(f"{USER}:x:{UID}:{UID}::{HOME}:/bin/sh\n")
    with open("/etc/hosts", "a") as hosts:
        hosts.write(f"127.0.0.1 login.example.com\n{containers.GATEWAY} db.internal\n")
    HOME.mkdir()
    os.chown(HOME, UID, UID)
    POLICY.mkdir(parents=True)
    (POLICY / "target.yaml").write_text(TARGET)
    pathlib.Path("/etc/billing-bot.secret").write_text("CLIENT_SECRET=billing-bot-secret\n")


def setUpModule():
    global machine, provider, cluster, answers, PATH
    harness.require("jq", "curl", "crun", "ip")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    machine.socket = "/run/sallyport/control.sock"
    own_folders()
    containers.make_bridge()
    server = machine.start_server(listen_addresses="*", hba=["host all all 10.99.0.0/24 trust"])
    server.sql(harness.SCHEMA + "CREATE DATABASE invoices;")
    server.sql("CREATE TABLE invoices (id int); INSERT INTO invoices SELECT generate_series(1, 7); "
               "GRANT SELECT ON invoices TO app;", database="invoices")
    provider = Issuer(machine.work / "issuer", 443, "login.example.com")
    unittest.addModuleCleanup(provider.close)
    with open("/etc/ssl/certs/ca-certificates.crt", "a") as trusted:
        trusted.write(provider.ca.read_text())
    cluster = ClusterIssuer(machine.work / "cluster")
    answers, tools = machine.work / "answers", machine.work / "tools"
    for folder in (answers, tools):
        folder.mkdir()
    (answers / "jwks").write_text(cluster.jwks.read_text())
    (answers / "discovery").write_text(json.dumps({
        "issuer": "https://kubernetes.default.svc.cluster.local", "response_types_supported": ["id_token"],
        "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks", "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"]}))
    (tools / "kubectl").write_text(KUBECTL.format(answers=answers))
    (tools / "kubectl").chmod(0o755)
    (tools / "sallyport").symlink_to(harness.SALLYPORT)
    PATH = f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin"
    answers.chmod(0o777)


def commands(text):
    """The lines of a block; one that ends in a pipe or backslash goes on."""
    return re.sub(r"(\||\\)\n\s*", lambda m: "| " if m[1] == "|" else " ", text).strip().splitlines()


class Guide(unittest.TestCase):
    """Each section from a fresh start, in its own order."""

    def setUp(self):
        (POLICY / "billing-bot.yaml").unlink(missing_ok=True)
        self.said = {}

    def walk(self, heading):
        found = False
        for where, info, text in blocks():
            if where != heading or not info:
                continue
            found = True
            if info[0] == "sh":
                for command in commands(text):
                    self.said[command] = self.run_command(command)
            elif len(info) > 1 and info[1].startswith("file="):
                self.write(info[1].removeprefix("file="), text)
        self.assertTrue(found, f"no section {heading!r} in {GUIDE}")

    def write(self, path, text):
        path = HOME / path  # or where it says, if that is absolute
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent == POLICY:
            text = text.replace("\nkind: Agent\nmetadata: {name: billing-bot}\nspec:\n",
                                "\nkind: Agent\nmetadata: {name: billing-bot}\nspec:\n  minLevel: guarded\n")
            self.assertIn("minLevel: guarded", text)
        path.write_text(text)

    def run_command(self, command):
        if command.startswith("sudo sallyport daemon"):
            return self.start_daemon(command.split()[3:])
        if command.startswith("sudo systemctl start "):
            return self.start_unit(command.split()[-1] + ".service")
        as_root = command.startswith("sudo ")
        done = self.bash(command.removeprefix("sudo "), 0 if as_root else UID, {"CLIENT_SECRET": "billing-bot-secret"})
        self.assertEqual(done.returncode, 0, f"$ {command}\n{done.stdout}{done.stderr}{machine_log()[-2000:]}")
        if command.startswith("kubectl apply"):
            self.run_pod()
        return done.stdout

    def bash(self, command, uid, environment, **more):
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        environment = {"PATH": PATH, "HOME": str(HOME if uid else "/root"), "LC_ALL": "C.UTF-8",
                       "PGCONNECT_TIMEOUT": "60", **environment}
        # A `| jq` must not hide what failed before it.
        return subprocess.run([*user, "bash", "-o", "pipefail", "-c", command.replace("~/", f"{HOME}/")], text=True,
                              capture_output=True, timeout=120, env=environment, cwd=HOME, **more)

    def start_daemon(self, options):
        if "--govern" in options:
            (harness.cgroup2_root() / options[options.index("--govern") + 1][1:]).mkdir(exist_ok=True)
        log = open(machine.work / "daemon.log", "w")
        machine.daemon = subprocess.Popen(["sallyport", "daemon", *options], stdout=log, stderr=log,
                                          env={**os.environ, "PATH": PATH})
        self.addCleanup(self.stop_daemon)
        wait_until("the daemon is ready", lambda: "ready: level" in machine_log() or machine.daemon.poll() is not None)
        self.assertIsNone(machine.daemon.poll(), machine_log())
        wait_until("it has the issuer's keys", lambda: all(
            each["keys"] for each in json.loads(machine.sallyport("-o", "json", "status").stdout)["issuers"]))
        return ""

    def stop_daemon(self):
        machine.daemon.terminate()
        self.assertEqual(machine.daemon.wait(60), 0, machine_log())

    def run_pod(self):
        """What the kubelet and containerd make of the manifest."""
        pod = yaml.safe_load((answers / "applied.yaml").read_text())
        spec, name = pod["spec"], pod["metadata"]["name"]
        asked = spec["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
        mount, box = spec["containers"][0]["volumeMounts"][0], spec["containers"][0]
        self.assertEqual((asked["audience"], mount["name"]), ("sallyport", spec["volumes"][0]["name"]))
        volume = containers.Volume(machine.work / f"volume-{containers.Container.number}")
        volume.put(asked["path"], cluster.token(POD, spec["serviceAccountName"]))
        containers.write_state(f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{CONTAINER}/config.json", {
            "ociVersion": "1.1.0", "annotations": {
                "io.kubernetes.cri.sandbox-namespace": pod["metadata"]["namespace"],
                "io.kubernetes.cri.sandbox-name": name, "io.kubernetes.cri.sandbox-uid": POD}})
        flat = POD.replace("-", "_")
        cgroup = f"/kubepods.slice/kubepods-pod{flat}.slice/cri-containerd-{CONTAINER}.scope"
        # OnFailure: a first try may come before the listener is in the pod's network namespace.
        again = ["sh", "-c", 'for n in $(seq 600); do "$@" && exit; sleep 0.1; done', "sh", *box["command"]]
        self.container = containers.Container(machine, CONTAINER, cgroup, again, {volume.folder: mount["mountPath"]})
        self.container.start()
        wait_until("the pod has run", lambda: "row" in self.container.output.read_text() or "refused by" in
                   self.container.output.read_text())
        (answers / "logs").write_text(self.container.wait())

    def start_unit(self, name):
        """What systemd makes of a unit and of those that it requires: `User`, folders and `ExecStart`, in its cgroup."""
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str
        unit.read(f"/etc/systemd/system/{name}")
        if unit.has_option("Unit", "Requires"):
            self.start_unit(unit["Unit"]["Requires"])
        service = unit["Service"]
        self.assertEqual(service["User"], USER)
        if "RuntimeDirectory" in service:
            folder = pathlib.Path("/run") / service["RuntimeDirectory"]
            folder.mkdir(exist_ok=True)
            os.chown(folder, UID, UID)
        secret = service.get("EnvironmentFile", "")
        environment = dict(line.split("=", 1) for line in pathlib.Path(secret).read_text().split()) if secret else {}
        cgroup = harness.cgroup2_root() / "system.slice" / name
        cgroup.mkdir(parents=True, exist_ok=True)
        if name == "billing-bot.service":
            wait_until("the unit is enrolled", lambda: f"cgroup /system.slice/{name} is enrolled" in machine_log())
        done = self.bash(service["ExecStart"], UID, environment, preexec_fn=lambda: harness.join(cgroup))
        self.assertEqual(done.returncode, 0, f"{name}: {done.stdout}{done.stderr}{machine_log()[-3000:]}")
        return done.stdout

    def output_of(self, beginning):
        return next(said for command, said in self.said.items() if command.startswith(beginning))

    def test_a_generic_provider_then_a_unit(self):
        self.walk("Set-up with a generic provider")
        self.assertIn("agent billing-bot", re.sub(r"\s+", " ", self.output_of("sallyport policy token").lower()))
        self.assertEqual(json.loads(self.output_of("sudo sallyport status"))[0]["error"], "")
        self.assertIn(" 7\n(1 row)", self.output_of("sallyport exec"))
        self.assertIn("corp/billing-bot", json.dumps(json.loads(machine.sallyport(
            "-o", "json", "sessions", "list", "--agent", "billing-bot").stdout)))
        self.walk("Set-up without containers")
        self.assertIn(" 7\n(1 row)", self.output_of("sudo systemctl start"))
        self.assertIn("systemd:billing-bot.service, corp/billing-bot, psql[", machine.sallyport(
            "-o", "json", "sessions", "list", "--agent", "billing-bot").stdout)

    def test_kubernetes(self):
        self.walk("Set-up with Kubernetes")
        self.assertEqual(self.output_of("kubectl get --raw /.well-known"), "https://kubernetes.default.svc.cluster.local\n")
        self.assertIn(" 7\n(1 row)", self.output_of("kubectl logs"))

    def test_every_other_block_of_policy_loads(self):
        """With the surroundings that a reader has: a Target and an Entitlement. The word ``fragment`` marks what is no
        document of its own."""
        loaded = 0
        for where, info, text in blocks():
            if info[:1] != ["yaml"] or "fragment" in info:
                continue
            documents = list(yaml.safe_load_all(text))
            if not all("sallyport.dev" in each.get("apiVersion", "") for each in documents):
                continue
            with self.subTest(where):
                folder = machine.work / f"loaded-{loaded}"
                folder.mkdir()
                (folder / "guide.yaml").write_text(text)
                names = [each["metadata"]["name"] for each in documents if each["kind"] == "Agent"]
                (folder / "rest.yaml").write_text("\n---\n".join(
                    [TARGET.split("---")[0]] + [TARGET.split("---")[1].replace("billing-bot", name) for name in names]))
                done = subprocess.run([harness.SALLYPORT, "policy", "check", folder], text=True, capture_output=True)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            loaded += 1
        self.assertGreaterEqual(loaded, 4)

    def test_no_command_stands_where_it_is_not_run(self):
        walked = ("Set-up with a generic provider", "Set-up with Kubernetes", "Set-up without containers")
        for where, info, text in blocks():
            if info[:1] == ["sh"]:
                self.assertIn(where, walked, text)


def machine_log():
    try:
        return machine.daemon_log()
    except OSError:
        return ""


if __name__ == "__main__":
    harness.main()
