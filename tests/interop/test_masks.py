# SPDX-License-Identifier: Apache-2.0
"""Masks by lineage against a real PostgreSQL: what comes of no masked column is true, what is made of one is masked,
what would tell or carry its values is refused, and no answer holds a masked value."""

import re
import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document

SECRETS = "(?i)ada@|grace@|edsger@|219-09|457-55|ZZ99"

SCHEMA = """
CREATE TABLE shop.account (id int PRIMARY KEY, owner int REFERENCES shop.customers, iban text UNIQUE DEFERRABLE INITIALLY
  DEFERRED, head text GENERATED ALWAYS AS (left(iban, 6)) STORED);
INSERT INTO shop.account VALUES (1, 1, 'ZZ99 0000 1111'), (2, 2, 'ZZ99 2222 3333');
CREATE VIEW shop.people AS SELECT id, name AS called, email AS mail, upper(ssn) AS big FROM shop.customers;
CREATE VIEW shop.nested AS SELECT called, mail || 'x' AS more, mail, count(*) OVER () AS n FROM shop.people;
CREATE MATERIALIZED VIEW shop.kept AS SELECT id, ssn FROM shop.customers;
CREATE FUNCTION shop.get(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM shop.customers WHERE id = i';
CREATE FUNCTION shop.raises(i int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION '%', (SELECT ssn FROM shop.customers WHERE id = i); END $$;
CREATE SEQUENCE shop.counter;
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app;
GRANT ALL ON ALL SEQUENCES IN SCHEMA shop TO app;
"""

TRUE = [
    ("SELECT count(*) FROM shop.customers", "3"),
    ("SELECT count(*), max(id), min(name) FROM shop.customers", "3|3|Ada"),
    ("SELECT name, 1 + 1 FROM shop.customers WHERE id = 1", "Ada|2"),
    ("SELECT upper(name) FROM shop.customers WHERE id < 3 ORDER BY id DESC", "GRACE\nADA"),
    ("SELECT c.name, a.id FROM shop.customers c JOIN shop.account a ON a.owner = c.id ORDER BY 2", "Ada|1\nGrace|2"),
    ("SELECT name, count(*) FROM shop.customers GROUP BY name ORDER BY name", "Ada|1\nEdsger|1\nGrace|1"),
    ("SELECT EXISTS (SELECT ssn FROM shop.customers WHERE id = 1)", "t"),
    ("UPDATE shop.customers SET active = true WHERE id = 3", "UPDATE 1"),
    ("UPDATE shop.customers SET active = false WHERE id = 3 RETURNING id, name, active", "3|Edsger|f\nUPDATE 1"),
    ("UPDATE shop.customers SET ssn = lower(ssn) WHERE id = 3", "UPDATE 1"),
    ("INSERT INTO shop.notes (body) SELECT name FROM shop.customers WHERE id = 1", "INSERT 0 1"),
    ("DELETE FROM shop.notes USING shop.customers c WHERE c.name = body", "DELETE 1"),
    ("WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT max(i) FROM r", "3"),
    ("SELECT x FROM (SELECT name AS x, ssn FROM shop.customers) s WHERE x = 'Ada'", "Ada"),
    ("SELECT called FROM shop.people WHERE id = 2", "Grace"),
    ("SELECT count(*) FROM shop.people", "3"),
    ("SELECT called, n FROM shop.nested WHERE called = 'Ada'", "Ada|3"),
    ("COPY shop.customers (id, name) TO STDOUT", "1\tAda\n2\tGrace\n3\tEdsger"),
    ("COPY (SELECT name FROM shop.customers WHERE id = 2) TO STDOUT", "Grace"),
    ("SELECT nextval('shop.counter') IS NOT NULL", "t"),
    ("SELECT relname FROM pg_class WHERE relname = 'customers'", "customers"),
    ("SELECT schemaname, attname FROM pg_stats WHERE attname = 'nosuch'", ""),
    ("SHOW server_encoding", "UTF8"),
]

