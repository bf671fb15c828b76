# SPDX-License-Identifier: Apache-2.0
"""A schema as text says what the server says: pg_dump of a real database, read by sql::SchemaText, beside the server's
own catalogue (tests/sql/dump_catalogue.sql); and `sallyport policy explain --schema`."""

import json
import os
import subprocess
import unittest

import harness
from harness import PORT, SALLYPORT, agent_document, entitlement_document, mask_document, target_document

FACTS = os.environ["SCHEMA_FACTS"]
CATALOGUE = harness.SOURCE.parent / "sql/dump_catalogue.sql"
QUICKSTART = harness.SOURCE.parents[1] / "policies/quickstart/schema.sql"

SCHEMA = r"""
CREATE SCHEMA app; CREATE SCHEMA "Odd.Name";
CREATE EXTENSION tablefunc;
CREATE TYPE app.mood AS ENUM ('sad', 'glad');
CREATE FUNCTION app.valid(i int) RETURNS bool LANGUAGE sql AS 'SELECT i > 0';
CREATE DOMAIN app.plain AS int CONSTRAINT "check(me)" CHECK (VALUE > 0 AND VALUE <> 7);
CREATE DOMAIN app.checked AS int CHECK (app.valid(VALUE));
CREATE TYPE app.pair AS (a int, b app.checked);
CREATE TABLE public.customers (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, dropped text, ssn text);
ALTER TABLE public.customers DROP COLUMN dropped;
CREATE TABLE app.orders (id serial PRIMARY KEY, at timestamptz DEFAULT now(), feeling app.mood,
  customer int REFERENCES public.customers ON DELETE CASCADE ON UPDATE SET NULL, n bigint GENERATED ALWAYS AS IDENTITY);
CREATE TABLE app.lines (id bigserial, "order" int REFERENCES app.orders, price numeric CHECK (price > 0));
CREATE TABLE app.defaulted (id int, k bool DEFAULT app.valid(1));
CREATE TABLE app.checks (id int CHECK (app.valid(id)), plain app.plain);
CREATE TABLE app.domains (id app.checked);
CREATE TABLE app.made (a int, b bool GENERATED ALWAYS AS (a > 1) STORED);
CREATE TABLE app.indexed (a int);
CREATE FUNCTION app.key(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i';
CREATE INDEX ON app.indexed (app.key(a));
CREATE INDEX lower_name ON public.customers (lower(name)) WHERE id > 0;
CREATE TABLE app.parent (a int, b text);
CREATE TABLE app.child (c int) INHERITS (app.parent);
CREATE TABLE app.grandchild () INHERITS (app.child);
CREATE TABLE app.events (day date, id int) PARTITION BY RANGE (day);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
  PARTITION BY LIST (id);
CREATE TABLE app.events_1a PARTITION OF app.events_1 DEFAULT;
CREATE TABLE app.events_d PARTITION OF app.events DEFAULT;
CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ';'; RETURN NEW; END $$;
CREATE TRIGGER on_child AFTER INSERT OR DELETE ON app.grandchild FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE TRIGGER all_of_it BEFORE TRUNCATE ON app.lines EXECUTE FUNCTION app.note();
CREATE TRIGGER some_columns BEFORE UPDATE OF price ON app.lines FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE RULE logged AS ON INSERT TO app.parent DO ALSO (INSERT INTO app.made VALUES (1); DELETE FROM app.indexed);
CREATE RULE nothing AS ON DELETE TO app.made DO INSTEAD NOTHING;
CREATE VIEW app.people AS SELECT id, name, upper(email) AS "E-Mail" FROM public.customers;
CREATE MATERIALIZED VIEW app.totals AS SELECT customer, count(*) FROM app.orders GROUP BY 1;
CREATE TRIGGER instead INSTEAD OF UPDATE ON app.people FOR EACH ROW EXECUTE FUNCTION app.note();
CREATE TABLE app.tickets (id int, owner text);
ALTER TABLE app.tickets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.tickets USING (owner = current_user);
CREATE TABLE app.unforced (id int); CREATE POLICY asleep ON app.unforced USING (true);
CREATE TABLE "Odd.Name"."Table; --" ("a""b" int, "select" int);
CREATE SEQUENCE app.seq;
CREATE SEQUENCE "Odd.Name".later;
CREATE TABLE app.counted (id int DEFAULT nextval('app.seq'), other int DEFAULT nextval('"Odd.Name".later'::regclass));
CREATE FUNCTION app.atomic(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN i > 0 THEN 1 ELSE 2 END; END;
CREATE FUNCTION app.orders_of(c int) RETURNS SETOF app.orders LANGUAGE sql STABLE
  AS $$ SELECT * FROM app.orders WHERE customer = c; $$;
COMMENT ON TABLE app.orders IS 'it''s; fine';
INSERT INTO public.customers VALUES (1, 'Ada; --', 'ada@example.com', '219-09-9999'), (2, E'\\.', 'g@example.org', NULL);
"""


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql("CREATE DATABASE shop")
    server.sql(SCHEMA, "shop")
    machine.write_policy(
        agent_document("bot"), target_document(masks=["pii"]), mask_document({"public.customers.ssn": "redact"}),
        entitlement_document("bot", allow=[{"sql": {"statements": ["select"], "tables": ["public.customers"]}},
                                           {"sql": {"statements": ["select"], "tables": ["app.orders"],
                                                    "columns": ["id", "customer"]}}]))


def pg_dump(*options):
    return harness.run(["pg_dump", "-h", server.home, "-p", str(PORT), "-U", "postgres", *options, "shop"])


