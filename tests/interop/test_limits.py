# SPDX-License-Identifier: Apache-2.0
"""Limits of policy, counted over real connections; and the end of what is granted for a time."""

import datetime
import json
import time
import unittest

import harness
from harness import agent_document, entitlement_document, target_document

SHOP = {"sql": {"tables": ["shop.*"]}}
SLEEP = {"sql": {"statements": ["call"], "functions": ["pg_catalog.pg_sleep"]}}


def in_seconds(seconds):
    """A time as policy writes it, and on the clock."""
    at = int(time.time()) + seconds
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), at


def policy(*more):
    return [agent_document("reader"), agent_document("asker"), agent_document("loner"), agent_document("guest"),
            target_document(),
            entitlement_document("reader", allow=[SHOP], limits=[{"count": "rows", "max": 1500, "per": "1h"}]),
            entitlement_document("asker", allow=[SHOP], limits=[{"count": "statements", "max": 6, "per": "3s"}]),
            entitlement_document("loner", allow=[SHOP], limits=[{"count": "bytes", "max": 20000, "per": "1h",
                                                                 "over": "flow", "then": "hold"}]), *more]


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(*policy())
    machine.start_daemon()


class Limits(unittest.TestCase):
    def test_two_connections_of_one_agent_share_a_limit(self):
        got = machine.python("""
            import json, os, psycopg, time
            out = {}
            one, two = (psycopg.connect(os.environ["PGDSN"], autocommit=True) for _ in range(2))
            out["one"] = len(one.execute("SELECT n FROM shop.numbers").fetchall())
            out["two"] = len(two.execute("SELECT n FROM shop.numbers LIMIT 300").fetchall())
            def stream_until_cut(connection):
                rows = 0
                try:
                    with connection.cursor() as cursor:
                        for _ in cursor.stream("SELECT n FROM shop.numbers"):
                            rows += 1
                except psycopg.Error as error:
                    return [rows, str(error), connection.closed]
            out["two cut"] = stream_until_cut(two)
            time.sleep(1.5)
            out["one cut"] = stream_until_cut(one)
            three = psycopg.connect(os.environ["PGDSN"], autocommit=True)
            try:
                three.execute("SELECT 1")
            except psycopg.Error as error:
                out["refused"] = [error.sqlstate, error.diag.message_primary, error.diag.message_detail, three.closed]
            three.execute("BEGIN")
            three.execute("ROLLBACK")
            print(json.dumps(out))
            """, agent="reader")
        self.assertEqual((got["one"], got["two"]), (1000, 300))
        for which in ("two cut", "one cut"):
            rows, text, closed = got[which]
            self.assertIn("of 1500 rows per 1h are used", text)
            # On a slow machine the first connection has given its share back by then: its statement is refused at once.
            self.assertTrue(closed or which == "one cut" and rows == 0)
        self.assertEqual(got["two cut"][0] + got["one cut"][0], 200, "1,500 in all, to the last row")
        sqlstate, message, detail, closed = got["refused"]
        self.assertEqual(sqlstate, "42501")
        self.assertIn("refused by policy for agent reader: 1500 of 1500 rows per 1h are used, over all connections",
                      message)
        self.assertRegex(message, "free again in (59|6[01]) min")
        self.assertRegex(detail, r"^rule reader-db.limits\[0\] \(.*policy.yaml:\d+:\d+\)")
        self.assertFalse(closed, "only the statement is refused")
        shown = machine.sallyport("sessions", "list", "-o", "json", "--agent", "reader")
        self.assertIn("cut: refused by policy for agent reader", shown.stdout)

    def test_the_window_slides(self):
        got = machine.python("""
            import json, os, psycopg, time
            c = psycopg.connect(os.environ["PGDSN"], autocommit=True)
            def burst():
                done, begun = 0, time.monotonic()
                try:
                    for _ in range(20):
                        c.execute("SELECT 1")
                        done += 1
                except psycopg.Error as error:
                    return [done, str(error), time.monotonic() - begun]
                return [done, "", time.monotonic() - begun]
            def fresh():  # on a busy machine a burst may take so long that the window moves under it
                for _ in range(20):
                    time.sleep(3.3)
                    found = burst()
                    if found[2] < 1.5:
                        break
                return found
            first = fresh()
            deadline = time.monotonic() + 60
            while burst()[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.1)
            print(json.dumps([first, fresh()]))
            """, agent="asker")
        for done, text, _ in got:
            self.assertEqual(done, 6)
            self.assertIn("6 of 6 statements per 3s are used", text)
            self.assertRegex(text, r"free again in [1-4] s")

    def test_a_connection_of_its_own_and_a_hold(self):
        got = machine.python("""
            import json, os, psycopg
            out = []
            for _ in range(2):
                c = psycopg.connect(os.environ["PGDSN"], autocommit=True)
                out.append(len(c.execute("SELECT t FROM shop.numbers LIMIT 700").fetchall()))
            print(json.dumps(out))
            """, agent="loner")
        self.assertEqual(got, [700, 700])

    def test_the_command_line_shows_them(self):
        done = machine.sallyport("policy", "explain", "--policy", str(machine.policy_dir), "--agent", "loner",
                                 "--target", "db", "SELECT n FROM shop.numbers")
        self.assertIn("limit    loner-db.limits[0]: 20000 bytes per 1h over flow then hold", done.stdout)
        done = machine.sallyport("policy", "explain", "-o", "json", "--policy", str(machine.policy_dir), "--agent",
                                 "loner", "--target", "db", "SELECT n FROM shop.numbers")
        self.assertEqual(json.loads(done.stdout)["limits"][0]["per_s"], 3600)


class Times(unittest.TestCase):
    def assert_cut(self, spec, said):
        """A statement that would take ten minutes, under a grant that ends in some seconds, is cut within one."""
        for seconds in (7, 20, 60):  # the first is enough for the agent to come so far, where nothing else goes on
            until, at = in_seconds(seconds)
            machine.set_policy(*policy(entitlement_document("guest", allow=[SHOP, SLEEP], **spec(until))))
            with harness.Lateness() as late:
                text, running = machine.python("""
                    import json, os, psycopg
                    running = False
                    try:
                        c = psycopg.connect(os.environ["PGDSN"], autocommit=True)
                        c.execute("SELECT n FROM shop.numbers").fetchall()
                        running = True
                        c.execute("SELECT n, pg_catalog.pg_sleep(0.6) FROM shop.numbers")
                        print(json.dumps(["not cut", running]))
                    except psycopg.Error as error:
                        print(json.dumps([str(error), running]))
                    """, agent="guest")
            if running:
                break
        self.assertTrue(running, text)
        self.assertIn(said, text)
        when = machine.last_closed("guest")
        self.assertGreaterEqual(when, at)
        self.assertLess(when, at + late.allow(1))

    def test_the_end_of_a_window_cuts_what_runs_within_a_second(self):
        self.assert_cut(lambda until: {"window": {"until": until}},
                        "refused by policy for agent guest: grants nothing since")
        done = machine.psql("SELECT 1", agent="guest")
        self.assertIn("guest-db.window", done.stderr)

    def test_the_end_of_a_review_does_too(self):
        self.assert_cut(lambda until: {"review": {"by": "sam@example.com", "at": "2026-01-01", "expires": until}},
                        "its review expired")


if __name__ == "__main__":
    harness.main()
