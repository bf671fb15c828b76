# SPDX-License-Identifier: Apache-2.0
"""What a statement does with the catalogue of a real PostgreSQL: functions, views, triggers, types, operators."""

import unittest

import harness
from harness import agent_document, entitlement_document, target_document

CODE = r"""
CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE EXTENSION tablefunc; CREATE EXTENSION pgcrypto;
CREATE SCHEMA hidden; GRANT USAGE ON SCHEMA hidden TO app;
CREATE TABLE hidden.vault (v text); INSERT INTO hidden.vault VALUES ('gold'); GRANT ALL ON hidden.vault TO app;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION shop.note_count() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shop.notes';
CREATE FUNCTION shop.peek() RETURNS text LANGUAGE plpgsql AS $$
  DECLARE found_one text; BEGIN SELECT v INTO found_one FROM hidden.vault LIMIT 1; RETURN found_one; END $$;
CREATE FUNCTION shop.peek_dynamic(t text) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE out text; BEGIN EXECUTE 'SELECT v FROM ' || t INTO out; RETURN out; END $$;
CREATE FUNCTION shop.definer() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = hidden, pg_temp
  AS 'SELECT v FROM vault LIMIT 1';
CREATE FUNCTION shop.atomic() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT v FROM hidden.vault LIMIT 1; END;
CREATE FUNCTION shop.argument(n int DEFAULT length(shop.peek())) RETURNS int LANGUAGE sql AS 'SELECT n';
CREATE TYPE shop.mood AS ENUM ('sad', 'glad');
CREATE TYPE shop.pair AS (a int, b shop.mood);
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN shop.spying AS text CHECK (shop.peek() IS NOT NULL);
CREATE FUNCTION shop.spy_op(a shop.mood, b shop.mood) RETURNS text LANGUAGE sql AS 'SELECT shop.peek()';
CREATE OPERATOR public.|| (LEFTARG = shop.mood, RIGHTARG = shop.mood, FUNCTION = shop.spy_op);
CREATE VIEW shop.v_notes AS SELECT id, body FROM shop.notes;
CREATE VIEW shop.v_vault AS SELECT v FROM hidden.vault;
CREATE TABLE shop.spied (id int, ci citext, tags hstore);
CREATE FUNCTION shop.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM hidden.vault; RETURN NEW; END $$;
CREATE TRIGGER spy AFTER INSERT ON shop.spied FOR EACH ROW EXECUTE FUNCTION shop.spy();
CREATE TABLE shop.keyed (id int PRIMARY KEY); CREATE TABLE hidden.refers (k int REFERENCES shop.keyed ON DELETE CASCADE);
CREATE TABLE shop.stamped (id int, at timestamptz DEFAULT now(), token uuid DEFAULT gen_random_uuid(), n int CHECK (n > 0),
  m shop.mood, ci citext UNIQUE);
CREATE INDEX ON shop.stamped (lower(ci::text));
CREATE TABLE shop.rows (id int, who text); ALTER TABLE shop.rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.rows USING (who = current_user);
CREATE TABLE shop.watched (id int); ALTER TABLE shop.watched ENABLE ROW LEVEL SECURITY;
CREATE POLICY spy ON shop.watched USING (EXISTS (SELECT FROM hidden.vault));
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app;
"""

