// SPDX-License-Identifier: Apache-2.0
// The daemon's edge of the control API: HTTP/1.1 with JSON over a Unix socket, one request a
// connection. An accepting thread names the peer; a few workers read, ask the Handler, answer.
// A peer whose cgroup is governed is refused everything before a byte of its request is read.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sallyport/base/result.h"
#include "sallyport/control/api.h"

namespace sallyport::control {

/// What the daemon can be asked. Called from the server's workers, several at once; an Error becomes
/// {"error": {"what", "hint"}}. Authorisation by role is done before; who may become which agent is
/// place()'s own to decide.
class Handler {
 public:
  virtual ~Handler() = default;

  /// True for a process of an enrolled or otherwise governed cgroup; below sallyport.slice the server
  /// has already said so itself. When unsure: true.
  virtual bool governed(const Peer& peer) = 0;

  /// Checks policy, makes and enrols the cgroup, moves the peer in. An Error is answered 403.
  virtual Result<ExecGrant> place(const Peer& peer, const ExecRequest& request) = 0;

  virtual nlohmann::json status() = 0;
  virtual nlohmann::json agents() = 0;
  /// One agent: its workloads, and for those that it nearly selects which fact does not match.
  virtual Result<nlohmann::json> agent(const std::string& name) = 0;
  virtual nlohmann::json flows() = 0;
  virtual nlohmann::json policy() = 0;
  virtual Result<nlohmann::json> reload_policy() = 0;
  virtual nlohmann::json doctor() = 0;

  /// Newest first: an array of summaries.
  virtual Result<nlohmann::json> sessions(const SessionQuery& query) = 0;
  /// Up to `limit` entries of one session from sequence number `from` on.
  virtual Result<nlohmann::json> session(const std::string& id, uint64_t from, uint32_t limit) = 0;
};

struct ServerOptions {
  std::string socket_path{kDefaultSocket};  ///< its folder must exist; a stale socket is replaced
  uint32_t mode = 0666;                     ///< anybody may knock; roles and policy decide
  Roles roles;
  unsigned workers = 4;
};

class Server {
 public:
  /// Binds, listens and serves until destroyed. `handler` must outlive the server.
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sallyport::control
