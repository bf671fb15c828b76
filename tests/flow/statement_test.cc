// SPDX-License-Identifier: Apache-2.0
// Simple and extended queries against a policy: what passes, what stands in for what does not, and when names are
// judged again.
#include <gtest/gtest.h>

#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

TEST(SimpleQuery, AllowedPassesAsItIs) {
  World world(policy_text(everything()));
  Session session(world);
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  EXPECT_EQ(session.upstream(), "Q(select item from orders)");
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].tag, "SELECT 2");
  EXPECT_EQ(ended[0].rows, 2u);
}

TEST(SimpleQuery, RefusedIsReplacedByAnExecuteThatFails) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("delete from orders"), "E(42501) Z(I)");
  EXPECT_EQ(session.upstream(), "P(look-up) B(look-up) E(look-up) C(look-up) C(look-up) S E(refused) S");
  EXPECT_EQ(report_field(session.raw, 'M'),
            "refused by policy for agent bot: no rule of Entitlement e allows delete public.orders");
  EXPECT_NE(report_field(session.raw, 'H').find("delete"), std::string::npos);
  const auto ended = session.driver.recorded<model::OperationEnded>();
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].sqlstate, "42501");
}

TEST(SimpleQuery, RefusalAbortsTheTransactionAsAnErrorDoes) {
  World world(policy_text(reading_customers()));
  Session session(world);
  EXPECT_EQ(session.query("begin"), "C(BEGIN) Z(T)");
  EXPECT_EQ(session.query("delete from orders"), "E(42501) Z(E)");
  EXPECT_EQ(session.query("delete from orders"), "E(25P02) Z(E)");
  EXPECT_EQ(session.query("commit"), "C(ROLLBACK) Z(I)");
  for (const std::string& ran : session.server.executed) EXPECT_EQ(ran.find("delete"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::flow::test
