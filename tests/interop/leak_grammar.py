# SPDX-License-Identifier: Apache-2.0
"""Random sequences of statements over leak_schema, biased to what might carry a masked value past its mask.

Most are valid SQL, none depends on time, random numbers or process ids: two servers that differ in nothing but
masked values must give the same answers.
"""

import random
from dataclasses import dataclass, field

import leak_schema
import leak_statements

PLAIN_PEOPLE = {"id": "i", "name": "t", "city": "t", "active": "b", "visits": "i", "joined": "d"}
KINDS = {"int": "i", "bigint": "i", "smallint": "i", "numeric": "i", "text": "t", "date": "d"}
PEOPLE = {**PLAIN_PEOPLE, **{k: KINDS.get(v.split()[0], "t" if v.startswith(("varchar", "text U")) else "o")
                             for k, v in leak_schema.PEOPLE.items()}}
RELATIONS = {
    "people": PEOPLE,
    "orders": {"id": "i", "person_id": "i", "item": "t", "amount": "i", "card": "t", "memo": "o"},
    "events": {"id": "i", "kind": "t", "secret": "t", "at": "d"},
    "events_low": {"id": "i", "kind": "t", "secret": "t", "at": "d"},
    "asset": {"id": "i", "label": "t", "serial": "t"},
    "car": {"id": "i", "label": "t", "serial": "t", "plate": "t"},
    "vehicle": {"id": "i", "wheels": "i", "vin": "t"},
    "truck": {"id": "i", "wheels": "i", "vin": "t", "load": "i"},
    "account": {"id": "i", "iban": "t", "head": "t", "note": "t"},
    "plain": {"id": "i", "t": "t", "n": "i"},
    "log": {"id": "i", "who": "t", "what": "t", "n": "i"},
}
VIEWS = {
    "v_people": {"id": "i", "name": "t", "number": "t", "email": "t"},
    "v_upper": {"id": "i", "big": "t", "next_pin": "i", "city": "t"},
    "v_city": {"city": "t", "top": "t", "n": "i"},
    "v_orders": {"id": "i", "item": "t", "name": "t", "phone": "t", "card": "t"},
    "v_nested": {"id": "i", "joined": "t"},
    "v_harmless": {"id": "i", "name": "t", "city": "t"},
    "mv_people": {"id": "i", "city": "t", "ssn": "t", "account": "i"},
}
SECRET = {tuple(name.rsplit(".", 1)) for name in leak_schema.MASKED} | {
    ("car", "serial"), ("vehicle", "vin"), ("events_low", "secret"), ("account", "head"), ("v_people", "number"),
    ("v_people", "email"), ("v_upper", "big"), ("v_upper", "next_pin"), ("v_city", "top"), ("v_orders", "phone"),
    ("v_orders", "card"), ("v_nested", "joined"), ("mv_people", "ssn"), ("mv_people", "account")}


@dataclass
class Step:
    text: str
    mode: str = "simple"  # simple, extended, binary, blind (no Describe), call
    secret: bool = False  # reads masked columns: for the statistics only


@dataclass
class Column:
    sql: str
    kind: str
    secret: bool = False


@dataclass
class Scope:
    columns: list = field(default_factory=list)
    rows: list = field(default_factory=list)  # aliases that can stand for a whole row
    ctes: dict = field(default_factory=dict)


