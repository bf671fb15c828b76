// SPDX-License-Identifier: Apache-2.0
// A runtime's API at its Unix socket: Docker's GET /containers/ID/json, which podman's service answers too.
#pragma once

#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sallyport/base/result.h"

namespace sallyport::edges {

/// True if only root can have put a socket at `path` or can put another one there: it and every folder above are root's
/// (or ours), and nobody else may rename in them. False: nothing is there. The error says whose it is.
Result<bool> is_roots_socket(const std::string& path);

struct ApiAnswer {
  enum class Is : uint8_t {
    answered,     ///< `body` is of this container
    no_socket,    ///< none is there
    unreachable,  ///< or not to be believed, or too late: so it is for every container
    useless,      ///< it does not know this container, or says what cannot be of it
  };
  Is is = Is::no_socket;
  nlohmann::json body;
  std::string why;
};

/// Asks for one container; blocks up to kRuntimeAnswerMs. `stop` ends it sooner. `id`: as in the cgroup's path.
ApiAnswer ask_for_container(const std::string& socket, const std::string& id, const std::atomic<bool>& stop);

}  // namespace sallyport::edges
