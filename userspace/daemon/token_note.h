// SPDX-License-Identifier: Apache-2.0
// What `exec --token-file` said, kept with the scope itself, so that a daemon that starts later knows it too.
#pragma once

#include <optional>
#include <string>

#include "sallyport/base/result.h"
#include "sallyport/edges/workload_file.h"

namespace sallyport::daemon {

struct TokenNote {
  std::string file;
  edges::FileUser user;
};

/// In a `trusted.` attribute of the cgroup's directory, which only root of the machine can see or set.
Result<> write_token_note(const std::string& cgroup_directory, const TokenNote& note);
/// Nothing: there is none, or none that can be understood.
std::optional<TokenNote> read_token_note(const std::string& cgroup_directory);

}  // namespace sallyport::daemon
