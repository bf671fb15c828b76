# SPDX-License-Identifier: Apache-2.0
"""psycopg 3, asyncpg and bare messages as agents: extended protocol in all its forms, text and binary."""

import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(
        agent_document("bot"), target_document(masks=["pii"]),
        mask_document({"shop.customers.email": {"partial": {"keepLast": 4}}, "shop.customers.ssn": "redact",
                       "shop.customers.born": "redact", "shop.customers.score": "redact",
                       "shop.customers.credit": "redact", "shop.customers.active": "redact",
                       "shop.customers.token": "redact"}),
        entitlement_document("bot", allow=[
            {"sql": {"statements": ["select"], "tables": ["shop.customers"]}},
            {"sql": {"statements": ["select", "insert", "copy"], "tables": ["shop.notes", "shop.numbers"]}},
            {"sql": {"functions": ["pg_catalog.pg_sleep"]}}]))
    machine.start_daemon()


class Psycopg(unittest.TestCase):
    def setUp(self):
        server.sql("TRUNCATE shop.notes")

    def test_simple_and_typed(self):
        got = machine.python("""
            import json, os, psycopg
            with psycopg.connect(os.environ["PGDSN"]) as c:
                rows = c.execute("SELECT id, name, email, ssn FROM shop.customers WHERE id = %s", (1,)).fetchall()
                print(json.dumps(rows))
            """)
        self.assertEqual(got[0][:2], [1, "Ada"])
        self.assertTrue(got[0][2].endswith(".com") and "ada" not in got[0][2], got)
        self.assertNotIn("219", got[0][3])

    def test_binary_results_are_masked_with_values_of_their_type(self):
        got = machine.python("""
            import datetime, decimal, json, os, psycopg, uuid
            with psycopg.connect(os.environ["PGDSN"]) as c:
                out = []
                for binary in (True, False):
                    cur = c.cursor(binary=binary)
                    row = cur.execute("SELECT email, ssn, born, score, credit, active, token, id FROM shop.customers"
                                      " WHERE id = 1").fetchone()
                    out.append([[type(v).__name__, str(v)] for v in row])
                print(json.dumps(out))
            """)
        for kind in got:
            self.assertNotRegex(str(kind), "ada@|219-09|1815|a0eebc99|10.25")
            self.assertEqual(kind[7], ["int", "1"])
            for (name, value), expected in zip(kind, ("str", "str", "date", "float", "Decimal", "bool", "UUID")):
                self.assertIn(name, (expected, "NoneType"), kind)

    def test_server_side_prepared(self):
        got = machine.python("""
            import json, os, psycopg
            with psycopg.connect(os.environ["PGDSN"]) as c:
                c.prepare_threshold = 0
                rows = [c.execute("SELECT email FROM shop.customers WHERE id = %s", (n,)).fetchone() for n in (1, 2, 1)]
                print(json.dumps([rows, len(c.execute("SELECT name FROM pg_prepared_statements").fetchall())]))
            """)
        self.assertNotRegex(str(got), "ada@|grace@")
        self.assertGreaterEqual(got[1], 1)

    def test_pipeline_mode_with_a_refusal_in_the_middle(self):
        got = machine.python("""
            import json, os, psycopg
            c = psycopg.connect(os.environ["PGDSN"], autocommit=True)
            with c.pipeline():
                cursors = [c.execute("SELECT n FROM shop.numbers WHERE n = %s", (n,)) for n in range(1, 21)]
                values = [cur.fetchone()[0] for cur in cursors]
            try:
                with c.pipeline():
                    c.execute("INSERT INTO shop.notes (body) VALUES ('ghost')")
                    c.execute("DELETE FROM shop.notes")
                    c.execute("INSERT INTO shop.notes (body) VALUES ('ghost too')")
                state = None
            except psycopg.Error as error:
                state = [error.sqlstate, bool(error.diag.message_hint)]
            print(json.dumps([values, state, c.execute("SELECT 5").fetchone()]))
            """)
        self.assertEqual(got, [list(range(1, 21)), ["42501", True], [5]])
        self.assertEqual(server.sql("SELECT count(*) FROM shop.notes"), "0")

    def test_transactions(self):
        got = machine.python("""
            import json, os, psycopg
            c = psycopg.connect(os.environ["PGDSN"])
            out = []
            try:
                with c.transaction():
                    c.execute("INSERT INTO shop.notes (body) VALUES ('ghost')")
                    c.execute("UPDATE shop.notes SET body = 'x'")
            except psycopg.errors.InsufficientPrivilege as error:
                out.append(error.diag.message_detail)
            with c.transaction():
                c.execute("INSERT INTO shop.notes (body) VALUES ('kept')")
                try:
                    with c.transaction():
                        c.execute("DELETE FROM shop.notes")
                except psycopg.errors.InsufficientPrivilege:
                    out.append("inner refused")
            print(json.dumps(out))
            """)
        self.assertEqual(got[1], "inner refused")
        self.assertEqual(server.sql("SELECT string_agg(body, ',') FROM shop.notes"), "kept")

    def test_copy(self):
        got = machine.python("""
            import json, os, psycopg
            with psycopg.connect(os.environ["PGDSN"]) as c:
                cur = c.cursor()
                with cur.copy("COPY shop.notes (body) FROM STDIN") as copy:
                    for n in range(5000):
                        copy.write_row((f"row {n}",))
                with cur.copy("COPY shop.numbers TO STDOUT (FORMAT binary)") as copy:
                    copy.set_types(["int4", "text"])
                    rows = list(copy.rows())
                print(json.dumps([len(rows), rows[0]]))
            """)
        self.assertEqual(got, [1000, [1, "row 1"]])
        self.assertEqual(server.sql("SELECT count(*) FROM shop.notes"), "5000")

    def test_named_cursors(self):
        got = machine.python("""
            import json, os, psycopg
            with psycopg.connect(os.environ["PGDSN"]) as c:
                with c.cursor(name="big") as cur:
                    cur.itersize = 7
                    cur.execute("SELECT n FROM shop.numbers ORDER BY n")
                    total = sum(row[0] for row in cur)
                with c.cursor(name="masked", binary=True) as cur:
                    cur.execute("SELECT email FROM shop.customers ORDER BY id")
                    print(json.dumps([total, cur.fetchmany(2)]))
            """)
        self.assertEqual(got[0], 500500)
        self.assertNotRegex(str(got), "ada@|grace@")

    def test_many_connections_at_once(self):
        got = machine.python("""
            import json, os, psycopg, threading
            failures = []
            def one(n):
                try:
                    with psycopg.connect(os.environ["PGDSN"]) as c:
                        for k in range(20):
                            assert c.execute("SELECT %s::int", (n * k,)).fetchone()[0] == n * k
                except Exception as error:
                    failures.append(repr(error))
            threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
            [t.start() for t in threads]; [t.join() for t in threads]
            print(json.dumps(failures))
            """)
        self.assertEqual(got, [])


