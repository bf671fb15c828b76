// SPDX-License-Identifier: Apache-2.0
// A file of a runtime's own: regular, root's, writable for nobody else, bounded.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "sallyport/base/result.h"

namespace sallyport::edges {

/// The JSON in `path`; nothing if there is no such file.
Result<std::optional<nlohmann::json>> read_state_file(const std::string& path);

}  // namespace sallyport::edges