MASKED = [
    ("SELECT email FROM shop.customers WHERE id = 1", "a***@example.com"),
    ("SELECT ssn FROM shop.customers ORDER BY id", "[redacted]\n[redacted]\n"),
    ("SELECT upper(ssn) FROM shop.customers", "[redacted]\n[redacted]\n[redacted]"),
    ("SELECT count(ssn), length(email) FROM shop.customers GROUP BY id ORDER BY id", "0|0\n0|0\n0|0"),
    ("SELECT string_to_array(ssn, '-') FROM shop.customers WHERE id = 1", ""),
    ("SELECT ssn IS NULL FROM shop.customers", "f\nf\nf"),
    ("SELECT row_to_json(c) FROM shop.customers c WHERE id = 1", '"[redacted]"'),
    ("SELECT name FROM shop.customers WHERE id = 1 UNION ALL SELECT ssn FROM shop.customers WHERE id = 1",
     "[redacted]\n[redacted]"),
    ("SELECT head FROM shop.account", "[redacted]\n[redacted]"),
    ("SELECT mail, big FROM shop.people WHERE id = 1", "a***@example.com|[redacted]"),
    ("SELECT more, mail FROM shop.nested WHERE called = 'Ada'", "[redacted]|a***@example.com"),
    ("SELECT ssn FROM shop.kept WHERE id = 1", "[redacted]"),
    ("SELECT shop.get(1)", "[redacted]"),
    ("UPDATE shop.customers SET active = true WHERE id = 1 RETURNING ssn, upper(email)",
     "[redacted]|[redacted]\nUPDATE 1"),
    ("EXPLAIN (COSTS OFF) SELECT ssn FROM shop.customers", "[redacted]"),
    ("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()", "[redacted]"),
    ("COPY (SELECT email, ssn FROM shop.customers ORDER BY id) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *, NULL '-')",
     'email,ssn\n"a***@example.com","[redacted]"\n"g***@example.org","[redacted]"\n"e***@example.com",-'),
    ("COPY shop.customers (ssn) TO STDOUT WITH DELIMITER AS '|' NULL AS ''", "[redacted]\n[redacted]\n[redacted]"),
    ("COPY (SELECT id, ssn FROM shop.customers ORDER BY id) TO STDOUT CSV QUOTE AS '[' ESCAPE AS '\\' FORCE QUOTE ssn",
     "1,[\\[redacted][\n2,[\\[redacted][\n3,"),
    ("COPY (SELECT upper(ssn), length(ssn), ssn IS NULL, name, tags FROM (SELECT *, ARRAY[email] AS tags "
     "FROM shop.customers) AS s ORDER BY id) TO STDOUT",
     "[redacted]\t0\tf\tAda\t\\N\n[redacted]\t0\tf\tGrace\t\\N\n[redacted]\t0\tf\tEdsger\t\\N"),
    ("COPY (UPDATE shop.customers SET active = active WHERE id = 1 RETURNING ssn, id) TO STDOUT", "[redacted]\t1"),
    ("COPY shop.account TO STDOUT", "1\t1\t[redacted]\n2\t2\t[redacted]"),
    ("COPY (SELECT id, head FROM shop.account) TO STDOUT", "1\t[redacted]\n2\t[redacted]"),
    ("COPY (SELECT mail, big FROM shop.people WHERE id = 1) TO STDOUT", "a***@example.com\t[redacted]"),
]

