// SPDX-License-Identifier: Apache-2.0
// One request to the control API from a process of its own: ask SOCKET GET|POST PATH [BODY].
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "sallyport/control/client.h"

int main(int count, char** values) {
  const sallyport::control::Client client(values[1]);
  const bool post = std::string(values[2]) == "POST";
  const auto answer =
      post ? client.post(values[3], count > 4 ? nlohmann::json::parse(values[4]) : nlohmann::json::object())
           : client.get(values[3]);
  std::puts(answer ? answer->dump().c_str() : answer.error().what.c_str());
  return answer ? 0 : 1;
}
