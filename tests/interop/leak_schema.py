# SPDX-License-Identifier: Apache-2.0
"""A schema in which every kind of thing holds masked columns, filled with values that are unmistakable.

Two fillings of one seed are equal in all that is not masked (and in which masked values are NULL), so whatever
differs between what two servers answer comes from a masked column.
"""

import random
import uuid

ROWS = 12
SCHEMA = "lk"

# Column of lk.people -> type. All of them are masked, each kind of value once.
PEOPLE = {
    "ssn": "text", "email": "text UNIQUE", "phone": "varchar(60)", "fixed": "char(30)", "pin": "int",
    "account": "bigint", "small": "smallint", "balance": "numeric", "ratio": "float8", "born": "date",
    "seen": "timestamptz", "spell": "interval", "token": "uuid", "prefs": "jsonb", "doc": "json", "tags": "text[]",
    "pins": "int[]", "blob": "bytea", "ip": "inet", "mac": "macaddr", "mood": "lk.mood", "addr": "lk.address",
    "code": "lk.code", "span": "int4range", "bits": "bit varying", "page": "xml", "words": "tsvector", "gone": "name",
}

# "relation.column" of every mask.
MASKED = [f"people.{name}" for name in PEOPLE] + [
    "orders.card", "orders.memo", "events.secret", "asset.serial", "truck.vin", "account.iban", "cards.number",
    "uses.number", '"Odd One"."Se Cret"']

