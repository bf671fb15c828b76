# SPDX-License-Identifier: Apache-2.0
"""As an agent: says random statements to two servers that differ in nothing but masked values, keeps every byte
that comes back, and looks for masked values in them and for differences between them.

Arguments: a JSON file of {seed, statements, seconds, ports, secrets}. Prints one JSON object a line: findings as
they come, at last the counts.
"""

import base64
import collections
import json
import re
import socket
import sys
import time

import leak_grammar
import leak_search
import rawpg

WITHHELD = b"text withheld by policy"
UNSTABLE = re.compile(rb"pg_(toast_)?temp_\d+|pg_toast_\d+")


class Recording:
    """A socket that keeps what it received."""

    def __init__(self, sock):
        self.sock = sock
        self.got = b""

    def sendall(self, data):
        self.sock.sendall(data)

    def recv(self, size):
        data = self.sock.recv(size)
        self.got += data
        return data


class Side:
    """One connection to one server, and what is masked there."""

    def __init__(self, port, search, user="app"):
        self.port, self.search, self.user = port, search, user
        self.connect()

    def connect(self):
        self.raw = Recording(socket.create_connection(("127.0.0.1", self.port), 60))
        self.raw.sock.settimeout(300)
        self.raw.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = rawpg.Connection(self.raw)
        self.connection.startup(user=self.user)
        greeting = self.connection.until("Z", "E")
        if greeting[-1][0] == "E":
            raise ConnectionError(greeting.errors())

    def send(self, step):
        self.raw.got = b""
        c = self.connection
        if step.mode == "simple":
            c.query(step.text)
            return
        if step.mode == "call":
            c.send("F", bytes.fromhex(step.text))
            return
        if step.mode == "statement":  # described before it is bound, so without the portal's formats
            c.parse("", step.text)
            c.describe("S", "")
            c.bind("", "", results=[1])
            c.execute("")
            c.sync()
            return
        if step.mode == "pipeline":  # statements between NULs, one Sync
            for text in step.text.split("\0"):
                c.parse("", text)
                c.bind("", "")
                c.describe("P", "")
                c.execute("")
            c.sync()
            return
        if step.mode == "execute":  # of a statement that is there
            c.bind("", step.text)
            c.execute("")
            c.sync()
            return
        if step.mode == "pieces":
            c.parse("", step.text)
            c.bind("", "")
            for _ in range(3):
                c.execute("", 2)
            c.sync()
            return
        if step.mode.startswith("named "):  # leaves the statement and the portal there for SQL to find
            c.parse(step.mode[6:], step.text)
            c.bind(step.mode[6:], step.mode[6:])
            c.flush()
            c.sync()
            return
        c.parse("", step.text)
        c.bind("", "", results=[1] if step.mode == "binary" else [])
        if step.mode != "blind":
            c.describe("P", "")
        c.execute("")
        c.sync()

    def answers(self):
        """None: the connection is gone."""
        out = rawpg.Answers()
        while True:
            message = self.connection.receive()
            if message is None:
                return None
            out.append(message)
            if message[0] == "G":  # nothing is ever copied in
                self.connection.send("f", rawpg.text("no"))
            if message[0] == "Z":
                return out

    def close(self):
        self.raw.sock.close()


def comparable(answers, texts):
    """What two servers must agree on: all but OIDs, process ids, names of temporary schemas, and without `texts` what
    errors and notices say."""
    out = []
    for kind, body in answers:
        if kind == "A":
            body = body[4:]
        elif kind == "T":
            at, fields = 2, []
            while at < len(body):
                end = body.index(b"\0", at) + 1
                fields.append(body[at:end] + body[end + 4:end + 18])  # without the table's OID
                at = end + 18
            body = b"".join(fields)
        elif kind in "EN" and not texts:
            body = re.search(rb"\0(C\w{5})\0", body).group(1)
        out.append((kind, UNSTABLE.sub(b"temp", body)))
    return out


