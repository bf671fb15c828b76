// SPDX-License-Identifier: Apache-2.0
// Runs a task on a thread with far less stack than a worker has.
#pragma once

#include <gtest/gtest.h>
#include <pthread.h>

#include <cstddef>
#include <functional>

namespace sallyport::sql {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr size_t kStackBytes = kSanitized ? 8 << 20 : 512 << 10;

inline void* run_task(void* task) {
  (*static_cast<std::function<void()>*>(task))();
  return nullptr;
}

inline void on_small_stack(std::function<void()> task) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, run_task, &task), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace sallyport::sql
