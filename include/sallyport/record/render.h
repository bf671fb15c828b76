// SPDX-License-Identifier: Apache-2.0
// Sessions as text for people and JSON for programs. Whatever an agent or target sent is escaped:
// printing a record cannot drive a terminal. The JSON is described in docs/formats/record.md.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sallyport/record/sessions.h"

namespace sallyport::record {

/// `sessions list`: one line a session under a head line; says so when there is none.
std::string render_list(const std::vector<SessionSummary>& sessions);
/// `sessions show`: who, where, when, process, then each operation.
std::string render_show(const SessionDetail& session);

/// One thing printed by `sessions replay`; the caller waits before each (`wait_ns` divided by the
/// speed), or not at all.
struct ReplayStep {
  int64_t wait_ns = 0;
  std::string text;
};
std::vector<ReplayStep> render_replay(const SessionDetail& session);

nlohmann::json to_json(const SessionSummary& session);
nlohmann::json to_json(const std::vector<SessionSummary>& sessions);
nlohmann::json to_json(const SessionDetail& session);

}  // namespace sallyport::record
