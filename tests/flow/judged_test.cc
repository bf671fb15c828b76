// SPDX-License-Identifier: Apache-2.0
// What is worked out once for a text that comes again: when it serves, when it must not, and what the record says.
#include "flow/postgres/judged.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

std::shared_ptr<Judged> judged(const std::string& text) {
  static const sql::Catalogue kPlain{.assume_plain = true};
  auto analysis = std::get<sql::Analysis>(sql::analyse(text, {}, kPlain, sql::NoSessionNames()));
  model::Sql sql{.text = text};
  for (const sql::Statement& statement : analysis.statements)
    sql.effects.insert(sql.effects.end(), statement.effects.begin(), statement.effects.end());
  return std::make_shared<Judged>(
      Judged{.operation = std::make_shared<model::Operation>(model::Operation{.body = std::move(sql)}),
             .analysis = std::make_shared<sql::Analysis>(std::move(analysis))});
}

/// Does what is known of `known` serve for `text`?
bool serves(const std::string& known, const std::string& text, bool alike = true) {
  JudgedTexts texts;
  texts.keep(judged(known));
  return texts.find(text, alike) != nullptr;
}

TEST(Judged, ATextServesForItself) {
  EXPECT_TRUE(serves("select * from t where id = 1", "select * from t where id = 1", false));
  EXPECT_TRUE(serves("begin", "begin", false));
  EXPECT_FALSE(serves("select * from t where id = 1", "select * from t where id = 2", false));
  EXPECT_FALSE(serves("select a from t", "select b from t"));
}

TEST(Judged, NumbersThatAreComparedMayBeOthers) {
  for (const auto& [known, text] : std::vector<std::pair<std::string, std::string>>{
           {"select * from t where id = 1", "select * from t where id = 123456789"},
           {"select * from t where id=1;", "select * from t where id=27;"},
           {"select * from t where id >= 1 and id <> 2 and (id < 3)",
            "select * from t where id >= 7 and id <> 8 and (id < 9)"},
           {"update t set a = 1, b = 'x' where id != 2", "update t set a = 22, b = 'x' where id != 31"},
           {"delete from t where id =\n 1", "delete from t where id =\n 12"},
       })
    EXPECT_TRUE(serves(known, text)) << known << " | " << text;
}

TEST(Judged, AnythingElseMayMeanAnother) {
  for (const auto& [known, text] : std::vector<std::pair<std::string, std::string>>{
           {"select * from t where id = 1", "select * from t where id = 1234567890"},  // no int4
           {"select * from t where id = 1", "select * from t where id = 1.5"},
           {"select * from t where id = 1", "select * from t where id = -1"},
           {"select * from t where id = 1 limit 1", "select * from t where id = 1 limit 2"},
           {"select a, b from t order by 1", "select a, b from t order by 2"},
           {"select * from t where id = 1::regclass", "select * from t where id = 2::regclass"},
           {"select * from t where id = 1 ::regclass", "select * from t where id = 2 ::regclass"},
           {"select * from t where a = 'x = 1 '", "select * from t where a = 'x = 2 '"},
           {"select * from t where \"a = 1 \" is null", "select * from t where \"a = 2 \" is null"},
           {"select * from t where id = 1 -- = 1", "select * from t where id = 2 -- = 1"},
           {"select lo_get(-- =\n 1)", "select lo_get(-- =\n 2)"},
           {"select lo_get(a => 1)", "select lo_get(a => 2)"},
           {"select * from t where id = 1 and f(id)", "select * from t where id = 2 and f(id)"},
           {"set work_mem = 64", "set work_mem = 65"},
           {"select 1 = 1; select 2 = 1", "select 1 = 2; select 2 = 1"},
           {"select * from t where a -> 1 = 'x'", "select * from t where a -> 2 = 'x'"},
           {"create table t2 as select * from t where id = 1", "create table t2 as select * from t where id = 2"},
       })
    EXPECT_FALSE(serves(known, text)) << known << " | " << text;
}

TEST(Judged, LiteralsAreHiddenWhereTheyStandInTheOtherText) {
  JudgedTexts texts;
  texts.keep(judged("select * from t where id = 1 and a = 'x' and b = 2"));
  const std::string text = "select * from t where id = 12345 and a = 'x' and b = 678";
  auto known = texts.find(text, true);
  ASSERT_TRUE(known);
  const auto bracketed = [](const sql::Literal&, std::string_view value) {
    return std::optional(fmt::format("[{}]", value));
  };
  EXPECT_EQ(redact_alike(text, texts.numbers(), *known, bracketed),
            "select * from t where id = [12345] and a = ['x'] and b = [678]");
}