class Asyncpg(unittest.TestCase):
    def run_async(self, body):
        code = "import asyncio, asyncpg, json\nasync def main():\n" \
               "    c = await asyncpg.connect(host='127.0.0.1', user='app', database='postgres')\n"
        code += "".join("    " + line + "\n" for line in harness.textwrap.dedent(body).strip().splitlines())
        return machine.python(code + "print(json.dumps(asyncio.run(main())))\n")

    def test_prepared_statements_and_types(self):
        got = self.run_async("""
            s = await c.prepare("SELECT email, ssn, born, score, credit, active, token, id"
                                " FROM shop.customers WHERE id = $1")
            rows = [await s.fetchrow(n) for n in (1, 2)]
            return [[str(v) for v in row.values()] for row in rows]
            """)
        self.assertNotRegex(str(got), "ada@|grace@|219-09|457-55|1815|1906|a0eebc99")
        self.assertEqual([row[7] for row in got], ["1", "2"])

    def test_transactions_cursors_and_refusals(self):
        got = self.run_async("""
            out = []
            async with c.transaction():
                async for row in c.cursor("SELECT n FROM shop.numbers ORDER BY n", prefetch=10):
                    out.append(row[0])
            try:
                await c.execute("DELETE FROM shop.notes WHERE id = $1", 1)
            except asyncpg.InsufficientPrivilegeError as error:
                out.append(error.hint)
            out.append(await c.fetchval("SELECT 1"))
            return [sum(out[:1000]), *out[1000:]]
            """)
        self.assertEqual(got[0], 500500)
        self.assertIn("delete", got[1])
        self.assertEqual(got[2], 1)

    def test_executemany_copy_and_composite_introspection(self):
        server.sql("TRUNCATE shop.notes")
        got = self.run_async("""
            await c.executemany("INSERT INTO shop.notes (body) VALUES ($1)", [(str(n),) for n in range(500)])
            await c.copy_records_to_table("notes", schema_name="shop", columns=["body"], records=[("a",), ("b",)])
            return [await c.fetchval("SELECT count(*) FROM shop.notes"), await c.fetchval("SELECT ARRAY[1,2]::int[]")]
            """)
        self.assertEqual(got, [502, [1, 2]])


