// SPDX-License-Identifier: Apache-2.0
// How bytes are cut must not matter: each transcript is played again with every delivery cut at every byte, and what
// comes out must be the same.
#include <gtest/gtest.h>

#include "tests/flow/model_server.h"

namespace sallyport::flow::test {
namespace {

using Deliveries = std::vector<Session::Delivery>;

struct Played {
  std::string to_agent, to_server;
  size_t records = 0;
  bool operator==(const Played&) const = default;
};

/// `cut` of delivery `index` in two; index npos: every byte by itself.
Played play(World& world, const Deliveries& deliveries, size_t index, size_t cut) {
  Driver driver(world);
  for (size_t i = 0; i < deliveries.size(); ++i) {
    const auto& [leg, bytes] = deliveries[i];
    if (driver.dial_wanted()) driver.event(Dialled{driver.upstream, listed()});
    if (index == std::string::npos) {
      for (char byte : bytes) driver.event(Bytes{leg, std::string_view(&byte, 1)});
    } else if (index == i) {
      driver.event(Bytes{leg, std::string_view(bytes).substr(0, cut)});
      driver.event(Bytes{leg, std::string_view(bytes).substr(cut)});
    } else {
      driver.event(Bytes{leg, bytes});
    }
  }
  return {driver.all_to_agent, driver.all_to_server, driver.records.size()};
}

void check(World& world, const std::function<void(Session&)>& talk) {
  Session session(world);
  talk(session);
  const Played whole = {session.driver.all_to_agent, session.driver.all_to_server, session.driver.records.size()};
  EXPECT_EQ(play(world, session.deliveries, std::string::npos, 0), whole) << "byte by byte";
  for (size_t i = 0; i < session.deliveries.size(); ++i)
    for (size_t cut = 1; cut < session.deliveries[i].bytes.size(); ++cut)
      ASSERT_EQ(play(world, session.deliveries, i, cut), whole) << "delivery " << i << " cut at " << cut;
}

TEST(Split, SimpleQueries) {
  World world(policy_text(reading_customers()));
  check(world, [](Session& session) {
    session.query("begin");
    session.query("select email from customers");
    session.query("delete from orders");
    session.query("rollback");
  });
}

TEST(Split, Pipelines) {
  World world(policy_text(reading_customers()));
  check(world, [](Session& session) {
    session.say(Messages().parse("s", "select item from orders").bind("", "s").describe("").execute("", 1).sync());
    session.say(Messages()
                    .parse("", "select email from customers")
                    .bind("", "")
                    .execute("")
                    .parse("", "delete from orders")
                    .bind("", "")
                    .execute("")
                    .sync());
  });
}

TEST(Split, Copy) {
  World world(policy_text(entitlement("allow: [{sql: {tables: [public.orders]}}]")));
  check(world, [](Session& session) {
    session.server.replies["copy orders to stdout"] = {.tag = "COPY 1", .copy_out = {"1\t1\tpen\n"}};
    session.server.replies["copy orders from stdin"] = {.copy_in = true};
    session.query("copy orders to stdout");
    session.query("copy orders from stdin");
    std::string rows;
    postgres::append_copy_data(rows, "2\t1\tink\n");
    postgres::append_copy_done(rows);
    session.say(rows);
  });
}

}  // namespace
}  // namespace sallyport::flow::test
