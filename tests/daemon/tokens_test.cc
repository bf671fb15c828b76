// SPDX-License-Identifier: Apache-2.0
// What workloads and their agents prove by tokens, in files and shown: two agents of one cgroup, changes while flows
// live, and that bad tokens of one delay nobody else.
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "tests/daemon/node.h"

namespace sallyport::daemon::test {
namespace {

using Is = flow::Standing::Is;
using Handle = std::shared_ptr<const flow::ShownToken>;

const std::string kTwo = agent("a", "a") + agent("b", "b");

class ShownTokensTest : public testing::Test {
 protected:
  explicit ShownTokensTest(const std::string& agents = kTwo) : node_(agents) {
    node_.tokens->watch(node_.holder(7, {"a", "b"}));
    node_.tokens->watch(node_.holder(8, {"a"}));
  }
  Handle show(uint64_t cgroup, const std::string& text, model::FlowId flow = 1) {
    return node_.tokens->shown().show(Node::origin(cgroup, flow), text);
  }
  /// Once it is not pending any more.
  std::shared_ptr<const flow::Standing> settled(const Handle& handle) {
    EXPECT_TRUE(node_.wait([&] { return handle->standing()->is != Is::pending; }));
    return handle->standing();
  }
  bool becomes(const Handle& handle, Is is, std::string_view said = "") {
    return node_.wait([&] {
      const auto now = handle->standing();
      return now->is == is && now->why.find(said) != std::string::npos;
    });
  }

