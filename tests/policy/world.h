// SPDX-License-Identifier: Apache-2.0
// A small world for policy tests: one agent `bot`, one target `db`, and what a test adds.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/policy/policy.h"

namespace sallyport::policy::test {

inline constexpr std::string_view kAgentAndTarget = R"(
apiVersion: sallyport.dev/v1alpha1
kind: Agent
metadata: {name: bot}
spec: {workload: [{exec: bot}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Target
metadata: {name: db}
spec: {protocol: postgres, hosts: ["10.0.0.5:5432"]}
)";

/// One document of `kind`, its spec in flow style.
inline std::string document(std::string_view kind, std::string_view name, std::string_view spec) {
  return fmt::format("---\napiVersion: sallyport.dev/v1alpha1\nkind: {}\nmetadata: {{name: {}}}\nspec: {{{}}}\n", kind,
                     name, spec);
}

/// An Entitlement of bot on db.
inline std::string entitlement(std::string_view name, std::string_view rest) {
  return document("Entitlement", name, fmt::format("agent: bot, target: db, {}", rest));
}

inline std::string all_findings(const std::vector<Diagnostic>& list) {
  std::string out;
  for (const Diagnostic& finding : list) out += finding.to_string() + "\n";
  return out;
}

inline constexpr LoadOptions kOptions{.wall_ns = 0, .epoch = 7};

/// A policy that must load; nullptr (and a failed test) if it does not.
inline std::shared_ptr<const Policy> load_text(const std::string& text, const LoadOptions& options = kOptions) {
  auto loaded = load({{"p.yaml", text}}, options);
  if (!loaded) {
    ADD_FAILURE() << all_findings(loaded.error()) << text;
    return nullptr;
  }
  return loaded->policy;
}

/// Agent, target and these entitlements of bot on db, as `e`, or whole documents.
inline std::shared_ptr<const Policy> world(const std::string& documents) {
  return load_text(std::string(kAgentAndTarget) + documents);
}

/// "select public.customers name,email" -> an effect. Words: class, object, columns ("-": none, "*": all), access.
inline model::Effect effect(std::string_view statement, std::string_view object, std::vector<std::string> columns = {},
                            model::Access access = model::Access::read) {
  model::Effect out;
  out.statement_class = statement;
  out.kind = model::ObjectKind::relation;
  out.object = object;
  out.access = access;
  out.all_columns = columns == std::vector<std::string>{"*"};
  if (!out.all_columns) out.columns = std::move(columns);
  return out;
}

inline model::Effect effect_on(model::ObjectKind kind, std::string_view statement, std::string_view object,
                               model::Access access = model::Access::execute) {
  model::Effect out = effect(statement, object, {}, access);
  out.kind = kind;
  return out;
}

inline model::Effect unknown(std::string_view because = "DO runs code") {
  model::Effect out;
  out.statement_class = model::kUnknownClass;
  out.because = because;
  out.access = model::Access::execute;
  return out;
}

inline model::Operation sql(std::vector<model::Effect> effects, model::Sql::Source source = model::Sql::Source::query) {
  model::Operation out;
  out.target = "db";
  out.body = model::Sql{source, "", std::move(effects)};
  return out;
}

inline model::Operation connect_to(std::string_view target) {
  model::Operation out;
  out.target = target;
  out.body = model::Connect{{model::IpAddress::v4(10, 0, 0, 9), 5432}};
  return out;
}

inline model::Principal agent(std::string_view name = "bot") {
  model::Principal out;
  out.agent = name;
  return out;
}

/// The decision, checked against judge() on the way: both must say the same.
inline model::Decision decide(const Policy& policy, std::vector<model::Effect> effects, int64_t wall_ns = 0) {
  const Judgement judgement = policy.judge("bot", "db", effects, wall_ns);
  const model::Decision out = policy.decide(agent(), sql(std::move(effects)), wall_ns);
  EXPECT_EQ(judgement.outcome, out.outcome);
  EXPECT_EQ(judgement.obligations == nullptr, out.outcome == model::Outcome::deny);
  EXPECT_FALSE(out.causes.empty());
  EXPECT_EQ(out.policy_epoch, policy.epoch());
  return out;
}

/// "allow: e.allow[0], baseline.show"
inline std::string in_words(const model::Decision& decision) {
  std::string out = fmt::format("{}:", model::to_string(decision.outcome));
  for (const model::Cause& cause : decision.causes)
    out += fmt::format("{}{}", &cause == &decision.causes.front() ? " " : ", ", cause.rule);
  return out;
}

}  // namespace sallyport::policy::test
