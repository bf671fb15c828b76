// SPDX-License-Identifier: Apache-2.0
#include "sallyport/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace sallyport {

void log_to_stderr(std::string_view level) {
  auto logger = spdlog::stderr_color_mt("sallyport");
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(std::string(level)));
  spdlog::set_default_logger(std::move(logger));
}

std::string printable(std::string_view bytes, size_t bytes_max) {
  std::string out;
  const bool cut = bytes.size() > bytes_max;
  for (unsigned char byte : bytes.substr(0, bytes_max)) {
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += static_cast<char>(byte);
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += static_cast<char>(byte);
    }
  }
  if (cut) out += fmt::format("... ({} bytes)", bytes.size());
  return out;
}

}  // namespace sallyport