REFUSED = [
    "SELECT id FROM shop.customers WHERE ssn LIKE '2%'",
    "SELECT id FROM shop.customers ORDER BY email",
    "SELECT count(*) FROM shop.customers GROUP BY left(ssn, 1)",
    "SELECT DISTINCT email FROM shop.customers",
    "SELECT id FROM shop.people WHERE big > 'A'",
    "SELECT called FROM shop.nested WHERE more > 'A'",
    "SELECT id FROM shop.kept WHERE ssn > '3'",
    "SELECT id FROM shop.account WHERE head = 'ZZ99 0'",
    "SELECT a.id FROM shop.account a JOIN shop.account b USING (iban)",
    "SELECT CASE WHEN ssn > '3' THEN 1 END FROM shop.customers",
    "SELECT generate_series(1, length(ssn)) FROM shop.customers",
    "SELECT setval('shop.counter', length(ssn)) FROM shop.customers",
    "SELECT set_config('a.b', ssn, false) FROM shop.customers",
    "SELECT pg_advisory_lock(length(ssn)) FROM shop.customers",
    "SELECT ssn > '3' AND nextval('shop.counter') > 0 FROM shop.customers",
    "CREATE TEMP TABLE t AS SELECT ssn FROM shop.customers",
    "CREATE VIEW shop.v AS SELECT id FROM shop.customers WHERE ssn > '3'",
    "INSERT INTO shop.notes (body) SELECT mail FROM shop.people",
    "INSERT INTO shop.notes (body) SELECT shop.get(1)",
    "UPDATE shop.customers SET name = coalesce(ssn, name)",
    "DELETE FROM shop.notes USING shop.customers c WHERE c.ssn = body",
    "ALTER TABLE shop.account RENAME iban TO x",
    "ALTER TABLE shop.account ADD x text GENERATED ALWAYS AS (upper(iban)) STORED",
    "COPY shop.customers TO STDOUT (ENCODING 'latin1')",
    "COPY shop.customers TO '/tmp/x'",
    "COPY (SELECT upper(ssn) FROM shop.customers) TO PROGRAM 'cat'",
    "DO $$ DECLARE x text; BEGIN SELECT ssn INTO x FROM shop.customers; END $$",
    "SELECT id FROM shop.customers WHERE id = (SELECT max(length(ssn)) FROM shop.customers)",
    "SELECT histogram_bounds FROM pg_stats WHERE most_common_vals::text LIKE '%2%'",
]


def policy(predicates=False):
    masks = mask_document({"shop.customers.email": "partial", "shop.customers.ssn": "redact",
                           "shop.account.iban": "redact"})
    if predicates:
        masks = masks.replace('"shop.customers.ssn",', '"shop.customers.ssn", "predicates": "allow",')
    everything = [{"sql": {}}, {"sql": {"statements": ["unknown"]}}]
    return agent_document("bot"), target_document(masks=["pii"]), masks, entitlement_document("bot", allow=everything)


def setUpModule():
    global machine, server
    harness.require("psql", "setpriv", "unshare", "ip")
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    server.sql(SCHEMA)
    server.sql("ANALYZE; ALTER TABLE shop.account OWNER TO app; ALTER TABLE shop.customers OWNER TO app")
    machine.write_policy(*policy())
    machine.start_daemon()


