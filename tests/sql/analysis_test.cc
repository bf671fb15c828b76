// SPDX-License-Identifier: Apache-2.0
// One table: SQL -> effects as render.h writes them, offline and with a small catalogue. `analyse` is
// called as the command line and as the daemon call it.
#include "sallyport/sql/analysis.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "render.h"
#include "tables.h"

namespace sallyport::sql {
namespace {

/// Answers Missing from `tables` as a server with search_path "public" would.
Analysis with_catalogue(std::string_view text, Settings settings = {}) {
  settings.creation_schema = "public";
  Catalogue catalogue;
  for (int round = 0; round < 8; ++round) {
    auto answer = analyse(text, settings, catalogue, NoSessionNames());
    if (auto* analysis = std::get_if<Analysis>(&answer)) return std::move(*analysis);
    const auto& missing = std::get<Missing>(answer);
    EXPECT_FALSE(missing.empty());
    for (const RelationName& name : missing.relations) catalogue.relations[name] = server_relation(name);
    for (const RelationName& name : missing.behind) catalogue.behind[name] = server_behind(name);
    for (const RelationName& name : missing.functions) catalogue.functions[name] = server_function(name);
    for (const RelationName& name : missing.types) catalogue.types[name] = server_type(name);
    for (const RelationName& name : missing.operators) catalogue.operators[name] = server_operator(name);
  }
  ADD_FAILURE() << "facts never end: " << text;
  return {};
}

Analysis offline(std::string_view text, const SessionNames& names = NoSessionNames()) {
  Catalogue catalogue;
  catalogue.assume_plain = true;
  auto answer = analyse(text, {}, catalogue, names);
  return std::get<Analysis>(std::move(answer));
}

std::string render_all(const Analysis& analysis) {
  std::string all;
  for (const Statement& statement : analysis.statements) all.append(all.empty() ? "" : " | ").append(render(statement));
  return all;
}

TEST(Effects, Offline) {
  for (const Row& row : query_rows()) EXPECT_EQ(render_all(offline(row.sql)), row.effects) << row.sql;
  for (const Row& row : command_rows()) EXPECT_EQ(render_all(offline(row.sql)), row.effects) << row.sql;
}

TEST(Effects, WithCatalogue) {
  for (const Row& row : catalogue_rows()) EXPECT_EQ(render_all(with_catalogue(row.sql)), row.effects) << row.sql;
  for (const Row& row : routine_rows()) EXPECT_EQ(render_all(with_catalogue(row.sql)), row.effects) << row.sql;
}

TEST(Effects, EveryClassIsListed) {
  const auto& classes = statement_classes();
  EXPECT_TRUE(std::is_sorted(classes.begin(), classes.end()));
  auto listed = [&](std::string_view word) { return std::binary_search(classes.begin(), classes.end(), word); };
  auto check = [&](const std::vector<Row>& rows) {
    for (const Row& row : rows)
      for (const Statement& statement : offline(row.sql).statements) {
        EXPECT_TRUE(listed(statement.statement_class)) << row.sql << ": " << statement.statement_class;
        for (const model::Effect& effect : statement.effects) {
          EXPECT_TRUE(listed(effect.statement_class)) << row.sql << ": " << effect.statement_class;
          EXPECT_EQ(effect.statement_class == "unknown" && effect.because.empty(), false) << row.sql;
        }
      }
  };
  check(query_rows());
  check(command_rows());
  check(catalogue_rows());
}

TEST(Flags, Statements) {
  struct Case {
    const char* sql;
    const char* statement_class;
    bool control, leaves, moves, lexing;
  };
  const Case cases[] = {
      {"BEGIN", "transaction", true, false, false, false},
      {"COMMIT", "transaction", true, true, false, false},
      {"ROLLBACK", "transaction", true, true, true, false},
      {"ROLLBACK TO SAVEPOINT a", "transaction", true, true, true, false},
      {"SAVEPOINT a", "transaction", true, false, false, false},
      {"PREPARE TRANSACTION 'x'", "two_phase", true, true, false, false},
      {"COMMIT PREPARED 'x'", "two_phase", true, false, true, false},
      {"SELECT 1", "select", false, false, false, false},
      {"SET search_path = a", "set", false, false, true, false},
      {"SET Search_Path = a", "set", false, false, true, false},
      {"SET application_name = 'x'", "set", false, false, false, false},
      {"SET client_encoding = latin1", "set", false, false, false, true},
      {"SET NAMES 'latin1'", "set", false, false, false, true},
      {"SET standard_conforming_strings = off", "set", false, false, false, true},
      {"SET ROLE x", "set", false, false, true, false},
      {"RESET ALL", "reset", false, false, true, true},
      {"DISCARD ALL", "discard", false, false, true, true},
      {"DO 'BEGIN END'", "do", false, false, false, false},
      {"DO 'BEGIN EXECUTE x; END'", "do", false, false, true, true},
      {"SELECT app.f()", "select", false, false, true, true},
      {"SELECT set_config('search_path', 'x', false)", "select", false, false, true, false},
      {"CREATE TABLE t (a int)", "create", false, false, true, false},
      {"SELECT 1 INTO t", "create", false, false, true, false},
      {"DROP TABLE t", "drop", false, false, true, false},
  };
  for (const Case& c : cases) {
    Analysis analysis = offline(c.sql);
    ASSERT_EQ(analysis.statements.size(), 1u) << c.sql;
    const Statement& statement = analysis.statements[0];
    EXPECT_EQ(statement.statement_class, c.statement_class) << c.sql;
    EXPECT_EQ(statement.transaction_control, c.control) << c.sql;
    EXPECT_EQ(statement.leaves_failed_transaction, c.leaves) << c.sql;
    EXPECT_EQ(statement.moves_meaning, c.moves) << c.sql;
    EXPECT_EQ(statement.moves_lexing, c.lexing) << c.sql;
  }
}

/// "csv , \" \" null=x header force=a,b", or what is obscure.
std::string copy_of(std::string_view options, std::string_view what = "t (a)") {
  const auto analysis = offline("COPY " + std::string(what) + " TO STDOUT " + std::string(options));
  const CopyOut& copy = *analysis.statements.at(0).copy_out;
  if (!copy.obscure.empty()) return std::string(copy.obscure);
  std::string out = copy.layout.format == model::CopyLayout::Format::text  ? "text"
                    : copy.layout.format == model::CopyLayout::Format::csv ? "csv"
                                                                           : "binary";
  out.append(1, ' ').append(1, copy.layout.delimiter);
  if (copy.layout.format == model::CopyLayout::Format::csv)
    out.append(1, ' ').append(1, copy.layout.quote).append(1, copy.layout.escape);
  out += " null=" + copy.layout.null;
  if (copy.layout.header) out += " header";
  if (copy.force_quote_all) out += " force=*";
  for (const std::string& name : copy.force_quote) out += " force=" + name;
  if (!copy.encoding.empty()) out += " encoding=" + copy.encoding;
  return out;
}

TEST(Copy, OptionsAreFacts) {
  constexpr std::string_view kOdd = "an option of it is not understood";
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "text \t null=\\N"},
      {"WITH DELIMITER AS '|' NULL AS ''", "text | null="},
      {"USING DELIMITERS ';'", "text ; null=\\N"},
      {"(DELIMITER E'\\x01', NULL 'x', HEADER)", "text \x01 null=x header"},
      {"CSV HEADER", "csv , \"\" null= header"},
      {"CSV HEADER QUOTE AS '''' ESCAPE AS '\\' FORCE QUOTE a, \"B\"", "csv , '\\ null= header force=a force=B"},
      {"(FORMAT csv, QUOTE '$', HEADER off)", "csv , $$ null="},
      {"(FORMAT csv, HEADER 1, FORCE_QUOTE *, ENCODING 'utf8')", "csv , \"\" null= header force=* encoding=utf8"},
      {"(FORMAT csv, FORCE_QUOTE (a, b), NULL 'n', DELIMITER E'\\t')", "csv \t \"\" null=n force=a force=b"},
      {"(FORMAT csv, NULL 0)", "csv , \"\" null=0"},
      {"(FORMAT binary)", "binary \t null=\\N"},
      {"BINARY", "binary \t null=\\N"},
      {"(FORMAT 'CSV')", kOdd},
      {"(DELIMITER 'ab')", kOdd},
      {"(DELIMITER 'a')", kOdd},
      {"(DELIMITER 'ü')", kOdd},
      {"(NULL E'a\\nb')", kOdd},
      {"(NULL E'a\\tb')", kOdd},
      {"(FORMAT csv, QUOTE E'\\n')", kOdd},
      {"(FORMAT csv, DELIMITER '\"')", kOdd},
      {"(FORMAT csv, HEADER match)", kOdd},
      {"(NEW_ONE)", kOdd},
  };
  for (const auto& [options, expected] : cases) EXPECT_EQ(copy_of(options), expected) << options;
  EXPECT_EQ(copy_of("", "t"), "its columns are not known");
}

