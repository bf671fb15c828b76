# SPDX-License-Identifier: Apache-2.0
"""Agents in real containers, in the cgroup trees of Kubernetes (both drivers) and podman, each in its own network and
pid namespace, with a token in a projected volume inside; and the real podman and Docker, asked by file and by socket."""

import json
import pathlib
import signal
import subprocess
import unittest

import containers
import harness
from containers import GATEWAY, Container, Volume, patiently, write_state
from harness import entitlement_document, run, target_document, wait_until
from test_cgroups import agent
from test_tokens import ClusterIssuer

DSN = f"host={GATEWAY} port={harness.PORT} user=app dbname=postgres"
TOKENS = "/var/run/secrets/tokens"
POD, OTHER_POD = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f", "1f3c2b1a-1111-4222-8333-9a8b7c6d5e4f"
ISSUER = "https://kubernetes.default.svc.cluster.local"
DOCKER = harness.CACHE / "docker/usr"
PSQL = f"psql -X -At -c 'SELECT inet_client_addr()' '{DSN}'"


def pod_cgroups(uid, digit):
    """Of one container, as the two cgroup drivers of the kubelet place it with containerd."""
    container, flat = digit * 64, uid.replace("-", "_")
    return {"cgroupfs": f"/kubepods/burstable/pod{uid}/{container}",
            "systemd": f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat}.slice/"
                       f"cri-containerd-{container}.scope"}


def setUpModule():
    global machine, server, cluster
    harness.require("crun", "podman", "ip", "nsenter")
    if not DOCKER.exists():
        raise AssertionError(f"no Docker in {DOCKER}: run tests/interop/prepare.py {harness.CACHE}")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    for folder in ("/var/lib", "/run"):
        run(["mount", "-t", "tmpfs", "-o", "mode=0755", "none", folder])
    containers.make_bridge()
    server = machine.start_server(listen_addresses="*", hba=["host all all 10.99.0.0/24 trust"])
    server.sql(harness.SCHEMA)
    cluster = ClusterIssuer(machine.work / "cluster")
    token = {"issuer": "cluster", "subject": "system:serviceaccount:bots:billing", "file": f"{TOKENS}/sallyport"}
    select = {"allow": [{"sql": {"statements": ["select"]}}]}
    machine.write_policy(
        "\n" + json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": "Issuer", "metadata": {"name": "cluster"},
                           "spec": {"url": ISSUER, "audience": "sallyport", "jwks": str(cluster.jwks)}}) + "\n",
        agent("pod", {"kubernetes": {"namespace": "bots", "serviceAccount": "billing"}}, token=token),
        agent("job", {"podman": {"name": "job-*"}}, token={**token, "subject": "job", "claims": {"job": "nightly"}}),
        agent("labelled", {"podman": {"labels": {"team": "bots"}}}),
        agent("web", {"docker": {"name": "web", "image": "box:*", "labels": {"team": "bots"}}}),
        target_document(hosts=f'"{GATEWAY}:{harness.PORT}"'),
        *(entitlement_document(name, **select) for name in ("pod", "job", "labelled", "web")))
    machine.start_daemon()


def sessions(name):
    return json.loads(machine.sallyport("-o", "json", "sessions", "list", "--agent", name).stdout)


class Tokens(unittest.TestCase):
    """What a container with a token in a volume sees."""

    def contain(self, identity, cgroup, token):
        volume = Volume(machine.work / f"volume-{Container.number}")
        volume.put("sallyport", token)
        box = Container(machine, identity, cgroup, patiently(PSQL), {volume.folder: TOKENS})
        self.assertNotEqual(pathlib.Path(f"/proc/{box.pid}/ns/net").readlink(),
                            pathlib.Path("/proc/self/ns/net").readlink())
        self.assertEqual(pathlib.Path(f"/proc/{box.pid}/cgroup").read_text().split("::")[1].strip(), cgroup)
        return box, box.run()

    def goes_through(self, box, said):
        # The first process of a pid namespace of its own; upstream dialled where the container is.
        self.assertEqual(said, f"pid 1\n{box.address}\n", machine.daemon_log()[-3000:])

    def is_refused(self, said, *words):
        for word in ("pid 1\n", "refused by policy", *words):
            self.assertIn(word, said)
        self.assertIn("token-mismatch", machine.records())


