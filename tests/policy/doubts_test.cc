// SPDX-License-Identifier: Apache-2.0
// Rules that are valid but hardly what their author meant: a warning at the place, and the policy loads.
#include <gtest/gtest.h>

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;

/// Warnings of a policy that must load: agent, target and `documents`.
std::string warnings(const std::string& documents) {
  auto loaded = load({{"p.yaml", std::string(kAgentAndTarget) + documents}}, kOptions);
  EXPECT_TRUE(loaded) << all_findings(loaded.error());
  return loaded ? all_findings(loaded->warnings) : "";
}

std::string of_rule(std::string_view rule, std::string_view list = "allow") {
  return warnings(entitlement("e", fmt::format("{}: [{{sql: {{{}}}}}]", list, rule)));
}

TEST(Doubts, FunctionsThatNoListedStatementHas) {
  constexpr std::string_view kNever =
      "warning: functions: never matches, since no listed statement has a function as its object; calls are of class "
      "call where the function's code is understood, else unknown; write statements: [call, unknown]\n";
  EXPECT_EQ(of_rule("statements: [select], functions: [public.pay]"), fmt::format("p.yaml:15:80: {}", kNever));
  EXPECT_EQ(of_rule("functions: [public.pay], statements: [select, do]"), fmt::format("p.yaml:15:58: {}", kNever));
  EXPECT_EQ(of_rule("statements: [select], functions: [public.pay]", "hold"), fmt::format("p.yaml:15:79: {}", kNever));
  EXPECT_EQ(of_rule("statements: [select], functions: [public.pay]", "deny"), fmt::format("p.yaml:15:79: {}", kNever));
  for (const std::string_view word :
       {"alter", "call", "comment", "create", "drop", "function_call", "grant", "revoke", "security_label", "unknown"})
    EXPECT_EQ(of_rule(fmt::format("statements: [select, {}], functions: [public.pay]", word)), "") << word;
}

TEST(Doubts, CallsNeedUnknown) {
  constexpr std::string_view kUnknown =
      "warning: functions: calls whose code is not understood are of class unknown, which this rule does not name; "
      "write statements: [call, unknown] to have them called, or statements: [create, alter, drop] if definitions are "
      "meant\n";
  EXPECT_EQ(of_rule("functions: [public.pay]"), fmt::format("p.yaml:15:58: {}", kUnknown));
  EXPECT_EQ(of_rule("statements: ['*'], functions: [public.pay]"), fmt::format("p.yaml:15:77: {}", kUnknown));
  EXPECT_EQ(of_rule("functions: [public.pay]", "hold"), fmt::format("p.yaml:15:57: {}", kUnknown));
  EXPECT_EQ(of_rule("statements: ['*', unknown], functions: [public.pay]"), "");
  EXPECT_EQ(of_rule("functions: [public.pay]", "deny"), "") << "the unknown touches every deny rule as it is";
}

TEST(Doubts, CapitalsWithoutQuotes) {
  EXPECT_EQ(
      of_rule("tables: [public.Users]"),
      "p.yaml:15:56: warning: tables: `public.Users`: capitals without quotes mean public.users, as in PostgreSQL; "
      "write that, or public.\"Users\" for the name with capitals\n");
  EXPECT_EQ(of_rule("tables: ['App.\"Users\"']"),
            "p.yaml:15:56: warning: tables: `App.\"Users\"`: capitals without quotes mean app.\"Users\", as in "
            "PostgreSQL; write that, or \"App\".\"Users\" for the name with capitals\n");
  EXPECT_EQ(of_rule("columns: [Ssn]"),
            "p.yaml:15:57: warning: columns: `Ssn`: capitals without quotes mean ssn, as in PostgreSQL; write that, or "
            "\"Ssn\" for the name with capitals\n");
  EXPECT_NE(of_rule("schemas: [App]"), "");
  EXPECT_NE(of_rule("roles: [Admin]"), "");
  EXPECT_EQ(
      of_rule("tables: ['public.\"Users\"', public.users], settings: [TimeZone], files: [/Data], programs: [Cat]"), "");
}

TEST(Doubts, DotsAndStarsInQuotes) {
  EXPECT_EQ(of_rule("columns: ['\"public.customers.ssn\"']"),
            "p.yaml:15:57: warning: columns: `\"public.customers.ssn\"`: dots in quotes are part of one name; write "
            "public.customers.ssn\n");
  EXPECT_EQ(
      of_rule("tables: ['public.\"*\"']"),
      "p.yaml:15:56: warning: tables: `public.\"*\"`: a star in quotes is a star and no pattern; write public.*\n");
}

TEST(Doubts, InTargetsAndMasksToo) {
  EXPECT_EQ(
      warnings(document("Target", "two", "protocol: postgres, hosts: ['a:1'], databases: [Shop]")),
      "p.yaml:15:56: warning: databases: `Shop`: capitals without quotes mean shop, as in PostgreSQL; write that, "
      "or \"Shop\" for the name with capitals\n");
  EXPECT_EQ(warnings(document("Mask", "m", "columns: [{column: public.users.SSN, with: redact}]")),
            "p.yaml:15:27: warning: column: `public.users.SSN`: capitals without quotes mean public.users.ssn, as in "
            "PostgreSQL; write that, or public.users.\"SSN\" for the name with capitals\n");
}

TEST(Doubts, NamesThatAreDoubleOrLeadNowhere) {
  const auto errors = [](const std::string& documents) {
    auto loaded = load({{"p.yaml", std::string(kAgentAndTarget) + documents}}, kOptions);
    return loaded ? "it loads" : all_findings(loaded.error());
  };
  EXPECT_EQ(errors(entitlement("e", "allow: [{sql: {}}]") + entitlement("e", "allow: [{sql: {}}]")),
            "p.yaml:19:18: error: duplicate Entitlement `e`; the other one stands at p.yaml:14:18\n");
  const std::string mask = document("Mask", "m", "detect: [{type: email, with: redact}]");
  EXPECT_EQ(errors(mask + mask), "p.yaml:19:18: error: duplicate Mask `m`; the other one stands at p.yaml:14:18\n");
  EXPECT_EQ(errors(mask + entitlement("e", "allow: [{sql: {}}], reveal: [n]")),
            "p.yaml:20:61: error: no Mask is named `n`; did you mean `m`?\n");
}

}  // namespace
}  // namespace sallyport::policy
