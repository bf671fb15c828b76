// SPDX-License-Identifier: Apache-2.0
// The real control server with a handler that makes and fills cgroups below a slice of the test's own,
// without BPF: everything of `exec` but the redirection.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sallyport/control/server.h"
#include "sallyport/launch/scopes.h"

namespace sallyport::testing {

class PlacingHandler : public control::Handler {
 public:
  explicit PlacingHandler(launch::Scopes scopes) : scopes_(std::move(scopes)) {}

  bool governed(const control::Peer& peer) override { return peer.cgroup_path.starts_with(scopes_.slice_path() + "/"); }

  Result<control::ExecGrant> place(const control::Peer& peer, const control::ExecRequest& request) override {
    if (request.agent == "forbidden") return fail("`" + peer.user + "` may not become `forbidden`", "ask security");
    auto scope = scopes_.make(request.agent);
    if (!scope) return std::unexpected(scope.error());
    const launch::Subject subject{peer.pid, peer.pidfd, peer.uid, peer.gid, peer.groups};
    if (request.map_identity) {
      if (auto mapped = launch::map_identity(subject); !mapped) return std::unexpected(mapped.error());
    }
    if (auto moved = scopes_.admit(*scope, subject); !moved) return std::unexpected(moved.error());
    return control::ExecGrant{request.agent, scope->path, scope->id, "guarded", request.agent != "ringless"};
  }

  nlohmann::json status() override { return {{"level", "guarded"}}; }
  nlohmann::json agents() override { return nlohmann::json::array({"probe"}); }
  Result<nlohmann::json> agent(const std::string& name) override { return nlohmann::json{{"name", name}}; }
  nlohmann::json flows() override { return nlohmann::json::array(); }
  nlohmann::json policy() override { return {{"epoch", 1}}; }
  Result<nlohmann::json> reload_policy() override { return nlohmann::json{{"epoch", 2}}; }
  nlohmann::json doctor() override { return nlohmann::json::array(); }
  Result<nlohmann::json> sessions(const control::SessionQuery& query) override {
    return nlohmann::json{{"agent", query.agent}, {"limit", query.limit}};
  }
  Result<nlohmann::json> session(const std::string& id, uint64_t from, uint32_t limit) override {
    if (id == "none") return fail("no session `none`");
    return nlohmann::json{{"id", id}, {"from", from}, {"limit", limit}};
  }

  launch::Scopes& scopes() { return scopes_; }

 private:
  launch::Scopes scopes_;
};

/// Serves at `socket_path` while it lives; removes its slice at the end. Needs root.
class PlacingService {
 public:
  explicit PlacingService(const std::string& socket_path, control::Roles roles = {}) {
    auto root = launch::find_cgroup2();
    if (!root) return;
    slice_ = fmt::format("sptest-{}.slice", ::getpid());
    root_ = *root;
    auto scopes = launch::Scopes::open(root_, slice_);
    if (!scopes) return;
    handler_ = std::make_unique<PlacingHandler>(std::move(*scopes));
    auto server = control::Server::start({socket_path, 0666, std::move(roles)}, *handler_);
    if (server) server_ = std::move(*server);
  }
  ~PlacingService() {
    server_.reset();
    if (!handler_) return;
    for (int i = 0; i < 50 && !handler_->scopes().list().empty(); ++i) {
      handler_->scopes().sweep([](const launch::Scope&) {}, 0);
      ::usleep(20'000);
    }
    ::rmdir((root_ + "/" + slice_).c_str());
  }
  PlacingService(const PlacingService&) = delete;
  PlacingService& operator=(const PlacingService&) = delete;

  bool running() const { return server_ != nullptr; }
  PlacingHandler& handler() { return *handler_; }
  const std::string& cgroup2_root() const { return root_; }
  const std::string& slice() const { return slice_; }

 private:
  std::string root_, slice_;
  std::unique_ptr<PlacingHandler> handler_;
  std::unique_ptr<control::Server> server_;
};

}  // namespace sallyport::testing
