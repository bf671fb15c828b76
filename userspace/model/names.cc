// SPDX-License-Identifier: Apache-2.0
// The words that closed lists are known by, in policy, record and CLI alike.
#include <fmt/core.h>

#include "sallyport/base/clock.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/effect.h"
#include "sallyport/model/operation.h"

namespace sallyport::model {

std::string_view to_string(Access access) {
  static constexpr std::string_view kNames[] = {"read", "write", "execute"};
  return kNames[static_cast<size_t>(access)];
}

std::string_view to_string(ObjectKind kind) {
  static constexpr std::string_view kNames[] = {"relation", "function", "schema",  "type",    "database", "role",
                                                "setting",  "file",     "program", "channel", "other",    "unknown"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view to_string(Outcome outcome) {
  static constexpr std::string_view kNames[] = {"allow", "hold", "deny"};
  return kNames[static_cast<size_t>(outcome)];
}

std::string_view to_string(MaskStrategy strategy) {
  static constexpr std::string_view kNames[] = {"redact", "partial", "hash", "null", "fixed"};
  return kNames[static_cast<size_t>(strategy)];
}

std::string_view to_string(Limit::Count count) {
  static constexpr std::string_view kNames[] = {"rows", "bytes", "statements"};
  return kNames[static_cast<size_t>(count)];
}

std::string_view to_string(Limit::Over over) {
  static constexpr std::string_view kNames[] = {"agent", "flow"};
  return kNames[static_cast<size_t>(over)];
}

std::string describe(const Limit& limit) {
  static constexpr std::pair<int64_t, char> kUnits[] = {{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}};
  const int64_t seconds = limit.per_ns / kNanosPerSecond;
  for (const auto& [length, letter] : kUnits)
    if (seconds % length == 0 || length == 1)
      return fmt::format("{} {} per {}{}", limit.max, to_string(limit.count), seconds / length, letter);
  return {};
}

std::string_view kind_of(const Operation& operation) {
  static constexpr std::string_view kNames[] = {"connect", "sql", "http", "opaque"};
  return kNames[operation.body.index()];
}

}  // namespace sallyport::model
