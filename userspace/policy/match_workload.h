// SPDX-License-Identifier: Apache-2.0
// Which Agents select a workload. Selectors with a literal in one of their keys are found by it, so that thousands of
// Agents cost what a few do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "findings.h"
#include "pattern.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {

/// Who tells a fact.
inline constexpr std::string_view kFromCgroup = "the cgroup";
inline constexpr std::string_view kFromRuntime = "the runtime";
inline constexpr std::string_view kFromToken = "a token";

/// One pattern of a fact in the grammar of its kind: paths and images have segments, the others are one.
Result<Pattern> parse_fact_pattern(std::string_view fact, std::string_view text);

/// A selector ready to be matched; views and pointers into its Agent.
class WorkloadRule {
 public:
  WorkloadRule(const Agent& agent, const WorkloadSelector& selector);

  enum class Fit { no, yes, needs_token };
  /// Sets `cgroup` to where the workload begins.
  Fit fit(const model::Workload& workload, std::string& cgroup) const;
  void explain(const model::Workload& workload, std::vector<WorkloadMismatch>& out) const;
  /// Whether everything that `narrower` selects is selected by this one too, as far as is plain to see.
  bool includes(const WorkloadRule& narrower) const;
  /// A fact and value without which it does not fit, the most telling one: {"name", "web"}; empty: none is literal.
  std::pair<std::string_view, std::string_view> literal() const;

  const Agent& agent() const { return *agent_; }
  const WorkloadSelector& selector() const { return *selector_; }

 private:
  struct Fact {
    const WorkloadFact* written;
    std::vector<Pattern> any_of;
  };
  bool trusts_user() const;

  const Agent* agent_;
  const WorkloadSelector* selector_;
  std::vector<Fact> facts_;
};

class WorkloadIndex {
 public:
  WorkloadIndex() = default;
  /// `agents` must stay where they are.
  explicit WorkloadIndex(const std::vector<Agent>& agents);
  WorkloadIndex(WorkloadIndex&&) = default;
  WorkloadIndex& operator=(WorkloadIndex&&) = default;

  std::vector<WorkloadMatch> match(const model::Workload& workload) const;
  /// Calls `look` with each rule that may fit workloads like those of `rule`.
  void for_each_like(const WorkloadRule& rule, const std::function<void(const WorkloadRule&)>& look) const;
  const std::vector<WorkloadRule>& rules() const { return rules_; }

 private:
  static std::string key(model::WorkloadKind kind, std::string_view fact, std::string_view value);

  std::vector<WorkloadRule> rules_;
  std::unordered_map<std::string, std::vector<uint32_t>> by_literal_;
  std::vector<uint32_t> others_;  ///< without a literal
};

std::vector<WorkloadMismatch> mismatches(const Agent& agent, const model::Workload& workload);
/// Two Agents that one workload would be, and that no token tells apart.
void check_workloads(const std::vector<Agent>& agents, const std::vector<Issuer>& issuers, Findings& findings);

}  // namespace sallyport::policy
