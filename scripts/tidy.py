#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Habits as a test: who may include what (ARCHITECTURE.md), file and line lengths, licences, leftovers.

Prints one line a finding, `file:line: what`, and exits 1 if there is any. A new arrow in MODULES is a commit of its
own, with the reason.
"""
import pathlib
import re
import subprocess
import sys

# module -> modules it may use, beside itself. Folders of userspace/; flow/ and edges/ by their own folders.
PURE = {"base", "model"}
MODULES = {
    "abi": set(),
    "base": {"abi"},
    "model": {"base"},
    "protocol": PURE,
    "sql": PURE,
    "policy": PURE,
    "mask": PURE,
    "identity": PURE,
    "record": PURE,
    "flow/operation": PURE | {"flow", "policy", "mask", "record"},
    "flow/front": PURE | {"flow", "policy", "mask", "record", "flow/operation", "protocol"},
    "flow/http": PURE | {"flow", "policy", "record", "flow/operation", "protocol"},
    "flow/postgres": PURE | {"flow", "policy", "mask", "record", "flow/operation", "protocol", "sql"},
    "flow": PURE | {"policy", "mask", "sql"},  # its public headers: events, actions, services, shared facts
    "node": PURE | {"flow", "sql"},  # it keeps the facts of catalogues
    "kernel": PURE | {"abi", "flow"},
    "net": PURE | {"flow"},
    "edges": PURE | {"node", "identity"},  # the interfaces that their public headers implement
    "edges/catalogue": PURE | {"node", "flow", "sql", "edges"},  # it asks flow's question and fills node's store
    "edges/runtimes": PURE | {"edges"},
    "edges/process": PURE | {"edges", "identity"},  # arguments are masked before anybody else sees them
    "edges/jwks": PURE | {"identity", "edges"},  # it implements identity's KeySet
    "edges/workload_file": {"base", "edges"},
    "launch": PURE,
    "control": PURE,
    "cli": PURE | {"policy", "identity", "sql", "mask", "record", "control", "launch", "kernel", "daemon"},
    "daemon": None,  # all; nobody but cli's `daemon` verb may include it
}
# What pure modules must not reach for (invariant 9): descriptors, sockets, files, threads, locks, clocks. base makes
# these things for others (UniqueFd, read_clocks) and is not held to it.
PURE_MODULES = {"model", "protocol", "sql", "policy", "mask", "identity", "flow", "flow/operation", "flow/front",
                "flow/http", "flow/postgres"}
IMPURE_HEADERS = re.compile(r"#include <(sys/\w+|netinet/.*|netdb|net/.*|linux/.*|unistd|fcntl|poll|aio|dirent|pthread|"
                            r"bpf/.*|thread|mutex|shared_mutex|condition_variable|future|fstream|filesystem)(\.h)?>")
IMPURE_NAMES = re.compile(r"\b(UniqueFd|clock_gettime|gettimeofday|read_clocks|fopen|std::(jthread|thread|mutex|"
                          r"[io]?fstream|filesystem)|(steady|system|high_resolution)_clock)\b")
LINES_MAX, COLUMNS_MAX = 700, 120
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# A test that cannot run here fails with a line that says why: what is skipped is never missed.
SKIPS = re.compile(r"GTEST_SKIP|unittest\.skip|\bskipTest\(|raise SkipTest|pytest\.skip|SKIP_RETURN_CODE")

top = pathlib.Path(__file__).resolve().parent.parent
findings = []


def module_of(path):
    """'userspace/flow/postgres/x.cc' -> 'flow/postgres'; None for what has no module."""
    parts = path.parts
    if parts[0] == "include":
        return parts[2]
    if parts[0] != "userspace":
        return None
    return "/".join(parts[1:3]) if parts[1] in ("flow", "edges") and len(parts) > 3 else parts[1]


def included_module(name):
    match = re.match(r"(?:sallyport/)?((?:flow|edges)/\w+(?=/)|\w+)/", name)
    return match and (match.group(1) if not name.startswith("sallyport/") else name.split("/")[1])


def check_includes(path, number, line, module):
    match = re.match(r'#include "([^"]+)"', line)
    if match:
        used = included_module(match.group(1))
        allowed = MODULES.get(module, set())
        if used in MODULES and used != module and allowed is not None and used not in allowed:
            findings.append(f"{path}:{number}: {module} may not use {used}")
    elif module in PURE_MODULES and IMPURE_HEADERS.match(line):
        findings.append(f"{path}:{number}: {module} is pure, {line.strip()}")


def check_file(path):
    text = (top / path).read_text(errors="replace")
    lines = text.splitlines()
    generated = "vmlinux" in path.name or "builtin_names" in path.name
    if "SPDX-License-Identifier" not in "\n".join(lines[:4]):
        findings.append(f"{path}:1: no SPDX line")
    if len(lines) > LINES_MAX and not generated:
        findings.append(f"{path}: {len(lines)} lines, {LINES_MAX} are plenty")
    module = module_of(path)
    for number, line in enumerate(lines, 1):
        # Tables of cases and shell commands may run wide.
        if len(line) > COLUMNS_MAX and not generated and path.parts[0] not in ("tests", "scripts"):
            findings.append(f"{path}:{number}: {len(line)} columns, {COLUMNS_MAX} are plenty")
        if LEFTOVERS.search(line) and path.name != "tidy.py":
            findings.append(f"{path}:{number}: unfinished work")
        if path.parts[0] == "tests" and SKIPS.search(line):
            findings.append(f"{path}:{number}: a test that skips; let it fail and say what it needs")
        if module and line.startswith("#include"):
            check_includes(path, number, line, module)
        elif module in PURE_MODULES and IMPURE_NAMES.search(line.split("//")[0]):
            findings.append(f"{path}:{number}: {module} is pure, {line.strip()}")


def main():
    files = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in files:
        path = pathlib.Path(name)
        if path.suffix in {".cc", ".h", ".c", ".py"} or name.startswith("scripts/"):
            check_file(path)
    print("\n".join(findings) if findings else f"tidy: {len(files)} files, nothing to say")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
