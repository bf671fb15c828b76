// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/startup.h"

#include <fmt/core.h>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/messages.h"

namespace sallyport::postgres {
namespace {

constexpr size_t kStartupHeaderBytes = 8;  // length and version or request code
constexpr size_t kCancelBytesBeforeKey = 12;

StartupResult read_cancel(std::string_view raw) {
  if (raw.size() < kCancelBytesBeforeKey + kCancelKeyBytesMin ||
      raw.size() > kCancelBytesBeforeKey + kCancelKeyBytesMax)
    return Violation{fmt::format("agent sent CancelRequest of {} bytes, not 16 to 268", raw.size())};
  CancelRequest cancel;
  cancel.pid = load_big_endian<uint32_t>(raw.data() + kStartupHeaderBytes);
  cancel.key = raw.substr(kCancelBytesBeforeKey);
  cancel.raw = raw;
  return cancel;
}

StartupResult read_startup(std::string_view raw, uint32_t version) {
  StartupMessage message;
  message.major = static_cast<uint16_t>(version >> 16);
  message.minor = static_cast<uint16_t>(version);
  message.raw = raw;
  if (message.major != 3)
    return Violation{fmt::format("agent asked for protocol {}.{}, only 3.x is spoken", message.major, message.minor)};
  ByteReader reader(raw.substr(kStartupHeaderBytes));
  while (true) {
    const std::string_view name = reader.c_string();
    if (!reader.ok()) return Violation{"agent sent StartupMessage without terminator"};
    if (name.empty()) break;
    const std::string_view value = reader.c_string();
    if (!reader.ok()) return Violation{"agent sent StartupMessage with a parameter that has no value"};
    // The server would take the last one, or all of them (options): what was judged must be what counts.
    if (message.find(name)) return Violation{"agent sent StartupMessage with a parameter named twice"};
    message.parameters.emplace_back(name, value);
  }
  if (!reader.at_end()) return Violation{"agent sent StartupMessage with bytes behind its terminator"};
  return message;
}

}  // namespace

std::optional<std::string_view> StartupMessage::find(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  return std::nullopt;
}

StartupResult next_startup(std::string_view input) {
  if (input.size() < 4) return NeedMore{kStartupHeaderBytes};
  const uint32_t length = load_big_endian<uint32_t>(input.data());
  if (length < kStartupHeaderBytes || length > limits::kPgStartupBytesMax + 4)
    return Violation{
        fmt::format("agent sent a startup packet of length {}, not 8 to {}", length, limits::kPgStartupBytesMax + 4)};
  if (input.size() < length) return NeedMore{length};
  const std::string_view raw = input.substr(0, length);
  const uint32_t code = load_big_endian<uint32_t>(raw.data() + 4);
  if (code == kCancelRequestCode) return read_cancel(raw);
  if (code == kSslRequestCode || code == kGssEncRequestCode) {
    if (length != kStartupHeaderBytes)
      return Violation{fmt::format("agent sent an encryption request of length {}, not 8", length)};
    if (code == kSslRequestCode) return SslRequest{raw};
    return GssEncRequest{raw};
  }
  return read_startup(raw, code);
}

}  // namespace sallyport::postgres