TEST(Copy, AQueryWithTheSameColumns) {
  const auto query = [](std::string_view text) { return offline(text).statements.at(0).copy_out->query; };
  EXPECT_EQ(query("COPY s.t (a, \"B \"\"c\") TO STDOUT"), R"(SELECT "a", "B ""c" FROM ONLY "s"."t")");
  EXPECT_EQ(query("COPY (SELECT ')', a FROM (VALUES (1)) v(a) -- )\n) TO STDOUT CSV"),
            "SELECT ')', a FROM (VALUES (1)) v(a) -- )\n");
  EXPECT_EQ(query("/* ( */ COPY/**/( TABLE t ) TO STDOUT (FORMAT csv)"), " TABLE t ");
  EXPECT_EQ(offline("SELECT 1; COPY (SELECT 2) TO STDOUT; SELECT 3").statements.at(1).copy_out->query, "SELECT 2");
  EXPECT_EQ(offline("COPY t FROM STDIN").statements.at(0).copy_out, nullptr);
  EXPECT_EQ(offline("COPY t TO '/f'").statements.at(0).copy_out, nullptr);
}

TEST(Flags, CopyExplainAndNames) {
  EXPECT_EQ(offline("COPY t FROM STDIN").statements[0].copy, Statement::Copy::in);
  EXPECT_EQ(offline("COPY (SELECT 1) TO STDOUT").statements[0].copy, Statement::Copy::out);
  EXPECT_EQ(offline("COPY t TO '/f'").statements[0].copy, Statement::Copy::none);
  for (std::string_view text : {"COPY t TO STDOUT", "COPY t TO STDOUT (FORMAT csv)", "COPY t TO STDOUT CSV",
                                "COPY t TO STDOUT (FORMAT text, DELIMITER ';')"})
    EXPECT_NE(offline(text).statements[0].copy_out->layout.format, model::CopyLayout::Format::binary) << text;
  for (std::string_view text : {"COPY BINARY t TO STDOUT", "COPY t TO STDOUT (FORMAT binary)",
                                "COPY t TO STDOUT WITH BINARY", "COPY t TO STDOUT (FORMAT 'binary')"})
    EXPECT_EQ(offline(text).statements[0].copy_out->layout.format, model::CopyLayout::Format::binary) << text;
  EXPECT_TRUE(offline("EXPLAIN DELETE FROM t").statements[0].explain_only);
  EXPECT_FALSE(offline("EXPLAIN (ANALYZE) DELETE FROM t").statements[0].explain_only);
  EXPECT_TRUE(offline("EXPLAIN (ANALYZE off) DELETE FROM t").statements[0].explain_only);
  auto change = [](const char* sql) { return offline(sql).statements[0].name_change.value(); };
  EXPECT_EQ(change("PREPARE q AS SELECT 1").name, "q");
  EXPECT_EQ(change("DEALLOCATE q").kind, NameChange::deallocate);
  EXPECT_EQ(change("DEALLOCATE ALL").kind, NameChange::deallocate_all);
  EXPECT_EQ(change("DECLARE c CURSOR FOR SELECT 1").kind, NameChange::declare_cursor);
  EXPECT_EQ(change("CLOSE c").kind, NameChange::close_cursor);
  EXPECT_EQ(change("CLOSE ALL").kind, NameChange::close_all_cursors);
  EXPECT_FALSE(offline("SELECT a, b AS x FROM t").statements[0].computed_output);
  EXPECT_TRUE(offline("SELECT a, upper(b) FROM t").statements[0].computed_output);
}