MOODS = 24
DEFINITIONS = f"""
CREATE ROLE app LOGIN;
CREATE SCHEMA lk AUTHORIZATION app;
CREATE SCHEMA other AUTHORIZATION app;
GRANT CREATE ON DATABASE postgres TO app;
CREATE EXTENSION dblink; CREATE EXTENSION tablefunc; CREATE EXTENSION postgres_fdw;
SET ROLE app;
SET search_path = lk;
CREATE TYPE lk.mood AS ENUM ({", ".join(f"'mood{n}'" for n in range(MOODS))});
CREATE TYPE lk.address AS (street text, zip int);
CREATE DOMAIN lk.code AS text CHECK (length(VALUE) > 3);
CREATE TABLE lk.people (id int PRIMARY KEY, name text NOT NULL, city text,
  {", ".join(f"{name} {kind}" for name, kind in PEOPLE.items())}, active bool, visits int, joined date);
CREATE TABLE lk.orders (id int PRIMARY KEY, person_id int REFERENCES lk.people ON UPDATE CASCADE ON DELETE CASCADE,
  item text, amount numeric(10,2), card text, memo json);
CREATE TABLE lk.events (id int, kind text, secret text, at date) PARTITION BY RANGE (id);
CREATE TABLE lk.events_low PARTITION OF lk.events FOR VALUES FROM (0) TO (6);
CREATE TABLE lk.events_high PARTITION OF lk.events FOR VALUES FROM (6) TO (100000);
CREATE TABLE lk.asset (id int, label text, serial text);
CREATE TABLE lk.car (plate text) INHERITS (lk.asset);
CREATE TABLE lk.vehicle (id int, wheels int, vin text);
CREATE TABLE lk.truck (load int) INHERITS (lk.vehicle);
CREATE TABLE lk.account (id int PRIMARY KEY, iban text, head text GENERATED ALWAYS AS (left(iban, 12)) STORED,
  note text);
CREATE TABLE lk.cards (id int, number text PRIMARY KEY);
CREATE TABLE lk.uses (id int, number text REFERENCES lk.cards DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE lk."Odd One" (id int, "Se Cret" text);
CREATE INDEX ON lk.people (lower(ssn));
CREATE STATISTICS lk.people_kinds (mcv) ON city, phone FROM lk.people;
CREATE TABLE lk.plain (id serial PRIMARY KEY, t text, n int);
CREATE TABLE lk.log (id serial PRIMARY KEY, who text, what text, n int, doc jsonb);
CREATE SEQUENCE lk.counter;
CREATE VIEW lk.v_people AS SELECT id, name, ssn AS number, email FROM lk.people;
CREATE VIEW lk.v_upper AS SELECT id, upper(ssn) AS big, pin + 1 AS next_pin, city FROM lk.people;
CREATE VIEW lk.v_city AS SELECT city, max(ssn) AS top, count(*) AS n FROM lk.people GROUP BY city;
CREATE VIEW lk.v_orders WITH (security_barrier) AS SELECT o.id, o.item, p.name, p.phone, o.card
  FROM lk.orders o JOIN lk.people p ON p.id = o.person_id;
CREATE VIEW lk.v_nested AS SELECT v.id, v.number || '/' || o.item AS joined FROM lk.v_people v JOIN lk.orders o
  ON o.person_id = v.id;
CREATE VIEW lk.v_harmless AS SELECT id, name, city FROM lk.people;
CREATE MATERIALIZED VIEW lk.mv_people AS SELECT id, city, ssn, account FROM lk.people WITH NO DATA;
CREATE FUNCTION lk.get_ssn(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM lk.people WHERE id = $1';
CREATE FUNCTION lk.everyone() RETURNS SETOF lk.people LANGUAGE sql STABLE AS 'SELECT * FROM lk.people';
CREATE FUNCTION lk.shout(int) RETURNS int LANGUAGE plpgsql AS
  $$ DECLARE r record; BEGIN SELECT * INTO r FROM lk.people WHERE id = $1; RAISE NOTICE 'it is %',
      r.ssn; RETURN 1; END $$;
CREATE FUNCTION lk.fail(int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'it was %', (SELECT email FROM lk.people WHERE id = $1); END $$;
CREATE FUNCTION lk.twice(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1 || $1';
CREATE FUNCTION lk.dyn(text) RETURNS text LANGUAGE plpgsql AS
  $$ DECLARE out text; BEGIN EXECUTE 'SELECT string_agg(x::text, '','') FROM ' || $1 || ' x' INTO out; RETURN out; END $$;
CREATE FUNCTION lk.op_ssn(lk.people, int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.ssn';
CREATE OPERATOR lk.@-> (LEFTARG = lk.people, RIGHTARG = int, FUNCTION = lk.op_ssn);
CREATE FUNCTION lk.head(lk.people) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT left($1.ssn, 14)';
CREATE FUNCTION lk.as_text(lk.people) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.email';
CREATE AGGREGATE lk.glue(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE FUNCTION lk.on_plain() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.t := (SELECT ssn FROM lk.people WHERE id = NEW.n); RETURN NEW; END $$;
CREATE TABLE lk.trigged (id int, n int, t text);
CREATE TRIGGER copy_it BEFORE INSERT ON lk.trigged FOR EACH ROW EXECUTE FUNCTION lk.on_plain();
CREATE TABLE lk.ruled (id int, t text);
CREATE RULE log_it AS ON INSERT TO lk.ruled DO ALSO INSERT INTO lk.log (who, what) SELECT name, ssn FROM lk.people;
CREATE TYPE lk.wrapped AS (a text);
CREATE FUNCTION lk.wrap(int) RETURNS lk.wrapped LANGUAGE sql STABLE
  AS 'SELECT ROW((SELECT ssn FROM lk.people WHERE id = $1))::lk.wrapped';
CREATE FUNCTION lk.unwrap(lk.wrapped) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE CAST (int AS lk.wrapped) WITH FUNCTION lk.wrap(int) AS IMPLICIT;
CREATE TYPE lk.kept AS (a int);
CREATE FUNCTION lk.keep(text) RETURNS lk.kept LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO lk.log (what) VALUES ($1); RETURN ROW(1)::lk.kept; END $$;
CREATE CAST (text AS lk.kept) WITH FUNCTION lk.keep(text) AS ASSIGNMENT;
CREATE TABLE lk.wraps (id int, w lk.wrapped, k lk.kept);
CREATE TABLE lk.defaults (id int, t text DEFAULT lk.get_ssn(1));
"""