class Pods(Tokens):
    def setUp(self):
        self.annotated = lambda uid, digit: write_state(
            f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{digit * 64}/config.json",
            {"ociVersion": "1.1.0", "annotations": {
                "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-namespace": "bots",
                "io.kubernetes.cri.sandbox-name": "billing-0", "io.kubernetes.cri.sandbox-uid": uid}})

    def run_pod(self, driver, uid, digit, token):
        self.annotated(uid, digit)
        return self.contain(digit * 64, pod_cgroups(uid, digit)[driver], token)

    def test_cgroupfs_driver_with_its_own_token(self):
        self.goes_through(*self.run_pod("cgroupfs", POD, "a", cluster.token(POD)))
        session = next(each for each in sessions("pod") if each["operations"] > 0 and "/pod" in each["cgroup"])
        self.assertRegex(session["principal"], r"^pod \(kubernetes:bots/billing-0, "
                         r"cluster/system:serviceaccount:bots:billing, psql\[\d+\]\)$")
        self.assertEqual(session["process"]["unknown"], "", session["process"])

    def test_systemd_driver_with_its_own_token(self):
        self.goes_through(*self.run_pod("systemd", POD, "b", cluster.token(POD)))

    def test_a_token_carried_to_another_pod(self):
        for driver, digit in (("cgroupfs", "c"), ("systemd", "d")):
            with self.subTest(driver):
                _, said = self.run_pod(driver, OTHER_POD, digit, cluster.token(POD))
                self.is_refused(said, f"bound to pod bots/billing-0 (uid {POD}), and this workload is in the pod of uid "
                                      f"{OTHER_POD}")

    def test_a_token_carried_out_of_its_volume_proves_nothing_elsewhere(self):
        _, said = self.run_pod("cgroupfs", OTHER_POD, "e", cluster.token(OTHER_POD, "deployer"))
        self.is_refused(said, "its subject is `system:serviceaccount:bots:deployer`")


class PodmanTrees(Tokens):
    """Containers where podman puts them; its state as it writes it."""

    def setUp(self):
        write_state("/var/lib/containers/storage/overlay-containers/containers.json", [
            {"id": digit * 64, "names": [f"job-{digit}"],
             "metadata": json.dumps({"image-name": "docker.io/library/alpine:3", "name": f"job-{digit}"})}
            for digit in "1234"])

    def test_both_managers_with_the_jobs_token(self):
        for digit, cgroup in (("1", f"/libpod_parent/libpod-{'1' * 64}"), ("2", f"/machine.slice/libpod-{'2' * 64}.scope")):
            with self.subTest(cgroup):
                self.goes_through(*self.contain(digit * 64, cgroup, cluster.sign({"sub": "job", "job": "nightly"})))
                self.assertIn(f"(podman:job-{digit}, cluster/job, psql[", str([s["principal"] for s in sessions("job")]))

    def test_a_pods_token_carried_into_a_podman_container(self):
        for digit, cgroup in (("3", f"/libpod_parent/libpod-{'3' * 64}"), ("4", f"/machine.slice/libpod-{'4' * 64}.scope")):
            with self.subTest(cgroup):
                _, said = self.contain(digit * 64, cgroup, cluster.token(POD))
                self.is_refused(said, "refused by policy for agent job")


# What podman and Docker ask of crun and this machine does not let anybody set.
PLAIN_CRUN = """#!/usr/bin/python3
import json, os, sys
words = sys.argv[1:]
if "create" in words:
    path = words[words.index("--bundle") + 1] + "/config.json"
    spec = json.load(open(path))
    spec["process"].pop("rlimits", None)
    for key in ("resources", "seccomp"):
        spec["linux"].pop(key, None)
    json.dump(spec, open(path, "w"))
os.execv("/usr/bin/crun", ["crun", *words])
"""