class Grammar:
    """`views`: whether views and functions take part (what may not be known yet is refused)."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.count = 0
        self.secret = False
        self.temporary = []

    # small things -----------------------------------------------------------------------------------

    def pick(self, *choices):
        return self.rng.choice(choices)

    def chance(self, p):
        return self.rng.random() < p

    def name(self, prefix="x"):
        self.count += 1
        return f"{prefix}{self.count}"

    def relation(self):
        r = self.rng.random()
        if r < 0.42:
            return "people", PEOPLE
        if r < 0.82:
            name = self.rng.choice(list(RELATIONS))
            return name, RELATIONS[name]
        name = self.rng.choice(list(VIEWS))
        return name, VIEWS[name]

    # expressions ------------------------------------------------------------------------------------

    def column(self, scope, kind=None, secret=None):
        fitting = [c for c in scope.columns if (not kind or c.kind == kind) and (secret is None or c.secret == secret)]
        if not fitting:
            return None
        c = self.rng.choice(fitting)
        self.secret = self.secret or c.secret
        return c.sql

    def text(self, scope, depth):
        """An expression of type text."""
        r = self.rng.random()
        if depth <= 0 or r < 0.22:
            c = self.column(scope, secret=self.chance(0.7)) or self.column(scope)
            return f"{c}::text" if c else f"'lit{self.rng.randrange(9)}'"
        a = self.text(scope, depth - 1)
        choice = self.rng.randrange(40)
        b = self.text(scope, depth - 1) if choice < 14 else ""
        row = self.rng.choice(scope.rows) if scope.rows else "NULL"
        n = self.rng.randrange(1, 9)
        if choice >= 24 and scope.rows:
            self.secret = True
        return [
            f"({a} || {b})", f"concat({a}, {b})", f"coalesce({a}, {b})", f"nullif({a}, {b})", f"greatest({a}, {b})",
            f"CASE WHEN {self.condition(scope, depth - 1)} THEN {a} ELSE {b} END", f"format('%s-%L', {a}, {b})",
            f"replace({a}, {b}, 'r')", f"(ARRAY[{a}, {b}])[{n % 2 + 1}]",
                f"json_build_object('k', {a}, 'l', {b})::text",
            f"(ROW({a}, {b}))::text", f"concat_ws('|', {a}, {b})", f"xmlelement(name e, {a}, {b})::text",
            f"translate({a}, {b}, 'abc')", f"upper({a})", f"reverse({a})", f"substr({a}, {n}, {n + 8})",
            f"encode(convert_to({a}, 'UTF8'), '{self.pick('hex', 'base64', 'escape')}')", f"md5({a})",
            f"encode(sha256(convert_to({a}, 'UTF8')), 'hex')", f"to_json({a})::text", f"quote_literal({a})",
            f"regexp_replace({a}, '(.)', '\\1')", f"{a} COLLATE \"C\"", f"row_to_json({row})::text", f"({row})::text",
            f"to_jsonb({row})::text", f"(to_jsonb({row}) ->> 'ssn')", f"({a})::varchar(40)",
            f"string_to_array({a}, '-')::text", f"(SELECT {a})", f"({self.scalar(scope, depth - 1)})::text",
            f"array_to_string(ARRAY(SELECT unnest(ARRAY[{a}, 'k'])), '+')", f"lpad({a}, 40, 'x')",
            f"jsonb_build_array({a}, {n}) #>> '{{0}}'", f"hashtext({a})::text", f"({a}).upper",
                f"(({a}).length)::text",
            f"(xpath('/a', xmlelement(name a, {a})))[1]::text", f"(json_each(json_build_object('k', {a}))).key",
        ][choice]

    def number(self, scope, depth):
        c = self.column(scope, "i", secret=self.chance(0.4)) or str(self.rng.randrange(9))
        if depth <= 0:
            return c
        other = self.number(scope, depth - 1)
        return self.pick(c, f"({c} + {other})", f"length({self.text(scope, depth - 1)})", f"abs({c})", f"({c} % 97)",
                         f"ascii(substr({self.text(scope, 0)}, 5))", f"coalesce({c}, {other})", f"-{c}",
                         f"({c})::numeric", f"mod({c}::numeric, 1000)", f"position('a' in {self.text(scope, 0)})")

    def condition(self, scope, depth, guarded=0.93):
        """Mostly on what is not masked, else nearly all would be refused."""
        secret = not self.chance(guarded)
        c = self.column(scope, secret=secret)
        if c is None:
            return "true"
        if secret:
            return self.pick(f"{c}::text LIKE 'z%'", f"{c} IS NULL", f"{c}::text > 'm'", f"length({c}::text) > 20",
                             f"{c}::text IN (SELECT t FROM lk.plain)")
        n = self.column(scope, "i", secret=False)
        out = [f"{c} IS NOT NULL", f"{c}::text <> 'x'", "true"]
        if n:
            out += [f"{n} < {self.rng.randrange(3, 30)}", f"{n} BETWEEN 1 AND 20",
                    f"{n} IN (SELECT id FROM lk.{self.pick('people', 'plain', 'orders')})"]
        if depth > 0:
            out += [f"EXISTS ({self.select(depth - 1, scope)[0]})"] * 1
        return self.rng.choice(out)

    def scalar(self, scope, depth):
        """SELECT of one value."""
        inner = self.source(0, scope)
        c = self.text(inner[1], max(depth - 1, 0))
        return self.pick(f"SELECT {c} FROM {inner[0]} ORDER BY {inner[2]} LIMIT 1",
                         f"SELECT {self.aggregate(inner[1], 0)} FROM {inner[0]}")

    def aggregate(self, scope, depth):
        t, n, order = self.text(scope, depth), self.number(scope, depth), self.column(scope, "i", False) or "1"
        where = f" FILTER (WHERE {self.condition(scope, 0)})" if self.chance(0.2) else ""
        row = self.rng.choice(scope.rows) if scope.rows else t
        call, cast = self.pick(
            (f"max({t})", ""), (f"min({t})", ""), (f"string_agg({t}, ',' ORDER BY {order})", ""), (f"sum({n})", ""),
            (f"array_agg({t} ORDER BY {order})", "::text"), ("count(*)", ""), (f"count({t})", ""),
            (f"json_agg({t} ORDER BY {order})", "::text"),
            (f"json_object_agg({order}, {t} ORDER BY {order})", "::text"),
            (f"json_agg({row} ORDER BY {order})", "::text"), (f"bit_xor(hashtext({t}))", ""),
            (f"xmlagg(xmlelement(name a, {t}))", "::text"))
        return call + where + cast

    # FROM -------------------------------------------------------------------------------------------

    def source(self, depth, outer=None):
        """(FROM item, scope, something unmasked to order by)."""
        scope = Scope(ctes=outer.ctes if outer else {})
        if scope.ctes and self.chance(0.4):
            name = self.rng.choice(list(scope.ctes))
            alias = self.name("c")
            scope.columns = [Column(f"{alias}.{c.sql}", c.kind, c.secret) for c in scope.ctes[name]]
            return f"{name} {alias}", scope, "1"
        if depth > 0 and self.chance(0.25):
            text, columns = self.select(depth - 1, outer)
            alias = self.name("s")
            scope.columns = [Column(f"{alias}.{c.sql}", c.kind, c.secret) for c in columns]
            scope.rows = [alias]
            return f"({text}) {alias}", scope, "1"
        if self.chance(0.07):
            return self.odd_source(scope)
        if self.chance(0.10):
            return self.merged_source(scope)
        name, columns = self.relation()
        alias = self.name("p")
        order = f"{alias}.id" if "id" in columns else f"{alias}.city"
        renamed = ""
        if self.chance(0.12):
            fresh = {self.name("k"): (c, k) for c, k in columns.items()}
            if name == "people":
                fresh = dict(list(fresh.items()))
            renamed = f"({', '.join(fresh)})"
            scope.columns = [Column(f"{alias}.{f}", k, (name, c) in SECRET) for f, (c, k) in fresh.items()]
            order = scope.columns[0].sql
        else:
            scope.columns = [Column(f"{alias}.{c}", k, (name, c) in SECRET) for c, k in columns.items()]
        scope.rows = [alias]
        schema = "" if self.chance(0.3) else "lk."
        only = "ONLY " if self.chance(0.05) else ""
        return f"{only}{schema}{name} AS {alias}{renamed}", scope, order

    def merged_source(self, scope):
        """A join whose columns are merged and named by position: (… JOIN … USING (…)) AS s(a, b, c)."""
        sides, merged = [], self.rng.random() < 0.5
        for _ in range(2):
            name, columns = self.relation()
            while "id" not in columns:
                name, columns = self.relation()
            plain = [c for c in columns if c != "id" and (name, c) not in SECRET]
            secret = [c for c in columns if (name, c) in SECRET]
            chosen = [self.rng.choice(half) for half in (plain,
                secret) if half]  # so that taking one for the other shows
            self.rng.shuffle(chosen)
            fields = [(f"{c}::text || ''" if self.chance(0.5) else f"{c}::text", self.name("m"), (name, c) in SECRET)
                      for c in chosen]
            at = self.rng.randrange(len(fields) + 1)
            listed = [f"{text} AS {label}" for text, label, _ in fields]
            listed.insert(at, "id")
            sides.append((f"(SELECT {', '.join(listed)} FROM lk.{name}) {self.name('h')}", fields))
        (left, first), (right, second) = sides
        how = self.pick("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
        joined = f"{left} NATURAL {how} {right}" if merged else f"{left} {how} {right} USING (id)"
        alias = self.name("j")
        labels = [self.name("z") for _ in range(1 + len(first) + len(second))]
        scope.columns = [Column(f"{alias}.{labels[0]}", "i")] + [
            Column(f"{alias}.{label}", "t", secret) for label, (_, _, secret) in zip(labels[1:], first + second)]
        scope.rows = [alias]
        inner = f"({joined})" if self.chance(0.4) else f"(SELECT * FROM {joined})"
        return f"{inner} AS {alias}({', '.join(labels)})", scope, f"{alias}.{labels[0]}"

    def odd_source(self, scope):
        alias = self.name("f")
        self.secret = True
        text, column = self.rng.choice([
            ("json_each_text((SELECT json_object_agg(id, ssn) FROM lk.people))", "value"),
            ("unnest((SELECT array_agg(ssn ORDER BY id) FROM lk.people))", alias),
            ("jsonb_array_elements_text((SELECT jsonb_agg(card ORDER BY id) FROM lk.orders))", "value"),
            ("regexp_split_to_table((SELECT max(ssn) FROM lk.people), '')", alias),
            ("string_to_table((SELECT min(email) FROM lk.people), 'a')", alias),
            ("json_to_recordset((SELECT json_agg(p) FROM lk.people p))", "ssn"),
            ("ROWS FROM (unnest((SELECT array_agg(ssn) FROM lk.people)))", alias),
            ("lk.everyone()", "ssn"), ("generate_series(1, (SELECT pin % 5 FROM lk.people WHERE id = 2))", alias)])
        columns = " AS " + alias + ("(id int, ssn text)" if "recordset" in text else "")
        reference = f"{alias}.{column}" if column != alias else alias
        scope.columns = [Column(reference, "o" if "series" in text else "t", True)]
        return text + columns, scope, "1"

    def join(self, depth, outer=None):
        left, scope, order = self.source(depth, outer)
        if not self.chance(0.3):
            return left, scope, order
        right, other, order_too = self.source(depth - 1, outer)
        how = self.pick("JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN", "CROSS JOIN", "JOIN LATERAL")
        if how == "JOIN LATERAL":
            value = self.text(scope, 1)
            alias = self.name("l")
            right, on, order_too = f"(SELECT {value} AS v) {alias}", " ON true", None
            other = Scope(columns=[Column(f"{alias}.v", "t", True)], rows=[alias])
        elif how == "CROSS JOIN":
            on = ""
        else:
            a, b = self.column(scope, "i", False), self.column(other, "i", False)
            on = f" ON {a} = {b}" if a and b else " ON true"
            if how == "FULL JOIN" and on == " ON true":
                how = "JOIN"
            if self.chance(0.04):
                a, b = self.column(scope, "t", True), self.column(other, "t")
                if a and b:
                    how, on = "JOIN", f" ON {a} = {b}"
        both = Scope(scope.columns + other.columns, scope.rows + other.rows, scope.ctes)
        orders = [self.total(scope, order), *([self.total(other, order_too)] if order_too else [])]
        return f"{left} {how} {right}{on}", both, ", ".join(orders)

    def total(self, scope, order):
        """An order of a side's rows that leaves nothing to the plan, which no policy promises."""
        if order.endswith(".id"):
            return order
        return ", ".join(f"{c.sql}::text" for c in scope.columns if not c.secret) or "1"

    # SELECT -----------------------------------------------------------------------------------------

    def select(self, depth, outer=None):
        """(text, columns as others see them): one of the forms."""
        r = self.rng.random()
        if depth > 0 and r < 0.10:
            a, columns = self.core(depth - 1, outer, width=2)
            b, _ = self.core(depth - 1, outer, width=2)
            how = self.pick("UNION ALL", "UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT")
            return f"({a}) {how} ({b})", [Column(c.sql, c.kind, True) for c in columns]
        if depth > 0 and r < 0.25:
            name = self.name("w")
            inner, columns = self.core(depth - 1, outer, width=self.rng.randrange(1, 4))
            listed = ""
            if self.chance(0.4):
                columns = [Column(self.name("y"), c.kind, c.secret) for c in columns]
                listed = f"({', '.join(c.sql for c in columns)})"
            scope = Scope(ctes={**(outer.ctes if outer else {}), name: columns})
            text, out = self.core(depth - 1, scope)
            hint = self.pick("", "", "MATERIALIZED ", "NOT MATERIALIZED ")
            return f"WITH {name}{listed} AS {hint}({inner}) {text}", out
        return self.core(depth, outer)

    def core(self, depth, outer=None, width=None):
        source, scope, order = self.join(depth, outer)
        if outer and outer.columns and self.chance(0.3):
            scope.columns = scope.columns + outer.columns[:4]
        if width is None and self.chance(0.12) and outer is None:
            self.secret = self.secret or any(c.secret for c in scope.columns)
            star = "*" if self.chance(0.5) or not scope.rows else f"{scope.rows[0]}.*"
            return f"SELECT {star} FROM {source} ORDER BY {order}", [Column("id", "i")]
        width = width or self.rng.randrange(1, 5)
        grouped = self.chance(0.15)
        columns, out = [], []
        for _ in range(width):
            before, self.secret = self.secret, False
            kind = "t"
            if grouped:
                text = self.aggregate(scope, 1)
                text, kind = (f"({text})::text", "t")
            elif self.chance(0.5):
                c = self.rng.choice(scope.columns)
                text, kind, self.secret = c.sql, c.kind, c.secret
                if width > 1 and not out == [] and outer is not None:
                    text, kind = f"{text}::text", "t"
            elif self.chance(0.25) and outer is None:
                text, kind = self.window(scope), "o"
            elif self.chance(0.3):
                text, kind = f"({self.number(scope, 1)})", "i"
            else:
                text = self.text(scope, min(depth + 1, 3))
            if outer is not None or depth < 2:
                text, kind = f"{text}::text", "t"
            alias = self.name("a")
            columns.append(f"{text} AS {alias}")
            out.append(Column(alias, kind, self.secret))
            self.secret = self.secret or before
        where = f" WHERE {self.condition(scope, depth - 1)}" if self.chance(0.4) else ""
        tail = ""
        if grouped:
            key = self.column(scope, secret=False)
            if key and self.chance(0.6):
                tail = f" GROUP BY {key} ORDER BY {key}::text"
        else:
            tail = f" ORDER BY {order}" if self.chance(0.97) else f" ORDER BY {self.rng.randrange(1, width + 1)}"
            if self.chance(0.1):
                tail += f" LIMIT {self.pick('3', '(SELECT count(*) FROM lk.plain)', '5 OFFSET 1')}"
        distinct = "DISTINCT " if not tail and self.chance(0.2) else ""
        return f"SELECT {distinct}{', '.join(columns)} FROM {source}{where}{tail}", out

    def window(self, scope):
        order = self.column(scope, "i", False) or "1"
        t = self.text(scope, 1)
        over = f"OVER ({self.pick('', f'ORDER BY {order}')})"
        return self.pick(f"lag({t}) {over}", f"first_value({t}) {over}", f"max({t}) {over}", f"count(*) {over}",
                         f"row_number() {over}", f"string_agg({t}, ',') {over}", f"lead({t}, 2) {over}")

    # statements -------------------------------------------------------------------------------------

    def query(self, depth=None):
        return self.select(self.rng.choice((1, 1, 2, 2, 3)) if depth is None else depth)[0]

    def secret_text(self):
        """A SELECT of one text that certainly is masked."""
        column = self.rng.choice(["ssn", "email", "phone", "fixed", "pin::text", "account::text", "addr::text",
                                  "prefs::text", "tags[1]", "code::text", "token::text", "people::text"])
        return f"SELECT {column} FROM lk.people WHERE id = {self.rng.randrange(1, leak_schema.ROWS)}"

    def steps(self):
        """One move: one statement, or several that belong together."""
        r = self.rng.random()
        mode = self.rng.choices(("simple", "extended", "binary", "blind"), (5, 3, 2, 1))[0]
        if r < 0.62:
            return [Step(self.query(), mode)]
        moves = [self.explain, self.prepared, self.cursor, self.copy, self.temporary_table, self.view, self.store,
                 self.change, self.errors, self.settings, self.several, self.odd, self.shadow, self.known_function,
                 self.define, self.catalogue, self.transaction]
        return self.rng.choice(moves)()

    def explain(self):
        options = self.pick("", "ANALYZE, TIMING OFF, SUMMARY OFF", "VERBOSE",
            "ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON",
                            "COSTS OFF")
        return [Step(f"EXPLAIN ({options}) {self.query(1)}" if options else f"EXPLAIN {self.query(1)}")]

    def prepared(self):
        name = self.name("q")
        return [Step(f"PREPARE {name} AS {self.query()}"),
                *([Step(f"SET search_path = {self.pick('lk', 'other, lk', 'pg_temp, lk')}")] if self.chance(0.3) else []),

                Step(f"EXECUTE {name}", self.pick("simple", "extended", "binary", "blind")),
                *([Step(f"CREATE TEMP TABLE {self.name('t')} AS EXECUTE {name}")] if self.chance(0.2) else []),
                *([Step(f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) EXECUTE {name}")] if self.chance(0.2) else []),
                Step(f"DEALLOCATE {name}"), Step("SET search_path = lk")]

    def cursor(self):
        name = self.name("cur")
        fetches = [Step(f"FETCH {self.pick('1', '3', 'ALL', 'BACKWARD 1', 'FIRST')} FROM {name}",
                        self.pick("simple", "extended", "binary", "blind")) for _ in range(self.rng.randrange(1, 4))]
        return [Step("BEGIN"), Step(f"DECLARE {name} {self.pick('', 'SCROLL ', 'BINARY ', 'INSENSITIVE ')}CURSOR "
                                    f"{self.pick('', 'WITH HOLD ')}FOR {self.query()}"),
                *fetches, *([Step(f"MOVE 2 FROM {name}")] if self.chance(0.3) else []), *fetches[:1],
                Step(f"CLOSE {name}"), Step(self.pick("COMMIT", "ROLLBACK"))]

    def copy(self):
        what = self.pick(f"({self.query()})", "lk.people", "lk.people (id, ssn)", "lk.people (id, name)", "lk.plain",
                         "lk.events_low", "lk.car", "lk.orders (id, card)", "lk.orders (id, item)")
        options = self.pick("", " CSV HEADER", " (FORMAT binary)", " (FORMAT csv, FORCE_QUOTE *)", " WITH BINARY",
                            " (DELIMITER '|', NULL '')", " DELIMITER AS ';' NULL AS '0'", " (HEADER, NULL '[redacted]')",
                            " (FORMAT csv, DELIMITER E'\\t', QUOTE '[', ESCAPE ']', NULL 'z')",
                            " CSV QUOTE AS '''' FORCE QUOTE *", " (ENCODING 'UTF-8')")
        return [Step(f"COPY {what} TO STDOUT{options}", self.pick("simple", "extended", "binary", "blind"))]

    def temporary_table(self):
        name = self.name("tt")
        return [Step(self.pick(f"CREATE TEMP TABLE {name} AS {self.query(1)}",
            f"SELECT ({self.secret_text()}) AS a INTO {name}",
                               f"CREATE TABLE other.{name} AS {self.query(1)}",
                               f"CREATE TEMP TABLE {name} (LIKE lk.people INCLUDING ALL)",
                               f"CREATE TEMP TABLE {name} () INHERITS (lk.people)",
                               f"CREATE TABLE other.{name} PARTITION OF lk.events FOR VALUES FROM (100001) TO (100009)")),

                Step(f"SELECT * FROM {name}"), Step(f"SELECT * FROM other.{name}"),
                Step(f"DROP TABLE IF EXISTS {name}, other.{name}")]

    def view(self):
        name = self.name("v")
        kind = self.pick("TEMP VIEW", "VIEW", "RECURSIVE VIEW", "MATERIALIZED VIEW")
        target = name if kind == "TEMP VIEW" else f"other.{name}"
        text = self.query(1)
        create = f"CREATE {kind} {target} AS {text}"
        if kind == "RECURSIVE VIEW":
            create = f"CREATE RECURSIVE VIEW {target} (a) AS SELECT ssn FROM lk.people"
        return [Step(create), Step(f"SELECT * FROM {target}", self.pick("simple", "binary")),
                Step(f"SELECT {name}::text FROM {target}"),
                Step(f"SELECT definition FROM pg_views WHERE viewname = '{name}'"),
                    Step(f"DROP VIEW IF EXISTS {target}"),
                Step(f"DROP MATERIALIZED VIEW IF EXISTS {target}")]

    def store(self):
        value = self.secret_text()
        statement, look = self.rng.choice([
            (f"INSERT INTO lk.log (who, what) {self.query(1)}", "SELECT * FROM lk.log"),
            (f"INSERT INTO lk.log (who, what) SELECT name, ssn FROM lk.people RETURNING what",
                "SELECT what FROM lk.log"),
            (f"INSERT INTO lk.log (who) VALUES (({value})) RETURNING *", "SELECT who FROM lk.log"),
            (f"UPDATE lk.plain SET t = ({value}) WHERE n = 3 RETURNING t", "SELECT t FROM lk.plain ORDER BY n"),
            ("UPDATE lk.people SET city = ssn RETURNING city", "SELECT city FROM lk.people ORDER BY id"),
            ("UPDATE lk.people p SET name = o.card FROM lk.orders o WHERE o.person_id = p.id",
                "SELECT name FROM lk.people"),
            ("UPDATE lk.people SET (name, city) = (SELECT card, item FROM lk.orders WHERE id = 3)",
                "SELECT name FROM lk.people"),
            ("INSERT INTO lk.people (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET city = people.ssn RETURNING city",

             "SELECT city FROM lk.people WHERE id = 1"),
            ("MERGE INTO lk.plain t USING lk.people p ON t.n = p.id WHEN MATCHED THEN UPDATE SET t = p.ssn",
             "SELECT t FROM lk.plain"),
            ("WITH d AS (DELETE FROM lk.orders WHERE id > 20 RETURNING card) INSERT INTO lk.log (what) SELECT card FROM d",

             "SELECT what FROM lk.log"),
            ("WITH u AS (UPDATE lk.people SET visits = visits RETURNING ssn, name) SELECT * FROM u", "SELECT 1"),
            (f"SELECT set_config('lk.x', ({value}), false)", "SELECT current_setting('lk.x', true)"),
            ("SELECT set_config('application_name', ssn, false) FROM lk.people", "SHOW application_name"),
            (f"SELECT setval('lk.counter', (SELECT account FROM lk.people WHERE id = 2))",
                "SELECT last_value FROM lk.counter"),
            ("SELECT pg_notify('ch', ssn) FROM lk.people", "SELECT 1"),
            ("SELECT pg_advisory_xact_lock(account) FROM lk.people",
                "SELECT objid, classid FROM pg_locks WHERE locktype = 'advisory'"),
            ("SELECT lo_from_bytea(424242, blob) FROM lk.people WHERE id = 2", "SELECT lo_get(424242)"),
            ("SELECT setseed(ratio) FROM lk.people WHERE id = 2",
                "SELECT 1 FROM (SELECT setseed(0.5)) s; SELECT random()"),
            ("SELECT nextval('lk.counter') FROM lk.people WHERE ssn > 'm'", "SELECT currval('lk.counter')"),
            ("INSERT INTO lk.trigged (id, n) VALUES (1, 2) RETURNING t", "SELECT t FROM lk.trigged"),
            ("INSERT INTO lk.ruled VALUES (1, 'x')", "SELECT what FROM lk.log"),
            ("INSERT INTO lk.defaults (id) VALUES (1) RETURNING t", "SELECT t FROM lk.defaults"),
            ("INSERT INTO lk.log (doc) SELECT to_jsonb(p) FROM lk.people p", "SELECT doc FROM lk.log"),
            ("COMMENT ON TABLE lk.plain IS 'x'", "SELECT obj_description('lk.plain'::regclass)"),
        ])
        return [Step("BEGIN"), Step("LISTEN ch"), Step(statement, self.pick("simple", "extended")),
            Step("SAVEPOINT s"),
                Step(look, self.pick("simple", "extended", "binary")), Step(self.pick("COMMIT", "ROLLBACK",
                    "ROLLBACK"))
                if "UPDATE" not in statement and "DELETE" not in statement else Step("ROLLBACK"), Step(look)]

    def change(self):
        i = self.rng.randrange(1, leak_schema.ROWS)
        statement = self.pick(
            f"UPDATE lk.people SET visits = visits + 1 WHERE id = {i} RETURNING *",
            f"UPDATE lk.people SET name = 'n' WHERE id = {i} RETURNING name, ssn, upper(email)",
            f"UPDATE lk.people SET ssn = 'mine' WHERE id = {i} RETURNING ssn, people",
            f"DELETE FROM lk.orders WHERE id = {i} RETURNING card || 'x', orders.*",
            f"DELETE FROM lk.people WHERE id = {i} RETURNING to_jsonb(people)",
            f"INSERT INTO lk.people (id, name) VALUES ({i}, 'x') ON CONFLICT (id) DO UPDATE SET visits = 9 RETURNING ssn",

            f"INSERT INTO lk.plain (t) SELECT name FROM lk.people RETURNING t, (SELECT max(ssn) FROM lk.people)",
            f"UPDATE lk.events SET kind = 'k' RETURNING secret, tableoid::regclass",
            f"UPDATE lk.asset SET label = 'k' RETURNING serial", f"UPDATE lk.vehicle SET wheels = 5 RETURNING vin",
            f"UPDATE lk.v_people SET name = 'x' RETURNING number", f"DELETE FROM lk.events RETURNING events",
            f"INSERT INTO lk.account (id, iban) VALUES ({50 + i}, 'mine') RETURNING head")
        return [Step("BEGIN"), Step(statement, self.pick("simple", "extended", "binary", "blind")),
                Step("SELECT * FROM lk.people ORDER BY id"), Step("ROLLBACK")]

    def errors(self):
        return [Step(self.rng.choice(leak_statements.ERRORS),
            self.pick("simple", "extended", "binary", "blind"))]

    def settings(self):
        return [Step(self.pick("SET search_path = other, lk", "SET search_path = lk", "RESET search_path",
            "SET extra_float_digits = 0",
                               "SET bytea_output = 'escape'", "SET DateStyle = 'SQL, DMY'",
                                   "SET IntervalStyle = 'iso_8601'",
                               "SET client_encoding = 'LATIN1'", "SET client_min_messages = 'debug5'", "DISCARD ALL",
                               "SET xmloption = document", "SET xmlbinary = hex",
                                   "SET client_min_messages = 'notice'")),
                Step(self.query()), Step("RESET ALL"), Step("SET search_path = lk")]

    def several(self):
        return [Step("; ".join(self.query(1) for _ in range(self.rng.randrange(2, 4)))),
                Step(f"SELECT 1; {self.errors()[0].text}; {self.query(1)}")]

    def transaction(self):
        return [Step("BEGIN"), Step(self.query(1)), Step("SAVEPOINT a"), self.errors()[0], Step(self.query(1)),
                Step("ROLLBACK TO a"), Step(self.query(1), "binary"), Step(self.pick("COMMIT", "ROLLBACK"))]

    def odd(self):
        return [Step(self.rng.choice(leak_statements.ODD), self.pick("simple", "extended",
                "binary", "blind"))]

    def shadow(self):
        return [Step(self.pick("CREATE TEMP TABLE people (id int, ssn text)",
            "CREATE TEMP VIEW people AS SELECT id, 'x'::text AS ssn FROM lk.plain",
                               "CREATE TEMP VIEW plain AS SELECT id, ssn AS t, pin AS n FROM lk.people",
                               "CREATE TEMP TABLE plain AS SELECT id, ssn AS t FROM lk.people")),
                Step("SELECT * FROM people ORDER BY id"), Step("SELECT t FROM plain ORDER BY id"),
                Step("SELECT upper(t) FROM plain"), Step("DISCARD TEMP"), Step("SELECT t FROM plain")]

    def known_function(self):
        i = self.rng.randrange(1, leak_schema.ROWS)
        return [Step(self.rng.choice(leak_statements.CALLS).replace("{i}", str(i)),
            self.pick("simple", "extended", "blind"))]

    def define(self):
        """Definitions that would move a masked column from under its name; undone at the end."""
        return [Step("BEGIN"), Step(self.pick(
            "ALTER TABLE lk.people RENAME COLUMN ssn TO zzz", "ALTER TABLE lk.people RENAME TO persons",
                "ALTER TABLE lk.people SET SCHEMA other",
            "ALTER TABLE lk.people ADD COLUMN extra text GENERATED ALWAYS AS (ssn) STORED",
                "CREATE INDEX zz ON lk.people (upper(ssn))",
            "CREATE FUNCTION other.peek() RETURNS text LANGUAGE sql AS 'SELECT max(ssn) FROM lk.people'",
                "ALTER VIEW lk.v_people RENAME COLUMN number TO name2",
            "CREATE TABLE other.child () INHERITS (lk.people)",
                "ALTER TABLE lk.events DETACH PARTITION lk.events_low", "ALTER TABLE lk.car NO INHERIT lk.asset",
            "CREATE RULE r AS ON UPDATE TO lk.plain DO ALSO SELECT ssn FROM lk.people",
                "ALTER SCHEMA lk RENAME TO lk2", "ALTER TABLE lk.people ALTER city TYPE text USING ssn",
            "CREATE TABLE other.p (LIKE lk.people)", "CREATE STATISTICS lk.st2 ON lower(ssn), city FROM lk.people",
                "CREATE POLICY x ON lk.people USING (ssn LIKE 'z%')",
            "ALTER TABLE lk.vehicle RENAME COLUMN vin TO number", "CREATE TEMP TABLE x AS SELECT 1",
                "ALTER TABLE lk.people DROP COLUMN name",
            "ALTER TABLE lk.account ALTER COLUMN head DROP EXPRESSION", "ALTER TABLE lk.asset ADD COLUMN vin text")),
            Step("SAVEPOINT a"), Step("SELECT * FROM lk.people ORDER BY id"), Step("ROLLBACK TO a"),
                Step("SELECT zzz FROM lk.people"), Step("ROLLBACK TO a"),
            Step("SELECT * FROM persons"), Step("ROLLBACK TO a"), Step("SELECT ssn FROM other.people"),
                Step("ROLLBACK TO a"), Step("SELECT secret FROM lk.events_low"),
            Step("ROLLBACK TO a"), Step("SELECT head FROM lk.account"), Step("ROLLBACK TO a"),
                Step("SELECT serial FROM lk.car"), Step("ROLLBACK TO a"),
            Step("SELECT city FROM lk.people"), Step("ROLLBACK TO a"), Step("SELECT ssn FROM lk2.people"),
                Step("ROLLBACK TO a"), Step("SELECT number FROM lk.truck"),
            Step("ROLLBACK")]

    def catalogue(self):
        # Not kept: statistics of masked columns would choose plans, and these the order of rows (docs/masking.md).
        return [Step("BEGIN"), Step("ANALYZE lk.people"), Step(self.rng.choice(leak_statements.CATALOGUE)),
                Step("ROLLBACK")]

    def sequence(self, length=20):
        """Steps of one session."""
        out = [Step("SET search_path = lk"), Step("SET TimeZone = 'UTC'"), Step("SET statement_timeout = '5s'")]
        while len(out) < length:
            self.secret = False
            steps = self.steps()
            steps[0].secret = self.secret
            out += steps
        return out