TEST(Session, PreparedStatementsOfTheSession) {
  struct Names final : SessionNames {
    Statement statement;
    const Statement* prepared(std::string_view name) const override { return name == "q" ? &statement : nullptr; }
    const Statement* cursor(std::string_view name) const override { return name == "c" ? &statement : nullptr; }
  } names;
  names.statement = offline("PREPARE q(text) AS SELECT id FROM t WHERE ssn = $1").statements[0];
  EXPECT_EQ(render_all(offline("FETCH 5 FROM c", names)), "select read public.t(id,ssn)");
  Analysis executed = offline("EXECUTE q('078')", names);
  EXPECT_EQ(render_all(executed), "select read public.t(id,ssn)");
  ASSERT_EQ(executed.statements[0].literals.size(), 1u);
  EXPECT_EQ(executed.statements[0].literals[0].columns, std::vector<std::string>{"public.t.ssn"});
  EXPECT_EQ(render_all(offline("DEALLOCATE q; EXECUTE q", names)),
            "deallocate execute other prepared statement q | unknown execute other prepared statement q");
}

TEST(Literals, KnowTheirColumns) {
  auto columns = [](const char* sql, size_t index) {
    Analysis analysis = offline(sql);
    std::vector<Literal> all;
    for (const Statement& statement : analysis.statements)
      all.insert(all.end(), statement.literals.begin(), statement.literals.end());
    EXPECT_GT(all.size(), index) << sql;
    std::string joined;
    for (const std::string& column : all.at(index).columns) joined.append(joined.empty() ? "" : ",").append(column);
    return joined;
  };
  EXPECT_EQ(columns("SELECT 1 FROM c WHERE ssn = '078' AND id = 5", 1), "public.c.ssn");
  EXPECT_EQ(columns("SELECT 1 FROM c WHERE ssn = '078' AND id = 5", 2), "public.c.id");
  EXPECT_EQ(columns("SELECT 1 FROM c WHERE lower(ssn) LIKE '078%'", 1), "public.c.ssn");
  EXPECT_EQ(columns("SELECT 1 FROM c WHERE id = -5", 1), "public.c.id");
  EXPECT_EQ(columns("INSERT INTO c (id, ssn) VALUES (1, '078')", 1), "public.c.ssn");
  EXPECT_EQ(columns("INSERT INTO c (ssn, id) SELECT '078', id FROM d", 0), "public.c.ssn");
  EXPECT_EQ(columns("UPDATE c SET ssn = '078'", 0), "public.c.ssn");
  EXPECT_EQ(columns("UPDATE c SET (id, ssn) = (1, '078')", 1), "public.c.id,public.c.ssn");
  EXPECT_EQ(columns("SELECT 1 FROM (SELECT ssn AS x FROM c) s WHERE x = '078'", 1), "public.c.ssn");
  EXPECT_EQ(columns("SELECT 1 FROM c JOIN (VALUES ('078')) v(x) ON c.ssn = v.x", 1), "public.c.ssn");
  EXPECT_EQ(columns("SELECT 1 FROM c WHERE ssn IN (SELECT '078')", 1), "public.c.ssn");
  EXPECT_EQ(columns("INSERT INTO c (id) VALUES ($1)", 0), "public.c.id");
  EXPECT_EQ(columns("SELECT true, '078'", 0), "");
}

