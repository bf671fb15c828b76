// SPDX-License-Identifier: Apache-2.0
// The asking side of the control API. Blocking, one connection a request, with a deadline.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/control/api.h"

namespace sallyport::control {

class Client {
 public:
  explicit Client(std::string socket_path, int64_t timeout_ms = 30'000);

  /// The answer's body. The daemon's own refusal comes back as its Error; no daemon is one too, with
  /// the remedy as hint.
  Result<nlohmann::json> get(std::string_view path) const;
  Result<nlohmann::json> post(std::string_view path, const nlohmann::json& body) const;

  /// Turns the calling process into an agent: on success it is in the agent's cgroup.
  Result<ExecGrant> exec(const ExecRequest& request) const;

  /// Something listens on the socket.
  bool reachable() const;

 private:
  Result<nlohmann::json> ask(std::string_view method, std::string_view path, std::string body) const;

  std::string socket_path_;
  int64_t timeout_ms_;
};

}  // namespace sallyport::control
