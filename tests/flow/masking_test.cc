// SPDX-License-Identifier: Apache-2.0
// What of a masked column an agent may get: nothing in clear, by whatever way it comes.
#include <gtest/gtest.h>

#include "flow/postgres/row_masking.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

using postgres::Named;

/// customers with a row whose email and ssn must never be seen.
struct Customers : World, Session {
  explicit Customers(const std::string& policy = policy_text(reading_customers()))
      : World(policy), Session(static_cast<World&>(*this)) {
    server.replies["select * from customers"] = {
        .fields = {column("id", kCustomersOid, 1), column("name", kCustomersOid, 2), column("email", kCustomersOid, 3),
                   column("ssn", kCustomersOid, 4)},
        .rows = {{"1", "Ann", "ann@example.com", "123-45-6789"}},
        .tag = "SELECT 1"};
    server.replies["select upper(email) from customers"] = {
        .fields = {column("upper")}, .rows = {{"ANN@EXAMPLE.COM"}}, .tag = "SELECT 1"};
  }
  ~Customers() {
    for (std::string_view secret : {"ann@", "ANN@", "123-45"})
      EXPECT_EQ(driver.all_to_agent.find(secret), std::string::npos) << secret;
    for (const auto& rows : driver.recorded<model::RowsReturned>())
      for (const auto& row : rows.rows)
        for (const auto& value : row) EXPECT_EQ(value.value_or("").find("ann@"), std::string::npos);
  }
};

TEST(Masking, ColumnsByOriginUnderStarAndAlias) {
  Customers session;
  EXPECT_EQ(session.query("select * from customers"),
            "T(id,name,email,ssn) D(1|Ann|a***@example.com|[redacted]) C(SELECT 1) Z(I)");
  session.server.replies["select email as x from customers"] = {.fields = {column("x", kCustomersOid, 3)},
                                                                .rows = {{"ann@example.com"}, {std::nullopt}}};
  EXPECT_EQ(session.query("select email as x from customers").find("ann"), std::string::npos);
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 2u);
  EXPECT_EQ(ended[0].masked_values, 2u);
  EXPECT_EQ(ended[1].masked_values, 1u) << "NULL stays NULL, and counts for nothing";
}

TEST(Masking, BinaryFormat) {
  Customers session;
  const std::string binary =
      session.say(Messages().parse("", "select email from customers").bind("", "", 1).describe("").execute("").sync());
  EXPECT_NE(binary.find("D(a***@"), std::string::npos) << binary;
}

TEST(Masking, ComputedColumnIsMaskedWholeWhenTheStatementReadsAMaskedTable) {
  Customers session;
  EXPECT_EQ(session.query("select upper(email) from customers"), "T(upper) D([redacted]) C(SELECT 1) Z(I)");
}

TEST(Masking, WhatComesOfNoMaskedColumnPasses) {
  Customers session;
  session.server.replies["select count(*), upper(name) as n from customers"] = {
      .fields = {column("count"), column("n")}, .rows = {{"3", "ANN"}}};
  EXPECT_EQ(session.query("select count(*), upper(name) as n from customers"), "T(count,n) D(3|ANN) C(OK) Z(I)");
  session.server.replies["select name from customers where id = 1"] = {.fields = {column("name", kCustomersOid, 2)},
                                                                       .rows = {{"Ann"}}};
  EXPECT_EQ(session.query("select name from customers where id = 1"), "T(name) D(Ann) C(OK) Z(I)");
}

TEST(Masking, ADerivedColumnIsTheSameForEveryRow) {
  Customers session;
  session.server.replies["select upper(email) from customers"].rows = {{"ANN@EXAMPLE.COM"}, {std::nullopt}};
  EXPECT_EQ(session.query("select upper(email) from customers"),
            "T(upper) D([redacted]) D([redacted]) C(SELECT 1) Z(I)");
}

TEST(Masking, ColumnsThatDoNotFitTheLineageAreMaskedWhole) {
  Customers session;
  session.server.replies["select count(*) from customers"] = {.fields = {column("count"), column("more")},
                                                              .rows = {{"3", "ann@example.com"}}};
  EXPECT_EQ(session.query("select count(*) from customers"), "T(count,more) D([redacted]|[redacted]) C(OK) Z(I)");
}

