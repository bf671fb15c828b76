// SPDX-License-Identifier: Apache-2.0
// What every fuzz target shares: an oracle that ends the process, and the cutting of an input into chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::fuzzing {

/// What happened so far in this input, for a target that has a story to tell; printed with a finding.
inline std::string& story() {
  static std::string text;
  return text;
}

/// Ends the run as a finding, with the sentence that did not hold.
[[noreturn]] inline void found(const char* what) {
  std::fprintf(stderr, "oracle failed: %s\n%s\n", what, story().c_str());
  std::abort();
}
inline void must(bool holds, const char* what) {
  if (!holds) found(what);
}

inline std::string_view view(const uint8_t* data, size_t size) {
  return std::string_view(reinterpret_cast<const char*>(data), size);
}

/// Takes choices off the end of an input, so that mutations at its front keep their meaning. An empty input always
/// chooses 0.
class Choices {
 public:
  explicit Choices(std::string_view input) : rest_(input) {}
  /// 0 <= choice < count
  size_t choose(size_t count) {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.back());
    rest_.remove_suffix(1);
    return byte % count;
  }
  bool flip() { return choose(2) == 1; }
  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Feeds `input` to `decode(readable) -> size_t consumed` (0: wants more, or has ended) in chunks whose sizes follow
/// from `seed`; each call sees a fresh heap copy, so that any read past the end is seen by the sanitizer.
template <class Decode>
void feed_in_chunks(std::string_view input, uint32_t seed, Decode&& decode) {
  std::string buffer;
  while (!input.empty()) {
    seed = seed * 1664525u + 1013904223u;
    const size_t chunk = std::min<size_t>(input.size(), 1 + (seed >> 24) % 17);
    buffer.append(input.substr(0, chunk));
    input.remove_prefix(chunk);
    while (true) {
      const std::vector<char> copy(buffer.begin(), buffer.end());
      const size_t consumed = decode(std::string_view(copy.data(), copy.size()));
      if (consumed == 0) break;
      buffer.erase(0, consumed);
    }
  }
}

}  // namespace sallyport::fuzzing
