// SPDX-License-Identifier: Apache-2.0
// The node as flows see it: one object, shared by all workers.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "daemon/policy_store.h"
#include "daemon/tokens.h"
#include "sallyport/edges/process.h"
#include "sallyport/flow/services.h"
#include "sallyport/node/cancel_keys.h"
#include "sallyport/node/catalogues.h"
#include "sallyport/node/credentials.h"
#include "sallyport/node/flow_registry.h"
#include "sallyport/node/limit_counters.h"

namespace sallyport::daemon {

class FlowServices final : public flow::Services {
 public:
  /// All outlive this.
  FlowServices(PolicyStore& policy, Tokens& tokens, node::FlowRegistry& registry, node::CancelKeys& cancel_keys,
               node::LimitCounters& limits, node::Catalogues& catalogues, edges::Processes& processes,
               std::string node_name);

  std::shared_ptr<const flow::Facts> facts() override { return policy_.facts(); }
  std::shared_ptr<const flow::Standing> standing(const flow::Origin& origin) override {
    return tokens_.standing(origin.principal.cgroup_id);
  }
  std::optional<model::Process> process_again(const flow::Origin& origin) override {
    return processes_.again(origin.principal.process);
  }
  std::shared_ptr<const flow::ShownToken> show_token(const flow::Origin& origin, std::string_view token) override {
    return tokens_.shown().show(origin, token);
  }
  void identified(const flow::Origin& origin) override;
  std::string random_bytes(size_t count) override;
  model::SessionId make_session_id(const Now& now) override;
  std::string node_name() override { return node_name_; }
  const Secret& node_secret() override { return node_secret_; }
  Result<flow::Credential> credential(const std::string& file) override;
  Result<Secret> verifier(const std::string& file, const std::string& role) override;
  Result<std::shared_ptr<const mask::DetectorSet>> detectors(const std::vector<model::DetectMask>& rules) override;
  Result<flow::Lease> lease(const flow::Origin& origin, std::string_view target, const model::Limit& limit,
                            uint64_t need, const Now& now) override;
  void give_back(const flow::Origin& origin, std::string_view target, const model::Limit& limit, uint64_t unspent,
                 const Now& now) override;
  std::shared_ptr<const flow::SharedCatalogue> shared_catalogue(const flow::CatalogueId& id, const Now& now) override {
    return catalogues_.look(id, now.monotonic_ns);
  }
  void want_shared(const flow::CatalogueId& id, const flow::SearchPath& path, const sql::Missing& names) override {
    catalogues_.want(id, path, names);
  }
  void add_cancel_key(const flow::Origin& origin, uint32_t pid, std::string_view key) override;
  std::optional<flow::CancelOwner> owner_of_cancel_key(const flow::Origin& canceller, uint32_t pid,
                                                       std::string_view key) override;
  /// For the side connections, which read theirs the same way.
  node::Credentials& credentials() { return credentials_; }
  void describe(model::FlowId flow, const model::SessionId& session, std::string_view target,
                std::string_view protocol) override;

 private:
  PolicyStore& policy_;
  Tokens& tokens_;
  node::FlowRegistry& registry_;
  node::CancelKeys& cancel_keys_;
  node::LimitCounters& limits_;
  node::Catalogues& catalogues_;
  edges::Processes& processes_;
  node::Credentials credentials_;
  const std::string node_name_;
  const Secret node_secret_;
  std::mutex mutex_;  ///< of detectors_
  std::map<std::string, std::shared_ptr<const mask::DetectorSet>> detectors_;
};

}  // namespace sallyport::daemon
