// SPDX-License-Identifier: Apache-2.0
// Sixteen bytes of text at once, on any processor: the compiler's vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sallyport::mask {

using ByteVector = uint8_t __attribute__((vector_size(16)));
inline constexpr size_t kVectorBytes = 16;

/// Bytes from `at` on; behind the end of the text there are spaces.
inline ByteVector load_bytes(std::string_view text, size_t at) {
  ByteVector bytes;
  if (at + kVectorBytes <= text.size()) {
    std::memcpy(&bytes, text.data() + at, kVectorBytes);
    return bytes;
  }
  bytes = ByteVector{} + static_cast<uint8_t>(' ');
  std::memcpy(&bytes, text.data() + at, text.size() - at);
  return bytes;
}

// Each gives 0xff where it is so, else 0.
inline ByteVector equal_to(ByteVector bytes, char c) { return ByteVector(bytes == static_cast<uint8_t>(c)); }
inline ByteVector digits_of(ByteVector bytes) { return ByteVector((bytes - uint8_t{'0'}) < 10); }
inline ByteVector letters_of(ByteVector bytes) { return ByteVector(((bytes | 0x20) - uint8_t{'a'}) < 26); }

struct VectorHalves {
  uint64_t low = 0;
  uint64_t high = 0;
};

inline VectorHalves halves(ByteVector bytes) {
  VectorHalves out;
  std::memcpy(&out.low, &bytes, 8);
  std::memcpy(&out.high, reinterpret_cast<const char*>(&bytes) + 8, 8);
  return out;
}

inline bool any(ByteVector mask) {
  VectorHalves both = halves(mask);
  return (both.low | both.high) != 0;
}

/// A bit for each byte of a mask, the first the lowest (little-endian machines only, as all of ours are).
inline uint32_t bits_of(ByteVector mask) {
  constexpr uint64_t kGather = 0x0102040810204080;
  VectorHalves both = halves(mask);
  auto gather = [](uint64_t half) { return static_cast<uint32_t>(((half & 0x0101010101010101) * kGather) >> 56); };
  return gather(both.low) | gather(both.high) << 8;
}

}  // namespace sallyport::mask
