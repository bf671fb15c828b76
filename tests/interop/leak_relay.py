# SPDX-License-Identifier: Apache-2.0
"""As an agent: runs sqlsmith through a relay of its own and looks for masked values in every byte it is sent.

Arguments: a JSON file of {seed, queries, seconds, port, secrets}. sqlsmith speaks to a Unix socket here, the relay to
the server. Prints findings and counts as leak_agent does.
"""

import collections
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import leak_search
import rawpg


STATEMENT = re.compile(r"\s*(select|insert|update|delete|merge|with)\b(?!.*from pg_|.*information_schema)",
                       re.IGNORECASE | re.DOTALL)


class Relay:
    def __init__(self, plan):
        self.plan = plan
        self.search = leak_search.Search(leak_search.decoded(plan["secrets"]))
        self.random = random.Random(plan["seed"])
        self.counts = collections.Counter()
        self.refusals = collections.Counter()
        self.changes = []  # what was said so far and may have changed what is there
        self.deadline = time.monotonic() + plan["seconds"]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="leak-", dir="/tmp"))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.folder / ".s.PGSQL.5432"))
        self.listener.listen(4)

    def serve(self):
        while True:
            try:
                agent, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.session, args=(agent,), daemon=True).start()

    def session(self, agent):
        server = socket.create_connection(("127.0.0.1", self.plan["port"]), 60)
        server.settimeout(None)
        told = {}
        threading.Thread(target=self.towards_server, args=(agent, server, told), daemon=True).start()
        connection = rawpg.Connection(server)
        batch = rawpg.Answers()
        while (message := connection.receive()) is not None:
            kind, body = message
            agent.sendall(kind.encode() + (len(body) + 4).to_bytes(4, "big") + body)
            batch.append(message)
            if kind == "Z":
                self.look(told.get("query", b"").decode("utf-8", "replace"), batch)
                batch = rawpg.Answers()
        agent.close()

    def towards_server(self, agent, server, told):
        buffered = b""
        while data := agent.recv(1 << 16):
            buffered += data
            if not told:  # the startup message has no type
                told["query"] = b""
                server.sendall(buffered)
                buffered = b""
            while len(buffered) >= 5 and len(buffered) > (size := int.from_bytes(buffered[1:5], "big")):
                message, buffered = buffered[:size + 1], buffered[size + 1:]
                if message[:1] == b"Q":
                    text = self.improved(message[5:-1].decode())
                    told["query"] = text.encode()
                    message = b"Q" + (len(told["query"]) + 5).to_bytes(4, "big") + told["query"] + b"\0"
                server.sendall(message)
        server.close()

    def improved(self, text):
        """sqlsmith calls whatever it finds, and its conditions are hardly ever true: so it sees only functions that
        are the same every time, and most of its statements find rows."""
        if "from pg_proc" in text and "prorettype::regtype" in text:
            return text + (" and provolatile = 'i' and prorettype <> 'cstring'::regtype and not proargtypes::oid[] &&"
                           " array['cstring'::regtype, 'internal'::regtype]::oid[]")
        if "from information_schema.tables" in text:
            return text.rstrip() + " where table_name ~ '^[a-z_]+$'"  # it quotes no names
        if not STATEMENT.match(text) or "pg_catalog.pg_" in text[:40] or self.random.random() < 0.2:
            return text
        text = re.sub(r"\btablesample\s+\w+\s*\([\d.]+\)", "", text)
        text = re.sub(r"\bwhere\b", "where true or", text)
        text = re.sub(r"\bon \((?=\w)", "on (true or ", text)
        if text.startswith("select") and "limit" not in text[-20:]:
            text += " limit 30"
        return text

    def look(self, query, answers):
        for column, (how, form, value) in self.search.find_in_answers(b"".join(body for _, body in answers),
                                                                      answers).items():
            self.counts["leak"] += 1
            print(json.dumps({"finding": "leak", "statement": query, "mode": "simple", "column": column, "how": how,
                              "before": [[text, "simple"] for text in self.changes[-200:]], "form": repr(form),
                              "value": repr(value)}), flush=True)
        errors = answers.errors()
        if not errors and not re.match(r"\s*(select|explain)\b", query, re.IGNORECASE):
            self.changes.append(query)
        if not STATEMENT.match(query) or " lk." not in query:
            return
        self.counts["statements"] += 1
        if any(e.get("C") == "42501" for e in errors):
            self.counts["refused"] += 1
            self.refusals[re.sub(r"\d+", "0", errors[0].get("M", ""))[:110]] += 1
        elif errors:
            self.counts["failed"] += 1
            self.counts["failed " + errors[0].get("C", "")] += 1
        else:
            self.counts["passed"] += 1
            for row in answers.rows():
                self.counts["values"] += len(row)
                self.counts["masked"] += sum(1 for v in row if v and b"[redacted]" in v)

    def run(self):
        threading.Thread(target=self.serve, daemon=True).start()
        command = ["sqlsmith", f"--target=host={self.folder} port=5432 user=app dbname=postgres",
                   f"--seed={self.plan['seed']}", f"--max-queries={self.plan['queries']}", *self.plan["options"]]
        smith = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        timer = threading.Timer(max(1.0, self.deadline - time.monotonic()), smith.kill)
        timer.start()
        out = smith.communicate()[0]
        timer.cancel()
        self.listener.close()
        said = {} if self.counts["statements"] else {"nothing": f"status {smith.returncode}: {out[-2000:]}"}
        print(json.dumps({"counts": self.counts, "refusals": self.refusals.most_common(40), **said}), flush=True)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        Relay(json.load(file)).run()
