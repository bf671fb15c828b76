// SPDX-License-Identifier: Apache-2.0
// What a flow needs from the node, as interfaces that daemon/ implements: hot facts, credentials,
// keys of other flows. All calls are thread-safe and return at once; none touches a socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"
#include "sallyport/flow/flow.h"
#include "sallyport/flow/shared_catalogue.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/mask/masker.h"
#include "sallyport/policy/policy.h"

namespace sallyport::flow {

/// One consistent reading of everything decisions depend on. Immutable; a Changed event says that a
/// newer one is there.
struct Facts {
  std::shared_ptr<const policy::Policy> policy;
  policy::HostAddresses hosts;                 ///< what the daemon resolved Targets' names to
  std::shared_ptr<const mask::Masker> masker;  ///< with the hash keys that policy names
  uint64_t epoch = 0;                          ///< grows with every change
};

/// A user and password for a Target, read from its credential file.
struct Credential {
  std::string user;  ///< empty: the one the agent asked for
  Secret password;
};

/// A part of a limit that a flow may spend.
struct Lease {
  uint64_t granted = 0;               ///< 0: less is left than was needed
  uint64_t used = 0;                  ///< by all who share the limit, unspent leases included
  int64_t frees_at_monotonic_ns = 0;  ///< when something becomes free again; 0: something is free, or nothing used
};

/// Whether a caller has proven to be an agent. Immutable; a Changed event says that a newer one is there.
struct Standing {
  enum class Is : uint8_t {
    proven,
    pending,  ///< its token is being read or verified
    refused,  ///< its token does not prove it
    lost,     ///< the workload is no agent's (any more), whatever tokens say
  };
  Is is = Is::proven;
  std::string agent;           ///< proven: whom; empty: the one that the flow began with
  model::TokenIdentity token;  ///< of what proved it; no issuer: policy asks for no token
  int64_t until_wall_ns = 0;   ///< proven no longer than this; 0: no end
  std::string why;             ///< unless proven: one line
  std::string hint;
};

/// A token that an agent showed inside its own protocol, held by one flow. Goes with the last pointer to it.
class ShownToken {
 public:
  virtual ~ShownToken() = default;
  /// Never null; pending until it has been verified. Thread-safe.
  virtual std::shared_ptr<const Standing> standing() const = 0;
  /// Whether it is this text; in a time that does not depend on where they differ.
  virtual bool is(std::string_view token) const = 0;
};

/// Whose live flow a cancel key belongs to.
struct CancelOwner {
  std::string target;
  std::string agent;
};

class Services {
 public:
  virtual ~Services() = default;

  /// What the workload has proven without a word of the flow. Never null. Pending while its first token is being read:
  /// a new flow waits for it, undecided.
  virtual std::shared_ptr<const Standing> standing(const Origin& origin) = 0;
  /// A token chooses among the Agents whose `workload` selects this flow's cgroup. Never null. It is verified
  /// elsewhere: the flow gets a Changed whenever its standing is another one.
  virtual std::shared_ptr<const ShownToken> show_token(const Origin& origin, std::string_view token) = 0;
  /// The agent and token of a flow have become known.
  virtual void identified(const Origin& origin) = 0;

  /// The process that called, with what has become known of it since; nothing: no more than `origin` has.
  virtual std::optional<model::Process> process_again(const Origin&) { return std::nullopt; }

  virtual std::shared_ptr<const Facts> facts() = 0;
  /// Cryptographically strong.
  virtual std::string random_bytes(size_t count) = 0;
  virtual model::SessionId make_session_id(const Now& now) = 0;
  virtual std::string node_name() = 0;

  /// Made at start, the same for every connection: hides which roles have a verifier.
  virtual const Secret& node_secret() = 0;

  /// Re-read when the file changed. The error names the file and what to do.
  virtual Result<Credential> credential(const std::string& file) = 0;
  /// The SCRAM verifier (`SCRAM-SHA-256$...`) of `role`.
  virtual Result<Secret> verifier(const std::string& file, const std::string& role) = 0;

  /// Compiled once for each list of rules, then shared.
  virtual Result<std::shared_ptr<const mask::DetectorSet>> detectors(const std::vector<model::DetectMask>& rules) = 0;

  /// What a side connection knows of a catalogue; null: none does, or not yet. The caller checks valid(). The first
  /// call for an `id` starts one.
  virtual std::shared_ptr<const SharedCatalogue> shared_catalogue(const CatalogueId& id, const Now& now) = 0;
  /// A session had to ask for these names itself: the next SharedCatalogue should have them.
  virtual void want_shared(const CatalogueId& id, const SearchPath& path, const sql::Missing& names) = 0;

  /// Takes `need` of a limit of this agent on `target`, or more to be spent later. What is unspent goes back when the
  /// flow ends, and otherwise within a sixtieth of the limit's window. Fails when too many limits are counted: deny.
  virtual Result<Lease> lease(const Origin& origin, std::string_view target, const model::Limit& limit, uint64_t need,
                              const Now& now) = 0;
  virtual void give_back(const Origin& origin, std::string_view target, const model::Limit& limit, uint64_t unspent,
                         const Now& now) = 0;

  /// Which live flow owns a backend key; found only by the same agent towards the same server.
  virtual void add_cancel_key(const Origin& origin, uint32_t pid, std::string_view key) = 0;
  /// That flow. A canceller without an agent, who would have to show a token, may be any that its workload may be.
  virtual std::optional<CancelOwner> owner_of_cancel_key(const Origin& canceller, uint32_t pid,
                                                         std::string_view key) = 0;

  /// The protocol and target of a flow, once known, for `status` and `sessions list`.
  virtual void describe(model::FlowId flow, const model::SessionId& session, std::string_view target,
                        std::string_view protocol) = 0;
};

}  // namespace sallyport::flow
