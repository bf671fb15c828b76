#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schema accepts every shipped policy and refuses the mistakes an editor should mark.

usage: schema_check.py SOURCE_DIR. Whether schema and program know the same keys is schema_test.cc's to say.
"""
import json
import pathlib
import sys

import jsonschema
import yaml


class TextTimes(yaml.SafeLoader):
    """YAML 1.2 as the program reads it: dates stay text, `off` is a word."""


TextTimes.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers
            if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

AGENT = {"apiVersion": "sallyport.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "a"},
         "spec": {"workload": [{"exec": "a"}]}}


def changed(kind, spec):
    return {**AGENT, "kind": kind, "spec": spec}


GOOD = [
    AGENT,
    changed("Agent", {"workload": [{"exec": {"name": "a", "users": ["deploy", 1001]}}, {"cgroup": "/bots.slice"}]}),
    changed("Agent", {"workload": [{"docker": {"name": ["web", "web-*"], "labels": {"app": "a"}}},
                                   {"systemd": {"unit": "a.service", "user": 1000}},
                                   {"kubernetes": {"namespace": "bots", "serviceAccount": "billing"}}]}),
    changed("Target", {"protocol": "postgres", "hosts": ["[fd00::1]:5432"], "tls": {"agent": "off"}}),
    changed("Target", {"protocol": "postgres", "hosts": ["db:1"], "catalogue": {"credential": {"file": "/b"}}}),
    changed("Target", {"protocol": "postgres", "hosts": ["db:1"], "credential": {"file": "/b"}, "token": {"from": "password"}}),
    changed("Mask", {"columns": [{"column": "public.c.email", "with": {"partial": {"keepLast": 4}}}]}),
    changed("Mask", {"detect": [{"type": "phone", "with": "redact", "minScore": 0.4, "regions": ["TR"]},
                                {"type": "acme-key", "with": "redact"}]}),
    changed("Detector", {"patterns": [{"keywords": ["acme_"], "pattern": "acme_[a-z]+", "ignoreCase": True,
                                       "minEntropy": 3, "score": 0.3, "context": ["acme"]}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {}}],
                            "window": {"from": "2026-11-01", "until": "2026-11-01T09:30:00+01:00"}}),
]
GOOD += [
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [
        {"sql": {}, "process": {"exe": "/usr/bin/psql", "sha256": ["a" * 64], "uid": 1000, "gid": [0, 1]}}]}),
    changed("Issuer", {"url": "https://login.example.com", "audience": "sallyport"}),
    changed("Issuer", {"url": "kubernetes/sa", "audience": ["a", "b"], "jwks": "/etc/keys.json", "skew": "10s",
                       "algorithms": ["ES256"], "keepKeys": "7d"}),
    changed("Agent", {"workload": [{"exec": "a"}], "token": {"issuer": "corp", "subject": ["a:*", "b"], "file": "/t",
                                                             "claims": {"groups": ["x"], "/a/b": "y"}}}),
]
BAD = [
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"process": {"exe": "/usr/bin/psql"}}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {}, "process": {}}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {}, "process": {"exe": "psql"}}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {}, "process": {"sha256": "abc"}}]}),
    changed("Issuer", {"url": "https://login.example.com"}),
    changed("Issuer", {"url": "https://a", "audience": "b", "algorithms": ["HS256"]}),
    changed("Agent", {"workload": [{"exec": "a"}], "token": {"issuer": "corp"}}),
    changed("Agent", {"workload": [{"exec": "a"}], "token": {"subject": "a"}}),
    {**AGENT, "kind": "Issuer"},
    {**AGENT, "apiVersion": "v1"},
    {**AGENT, "metadata": {"name": "No"}},
    changed("Agent", {}),
    changed("Agent", {"workload": [{"exec": "a", "cgroup": "/a"}]}),
    changed("Agent", {"workload": [{"docker": {}}]}),
    changed("Agent", {"workload": [{"docker": {"name": []}}]}),
    changed("Agent", {"workload": [{"systemd": {"labels": {"a": "b"}}}]}),
    changed("Target", {"protocol": "postgres", "hosts": ["db"]}),
    changed("Target", {"protocol": "postgres", "hosts": ["db:1"], "credential": {"file": "/a", "verifier": "/b"}}),
    changed("Target", {"protocol": "postgres", "hosts": ["db:1"], "catalogue": {"credential": {"verifier": "/b"}}}),
    changed("Mask", {}),
    changed("Mask", {"columns": [{"column": "public.c.email", "with": "hash"}]}),
    changed("Entitlement", {"agent": "a", "target": "t"}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {"tabels": ["public.t"]}}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {"tables": []}}]}),
    changed("Entitlement", {"agent": "a", "target": "t", "allow": [{"sql": {"statements": ["selct"]}}]}),
]


def main():
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "docs/schema/policy.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = []
    for document in GOOD:
        failures += [f"refused: {document}: {error.message}" for error in validator.iter_errors(document)]
    failures += [f"accepted: {document}" for document in BAD if validator.is_valid(document)]
    shipped = [path for path in sorted((root / "policies").rglob("*.yaml")) if not path.name.endswith(".test.yaml")]
    if not shipped:
        failures.append("no shipped policies found")
    for path in shipped:
        for document in yaml.load_all(path.read_text(), TextTimes):
            failures += [f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    print("\n".join(failures) or f"{len(GOOD)} good, {len(BAD)} bad, {len(shipped)} shipped: as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
