// SPDX-License-Identifier: Apache-2.0
// A file of a runtime's own: regular, root's, writable for nobody else, bounded; and what is read from such JSON.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"

namespace sallyport::edges {

/// The JSON in `path`; nothing if there is no such file.
Result<std::optional<nlohmann::json>> read_state_file(const std::string& path);

/// The text at `path` ("Config/Image"); "" if there is none.
std::string text_at(const nlohmann::json& value, std::string_view path);
/// At most kRuntimeLabelsMax.
std::map<std::string, std::string> labels_of(const nlohmann::json& value);

/// Of containers-storage: names of its folders begin with them.
inline constexpr const char* kStorageDrivers[] = {"overlay", "vfs", "btrfs", "zfs"};

}  // namespace sallyport::edges