ALLOWED = [
    "SELECT shop.twice(2), shop.note_count()",
    "SELECT 'sad'::shop.mood, '(1,sad)'::shop.pair, 3::shop.positive, ARRAY['glad']::shop.mood[]",
    "SELECT 'a'::citext = 'A', 'k=>v'::hstore -> 'k', digest('x', 'sha256'), 1 = 1, 'b' LIKE 'a%'",
    "SELECT * FROM crosstab('SELECT id, id, body FROM shop.notes ORDER BY 1') AS t(id int, a text)",
    "SELECT query_to_xml('SELECT count(*) FROM shop.notes', true, false, '')",
    "SELECT id, body FROM shop.v_notes",
    "INSERT INTO shop.v_notes (id, body) VALUES (77, 'by view') RETURNING id",
    "INSERT INTO shop.stamped (id, n, m, ci) VALUES (1, 2, 'sad', 'x')",
    "UPDATE shop.stamped SET n = 3 WHERE id = 1",
    "SELECT * FROM shop.rows",
    "SELECT id, ci, tags FROM shop.spied",
    "DO $$ DECLARE n int; BEGIN SELECT count(*) INTO n FROM shop.notes; IF n < 0 THEN DELETE FROM shop.notes; END IF; END $$",
]
REFUSED = {
    "SELECT shop.peek()": "hidden.vault",
    "SELECT shop.peek_dynamic('hidden.vault')": "peek_dynamic",
    "SELECT shop.atomic()": "hidden.vault",
    "SELECT shop.argument()": "hidden.vault",
    "SELECT 'x'::shop.spying": "hidden.vault",
    "SELECT 'sad'::shop.mood || 'glad'::shop.mood": "hidden.vault",
    "SELECT query_to_xml('SELECT * FROM hidden.vault', true, false, '')": "hidden.vault",
    "SELECT * FROM crosstab('SELECT v, v, v FROM hidden.vault') AS t(v text)": "hidden.vault",
    "INSERT INTO shop.spied (id) VALUES (1)": "hidden.vault",
    "DELETE FROM shop.keyed": "hidden.refers",
    "SELECT * FROM shop.watched": "hidden.vault",
    "DO $$ BEGIN PERFORM v FROM hidden.vault; END $$": "hidden.vault",
    "EXPLAIN SELECT shop.peek()": "hidden.vault",
    "SELECT pg_read_file('/etc/passwd')": "/etc/passwd",
    "SELECT pg_terminate_backend(0)": "pg_terminate_backend",
    "SELECT lo_get(1)": "pg_catalog.lo_get",
}


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA + CODE)
    code = ["shop.*", "public.*", "pg_catalog.query_to_xml"]
    allow = [{"sql": {"tables": ["shop.*"]}}, {"sql": {"statements": ["call"], "functions": code}}]
    machine.write_policy(
        agent_document("bot"), agent_document("guarded"), target_document(), entitlement_document("bot", allow=allow),
        entitlement_document("guarded", allow=allow, deny=[{"sql": {"tables": ["hidden.*"]}}]))
    machine.start_daemon()


class Effects(unittest.TestCase):
    def run_all(self, agent):
        """What psql says to each statement, with errors in their place."""
        return {sql: machine.psql(sql, agent=agent) for sql in [*ALLOWED, *REFUSED]}

    def test_code_may_do_what_rules_allow_and_no_more(self):
        answers = self.run_all("bot")
        for sql in ALLOWED:
            self.assertEqual(answers[sql].returncode, 0, f"{sql}: {answers[sql].stderr}")
        for sql, named in REFUSED.items():
            self.assertIn("42501", answers[sql].stderr, sql)
            self.assertIn(named, answers[sql].stderr, sql)
        self.assertEqual(server.sql("SELECT count(*) FROM hidden.vault"), "1")

    def test_what_runs_with_its_owners_rights_needs_no_rule_but_is_denied_by_one(self):
        for sql in ("SELECT shop.definer()", "SELECT v FROM shop.v_vault"):
            allowed, denied = machine.psql(sql, agent="bot"), machine.psql(sql, agent="guarded")
            self.assertEqual(allowed.stdout.strip(), "gold", allowed.stderr)
            self.assertIn("42501", denied.stderr, sql)
            self.assertIn("hidden.vault", denied.stderr, sql)

    def test_a_function_changed_by_another_session_is_seen(self):
        server.sql("CREATE FUNCTION shop.changing() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        client = machine.start_agent("bot", [harness.PYTHON, "-c", """if True:
            import os, psycopg, time
            with psycopg.connect(os.environ["PGDSN"], autocommit=True) as c:
                print(c.execute("SELECT shop.changing()").fetchone()[0], flush=True)
                for _ in range(600):
                    time.sleep(0.1)
                    try:
                        c.execute("SELECT shop.changing()").fetchone()
                    except psycopg.Error as error:
                        print(error.sqlstate, flush=True)
                        break
            """])
        try:
            self.assertEqual(client.stdout.readline(), "1\n")
            server.sql("CREATE OR REPLACE FUNCTION shop.changing() RETURNS int LANGUAGE sql "
                       "AS 'SELECT length(v) FROM hidden.vault'")
            out, _ = client.communicate(timeout=180)
        finally:
            client.kill()
        self.assertEqual(out, "42501\n")


if __name__ == "__main__":
    harness.main()
