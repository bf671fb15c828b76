# SPDX-License-Identifier: Apache-2.0
"""Real containers by Debian's crun, where runtimes put them: each in a cgroup of a runtime's own form, with network,
pid, mount, ipc and uts namespaces of its own, joined to the machine by a pair of virtual interfaces. Not as the runtimes
make them: without rlimits and resources, which development machines do not let anybody set."""

import json
import pathlib
import subprocess

import harness
from harness import run, wait_until

GATEWAY = "10.99.0.1"
HOSTS = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
# crun wants the hierarchy at its usual place; only it sees it there.
UNSHARED = ["unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"', "sh"]


def write_state(path, value):
    """A file of a runtime's own."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    path.chmod(0o600)


def make_bridge():
    """The machine's side of all containers."""
    for words in ("link add sp-br type bridge", f"addr add {GATEWAY}/24 dev sp-br", "link set sp-br up"):
        run(["ip", *words.split()])


def join_network(pid, number):
    """Gives the network namespace of `pid` the address 10.99.0.<number>; returns that."""
    ours, theirs, address = f"sp-v{number}", f"sp-c{number}", f"10.99.0.{number}"
    run(["ip", "link", "add", ours, "type", "veth", "peer", "name", theirs])
    run(["ip", "link", "set", ours, "master", "sp-br", "up"])
    run(["ip", "link", "set", theirs, "netns", str(pid)])
    for words in ("link set lo up", f"addr add {address}/24 dev {theirs}", f"link set {theirs} up"):
        run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *words.split()])
    return address


class Volume:
    """A projected volume as the kubelet keeps it: what is named is a link through `..data`, which is replaced whole."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.generation = 0

    def put(self, name, text):
        self.generation += 1
        stamp = self.folder / f"..2026_11_24_19_00_{self.generation:02}.123456789"
        stamp.mkdir()
        (stamp / name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(stamp.name)
        (self.folder / "..data_tmp").rename(self.folder / "..data")
        if not (self.folder / name).is_symlink():
            (self.folder / name).symlink_to(f"..data/{name}")


class Container:
    """From `crun create` to `crun delete`. `mounts`: folder of the machine -> where it is inside, read-only."""

    number = 1

    def __init__(self, machine, identity, cgroup, command, mounts=(), hosts=""):
        Container.number += 1
        self.id, self.cgroup = identity, cgroup
        self.bundle = machine.work / f"bundle-{Container.number}"
        (self.bundle / "rootfs").mkdir(parents=True)
        self.output = self.bundle / "output"
        (self.bundle / "config.json").write_text(json.dumps(self.spec(command, dict(mounts))))
        with open(self.output, "wb") as output:
            subprocess.run([*self.crun("create"), "--bundle", str(self.bundle), "--pid-file", str(self.bundle / "pid"),
                            self.id], stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60)
        if not (self.bundle / "pid").exists():
            raise AssertionError(f"crun create: {self.output.read_text()}")
        self.pid = int((self.bundle / "pid").read_text())
        self.address = join_network(self.pid, Container.number)

    def crun(self, *words):
        return [*UNSHARED, "crun", "--root", str(self.bundle / "state"), "--cgroup-manager", "cgroupfs", *words]

    def spec(self, command, mounts):
        bind = [{"destination": inside, "type": "bind", "source": str(outside), "options": ["rbind", "ro"]}
                for outside, inside in [*((h, h) for h in HOSTS if pathlib.Path(h).exists()), *mounts.items()]]
        return {"ociVersion": "1.0.0", "root": {"path": "rootfs"}, "hostname": "box",
                "process": {"args": command, "cwd": "/", "user": {"uid": 0, "gid": 0}, "capabilities": {},
                            "env": ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "PGCONNECT_TIMEOUT=30"]},
                "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                           {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
                           {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}, *bind],
                "linux": {"cgroupsPath": self.cgroup,
                          "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]}}

    def start(self):
        run(self.crun("start", self.id), timeout=60)

    def wait(self):
        """What it wrote, once its process has ended."""
        def ended():
            state = subprocess.run(self.crun("state", self.id), text=True, capture_output=True, timeout=60)
            return state.returncode != 0 or json.loads(state.stdout)["status"] == "stopped"
        try:
            wait_until("the container ends", ended, 120)
        finally:
            subprocess.run(self.crun("delete", "--force", self.id), capture_output=True, timeout=60)
        return self.output.read_text()

    def run(self):
        self.start()
        return self.wait()


def patiently(command):
    """A shell's words: again while there is no network yet, the listener is not in the container's namespace yet (it is
    looked for as soon as the container has a process, not before), or the token has not been looked for since there was
    one; that is done twice a second."""
    early = "*'Connection refused'*|*unreachable*|*'in time'*|*'no token'*"
    return ["sh", "-c", f"for n in $(seq 600); do said=$({command} 2>&1); case $said in {early}) sleep 0.1;; *) break;; "
                        "esac; done; echo \"pid $$\"; echo \"$said\""]