TEST(Judged, TheOldestIsForgotten) {
  JudgedTexts texts;
  const auto text = [](size_t i) { return fmt::format("select column_{} from t", i); };
  for (size_t i = 0; i <= limits::kPgJudgedMax; ++i) texts.keep(judged(text(i)));
  EXPECT_FALSE(texts.find(text(0), true));
  EXPECT_TRUE(texts.find(text(1), true));
  EXPECT_TRUE(texts.find(text(limits::kPgJudgedMax), true));
  texts.keep(judged(std::string(limits::kPgJudgedTextBytesMax, ' ') + "select 1"));
  EXPECT_FALSE(texts.find(std::string(limits::kPgJudgedTextBytesMax, ' ') + "select 1", true));
}

std::vector<model::OperationDecided> statements(const Session& session) {
  auto decided = session.driver.recorded<model::OperationDecided>();
  decided.erase(decided.begin(), decided.begin() + 2);  // the connection and its StartupMessage
  return decided;
}

TEST(JudgedOnce, TheRecordNamesTheEntryThatSaysItAndRepeatsItAfterAMinute) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("select item from orders where id = 1");
  session.query("select item from orders where id = 1");
  session.query("select item from orders where id = 22");
  world.pass_ms(limits::kRecordSameAsMaxAgeMs);
  session.query("select item from orders where id = 22");
  session.query("select item from orders where id = 1");
  const auto decided = statements(session);
  ASSERT_EQ(decided.size(), 5u);
  const model::OperationId first = decided[0].id, second = decided[3].id;
  EXPECT_EQ(decided[0].same_as, 0u);
  EXPECT_EQ(decided[1].same_as, first);
  EXPECT_EQ(decided[2].same_as, first);
  EXPECT_EQ(decided[3].same_as, 0u);
  EXPECT_EQ(decided[4].same_as, second);
  for (size_t i : {0, 1, 4}) EXPECT_EQ(decided[i].statement, "select item from orders where id = 1") << i;
  for (size_t i : {2, 3}) EXPECT_EQ(decided[i].statement, "select item from orders where id = 22") << i;
  for (const model::OperationDecided& each : decided) {
    EXPECT_EQ(each.shape, "select item from orders where id = $1");
    EXPECT_EQ(each.effects, decided[0].effects);
    EXPECT_FALSE(each.causes.empty());
  }
}

TEST(JudgedOnce, ANewPolicyIsAsked) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  world.set_policy(policy_text(entitlement("allow: [{sql: {statements: [select], tables: [public.customers]}}]")));
  session.driver.event(Changed{});
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
  const auto decided = statements(session);
  EXPECT_EQ(decided.back().outcome, model::Outcome::deny);
  EXPECT_NE(decided.back().same_as, decided.front().id);
}

TEST(JudgedOnce, ADecisionEndsAtItsHour) {
  // World begins at 2026-11-18T11:06:40Z.
  World world(
      policy_text(entitlement("allow: [{sql: {statements: [select], tables: [public.orders]}}], "
                              "window: {until: 2026-11-18T11:10:00Z}")));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  world.pass_ms(10 * 60 * 1000);  // and no Tick yet
  EXPECT_EQ(session.query("select item from orders"), "E(42501) Z(I)");
}

TEST(JudgedOnce, ARefusalSpeaksOfTheTextItself) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("delete from orders where id = 1"), "E(42501) Z(I)");
  EXPECT_EQ(session.query("delete from orders where id = 22"), "E(42501) Z(I)");
  EXPECT_EQ(statements(session).back().statement, "delete from orders where id = 22");
}

TEST(JudgedOnce, APreparedStatementKeepsItsOwnText) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.query("select item from orders where id = 1");
  session.say(Messages().parse("s", "select item from orders where id = 22").bind("", "s").execute("").sync());
  const auto decided = statements(session);
  ASSERT_EQ(decided.size(), 3u);
  EXPECT_EQ(decided[1].statement, "select item from orders where id = 22");
  EXPECT_EQ(decided[2].statement, "select item from orders where id = 22");
  EXPECT_EQ(decided[2].parent, decided[1].id);
}

}  // namespace
}  // namespace sallyport::flow::test
