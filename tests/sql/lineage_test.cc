// SPDX-License-Identifier: Apache-2.0
// One table: SQL -> what its result columns are made of, what it tests, what it stores. With the small catalogue of
// tables_catalogue.cc: customers (id, name, ssn), orders (id, customer_id, amount), parent and child (a, b), v (a).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sallyport/sql/analysis.h"
#include "tables.h"

namespace sallyport::sql {
namespace {

Analysis analysed(std::string_view text, const SessionNames& names = NoSessionNames()) {
  Settings settings;
  settings.creation_schema = "public";
  Catalogue catalogue;
  for (int round = 0; round < 8; ++round) {
    auto answer = analyse(text, settings, catalogue, names);
    if (auto* analysis = std::get_if<Analysis>(&answer)) return std::move(*analysis);
    const auto& missing = std::get<Missing>(answer);
    for (const RelationName& name : missing.relations) catalogue.relations[name] = server_relation(name);
    for (const RelationName& name : missing.behind) catalogue.behind[name] = server_behind(name);
    for (const RelationName& name : missing.functions) catalogue.functions[name] = server_function(name);
    for (const RelationName& name : missing.types) catalogue.types[name] = server_type(name);
    for (const RelationName& name : missing.operators) catalogue.operators[name] = server_operator(name);
  }
  ADD_FAILURE() << "facts never end: " << text;
  return {};
}

std::string render_origins(const std::vector<ColumnOrigin>& origins) {
  std::string all;
  for (const ColumnOrigin& origin : origins) {
    if (!all.empty()) all.append("+");
    if (origin.relation->schema != "public") all.append(origin.relation->schema).append(".");
    all.append(origin.relation->name).append(".").append(origin.column);
  }
  return all;
}

/// "name:customers.name n:~customers.ssn": a tilde for what is not plain, "?" for what is not traced, "*" before all
/// if the columns are not known.
std::string render_outputs(const Statement& statement) {
  std::string all = statement.outputs_known ? "" : "* ";
  for (const Output& output : statement.outputs) {
    if (!all.empty() && all.back() != ' ') all.append(" ");
    all.append(output.name).append(":").append(output.plain ? "" : "~").append(render_origins(output.from));
    if (!output.traced) all.append("?");
  }
  return all;
}

struct LineageRow {
  const char* sql;
  const char* outputs;
  const char* tested;
  const char* stored;
};

const LineageRow kQueries[] = {
    {"SELECT 1", "?column?:~", "", ""},
    {"SELECT ssn FROM customers", "ssn:customers.ssn", "", ""},
    {"SELECT ssn AS x FROM customers c", "x:customers.ssn", "", ""},
    {"SELECT * FROM customers", "id:customers.id name:customers.name ssn:customers.ssn", "", ""},
    {"SELECT c.* FROM customers c, orders", "id:customers.id name:customers.name ssn:customers.ssn", "", ""},
    {"TABLE customers", "id:customers.id name:customers.name ssn:customers.ssn", "", ""},
    {"SELECT ctid FROM customers", "ctid:customers.ctid", "", ""},
    {"SELECT upper(ssn) FROM customers", "upper:~customers.ssn", "", ""},
    {"SELECT ssn || name FROM customers", "?column?:~customers.name+customers.ssn", "", ""},
    {"SELECT ssn::text FROM customers", "ssn:~customers.ssn", "", ""},
    {"SELECT (ssn) COLLATE \"C\" FROM customers", "ssn:~customers.ssn", "", ""},
    {"SELECT ARRAY[ssn, 'x'] FROM customers", "array:~customers.ssn", "", ""},
    {"SELECT (ARRAY[1, 2])[id] FROM customers", "array:~customers.id", "", ""},
    {"SELECT coalesce(ssn, name) FROM customers", "coalesce:~customers.name+customers.ssn", "", ""},
    {"SELECT nullif(ssn, 'x') FROM customers", "nullif:~customers.ssn", "", ""},
    {"SELECT greatest(ssn, name), 1 FROM customers", "greatest:~customers.name+customers.ssn ?column?:~", "", ""},
    {"SELECT ssn IS NULL, id FROM customers", "?column?:~customers.ssn id:customers.id", "", ""},
    {"SELECT ssn = '1' FROM customers", "?column?:~customers.ssn", "", ""},
    {"SELECT ssn = '1' AND id > 2 FROM customers", "?column?:~customers.id+customers.ssn", "", ""},
    {"SELECT c FROM customers c", "c:~customers.id+customers.name+customers.ssn", "", ""},
    {"SELECT row_to_json(c) FROM customers c", "row_to_json:~customers.id+customers.name+customers.ssn", "", ""},
    {"SELECT ROW(c.*) FROM customers c", "row:~customers.id+customers.name+customers.ssn", "", ""},
    {"SELECT (c).ssn FROM customers c", "ssn:~customers.ssn", "", ""},
    {"SELECT (c).* FROM customers c", "* :~customers.id+customers.name+customers.ssn", "", ""},
    {"SELECT count(*) FROM customers", "count:~", "", ""},
    {"SELECT count(ssn) FROM customers", "count:~customers.ssn", "", ""},
    {"SELECT max(ssn), min(id) FROM customers", "max:~customers.ssn min:~customers.id", "", ""},
    {"SELECT count(DISTINCT ssn) FROM customers", "count:~customers.ssn", "", ""},
    {"SELECT current_date, now(), random(), $1", "?column?:~ now:~ random:~ ?column?:~", "", ""},
    // CASE
    {"SELECT CASE WHEN id = 1 THEN ssn ELSE name END FROM customers", "name:~customers.id+customers.name+customers.ssn",
     "customers.id", ""},
    {"SELECT CASE ssn WHEN '1' THEN 'a' END FROM customers", "case:~customers.ssn", "customers.ssn", ""},
    {"SELECT CASE WHEN ssn > 'm' THEN 1 END FROM customers", "case:~customers.ssn", "customers.ssn", ""},
    // what tests
    {"SELECT name FROM customers WHERE ssn LIKE '1%'", "name:customers.name", "customers.ssn", ""},
    {"SELECT name FROM customers WHERE ssn = '1' AND NOT (id = 2 OR id IS NULL)", "name:customers.name",
     "customers.id+customers.ssn", ""},
    {"SELECT name FROM customers c WHERE c::text LIKE '%'", "name:customers.name",
     "customers.id+customers.name+customers.ssn", ""},
    {"SELECT name FROM customers c WHERE (id, ssn) = (1, 'x')", "name:customers.name", "customers.id+customers.ssn",
     ""},
    {"SELECT name FROM customers WHERE ssn IN ('a', 'b')", "name:customers.name", "customers.ssn", ""},
    {"SELECT name FROM customers WHERE ssn BETWEEN 'a' AND 'b'", "name:customers.name", "customers.ssn", ""},
    {"SELECT amount FROM orders WHERE customer_id IN (SELECT id FROM customers)", "amount:orders.amount",
     "customers.id+orders.customer_id", ""},
    {"SELECT amount FROM orders o WHERE EXISTS (SELECT 1 FROM customers WHERE ssn = 'x' AND id = o.customer_id)",
     "amount:orders.amount", "customers.id+customers.ssn+orders.customer_id", ""},
    {"SELECT EXISTS (SELECT ssn FROM customers)", "exists:~", "", ""},
    {"SELECT 'a' IN (SELECT ssn FROM customers)", "?column?:~customers.ssn", "", ""},
    {"SELECT (SELECT 1 FROM orders WHERE amount = ssn) FROM customers", "?column?:~", "customers.ssn+orders.amount",
     ""},
    {"SELECT (SELECT ssn FROM customers LIMIT 1)", "ssn:~customers.ssn", "", ""},
    {"SELECT ARRAY(SELECT ssn FROM customers)", "array:~customers.ssn", "", ""},
    {"SELECT o.amount FROM orders o JOIN customers c ON c.ssn = o.customer_id", "amount:orders.amount",
     "customers.ssn+orders.customer_id", ""},
    {"SELECT amount FROM orders LEFT JOIN customers c ON c.id = customer_id", "amount:orders.amount",
     "customers.id+orders.customer_id", ""},
    {"SELECT * FROM customers JOIN orders USING (id)",
     "* :~customers.id+customers.name+customers.ssn+orders.amount+orders.customer_id+orders.id",
     "customers.id+orders.id", ""},
    {"SELECT s.name FROM (SELECT * FROM customers JOIN orders USING (id)) s", "name:customers.name",
     "customers.id+orders.id", ""},
    {"SELECT b FROM (SELECT id, customer_id, name FROM orders JOIN customers USING (id)) AS s(a, b)",
     "b:orders.customer_id", "customers.id+orders.id", ""},
    {"SELECT b FROM (SELECT * FROM orders JOIN customers USING (id)) AS s(a, b)",
     "b:~customers.id+customers.name+customers.ssn+orders.amount+orders.customer_id+orders.id",
     "customers.id+orders.id", ""},
    {"SELECT b FROM (orders JOIN customers USING (id)) AS s(a, b)",
     "b:~customers.id+customers.name+customers.ssn+orders.amount+orders.customer_id+orders.id",
     "customers.id+orders.id", ""},
    {"SELECT a.* FROM orders a JOIN customers USING (id)",
     "id:orders.id customer_id:orders.customer_id amount:orders.amount", "customers.id+orders.id", ""},
    {"SELECT name FROM customers UNION ALL SELECT * FROM orders JOIN customers USING (id)",
     "* :~customers.id+customers.name+customers.ssn+orders.amount+orders.customer_id+orders.id",
     "customers.id+orders.id", ""},
    {"SELECT id FROM customers JOIN orders USING (id)", "id:~customers.id+orders.id", "customers.id+orders.id", ""},
    {"SELECT name FROM customers NATURAL JOIN orders", "name:customers.name", "customers.id+orders.id", ""},
    {"SELECT j.ssn FROM (customers c JOIN orders o ON c.id = o.customer_id) AS j", "ssn:customers.ssn",
     "customers.id+orders.customer_id", ""},
    {"SELECT name FROM customers ORDER BY ssn", "name:customers.name", "customers.ssn", ""},
    {"SELECT name, ssn FROM customers ORDER BY 2 DESC", "name:customers.name ssn:customers.ssn", "customers.ssn", ""},
    {"SELECT name, ssn AS k FROM customers ORDER BY k", "name:customers.name k:customers.ssn", "customers.ssn", ""},
    {"SELECT name FROM customers c ORDER BY c", "name:customers.name", "customers.id+customers.name+customers.ssn", ""},
    {"SELECT * FROM customers ORDER BY 3", "id:customers.id name:customers.name ssn:customers.ssn", "customers.ssn",
     ""},
    {"SELECT count(*) FROM customers GROUP BY ssn", "count:~", "customers.ssn", ""},
    {"SELECT left(ssn, 1), count(*) FROM customers GROUP BY 1", "left:~customers.ssn count:~", "customers.ssn", ""},
    {"SELECT left(ssn, 1) AS l, count(*) FROM customers GROUP BY l", "l:~customers.ssn count:~", "customers.ssn", ""},
    {"SELECT count(*) FROM customers GROUP BY ROLLUP (id, (name, ssn))", "count:~",
     "customers.id+customers.name+customers.ssn", ""},
    {"SELECT upper(ssn), count(*) FROM customers GROUP BY GROUPING SETS ((1), ())", "upper:~customers.ssn count:~",
     "customers.ssn", ""},
    {"SELECT name FROM customers GROUP BY name HAVING max(ssn) > 'm'", "name:customers.name",
     "customers.name+customers.ssn", ""},
    {"SELECT DISTINCT name FROM customers", "name:customers.name", "customers.name", ""},
    {"SELECT DISTINCT left(ssn, 3) FROM customers", "left:~customers.ssn", "customers.ssn", ""},
    {"SELECT DISTINCT ON (ssn) id FROM customers", "id:customers.id", "customers.ssn", ""},
    {"SELECT DISTINCT ON (2) id, ssn FROM customers", "id:customers.id ssn:customers.ssn", "customers.ssn", ""},
    {"SELECT id FROM customers LIMIT (SELECT max(length(ssn)) FROM customers)", "id:customers.id", "customers.ssn", ""},
    {"SELECT id FROM orders OFFSET (SELECT id FROM customers)", "id:orders.id", "customers.id", ""},
    {"SELECT row_number() OVER (PARTITION BY name ORDER BY ssn) FROM customers",
     "row_number:~customers.name+customers.ssn", "customers.name+customers.ssn", ""},
    {"SELECT sum(id) OVER w FROM customers WINDOW w AS (ORDER BY ssn)", "sum:~customers.id", "customers.ssn", ""},
    {"SELECT count(*) FILTER (WHERE ssn > 'm') FROM customers", "count:~customers.ssn", "customers.ssn", ""},
    {"SELECT array_agg(id ORDER BY ssn) FROM customers", "array_agg:~customers.id+customers.ssn", "customers.ssn", ""},
    {"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM customers", "percentile_disc:~customers.ssn", "",
     ""},
    {"SELECT id FROM customers TABLESAMPLE bernoulli ((SELECT amount FROM orders))", "id:customers.id", "orders.amount",
     ""},
    {"SELECT id FROM customers FOR UPDATE SKIP LOCKED", "id:customers.id", "", ""},
    // functions that give sets, and those that do something
    {"SELECT generate_series(1, length(ssn)) FROM customers", "generate_series:~customers.ssn", "customers.ssn", ""},
    {"SELECT id, regexp_split_to_table(ssn, '-') FROM customers",
     "id:customers.id regexp_split_to_table:~customers.ssn", "customers.ssn", ""},
    {"SELECT x FROM customers, unnest(string_to_array(ssn, '-')) AS x", "x:~customers.ssn", "customers.ssn", ""},
    {"SELECT g FROM generate_series(1, 3) AS g", "g:~", "", ""},
    {"SELECT x FROM customers, XMLTABLE('/a' PASSING ssn COLUMNS x text PATH '.')", "x:~customers.ssn", "customers.ssn",
     ""},
    {"SELECT setval('s', length(ssn)) FROM customers", "setval:~customers.ssn", "", "customers.ssn"},
    {"SELECT nextval('s'), ssn FROM customers", "nextval:~ ssn:customers.ssn", "", ""},
    {"SELECT set_config('a.b', ssn, false) FROM customers", "set_config:~customers.ssn", "", "customers.ssn"},
    {"SELECT pg_notify('c', ssn) FROM customers", "pg_notify:~customers.ssn", "", "customers.ssn"},
    {"SELECT setseed(length(ssn)) FROM customers", "setseed:~customers.ssn", "", "customers.ssn"},
    {"SELECT pg_advisory_lock(length(ssn)) FROM customers", "pg_advisory_lock:~customers.ssn", "", "customers.ssn"},
    {"SELECT lo_from_bytea(0, ssn::bytea) FROM customers", "lo_from_bytea:~customers.ssn", "", "customers.ssn"},
    {"SELECT ssn > 'm' AND nextval('s') > 0 FROM customers", "?column?:~customers.ssn", "customers.ssn", ""},
    {"SELECT coalesce(nullif(ssn, 'x'), random()::text) FROM customers", "coalesce:~customers.ssn", "customers.ssn",
     ""},
    {"SELECT app.nosuch(ssn, id) FROM customers", "nosuch:~customers.id+customers.ssn", "",
     "customers.id+customers.ssn"},
    {"SELECT app.plain(ssn) FROM customers", "plain:~customers.ssn", "", "customers.ssn"},
    {"SELECT app.name_of(3)", "name_of:~customers.id+customers.name", "customers.id", ""},
    {"SELECT (ssn).pg_read_file FROM customers", "pg_read_file:~customers.ssn?", "", "customers.ssn"},
    {"SELECT (string_to_array(ssn, '-')).unnest FROM customers", "unnest:~customers.ssn", "customers.ssn", ""},
    {"SELECT coalesce(ssn, (SELECT 'x')) FROM customers", "coalesce:~customers.ssn", "customers.ssn", ""},
    {"SELECT ssn(customers) FROM customers", "ssn:~customers.id+customers.name+customers.ssn", "",
     "customers.id+customers.name+customers.ssn"},
    // sub-selects, WITH, set operations
    {"SELECT s.x FROM (SELECT ssn AS x, name FROM customers) s", "x:customers.ssn", "", ""},
    {"SELECT s.x FROM (SELECT upper(ssn) AS x FROM customers) s WHERE s.x > 'A'", "x:~customers.ssn", "customers.ssn",
     ""},
    {"SELECT name FROM (SELECT name, ssn FROM customers ORDER BY ssn) s", "name:customers.name", "customers.ssn", ""},
    {"SELECT a, c FROM customers AS x(a, b, c)", "a:customers.id c:customers.ssn", "", ""},
    {"SELECT s.y FROM customers c, LATERAL (SELECT c.ssn AS y) s", "y:customers.ssn", "", ""},
    {"SELECT n FROM customers c, LATERAL (SELECT amount AS n FROM orders WHERE id = c.ssn) s", "n:orders.amount",
     "customers.ssn+orders.id", ""},
    {"VALUES (1, 'a'), (2, 'b')", "column1:~ column2:~", "", ""},
    {"SELECT x FROM (VALUES ((SELECT ssn FROM customers))) AS v(x)", "x:~customers.ssn", "", ""},
    {"WITH c AS (SELECT id, ssn AS s FROM customers) SELECT id FROM c", "id:customers.id", "", ""},
    {"WITH c AS (SELECT id, ssn AS s FROM customers) SELECT id FROM c WHERE s > 'm'", "id:customers.id",
     "customers.ssn", ""},
    {"WITH c(a, b) AS (SELECT id, ssn FROM customers) SELECT b, a FROM c", "b:customers.ssn a:customers.id", "", ""},
    {"WITH customers AS (SELECT name AS ssn, ssn AS name FROM customers) SELECT ssn FROM customers",
     "ssn:customers.name", "", ""},
    {"WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING ssn AS name) SELECT name FROM d", "name:customers.ssn",
     "customers.id", ""},
    {"SELECT name FROM customers UNION ALL SELECT ssn FROM customers", "name:~customers.name+customers.ssn", "", ""},
    {"SELECT name FROM customers UNION SELECT 'x'", "name:~customers.name", "customers.name", ""},
    {"SELECT id FROM customers EXCEPT ALL SELECT amount FROM orders", "id:~customers.id+orders.amount",
     "customers.id+orders.amount", ""},
    {"SELECT id, ssn FROM customers UNION ALL SELECT amount, 'x' FROM orders ORDER BY 2",
     "id:~customers.id+orders.amount ssn:~customers.ssn", "customers.ssn", ""},
    // recursion: columns that change places come back
    {"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n FROM r", "n:~", "", ""},
    {"WITH RECURSIVE r(i, s) AS (SELECT id, ssn FROM customers UNION ALL SELECT i, s FROM r) SELECT i, s FROM r",
     "i:~customers.id s:~customers.ssn", "", ""},
    {"WITH RECURSIVE r(a, b, c) AS (SELECT id, name, ssn FROM customers UNION ALL SELECT b, c, 'x' FROM r) "
     "SELECT a, b, c FROM r",
     "a:~customers.id+customers.name+customers.ssn b:~customers.name+customers.ssn c:~customers.ssn", "", ""},
    {"WITH RECURSIVE r(a, b, c) AS (SELECT id, name, ssn FROM customers UNION ALL SELECT b, c, 'x' FROM r WHERE a > 1) "
     "SELECT c FROM r",
     "c:~customers.ssn", "customers.id+customers.name+customers.ssn", ""},
    {"WITH RECURSIVE r AS (SELECT id FROM orders UNION SELECT c.id FROM customers c JOIN r ON r.id = c.id) "
     "SELECT * FROM r",
     "id:~customers.id+orders.id", "customers.id+orders.id", ""},
    {"WITH RECURSIVE a AS (SELECT x FROM b), b AS (SELECT ssn AS x FROM customers) SELECT * FROM a", "x:customers.ssn",
     "", ""},
    {"WITH RECURSIVE r(n) AS (WITH q AS (SELECT ssn FROM customers) SELECT ssn FROM q UNION ALL SELECT n || 'x' FROM "
     "r) "
     "SELECT n FROM r",
     "n:~customers.ssn", "", ""},
    {"WITH RECURSIVE r AS (SELECT id, ssn FROM customers UNION ALL SELECT id, ssn FROM r) SEARCH DEPTH FIRST BY ssn "
     "SET "
     "o SELECT id, o FROM r",
     "id:~customers.id o:~customers.id+customers.ssn", "", ""},
    {"WITH RECURSIVE r AS (SELECT id FROM customers UNION ALL SELECT id FROM r) CYCLE id SET c USING p SELECT c, p "
     "FROM r",
     "c:~customers.id p:~customers.id", "customers.id", ""},
    // what cannot be told
    {"SELECT a FROM v", "a:v.a", "", ""},
    {"SELECT a FROM v WHERE a = 1", "a:v.a", "v.a", ""},
    {"SELECT ssn FROM v_ssn", "ssn:customers.ssn", "", ""},
    {"SELECT x, upper(x) FROM v_ssn AS s(x) WHERE x = '1'", "x:customers.ssn upper:~customers.ssn", "customers.ssn",
     ""},
    {"SELECT * FROM v_invoker", "ssn:customers.ssn", "", ""},
    {"SELECT count(*) FROM mv_ssn", "count:~", "", ""},
    {"SELECT a FROM parent", "a:parent.a", "", ""},
    {"SELECT a, b FROM nosuch", "a:nosuch.a b:nosuch.b", "", ""},
    {"SELECT * FROM nosuch", "* :~nosuch.*", "", ""},
    {"SELECT * FROM customers, nosuch ORDER BY 1", "* :~customers.id+customers.name+customers.ssn+nosuch.*",
     "customers.id+customers.name+customers.ssn+nosuch.*", ""},
    {"SELEC 1", "* :~?", "", ""},
};

const LineageRow kChanges[] = {
    {"INSERT INTO orders SELECT id, ssn, 1 FROM customers", "", "", "customers.id+customers.ssn"},
    {"INSERT INTO orders (amount) VALUES ((SELECT ssn FROM customers))", "", "", "customers.ssn"},
    {"INSERT INTO orders (amount) VALUES (1) RETURNING amount, id + 1", "amount:orders.amount ?column?:~orders.id", "",
     ""},
    {"INSERT INTO orders TABLE customers", "", "", "customers.id+customers.name+customers.ssn"},
    {"INSERT INTO customers SELECT id + 1, name, ssn FROM customers", "", "", ""},
    {"INSERT INTO customers (id, name) SELECT id, ssn FROM customers", "", "", "customers.ssn"},
    {"INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = excluded.name", "", "customers.id",
     ""},
    {"INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET name = customers.ssn", "", "customers.id",
     "customers.ssn"},
    {"INSERT INTO customers AS c (id) VALUES (1) ON CONFLICT (ssn) DO UPDATE SET name = 'x' WHERE c.ssn > 'm'", "",
     "customers.ssn", ""},
    {"INSERT INTO orders SELECT id FROM customers WHERE ssn = 'x'", "", "customers.ssn", "customers.id"},
    {"UPDATE customers SET name = 'x' WHERE id = 1", "", "customers.id", ""},
    {"UPDATE customers SET name = 'x' WHERE id = 1 RETURNING ssn, upper(ssn)", "ssn:customers.ssn upper:~customers.ssn",
     "customers.id", ""},
    {"UPDATE customers SET ssn = lower(ssn)", "", "", ""},
    {"UPDATE customers SET name = ssn", "", "", "customers.ssn"},
    {"UPDATE customers SET (name, ssn) = (SELECT ssn, 'x' FROM customers)", "", "", "customers.ssn"},
    {"UPDATE orders SET amount = c.ssn FROM customers c WHERE c.id = customer_id", "",
     "customers.id+orders.customer_id", "customers.ssn"},
    {"UPDATE customers SET name = CASE WHEN ssn > 'm' THEN 'a' END", "", "customers.ssn", "customers.ssn"},
    {"DELETE FROM customers WHERE ssn = 'x' RETURNING id", "id:customers.id", "customers.ssn", ""},
    {"DELETE FROM orders USING customers c WHERE c.id = customer_id", "", "customers.id+orders.customer_id", ""},
    {"MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED AND c.ssn > 'm' THEN DELETE", "",
     "customers.id+customers.ssn+orders.customer_id", ""},
    {"MERGE INTO orders o USING customers c ON false WHEN NOT MATCHED THEN INSERT (amount) VALUES (c.ssn)", "", "",
     "customers.ssn"},
    {"CREATE TABLE t AS SELECT ssn FROM customers", "", "", "customers.ssn"},
    {"CREATE MATERIALIZED VIEW m AS SELECT upper(ssn) FROM customers", "", "", "customers.ssn"},
    {"SELECT ssn INTO TEMP t FROM customers", "", "", "customers.ssn"},
    {"CREATE VIEW w AS SELECT ssn FROM customers", "", "", ""},
    {"CREATE VIEW w AS SELECT id FROM customers WHERE ssn > 'm'", "", "customers.ssn", ""},
    {"COPY customers TO STDOUT", "id:customers.id name:customers.name ssn:customers.ssn", "", ""},
    {"COPY customers (id) TO STDOUT", "id:customers.id", "", ""},
    {"COPY (SELECT upper(ssn) FROM customers) TO STDOUT", "upper:~customers.ssn", "", ""},
    {"COPY customers TO '/tmp/x'", "", "", "customers.id+customers.name+customers.ssn"},
    {"COPY (SELECT ssn FROM customers) TO PROGRAM 'cat'", "", "", "customers.ssn"},
    {"COPY customers FROM STDIN", "", "", ""},
    {"EXPLAIN SELECT ssn FROM customers WHERE id = 1", "QUERY PLAN:~customers.id+customers.ssn", "customers.id", ""},
    {"EXPLAIN SELECT count(*) FROM customers", "QUERY PLAN:~", "", ""},
    {"EXPLAIN INSERT INTO orders SELECT ssn FROM customers", "QUERY PLAN:~customers.ssn", "", ""},
    {"EXPLAIN ANALYZE INSERT INTO orders SELECT ssn FROM customers", "QUERY PLAN:~customers.ssn", "", "customers.ssn"},
    {"PREPARE q AS SELECT ssn FROM customers WHERE id = $1", "ssn:customers.ssn", "customers.id", ""},
    {"DECLARE c CURSOR FOR SELECT upper(ssn) FROM customers", "upper:~customers.ssn", "", ""},
    {"EXECUTE nosuch", "* :~?", "", ""},
    {"DO $$ DECLARE x text; BEGIN SELECT ssn INTO x FROM public.customers; END $$", "", "", "customers.ssn"},
    {"CALL app.nosuch((SELECT ssn FROM customers))", "* :~customers.ssn", "", "customers.ssn"},
    {"ALTER TABLE customers RENAME ssn TO x", "", "", "customers.ssn"},
    {"ALTER TABLE customers RENAME TO persons", "", "", "customers.*"},
    {"ALTER TABLE customers SET SCHEMA other", "", "", "customers.*"},
    {"ALTER SCHEMA app RENAME TO b", "", "", "app.*.*"},
    {"ALTER TABLE parent DETACH PARTITION child", "", "", "child.*+parent.*"},
    {"ALTER TABLE customers INHERIT parent", "", "", "customers.*+parent.*"},
    {"ALTER TABLE customers ADD x text GENERATED ALWAYS AS (ssn || 'x') STORED", "", "", "customers.ssn"},
    {"ALTER TABLE customers ADD x text DEFAULT 'x'", "", "", ""},
    {"ALTER TABLE customers ALTER name TYPE text USING ssn", "", "", "customers.ssn"},
    {"ALTER TABLE customers ALTER ssn TYPE varchar USING left(ssn, 3)", "", "", ""},
    {"ALTER TABLE customers ADD CHECK (ssn > 'm')", "", "customers.ssn", ""},
    {"ALTER TABLE customers ADD UNIQUE (ssn)", "", "customers.ssn", ""},
    {"ALTER TABLE customers ADD FOREIGN KEY (id) REFERENCES orders (customer_id)", "",
     "customers.id+orders.customer_id", ""},
    {"ALTER TABLE customers ALTER ssn SET NOT NULL", "", "customers.ssn", ""},
    {"ALTER TABLE customers DROP COLUMN ssn", "", "", ""},
    {"ALTER TABLE customers ALTER ssn DROP EXPRESSION", "", "", "customers.ssn"},
    {"ALTER TABLE customers CLUSTER ON x", "", "customers.id+customers.name+customers.ssn", ""},
    {"CREATE INDEX ON customers (ssn, id)", "", "customers.id+customers.ssn", ""},
    {"CREATE UNIQUE INDEX ON customers (ssn)", "", "customers.ssn", ""},
    {"CREATE INDEX ON customers (ssn)", "", "", ""},
    {"CREATE INDEX ON customers (name) WHERE ssn > 'm'", "", "customers.ssn", ""},
    {"CREATE POLICY p ON customers USING (ssn > 'm')", "", "customers.ssn", ""},
    {"CREATE TRIGGER t AFTER INSERT ON customers EXECUTE FUNCTION app.f()", "", "", "customers.*"},
    {"CREATE RULE r AS ON UPDATE TO orders DO ALSO SELECT ssn FROM customers", "", "", "customers.ssn+orders.*"},
};

void check(const LineageRow& row) {
  Analysis analysis = analysed(row.sql);
  ASSERT_EQ(analysis.statements.size(), 1u) << row.sql;
  const Statement& statement = analysis.statements[0];
  EXPECT_EQ(render_outputs(statement), row.outputs) << row.sql;
  EXPECT_EQ(render_origins(statement.tested), row.tested) << row.sql << " tests";
  EXPECT_EQ(render_origins(statement.stored), row.stored) << row.sql << " stores";
}

TEST(Lineage, Queries) {
  for (const LineageRow& row : kQueries) check(row);
}

TEST(Lineage, Changes) {
  for (const LineageRow& row : kChanges) check(row);
}

TEST(Lineage, OfPreparedStatementsAndCursors) {
  struct Names final : SessionNames {
    Statement statement;
    const Statement* prepared(std::string_view) const override { return &statement; }
    const Statement* cursor(std::string_view) const override { return &statement; }
  } names;
  names.statement = analysed("PREPARE q AS SELECT upper(ssn) AS u FROM customers WHERE id = $1").statements[0];
  for (const char* sql : {"EXECUTE q(1)", "FETCH ALL FROM c"}) {
    const Statement statement = analysed(sql, names).statements[0];
    EXPECT_EQ(render_outputs(statement), "u:~customers.ssn") << sql;
    EXPECT_EQ(render_origins(statement.tested), "customers.id") << sql;
  }
  const Statement stored = analysed("CREATE TEMP TABLE t AS EXECUTE q(1)", names).statements[0];
  EXPECT_EQ(render_origins(stored.stored), "customers.ssn");
  EXPECT_TRUE(stored.outputs.empty());
}

TEST(Lineage, AViewIsOpaqueOnceTheTextItselfMovedNames) {
  const Analysis analysis = analysed("CREATE TEMP TABLE customers (ssn int); SELECT ssn FROM v_ssn");
  ASSERT_EQ(analysis.statements.size(), 2u);
  EXPECT_EQ(render_outputs(analysis.statements[1]), "ssn:v_ssn.ssn");
}

TEST(Lineage, WideAndDeepRecursionEnds) {
  std::string list = "c0";
  std::string first = "ssn";
  std::string shifted = "'x'";
  for (int i = 1; i < 200; ++i) {
    list += ", c" + std::to_string(i);
    first += i == 1 ? ", name" : ", 'y'";
    shifted += ", c" + std::to_string(i - 1);
  }
  const Statement wide = analysed("WITH RECURSIVE r(" + list + ") AS (SELECT " + first +
                                  " FROM customers UNION ALL SELECT " + shifted + " FROM r) SELECT c0, c199 FROM r")
                             .statements[0];
  ASSERT_EQ(wide.outputs.size(), 2u);
  EXPECT_EQ(render_origins(wide.outputs[0].from), "customers.ssn");
  EXPECT_NE(render_origins(wide.outputs[1].from).find("customers.ssn"), std::string::npos);
  std::string nested = "SELECT ssn AS a FROM customers";
  for (int i = 0; i < 12; ++i)
    nested = "WITH RECURSIVE r AS (" + nested + " UNION ALL SELECT a FROM r) SELECT a FROM r";
  EXPECT_EQ(render_outputs(analysed(nested).statements[0]), "a:~customers.ssn");
}

}  // namespace
}  // namespace sallyport::sql
