// SPDX-License-Identifier: Apache-2.0
// What a Policy is made of. Built by compile(), read by decide and lookup, never changed afterwards.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "match_http.h"
#include "match_process.h"
#include "match_sql.h"
#include "match_workload.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {

inline constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
inline constexpr int64_t kAlways = std::numeric_limits<int64_t>::min();

/// One element of `allow`, `hold` or `deny`.
struct Rule : NamedRule {
  model::Outcome outcome = model::Outcome::deny;
  SqlRule sql;
  std::optional<HttpRule> http;        ///< the rule speaks of HTTP, and `sql` means nothing
  std::optional<ProcessRule> process;  ///< nothing: it is for all processes
  Place place;

  /// The protocol whose Targets it is for.
  std::string_view protocol() const { return http ? "http" : "postgres"; }
};

struct Mask {
  std::string name;
  std::vector<model::ColumnMask> columns;
  std::vector<model::DetectMask> detect;
  std::vector<Place> type_uses;  ///< of each type in `detect`
  std::vector<Place> key_uses;   ///< of each `hash`, in the order columns, detect
  Place where;
};

struct Reference {
  std::string name;
  Place where;
};

struct Entitlement {
  std::string name;
  Reference agent;
  Reference target;
  std::vector<std::unique_ptr<Rule>> rules;  ///< owned here; addresses are stable
  std::vector<Reference> masks;
  std::vector<Reference> reveal;
  std::vector<model::Limit> limits;
  int64_t from_ns = kAlways;      ///< window.from
  int64_t until_ns = kForever;    ///< window.until
  int64_t expires_ns = kForever;  ///< review.expires
  bool baseline = true;
  NamedRule early, late, lapsed;  ///< causes: before the window, after it, past the review
  Place where;

  int64_t end_ns() const { return until_ns < expires_ns ? until_ns : expires_ns; }
  bool grants_at(int64_t wall_ns) const { return wall_ns >= from_ns && wall_ns < end_ns(); }
};

/// Which rules count between two edges of windows and reviews: within it, time changes nothing. Read through
/// Scope::at(), which leaves those that are for the process.
struct Phase {
  int64_t until_ns = kForever;
  std::vector<const Rule*> cover;  ///< allow and hold rules of entitlements that grant
  std::vector<const Rule*> hold;   ///< of all: an Entitlement that ends must not widen what another one allows
  std::vector<const Rule*> deny;   ///< of all
  bool grants = false;             ///< there is a rule in `cover`
  bool baseline = false;
  bool by_process = false;             ///< some rule has a `process`
  std::vector<const Rule*> set_aside;  ///< those of `cover` that are not for this process
  std::shared_ptr<const model::Obligations> obligations;
};

/// All that is said about one agent on one target.
struct Scope {
  const Agent* agent = nullptr;
  const Target* target = nullptr;
  std::vector<const Entitlement*> entitlements;  ///< by name
  std::vector<Phase> phases;                     ///< in time; the last one lasts forever
  bool by_digest = false;                        ///< some rule has `process: {sha256: …}`

  /// As it is for one process: what surely is for another is out of hold and deny, what is not surely for this one is
  /// out of cover. `own` keeps it where it is not one of `phases`.
  const Phase& at(int64_t wall_ns, const model::Process& process, Phase& own) const;
};

/// What only decisions need to know of a Target.
struct TargetRules {
  std::vector<Pattern> databases;  ///< empty: any
  std::vector<Pattern> users;
  NamedRule database_rule;  ///< "invoices-db.databases"
  NamedRule user_rule;
};

struct ScopeKey {
  std::string_view agent;
  std::string_view target;
  bool operator==(const ScopeKey&) const = default;
};
struct ScopeKeyHash {
  size_t operator()(const ScopeKey& key) const {
    const std::hash<std::string_view> hash;
    return hash(key.agent) * 31 + hash(key.target);
  }
};

/// The patterns of an Agent's `token`.
struct TokenRules {
  std::vector<Pattern> subject;              ///< empty: any
  std::vector<std::vector<Pattern>> claims;  ///< parallel to AgentToken::claims
};

struct Compiled {
  uint64_t epoch = 0;
  std::vector<Agent> agents;              ///< by name
  std::vector<TokenRules> token_rules;    ///< parallel to agents
  std::vector<Issuer> issuers;            ///< by name
  std::vector<Target> targets;            ///< by name
  std::vector<TargetRules> target_rules;  ///< parallel to targets
  std::vector<Mask> masks;
  WorkloadIndex workloads;                                 ///< of `agents`
  std::vector<MaskKey> keys;                               ///< by name
  std::vector<std::unique_ptr<Entitlement>> entitlements;  ///< by name
  std::vector<std::unique_ptr<Scope>> scopes;
  std::unordered_map<ScopeKey, const Scope*, ScopeKeyHash> scope_index;  ///< views into agents and targets

  const Scope* find_scope(std::string_view agent, std::string_view target) const;
  const TargetRules& rules_of(const Target& target) const { return target_rules[&target - targets.data()]; }
};

}  // namespace sallyport::policy
