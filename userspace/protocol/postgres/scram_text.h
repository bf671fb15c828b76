// SPDX-License-Identifier: Apache-2.0
// The text and the keys of SCRAM (RFC 5802 sections 3, 5 and 7), without any state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"

namespace sallyport::postgres {

std::string base64_encode(std::string_view bytes);
/// Canonical base64 only: padded, no white space, no stray bits.
std::optional<std::string> base64_decode(std::string_view text);
/// Decimal digits only, 1 to kScramIterationsMax.
std::optional<uint32_t> parse_iterations(std::string_view text);

std::string sha256(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
/// Byte by byte; both must be of one length.
std::string xor_bytes(std::string_view a, std::string_view b);
/// Constant time for equal lengths.
bool equal_secretly(std::string_view a, std::string_view b);

/// Hi(SASLprep(password), salt, iterations). PBKDF2 (RFC 8018): the costly step, about 0.4 µs an iteration.
Secret salted_password(const Secret& password, std::string_view salt, uint32_t iterations);

/// Takes `a=value` attributes off a SCRAM message from the left.
class AttributeReader {
 public:
  explicit AttributeReader(std::string_view text) : rest_(text) {}

  /// The value of the next attribute, which must be called `name`.
  std::optional<std::string_view> next(char name);
  /// Passes over one attribute of any name but `m` (mandatory extension: must be refused when unknown).
  bool skip_optional();
  bool at_end() const { return ended_; }

 private:
  std::optional<std::string_view> take();

  std::string_view rest_;
  bool ended_ = false;
};

/// A nonce: printable ASCII without comma, not empty.
bool is_nonce(std::string_view text);

}  // namespace sallyport::postgres
