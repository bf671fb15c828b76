// SPDX-License-Identifier: Apache-2.0
#include "record/crc32c.h"

#include <array>
#include <cstring>

namespace sallyport::record {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
constexpr size_t kSlices = 8;

// kTables[k][b]: the remainder of byte b followed by k zero bytes.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, kSlices> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest & 1 ? rest >> 1 ^ kPolynomial : rest >> 1;
    tables[0][byte] = rest;
  }
  for (size_t slice = 1; slice < kSlices; ++slice) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}();

uint32_t by_tables(std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  while (bytes.size() >= kSlices) {
    uint32_t next = 0;
    for (size_t i = 0; i < 4; ++i) next ^= kTables[7 - i][(crc >> 8 * i & 0xff) ^ at(i)];
    for (size_t i = 4; i < kSlices; ++i) next ^= kTables[7 - i][at(i)];
    crc = next;
    bytes.remove_prefix(kSlices);
  }
  for (char byte : bytes) crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

#ifdef __x86_64__
// An entry's header: 20 ns instead of 150.
__attribute__((target("sse4.2"))) uint32_t by_instruction(std::string_view bytes) {
  uint64_t crc = ~uint32_t{0};
  for (; bytes.size() >= sizeof(uint64_t); bytes.remove_prefix(sizeof(uint64_t))) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  auto rest = static_cast<uint32_t>(crc);
  for (char byte : bytes) rest = __builtin_ia32_crc32qi(rest, static_cast<uint8_t>(byte));
  return ~rest;
}
#endif

}  // namespace

uint32_t crc32c(std::string_view bytes) {
#ifdef __x86_64__
  static const bool kInstruction = __builtin_cpu_supports("sse4.2") != 0;
  if (kInstruction) return by_instruction(bytes);
#endif
  return by_tables(bytes);
}

}  // namespace sallyport::record
