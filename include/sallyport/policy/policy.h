// SPDX-License-Identifier: Apache-2.0
// Documents in, decisions out. A Policy is an immutable, validated snapshot: built whole by load() or
// not at all, shared by all threads, replaced by another snapshot. Pure: texts, addresses and the time
// are handed in. Semantics: docs/policy.md.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/address.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/effect.h"
#include "sallyport/model/operation.h"
#include "sallyport/model/principal.h"
#include "sallyport/model/token.h"
#include "sallyport/policy/document.h"

namespace sallyport::policy {

class Policy;
struct Compiled;  // private: userspace/policy/compiled.h

/// One file: YAML (or JSON) with any number of documents.
struct Source {
  std::string path;  ///< for messages only
  std::string text;
};

struct LoadOptions {
  int64_t wall_ns = 0;  ///< now; 0: no warnings about what is past
  uint64_t epoch = 0;   ///< goes into every Decision of this snapshot
  /// Says what is wrong with a Detector's pattern: mask::check_pattern. Without it patterns are taken as they are.
  Result<> (*check_pattern)(const model::DetectPattern&) = nullptr;
};

struct Loaded {
  std::shared_ptr<const Policy> policy;
  std::vector<Diagnostic> warnings;
};

/// Reads and checks all documents together. Any error: no policy, all findings (errors and warnings, by
/// path, line, column). Never throws, whatever the text; bounded by limits::kPolicy*.
std::expected<Loaded, std::vector<Diagnostic>> load(const std::vector<Source>& sources,
                                                    const LoadOptions& options = {});

/// Addresses of the host names in policy (lower case), resolved by the caller.
using HostAddresses = std::map<std::string, std::vector<model::IpAddress>, std::less<>>;

/// What is said inside a protocol that tells Targets apart which list the same hosts. Empty: not said.
struct TargetSelector {
  std::string database;
  std::string user;
  std::string name;  ///< of the Target itself, where it is known from elsewhere
};

/// Which Target a destination is. Nothing: not listed. `others`: Targets that fit as well; unless what is said inside
/// the protocol leaves one, the connection must be refused naming all. `host` is the entry of `target` that matched;
/// its name, if any, is what the server's certificate must be for.
struct TargetMatch {
  const Target* target = nullptr;
  const HostPattern* host = nullptr;
  std::vector<const Target*> others;

  /// "`a` and `b`"
  std::string names() const;
};

/// Why a verified token is not an Agent's. Closed list.
struct TokenMismatch {
  enum class What : uint8_t { issuer, subject, claim };
  What what = What::issuer;
  std::string text;  ///< "its subject is `a`, not `b`"
};

/// One Agent whose selector fits a workload. Pointers live as long as the Policy.
struct WorkloadMatch {
  const Agent* agent = nullptr;
  const WorkloadSelector* selector = nullptr;
  std::string cgroup;        ///< where it begins: for `cgroup` selectors an ancestor maybe, else the identity
  bool needs_token = false;  ///< holds but for what only a verified token says (serviceAccount)
};

/// Why a selector does not fit a workload.
struct WorkloadMismatch {
  const WorkloadSelector* selector = nullptr;
  std::string fact;    ///< "namespace"; "kind": it is no such thing at all
  std::string wanted;  ///< "bots or bots-*"
  std::string found;   ///< "billing", or in words why it is not known
};

/// A rule as decisions name it; owned by the Policy.
struct NamedRule {
  std::string name;   ///< "billing-bot-invoices.allow[0]", "baseline.catalogue"
  std::string text;   ///< "allow: [{sql: {statements: [select]}}]"
  std::string where;  ///< "file:line:column", or empty for a baseline
};

/// The cheap half of a decision, without allocation for the common allow. Pointers live as long as the Policy.
struct Judgement {
  model::Outcome outcome = model::Outcome::deny;
  /// The rules that caused it, first come first: for deny those that deny, for hold those that hold, for
  /// allow those that cover. At most kCausesMax; nullptr behind the last. For a deny none: no rule covers.
  static constexpr size_t kCausesMax = 8;
  const NamedRule* causes[kCausesMax] = {};
  size_t effect = 0;                                ///< for deny: index of the first effect that is refused
  const model::Obligations* obligations = nullptr;  ///< nullptr when denied
  int64_t expires_wall_ns = 0;                      ///< 0: only on change
};

class Policy {
 public:
  explicit Policy(std::unique_ptr<const Compiled> compiled);
  ~Policy();
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  uint64_t epoch() const;
  std::span<const Agent> agents() const;
  std::span<const Target> targets() const;
  std::span<const Issuer> issuers() const;
  const Agent* find_agent(std::string_view name) const;
  const Target* find_target(std::string_view name) const;
  const Issuer* find_issuer(std::string_view name) const;

  /// Whether a token whose issuer has been verified is the one that `agent` asks for; nothing: it is. An Agent without
  /// `token` asks for none, and any token is a mismatch.
  std::optional<TokenMismatch> match_token(const Agent& agent, const model::Token& token) const;

  /// The agent that `sallyport exec --agent NAME` makes of a caller: `user` is the caller's login name (may
  /// be empty), `uid` its uid. The error says whether the name is unknown or the caller may not.
  Result<const Agent*> agent_for_exec(std::string_view name, std::string_view user, uint32_t uid) const;

  /// Every Agent that selects a workload, by its nearest selector: empty: nobody's; of several a token must tell one.
  /// What `exec` started is its agent's by name and not asked here.
  std::vector<WorkloadMatch> match_workload(const model::Workload& workload) const;
  /// For each selector of the Agent, each thing that does not hold for the workload; empty: one of them holds whole.
  std::vector<WorkloadMismatch> mismatches(const Agent& agent, const model::Workload& workload) const;

  /// Host names in Targets, lower case, sorted, unique: to be resolved and handed to match_target().
  std::vector<std::string> host_names() const;

  /// The most specific Target: a host name or full address before the longest prefix. Of several the one that
  /// `selector` fits (its `databases`, `users`); where it fits none or several, all of them.
  TargetMatch match_target(const model::Endpoint& destination, const HostAddresses& resolved,
                           const TargetSelector& selector = {}) const;

  /// All key files that `hash` masks need, by name.
  std::span<const MaskKey> mask_keys() const;

  /// What the `detect` lists of all Masks ask for together: for each type the strategy that shows less.
  std::vector<model::DetectMask> detect_masks() const;

  /// What policy says about an operation of `principal.agent` on `operation.target` at `wall_ns`. Always
  /// names its causes; a deny carries a hint.
  model::Decision decide(const model::Principal& principal, const model::Operation& operation, int64_t wall_ns) const;

  /// The same on effects alone, for the hot path: same outcome, no strings made. Without a process nobody can say
  /// which one calls: rules with `process` allow nothing then.
  Judgement judge(std::string_view agent, std::string_view target, std::span<const model::Effect> effects,
                  int64_t wall_ns, const model::Process& process = {}) const;

  /// No deny or hold rule, and rules that cover every statement, `unknown` ones too: whatever an operation turns out
  /// to do, it is allowed, so nobody needs to look anything up. Masks and limits are apart from this.
  bool passes_everything(std::string_view agent, std::string_view target, int64_t wall_ns,
                         const model::Process& process = {}) const;

  /// Some rule of this agent asks for the SHA-256 of the process: worth waiting for.
  bool asks_for_digest(std::string_view agent) const;

 private:
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace sallyport::policy
