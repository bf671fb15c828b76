#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL client (and server) that costs next to nothing, so that what stands between is what is measured.
  client.py drain HOST PORT SQL     one result read to its end: seconds, bytes
  client.py connect HOST PORT N     N connections one after another: p50 and p99 of connect() and of login, in us
  client.py plain HOST PORT N       N bare connect() calls, each closed by a reset: p50, p99 in us and their sum in s
  client.py idle HOST PORT N        N connections with one query each, held until standard input ends
  client.py serve PORT              a server that lets everybody in and answers every query with nothing
  client.py accept PORT             a listener that takes connections and drops them
"""
import selectors
import socket
import struct
import sys
import time

READY = b"Z\0\0\0\x05I"


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def read_until_ready(connection, buffer):
    """Bytes read up to a ReadyForQuery at the end of what has come."""
    total = 0
    while True:
        got = connection.recv_into(buffer)
        if got == 0:
            sys.exit("closed by the peer: " + repr(bytes(buffer[:200])))
        total += got
        if bytes(buffer[max(0, got - 6):got]) == READY:
            return total


def login(host, port, buffer):
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    connection.sendall(struct.pack("!I", len(body) + 4) + body)
    read_until_ready(connection, buffer)
    return connection


def percentiles(values):
    values.sort()
    return f"{values[len(values) // 2] * 1e6:.1f} {values[len(values) * 99 // 100] * 1e6:.1f}"


def drain(host, port, sql):
    buffer = memoryview(bytearray(1 << 18))
    connection = login(host, int(port), buffer)
    start = time.perf_counter()
    connection.sendall(message(b"Q", sql.encode() + b"\0"))
    total = read_until_ready(connection, buffer)
    print(f"{time.perf_counter() - start:.3f} {total}")


def connect(host, port, count):
    buffer = memoryview(bytearray(1 << 16))
    connects, logins = [], []
    for _ in range(int(count)):
        start = time.perf_counter()
        connection = socket.socket()
        connection.connect((host, int(port)))
        connects.append(time.perf_counter() - start)
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        connection.sendall(struct.pack("!I", len(body) + 4) + body)
        read_until_ready(connection, buffer)
        logins.append(time.perf_counter() - start)
        connection.sendall(message(b"X", b""))
        connection.close()
    print(percentiles(connects), percentiles(logins))


def plain(host, port, count):
    reset = struct.pack("ii", 1, 0)
    times = []
    for _ in range(int(count)):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        start = time.perf_counter()
        connection.connect((host, int(port)))
        times.append(time.perf_counter() - start)
        connection.close()
    total = sum(times)
    print(percentiles(times), f"{total:.3f}")


def idle(host, port, count):
    buffer = memoryview(bytearray(1 << 16))
    held = []
    for _ in range(int(count)):
        connection = login(host, int(port), buffer)
        connection.sendall(message(b"Q", b"SELECT abalance FROM pgbench_accounts WHERE aid = 1\0"))
        read_until_ready(connection, buffer)
        held.append(connection)
    print("ready", flush=True)
    sys.stdin.read()


def listener(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", int(port)))
    server.listen(4096)
    return server


def serve(port):
    server = listener(port)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    greeting = message(b"R", struct.pack("!I", 0)) + message(b"S", b"server_version\x0015.4\0") + \
        message(b"S", b"client_encoding\0UTF8\0") + message(b"S", b"standard_conforming_strings\0on\0")
    nothing = message(b"C", b"SELECT 0\0") + READY
    while True:
        for key, _ in selector.select():
            if key.fileobj is server:
                connection, _ = server.accept()
                selector.register(connection, selectors.EVENT_READ, True)
                continue
            data = key.fileobj.recv(65536)
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
            elif key.data and data[4:8] == struct.pack("!I", 80877103):  # SSLRequest
                key.fileobj.sendall(b"N")
            elif key.data:
                selector.modify(key.fileobj, selectors.EVENT_READ, False)
                key.fileobj.sendall(greeting + READY)
            elif data[:1] == b"Q":
                key.fileobj.sendall(nothing)
            elif data[:1] == b"P":  # Sallyport's look-up: Parse, Bind, Execute, Close, Close, Sync
                row = b'{"q":"s","schema":"public"}'
                table = (b'{"q":"r","i":1,"oid":"16384","schema":"public","name":"pgbench_accounts","kind":"r",'
                         b'"temp":false,"hidden":null,"columns":["aid"],"sequences":null,"up":null,"down":null}')
                rows = b"".join(message(b"D", struct.pack("!HI", 1, len(r)) + r) for r in (table, row))
                key.fileobj.sendall(message(b"1", b"") + message(b"2", b"") + rows + message(b"C", b"SELECT 2\0") +
                                    message(b"3", b"") * 2 + READY)


def accept(port):
    server = listener(port)
    while True:
        connection, _ = server.accept()
        connection.close()


if __name__ == "__main__":
    verbs = {f.__name__: f for f in (drain, connect, plain, idle, serve, accept)}
    if len(sys.argv) < 3 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
