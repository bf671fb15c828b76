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
CREATE OPERATOR shop.@ (FUNCTION = pg_catalog.ts_stat, RIGHTARG = text);
CREATE OPERATOR shop.@+ (FUNCTION = pg_catalog.int4pl, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE shop.rewrites(text) (SFUNC = pg_catalog.ts_rewrite, STYPE = tsquery, INITCOND = 'a');
CREATE AGGREGATE shop.reader(text) (SFUNC = pg_catalog.textcat, STYPE = text, FINALFUNC = pg_catalog.pg_read_file);
CREATE AGGREGATE shop.largest(int) (SFUNC = pg_catalog.int4larger, STYPE = int);
CREATE DOMAIN shop.spied_int AS int CHECK (shop.peek() IS NOT NULL);
CREATE TYPE shop.spied_range AS RANGE (subtype = shop.spied_int);
CREATE TYPE shop.plain_range AS RANGE (subtype = int);
CREATE FUNCTION shop.takes_array(shop.spied_int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.takes_range(shop.spied_range) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.takes_ranges(shop.spied_multirange) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.takes_plain(shop.plain_range) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION public.homely() RETURNS bigint LANGUAGE sql AS 'SELECT count(v) FROM hidden.vault';
CREATE FUNCTION shop.homely() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint';
CREATE FUNCTION shop.elsewhere(n bigint DEFAULT public.homely()) RETURNS bigint LANGUAGE sql SET search_path = shop
  AS 'SELECT n';
"""

# Code that runs without being named: casts, comparison, operator classes, rules, partition keys, statistics.
UNASKED = r"""
CREATE FUNCTION shop.peeks(anyelement) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(v) FROM hidden.vault';
CREATE TYPE shop.coin AS (c int);
CREATE FUNCTION shop.to_coin(int) RETURNS shop.coin LANGUAGE sql AS 'SELECT ROW((SELECT count(v) FROM hidden.vault))::shop.coin';
CREATE CAST (int AS shop.coin) WITH FUNCTION shop.to_coin(int) AS ASSIGNMENT;
CREATE TYPE shop.shade AS ENUM ('dark', 'light');
CREATE FUNCTION shop.of_shade(shop.shade) RETURNS int LANGUAGE sql AS 'SELECT count(v)::int FROM hidden.vault';
CREATE CAST (shop.shade AS int) WITH FUNCTION shop.of_shade(shop.shade) AS IMPLICIT;
CREATE TYPE shop.flag AS ENUM ('up');
CREATE FUNCTION shop.to_flag(bool) RETURNS shop.flag LANGUAGE sql AS 'SELECT ''up''::shop.flag FROM hidden.vault';
CREATE CAST (bool AS shop.flag) WITH FUNCTION shop.to_flag(bool) AS IMPLICIT;
CREATE FUNCTION shop.flagged(shop.flag) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE TYPE shop.stone AS (s text);
CREATE FUNCTION shop.stone_cmp(a shop.stone, b shop.stone) RETURNS int LANGUAGE sql IMMUTABLE
  AS 'SELECT (SELECT count(v) FROM hidden.vault)::int * 0 + btrecordcmp(a, b)';
CREATE FUNCTION shop.stone_lt(a shop.stone, b shop.stone) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT (a).s < (b).s';
CREATE FUNCTION shop.stone_eq(a shop.stone, b shop.stone) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT (a).s = (b).s';
CREATE OPERATOR shop.<# (LEFTARG = shop.stone, RIGHTARG = shop.stone, FUNCTION = shop.stone_lt);
CREATE OPERATOR shop.=# (LEFTARG = shop.stone, RIGHTARG = shop.stone, FUNCTION = shop.stone_eq);
CREATE OPERATOR CLASS shop.stone_ops DEFAULT FOR TYPE shop.stone USING btree AS
  OPERATOR 1 shop.<#, OPERATOR 3 shop.=#, FUNCTION 1 shop.stone_cmp(shop.stone, shop.stone);
CREATE FUNCTION shop.int_cmp(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE
  AS 'SELECT (SELECT count(v) FROM hidden.vault)::int * 0 + btint4cmp(a, b)';
CREATE OPERATOR CLASS shop.int_ops FOR TYPE int USING btree AS
  OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 shop.int_cmp(int, int);
CREATE FUNCTION shop.same(text, varchar) RETURNS bool LANGUAGE sql AS 'SELECT count(v) > 0 FROM hidden.vault';
CREATE SCHEMA odd; GRANT USAGE ON SCHEMA odd TO app;
CREATE OPERATOR odd.= (LEFTARG = text, RIGHTARG = varchar, FUNCTION = shop.same);

CREATE TABLE shop.purse (id int, c shop.coin);
CREATE TABLE shop.walls (id int, s shop.shade); INSERT INTO shop.walls VALUES (1, 'dark'), (2, 'light');
CREATE TABLE shop.stones (id int, s shop.stone); INSERT INTO shop.stones VALUES (1, ROW('a')), (2, ROW('b'));
CREATE TABLE shop.indexed (id int); CREATE INDEX indexed_ids ON shop.indexed (id shop.int_ops);
CREATE TABLE shop.texts (k text); CREATE TABLE shop.names (k varchar);
CREATE TABLE shop.ruled (id int); CREATE TABLE hidden.log (id int); GRANT ALL ON hidden.log TO app;
CREATE RULE noted AS ON INSERT TO shop.ruled DO ALSO INSERT INTO hidden.log VALUES (new.id);
CREATE TABLE shop.quiet (id int); CREATE RULE nothing AS ON DELETE TO shop.quiet DO INSTEAD NOTHING;
CREATE TABLE shop.copied (id int, d shop.spying);
CREATE TABLE shop.parts (id int) PARTITION BY RANGE (shop.peeks(id));
CREATE TABLE shop.part PARTITION OF shop.parts DEFAULT;
CREATE TABLE shop.keys (id int) PARTITION BY RANGE (id shop.int_ops);
CREATE TABLE shop.keys_one PARTITION OF shop.keys FOR VALUES FROM (1) TO (100);
CREATE TABLE shop.ranged (id serial, r shop.spied_range, a shop.spied_range[], m shop.spied_multirange);
CREATE TABLE shop.plain_ranged (id serial, r shop.plain_range, a int4range[]);
GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO app;
CREATE FUNCTION public.nextval(text) RETURNS bigint LANGUAGE sql AS 'SELECT count(v) FROM hidden.vault';
CREATE TABLE shop.numbered (id int, n bigint DEFAULT public.nextval('x'::text));
CREATE TABLE shop.computed (id int); CREATE INDEX computed_peeks ON shop.computed (shop.peeks(id));
CREATE TABLE shop.sampled (id int); CREATE STATISTICS shop.sampled_peeks ON shop.peeks(id), id FROM shop.sampled;
CREATE TABLE shop.root (id int PRIMARY KEY); CREATE TABLE hidden.leaf (k int REFERENCES shop.root);
CREATE TABLE shop.trunk (id int PRIMARY KEY); CREATE TABLE shop.twig (k int REFERENCES shop.trunk);
GRANT ALL ON ALL TABLES IN SCHEMA shop TO app; GRANT ALL ON hidden.leaf TO app;
ALTER TABLE shop.indexed OWNER TO app; ALTER TABLE shop.computed OWNER TO app; ALTER TABLE shop.sampled OWNER TO app;
"""

UNASKED_REFUSED = {
    "INSERT INTO shop.purse VALUES (1, 1)": "hidden.vault",
    "SELECT id FROM shop.walls WHERE id = s + 1": "hidden.vault",
    "SELECT 'dark'::shop.shade + 1": "hidden.vault",
    "SELECT shop.flagged(true)": "hidden.vault",
    "SELECT s FROM shop.stones ORDER BY s": "hidden.vault",
    "SELECT count(*) FROM shop.stones GROUP BY s": "hidden.vault",
    "SELECT DISTINCT s FROM shop.stones": "hidden.vault",
    "SELECT x FROM (VALUES (ROW('a')::shop.stone), (ROW('b')::shop.stone)) v(x) ORDER BY x": "hidden.vault",
    "INSERT INTO shop.indexed VALUES (1), (2)": "hidden.vault",
    "INSERT INTO shop.parts VALUES (1)": "hidden.vault",
    "INSERT INTO shop.part VALUES (1)": "hidden.vault",
    "INSERT INTO shop.keys_one VALUES (5)": "hidden.vault",
    "INSERT INTO shop.ranged (r) VALUES ('[1,2]')": "hidden.vault",
    "INSERT INTO shop.ranged (a) VALUES ('{}')": "hidden.vault",
    "INSERT INTO shop.ranged (m) VALUES ('{}')": "hidden.vault",
    "INSERT INTO shop.numbered (id) VALUES (1)": "hidden.vault",
    "CREATE TABLE shop.fresh (d shop.spying)": "hidden.vault",
    "CREATE TABLE shop.fresh (LIKE shop.copied INCLUDING ALL)": "hidden.vault",
    "CREATE TABLE shop.fresh AS SELECT d FROM shop.copied": "hidden.vault",
    "ALTER TABLE shop.computed ALTER id TYPE bigint": "hidden.vault",
    "TRUNCATE shop.root CASCADE": "hidden.leaf",
}
# With an operator `=` of (text, varchar) in the search path.
UNASKED_EQUAL = ["SELECT 1 FROM shop.texts JOIN shop.names USING (k)", "SELECT 1 FROM shop.texts NATURAL JOIN shop.names",
                 "SELECT k FROM shop.texts WHERE k IN (SELECT k FROM shop.names)"]
# With the rights of a table's owner: a rule needs them no more, a rule that denies counts.
UNASKED_THROUGH = {
    "INSERT INTO shop.ruled VALUES (1)": "hidden.log",
    "ANALYZE shop.sampled": "hidden.vault",
    "REINDEX TABLE shop.computed": "hidden.vault",
    "REINDEX INDEX shop.computed_peeks": "hidden.vault",
    "VACUUM shop.computed": "hidden.vault",
    "CLUSTER shop.computed USING computed_peeks": "hidden.vault",
}
UNASKED_ALLOWED = [
    "SELECT id FROM shop.notes WHERE id IN (SELECT id FROM shop.notes)",
    "SELECT a.id FROM shop.notes a JOIN shop.notes b USING (id)",
    "TRUNCATE shop.trunk CASCADE",
    "DELETE FROM shop.quiet",
    "CREATE TABLE shop.plain (id int, m shop.mood, t citext, n serial); INSERT INTO shop.plain (id) VALUES (1); DROP TABLE shop.plain",
    "ANALYZE shop.notes",
    "INSERT INTO shop.plain_ranged (r) VALUES ('[1,2]')",
]

ALLOWED = [
    "SELECT shop.twice(2), shop.note_count()",
    "SELECT 'sad'::shop.mood, '(1,sad)'::shop.pair, 3::shop.positive, ARRAY['glad']::shop.mood[]",
    "SELECT 'a'::citext = 'A', 'k=>v'::hstore -> 'k', digest('x', 'sha256'), 1 = 1, 'b' LIKE 'a%'",
    "SELECT * FROM crosstab('SELECT id, id, body FROM shop.notes ORDER BY 1') AS t(id int, a text)",
    "SELECT query_to_xml('SELECT count(*) FROM shop.notes'::text, true, false, '')",
    "SELECT set_config('search_path'::text, 'public'::varchar, true)",
    "SELECT shop.largest(id), 1 OPERATOR(shop.@+) 2 FROM shop.notes GROUP BY id",
    "SELECT shop.takes_plain('[1,2]')",
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
    "SELECT OPERATOR(shop.@) 'SELECT v::tsvector FROM hidden.vault'": "ts_stat",
    "SELECT shop.rewrites('SELECT ''a''::tsquery, v::tsquery FROM hidden.vault')": "ts_rewrite",
    "SELECT shop.reader('/etc/passwd')": "pg_read_file",
    "SELECT shop.takes_array('{1}')": "hidden.vault",
    "SELECT shop.takes_range('[1,2]')": "hidden.vault",
    "SELECT shop.takes_ranges('{[1,2]}')": "hidden.vault",
    "SELECT shop.elsewhere()": "hidden.vault",
    "DO $$ BEGIN EXECUTE 'SELECT 1 -- '::varchar(8); END $$": "computed",
    "DO $$ BEGIN EXECUTE 'SELECT ' || '1'; END $$": "computed",  # there is an operator public.||
    "DO $$ BEGIN EXECUTE 'SELECT 1 -- ' OPERATOR(pg_catalog.||) 'shop.notes'::regclass; END $$": "computed",
    "SELECT set_config('search_path'::varchar(11), 'shop', true)": "computed",
    "SELECT pg_terminate_backend(0)": "pg_terminate_backend",
    "SELECT lo_get(1)": "pg_catalog.lo_get",
}


def setUpModule():
    global machine, server
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA + CODE + UNASKED)
    server.sql("GRANT CREATE ON SCHEMA shop TO app; ALTER TABLE shop.notes OWNER TO app")
    code = ["shop.*", "public.*", "pg_catalog.query_to_xml"]
    allow = [{"sql": {"tables": ["shop.*"]}}, {"sql": {"statements": ["call"], "functions": code}},
             {"sql": {"statements": ["set"], "settings": ["search_path"]}}]
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

    def test_code_that_nobody_names_counts(self):
        for sql in UNASKED_ALLOWED:
            done = machine.psql(sql)
            self.assertEqual(done.returncode, 0, f"{sql}: {done.stderr}")
        for sql, named in UNASKED_REFUSED.items():
            done = machine.psql(sql)
            self.assertIn("42501", done.stderr, sql)
            self.assertIn(named, done.stderr, sql)

    def test_equality_without_its_sign(self):
        for sql in UNASKED_EQUAL:
            done = machine.psql("SET search_path = public, odd", sql)
            self.assertIn("42501", done.stderr, sql)
            self.assertIn("hidden.vault", done.stderr, sql)

    def test_what_tables_and_their_owners_do_is_denied_by_a_rule(self):
        for sql, named in UNASKED_THROUGH.items():
            done = machine.psql(sql)
            self.assertNotIn("allow", done.stderr, sql)
            done = machine.psql(sql, agent="guarded")
            self.assertIn("42501", done.stderr, sql)
            self.assertIn(named, done.stderr, sql)

    def test_event_triggers_count_for_definitions(self):
        server.sql("CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
                   "$$ BEGIN PERFORM v FROM hidden.vault; END $$; "
                   "CREATE EVENT TRIGGER peeks ON ddl_command_end EXECUTE FUNCTION shop.on_ddl()")
        try:
            for sql in ("CREATE TABLE shop.ddl (id int)", "COMMENT ON TABLE shop.notes IS 'x'",
                        "CREATE TEMP TABLE ddl AS SELECT 1", "SELECT 1 AS x INTO TEMP ddl"):
                done = machine.psql(sql)
                self.assertIn("42501", done.stderr, sql)
                self.assertIn("hidden.vault", done.stderr, sql)
            self.assertEqual(machine.psql("SELECT count(*) FROM shop.notes").returncode, 0)
        finally:
            server.sql("DROP EVENT TRIGGER peeks")

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
