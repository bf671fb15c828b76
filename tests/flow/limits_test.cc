// SPDX-License-Identifier: Apache-2.0
// Invariant 6 for a PostgreSQL flow: each limit is reached, and what happens then is the answer it promises.
#include "sallyport/base/limits.h"

#include <gtest/gtest.h>

#include "sallyport/base/bytes.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

std::string large_message(char type, std::string_view front, size_t body_bytes, char fill = 'x') {
  std::string out;
  ByteWriter writer(out);
  writer.u8(static_cast<uint8_t>(type));
  writer.u32(static_cast<uint32_t>(body_bytes + 4));
  writer.bytes(front);
  out.append(body_bytes - front.size(), fill);
  return out;
}

constexpr size_t kLarge = limits::kPgBufferedMessageBytesMax + 1'000;

TEST(Limits, PreparedStatements) {
  World world(policy_text(everything()));
  Session session(world);
  Messages many;
  for (size_t i = 0; i < limits::kPgNamesMax; ++i) many.parse(std::to_string(i), "select 1");
  session.say(many.sync());
  EXPECT_EQ(session.say(Messages().parse("one more", "select 1").sync()), "E(53400) Z(I)");
  EXPECT_EQ(session.say(Messages().close(postgres::Named::statement, "0").parse("again", "select 1").sync()),
            "3 E(53400) Z(I)")
      << "its place is free when the server said so";
  EXPECT_EQ(session.say(Messages().close(postgres::Named::statement, "0").sync()), "3 Z(I)");
  EXPECT_EQ(session.say(Messages().parse("again", "select 1").sync()), "1 Z(I)");
}

TEST(Limits, Portals) {
  World world(policy_text(everything()));
  Session session(world);
  session.say(Messages().parse("s", "select 1").sync());
  Messages many;
  for (size_t i = 0; i <= limits::kPgNamesMax; ++i) many.bind(std::to_string(i), "s");
  EXPECT_TRUE(session.say(many.sync()).ends_with("2 E(53400) Z(I)"));
  EXPECT_EQ(session.say(Messages().bind("p", "s").sync()), "2 Z(I)") << "portals end with their transaction";
}

TEST(Limits, NamesMadeBySqlCountAsThoseOfTheProtocol) {
  World world(policy_text(everything()));
  Session session(world);
  Messages many;
  for (size_t i = 0; i + 2 < limits::kPgNamesMax; ++i) many.parse(std::to_string(i), "select 1");
  session.say(many.sync());
  EXPECT_EQ(session.query("prepare a as select 1"), "C(OK) Z(I)");
  EXPECT_EQ(session.query("prepare b as select 1; prepare c as select 1"), "E(53400) Z(I)") << "both or none";
  EXPECT_EQ(session.say(Messages().query("prepare b as select 1").query("prepare c as select 1")),
            "C(OK) Z(I) E(53400) Z(I)")
      << "those in flight count";
  EXPECT_EQ(session.query("declare c cursor for select 1"), "E(53400) Z(I)");
  EXPECT_EQ(session.say(Messages().parse("d", "select 1").sync()), "E(53400) Z(I)");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.query("deallocate a"), "C(OK) Z(I)");
  EXPECT_EQ(session.query("prepare c as select 1"), "C(OK) Z(I)");
}

TEST(Limits, MessagesInFlight) {
  World world(policy_text(everything()));
  Session session(world);
  session.upstream();
  Messages many;
  for (size_t i = 0; i < limits::kPgInFlightMax; ++i) many.sync();
  session.send(many);
  const std::string first = session.driver.take_server();
  EXPECT_LT(first.size() / 5, limits::kPgInFlightMax);
  session.server.receive(first);
  session.driver.from_server(session.server.take());
  session.settle();
  const std::string answers = session.driver.take_agent();
  EXPECT_EQ(answers.size() / 6, limits::kPgInFlightMax) << "all are answered in the end";
}

TEST(Limits, AQueryTooLargeToJudgeIsRefusedUnread) {
  World world(policy_text(everything()));
  Session session(world);
  EXPECT_EQ(session.say(large_message('Q', "select '", kLarge)), "E(54000) Z(I)");
  EXPECT_EQ(report_field(session.raw, 'M'), "a Query of 4195309 bytes is longer than the 4 MiB that can be judged");
  EXPECT_EQ(session.upstream(), "E(refused) S");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
}

TEST(Limits, AQueryTooLargeToAnalyseIsUnknownAndSaysSo) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("select '" + std::string(limits::kSqlTextBytesMax, 'x') + "'"), "E(42501) Z(I)");
  EXPECT_NE(report_field(session.raw, 'M').find("the text is longer than the 1 MiB that is analysed"),
            std::string::npos)
      << report_field(session.raw, 'M');
}

TEST(Limits, ABindOfAnySizePassesInPieces) {
  World world(policy_text(reading_customers()));
  Session session(world);
  session.say(Messages().parse("s", "select item from orders").sync());
  std::string front("p\0s\0\0\0\0\1", 8);
  ByteWriter(front).u32(kLarge - front.size() - 4 - 2);
  std::string bind = large_message('B', front, kLarge - 2);
  ByteWriter(bind).u16(0);
  bind[1] = bind[2] = 0;
  const auto length = static_cast<uint32_t>(bind.size() - 1);
  ByteWriter(bind).patch_u32(1, length);
  const size_t before = session.driver.all_to_server.size();
  for (size_t at = 0; at < bind.size(); at += 65'536) session.send(std::string_view(bind).substr(at, 65'536));
  EXPECT_EQ(session.driver.all_to_server.substr(before), bind);
  EXPECT_EQ(session.say(Messages().execute("p").sync()), "2 D(pen) D(ink) C(SELECT 2) Z(I)");
}

/// A SELECT whose row is too large to be held: RowDescription came, the row comes in pieces.
std::string large_row(Session& session, std::string_view sql, const postgres::Field& field) {
  session.query(sql);
  session.send(Messages().query(sql));
  std::string description;
  const postgres::Field fields[] = {field};
  postgres::append_row_description(description, fields);
  session.driver.from_server(description);
  session.driver.take_agent();
  std::string front;
  ByteWriter writer(front);
  writer.u16(1);
  writer.u32(kLarge - 6);
  const std::string row = large_message('D', front, kLarge);
  for (size_t at = 0; at < row.size(); at += 65'536)
    session.driver.from_server(std::string_view(row).substr(at, 65'536));
  return row;
}

TEST(Limits, ALargeRowWithoutAMaskPassesInPieces) {
  World world(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]")));
  Session session(world);
  const std::string row = large_row(session, "select item from orders", column("item", kOrdersOid, 3));
  EXPECT_EQ(session.driver.take_agent(), row);
}

TEST(Limits, ALargeRowThatWouldHaveToBeMaskedIsCut) {
  World world(policy_text(reading_customers()));
  Session session(world);
  large_row(session, "select email from customers", column("email", kCustomersOid, 3));
  const std::string answer = session.driver.take_agent();
  EXPECT_EQ(server_text(answer), "E(42501)");
  EXPECT_TRUE(session.driver.finished);
}

TEST(Limits, ALoginHasNoUseForMoreBytes) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(startup_packet());
  driver.from_agent(std::string(limits::kPgAuthMessageBytesMax + 1, 'x'));
  EXPECT_EQ(server_text(driver.all_to_agent), "E(08P01)");
  EXPECT_TRUE(driver.finished);
}

}  // namespace
}  // namespace sallyport::flow::test