def plain_crun():
    path = machine.work / "plain-crun"
    path.write_text(PLAIN_CRUN)
    path.chmod(0o755)
    return path


def empty_rootfs(name):
    rootfs = machine.work / f"rootfs-{name}"
    for folder in (*containers.HOSTS, "/proc", "/dev", "/sys", "/tmp", "/run"):
        (rootfs / folder[1:]).mkdir(parents=True, exist_ok=True)
    return rootfs


def way(runtime):
    status = json.loads(machine.sallyport("-o", "json", "status").stdout)
    return {each["runtime"]: each for each in status["runtimes"]}[runtime]


VOLUMES = [word for host in containers.HOSTS if host != "/etc" for word in ("--volume", f"{host}:{host}:ro")]


class RealPodman(unittest.TestCase):
    """Debian's podman makes and starts the container; its own service answers at its socket."""

    def podman(self, *words):
        return [*containers.UNSHARED, "podman", "--runtime", str(self.runtime), "--cgroup-manager", "cgroupfs",
                "--storage-driver", "vfs", "--events-backend", "none", *words]

    def setUp(self):
        self.runtime = plain_crun()
        self.addCleanup(lambda: subprocess.run(self.podman("rm", "--force", "--all", "--time", "1"), capture_output=True))

    def create(self, label):
        return run(self.podman("create", "--label", f"team={label}", "--name", f"box-{label}", "--network", "none",
                               "--security-opt", "seccomp=unconfined", "--pids-limit", "-1", *VOLUMES,
                               "--rootfs", str(empty_rootfs(label)), *patiently(PSQL)), timeout=120).strip()

    def start(self, identity):
        """The container with the machine's network; podman waits for its end."""
        run(self.podman("init", identity), timeout=120)
        pid = int(run(self.podman("inspect", "--format", "{{.State.Pid}}", identity), timeout=120))
        Container.number += 1
        return containers.join_network(pid, Container.number)

    def output(self, identity):
        return subprocess.run(self.podman("start", "--attach", identity), text=True, capture_output=True, timeout=120)

    def serve(self):
        """podman.socket, as systemd would have it."""
        pathlib.Path("/run/podman").mkdir(mode=0o700, exist_ok=True)
        log = open(machine.work / "podman-service.log", "w")
        service = subprocess.Popen(self.podman("system", "service", "--time", "0", "unix:///run/podman/podman.sock"),
                                   stdout=log, stderr=log)
        self.addCleanup(service.wait)
        self.addCleanup(lambda: service.send_signal(signal.SIGTERM))

    def test_labels_are_known_once_its_socket_is_there(self):
        mine, other = self.create("bots"), self.create("ops")
        address = self.start(mine)
        self.start(other)
        cgroup = f"/libpod_parent/libpod-{mine}"
        wait_until("it waits for the socket", lambda: way("podman")["waiting"] == 2)
        self.assertEqual(way("podman")["way"], "files")
        self.assertNotIn(f"cgroup {cgroup} is enrolled", machine.daemon_log())
        near = {each["cgroup"]: each for each in json.loads(
            machine.sallyport("-o", "json", "agents", "show", "labelled").stdout)["near"]}
        self.assertEqual(near[cgroup]["mismatches"][0]["fact"], "labels.team")
        self.assertRegex(machine.sallyport("doctor").stdout, r"note +containers: podman +files, so labels are not known: "
                         r"no socket at /run/podman/podman.sock -> systemctl enable --now podman.socket")
        self.serve()
        wait_until("it is enrolled", lambda: f"cgroup {cgroup} is enrolled" in machine.daemon_log())
        wait_until("both are answered for", lambda: way("podman")["waiting"] == 0)
        self.assertEqual((way("podman")["way"], way("podman")["error"]), ("files and socket", ""))
        self.assertRegex(machine.sallyport("doctor").stdout, r"ok +containers: podman +files and socket\n")
        self.assertIn("podman: files and socket /run/podman/podman.sock", machine.sallyport("status").stdout)
        self.assertNotIn(f"libpod-{other} is enrolled", machine.daemon_log())
        done = self.output(mine)
        self.assertEqual(done.stdout, f"pid 1\n{address}\n", done.stderr + machine.daemon_log()[-3000:])
        self.assertRegex(sessions("labelled")[0]["principal"], r"^labelled \(podman:box-bots, psql\[\d+\]\)$")


