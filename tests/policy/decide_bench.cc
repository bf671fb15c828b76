// SPDX-License-Identifier: Apache-2.0
// What a decision costs: the common allow, with few and with many rules.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "sallyport/policy/policy.h"

namespace sallyport::policy {
namespace {

std::shared_ptr<const Policy> make_policy(int rules) {
  std::string text = R"(
{apiVersion: sallyport.dev/v1alpha1, kind: Agent, metadata: {name: bot}, spec: {workload: [{exec: bot}]}}
--- {apiVersion: sallyport.dev/v1alpha1, kind: Target, metadata: {name: db},
     spec: {protocol: postgres, hosts: ["10.0.0.5:5432"], masks: [pii]}}
--- {apiVersion: sallyport.dev/v1alpha1, kind: Mask, metadata: {name: pii},
     spec: {columns: [{column: public.customers.email, with: partial}]}}
--- {apiVersion: sallyport.dev/v1alpha1, kind: Entitlement, metadata: {name: e},
     spec: {agent: bot, target: db, deny: [{sql: {columns: [public.customers.ssn]}}], allow: [
)";
  for (int i = 1; i < rules; ++i) text += fmt::format("{{sql: {{statements: [select], tables: [public.t{}]}}}}, ", i);
  text += "{sql: {statements: [select], tables: [public.customers]}}]}}";
  return load({{"bench.yaml", text}}).value().policy;
}

model::Operation select_one() {
  model::Operation out;
  out.target = "db";
  out.body = model::Sql{
      model::Sql::Source::query,
      "",
      {{"select", model::ObjectKind::relation, "public.customers", model::Access::read, {"email", "id"}, false, ""}}};
  return out;
}

void Decide(benchmark::State& state) {
  const auto policy = make_policy(static_cast<int>(state.range(0)));
  const auto operation = select_one();
  model::Principal principal;
  principal.agent = "bot";
  for (auto _ : state) benchmark::DoNotOptimize(policy->decide(principal, operation, 1));
}

void JudgeOnly(benchmark::State& state) {
  const auto policy = make_policy(static_cast<int>(state.range(0)));
  const auto operation = select_one();
  const auto& effects = std::get<model::Sql>(operation.body).effects;
  for (auto _ : state) benchmark::DoNotOptimize(policy->judge("bot", "db", effects, 1));
}

BENCHMARK(Decide)->Arg(1)->Arg(10)->Arg(100);
BENCHMARK(JudgeOnly)->Arg(1)->Arg(10)->Arg(100);

}  // namespace
}  // namespace sallyport::policy

BENCHMARK_MAIN();
