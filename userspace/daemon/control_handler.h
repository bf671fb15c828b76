// SPDX-License-Identifier: Apache-2.0
// Answers of the control API (docs/control-api.md). Reads what the node knows; changes nothing but by
// place() and reload_policy().
#pragma once

#include <nlohmann/json.hpp>

#include "daemon/policy_store.h"
#include "daemon/recent_times.h"
#include "daemon/recogniser.h"
#include "daemon/record_health.h"
#include "daemon/workloads.h"
#include "sallyport/control/server.h"
#include "sallyport/node/catalogues.h"
#include "sallyport/node/flow_registry.h"

namespace sallyport::daemon {

class ControlHandler final : public control::Handler {
 public:
  /// All outlive this. `record_directory`: where the sessions are.
  ControlHandler(kernel::Kernel& kernel, PolicyStore& policy, const Tokens& tokens, Workloads& workloads,
                 const Recogniser& recogniser, node::FlowRegistry& registry, const node::Catalogues& catalogues,
                 RecordHealth& record_health, const RecentTimes& identify_times, kernel::LevelReport level,
                 std::string record_directory)
      : kernel_(kernel),
        policy_(policy),
        tokens_(tokens),
        workloads_(workloads),
        recogniser_(recogniser),
        registry_(registry),
        catalogues_(catalogues),
        record_health_(record_health),
        identify_times_(identify_times),
        level_(std::move(level)),
        record_directory_(std::move(record_directory)) {}

  bool governed(const control::Peer& peer) override;
  Result<control::ExecGrant> place(const control::Peer& peer, const control::ExecRequest& request) override {
    return workloads_.place(peer, request);
  }
  nlohmann::json status() override;
  nlohmann::json agents() override;
  Result<nlohmann::json> agent(const std::string& name) override;
  nlohmann::json flows() override;
  nlohmann::json policy() override;
  Result<nlohmann::json> reload_policy() override;
  nlohmann::json doctor() override;
  Result<nlohmann::json> sessions(const control::SessionQuery& query) override;
  Result<nlohmann::json> session(const std::string& id, uint64_t from, uint32_t limit) override;

 private:
  nlohmann::json catalogues();
  nlohmann::json issuers();
  nlohmann::json runtimes() const;
  nlohmann::json identify_times() const;
  nlohmann::json agent_json(const std::string& name, const policy::Agent* agent) const;
  std::string record_error() const;

  kernel::Kernel& kernel_;
  PolicyStore& policy_;
  const Tokens& tokens_;
  Workloads& workloads_;
  const Recogniser& recogniser_;
  node::FlowRegistry& registry_;
  const node::Catalogues& catalogues_;
  RecordHealth& record_health_;
  const RecentTimes& identify_times_;
  const kernel::LevelReport level_;
  const std::string record_directory_;
  const int64_t started_wall_ns_ = read_clocks().wall_ns;
};

}  // namespace sallyport::daemon