def facts(rows):
    """By name. Indexes are left out: those of keys have no statement of their own."""
    found = {}
    for row in rows:
        fact = json.loads(row)
        if fact.pop("q", "r") != "r":
            continue  # the same of functions, types and what lies behind relations
        if fact["kind"] in "iI" or fact["schema"] in ("pg_catalog", "information_schema", "pg_toast"):
            continue
        key = (fact["schema"], fact["name"])
        found[key] = {name: sorted(value) if name in ("family", "descendants", "sequences", "references") else value
                      for name, value in fact.items() if name != "oid"}
        # A view's columns would need its query to be analysed; a dropped column is gone from a dump.
        found[key]["columns"] = [] if fact["kind"] in "vm" else [column for column in fact["columns"] if column]
    return found


class TextAndServer(unittest.TestCase):
    maxDiff = None

    def check(self, text):
        path = machine.work / "schema.sql"
        path.write_text(text)
        read = subprocess.run([FACTS, path], text=True, capture_output=True)
        self.assertEqual((read.returncode, read.stderr), (0, ""))
        of_server = facts(harness.run(["psql", "-X", "-At", "-h", server.home, "-p", str(PORT), "-U", "postgres", "-d",
                                       "shop", "-f", CATALOGUE]).splitlines())
        of_text = facts(read.stdout.splitlines())
        of_server = {key: fact for key, fact in of_server.items() if not key[1].startswith("tablefunc_")}
        self.assertGreater(len(of_server), 25)
        # Defaults and generated columns that run nothing but pure built-in functions count for nothing in a text.
        for name in ("orders", "made"):
            of_server["app", name]["hidden"] &= ~38
        self.assertEqual(of_text, of_server)

    def test_a_dump_of_the_schema_gives_what_the_server_says(self):
        self.check(pg_dump("--schema-only"))

    def test_so_does_a_dump_with_data(self):
        self.check(pg_dump())
        self.check(pg_dump("--inserts", "--no-owner"))

    def test_so_do_the_statements_themselves(self):
        self.check(SCHEMA)


def explain(sql, *options, **environment):
    done = subprocess.run([SALLYPORT, "policy", "explain", "--policy", machine.policy_dir, "--agent", "bot", "--target",
                           "db", "-o", "json", sql, *options], text=True, capture_output=True,
                          env={**os.environ, **environment})
    return done, json.loads(done.stdout or "{}")


class CommandLine(unittest.TestCase):
    def live(self, sql):
        return explain(sql, "--schema", "live", "--dsn", f"host={server.home} port={PORT} user=postgres dbname=shop")

    def test_a_star_is_known_column_by_column(self):
        _, plain = explain("SELECT * FROM customers")
        self.assertEqual(plain["effects"][0]["columns"], ["*"])
        done, live = self.live("SELECT * FROM customers")
        self.assertEqual(live["effects"][0]["columns"], ["email", "id", "name", "ssn"], done.stderr)
        self.assertEqual((done.returncode, live["decision"]), (0, "allow"))

    def test_a_view_is_what_it_reads(self):
        effects = self.live("SELECT id FROM app.people")[1]["effects"]
        self.assertEqual([effect["object"] for effect in effects], ["app.people", "public.customers"])

    def test_the_environment_serves_as_dsn(self):
        done, answer = explain("SELECT id FROM app.orders", "--schema", "live", PGHOST=str(server.home),
                               PGPORT=str(PORT), PGUSER="postgres", PGDATABASE="shop")
        self.assertEqual(answer["decision"], "allow", done.stderr)

    def test_a_file_serves_too_and_people_are_told(self):
        done, answer = explain("SELECT * FROM orders", "--schema", QUICKSTART)
        self.assertEqual(answer["effects"][0]["columns"], ["amount", "comment", "customer_id", "id", "item"])
        text = harness.run([SALLYPORT, "policy", "explain", "--policy", machine.policy_dir, "--agent", "bot",
                            "--target", "db", "SELECT id FROM customers", "--schema", QUICKSTART])
        self.assertIn(f"note: names are those of {QUICKSTART}", text)

    def test_policy_test_takes_it(self):
        (machine.policy_dir / "star.test.yaml").write_text(
            "agent: bot\ntarget: db\ncases:\n"
            "  - {name: star, sql: 'SELECT * FROM app.orders', decision: deny}\n"
            "  - {name: columns, sql: 'SELECT id, customer FROM app.orders', decision: allow}\n"
            "  - {name: trigger, sql: 'SELECT * FROM customers', decision: allow, masks: [public.customers.ssn redact]}\n")
        path = machine.work / "shop.sql"
        path.write_text(pg_dump("--schema-only"))
        done = subprocess.run([SALLYPORT, "policy", "test", machine.policy_dir, "--schema", path], text=True,
                              capture_output=True)
        (machine.policy_dir / "star.test.yaml").unlink()
        self.assertEqual((done.returncode, done.stdout), (0, "3 passed, 0 failed\n"), done.stderr)

    def test_what_cannot_be_had_is_said(self):
        self.assertIn("--schema takes a file", explain("SELECT 1", "--schema", "/nonexistent")[0].stderr)
        self.assertIn("makes nothing", explain("SELECT 1", "--schema", "/dev/null")[0].stderr)
        done = explain("SELECT 1", "--schema", "live", "--dsn", "host=/nonexistent")[0]
        self.assertEqual(done.returncode, 2)
        self.assertIn("pg_dump could not read the schema", done.stderr)
        for dsn in ("host=h password=x", "postgres://u:x@h/db"):
            self.assertIn("a password in --dsn", explain("SELECT 1", "--schema", "live", "--dsn", dsn)[0].stderr)


if __name__ == "__main__":
    harness.main()