class Filling:
    """The rows of one server: `seed` for all, `salt` for what is masked."""

    def __init__(self, seed, salt):
        self.common = random.Random(f"{seed}/common")
        self.own = random.Random(f"{seed}/{salt}")
        self.markers = []  # (column, text form) of every masked value

    def word(self, length=24):
        """Letters and digits by turns: no other text looks like a piece of it."""
        letters = ("abcdefghijklmnopqrstuvwxyz", "0123456789")
        return "zq7" + "".join(self.own.choice(letters[at % 2]) for at in range(length - 3))

    def digits(self, length):
        return self.own.choice("23456789") + "".join(self.own.choice("0123456789") for _ in range(length - 1))

    def value(self, name):
        """SQL of a value for a masked column of lk.people."""
        word, own = self.word(), self.own
        number = own.randrange(1_100_000_000, 2_000_000_000)
        return {
            "small": lambda: str(own.randrange(1000, 32000)), "pin": lambda: str(number),
            "account": lambda: self.digits(18), "balance": lambda: f"{self.digits(14)}.{self.digits(6)}",
            "ratio": lambda: f"0.{self.digits(15)}", "email": lambda: f"'{word}@{self.word(12)}.example'",
            "born": lambda: f"'{own.randrange(3000, 9000)}-{own.randrange(1, 13):02}-{own.randrange(1, 28):02}'",
            "seen": lambda: f"'{own.randrange(3000, 9000)}-03-04 05:06:07.{self.digits(6)}+00'",
            "spell": lambda: f"'{self.digits(8)} seconds'",
                "token": lambda: f"'{uuid.UUID(int=own.getrandbits(128))}'",
            "prefs": lambda: f"""'{{"a": "{word}", "n": {number}}}'""", "doc": lambda: f"""'{{"k": "{word}"}}'""",
            "tags": lambda: f"ARRAY['{word}', '{self.word()}']", "pins": lambda: f"ARRAY[{number}, {number // 2}]",
            "blob": lambda: f"'\\x{own.getrandbits(192):048x}'", "ip": lambda: f"'fd{own.getrandbits(6):02x}:"
                            f"{own.getrandbits(16):x}:{own.getrandbits(16):x}:{own.getrandbits(16):x}::{own.getrandbits(16):x}'",

            "mac": lambda: "'" + ":".join(f"{own.getrandbits(8):02x}" for _ in range(6)) + "'",
            "mood": lambda: f"'mood{own.randrange(MOODS)}'", "addr": lambda: f"ROW('{word}', {number})",
            "span": lambda: f"'[{number // 2},{number})'", "bits": lambda: f"B'{own.getrandbits(64):064b}'",
            "page": lambda: f"'<a b=\"{word}\">{self.word()}</a>'", "words": lambda: f"'{word}:1 {self.word()}:2'",
        }.get(name, lambda: f"'{word}'")()

    def sql(self):
        common, out = self.common, []
        for i in range(1, ROWS + 1):
            masked = ["NULL" if common.random() < 0.08 else self.value(name) for name in PEOPLE]
            out.append(f"INSERT INTO lk.people VALUES ({i}, 'Name{i}', 'City{i % 4}', {', '.join(masked)}, "
                       f"{i % 2 == 0}, {i * 7 % 10}, '2020-01-{i:02}');")
        for i in range(1, 2 * ROWS + 1):
            out.append(f"INSERT INTO lk.orders VALUES ({i}, {i % ROWS + 1}, 'item{i % 5}', {i}.50, '{self.word()}', "
                       f"'{{\"m\": \"{self.word()}\"}}');")
        for i in range(1, ROWS + 1):
            out.append(f"INSERT INTO lk.events VALUES ({i}, 'kind{i % 3}', '{self.word()}', '2021-02-{i:02}');")
            out.append(f"INSERT INTO lk.asset VALUES ({i}, 'label{i}', '{self.word()}');")
            out.append(f"INSERT INTO lk.car VALUES ({100 + i}, 'car{i}', '{self.word()}', 'plate{i}');")
            out.append(f"INSERT INTO lk.vehicle VALUES ({i}, 4, '{self.word()}');")
            out.append(f"INSERT INTO lk.truck VALUES ({100 + i}, 6, '{self.word()}', 40);")
            out.append(f"INSERT INTO lk.account VALUES ({i}, '{self.word()}', DEFAULT, 'note{i}');")
            out.append(f"INSERT INTO lk.\"Odd One\" VALUES ({i}, '{self.word()}');")
            out.append(f"INSERT INTO lk.cards VALUES ({i}, '{self.word()}');")
            out.append(f"INSERT INTO lk.plain (t, n) VALUES ('plain{i}', {i});")
        out.append("INSERT INTO lk.uses SELECT id, number FROM lk.cards;")
        return "\n".join([*out, "REFRESH MATERIALIZED VIEW lk.mv_people;"])


