// SPDX-License-Identifier: Apache-2.0
// Whether the workers can write the record, for `status`. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>

namespace sallyport::daemon {

class RecordHealth {
 public:
  /// `trouble`: one line; empty: it can write again.
  void report(unsigned worker, std::string trouble) {
    std::lock_guard lock(mutex_);
    trouble_[worker] = std::move(trouble);
  }
  /// Of any worker; empty: none has any.
  std::string trouble() const {
    std::lock_guard lock(mutex_);
    for (const auto& [worker, trouble] : trouble_)
      if (!trouble.empty()) return trouble;
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::map<unsigned, std::string> trouble_;
};

}  // namespace sallyport::daemon
