// SPDX-License-Identifier: Apache-2.0
// Invariant 6 for decisions and patterns; those of a load stand in errors_test.cc.
#include "sallyport/base/limits.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

/// An Entitlement whose `list` has `count` rules, each for a table of its own.
std::string rules_for_tables(std::string_view list, size_t count) {
  std::string rules;
  for (size_t i = 0; i < count; ++i)
    rules += fmt::format("{}{{sql: {{statements: [delete], tables: [public.t{}]}}}}", i == 0 ? "" : ", ", i);
  return entitlement("e", fmt::format("{}: [{}]", list, rules));
}

std::vector<model::Effect> deletes(size_t count) {
  std::vector<model::Effect> out;
  for (size_t i = 0; i < count; ++i)
    out.push_back(effect("delete", fmt::format("public.t{}", i), {}, model::Access::write));
  return out;
}

TEST(Limits, CausesNamedInOneDecision) {
  const auto policy = world(rules_for_tables("deny", limits::kPolicyCausesMax + 4));
  EXPECT_EQ(decide(*policy, deletes(limits::kPolicyCausesMax - 1)).causes.size(), limits::kPolicyCausesMax - 1);
  EXPECT_EQ(decide(*policy, deletes(limits::kPolicyCausesMax + 4)).causes.size(), limits::kPolicyCausesMax);
}

TEST(Limits, RulesProposedInOneHint) {
  const auto policy = world(entitlement("e", "allow: [{sql: {statements: [select], tables: [public.t0]}}]"));
  const auto named = [&](size_t count) {
    const std::string hint = decide(*policy, deletes(count)).hint;
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) found += hint.find(fmt::format("public.t{}", i)) != std::string::npos;
    return found;
  };
  EXPECT_EQ(named(limits::kPolicyHintRulesMax), limits::kPolicyHintRulesMax);
  EXPECT_LE(named(limits::kPolicyHintRulesMax + 5), limits::kPolicyHintRulesMax);
}

TEST(Limits, PartsOfAPattern) {
  const auto path = [](size_t parts) {
    std::string out;
    for (size_t i = 0; i < parts; ++i) out += "/p";
    return out;
  };
  const auto rule = [&](size_t parts) {
    return std::string(kAgentAndTarget) +
           entitlement("e", fmt::format("allow: [{{sql: {{files: [{}]}}}}]", path(parts)));
  };
  const auto policy = load_text(rule(limits::kPolicySegmentsMax));
  ASSERT_TRUE(policy);
  const auto copy_to = [&](size_t parts) {
    return decide(*policy, {effect_on(model::ObjectKind::file, "copy", path(parts), model::Access::write)}).outcome;
  };
  EXPECT_EQ(copy_to(limits::kPolicySegmentsMax), model::Outcome::allow);
  EXPECT_EQ(copy_to(limits::kPolicySegmentsMax + 1), model::Outcome::deny);
  const auto too_long = load({{"p.yaml", rule(limits::kPolicySegmentsMax + 1)}}, kOptions);
  ASSERT_FALSE(too_long);
  EXPECT_NE(all_findings(too_long.error()).find("too many parts"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::policy