EMPTY = ("TRUNCATE lk.people, lk.orders, lk.events, lk.asset, lk.car, lk.vehicle, lk.truck, lk.account, lk.plain, lk.log,"
         ' lk.cards, lk.uses, lk."Odd One",'
         " lk.trigged, lk.ruled, lk.defaults, lk.wraps RESTART IDENTITY;")

# Every masked value as text, one a line, with what is easily made of it, computed by the server itself.
BINARY = """
SELECT DISTINCT col || E'\\t' || encode(v, 'hex') FROM (
  SELECT 'people.born' AS col, '\\x00000004'::bytea || date_send(born) AS v FROM lk.people UNION ALL SELECT 'people.seen',
      timestamptz_send(seen)
  FROM lk.people UNION ALL SELECT 'people.ratio', float8send(ratio) FROM lk.people UNION ALL
  SELECT 'people.balance', substr(numeric_send(balance), 9) FROM lk.people UNION ALL SELECT 'people.spell',
  substr(interval_send(spell), 1, 8) FROM lk.people UNION ALL SELECT 'people.ip', substr(inet_send(ip),
      5) FROM lk.people) s
WHERE v IS NOT NULL;
"""
SECRETS = """
SELECT DISTINCT col || E'\\t' || encode(convert_to(v, 'UTF8'), 'hex') FROM (
  SELECT 'people.' || k AS col, v FROM lk.people p, jsonb_each_text(to_jsonb(p) - 'id' - 'name' - 'city' - 'active' -
    'visits' - 'joined' - 'mood' - 'small' - 'prefs' - 'doc' - 'addr' - 'tags' - 'pins' - 'words' - 'page') AS e(k, v)
  UNION ALL SELECT 'people.prefs', prefs->>'a' FROM lk.people UNION ALL SELECT 'people.prefs',
      prefs->>'n' FROM lk.people
  UNION ALL SELECT 'people.doc', doc->>'k' FROM lk.people UNION ALL SELECT 'people.addr', (addr).street FROM lk.people
  UNION ALL SELECT 'people.addr', (addr).zip::text FROM lk.people
  UNION ALL SELECT 'people.tags', unnest(tags) FROM lk.people UNION ALL SELECT 'people.pins',
      unnest(pins)::text FROM lk.people
  UNION ALL SELECT 'people.words', unnest(tsvector_to_array(words)) FROM lk.people
  UNION ALL SELECT 'people.page', (xpath('/a/@b', page))[1]::text FROM lk.people
  UNION ALL SELECT 'people.page', (xpath('/a/text()', page))[1]::text FROM lk.people
  UNION ALL SELECT 'orders.card', card FROM lk.orders UNION ALL SELECT 'orders.memo', memo->>'m' FROM lk.orders
  UNION ALL SELECT 'events.secret', secret FROM lk.events UNION ALL SELECT 'asset.serial', serial FROM lk.asset
  UNION ALL SELECT 'truck.vin', vin FROM lk.truck UNION ALL SELECT 'account.iban', iban FROM lk.account
  UNION ALL SELECT 'cards.number', number FROM lk.cards
  UNION ALL SELECT 'odd', "Se Cret" FROM lk."Odd One") s
WHERE v IS NOT NULL;
"""