class Raw(unittest.TestCase):
    def raw(self, body):
        return machine.python("import json, rawpg\nc = rawpg.connect()\n" + harness.textwrap.dedent(body))

    def test_a_client_that_never_describes_gets_masked_rows(self):
        got = self.raw("""
            c.parse("", "SELECT id, email, ssn FROM shop.customers ORDER BY id")
            c.bind("", "", results=(0,)); c.execute(""); c.sync()
            a = c.until_ready()
            c.parse("s", "SELECT id, email FROM shop.customers WHERE id = 1")
            c.bind("p", "s", results=(1,)); c.execute("p")
            c.bind("", "s"); c.execute("", 1); c.sync()
            b = c.until_ready()
            print(json.dumps([a.types(), a.texts(), b.types(), b.texts()]))
            """)
        self.assertEqual(got[0], "12DDDCZ", "no RowDescription that was not asked for")
        self.assertEqual(got[2].replace("C", "").replace("s", ""), "12D2DZ")
        self.assertNotRegex(str(got), "ada@|grace@|219-09|457-55")
        self.assertEqual([row[0] for row in got[1]], ["1", "2", "3"])

    def test_portals_fetched_in_parts(self):
        got = self.raw("""
            c.query("BEGIN"); c.until_ready()
            c.parse("", "SELECT email FROM shop.customers ORDER BY id"); c.bind("x", "")
            c.execute("x", 1); c.execute("x", 1); c.execute("x", 0); c.sync()
            a = c.until_ready()
            c.query("COMMIT"); c.until_ready()
            print(json.dumps([a.types(), a.texts()]))
            """)
        self.assertEqual(got[0], "12DsDsDCZ")
        self.assertNotRegex(str(got[1]), "ada@|grace@|edsger@")

    def test_names_re_used_closed_and_re_defined(self):
        got = self.raw("""
            out = []
            c.parse("s", "SELECT 1"); c.bind("", "s"); c.execute(""); c.close("S", "s")
            c.parse("s", "SELECT 2"); c.bind("", "s"); c.execute(""); c.sync()
            out.append(c.until_ready().texts())
            c.parse("s", "SELECT 3"); c.sync(); out.append(c.until_ready().errors()[0]["C"])
            c.bind("", "s"); c.execute(""); c.sync(); out.append(c.until_ready().texts())
            c.query("DEALLOCATE s"); c.until_ready()
            c.bind("", "s"); c.execute(""); c.sync(); out.append(c.until_ready().errors()[0]["C"])
            c.query("PREPARE q AS SELECT email FROM shop.customers WHERE id = 1"); c.until_ready()
            c.bind("", "q"); c.execute(""); c.sync(); out.append(c.until_ready().texts())
            print(json.dumps(out))
            """)
        self.assertEqual(got[:4], [[["1"], ["2"]], "42P05", [["2"]], "26000"])
        self.assertNotIn("ada@", str(got[4]))
        self.assertEqual(len(got[4]), 1)

    def test_after_a_refusal_everything_is_skipped_to_sync(self):
        got = self.raw("""
            c.parse("", "DELETE FROM shop.numbers"); c.bind("", ""); c.describe("P", ""); c.execute("")
            c.parse("", "SELECT 1"); c.bind("", ""); c.execute(""); c.sync()
            c.parse("", "SELECT 2"); c.bind("", ""); c.execute(""); c.sync()
            a, b = c.until_ready(), c.until_ready()
            print(json.dumps([a.types(), a.errors(), b.types(), b.texts()]))
            """)
        self.assertEqual([got[0], got[2], got[3]], ["EZ", "12DCZ", [["2"]]])
        self.assertEqual(got[1][0]["C"], "42501")
        self.assertEqual(server.sql("SELECT count(*) FROM shop.numbers"), "1000")

    def test_answers_to_refusals_keep_their_place_in_a_pipeline_of_queries(self):
        got = self.raw("""
            for n in range(50):
                c.query(f"SELECT {n}" if n % 3 else "DELETE FROM shop.numbers")
            out = []
            for n in range(50):
                a = c.until_ready()
                out.append(a.errors()[0]["C"] if a.errors() else a.texts()[0][0])
            print(json.dumps(out))
            """)
        self.assertEqual(got, [str(n) if n % 3 else "42501" for n in range(50)])

    def test_describe_of_statement_and_portal(self):
        got = self.raw("""
            c.parse("s", "SELECT email FROM shop.customers WHERE id = $1"); c.describe("S", "s")
            c.bind("", "s", [b"1"]); c.describe("P", ""); c.execute(""); c.sync()
            a = c.until_ready()
            c.flush()
            c.query(""); b = c.until_ready()
            print(json.dumps([a.types(), a.texts(), b.types()]))
            """)
        self.assertEqual([got[0], got[2]], ["1tT2TDCZ", "IZ"])
        self.assertNotIn("ada@", str(got[1]))

    def test_function_call_is_judged(self):
        got = self.raw("""
            import struct
            body = struct.pack("!IHH", 1319, 0, 1) + struct.pack("!I", 4) + b"oops" + struct.pack("!H", 0)
            c.send("F", body)
            print(json.dumps(c.until_ready().errors()))
            """)
        self.assertEqual(got[0]["C"], "42501")

    def test_copy_in_by_extended_protocol_and_copy_fail(self):
        server.sql("TRUNCATE shop.notes")
        got = self.raw(r"""
            c.parse("", "COPY shop.notes (body) FROM STDIN"); c.bind("", ""); c.execute("")
            c.send("d", b"a\n"); c.send("c"); c.sync()
            a = c.until_ready()
            c.query("COPY shop.notes (body) FROM STDIN"); c.until("G")
            c.send("d", b"b\n"); c.send("f", rawpg.text("changed my mind"))
            b = c.until_ready()
            print(json.dumps([a.types(), a.tags(), b.errors()[0]["C"]]))
            """)
        self.assertEqual(got, ["12GCZ", ["COPY 1"], "57014"])
        self.assertEqual(server.sql("SELECT string_agg(body, ',') FROM shop.notes"), "a")

    def test_the_data_of_a_refused_copy_go_nowhere(self):
        server.sql("TRUNCATE shop.notes")
        got = self.raw(r"""
            c.query("COPY shop.payroll FROM STDIN"); c.send("d", b"x\t1\n"); c.send("c")
            c.query("COPY shop.notes (body) FROM STDIN"); c.send("d", b"kept\n"); c.send("c")
            a = [c.until_ready().errors()[0]["C"], c.until_ready().tags()]
            c.parse("", "COPY shop.payroll FROM STDIN"); c.bind("", ""); c.execute("")
            c.send("d", b"y\t2\n"); c.send("c"); c.sync()
            b = c.until_ready().errors()[0]["C"]
            c.query("SELECT 1")
            print(json.dumps([*a, b, c.until_ready().texts()]))
            """)
        self.assertEqual(got, ["42501", ["COPY 1"], "42501", [["1"]]])
        self.assertEqual(server.sql("SELECT string_agg(body, ',') FROM shop.notes"), "kept")
        self.assertEqual(server.sql("SELECT count(*) FROM shop.payroll"), "1")

    def test_broken_messages_end_this_flow_and_no_other(self):
        got = self.raw(r"""
            other = rawpg.connect()
            out = []
            for bad in (b"Q\0\0\0\2", b"Q\0\0\0\5x", b"P\0\0\0\5x", b"B\0\0\0\4", b"\xff\0\0\0\4", b"Z\0\0\0\5I",
                        b"E\0\0\0\6xx", b"D\0\0\0\6X\0", b"Q\xff\xff\xff\xff", b"p\0\0\0\5x"):
                d = rawpg.connect()
                d.socket.sendall(bad)
                d.socket.settimeout(120)
                out.append([e["C"] for e in d.until_end().errors()])
                other.query("SELECT 1"); assert other.until_ready().texts() == [["1"]]
            print(json.dumps(out))
            """)
        self.assertEqual(got, [["08P01"]] * len(got))

    def test_statements_at_and_over_the_limits(self):
        got = self.raw("""
            out = []
            for sql in ("SELECT " + "1+" * 40000 + "1", "SELECT " + "(" * 20000 + "1" + ")" * 20000,
                        "SELECT '" + "x" * 3_000_000 + "'", "SELECT 1" + ";" * 100000):
                c.query(sql)
                a = c.until_ready()
                out.append(a.errors()[0]["C"] if a.errors() else "ok")
            c.query("SELECT '" + "x" * 5_000_000 + "'")
            e = c.until_ready().errors()[0]; out.append([e["C"], e["M"]])
            c.query("SELECT 1"); out.append(c.until_ready().texts())
            print(json.dumps(out))
            """)
        self.assertEqual(got[-1], [["1"]])
        self.assertEqual(got[-2][0], "54000")
        self.assertIn("longer than the 4 MiB that can be judged", got[-2][1])
        self.assertIn(got[0], ("42501", "54001", "54000"))
        self.assertIn(got[1], ("42501", "54001", "54000"))


