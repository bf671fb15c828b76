// SPDX-License-Identifier: Apache-2.0
// What a test that bounds work measures: time on the wall passes for other programs too.
#pragma once

#include <time.h>

#include <cstdint>

namespace sallyport {

/// CPU time that the calling thread has used.
inline int64_t thread_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return used.tv_sec * INT64_C(1'000'000'000) + used.tv_nsec;
}

}  // namespace sallyport