class RealDocker(unittest.TestCase):
    """Debian's dockerd makes and starts the container; its files and its socket are what the daemon reads."""

    def start(self, data):
        """dockerd, until the test is over."""
        log = open(machine.work / "dockerd.log", "a")
        path = f"{DOCKER}/sbin:{DOCKER}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.docker = ["env", f"PATH={path}", "DOCKER_CONFIG=/nonexistent", "docker", "--host", "unix:///run/docker.sock"]
        daemon = subprocess.Popen(
            [*containers.UNSHARED, "env", f"PATH={path}", "dockerd", "--iptables=false", "--ip6tables=false",
             "--bridge=none", "--storage-driver", "vfs", "--exec-opt", "native.cgroupdriver=cgroupfs", "--data-root",
             data, "--exec-root", "/run/dockerd", "--add-runtime", f"plain={plain_crun()}", "--default-runtime", "plain"],
            stdout=log, stderr=log)

        def stop():
            subprocess.run([*self.docker, "rm", "--force", "web"], capture_output=True, timeout=60)
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)
            pathlib.Path("/run/docker.sock").unlink(missing_ok=True)
        self.addCleanup(stop)
        wait_until("dockerd answers", lambda: daemon.poll() is not None or subprocess.run(
            [*self.docker, "version"], capture_output=True).returncode == 0)
        self.assertIsNone(daemon.poll(), (machine.work / "dockerd.log").read_text()[-3000:])

    def run_web(self):
        """What it says once its agent's connection was judged."""
        image = subprocess.run(["tar", "-C", str(empty_rootfs("web")), "-c", "."], capture_output=True, check=True).stdout
        subprocess.run([*self.docker, "import", "-", "box:1"], input=image, capture_output=True, check=True, timeout=120)
        identity = run([*self.docker, "run", "--detach", "--name", "web", "--label", "team=bots", "--network", "none",
                        *VOLUMES, "box:1", *patiently(PSQL)], timeout=120).strip()
        pid = int(run([*self.docker, "inspect", "--format", "{{.State.Pid}}", identity]))
        wait_until("it is enrolled", lambda: f"cgroup /docker/{identity} is enrolled" in machine.daemon_log())
        Container.number += 1
        address = containers.join_network(pid, Container.number)
        run([*self.docker, "wait", identity], timeout=120)
        said = run([*self.docker, "logs", identity])
        self.assertEqual(said, f"pid 1\n{address}\n", machine.daemon_log()[-3000:])
        self.assertIn("web (docker:web, psql[", str([each["principal"] for each in sessions("web")]))
        self.assertIn(f"/docker/{identity}", [each["cgroup"] for each in sessions("web")])

    def test_by_its_files(self):
        self.start("/var/lib/docker")
        self.run_web()
        self.assertEqual(way("docker")["way"], "files and socket")

    def test_with_its_data_elsewhere_by_its_socket(self):
        self.addCleanup(lambda: pathlib.Path("/var/lib/docker").exists() or pathlib.Path("/var/lib/aside").rename(
            "/var/lib/docker"))
        if pathlib.Path("/var/lib/docker").exists():
            pathlib.Path("/var/lib/docker").rename("/var/lib/aside")
        self.start("/var/lib/elsewhere")
        self.run_web()
        self.assertEqual(way("docker")["way"], "socket")


if __name__ == "__main__":
    harness.main()
