# SPDX-License-Identifier: Apache-2.0
"""psql as an agent: what passes, is masked and is refused, and that a refusal has a server error's whole effect."""

import json
import os
import signal
import unittest

import harness
from harness import DSN, agent_document, entitlement_document, mask_document, target_document

NOTES = {"statements": ["select", "insert", "copy", "listen", "notify"], "tables": ["shop.notes"], "channels": ["news"]}


def policy():
    return [
        agent_document("bot"), agent_document("small"), agent_document("rival"), agent_document("writer"),
        target_document(masks=["pii"]),
        mask_document({"shop.customers.email": {"partial": {"keepLast": 4}}, "shop.customers.ssn": "redact",
                       "shop.customers.born": "null", "shop.customers.token": {"fixed": "gone"}},
                      [{"type": "payment-card", "with": "redact"}]),
        entitlement_document("bot", allow=[
            {"sql": {"statements": ["select", "insert", "copy"], "tables": ["shop.customers", "shop.numbers"]}},
            {"sql": NOTES}, {"sql": {"statements": ["call"], "functions": ["pg_catalog.pg_sleep"]}}]),
        entitlement_document("small", allow=[{"sql": {"statements": ["select"], "tables": ["shop.notes"]}}]),
        entitlement_document("writer", allow=[
            {"sql": {"statements": ["select", "insert", "update", "delete", "merge", "notify"], "tables": ["shop.*"],
                     "channels": ["news"]}}]),
        entitlement_document("rival", allow=[{"sql": {"statements": ["select"], "tables": ["shop.notes"]}}]),
    ]


def setUpModule():
    global machine, server
    harness.require("psql", "setpriv", "unshare", "ip")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(*policy())
    machine.start_daemon()


def active(pattern):
    return server.sql(f"SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '{pattern}'") == "1"


