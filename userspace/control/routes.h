// SPDX-License-Identifier: Apache-2.0
// From a parsed request to an answer: the table of paths, who may ask for each, and what the Handler
// is asked. No socket here.
#pragma once

#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/control/server.h"

namespace sallyport::control {

struct HttpRequest {
  std::string method;
  std::string target;  ///< path and query
  std::string body;
};

struct HttpAnswer {
  unsigned status = 200;
  std::string body;  ///< JSON
};

HttpAnswer error_answer(unsigned status, const Error& error);

HttpAnswer route(const HttpRequest& request, const Peer& peer, const Roles& roles, Handler& handler);

}  // namespace sallyport::control
