# SPDX-License-Identifier: Apache-2.0
"""Rows stream: a result of any size takes the daemon the same memory."""

import pathlib
import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document

ROWS = 10_000_000
PEAK_MAX_KIB = 64 << 10


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(
        agent_document("bot"), target_document(masks=["pii"]),
        mask_document({"shop.customers.ssn": "redact"}, [{"type": "payment-card", "with": "redact"}]),
        entitlement_document("bot", allow=[{"sql": {"statements": ["select", "copy"], "tables": ["shop.*"]}}],
                             limits=[{"count": "rows", "max": 10 * ROWS, "per": "1h"}]))
    machine.start_daemon()


def peak_kib():
    for line in pathlib.Path(f"/proc/{machine.daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


# Reads to the end of one answer and keeps nothing of it.
DISCARD = """
    import json, rawpg
    c = rawpg.connect()
    c.socket.settimeout(600)
    c.query({query!r})
    total, tail = 0, b""
    ending = {ending!r}.encode() + b"\\0Z\\0\\0\\0\\5I"
    while not tail.endswith(ending):
        piece = c.socket.recv(1 << 18)
        assert piece, (total, tail)
        total += len(piece)
        tail = (tail + piece[-64:])[-64:]
    print(json.dumps(total))
    """


class Memory(unittest.TestCase):
    def discard(self, query, ending):
        total = machine.python(DISCARD.format(query=query, ending=ending), timeout=800)
        peak = peak_kib()
        print(f"{total} bytes, peak of the daemon {peak} KiB")
        self.assertLess(peak, PEAK_MAX_KIB)
        return total

    def test_ten_million_rows_with_a_mask_and_a_detector(self):
        total = self.discard(
            f"SELECT c.ssn, 'row' FROM shop.customers c, generate_series(1, {ROWS}) g WHERE c.id = 1",
            f"SELECT {ROWS}")
        self.assertGreaterEqual(total, ROWS * (7 + 4 + len("[redacted]") + 4 + len("row")), "every row came, masked")

    def test_a_copy_as_long_with_a_mask_and_a_detector(self):
        total = self.discard(
            f"COPY (SELECT c.ssn, 'row' FROM shop.customers c, generate_series(1, {ROWS}) g WHERE c.id = 1) TO STDOUT",
            f"COPY {ROWS}")
        self.assertGreaterEqual(total, ROWS * (5 + len("[redacted]\trow\n")), "every row came, masked")

    def test_a_value_as_large_as_can_be_masked(self):
        for mib, expected in ((3, "C"), (5, "42501")):
            with self.subTest(mib):
                got = machine.python(f"""
                    import json, rawpg
                    c = rawpg.connect()
                    c.query("COPY (SELECT ssn, repeat('x', {mib} << 20) FROM shop.customers WHERE id = 1) TO STDOUT")
                    answers = c.until("C", "E")
                    print(json.dumps([answers.types()[-1], [e["C"] for e in answers.errors()]]))
                    """)
                self.assertEqual(got, ["C", []] if expected == "C" else ["E", [expected]])


if __name__ == "__main__":
    harness.main()