TEST(Literals, PasswordsAreSecrets) {
  auto redacted = [](std::string_view sql) {
    return redact(sql, offline(sql).statements, [](const Literal&, std::string_view) { return std::nullopt; });
  };
  EXPECT_EQ(redacted("ALTER ROLE a PASSWORD 'x' VALID UNTIL 'now'"),
            "ALTER ROLE a PASSWORD '<secret>' VALID UNTIL 'now'");
  EXPECT_EQ(redacted("CREATE ROLE a LOGIN ENCRYPTED PASSWORD $$x$$"),
            "CREATE ROLE a LOGIN ENCRYPTED PASSWORD '<secret>'");
  EXPECT_EQ(redacted("CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password 'x')"),
            "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'u', password '<secret>')");
  EXPECT_EQ(redacted("CREATE SUBSCRIPTION s CONNECTION 'host=h password=x' PUBLICATION p"),
            "CREATE SUBSCRIPTION s CONNECTION '<secret>' PUBLICATION p");
  EXPECT_EQ(redacted("SELECT dblink_exec('password=x', 'DELETE')"), "SELECT dblink_exec('<secret>', '<secret>')");
  EXPECT_EQ(redacted("SELECT crypt('x', gen_salt('md5'))"), "SELECT crypt('<secret>', gen_salt('md5'))");
  EXPECT_EQ(redacted("ALTER ROLE a PASWORD 'x'"), "ALTER ROLE a PASWORD '<secret>'");
  std::string with_nul = "SELECT 'x'";
  with_nul.push_back('\0');
  EXPECT_EQ(redacted(with_nul), "'<secret>'");
}

TEST(Literals, RedactAsksForEach) {
  const char* sql = "SELECT E'a\\'b' , 'c'\n 'd', $tag$e$tag$, 1.5e3, U&'f' FROM t WHERE x = $1 -- 'g'";
  std::vector<std::string> seen;
  std::string text = redact(sql, offline(sql).statements, [&](const Literal&, std::string_view bytes) {
    seen.emplace_back(bytes);
    return std::optional<std::string>("?");
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"E'a\\'b'", "'c'\n 'd'", "$tag$e$tag$", "1.5e3", "U&'f'"}));
  EXPECT_EQ(text, "SELECT ? , ?, ?, ?, ? FROM t WHERE x = $1 -- 'g'");
}