TEST(Masking, PredicatesAreRefusedUnlessTheMaskAllowsThem) {
  Customers session;
  const char* query = "select name from customers where email like 'a%'";
  session.server.replies[query] = {.fields = {column("name", kCustomersOid, 2)}, .rows = {{"Ann"}}};
  EXPECT_EQ(session.query(query), "E(42501) Z(I)");
  EXPECT_NE(session.raw.find("public.customers.email is masked"), std::string::npos) << session.raw;
  EXPECT_NE(report_field(session.raw, 'H').find("predicates: allow"), std::string::npos);
  for (const char* also :
       {"select name from customers order by ssn", "select count(*) from customers group by email",
        "select distinct email from customers", "select case when ssn > 'm' then 1 end from customers",
        "select c.name from customers c join orders o on o.item = c.email"})
    EXPECT_EQ(session.query(also), "E(42501) Z(I)") << also;
  std::string allowed = policy_text(reading_customers());
  const std::string entry = "column: public.customers.email,";
  const size_t at = allowed.find(entry);
  ASSERT_NE(at, std::string::npos);
  session.set_policy(allowed.insert(at + entry.size(), " predicates: allow,"));
  session.driver.event(Changed{});
  EXPECT_EQ(session.query(query), "T(name) D(Ann) C(OK) Z(I)");
  EXPECT_EQ(session.query("select name from customers order by ssn"), "E(42501) Z(I)");
}

TEST(Masking, WhatTheServerKeepsOfEveryColumnIsMasked) {
  std::string policy = reading_customers();
  policy.replace(policy.find("sql: {"), policy.size(), "sql: {}}]}\n");
  Customers session(policy_text(policy));
  session.server.replies["select query, pid from pg_catalog.pg_stat_activity"] = {
      .fields = {column("query"), column("pid")}, .rows = {{"select 'ann@example.com'", "7"}}};
  EXPECT_EQ(session.query("select query, pid from pg_catalog.pg_stat_activity"),
            "T(query,pid) D([redacted]|7) C(OK) Z(I)");
}

TEST(Masking, OtherTablesPassAsTheyAre) {
  Customers session;
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(Masking, DescribeIsOursWhenTheClientNeverDescribes) {
  Customers session;
  session.query("select email from customers");
  session.upstream();
  const std::string answer =
      session.say(Messages().parse("", "select email from customers").bind("", "").execute("").sync());
  EXPECT_EQ(session.upstream(), "P(|select email from customers) B(<-) D(P) E() S");
  EXPECT_TRUE(answer.starts_with("1 2 D(a***@")) << answer;
}

TEST(Masking, DescribeOnceForAPortalThatIsReadInPieces) {
  Customers session;
  session.server.replies["select email from customers"].rows = {{"ann@example.com"}, {"ann@example.com"}};
  session.query("select email from customers");
  session.say(Messages().query("begin"));
  session.say(Messages().parse("", "select email from customers").bind("p", "").execute("p", 1).sync());
  session.upstream();
  EXPECT_TRUE(session.say(Messages().execute("p", 1).sync()).starts_with("D(a***@"));
  EXPECT_EQ(session.upstream(), "E(p) S");
}

TEST(Masking, RecordedRowsAreThoseTheAgentGotUnderTheirNames) {
  Customers session(policy_text(reading_customers(), "tls: {mode: disable}, record: {rows: 5}"));
  session.say(Messages().parse("", "select email from customers").bind("", "").execute("").sync());
  const auto rows = session.driver.recorded<model::RowsReturned>();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].columns, std::vector<std::string>{"email"});
  ASSERT_EQ(rows[0].rows.size(), 1u);
}

TEST(Masking, ErrorAndNoticeTextsAreWithheld) {
  Customers session;
  session.server.replies["select id from customers"] = {
      .sqlstate = "22P02", .message = "invalid input: ann@example.com", .notice = "noticed ann@example.com"};
  EXPECT_EQ(session.query("select id from customers"), "N(00000) E(22P02) Z(I)");
  EXPECT_EQ(report_field(session.raw, 'M'), "text withheld by policy: the statement reads masked columns");
  session.server.replies["select id from orders"] = {.sqlstate = "22012", .message = "division by zero"};
  EXPECT_EQ(session.query("select id from orders"), "E(22012) Z(I)");
  EXPECT_EQ(report_field(session.raw, 'M'), "division by zero");
}

