// SPDX-License-Identifier: Apache-2.0
// Bytes that must not be seen: printed as `<secret>`, wiped when they go, compared in constant time.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

namespace sallyport {

/// Overwrites memory in a way the compiler keeps.
void wipe(void* memory, size_t size);
void wipe(std::string& bytes);

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string bytes) : bytes_(std::move(bytes)) {}
  Secret(Secret&& other) noexcept : bytes_(std::move(other.bytes_)) { wipe(other.bytes_); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  ~Secret() { wipe(bytes_); }

  /// The bytes in clear, for the one call that needs them. Valid while this Secret lives unchanged.
  std::string_view reveal() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }

  /// Constant time for equal lengths.
  bool equals(std::string_view other) const;

 private:
  std::string bytes_;
};

}  // namespace sallyport

template <>
struct fmt::formatter<sallyport::Secret> : fmt::formatter<std::string_view> {
  auto format(const sallyport::Secret&, format_context& context) const {
    return fmt::formatter<std::string_view>::format("<secret>", context);
  }
};
