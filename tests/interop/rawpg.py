# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL client of bare messages, for what no library does: no Describe, pipelines, broken bytes."""

import os
import socket
import ssl
import struct

PROTOCOL_3_0 = 0x00030000
PROTOCOL_3_2 = 0x00030002
SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)


class Answers(list):
    """(type, body) in order."""

    def types(self):
        return "".join(kind for kind, _ in self)

    def errors(self):
        """Fields of each ErrorResponse by their letter."""
        return [{part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}
                for kind, body in self if kind == "E"]

    def rows(self):
        return [columns(body) for kind, body in self if kind == "D"]

    def texts(self):
        return [[None if v is None else v.decode("utf-8", "replace") for v in row] for row in self.rows()]

    def tags(self):
        return [body.rstrip(b"\0").decode() for kind, body in self if kind == "C"]

    def status(self):
        return self[-1][1].decode()


def columns(body):
    (count,), at, out = struct.unpack_from("!H", body), 2, []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        out.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return out


def text(value):
    return value.encode() + b"\0"


def cancel(pid, key, host="127.0.0.1", port=5432):
    with socket.create_connection((host, port), 60) as s:
        s.sendall(struct.pack("!III", 12 + len(key), 80877102, pid) + key)
        try:
            while s.recv(1024):
                pass
        except ConnectionError:
            pass


class Connection:
    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""
        self.pid = self.key = None

    def send(self, kind, body=b""):
        self.socket.sendall(kind.encode() + struct.pack("!I", len(body) + 4) + body)

    def startup(self, user="app", database="postgres", protocol=PROTOCOL_3_0, **settings):
        fields = b"".join(text(k) + text(v) for k, v in {"user": user, "database": database, **settings}.items())
        self.socket.sendall(struct.pack("!II", len(fields) + 9, protocol) + fields + b"\0")

    def query(self, sql):
        self.send("Q", text(sql))

    def parse(self, name, sql, types=()):
        self.send("P", text(name) + text(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))

    def bind(self, portal, statement, values=(), results=()):
        body = text(portal) + text(statement) + struct.pack("!HH", 0, len(values))
        for value in values:
            body += struct.pack("!i", -1) if value is None else struct.pack("!I", len(value)) + value
        self.send("B", body + struct.pack(f"!H{len(results)}H", len(results), *results))

    def describe(self, kind, name):
        self.send("D", kind.encode() + text(name))

    def execute(self, portal, rows=0):
        self.send("E", text(portal) + struct.pack("!I", rows))

    def close(self, kind, name):
        self.send("C", kind.encode() + text(name))

    def sync(self):
        self.send("S")

    def flush(self):
        self.send("H")

    def receive(self):
        """The next message; None at the end of the connection."""
        while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack_from("!I", self.buffer, 1)[0]:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.buffer += more
        size = 1 + struct.unpack_from("!I", self.buffer, 1)[0]
        message, self.buffer = self.buffer[:size], self.buffer[size:]
        return message[:1].decode(), message[5:]

    def until(self, *kinds):
        out = Answers()
        while True:
            message = self.receive()
            if message is None:
                raise EOFError(f"connection ended after {out!r}")
            out.append(message)
            if message[0] in kinds:
                return out

    def until_ready(self):
        return self.until("Z")

    def until_end(self):
        out = Answers()
        while (message := self.receive()) is not None:
            out.append(message)
        return out


def dial(host="127.0.0.1", port=5432):
    return Connection(socket.create_connection((host, port), 60))


def secure(connection, alpn=None):
    """TLS on top, whoever the peer is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    connection.socket = context.wrap_socket(connection.socket)
    return connection


def connect(host="127.0.0.1", port=5432, **startup):
    c = dial(host, port)
    c.socket.settimeout(120)
    c.startup(**startup)
    c.greeting = c.until("Z", "E")
    if c.greeting[-1][0] == "E":
        raise ConnectionError(c.greeting.errors()[-1])
    for kind, body in c.greeting:
        if kind == "K":
            (c.pid,), c.key = struct.unpack_from("!I", body), body[4:]
    return c
