// SPDX-License-Identifier: Apache-2.0
// A schema as text: how it is cut, what facts it gives, and what statements do under it. That pg_dump's text gives what
// the server itself says is shown in tests/interop/test_schema.py.
#include "sallyport/sql/schema_text.h"

#include <gtest/gtest.h>

#include "render.h"
#include "sallyport/base/limits.h"
#include "sql/schema_split.h"

namespace sallyport::sql {
namespace {

std::string pieces(std::string_view text) {
  StatementSplitter splitter(text);
  std::string out;
  std::string_view statement;
  size_t line = 0;
  while (splitter.next(statement, line))
    out.append(out.empty() ? "" : " | ").append(std::to_string(line)).append(":").append(statement);
  return out;
}

TEST(StatementSplitter, CutsAsPsqlDoes) {
  const std::pair<const char*, const char*> kRows[] = {
      {"", ""},
      {"a; b", "1:a | 1:b"},
      {"-- x; y\na;;\n\nb;", "2:a | 4:b"},
      {"a '; ''; ' ; b", "1:a '; ''; '  | 1:b"},
      {"a E'\\';' ; b", "1:a E'\\';'  | 1:b"},
      {"a 'x\\' ; b", "1:a 'x\\'  | 1:b"},
      {"a \"; \" ; b", "1:a \"; \"  | 1:b"},
      {"a $$ ; $$ ; b", "1:a $$ ; $$  | 1:b"},
      {"a $t$ ; $$ ; $t$ ; b $1 ; c", "1:a $t$ ; $$ ; $t$  | 1:b $1  | 1:c"},
      {"a /* ; /* ; */ ; */ b; c", "1:a /* ; /* ; */ ; */ b | 1:c"},
      {"create rule r as on insert to t do (a; b); c", "1:create rule r as on insert to t do (a; b) | 1:c"},
      {"create or replace function f() returns int begin atomic select 1; select case when a then b end; end; c",
       "1:create or replace function f() returns int begin atomic select 1; select case when a then b end; end | 1:c"},
      {"begin; select 1; end; c", "1:begin | 1:select 1 | 1:end | 1:c"},
      {"\\restrict x;y\na;\n\\connect db\nb;", "2:a | 4:b"},
      {"COPY t (a) FROM stdin;\n1;2\n\\N\n\\.\n\nb;", "1:COPY t (a) FROM stdin | 6:b"},
      {"a 'never closed ; b", "1:a 'never closed ; b"},
      {"a $t$ never closed ; b", "1:a $t$ never closed ; b"},
      {"a (((; b", "1:a (((; b"},
  };
  for (const auto& [text, expected] : kRows) EXPECT_EQ(pieces(text), expected) << text;
}

TEST(StatementSplitter, Brackets) {
  EXPECT_EQ(bracketed("check (value > (1 + 2)) more", 0), "value > (1 + 2)");
  EXPECT_EQ(bracketed("constraint \"a(b\" check (value <> ')')", 0), "value <> ')'");
  EXPECT_EQ(bracketed("no brackets", 0), "");
}

SchemaText read(std::string_view text) {
  auto schema = SchemaText::read(text);
  if (!schema) {
    ADD_FAILURE() << schema.error().what;
    std::abort();
  }
  return std::move(*schema);
}

/// What a statement does under a schema.
std::string effects(const SchemaText& schema, std::string_view sql) {
  Catalogue catalogue;
  for (int round = 0; round <= limits::kFactRoundsMax; ++round) {
    auto answer = analyse(sql, {.creation_schema = "public"}, catalogue, NoSessionNames());
    if (const auto* analysis = std::get_if<Analysis>(&answer)) {
      std::string line;
      for (const Statement& statement : analysis->statements)
        line.append(line.empty() ? "" : " | ").append(render(statement));
      return line;
    }
    schema.answer(std::get<Missing>(answer), catalogue);
  }
  return "the look-ups never end";
}

RelationFact relation(const SchemaText& schema, const char* in, const char* name) {
  Catalogue catalogue;
  schema.answer({.relations = {{in, name}}}, catalogue);
  return *catalogue.relations.at({in, name});
}

constexpr std::string_view kShop = R"sql(
CREATE SCHEMA app;
CREATE TYPE public.mood AS ENUM ('sad', 'glad');
CREATE DOMAIN public.positive AS integer CONSTRAINT positive_check CHECK ((VALUE > 0));
CREATE FUNCTION app.pay(amount numeric) RETURNS void LANGUAGE sql AS $$ UPDATE app.ledger SET total = amount $$;
CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.log VALUES (1); RETURN NEW; END $$;
CREATE TABLE app.ledger (total numeric);
CREATE TABLE app.log (id bigserial, at timestamp DEFAULT now());
CREATE TABLE public.customers (id integer GENERATED ALWAYS AS IDENTITY, email text, ssn text, feeling mood, age positive);
CREATE TABLE public.orders (id integer, customer integer REFERENCES customers ON DELETE CASCADE, item text);
CREATE TABLE public.events (id integer, day date) PARTITION BY RANGE (day);
CREATE TABLE public.events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE public.events_old (id integer, day date);
ALTER TABLE ONLY public.events ATTACH PARTITION public.events_old DEFAULT;
CREATE VIEW public.people AS SELECT id, email FROM customers;
CREATE TRIGGER audited AFTER INSERT OR UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION app.audit();
CREATE TABLE public.secrets (id integer, owner text);
ALTER TABLE public.secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.secrets USING (owner = current_user);
)sql";

TEST(SchemaText, StatementsUnderIt) {
  const SchemaText shop = read(kShop);
  EXPECT_TRUE(shop.not_understood().empty());
  const std::pair<const char*, const char*> kRows[] = {
      {"select * from customers", "select read public.customers(age,email,feeling,id,ssn)"},
      {"select email from customers c", "select read public.customers(email)"},
      {"select total from app.ledger", "select read app.ledger(total)"},
      {"select 'sad'::mood", ""},
      {"select 1::positive", ""},
      {"select relname from pg_class", "select read pg_catalog.pg_class(relname)"},
  };
  for (const auto& [sql, expected] : kRows) EXPECT_EQ(effects(shop, sql), expected) << sql;
  EXPECT_NE(effects(shop, "insert into orders values (1, 1, 'x')").find("unknown"), std::string::npos) << "a trigger";
  EXPECT_EQ(effects(shop, "select item from orders"), "select read public.orders(item)") << "which does not read";
  EXPECT_NE(effects(shop, "delete from customers").find("unknown"), std::string::npos) << "it cascades";
  EXPECT_NE(effects(shop, "select id from secrets").find("unknown"), std::string::npos) << "row security";
  EXPECT_EQ(effects(shop, "select id from people"),
            "select read public.people(id); select read public.customers(email,id) through public.people");
  EXPECT_NE(effects(shop, "select id from events").find("public.events_2026"), std::string::npos);
  EXPECT_NE(effects(shop, "select app.pay(1)").find("app.ledger"), std::string::npos) << "seen through";
  EXPECT_NE(effects(shop, "select pay(1)").find("unknown"), std::string::npos) << "app is not in the path";
}

TEST(SchemaText, BuiltInFunctionsOfOperatorsAndAggregates) {
  const SchemaText schema = read(R"sql(
CREATE TABLE t (a text);
CREATE OPERATOR @! (FUNCTION = pg_catalog.ts_stat, RIGHTARG = text);
CREATE OPERATOR +! (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int);
CREATE FUNCTION reads(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true FROM t';
CREATE OPERATOR <! (FUNCTION = public.reads, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE public.rewrites(text) (SFUNC = pg_catalog.ts_rewrite, STYPE = tsquery, INITCOND = 'a');
CREATE AGGREGATE public.largest(int) (SFUNC = int4larger, STYPE = int);
CREATE AGGREGATE public.sorts(int) (SFUNC = int4larger, STYPE = int, SORTOP = OPERATOR(public.<!));
)sql");
  EXPECT_EQ(effects(schema, "select @! 'SELECT a FROM t'"), "unknown execute function pg_catalog.ts_stat");
  EXPECT_EQ(effects(schema, "select 1 +! 2"), "");
  EXPECT_EQ(effects(schema, "select rewrites('a')"),
            "call execute function public.rewrites; unknown execute function pg_catalog.ts_rewrite");
  EXPECT_EQ(effects(schema, "select largest(1)"), "call execute function public.largest");
  EXPECT_NE(effects(schema, "select sorts(1)").find("select read public.t"), std::string::npos);
}

TEST(SchemaText, FactsOfTables) {
  const SchemaText shop = read(kShop);
  EXPECT_EQ(relation(shop, "public", "customers").hidden, RelationFact::on_delete | RelationFact::on_cascade);
  EXPECT_EQ(relation(shop, "", "customers").sequences, std::vector<std::string>{"public.customers_id_seq"});
  EXPECT_EQ(relation(shop, "app", "log").sequences, std::vector<std::string>{"app.log_id_seq"});
  EXPECT_EQ(relation(shop, "public", "events").kind, 'p');
  EXPECT_EQ(relation(shop, "public", "events").descendants,
            (std::vector<std::string>{"public.events_2026", "public.events_old"}));
  EXPECT_EQ(relation(shop, "public", "events_2026").family, std::vector<std::string>{"public.events"});
  EXPECT_EQ(relation(shop, "public", "events_2026").columns, (std::vector<std::string>{"id", "day"}));
  EXPECT_EQ(relation(shop, "public", "orders").hidden, RelationFact::on_insert | RelationFact::on_update);
  EXPECT_EQ(relation(shop, "public", "people").kind, 'v');
  EXPECT_EQ(relation(shop, "public", "secrets").hidden, 15);
  EXPECT_FALSE(relation(shop, "app", "customers").found);
  EXPECT_FALSE(relation(shop, "", "log").found);
}

TEST(SchemaText, LaterStatementsChangeEarlierOnes) {
  const SchemaText schema = read(
      "create table t (a int, b int, c int); alter table t drop column b; alter table t rename c to d;"
      "alter table t add column e uuid default ext.make(); create table gone (a int); drop table gone;"
      "alter table t rename to u; set search_path = app; create table v (x int); alter table v set schema other;");
  const RelationFact u = relation(schema, "public", "u");
  EXPECT_EQ(u.columns, (std::vector<std::string>{"a", "", "d", "e"}));
  EXPECT_EQ(u.hidden, RelationFact::on_insert | RelationFact::on_update | RelationFact::on_upkeep);
  EXPECT_FALSE(relation(schema, "public", "t").found);
  EXPECT_FALSE(relation(schema, "public", "gone").found);
  EXPECT_TRUE(relation(schema, "other", "v").found);
  EXPECT_EQ(schema.relations(), (std::vector<RelationName>{{"other", "v"}, {"public", "u"}}));
}

TEST(SchemaText, WhatIsNotUnderstoodIsSaidAndTheRestCounts) {
  const SchemaText schema =
      read("create table t (a int);\ncreate tabel u (a int);\n\nselect 1 from;\ncreate table v (a int);");
  EXPECT_EQ(schema.not_understood(), (std::vector<std::string>{"line 2: syntax error at or near \"tabel\"",
                                                               "line 4: syntax error at end of input"}));
  EXPECT_EQ(schema.relations(), (std::vector<RelationName>{{"public", "t"}, {"public", "v"}}));
}

TEST(SchemaText, WhatIsNoSchemaIsRefused) {
  EXPECT_FALSE(SchemaText::read(""));
  EXPECT_FALSE(SchemaText::read("select 1; grant all on t to u;"));
  EXPECT_FALSE(SchemaText::read("create table t (a int); \xff"));
  EXPECT_FALSE(SchemaText::read(std::string(kSchemaTextBytesMax + 1, ' ')));
}

TEST(SchemaText, AFunctionWithAComputedDefaultIsNotKnown) {
  const SchemaText schema = read(
      "create function f(a int default 1) returns int language sql as 'select 1';"
      "create function g(a int default lo_import('/x')) returns int language sql as 'select 1';"
      "create function h() returns int language sql security definer set search_path = app, pg_temp as 'select x from "
      "t';"
      "create function i() returns int begin atomic select a from public.t; end;"
      "create table app.t (x int); create table t (a int);");
  EXPECT_EQ(effects(schema, "select f()").find("unknown"), std::string::npos) << effects(schema, "select f()");
  EXPECT_NE(effects(schema, "select g()").find("unknown"), std::string::npos);
  EXPECT_NE(effects(schema, "select h()").find("app.t(x)"), std::string::npos) << effects(schema, "select h()");
  EXPECT_NE(effects(schema, "select i()").find("public.t(a)"), std::string::npos) << effects(schema, "select i()");
}

}  // namespace
}  // namespace sallyport::sql
