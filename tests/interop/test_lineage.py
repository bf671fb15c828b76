# SPDX-License-Identifier: Apache-2.0
"""The server as oracle of lineage: whatever column pg_depend lists for `CREATE TEMP VIEW AS <query>` is among those that
the analysis says the query's results are made of or that it tests. Queries come from a small grammar in which no column
of a sub-select goes unused (the server lists those too, and lineage rightly does not)."""

import os
import random
import subprocess
import unittest

import harness

COLUMNS = os.environ["LINEAGE_COLUMNS"]
QUERIES = int(os.environ.get("LINEAGE_QUERIES", "1500"))
SEED = int(os.environ.get("LINEAGE_SEED", random.SystemRandom().randrange(1 << 32)))

SCHEMA = """
CREATE TABLE public.people (id text, name text, ssn text, city text);
CREATE TABLE public.orders (id text, person text, amount text);
CREATE TABLE public.cards (number text, owner text);
CREATE TABLE public.events (id text, kind text, secret text) PARTITION BY LIST (kind);
CREATE TABLE public.events_a PARTITION OF public.events FOR VALUES IN ('a');
"""
TABLES = {"people": ["id", "name", "ssn", "city"], "orders": ["id", "person", "amount"], "cards": ["number", "owner"],
          "events": ["id", "kind", "secret"], "events_a": ["id", "kind", "secret"]}
USED = """
SELECT coalesce(string_agg(DISTINCT n.nspname || '.' || c.relname || '.' || a.attname, ' '), '')
FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
WHERE r.ev_class = 'pg_temp.q'::regclass AND c.relname <> 'q' AND d.refobjsubid > 0;
"""


class Item:
    """Something in FROM: its name, and which of its columns must still be used."""

    def __init__(self, name, columns, derived):
        self.name, self.columns, self.left = name, columns, set(columns) if derived else set()