TEST(Shape, GroupsRepeats) {
  auto shape = [](const char* sql) { return offline(sql).shape; };
  EXPECT_EQ(shape("select  A.b,'x' FROM T -- c\n where id=5"), "select a.b, $1 from t where id = $2");
  EXPECT_EQ(shape("SELECT a.b, 'y' FROM t WHERE id = 77"), shape("select a . b , 'x' from T where id=5"));
  EXPECT_EQ(shape("SELECT $2 + 7"), "select $2 + $3");
  EXPECT_EQ(shape("SELECT \"$? X\", 1"), "select \"$? X\", $1");
}

TEST(Text, PlaceOfStatements) {
  const std::string sql = " /* a */ SELECT 1 ; -- b\n SELECT 22;;";
  Analysis analysis = offline(sql);
  ASSERT_EQ(analysis.statements.size(), 2u);
  EXPECT_EQ(sql.substr(analysis.statements[0].offset, analysis.statements[0].length), "SELECT 1 ");
  EXPECT_EQ(sql.substr(analysis.statements[1].offset, analysis.statements[1].length), "SELECT 22");
  EXPECT_TRUE(offline(" -- nothing").statements.empty());
  EXPECT_TRUE(offline("").parsed);
}

TEST(Text, NotUnderstood) {
  std::string nul = "SELECT 1";
  nul[6] = '\0';
  for (const std::string& sql : {std::string("SELEC 1"), std::string("SELECT 'x"), nul, std::string("SELECT '\xc3('"),
                                 std::string("SELECT '\xed\xa0\x80'"), std::string("SELECT \"\xff\"")}) {
    Analysis analysis = offline(sql);
    EXPECT_FALSE(analysis.parsed) << sql;
    ASSERT_EQ(analysis.statements.size(), 1u) << sql;
    EXPECT_EQ(analysis.statements[0].statement_class, "unknown");
    EXPECT_EQ(render(analysis.statements[0]), "unknown execute unknown(*)");
    EXPECT_FALSE(analysis.parse_error.empty());
  }
  EXPECT_EQ(offline("SELECT secretword secretword secretword").parse_error.find("secretword"), std::string::npos);
}

TEST(Text, StringsWithBackslashes) {
  Settings off;
  off.standard_conforming_strings = false;
  Catalogue catalogue;
  catalogue.assume_plain = true;
  const char* sql = R"(SELECT 'a\', secret FROM t WHERE x = ' OR 1 = 1')";
  // With the setting off \' is a quote within the string, and `, secret …` is data.
  auto answer = std::get<Analysis>(analyse(sql, off, catalogue, NoSessionNames()));
  EXPECT_FALSE(answer.parsed);
  EXPECT_EQ(render_all(offline(sql)), "select read public.t(secret,x)");
  const char* hidden = R"(SELECT 'a\'' FROM t --')";
  EXPECT_EQ(render_all(std::get<Analysis>(analyse(hidden, off, catalogue, NoSessionNames()))), "select read public.t");
}

TEST(Facts, AskedForInOneRound) {
  auto answer =
      analyse("SELECT lower(a), app.f(b) FROM t JOIN s.u USING (id) WHERE abs(c) > 1", {}, {}, NoSessionNames());
  const auto& missing = std::get<Missing>(answer);
  EXPECT_EQ(missing.relations, (std::set<RelationName>{{"", "t"}, {"s", "u"}}));
  EXPECT_EQ(missing.functions, (std::set<RelationName>{{"", "abs"}, {"", "lower"}, {"app", "f"}}));
  EXPECT_EQ(missing.operators, (std::set<RelationName>{{"", "="}, {"", ">"}}));
}

TEST(Facts, ShadowedFunction) {
  Catalogue catalogue;
  catalogue.functions[{"", "lower"}] = {true};
  auto answer =
      std::get<Analysis>(analyse("SELECT lower('A'), pg_catalog.lower('A')", {}, catalogue, NoSessionNames()));
  EXPECT_EQ(render_all(answer), "unknown execute function lower");
}

TEST(Facts, RelationsOfAStatement) {
  Analysis analysis =
      with_catalogue("WITH x AS (SELECT id FROM orders) UPDATE customers SET name = 'a' FROM x, orders o");
  std::vector<std::string> names;
  for (const auto& fact : analysis.statements[0].relations) names.push_back(fact->schema + "." + fact->name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"public.customers", "public.orders"}));
}

}  // namespace
}  // namespace sallyport::sql