class PsqlCase(unittest.TestCase):
    def setUp(self):
        server.sql("TRUNCATE shop.notes")

    def ok(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout.rstrip("\n")

    def refused(self, done, sqlstate="42501"):
        self.assertIn(f"ERROR:  {sqlstate}:", done.stderr, done.stdout)
        return done.stderr

    def notes(self):
        return server.sql("SELECT string_agg(body, ',' ORDER BY id) FROM shop.notes")


class Masking(PsqlCase):
    def test_columns_named_in_policy_are_masked(self):
        out = self.ok(machine.psql("SELECT id, name, email, ssn, born, token FROM shop.customers ORDER BY id"))
        first = out.splitlines()[0].split("|")
        self.assertEqual(first[:2], ["1", "Ada"])
        self.assertTrue(first[2].endswith(".com"), out)
        self.assertNotIn("ada@", out)
        self.assertNotIn("219-09", out)
        self.assertEqual(first[4], "")
        self.assertNotIn("a0eebc99", out)
        self.assertEqual(out.splitlines()[2].split("|")[3], "", "NULL stays NULL")

    def test_aliases_stars_and_joins_are_masked_alike(self):
        for query in ("SELECT * FROM shop.customers", "SELECT c.email AS harmless FROM shop.customers c",
                      "SELECT x FROM (SELECT email AS x FROM shop.customers) s", "TABLE shop.customers",
                      "WITH w AS (SELECT ssn, email FROM shop.customers) SELECT * FROM w",
                      "SELECT b.email FROM shop.customers a JOIN shop.customers b USING (id)"):
            with self.subTest(query):
                out = self.ok(machine.psql(query))
                self.assertNotRegex(out, "ada@|grace@|219-09|457-55")

    def test_what_derives_from_a_masked_column_is_masked_whole(self):
        for query in ("SELECT upper(email) FROM shop.customers", "SELECT ssn || '' FROM shop.customers",
                      "SELECT row(email, ssn) FROM shop.customers", "SELECT c FROM shop.customers c",
                      "SELECT email FROM shop.customers UNION ALL SELECT ssn FROM shop.customers",
                      "SELECT string_agg(email, ',') FROM shop.customers",
                      "SELECT (SELECT ssn FROM shop.customers WHERE id = 1)"):
            with self.subTest(query):
                done = machine.psql(query)
                self.assertNotRegex(done.stdout + done.stderr, "(?i)ada@|grace@|219-09|457-55")

    def test_detectors_look_at_every_other_value(self):
        self.ok(machine.psql("INSERT INTO shop.notes (body) VALUES ('paid with 4111 1111 1111 1111 today')"))
        self.assertEqual(self.notes(), "paid with 4111 1111 1111 1111 today", "only what comes back is masked")
        out = self.ok(machine.psql("SELECT body FROM shop.notes"))
        self.assertNotIn("4111", out)
        self.assertRegex(out, "^paid with .* today$")

    def test_cursors_and_fetch(self):
        out = self.ok(machine.psql(
            "BEGIN; DECLARE c CURSOR FOR SELECT email, ssn FROM shop.customers ORDER BY id", "FETCH 1 FROM c",
            "FETCH ALL FROM c", "CLOSE c; COMMIT"))
        self.assertNotRegex(out, "ada@|grace@|219-09|457-55")
        self.assertIn(".com|", out)

    def test_prepare_and_execute(self):
        out = self.ok(machine.psql("PREPARE p AS SELECT email FROM shop.customers WHERE id = $1", "EXECUTE p(1)",
                                   "DEALLOCATE p"))
        self.assertNotIn("ada@", out)
        self.assertIn(".com", out)
        self.refused(machine.psql("PREPARE p AS UPDATE shop.customers SET name = $1", "EXECUTE p('x')"))
        self.assertEqual(server.sql("SELECT name FROM shop.customers WHERE id = 1"), "Ada")

    def test_error_texts_do_not_carry_masked_values(self):
        queries = ("INSERT INTO shop.customers (id, name, email) VALUES (9, 'x', 'ada@example.com')",
                   "SELECT ssn::int FROM shop.customers", "SELECT name, email::int FROM shop.customers")
        for query, sqlstate in zip(queries, ("23505", "22P02", "22P02")):
            with self.subTest(query):
                done = machine.psql(query)
                self.assertIn(sqlstate, done.stderr)
                self.assertNotRegex(done.stderr, r"ada@|219-09|457-55|\(email\)=")

    def test_no_statement_carries_masked_values_to_where_no_mask_follows(self):
        for query in ("INSERT INTO shop.notes (body) SELECT email FROM shop.customers",
                      "INSERT INTO shop.notes (body) VALUES ((SELECT ssn FROM shop.customers WHERE id = 1))",
                      "WITH x AS (SELECT ssn FROM shop.customers) INSERT INTO shop.notes (body) SELECT ssn FROM x",
                      "INSERT INTO shop.notes (body) SELECT c::text FROM shop.customers c RETURNING body",
                      "UPDATE shop.customers SET name = ssn RETURNING name",
                      "MERGE INTO shop.notes USING shop.customers c ON false"
                      " WHEN NOT MATCHED THEN INSERT (body) VALUES (c.ssn)",
                      "INSERT INTO shop.customers (id, name) VALUES (1, 'x') ON CONFLICT (id)"
                      " DO UPDATE SET name = customers.ssn",
                      "PREPARE p AS INSERT INTO shop.notes (body) SELECT ssn FROM shop.customers",
                      "SELECT pg_notify('news', email) FROM shop.customers"):
            with self.subTest(query):
                self.assertIn("no mask follows", machine.psql(query, agent="writer").stderr)
        self.assertEqual(self.notes(), "")
        for query in ("INSERT INTO shop.notes (body) SELECT name FROM shop.customers",
                      "UPDATE shop.customers SET email = 'new@example.com' WHERE id = 3",
                      "INSERT INTO shop.customers (id, name, email) VALUES (7, 'x', 'y') RETURNING id"):
            with self.subTest(query):
                self.ok(machine.psql(query, "DELETE FROM shop.customers WHERE id = 7", agent="writer"))

    def test_the_record_holds_no_masked_value(self):
        self.refused(machine.psql("SELECT id FROM shop.customers WHERE ssn = '078-05-1120'"))
        self.assertNotIn("078-05-1120", machine.records())
        self.assertIn("FROM shop.customers WHERE ssn", machine.records())


class Refusal(PsqlCase):
    def test_an_update_is_refused_with_rule_and_yaml(self):
        text = self.refused(machine.psql("UPDATE shop.customers SET name = 'x' WHERE id = 1"))
        self.assertRegex(text, r"(?m)^DETAIL:  .*no rule")
        self.assertRegex(text, r"(?ms)^HINT:  .*sql: \{statements: \[update\], tables: \[shop.customers\]")
        self.assertEqual(server.sql("SELECT name FROM shop.customers WHERE id = 1"), "Ada")

    def test_the_connection_goes_on_after_a_refusal(self):
        done = machine.psql("SELECT 1", "DELETE FROM shop.notes", "SELECT 2")
        self.assertEqual(done.stdout, "1\n2\n")
        self.refused(done)

    def test_a_refused_statement_aborts_the_transaction(self):
        done = machine.psql("BEGIN", "INSERT INTO shop.notes (body) VALUES ('ghost')", "DELETE FROM shop.notes",
                            "SELECT 1", "COMMIT")
        self.refused(done)
        self.assertIn("25P02", done.stderr)
        self.assertTrue(done.stdout.endswith("ROLLBACK\n"), done.stdout)
        self.assertEqual(self.notes(), "")

    def test_the_same_as_one_string(self):
        self.refused(machine.psql("BEGIN; INSERT INTO shop.notes (body) VALUES ('ghost');"
                                  " DELETE FROM shop.notes; COMMIT"))
        self.assertEqual(self.notes(), "")

    def test_the_same_with_a_savepoint(self):
        done = machine.psql("BEGIN", "INSERT INTO shop.notes (body) VALUES ('kept')", "SAVEPOINT s",
                            "DELETE FROM shop.notes", "ROLLBACK TO s", "COMMIT")
        self.refused(done)
        self.assertEqual(self.notes(), "kept")

    def test_the_same_as_a_pipeline(self):
        got = machine.python("""
            import json, rawpg
            c = rawpg.connect()
            for sql in ("BEGIN", "INSERT INTO shop.notes (body) VALUES ('ghost')", "DELETE FROM shop.notes", "COMMIT"):
                c.parse("", sql); c.bind("", ""); c.execute("")
            c.sync()
            kinds = c.until_ready()
            c.query("SELECT 7"); aborted = c.until_ready()
            c.query("COMMIT"); end = c.until_ready()
            c.query("SELECT 7")
            print(json.dumps([kinds.errors(), kinds.status(), aborted.errors()[0]["C"], end.tags(),
                              c.until_ready().texts()]))
            """)
        self.assertEqual(got[0][0]["C"], "42501")
        self.assertEqual(len(got[0]), 1)
        self.assertEqual(got[1:], ["E", "25P02", ["ROLLBACK"], [["7"]]])
        self.assertEqual(self.notes(), "")

    def test_strings_of_many_statements_pass_whole_or_not_at_all(self):
        self.refused(machine.psql("INSERT INTO shop.notes (body) VALUES ('a'); DELETE FROM shop.payroll"))
        self.assertEqual(self.notes(), "")
        out = self.ok(machine.psql("INSERT INTO shop.notes (body) VALUES ('a'); SELECT body FROM shop.notes; SELECT 2"))
        self.assertEqual(out.splitlines()[-2:], ["a", "2"])

    def test_what_hides_a_write_is_refused(self):
        for query in ("DO $$ BEGIN DELETE FROM shop.notes; END $$", "SET ROLE other", "SET SESSION AUTHORIZATION other",
                      "WITH d AS (DELETE FROM shop.notes RETURNING *) SELECT * FROM d",
                      "SELECT * INTO shop.x FROM shop.notes",
                      "CREATE TABLE shop.x AS SELECT 1", "EXPLAIN ANALYZE DELETE FROM shop.notes",
                      "SELECT set_config('role', 'other', false)", "SELECT salary FROM shop.payroll",
                      'SELECT * FROM "shop"."payroll"', 'SELECT * FROM shop.U&"\\0070ayroll"',
                      "SELECT * FROM pg_authid", "COPY shop.notes TO PROGRAM 'cat'",
                      "SELECT pg_read_file('/etc/passwd')",
                      "SELECT query_to_xml('select * from shop.payroll', true, true, '')", "CALL nothing()",
                      "SELECT count(*) FROM shop.notes WHERE EXISTS (SELECT 1 FROM shop.payroll)"):
            with self.subTest(query):
                self.refused(machine.psql(query))

    def test_sql_that_is_computed_is_unknown_and_says_so(self):
        self.assertIn("unknown", self.refused(machine.psql("DO $$ BEGIN EXECUTE current_setting('a.b'); END $$")))

    def test_copy_out_of_a_masked_table_is_masked(self):
        for query in ("COPY shop.customers TO STDOUT", "COPY shop.customers (id, email) TO STDOUT (FORMAT csv)",
                      r"\copy (SELECT email FROM shop.customers) TO STDOUT"):
            with self.subTest(query):
                out = self.ok(machine.psql(query))
                self.assertIn("a***@example.com", out)
                self.assertNotIn("ada@", out)


class Commands(PsqlCase):
    def test_backslash_commands_with_the_baseline_and_one_rule(self):
        for command, expected in (
                (r"\d shop.*", "notes"), (r"\d shop.notes", "body"), (r"\d+ shop.customers", "ssn"),
                (r"\dt shop.*", "payroll"), (r"\di shop.*", "notes_pkey"), (r"\ds shop.*", "notes_id_seq"),
                (r"\dv pg_catalog.pg_views", "pg_views"), (r"\dp shop.notes", "app="), (r"\l", "template1"),
                (r"\du", "app"), (r"\dn", "shop"), (r"\df shop.*", ""), (r"\dT", ""), (r"\dx", "plpgsql"),
                (r"\conninfo", 'user "app"'), (r"\encoding", "UTF8")):
            with self.subTest(command):
                self.assertIn(expected, self.ok(machine.psql(command, agent="small")))
        self.assertIn("Did not find any relations", machine.psql(r"\d", agent="small").stderr)
        server.sql("ALTER ROLE app SET search_path = shop")
        self.addCleanup(server.sql, "ALTER ROLE app RESET search_path")
        self.assertIn("notes", self.ok(machine.psql(r"\d", agent="small")))

    def test_copy_in_and_out(self):
        self.ok(machine.psql(r"\copy shop.notes (body) from stdin", stdin="one\ntwo\n\\.\n"))
        self.assertEqual(self.notes(), "one,two")
        out = self.ok(machine.psql(r"\copy (select body from shop.notes order by id) to stdout"))
        self.assertEqual(out, "one\ntwo")
        csv = self.ok(machine.psql(r"\copy shop.notes (body) to stdout with (format csv, header)"))
        self.assertEqual(csv, "body\none\ntwo")

    def test_copy_in_that_is_refused_takes_no_row(self):
        self.refused(machine.psql(r"\copy shop.payroll from stdin", stdin="x\t1\n\\.\n"))
        self.assertEqual(server.sql("SELECT count(*) FROM shop.payroll"), "1")

    def test_a_large_copy_streams_both_ways(self):
        rows = "".join(f"line {n} {'x' * 80}\n" for n in range(100_000))
        self.ok(machine.psql(r"\copy shop.notes (body) from stdin", stdin=rows))
        out = self.ok(machine.psql(r"\copy (select body from shop.notes order by id) to stdout"))
        self.assertEqual(out + "\n", rows)

    def test_copy_is_searched_for_card_numbers(self):
        self.ok(machine.psql(r"\copy shop.notes (body) from stdin", stdin="card 4111 1111 1111 1111\\n\n"))
        for options in ("", " csv"):
            with self.subTest(options):
                out = self.ok(machine.psql(rf"\copy shop.notes (body) to stdout{options}"))
                self.assertIn("card ", out)
                self.assertNotIn("4111", out)

    def test_listen_and_notify(self):
        out = self.ok(machine.psql("LISTEN news", "NOTIFY news, 'hello'", "SELECT 1"))
        self.assertIn('Asynchronous notification "news" with payload "hello"', out)
        self.refused(machine.psql("LISTEN secrets"))

    def test_a_script_of_many_statements(self):
        inserts = "".join(f"INSERT INTO shop.notes (body) VALUES ('n{n}');\n" for n in range(300))
        script = "\\set ON_ERROR_STOP 1\n" + inserts + "SELECT count(*) FROM shop.notes;\n"
        self.assertEqual(self.ok(machine.psql(options=["-q", "-f", "-"], stdin=script)), "300")


class Cancel(PsqlCase):
    def sleeping(self):
        return active("SELECT pg_catalog.pg_sleep(30)%")

    def test_interrupt_of_psql_cancels_what_it_runs(self):
        client = machine.start_agent("bot", ["psql", "-X", "-v", "VERBOSITY=verbose", DSN, "-c",
                                             "SELECT pg_catalog.pg_sleep(30)", "-c", "SELECT 'still here'"])
        try:
            harness.wait_until("the query runs", self.sleeping)
            os.kill(harness.find_process(client.pid, "psql"), signal.SIGINT)
            out, _ = client.communicate(timeout=180)
        finally:
            client.kill()
        self.assertIn("57014", out)
        self.assertFalse(self.sleeping())

    def test_another_agent_cannot_cancel_with_a_stolen_key(self):
        victim = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import json, rawpg, sys, threading
            c = rawpg.connect()
            c.socket.settimeout(600)
            print(json.dumps([c.pid, c.key.hex()]), flush=True)
            c.query("SELECT pg_catalog.pg_sleep(600)")
            threading.Thread(target=lambda: (sys.stdin.readline(), rawpg.cancel(c.pid, c.key))).start()
            print(json.dumps([e["C"] for e in c.until_ready().errors()]), flush=True)
            """])
        key = victim.stdout.readline().strip()
        sleeping = "SELECT pg_catalog.pg_sleep(600)%"
        harness.wait_until("the query runs", lambda: active(sleeping))
        machine.python(f"""
            import json, rawpg
            pid, key = json.loads('''{key}''')
            rawpg.cancel(pid, bytes.fromhex(key))
            print("null")
            """, agent="rival")
        self.assertTrue(active(sleeping), "the rival's connection is over, and the statement runs on")
        out, _ = victim.communicate("now\n", timeout=180)
        self.assertEqual(json.loads(out), ["57014"], "with the same key the one that it belongs to can")


class Sessions(PsqlCase):
    def test_list_and_show_tell_what_was_done(self):
        marker = f"mark{os.getpid()}"
        self.refused(machine.psql(f"SELECT 1 AS {marker}", "DELETE FROM shop.customers"))
        listed = machine.sallyport("sessions", "list", "-o", "json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        newest = [s for s in json.loads(listed.stdout) if s["agent"] == "bot"][-1]
        shown = machine.sallyport("sessions", "show", newest["id"])
        self.assertIn(marker, shown.stdout)
        self.assertIn("DELETE FROM shop.customers", shown.stdout)
        self.assertIn("no rule", shown.stdout)
        self.assertEqual(machine.sallyport("sessions", "replay", newest["id"]).returncode, 0)


if __name__ == "__main__":
    harness.main()