class Masks(unittest.TestCase):
    def setUp(self):
        machine.set_policy(*policy())

    def test_what_comes_of_no_masked_column_is_true(self):
        for query, expected in TRUE:
            with self.subTest(query):
                done = machine.psql(query)
                self.assertEqual(done.stderr, "")
                self.assertEqual(done.stdout.rstrip("\n"), expected)

    def test_what_is_made_of_a_masked_column_is_masked(self):
        for query, expected in MASKED:
            with self.subTest(query):
                done = machine.psql(query)
                self.assertEqual(done.stderr, "")
                self.assertNotRegex(done.stdout, SECRETS)
                if expected is not None:
                    self.assertEqual(done.stdout[:-1], expected)

    def test_copy_gives_what_select_gives(self):
        got = machine.python("""
            import json, os, psycopg
            out = []
            queries = ["SELECT id, name, email, ssn, active FROM shop.customers ORDER BY id",
                       "SELECT upper(email), length(ssn), ssn IS NULL, ARRAY[ssn], row_to_json(c) "
                       "FROM shop.customers c ORDER BY id", "SELECT mail, big FROM shop.people ORDER BY id",
                       "SELECT id, ssn FROM shop.kept ORDER BY id"]
            with psycopg.connect(os.environ["PGDSN"], autocommit=True) as c:
                for query in queries:
                    for form in ("text", "binary"):
                        cur = c.cursor(binary=form == "binary")
                        rows = [list(row) for row in cur.execute(query).fetchall()]
                        types = [column.type_code for column in cur.description]
                        with cur.copy(f"COPY ({query}) TO STDOUT (FORMAT {form})") as copy:
                            copy.set_types(types)
                            out.append([query, rows, [list(row) for row in copy.rows()]])
            print(json.dumps(out))
            """)
        self.assertEqual(len(got), 8)
        for query, rows, copied in got:
            with self.subTest(query):
                self.assertEqual(copied, rows)
                self.assertEqual(len(rows), 3)
                self.assertNotRegex(str(copied), SECRETS)

    def test_a_copy_that_the_server_refuses_is_refused_in_its_words(self):
        for query, words in (("COPY (SELECT nope, ssn FROM shop.customers) TO STDOUT", 'column "nope" does not exist'),
                             ("COPY nosuch TO STDOUT", 'relation "nosuch" does not exist'),
                             ("COPY (SELECT id, 'x'::int FROM shop.customers) TO STDOUT", "invalid input syntax")):
            with self.subTest(query):
                done = machine.psql("BEGIN", query, "SELECT 1", "ROLLBACK", "SELECT 'after'")
                self.assertIn("current transaction is aborted", done.stderr)
                self.assertTrue(done.stdout.endswith("after\n"))
        self.assertIn('42703: column "nope" does not exist',
                      machine.psql("COPY (SELECT nope, ssn FROM shop.customers) TO STDOUT").stderr)

    def test_a_dump_is_masked_and_can_be_restored(self):
        server.sql("CREATE DATABASE restored OWNER app")
        for kind in ("plain", "custom"):
            with self.subTest(kind):
                server.sql("DROP SCHEMA IF EXISTS shop CASCADE", "restored")
                file = machine.work / f"dump.{kind}"
                file.touch(mode=0o666)
                file.chmod(0o666)
                done = machine.agent("bot", ["pg_dump", "-t", "shop.customers", "-t", "shop.numbers", "--no-owner",
                                             "--no-acl", "-F", kind, "-f", file, "host=::1 user=app dbname=postgres"])
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                if kind == "plain":
                    self.assertNotRegex(file.read_text(), SECRETS)
                server.sql("CREATE SCHEMA shop AUTHORIZATION app", "restored")
                tool = (["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", file] if kind == "plain" else
                        ["pg_restore", "--exit-on-error", "--no-owner", "--no-acl", file])
                harness.run([*tool, "-h", server.home, "-p", str(server.port), "-U", "postgres", "-d", "restored"])
                self.assertEqual(server.sql("SELECT id, name, ssn FROM shop.customers ORDER BY id", "restored"),
                                 "1|Ada|[redacted]\n2|Grace|[redacted]\n3|Edsger|")

    def test_what_would_tell_or_carry_a_value_is_refused_by_name(self):
        for query in REFUSED:
            with self.subTest(query):
                done = machine.psql(query)
                self.assertIn("ERROR:  42501", done.stderr)
                self.assertRegex(done.stderr, "(shop|pg_catalog)[.a-z_]+ is masked")
                self.assertNotRegex(done.stdout + done.stderr, SECRETS)

    def test_a_mask_may_allow_predicates(self):
        query = "SELECT id FROM shop.customers WHERE ssn = '219-09-9999'"
        self.assertIn("predicates: allow", machine.psql(query).stderr)
        machine.set_policy(*policy(predicates=True))
        self.assertEqual(machine.psql(query).stdout, "1\n")
        self.assertNotIn("219-09", machine.records())
        self.assertIn("42501", machine.psql("SELECT id FROM shop.customers ORDER BY email").stderr)

    def test_errors_hide_values_of_masked_columns_and_only_those(self):
        self.assertIn('relation "nosuch" does not exist', machine.psql("SELECT 1 FROM nosuch").stderr)
        self.assertIn("division by zero", machine.psql("SELECT 1 / 0").stderr)
        self.assertIn("division by zero", machine.psql("SELECT n / 0 FROM shop.numbers").stderr)
        for query in ("SELECT ssn::int FROM shop.customers", "SELECT shop.raises(1)",
                      "BEGIN; INSERT INTO shop.account VALUES (9, 1, 'ZZ99 0000 1111'); COMMIT",
                      "INSERT INTO shop.customers (id, name, email) VALUES (9, 'x', 'ada@example.com')"):
            with self.subTest(query):
                done = machine.psql(query)
                self.assertIn("ERROR", done.stderr)
                self.assertNotRegex(re.sub("(?s)LINE 1:.*", "", done.stderr), SECRETS)


if __name__ == "__main__":
    harness.main()
