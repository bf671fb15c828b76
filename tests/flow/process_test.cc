// SPDX-License-Identifier: Apache-2.0
// What a flow makes of the process that called: facts of connect time, and a digest that is worth waiting for.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

const std::string kDigest(64, 'a');

std::string by_digest() {
  return policy_text(entitlement("allow: [{sql: {}, process: {sha256: \"" + kDigest + "\"}}]"));
}

model::Process being_digested() {
  model::Process out;
  out.pid = 4711;
  out.command = "node";
  out.executable = "/usr/bin/node";
  out.digesting = true;
  out.sha256_missing = "its executable is still being digested";
  return out;
}

model::Process digested(const std::string& sha256) {
  model::Process out = being_digested();
  out.digesting = false;
  out.sha256_missing.clear();
  out.sha256 = sha256;
  return out;
}

TEST(ProcessTest, IsWaitedForWhereARuleAsksForItsDigest) {
  World world(by_digest());
  world.process = being_digested();
  Driver driver(world);
  EXPECT_FALSE(driver.agent_reading);
  driver.tick(limits::kDigestLookMs);
  EXPECT_FALSE(driver.agent_reading);
  EXPECT_TRUE(driver.records.empty()) << "nothing is decided on a guess";
  world.process = digested(kDigest);
  driver.tick(limits::kDigestLookMs);
  EXPECT_TRUE(driver.agent_reading);
  const auto opened = driver.recorded<model::SessionOpened>();
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].principal.process.sha256, kDigest);
  driver.from_agent(startup_packet());
  EXPECT_TRUE(driver.dial_wanted());
}

TEST(ProcessTest, OfAnotherDigestIsRefusedByName) {
  World world(by_digest());
  world.process = being_digested();
  Driver driver(world);
  world.process = digested(std::string(64, 'b'));
  driver.tick(limits::kDigestLookMs);
  driver.from_agent(startup_packet());
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_NE(
      report_field(driver.all_to_agent, 'M').find("is for another process: the SHA-256 of its executable is bbbb"),
      std::string::npos)
      << report_field(driver.all_to_agent, 'M');
}

TEST(ProcessTest, WhoseDigestNeverComesIsRefusedWithTheReason) {
  World world(by_digest());
  world.process = being_digested();
  Driver driver(world);
  driver.tick(limits::kDigestWaitMs - 1);
  EXPECT_FALSE(driver.agent_reading);
  driver.tick(limits::kDigestLookMs);
  EXPECT_TRUE(driver.agent_reading);
  driver.from_agent(startup_packet());
  EXPECT_FALSE(driver.dial_wanted());
  EXPECT_NE(report_field(driver.all_to_agent, 'M').find("still being digested"), std::string::npos)
      << report_field(driver.all_to_agent, 'M');
}

TEST(ProcessTest, IsNotWaitedForWhereNoRuleAsks) {
  World world(policy_text(everything()));
  world.process = being_digested();
  Driver driver(world);
  EXPECT_TRUE(driver.agent_reading);
  driver.from_agent(startup_packet());
  EXPECT_TRUE(driver.dial_wanted());
}

TEST(ProcessTest, ThatGoesWhileItWaitsLeavesNothing) {
  World world(by_digest());
  world.process = being_digested();
  Driver driver(world);
  driver.event(Failed{kAgentLeg, "reset"});
  EXPECT_TRUE(driver.finished);
  EXPECT_TRUE(driver.records.empty());
}

TEST(ProcessTest, AChangeOfPolicyJudgesItAgain) {
  World world(policy_text(entitlement("allow: [{sql: {}, process: {exe: /usr/bin/node}}]")));
  world.process = digested(kDigest);
  Driver driver(world);
  driver.from_agent(startup_packet());
  ASSERT_TRUE(driver.dial_wanted());
  world.set_policy(policy_text(entitlement("allow: [{sql: {}, process: {exe: /usr/bin/psql}}]")));
  driver.event(Changed{});
  EXPECT_TRUE(driver.finished);
  EXPECT_NE(driver.all_to_agent.find("its executable is /usr/bin/node, not /usr/bin/psql"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::flow::test
