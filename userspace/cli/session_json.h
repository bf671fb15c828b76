// SPDX-License-Identifier: Apache-2.0
// Sessions as the daemon sends them (docs/formats/record.md), back into the structs that
// record::render_* print: the inverse of record::to_json, to the millisecond.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sallyport/record/sessions.h"

namespace sallyport::cli {

/// Missing or mistyped members keep their default: a newer or older daemon's answer still prints.
record::SessionSummary summary_from_json(const nlohmann::json& value);
record::SessionDetail detail_from_json(const nlohmann::json& value);

}  // namespace sallyport::cli
