// SPDX-License-Identifier: Apache-2.0
// Functions, types and operators of a small server, and what statements that use them do.
#include <map>

#include "tables.h"

namespace sallyport::sql {
namespace {

using Routines = std::multimap<std::string, Routine>;

Routine code(std::string name, std::string language, std::string source, std::vector<std::string> parameters = {}) {
  Routine made;
  made.schema = "app";
  made.name = std::move(name);
  made.owner = "boss";
  made.language = std::move(language);
  made.source = std::move(source);
  made.parameters = std::move(parameters);
  return made;
}

Routines make_routines() {
  Routines all;
  auto add = [&](Routine routine) { all.emplace(routine.name, std::move(routine)); };
  add(code("plain", "sql", "SELECT a + 1 FROM (SELECT $1 AS a) s"));
  add(code("name_of", "sql", "SELECT name FROM public.customers WHERE id = wanted", {"wanted"}));
  add(code("pay", "plpgsql", R"(
DECLARE
  due numeric := 0; who public.customers%ROWTYPE;
BEGIN
  SELECT amount INTO STRICT due FROM public.orders WHERE id = $1;
  IF due > 10 THEN
    UPDATE public.orders SET amount = amount - due WHERE orders.id = who.id;
  ELSE
    RAISE EXCEPTION 'too little: %', due USING ERRCODE = '22012';
  END IF;
  due := app.plain(due);
  RETURN due;
EXCEPTION WHEN SQLSTATE '22012' THEN
  PERFORM app.name_of(3);
END)",
           {"order_id"}));
  add(code("constant", "plpgsql", "BEGIN EXECUTE 'DELETE FROM ' || 'public.orders'; END"));
  add(code("computed", "plpgsql", "BEGIN EXECUTE 'DELETE FROM ' || t; END", {"t"}));
  add(code("loops", "plpgsql", R"(<<outer>> DECLARE r record; c CURSOR (k int) FOR SELECT id FROM public.orders;
BEGIN
  FOR r IN SELECT name FROM public.customers LOOP NULL; END LOOP;
  FOR i IN REVERSE 10..1 BY 2 LOOP CONTINUE outer WHEN i > 3; END LOOP;
  FOREACH r IN ARRAY ARRAY[1, 2] LOOP EXIT; END LOOP;
  WHILE r.x < 3 LOOP r.x := r.x + 1; END LOOP;
  OPEN c(3); FETCH NEXT FROM c INTO r; CLOSE c;
  CASE r.x WHEN 1 THEN NULL; ELSE NULL; END CASE;
  RETURN QUERY SELECT ssn FROM public.customers;
END outer)"));
  add(code("not_plpgsql", "plpgsql", "BEGIN frobnicate; END"));
  add(code("itself", "sql", "SELECT app.itself() FROM public.orders"));
  add(code("snake", "plpython3u", "return 1"));
  add(code("moves", "plpgsql", "BEGIN SET search_path = evil; PERFORM id FROM orders; END"));
  Routine definer = code("definer", "sql", "SELECT ssn FROM customers");
  definer.security_definer = true;
  definer.settings = {"search_path=public, pg_temp"};
  add(definer);
  Routine atomic = code("atomic", "sql", R"(CREATE OR REPLACE FUNCTION app.atomic(k integer)
 RETURNS text LANGUAGE sql BEGIN ATOMIC  SELECT name FROM public.customers WHERE id = k; END)",
                        {"k"});
  atomic.definition = true;
  add(atomic);
  Routine native = code("native", "c", "native");
  native.library = "$libdir/mine";
  add(native);
  native.name = "native_pure";
  native.volatility = 'i';
  add(native);
  Routine sum = code("total", "internal", "aggregate_dummy");
  sum.kind = 'a';
  sum.parts = {{"app", "name_of"}};
  add(sum);
  Routine defaulted = code("defaulted", "sql", "SELECT k", {"k"});
  defaulted.defaults = "app.name_of(1)";
  add(defaulted);
  sum.name = "rewrites";
  sum.parts = {{"pg_catalog", "ts_rewrite"}};
  add(sum);
  sum.name = "largest";
  sum.parts = {{"pg_catalog", "int4larger"}};
  add(sum);
  // Defaults are in the session's names and the caller's rights, whatever the function sets for itself.
  defaulted.name = "defaulted_elsewhere";
  defaulted.defaults = "homely()";
  defaulted.security_definer = true;
  defaulted.settings = {"search_path=evil"};
  add(defaulted);
  add(code("homely", "sql", "SELECT 1 FROM public.orders"));
  Routine hides = code("hides_text", "plpgsql", "BEGIN EXECUTE 'DELETE FROM public.orders'::text; END");
  hides.settings = {"search_path=pg_catalog, odd"};
  add(hides);
  hides.name = "hidden_text";
  hides.settings = {"search_path=odd, pg_catalog"};
  add(hides);
  Routine cross = code("crosstab", "c", "crosstab");
  cross.library = "$libdir/tablefunc";
  add(cross);
  cross.name = "connectby";
  cross.source = "connectby_text";
  add(cross);
  add(code("eq_noisy", "sql", "SELECT true FROM public.orders"));
  add(code("abs", "sql", "SELECT 1 FROM public.orders"));
  add(code("check_me", "sql", "SELECT ssn IS NULL FROM public.customers"));
  return all;
}

}  // namespace