class Run:
    def __init__(self, plan):
        self.plan = plan
        self.counts = collections.Counter()
        self.refusals = collections.Counter()
        searches = [leak_search.Search(leak_search.decoded(secrets)) for secrets in plan["secrets"]]
        self.sides = [Side(port, search) for port, search in zip(plan["ports"], searches)]
        self.started = time.monotonic()

    def report(self, what, step, history, **more):
        self.counts[what] += 1
        if self.counts[what] <= self.plan.get("findings", 200):
            print(json.dumps({"finding": what, "statement": step.text, "mode": step.mode,
                              "before": [[s.text, s.mode] for s in history], **more}), flush=True)

    def say(self, step):
        for side in self.sides:
            side.send(step)
        answers = [side.answers() for side in self.sides]
        self.failed = bool(answers[0]) and answers[0].status() == "E"
        return answers

    def step(self, step, history):
        """False: this sequence is over."""
        answers = self.say(step)
        if None in answers:
            self.counts["cut"] += 1
            if answers.count(None) == 1:
                self.report("difference", step, history, sides=[bool(a) for a in answers])
            return False
        self.count(step, answers[0], history)
        for side, got in zip(self.sides, answers):
            for column, (how, form, value) in side.search.find_in_answers(side.raw.got, got).items():
                shown = value if isinstance(value, str) else value.hex()
                self.report("leak", step, history, column=column, how=how, form=repr(form), value=shown)
        # Which look-up came first is chance, and with it whether an error's text is withheld.
        texts = not any(WITHHELD in side.raw.got for side in self.sides)
        seen, failed = [comparable(got, texts) for got in answers], [got.errors() for got in answers]
        same = seen[0] == seen[1]
        if any(failed) and [e.get("C") for e in failed[0]] != [e.get("C") for e in failed[1]] or (
                failed[0] and failed[0] == failed[1] and not same):
            # That a statement fails, and after which row, cannot be hidden (docs/masking.md): counted and no more.
            self.counts["failed by value"] += 1
        elif not same:
            shown = [(a[0], repr(a[1])[:160], repr(b[1])[:160]) for a, b in zip(*seen) if a != b][:2]
            self.report("difference", step, history, kinds=[a.types() for a in answers], shown=shown)
        return same

    def count(self, step, answers, history):
        errors = answers.errors()
        self.counts["statements"] += 1
        refused = [e for e in errors if e.get("C") == "42501"]
        if refused:
            self.counts["refused"] += 1
            # A COPY may be refused for what its query tests or stores, not for being one.
            if ";" not in step.text and re.search("COPY cannot be (masked|searched)", refused[0].get("M", "")):
                self.report("a COPY that is not masked but refused", step, history, why=refused[0].get("M"))
            self.refusals[re.sub(r"\d+", "0", refused[0].get("M", ""))[:110]] += 1
            if self.plan.get("explain"):
                print(json.dumps({"finding": "refused", "statement": step.text, "why": refused[0]}))
        elif errors:
            self.counts["failed"] += 1
            self.counts["failed " + errors[0].get("C", "")] += 1
        else:
            self.counts["passed"] += 1
            self.counts["copied"] += "H" in answers.types()
            for row in answers.rows():
                self.counts["values"] += len(row)
                self.counts["masked"] += sum(1 for v in row if v and b"[redacted]" in v)

    def run_script(self):
        """The sequences of the plan, each in a session of its own; says of each what came of it."""
        for name, steps in self.plan["script"]:
            history, before = [], self.counts.copy()
            for step in [leak_grammar.Step("SET search_path = lk"), leak_grammar.Step("SELECT setval('counter', 1)"),
                *(leak_grammar.Step(*s) for s in steps)]:
                if not self.step(step, history):
                    break
                history.append(step)
                if self.failed:  # so that what follows in a transaction is tried too
                    self.say(leak_grammar.Step("ROLLBACK TO s"))
            after = self.counts - before
            after.pop("values", 0)
            print(json.dumps({"attack": name, **after}), flush=True)
            for side in self.sides:
                side.close()
                side.connect()

    def run(self):
        number = self.plan.get("first", 0)
        while (self.counts["statements"] < self.plan["statements"] and
               time.monotonic() - self.started < self.plan["seconds"]):
            grammar = leak_grammar.Grammar(f"{self.plan['seed']}/{number}")
            history = []
            for step in grammar.sequence():
                if not self.step(step, history):
                    break
                history.append(step)
            number += 1
            for side in self.sides:
                side.close()
                side.connect()
        print(json.dumps({"counts": self.counts, "refusals": self.refusals.most_common(40), "sequences": number,
                          "seconds": round(time.monotonic() - self.started, 1)}), flush=True)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        run = Run(json.load(file))
    run.run_script() if "script" in run.plan else run.run()