  Node node_;
};

TEST_F(ShownTokensTest, ChooseAmongTheAgentsOfTheWorkload) {
  const Handle a = show(7, token("a"), 1), b = show(7, token("b"), 2);
  EXPECT_EQ(settled(a)->agent, "a");
  EXPECT_EQ(settled(b)->agent, "b");
  EXPECT_EQ(a->standing()->token.subject, "a");
  EXPECT_TRUE(node_.wait([&] { return node_.was_woken(1); }));
  EXPECT_TRUE(node_.wait([&] { return node_.was_woken(2); }));
  const Handle elsewhere = show(8, token("b"));
  EXPECT_EQ(settled(elsewhere)->is, Is::refused);
  EXPECT_EQ(elsewhere->standing()->why, "its token is not accepted: its subject is `b`, and Agent `a` asks for `a`");
}

TEST_F(ShownTokensTest, AreKnownTheNextTimeWithoutAWait) {
  const std::string text = token("a");
  Handle first = show(7, text);
  settled(first);
  EXPECT_TRUE(first->is(text));
  EXPECT_FALSE(first->is(text + "x"));
  first.reset();
  EXPECT_EQ(show(7, text)->standing()->agent, "a");
  EXPECT_EQ(settled(show(9, text))->is, Is::lost) << "of another cgroup nothing is known";
}

TEST_F(ShownTokensTest, WhatIsNoTokenIsRefusedAndNotKept) {
  EXPECT_EQ(show(7, "")->standing()->is, Is::refused);
  EXPECT_EQ(show(7, std::string(limits::kTokenBytesMax + 1, 'x'))->standing()->is, Is::refused);
  Handle bad = show(7, "hunter2");
  EXPECT_EQ(settled(bad)->is, Is::refused);
  bad.reset();
  EXPECT_EQ(node_.tokens->shown().size(), 0u);
  Handle expired = show(7, token("a", -10));
  EXPECT_EQ(settled(expired)->is, Is::refused);
  const std::string good = token("a");
  Handle forged = show(7, good.substr(0, good.size() - 8) + "AAAAAAAA");
  EXPECT_NE(settled(forged)->why.find("signature"), std::string::npos);
  Handle of_nobody = show(99, good);
  EXPECT_EQ(settled(of_nobody)->is, Is::lost);
}

TEST_F(ShownTokensTest, EndWithTheirWorkload) {
  const Handle held = show(7, token("a"), 3), moved = show(8, token("a"), 4);
  EXPECT_EQ(settled(held)->agent, "a");
  EXPECT_EQ(settled(moved)->agent, "a");
  EXPECT_TRUE(node_.wait([&] { return node_.was_woken(3); }));
  TokenHolder none = node_.holder(7, {});
  none.refusal = "no Agent selects it any more";
  node_.tokens->watch(none);
  EXPECT_TRUE(becomes(held, Is::lost, "no Agent selects it any more"));
  EXPECT_TRUE(node_.wait([&] { return node_.was_woken(3); }));
  EXPECT_TRUE(node_.was_changed(7));
  node_.tokens->watch(node_.holder(8, {"b"}));
  EXPECT_TRUE(becomes(moved, Is::refused, "Agent `b` asks for `b`"));
  node_.tokens->watch(node_.holder(8, {"a"}));
  EXPECT_TRUE(becomes(show(8, token("a")), Is::proven));
  node_.tokens->forget(7, "/c7");
  EXPECT_TRUE(becomes(held, Is::lost, "its cgroup has gone"));
  EXPECT_EQ(node_.tokens->standing(7)->is, Is::lost);
}

TEST_F(ShownTokensTest, FollowPolicyAndKeys) {
  const Handle held = show(7, token("a"), 5);
  EXPECT_EQ(settled(held)->agent, "a");
  node_.write_policy(agent("a", "x") + agent("b", "a"));
  ASSERT_TRUE(node_.policy->reload());
  EXPECT_TRUE(node_.wait([&] { return held->standing()->agent == "b"; }));
  node_.write_policy(agent("a", "a"));
  ASSERT_TRUE(node_.policy->reload());
  EXPECT_TRUE(node_.wait([&] { return held->standing()->agent == "a"; }));
  node_.publish_keys({1});
  EXPECT_TRUE(becomes(held, Is::refused));
  // One that names a key which comes only later.
  const Handle fresh = show(8, token("a", 601), 6);
  node_.publish_keys({0, 1});
  EXPECT_TRUE(becomes(fresh, Is::proven));
}

TEST_F(ShownTokensTest, BadOnesOfOneWorkloadDelayNoOther) {
  const std::string good = token("a");
  std::vector<Handle> held;
  size_t at_once = 0;
  EXPECT_EQ(settled(show(8, good))->agent, "a");
  for (size_t i = 0; i < 8 * limits::kShownTokensQueuedMax + limits::kShownTokenChecksBurst; ++i) {
    held.push_back(show(7, fmt::format("{}{:08}", good.substr(0, good.size() - 8), i), i));
    at_once += held.back()->standing()->why.starts_with("too many tokens");
  }
  EXPECT_GT(at_once, 0u);
  EXPECT_EQ(show(8, good)->standing()->agent, "a") << "a token that is known goes on being known";
  EXPECT_EQ(settled(show(8, token("a", 602)))->agent, "a");
}

TEST_F(ShownTokensTest, OnlySoManyAreKeptThatNobodyHolds) {
  const std::string text = token("a", 3'600);
  std::vector<Handle> held;
  TokenHolder holder = node_.holder(8, {"a"});
  for (uint64_t id = 100; id < 100 + limits::kShownTokensKept + 10; ++id) {
    holder.cgroup_id = id;
    node_.tokens->watch(holder);
    held.push_back(show(id, text));
  }
  for (const Handle& each : held) ASSERT_EQ(settled(each)->is, Is::proven);
  EXPECT_EQ(node_.tokens->shown().size(), held.size());
  held.clear();
  EXPECT_EQ(node_.tokens->shown().size(), limits::kShownTokensKept);
}

class FilesTest : public testing::Test {
 protected:
  FilesTest() : node_(agent("lone", "lone")) {
    node_.write_policy(agent("a", "a", fmt::format(", file: {}", node_.path("a"))) +
                       agent("b", "b", fmt::format(", file: {}", node_.path("b"))) + agent("shows", "shows"));
    EXPECT_TRUE(node_.policy->reload());
  }
  bool becomes(uint64_t id, Is is, std::string_view agent_or_why) {
    return node_.wait([&] {
      const auto now = node_.tokens->standing(id);
      return now->is == is &&
             (is == Is::proven ? now->agent == agent_or_why : now->why.find(agent_or_why) != std::string::npos);
    });
  }

  Node node_;
};

TEST_F(FilesTest, TheOneThatIsThereChooses) {
  node_.put("b", token("b"));
  node_.tokens->watch(node_.holder(7, {"a", "b"}));
  EXPECT_TRUE(becomes(7, Is::proven, "b"));
  EXPECT_EQ(node_.tokens->standing(7, "b")->is, Is::proven);
  EXPECT_EQ(node_.tokens->standing(7, "c"), nullptr);
  node_.put("a", token("a"));
  EXPECT_TRUE(becomes(7, Is::refused, "its tokens prove it to be agent a and agent b"));
  node_.put("b", token("a"));
  EXPECT_TRUE(becomes(7, Is::proven, "a"));
  EXPECT_TRUE(node_.was_changed(7));
}

TEST_F(FilesTest, ARenewedOneCountsBeforeTheOldOneEnds) {
  node_.put("a", token("a", 300));
  node_.tokens->watch(node_.holder(7, {"a"}));
  EXPECT_TRUE(becomes(7, Is::proven, "a"));
  const int64_t until = node_.tokens->standing(7)->until_wall_ns;
  node_.put("a", token("a", 600));
  EXPECT_TRUE(node_.wait([&] { return node_.tokens->standing(7)->until_wall_ns > until; }));
}

TEST_F(FilesTest, WhoOnlyShowsTokensHasNone) {
  node_.tokens->watch(node_.holder(7, {"shows"}));
  EXPECT_TRUE(becomes(7, Is::refused, "it presents no token"));
}

}  // namespace
}  // namespace sallyport::daemon::test
