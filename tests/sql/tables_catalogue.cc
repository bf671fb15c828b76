// SPDX-License-Identifier: Apache-2.0
#include "tables.h"

namespace sallyport::sql {
namespace {

using Columns = std::vector<std::string>;

std::shared_ptr<RelationFact> fact(std::string schema, std::string name, Columns columns, char kind = 'r') {
  auto made = std::make_shared<RelationFact>();
  made->found = true;
  made->schema = std::move(schema);
  made->name = std::move(name);
  made->kind = kind;
  made->columns = std::move(columns);
  return made;
}

}  // namespace

std::shared_ptr<const RelationFact> server_relation(const RelationName& name) {
  static const std::vector<std::shared_ptr<const RelationFact>> relations = [] {
    std::vector<std::shared_ptr<const RelationFact>> all;
    all.push_back(fact("public", "customers", {"id", "name", "", "ssn"}));
    all.push_back(fact("public", "orders", {"id", "customer_id", "amount"}));
    auto line = fact("public", "lines", {"order_id"});
    line->references = {"public.orders"};
    all.push_back(line);
    all.push_back(fact("pg_catalog", "pg_class", {"oid", "relname", "relnamespace"}));
    all.push_back(fact("pg_catalog", "pg_tables", {"schemaname", "tablename"}, 'v'));
    all.push_back(fact("public", "v", {"a"}, 'v'));
    all.push_back(fact("public", "mv", {"a"}, 'm'));
    for (const char* name : {"ft", "ft_file", "ft_program", "ft_remote"})
      all.push_back(fact("public", name, {"a"}, 'f'));
    auto parent = fact("public", "parent", {"a", "b"}, 'p');
    parent->family = parent->descendants = {"public.child"};
    all.push_back(parent);
    auto watched = fact("public", "watched", {"a"});
    watched->hidden = RelationFact::on_insert | RelationFact::on_delete;
    watched->sequences = {"public.watched_seq"};
    all.push_back(watched);
    auto guarded = fact("public", "guarded", {"a"});
    guarded->hidden = RelationFact::on_select;
    all.push_back(guarded);
    all.push_back(fact("pg_temp", "scratch", {"x"}));
    all.push_back(fact("public", "v_ssn", {"ssn"}, 'v'));
    all.push_back(fact("public", "v_invoker", {"ssn"}, 'v'));
    auto instead = fact("public", "v_instead", {"id"}, 'v');
    instead->hidden = RelationFact::on_update;
    all.push_back(instead);
    all.push_back(fact("public", "mv_ssn", {"ssn"}, 'm'));
    auto audited = fact("public", "audited", {"id", "at"});
    audited->hidden = RelationFact::on_insert | RelationFact::on_update;
    all.push_back(audited);
    auto owner = fact("public", "owner", {"id"});
    owner->hidden = RelationFact::on_delete | RelationFact::on_update;
    all.push_back(owner);
    auto shielded = fact("public", "shielded", {"id", "who"});
    shielded->hidden = 15;
    all.push_back(shielded);
    return all;
  }();
  for (const auto& known : relations)
    if (known->name == name.name && (name.schema.empty() || name.schema == known->schema)) return known;
  return std::make_shared<RelationFact>();
}

std::shared_ptr<const BehindFact> server_behind(const RelationName& name) {
  BehindFact behind;
  if (name.name == "watched") behind.hidden = RelationFact::on_insert | RelationFact::on_delete;
  if (name.name == "ft_file") behind = {.wrapper = "file_fdw_handler", .server = "s", .file = "/etc/hosts"};
  if (name.name == "ft_program") behind = {.wrapper = "file_fdw_handler", .server = "s", .program = "id"};
  if (name.name == "ft_remote") behind = {.wrapper = "postgres_fdw_handler", .server = "elsewhere"};
  if (name.name == "guarded") behind.hidden = RelationFact::on_select;
  if (name.name == "v_ssn") behind.definition = "SELECT ssn FROM customers";
  if (name.name == "v_invoker") behind = {.definition = "SELECT ssn FROM v_ssn", .invoker_rights = true};
  if (name.name == "mv_ssn") behind.definition = "SELECT ssn FROM customers";
  if (name.name == "v_instead")
    behind = {.runs = {{RelationFact::on_update, "trigger i", {"app", "constant"}, ""}},
              .definition = "SELECT id FROM orders"};
  if (name.name == "audited")
    behind.runs = {{RelationFact::on_insert, "trigger audit", {"app", "constant"}, ""},
                   {RelationFact::on_update,
                    "trigger pays",
                    {"app", "plain"},
                    "CREATE TRIGGER pays AFTER UPDATE ON audited FOR EACH ROW WHEN (app.name_of(new.id) <> '') "
                    "EXECUTE FUNCTION app.plain()"},
                   {RelationFact::on_insert, "default of at", {}, "app.name_of(3)"},
                   {RelationFact::on_insert, "check c", {}, "(id > 0)"}};
  if (name.name == "owner")
    behind.cascades = {{RelationFact::on_delete, {"public", "audited"}, true},
                       {RelationFact::on_delete, {"public", "owner"}, true},
                       {RelationFact::on_update, {"public", "audited"}, false}};
  if (name.name == "shielded")
    behind.runs = {
        {15, "policy p", {}, "(who = CURRENT_USER), (EXISTS ( SELECT 1 FROM orders o WHERE o.id = shielded.id))"}};
  return std::make_shared<BehindFact>(std::move(behind));
}

const std::vector<Row>& catalogue_rows() {
  static const std::vector<Row> rows = {
      {"SELECT * FROM customers", "select read public.customers(id,name,ssn)"},
      {"SELECT c.* FROM customers c, orders", "select read public.customers(id,name,ssn); select read public.orders"},
      {"SELECT c FROM customers c", "select read public.customers(id,name,ssn)"},
      {"SELECT row_to_json(c) FROM customers c", "select read public.customers(id,name,ssn)"},
      {"SELECT row_to_json(customers) FROM customers", "select read public.customers(id,name,ssn)"},
      {"SELECT (c).ssn FROM customers c", "select read public.customers(ssn)"},
      {"SELECT (c).* FROM customers c", "select read public.customers(id,name,ssn)"},
      {"SELECT count(*) FROM customers", "select read public.customers"},
      {"SELECT ssn, amount FROM customers, orders",
       "select read public.customers(ssn); select read public.orders(amount)"},
      {"SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders WHERE customer_id = ssn)",
       "select read public.customers(name,ssn); select read public.orders(customer_id)"},
      {"SELECT * FROM customers JOIN orders USING (id)",
       "select read public.customers(id,name,ssn); select read public.orders(amount,customer_id,id)"},
      {"SELECT 1 FROM customers NATURAL JOIN orders",
       "select read public.customers(id); select read public.orders(id)"},
      {"SELECT j.ssn FROM (customers c JOIN orders o ON c.id = o.customer_id) AS j",
       "select read public.customers(id,ssn); select read public.orders(customer_id)"},
      {"SELECT a, b FROM customers AS x(a, b)", "select read public.customers(id,name)"},
      {"SELECT s.x FROM (SELECT ssn AS x, name FROM customers) s", "select read public.customers(name,ssn)"},
      {"SELECT ctid FROM customers", "select read public.customers(ctid)"},
      {"SELECT customers.nosuch FROM customers", "select read public.customers(id,name,ssn)"},
      {"SELECT nosuch FROM customers", "select read public.customers(id,name,ssn)"},
      {"SELECT c.pg_read_file FROM customers c",
       "select read public.customers(id,name,ssn); unknown execute function pg_catalog.pg_read_file"},
      {"SELECT 1 FROM customers GROUP BY name ORDER BY id", "select read public.customers(id,name)"},
      {"SELECT length(ssn) AS n FROM customers ORDER BY n", "select read public.customers(ssn)"},
      {"SELECT name AS ssn FROM customers GROUP BY ssn", "select read public.customers(name,ssn)"},
      {"WITH customers AS (SELECT * FROM customers) SELECT ssn FROM customers",
       "select read public.customers(id,name,ssn)"},
      {"WITH customers AS (SELECT 1 AS ssn) SELECT ssn FROM customers", ""},
      {"WITH customers AS (SELECT 1 AS ssn) SELECT ssn FROM public.customers", "select read public.customers(ssn)"},
      {"WITH RECURSIVE r AS (SELECT id FROM orders UNION SELECT c.id FROM customers c JOIN r ON r.id = c.id) SELECT * "
       "FROM r",
       "select read public.orders(id); select read public.customers(id)"},
      {"INSERT INTO customers VALUES (1, 'a')", "insert write public.customers(id,name)"},
      {"INSERT INTO customers SELECT * FROM orders",
       "insert write public.customers(id,name,ssn); select read public.orders(amount,customer_id,id)"},
      {"INSERT INTO customers (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn, name = customers.name "
       "RETURNING *",
       "insert write public.customers(id,name,ssn); insert read public.customers(id,name,ssn)"},
      {"INSERT INTO customers DEFAULT VALUES", "insert write public.customers"},
      {"UPDATE customers SET name = upper(name) WHERE id = 1",
       "update write public.customers(name); update read public.customers(id,name)"},
      {"UPDATE customers SET name = 'x'", "update write public.customers(name)"},
      {"UPDATE customers c SET name = o.amount FROM orders o WHERE o.id = c.id RETURNING c.ssn",
       "update write public.customers(name); update read public.orders(amount,id); update read "
       "public.customers(id,ssn)"},
      {"DELETE FROM customers USING orders WHERE customer_id = customers.id",
       "delete write public.customers; delete read public.orders(customer_id); delete read public.customers(id)"},
      {"MERGE INTO customers c USING orders o ON c.id = o.id WHEN MATCHED AND o.amount > 1 THEN DELETE "
       "WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES (o.id, 'x')",
       "merge write public.customers(id,ssn); merge read public.orders(amount,id); merge read public.customers(id)"},
      {"SELECT a FROM v", "select read public.v(a); unknown read public.v"},
      {"SELECT a FROM mv", "select read public.mv(a); unknown read public.mv"},
      {"INSERT INTO ft VALUES (1)", "insert write public.ft(a); unknown write public.ft"},
      {"SELECT a FROM ft_file", "select read public.ft_file(a); select read file /etc/hosts"},
      {"SELECT a FROM ft_program", "select read public.ft_program(a); select execute program id"},
      {"INSERT INTO ft_remote VALUES (1)", "insert write public.ft_remote(a); insert write other server elsewhere"},
      {"SELECT tablename FROM pg_tables", "select read pg_catalog.pg_tables(tablename)"},
      {"SELECT relname FROM pg_class WHERE oid = 'customers'::regclass",
       "select read pg_catalog.pg_class(oid,relname)"},
      {"SELECT a FROM parent", "select read public.parent(a); select read public.child(a) through public.parent"},
      {"SELECT a FROM ONLY parent", "select read public.parent(a)"},
      {"UPDATE parent SET a = 1", "update write public.parent(a); update write public.child(a) through public.parent"},
      {"INSERT INTO watched VALUES (1)",
       "insert write public.watched(a); insert write public.watched_seq through public.watched; unknown write "
       "public.watched"},
      {"UPDATE watched SET a = 1", "update write public.watched(a)"},
      {"SELECT ssn FROM v_ssn",
       "select read public.v_ssn(ssn); select read public.customers(ssn) through public.v_ssn"},
      {"SELECT ssn FROM v_ssn, customers",
       "select read public.v_ssn(ssn); select read public.customers(ssn) through public.v_ssn; select read "
       "public.customers(ssn)"},
      {"SELECT ssn FROM v_invoker",
       "select read public.v_invoker(ssn); select read public.v_ssn(ssn); select read public.customers(ssn) through "
       "public.v_ssn"},
      {"UPDATE v_ssn SET ssn = '1'",
       "update write public.v_ssn(ssn); select read public.customers(ssn) through public.v_ssn; update write "
       "public.customers(*) through public.v_ssn"},
      {"UPDATE v_instead SET id = 1",
       "update write public.v_instead(id); select read public.orders(id) through public.v_instead; call execute "
       "function app.constant through public.v_instead; delete write public.orders"},
      {"SELECT ssn FROM mv_ssn",
       "select read public.mv_ssn(ssn); select read public.customers(ssn) through public.mv_ssn"},
      {"REFRESH MATERIALIZED VIEW mv_ssn",
       "refresh write public.mv_ssn; select read public.customers(ssn) through public.mv_ssn"},
      {"INSERT INTO audited (id) VALUES (1)",
       "insert write public.audited(id); call execute function app.constant through public.audited; delete write "
       "public.orders; call execute function app.name_of; select read public.customers(id,name)"},
      {"UPDATE audited SET id = 1",
       "update write public.audited(id); call execute function app.plain through public.audited; call execute function "
       "app.name_of; select read public.customers(id,name)"},
      {"INSERT INTO lines VALUES (1)",
       "insert write public.lines(order_id); select read public.orders through public.lines"},
      {"DELETE FROM lines", "delete write public.lines"},
      {"DELETE FROM audited", "delete write public.audited"},
      {"DELETE FROM owner", "delete write public.owner; delete write public.audited"},
      {"UPDATE owner SET id = 2",
       "update write public.owner(id); update write public.audited(*); call execute function app.plain through "
       "public.audited; call execute function app.name_of; select read public.customers(id,name)"},
      {"SELECT id FROM shielded", "select read public.shielded(id); select read public.orders(id)"},
      {"SELECT a FROM guarded", "select read public.guarded(a); unknown read public.guarded"},
      {"SELECT x FROM scratch", "select read pg_temp.scratch(x)"},
      {"SELECT x FROM pg_temp.scratch", "select read pg_temp.scratch(x)"},
      {"CREATE TABLE t (a int); INSERT INTO t VALUES (1); SELECT a FROM t",
       "create write public.t | insert write public.t(a) | select read public.t(a)"},
      {"CREATE TEMP TABLE customers (x int); SELECT ssn FROM customers",
       "create write pg_temp.customers | select read pg_temp.customers(x)"},
      {"CREATE TABLE IF NOT EXISTS v (a int); SELECT a FROM v",
       "create write public.v | select read public.v(a); unknown read public.v"},
      {"BEGIN; CREATE TEMP TABLE customers (x int); ROLLBACK; SELECT ssn FROM customers",
       "transaction execute other transaction | create write pg_temp.customers | transaction execute other transaction "
       "| unknown read customers(ssn,*)"},
      {"SET search_path = s; SELECT ssn FROM customers",
       "set write setting search_path | unknown read customers(ssn,*)"},
      {"SET search_path = s; SELECT ssn FROM public.customers",
       "set write setting search_path | select read public.customers(ssn)"},
      {"EXPLAIN CREATE TEMP TABLE customers AS SELECT 1; SELECT ssn FROM customers",
       "create read pg_temp.customers | select read public.customers(ssn)"},
      {"ALTER TABLE v RENAME TO w; SELECT a FROM public.w", "alter write public.v | unknown read public.w(a,*)"},
      {"DROP TABLE IF EXISTS nosuch", "drop write public.nosuch"},
      {"COPY customers TO STDOUT", "copy read public.customers(id,name,ssn)"},
      {"COPY customers (id) FROM STDIN", "copy write public.customers(id)"},
  };
  return rows;
}

}  // namespace sallyport::sql