class Grammar:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = 0

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def column(self, scope):
        item = self.random.choice(scope)
        column = self.random.choice(item.columns)
        item.left.discard(column)
        return f"{item.name}.{column}"

    def value(self, scope, depth):
        kinds = ["column"] * 4 + (["upper", "concat", "case", "coalesce", "array", "scalar", "row", "cast"] if depth else [])
        kind = self.random.choice(kinds) if scope else "constant"
        value = lambda: self.value(scope, depth - 1)
        if kind == "constant":
            return "'x'::text"
        if kind == "column":
            return self.column(scope)
        if kind == "upper":
            return f"upper({value()})"
        if kind == "concat":
            return f"({value()} || {value()})"
        if kind == "case":
            return f"(CASE WHEN {self.condition(scope, depth - 1)} THEN {value()} ELSE {value()} END)"
        if kind == "coalesce":
            return f"coalesce(nullif({value()}, 'x'), {value()})"
        if kind == "array":
            return f"(ARRAY[{value()}, {value()}])[1]"
        if kind == "row":
            return f"row_to_json(ROW({value()}, {value()}))::text"
        if kind == "cast":
            return f"{value()}::varchar(9)::text"
        item, text = self.from_item(scope, depth - 1, lateral=False)
        return f"(SELECT max({self.value([item], 0)}) FROM {text}{self.where(scope + [item], depth - 1)}{self.rest(item)})"

    def rest(self, item):
        """Uses what is left of a derived item, where a select list cannot."""
        left, item.left = sorted(item.left), set()
        return f" GROUP BY {', '.join(f'{item.name}.{column}' for column in left)} LIMIT 1" if left else ""

    def condition(self, scope, depth):
        value = lambda: self.value(scope, max(depth - 1, 0))
        kind = self.random.choice(["equal", "like", "null", "and", "in", "exists", "between", "any"] if depth > 0 else
                                  ["equal", "like", "null"])
        if kind == "equal":
            return f"{value()} = {value()}"
        if kind == "like":
            return f"{value()} LIKE 'a%'"
        if kind == "null":
            return f"{value()} IS NOT NULL"
        if kind == "between":
            return f"{value()} BETWEEN 'a' AND {value()}"
        if kind == "and":
            word = self.random.choice(["AND", "OR", "AND NOT"])
            return f"({self.condition(scope, depth - 1)} {word} {self.condition(scope, depth - 1)})"
        if kind == "in":
            return f"{value()} IN ({self.query(depth - 1, 1, scope)})"
        if kind == "any":
            return f"{value()} = ANY (ARRAY({self.query(depth - 1, 1, scope)}))"
        item, text = self.from_item(scope, 0, lateral=False)
        return f"EXISTS (SELECT 1 FROM {text} WHERE {self.condition(scope + [item], 0)})"

    def where(self, scope, depth):
        return f" WHERE {self.condition(scope, depth)}" if self.random.random() < 0.6 else ""

    def from_item(self, outer, depth, lateral=True):
        kind = self.random.choice(["table"] * 3 + (["query", "lateral", "values", "function"] if depth > 0 else []))
        name = self.name("t")
        if kind == "table":
            table = self.random.choice(sorted(TABLES))
            if self.random.random() < 0.2:
                columns = [f"k{i}" for i in range(len(TABLES[table]))]
                return Item(name, columns, False), f"{table} AS {name}({', '.join(columns)})"
            return Item(name, TABLES[table], False), f"{table} AS {name}"
        if kind == "values":
            return Item(name, ["v"], True), f"(VALUES ({self.value([], 0)})) AS {name}(v)"
        if kind == "function" and outer and lateral:
            return Item(name, ["u"], True), f"regexp_split_to_table({self.column(outer)}, '-') AS {name}(u)"
        columns = [f"c{i}" for i in range(self.random.randint(1, 3))]
        beside = outer if kind == "lateral" and lateral else []
        word = "LATERAL " if beside else ""
        return (Item(name, columns, True),
                f"{word}({self.query(depth - 1, len(columns), beside)}) AS {name}({', '.join(columns)})")

    def from_list(self, outer, depth):
        item, text = self.from_item(outer, depth, lateral=False)
        items = [item]
        while self.random.random() < 0.4 and len(items) < 3:
            item, more = self.from_item(outer + items, depth)
            kind = self.random.choice([",", "CROSS JOIN", "JOIN", "LEFT JOIN"])
            if kind in (",", "CROSS JOIN"):
                text = f"{text} {kind} {more}" if kind != "," else f"{text} CROSS JOIN {more}"
            else:
                text = f"{text} {kind} {more} ON {self.condition(items + [item], 0)}"
            items.append(item)
        return items, text

    def simple(self, depth, width, outer):
        items, text = self.from_list(outer, depth)
        scope = items + [item for item in outer if self.random.random() < 0.5]
        where = self.where(scope, depth)
        values = [self.value(scope if index or not items else items, depth) for index in range(width)]
        left = [f"{item.name}.{column}" for item in items for column in sorted(item.left)]
        for item in items:
            item.left = set()
        if left:
            values[-1] = f"concat({', '.join([values[-1]] + left)})"
        distinct = "DISTINCT " if self.random.random() < 0.1 else ""
        order = f" ORDER BY {self.random.randint(1, width)}" if self.random.random() < 0.2 else ""
        return f"SELECT {distinct}{', '.join(values)} FROM {text}{where}{order}"

    def grouped(self, depth, width, outer):
        items, text = self.from_list(outer, 0)
        key = self.value(items, 0)
        values = [f"max({self.value(items, depth)}) FILTER (WHERE {self.condition(items, 0)})" for _ in range(width)]
        return f"SELECT {', '.join(values)} FROM {text}{self.where(items, 0)} GROUP BY {key} HAVING max({key}) > 'a'"

    def windowed(self, depth, width, outer):
        items, text = self.from_list(outer, 0)
        values = [f"first_value({self.value(items, depth)}) OVER (PARTITION BY {self.value(items, 0)} ORDER BY "
                  f"{self.value(items, 0)})" for _ in range(width)]
        return f"SELECT {', '.join(values)} FROM {text}"

    def recursive(self, depth, width, outer):
        name = self.name("r")
        columns = [f"c{i}" for i in range(width)]
        again = [self.random.choice(columns) for _ in columns]
        word = self.random.choice(["UNION", "UNION ALL"])
        return (f"WITH RECURSIVE {name}({', '.join(columns)}) AS (({self.query(depth - 1, width, [])}) {word} "
                f"SELECT {', '.join(again)} FROM {name} WHERE {columns[0]} > 'a') SELECT {', '.join(columns)} FROM {name}")

    def with_list(self, depth, width, outer):
        name = self.name("w")
        columns = [f"c{i}" for i in range(width)]
        return (f"WITH {name} AS (SELECT * FROM ({self.query(depth - 1, width, [])}) AS x({', '.join(columns)})) "
                f"SELECT {', '.join(columns)} FROM {name}")

    def query(self, depth, width, outer=()):
        outer = list(outer)
        kinds = [self.simple] * 4 + ([self.grouped, self.windowed, self.recursive, self.with_list, None] if depth > 0 else [])
        kind = self.random.choice(kinds)
        if kind is not None:
            return kind(depth, width, outer)
        word = self.random.choice(["UNION ALL", "UNION", "EXCEPT", "INTERSECT ALL"])
        return f"({self.query(depth - 1, width, outer)}) {word} ({self.query(depth - 1, width, outer)})"


class Lineage(unittest.TestCase):
    def test_every_column_that_the_server_names_is_known(self):
        machine = harness.Machine()
        self.addCleanup(machine.close)
        server = machine.start_server()
        server.sql(SCHEMA)
        schema = machine.work / "schema.sql"
        schema.write_text(SCHEMA)
        grammar = Grammar(SEED)
        print("seed", SEED)
        queries = []
        for number in range(QUERIES):
            width = grammar.random.randint(1, 3)
            columns = ", ".join(f"o{i}" for i in range(width))
            queries.append((f"q({columns})", grammar.query(grammar.random.randint(0, 3), width)))
        text = "\\set ON_ERROR_STOP 0\n" + "".join(
            f"BEGIN; CREATE TEMP VIEW {view} AS {query}; {USED} ROLLBACK;\n\\echo --\n" for view, query in queries)
        done = subprocess.run(["psql", "-X", "-q", "-At", "-h", server.home, "-p", str(server.port), "-U", "postgres", "-d",
                               "postgres", "-f", "-"], input=text, capture_output=True, text=True, timeout=6000)
        answers = done.stdout.split("--\n")
        known = subprocess.run([COLUMNS, str(schema)], input="".join(query + "\n" for _, query in queries),
                               capture_output=True, text=True, timeout=600, check=True).stdout.splitlines()
        self.assertEqual(len(known), len(queries))
        for (_, query), answer, columns in zip(queries, answers, known):
            self.assertEqual(set(answer.split()) - set(columns.split()), set(), query)
        rejected = done.stderr.count("ERROR:  ") - done.stderr.count("current transaction is aborted")
        print(f"{len(queries)} queries, {rejected} of them refused by the server")
        self.assertLess(rejected, len(queries) / 20, done.stderr[:3000])


if __name__ == "__main__":
    harness.main()