class Encodings(unittest.TestCase):
    """Text that is not UTF-8 is judged as the server reads it."""

    def raw(self, encoding, body):
        return machine.python("import json, rawpg\nc = rawpg.connect(client_encoding=%r)\n" % encoding +
                              harness.textwrap.dedent(body))

    def test_latin1(self):
        got = self.raw("LATIN1", r"""
            out = []
            for sql in (b"SELECT 'caf\xe9'", b"SELECT 'caf\xe9' FROM shop.payroll", b"SELECT '\xe9' AS \xe9",
                        b"INSERT INTO shop.notes (body) VALUES ('na\xefve') RETURNING body"):
                c.send("Q", sql + b"\0")
                a = c.until_ready()
                out.append(a.errors()[0]["C"] if a.errors() else a.rows()[0][0].decode("latin-1"))
            print(json.dumps(out))
            """)
        self.assertEqual(got, ["caf\u00e9", "42501", "\u00e9", "na\u00efve"])
        self.assertIn("SELECT 'caf\u00e9' FROM shop.payroll", machine.records(), "recorded as UTF-8")
        self.assertEqual(server.sql("SELECT body FROM shop.notes ORDER BY id DESC LIMIT 1"), "na\u00efve")

    def test_a_backslash_byte_of_sjis_hides_nothing(self):
        # 0x83 0x5C is one character. Read byte by byte the 0x5C would be a backslash that keeps the string open.
        got = self.raw("SJIS", r"""
            out = []
            for sql in (b"SELECT '\x83\x5c'", b"SELECT E'\x83\x5c'; DELETE FROM shop.payroll --'",
                        b"SELECT E'\x83\x5c' || '; DELETE FROM shop.payroll --'", b"SELECT '\x83'"):
                c.send("Q", sql + b"\0")
                a = c.until_ready()
                out.append(a.errors()[0]["C"] if a.errors() else a.rows()[0][0].decode("shift_jis"))
            print(json.dumps(out))
            """)
        self.assertEqual(got[:3], ["\u30bd", "42501", "\u30bd; DELETE FROM shop.payroll --"])
        self.assertIn(got[3], ("42501", "22021"), "half a character")
        self.assertEqual(server.sql("SELECT count(*) FROM shop.payroll"), "1")

    def test_text_that_is_not_in_its_encoding_is_unknown(self):
        got = self.raw("SQL_ASCII", r"""
            c.query("SELECT 1"); a = c.until_ready()
            c.send("Q", b"SELECT '\xff'\0"); b = c.until_ready()
            c.send("Q", b"SELECT 'caf\xc3\xa9'\0"); d = c.until_ready()
            print(json.dumps([a.texts(), b.errors()[0]["M"], d.texts()]))
            """)
        self.assertEqual([got[0], got[2]], [[["1"]], [["caf\u00e9"]]])
        self.assertIn("text is not in the client_encoding", got[1])


if __name__ == "__main__":
    harness.main()