FunctionFact server_function(const RelationName& name) {
  static const Routines routines = make_routines();
  FunctionFact fact;
  // "abs" is visible without its schema, "homely" in the session's search path, the rest is not.
  bool visible = name.name == "abs" || (name.name == "homely" && name.schema.empty());
  if (name.schema != "app" && !visible) return fact;
  auto [begin, end] = routines.equal_range(name.name);
  for (auto each = begin; each != end; ++each) fact.routines.push_back(std::make_shared<Routine>(each->second));
  fact.shadowed = !fact.routines.empty();
  return fact;
}

TypeFact server_type(const RelationName& name) {
  if (name.name == "mood" || name.name == "customers") return {true, {}, {}};
  if (name.name == "checked") return {true, {"app.check_me(VALUE)"}, {}};
  if (name.name == "narrow") return {true, {"VALUE > 0"}, {}};
  if (name.name == "cast_by_code") return {true, {}, {{"app", "name_of"}}};
  if (name.schema == "odd") return {name.name == "text", {}, {}};
  bool builtin = name.schema.empty() || name.schema == "pg_catalog";
  return {builtin, {}, {}, builtin};
}

OperatorFact server_operator(const RelationName& name) {
  if (name.name == "@@@") return {{{"app", "eq_noisy"}}};
  if (name.name == "###") return {{{"app", "native_pure"}}};
  if (name.name == "@!") return {{{"pg_catalog", "ts_stat"}}};
  if (name.name == "+!") return {{{"pg_catalog", "int4pl"}}};
  return {};
}