TEST(Masking, AnSqlstateOfAFunctionsOwnIsNoWayOut) {
  EXPECT_EQ(told_sqlstate("zq7a1", /*raised=*/true), "P0001");
  EXPECT_EQ(told_sqlstate("22q7a", true), "P0001");
  EXPECT_EQ(told_sqlstate("40001", true), "40001");
  EXPECT_EQ(told_sqlstate("42P16", false), "42P16");
}

TEST(Masking, ARowOfAnotherWidthThanDescribedIsMaskedWhole) {
  Customers session;
  session.server.replies["select name from customers"] = {.fields = {column("name", kCustomersOid, 2)},
                                                          .rows = {{"Ann", "ann@example.com"}}};
  EXPECT_EQ(session.query("select name from customers"), "T(name) D(NULL|NULL) C(OK) Z(I)");
}

TEST(Masking, RowsNobodyDescribedAreCut) {
  Customers session;
  session.query("select email from customers");
  session.send(Messages().query("select email from customers"));
  std::string row;
  postgres::DataRowBuilder builder(row);
  builder.value("ann@example.com");
  builder.finish();
  session.driver.from_server(row);
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

std::string detecting_email() {
  return policy_text(
      "---\napiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: found}\n"
      "spec: {detect: [{type: email, with: redact}]}\n" +
      entitlement("masks: [found], allow: [{sql: {tables: [public.orders], functions: [\"**\"]}}, {sql: {}}]"));
}

TEST(Masking, WhatDetectorsFindInErrorsAndNoticesIsMasked) {
  World world(detecting_email());
  Session session(world);
  session.server.replies["select id from orders"] = {
      .sqlstate = "22P02", .message = "invalid input: ann@example.com", .notice = "noticed ann@example.com"};
  EXPECT_EQ(session.query("select id from orders"), "N(00000) E(22P02) Z(I)");
  EXPECT_EQ(report_field(session.raw, 'M'), "invalid input: [redacted]");
  EXPECT_EQ(session.raw.find("ann@"), std::string::npos);
}

TEST(Masking, DetectorsReadNotifications) {
  World world(detecting_email());
  Session session(world);
  session.server.replies["select id from orders"].notification = "for ann@example.com";
  session.query("select id from orders");
  EXPECT_NE(session.raw.find("for [redacted]"), std::string::npos);
  EXPECT_EQ(session.raw.find("ann@"), std::string::npos);
}

TEST(Masking, DetectorsReadWhatNoColumnMaskNames) {
  World world(detecting_email());
  Session session(world);
  session.server.replies["select item from orders"].rows = {{"ask bob@example.com, he knows"}};
  const std::string answer = session.query("select item from orders");
  EXPECT_EQ(answer.find("bob"), std::string::npos);
  EXPECT_NE(answer.find(", he knows"), std::string::npos);
}

TEST(Masking, DetectorsReadWhatAFunctionCalledByItsOidGives) {
  World world(detecting_email());
  Session session(world);
  const auto call = [&](std::optional<std::string> result, int16_t format) {
    session.server.function_result = std::move(result);
    std::string message;
    postgres::append_function_call(message, 870, {}, {}, format);
    return session.say(message);
  };
  EXPECT_EQ(call("hi", 0), "V(hi) Z(I)");
  EXPECT_EQ(call(std::nullopt, 0), "V(NULL) Z(I)");
  EXPECT_EQ(call("ask bob@example.com, he knows", 0), "V(ask [redacted], he knows) Z(I)");
  EXPECT_EQ(call("ask bob@example.com, he knows", 1), "V(ask [redacted], he knows) Z(I)") << "text, in either format";
  EXPECT_EQ(call(std::string("\0\0\0\x0f", 4) + "bob@example.com", 1), "V(NULL) Z(I)") << "an array, say";
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 5u);
  EXPECT_EQ(ended[0].masked_values, 0u);
  EXPECT_EQ(ended[4].masked_values, 1u);
}

TEST(Masking, ParametersOfAMaskedColumnDoNotReachTheRecord) {
  Customers session;
  session.say(Messages().query("select id from customers where ssn = '123-45-6789'"));
  for (const auto& decided : session.driver.decided())
    EXPECT_EQ(decided.statement.find("123-45"), std::string::npos) << decided.statement;
}

}  // namespace
}  // namespace sallyport::flow::test
