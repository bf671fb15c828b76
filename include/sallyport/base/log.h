// SPDX-License-Identifier: Apache-2.0
// The daemon's log: spdlog on standard error, one line an event, lower case. Nothing that an agent
// or target sent goes here unescaped; secrets and masked data never.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

namespace sallyport {

/// `level`: trace, debug, info, warn, error.
void log_to_stderr(std::string_view level);

/// Control bytes and quotes escaped, cut at `bytes_max`: fit for a log line or a terminal.
std::string printable(std::string_view bytes, size_t bytes_max = 200);

}  // namespace sallyport
