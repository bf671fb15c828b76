#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From mkdir of a cgroup to enforced, with the real daemon, in a cgroup namespace of its own: a unit that one of 5,000
Agents selects appears, and the time is taken until all programs are attached to it. Then 20,000 cgroups that are
nobody's, and what they cost the daemon in memory and the next one in time. And identification as a whole, from accept
to a known principal, as the daemon itself times it: flow table, workload, process, token, registration.

usage: identity.py [CGROUPS]
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/interop"))
import harness  # noqa: E402
import test_tokens  # noqa: E402

AGENTS, ENROLLED, FLOWS = 5_000, 300, 4_000
PROGRAMS = 11


def agent(number):
    return json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": "Agent", "metadata": {"name": f"a{number}"},
                       "spec": {"workload": [{"systemd": {"unit": f"unit-{number}.service"}}], "minLevel": "guarded"}})


def caller(cluster, token):
    """An Agent that must show a token, and who signs it."""
    spec = {"workload": [{"systemd": {"unit": "caller.service"}}], "minLevel": "guarded",
            "token": {"issuer": "cluster", "subject": "caller", "file": str(token)}}
    issuer = {"url": "https://kubernetes.default.svc.cluster.local", "audience": "sallyport", "jwks": str(cluster.jwks)}
    return [json.dumps({"apiVersion": "sallyport.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": each})
            for kind, name, each in (("Agent", "caller", spec), ("Issuer", "cluster", issuer))]


def identify(machine, units):
    """One process connects again and again. The target refuses: what comes after identification is not asked about."""
    folder = units / "caller.service"
    folder.mkdir()
    code = f"""
import socket
input()
for _ in range({FLOWS}):
    with socket.create_connection(("127.0.0.1", {harness.PORT})) as s:
        s.sendall(b"\\0\\0\\0\\x08\\x04\\xd2\\x16\\x2f")
        try:
            s.recv(1)
        except OSError:
            pass
"""
    process = subprocess.Popen([harness.PYTHON, "-c", code], stdin=subprocess.PIPE, text=True,
                               preexec_fn=lambda: harness.join(folder))
    harness.wait_until("its token is verified", lambda: "workload systemd:caller.service: proven as" in
                       machine.daemon_log())
    process.communicate("go\n")
    if process.returncode != 0:
        raise SystemExit("the caller failed")
    times = json.loads(machine.sallyport("-o", "json", "status").stdout)["identify_us"]
    print(f"identification of {times['flows']} flows, from accept to a principal with its token: median "
          f"{times['p50']:.1f} us, p99 {times['p99']:.1f} us, worst {times['max']:.0f} us")


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def enforce_time(machine, folder):
    """Seconds from mkdir to the last program; the path of the pins is known once the inode is."""
    begin = time.perf_counter()
    folder.mkdir()
    pins = machine.bpffs / "sallyport/v2/cgroups" / str(folder.stat().st_ino)
    while time.perf_counter() - begin < 10:
        try:
            if len(os.listdir(pins)) >= PROGRAMS:
                return time.perf_counter() - begin
        except FileNotFoundError:
            pass
    raise SystemExit(f"{folder} was not enrolled in 10 s")


def measure(machine, slice_folder, first, label):
    times = []
    for number in range(first, first + ENROLLED):
        times.append(enforce_time(machine, slice_folder / f"unit-{number}.service") * 1000)
        time.sleep(0.01)
    times.sort()
    print(f"{label}: mkdir to enforced, {len(times)} cgroups: median {statistics.median(times):.2f} ms, "
          f"p99 {times[int(len(times) * 0.99) - 1]:.2f} ms, worst {times[-1]:.2f} ms")


class Bench(unittest.TestCase):
    def test(self):
        cgroups = int(os.environ.get("BENCH_CGROUPS", "20000"))
        machine = harness.Machine()
        self.addCleanup(machine.close)
        cluster, token = test_tokens.ClusterIssuer(machine.work / "cluster"), machine.work / "token"
        token.write_text(cluster.sign({"sub": "caller"}))
        documents = [*caller(cluster, token), *(agent(n) for n in range(AGENTS))]
        machine.write_policy("\n" + "\n---\n".join(documents) + "\n")
        machine.start_daemon()
        root = harness.cgroup2_root()
        pid = machine.daemon.pid
        empty = rss_mib(pid)
        units = root / "system.slice"
        units.mkdir()
        time.sleep(0.5)
        identify(machine, units)
        measure(machine, units, 0, f"{AGENTS} Agents")
        others = root / "other.slice"
        others.mkdir()
        before = rss_mib(pid)
        begin = time.perf_counter()
        for number in range(cgroups):
            (others / f"job-{number}.service").mkdir()
        made = time.perf_counter() - begin
        seen = harness.wait_until("all are seen", lambda: json.loads(machine.sallyport("-o", "json", "status").stdout)
                                  ["cgroups"] >= cgroups, 60) and time.perf_counter() - begin
        print(f"{cgroups} cgroups that are nobody's: made in {made:.1f} s, all seen after {seen:.1f} s; daemon "
              f"{rss_mib(pid) - before:.1f} MiB more ({empty:.1f} MiB with the policy alone)")
        measure(machine, units, ENROLLED, f"{AGENTS} Agents, {cgroups} cgroups")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        os.environ["BENCH_CGROUPS"] = sys.argv.pop(1)
    harness.main()
