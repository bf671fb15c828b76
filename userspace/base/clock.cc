// SPDX-License-Identifier: Apache-2.0
#include "sallyport/base/clock.h"

#include <fmt/core.h>
#include <time.h>

namespace sallyport {
namespace {

int64_t read_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

}  // namespace

Now read_clocks() { return {read_ns(CLOCK_MONOTONIC), read_ns(CLOCK_REALTIME)}; }

std::string format_time(int64_t wall_ns) {
  const time_t seconds = wall_ns / kNanosPerSecond;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, wall_ns % kNanosPerSecond / kNanosPerMilli);
}

}  // namespace sallyport
