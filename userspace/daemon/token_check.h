// SPDX-License-Identifier: Apache-2.0
// What a token proves of a workload: the one place where policy, identity and a cgroup's facts meet.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/edges/workload_file.h"
#include "sallyport/flow/services.h"
#include "sallyport/identity/token.h"
#include "sallyport/model/principal.h"
#include "sallyport/policy/policy.h"

namespace sallyport::daemon {

/// A workload whose agent may have to prove itself.
struct TokenHolder {
  uint64_t cgroup_id = 0;
  std::vector<std::string> agents;  ///< whom policy lets it be, by name; of several a token must tell one
  std::string refusal;              ///< why it is nobody's; empty: it is not refused
  std::string recognised_as;
  std::string cgroup_path;  ///< from the cgroup2 root
  bool by_exec = false;
  model::Workload facts;
  std::string file;                     ///< of `exec --token-file`; empty: where the Agent's `token` says
  std::optional<edges::FileUser> user;  ///< who named `file`
  bool operator==(const TokenHolder&) const = default;
};

/// "agent a", "agents a and b"
std::string agents_in_words(const TokenHolder& holder);

/// Form, signature, issuer, audience and times; `text` with a line end behind it or without.
identity::Checked<model::Token> verify(std::string_view text, const policy::Issuer& issuer, identity::KeySet& keys,
                                       int64_t wall_ns);
/// Whether a verified token is the one that `agent` asks for, found where it is bound to.
identity::Checked<> check_fit(const model::Token& token, const TokenHolder& holder, const policy::Policy& policy,
                              const policy::Agent& agent);

/// Standings.
std::shared_ptr<const flow::Standing> pending(std::string why);
std::shared_ptr<const flow::Standing> refused(std::string why);
std::shared_ptr<const flow::Standing> refused(const identity::Refusal& refusal);
std::shared_ptr<const flow::Standing> lost(std::string why);
std::shared_ptr<const flow::Standing> proven(const std::string& agent, const model::Token& token);
/// Policy asks for no token.
std::shared_ptr<const flow::Standing> not_asked(const std::string& agent);
bool same(const flow::Standing& a, const flow::Standing& b);

}  // namespace sallyport::daemon
