// SPDX-License-Identifier: Apache-2.0
// Time as plain numbers. Pure modules are handed `now`; only net/ and daemon/ read a clock.
#pragma once

#include <cstdint>
#include <string>

namespace sallyport {

/// One reading of both clocks, taken once per loop turn.
struct Now {
  int64_t monotonic_ns = 0;  ///< CLOCK_MONOTONIC: for deadlines and durations
  int64_t wall_ns = 0;       ///< CLOCK_REALTIME, since 1970-01-01 UTC: for windows and records
};

Now read_clocks();

/// "2026-11-24T05:22:22.123Z"
std::string format_time(int64_t wall_ns);

inline constexpr int64_t kNanosPerMilli = 1'000'000;
inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace sallyport
