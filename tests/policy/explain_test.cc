// SPDX-License-Identifier: Apache-2.0
// `policy explain`: exactly the promised JSON, and words for people.
#include "sallyport/policy/explain.h"

#include <nlohmann/json.hpp>

#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Access;

std::shared_ptr<const Policy> masked_world() {
  return load_text(
      document("Agent", "bot", "workload: [{exec: bot}]") +
      document("Target", "db", "protocol: postgres, hosts: ['10.0.0.5:5432'], masks: [pii]") +
      document(
          "Mask", "pii",
          "columns: [{column: public.customers.email, with: partial}, {column: public.customers.ssn, with: redact}], "
          "detect: [{type: payment-card, with: redact}]") +
      entitlement("e", "allow: [{sql: {statements: [select]}}]"));
}

TEST(ExplainJson, Allowed) {
  const auto policy = masked_world();
  const auto operation = sql({effect("select", "public.customers", {"email", "id"})});
  EXPECT_EQ(explain_json(policy->decide(agent(), operation, 0), operation), nlohmann::json::parse(R"({
    "decision": "allow",
    "causes": ["e.allow[0]"],
    "operation": {"kind": "sql"},
    "effects": [{"class": "select", "object": "public.customers", "access": "read", "columns": ["email", "id"]}],
    "masks": [{"column": "public.customers.email", "strategy": "partial", "because": "Mask pii names the column"},
              {"column": "*", "strategy": "redact", "because": "Mask pii detects payment-card"}],
    "hint": ""})"));
}

TEST(ExplainJson, Denied) {
  const auto policy = masked_world();
  const auto operation = sql({effect("update", "public.customers", {"email"}, Access::write)});
  EXPECT_EQ(explain_json(policy->decide(agent(), operation, 0), operation), nlohmann::json::parse(R"({
    "decision": "deny",
    "causes": ["no rule"],
    "operation": {"kind": "sql"},
    "effects": [{"class": "update", "object": "public.customers", "access": "write", "columns": ["email"]}],
    "masks": [],
    "hint":
      "allow: [{sql: {statements: [update], tables: [public.customers], columns: [email]}}]  # Entitlement e"})"));
}

TEST(ExplainJson, AStarShowsAllMasksAndTheUnknownItsClass) {
  const auto policy = masked_world();
  const auto star = sql({effect("select", "public.customers", {"*"})});
  const auto json = explain_json(policy->decide(agent(), star, 0), star);
  EXPECT_EQ(json["effects"][0]["columns"], nlohmann::json::parse(R"(["*"])"));
  EXPECT_EQ(json["masks"].size(), 3u);
  const auto dark = sql({unknown()});
  EXPECT_EQ(explain_json(policy->decide(agent(), dark, 0), dark)["effects"],
            nlohmann::json::parse(R"([{"class": "unknown", "object": "", "access": "execute", "columns": []}])"));
}

TEST(ExplainText, SaysWhatWhyAndWhatNow) {
  const auto policy = masked_world();
  const auto operation = sql({effect("select", "public.customers", {"email"}),
                              effect("delete", "public.customers", {}, Access::write), unknown()});
  EXPECT_EQ(explain_text(policy->decide(agent(), operation, 0), operation),
            "deny\n"
            "  because  no rule: no rule of Entitlement e allows delete public.customers\n"
            "           p.yaml:19:18\n"
            "  because  no rule: no rule of Entitlement e allows what cannot be told (DO runs code)\n"
            "           p.yaml:19:18\n"
            "  effect   select public.customers (email), read\n"
            "  effect   delete public.customers, write\n"
            "  effect   what cannot be told (DO runs code), execute\n"
            "  hint     allow: [{sql: {statements: [delete], tables: [public.customers]}}, {sql: {statements: "
            "[unknown]}}]  # Entitlement e\n");
  const auto allowed = sql({effect("select", "public.customers", {"email"})});
  EXPECT_EQ(explain_text(policy->decide(agent(), allowed, 0), allowed),
            "allow\n"
            "  because  e.allow[0]: allow: [{sql: {statements: [select]}}]\n"
            "           p.yaml:20:40\n"
            "  effect   select public.customers (email), read\n"
            "  mask     public.customers.email partial: Mask pii names the column\n"
            "  mask     * redact: Mask pii detects payment-card\n");
}

TEST(Explain, LimitsInForce) {
  const auto policy =
      load_text(document("Agent", "bot", "workload: [{exec: bot}]") +
                document("Target", "db", "protocol: postgres, hosts: ['10.0.0.5:5432']") +
                entitlement("e",
                            "allow: [{sql: {}}], limits: [{count: rows, max: 10000, per: 90m, then: hold}, {count: "
                            "statements, max: 5, per: 7d, over: flow}]"));
  const auto operation = sql({effect("select", "public.customers", {"id"})});
  const auto decision = policy->decide(agent(), operation, 0);
  EXPECT_EQ(explain_json(decision, operation)["limits"], nlohmann::json::parse(R"([
    {"rule": "e.limits[0]", "count": "rows", "max": 10000, "per_s": 5400, "over": "agent", "then": "hold"},
    {"rule": "e.limits[1]", "count": "statements", "max": 5, "per_s": 604800, "over": "flow", "then": "deny"}])"));
  const std::string text = explain_text(decision, operation);
  EXPECT_NE(text.find("  limit    e.limits[0]: 10000 rows per 90m over agent then hold\n"
                      "  limit    e.limits[1]: 5 statements per 7d over flow then deny\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(decision.obligations.limits[0].where.substr(0, 7), "p.yaml:");
}

TEST(ExplainText, WhatAnAgentWroteIsPrintable) {
  EXPECT_EQ(describe(effect("select", "public.\x1b[31m", {"a\nb"})), "select public.\\x1b[31m (a\\x0ab)");
}

}  // namespace
}  // namespace sallyport::policy