const std::vector<Row>& routine_rows() {
  static const std::vector<Row> rows = {
      {"SELECT app.plain(1)", "call execute function app.plain"},
      {"SELECT app.name_of(1)", "call execute function app.name_of; select read public.customers(id,name)"},
      {"SELECT app.pay(1)",
       "call execute function app.pay; select read public.orders(amount,id); update write public.orders(amount); "
       "update read public.orders(amount,id); call execute function app.plain; call execute function app.name_of; "
       "select read public.customers(id,name)"},
      {"SELECT app.constant()", "call execute function app.constant; delete write public.orders"},
      {"SELECT app.computed('x')", "call execute function app.computed; unknown execute function app.computed"},
      {"SELECT app.loops()",
       "call execute function app.loops; select read public.orders(id); select read public.customers(name,ssn)"},
      {"SELECT app.not_plpgsql()", "call execute function app.not_plpgsql; unknown execute function app.not_plpgsql"},
      {"SELECT app.itself()", "call execute function app.itself; select read public.orders"},
      {"SELECT app.snake()", "call execute function app.snake; unknown execute function app.snake"},
      {"SELECT app.definer()",
       "call execute function app.definer; select read public.customers(ssn) through app.definer"},
      {"SELECT app.atomic(1)", "call execute function app.atomic; select read public.customers(id,name)"},
      {"SELECT app.native()", "call execute function app.native; unknown execute function app.native"},
      {"SELECT app.native_pure()", "call execute function app.native_pure"},
      {"SELECT * FROM app.crosstab('SELECT id, amount FROM public.orders') AS (a int)",
       "call execute function app.crosstab; select read public.orders(amount,id)"},
      {"SELECT app.crosstab(name) FROM customers",
       "select read public.customers(name); call execute function app.crosstab; unknown execute function app.crosstab"},
      {"SELECT app.connectby('public.orders', 'id', 'customer_id', '1', 0)",
       "call execute function app.connectby; select read public.orders(customer_id,id)"},
      {"SELECT app.total(id) FROM orders",
       "select read public.orders(id); call execute function app.total; call execute function app.name_of; select read "
       "public.customers(id,name)"},
      {"SELECT app.defaulted()",
       "call execute function app.defaulted; call execute function app.name_of; select read "
       "public.customers(id,name)"},
      {"SELECT abs(1)", "call execute function app.abs; select read public.orders"},
      {"SELECT app.moves()",
       "call execute function app.moves; set write setting search_path; unknown read orders(id,*)"},
      {"SELECT set_config('search_path', 'x', true), app.name_of(1)",
       "set write setting search_path; call execute function app.name_of; select read public.customers(id,name); "
       "unknown execute function"},
      {"CALL app.pay(1)",
       "call execute function app.pay; select read public.orders(amount,id); update write public.orders(amount); "
       "update read public.orders(amount,id); call execute function app.plain; call execute function app.name_of; "
       "select read public.customers(id,name)"},
      {"SELECT 'x'::mood, NULL::mood[], 'y'::customers", ""},
      {"SELECT '1'::narrow", ""},
      {"SELECT '1'::checked", "call execute function app.check_me; select read public.customers(ssn)"},
      {"SELECT '1'::cast_by_code", "call execute function app.name_of; select read public.customers(id,name)"},
      {"SELECT '1'::app.nosuch", "unknown execute type app.nosuch"},
      {"SELECT 1 @@@ 2", "call execute function app.eq_noisy; select read public.orders"},
      {"SELECT 1 ### 2, 1 = 2, 1 BETWEEN 2 AND 3", ""},
      // What is built in is judged by name, whoever calls it.
      {"SELECT @! 'SELECT ssn FROM public.customers'", "unknown execute function pg_catalog.ts_stat"},
      {"SELECT 1 +! 2", ""},
      {"SELECT app.rewrites('SELECT ssn FROM public.customers')",
       "call execute function app.rewrites; unknown execute function pg_catalog.ts_rewrite"},
      {"SELECT app.largest(id) FROM public.orders", "select read public.orders(id); call execute function app.largest"},
      {"SELECT app.defaulted_elsewhere()",
       "call execute function app.defaulted_elsewhere; call execute function app.homely; select read public.orders"},
      // Constant is only what the server takes as it is written.
      {"SELECT app.hides_text()", "call execute function app.hides_text; delete write public.orders"},
      {"SELECT app.hidden_text()", "call execute function app.hidden_text; unknown execute function app.hidden_text"},
      {"DO $$ BEGIN EXECUTE ('DELETE ' || 'FROM '::text) OPERATOR(pg_catalog.||) 'public.orders'::varchar; END $$",
       "delete write public.orders"},
      {"DO $$ BEGIN EXECUTE 'DELETE FROM public.orders -- '::varchar(26); END $$", "unknown execute other do block"},
      {"DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'orders'::regclass; END $$", "unknown execute other do block"},
      {"DO $$ BEGIN EXECUTE 'DELETE FROM ' OPERATOR(app.||) 'orders'; END $$",
       "unknown execute function operator app.||; unknown execute other do block"},
      {"SELECT query_to_xml('SELECT 1 -- '::varchar(8), true, false, '')",
       "unknown execute function pg_catalog.query_to_xml"},
      {"SELECT set_config('application_name'::text, 'me'::varchar, false)", "set write setting application_name"},
      {"SELECT set_config('application_name'::mood::text, 'ag', false)", "unknown write setting"},
      {"SELECT set_config('role', 'appx'::varchar(3), false)", "set write role role; unknown write setting role"},
      {"SELECT set_config('a.b', NULL, false)", "set write setting a.b"},
      {"SELECT nextval('public.watched'::text::regclass)", "select write public.watched"},
      {"SELECT nextval('public.watched_2'::varchar(14)::regclass)", "unknown write"},
      {"SELECT pg_notify('c'::varchar, 'x')", "notify write channel c"},
      {"SELECT pg_notify('cc'::varchar(1), 'x')", "unknown execute function pg_catalog.pg_notify"},
      {"EXPLAIN SELECT app.constant()", "call execute function app.constant; delete read public.orders"},
      {"DO $$ BEGIN DELETE FROM public.orders WHERE id = 1; END $$",
       "delete write public.orders; delete read public.orders(id)"},
      {"DO $$ BEGIN EXECUTE 'DEL' || 'ETE FROM public.orders'; END $$", "delete write public.orders"},
      {"DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM public.orders LOOP EXECUTE 'SELECT ' || r.id; END LOOP; "
       "END $$",
       "select read public.orders(id); unknown execute other do block"},
      {"DO $$ BEGIN CREATE TEMP TABLE fresh (x int); PERFORM x FROM fresh; END $$",
       "create write pg_temp.fresh; select read pg_temp.fresh(x)"},
      {"DO $$ BEGIN IF false THEN CREATE TEMP TABLE customers (ssn text); END IF; PERFORM ssn FROM customers; END $$",
       "create write pg_temp.customers; unknown read customers(ssn,*)"},
      {"DO LANGUAGE plpython3u 'pass'", "unknown execute other do block"},
  };
  return rows;
}

}  // namespace sallyport::sql
