// SPDX-License-Identifier: Apache-2.0
#include "mask/base58.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "mask/check_digits.h"

namespace sallyport::mask {
namespace {

constexpr std::string_view kBitcoin = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr std::string_view kRipple = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";
constexpr size_t kDecodedMax = 82;  // an extended key

std::array<uint8_t, 32> sha256(const uint8_t* bytes, size_t size) {
  std::array<uint8_t, 32> digest{};
  unsigned length = digest.size();
  EVP_Digest(bytes, size, digest.data(), &length, EVP_sha256(), nullptr);
  return digest;
}

constexpr std::array<uint64_t, 24> kRounds = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008};

/// FIPS 202 3.2 and 3.3.
void permute(std::array<uint64_t, 25>& a) {
  static constexpr int kRotations[] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                       27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
  static constexpr size_t kLanes[] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                      15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};
  for (uint64_t round : kRounds) {
    std::array<uint64_t, 5> column{};
    for (size_t i = 0; i < 5; ++i) column[i] = a[i] ^ a[i + 5] ^ a[i + 10] ^ a[i + 15] ^ a[i + 20];
    for (size_t i = 0; i < 25; ++i) a[i] ^= column[(i + 4) % 5] ^ std::rotl(column[(i + 1) % 5], 1);
    uint64_t moved = a[1];
    for (size_t i = 0; i < 24; ++i) {
      uint64_t next = a[kLanes[i]];
      a[kLanes[i]] = std::rotl(moved, kRotations[i]);
      moved = next;
    }
    for (size_t row = 0; row < 25; row += 5) {
      std::array<uint64_t, 5> old{a[row], a[row + 1], a[row + 2], a[row + 3], a[row + 4]};
      for (size_t i = 0; i < 5; ++i) a[row + i] = old[i] ^ (~old[(i + 1) % 5] & old[(i + 2) % 5]);
    }
    a[0] ^= round;
  }
}

}  // namespace

std::array<uint8_t, 32> keccak256(std::string_view bytes) {
  constexpr size_t kRate = 136;
  std::array<uint64_t, 25> state{};
  std::array<uint8_t, kRate> block{};
  while (true) {
    size_t size = std::min(bytes.size(), kRate);
    block.fill(0);
    std::memcpy(block.data(), bytes.data(), size);
    bytes.remove_prefix(size);
    bool last = size < kRate;
    if (last) {
      block[size] ^= 0x01;
      block[kRate - 1] ^= 0x80;
    }
    for (size_t i = 0; i < kRate; ++i) state[i / 8] ^= static_cast<uint64_t>(block[i]) << (8 * (i % 8));
    permute(state);
    if (last) break;
  }
  std::array<uint8_t, 32> digest{};
  for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(state[i / 8] >> (8 * (i % 8)));
  return digest;
}

bool is_base58check(std::string_view text, bool ripple) {
  std::string_view alphabet = ripple ? kRipple : kBitcoin;
  std::array<uint8_t, kDecodedMax> bytes{};
  size_t used = 0;  // of the end of `bytes`
  for (char c : text) {
    size_t digit = alphabet.find(c);
    if (digit == std::string_view::npos) return false;
    auto carry = static_cast<uint32_t>(digit);
    for (size_t i = 0; i < used || carry > 0; ++i) {
      if (i == bytes.size()) return false;
      uint8_t& byte = bytes[bytes.size() - 1 - i];
      carry += byte * 58U;
      byte = static_cast<uint8_t>(carry);
      carry >>= 8;
      used = std::max(used, i + 1);
    }
  }
  size_t zeros = std::min(text.find_first_not_of(alphabet[0]), text.size());
  size_t size = used + zeros;
  if (size != 25 && size != 37 && size != 38 && size != 82) return false;
  const uint8_t* begin = bytes.data() + bytes.size() - size;
  auto once = sha256(begin, size - 4);
  auto twice = sha256(once.data(), once.size());
  return std::equal(twice.begin(), twice.begin() + 4, begin + size - 4);
}

bool is_bech32(std::string_view text) {
  static constexpr std::string_view kLetters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  static constexpr std::string_view kPrefixes[] = {"bc",    "tb",     "bcrt",  "ltc",  "tltc",  "addr",   "addr_test",
                                                   "stake", "cosmos", "osmo",  "inj",  "terra", "npub",   "nsec",
                                                   "lnbc",  "erd",    "akash", "juno", "kava",  "secret", "celestia"};
  static constexpr uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
  size_t mark = text.rfind('1');
  if (mark == std::string_view::npos || text.size() - mark - 1 < 6) return false;
  bool upper = is_ascii_letter(text[0]) && text[0] < 'a';
  auto folded = [&](char c) { return upper ? ascii_lower(c) : c; };
  uint32_t sum = 1;
  auto add = [&](uint32_t value) {
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (size_t i = 0; i < 5; ++i) sum ^= (top >> i & 1) ? kGenerator[i] : 0;
  };
  auto is_prefix = [&](std::string_view prefix) {
    return prefix.size() == mark && std::ranges::equal(text.substr(0, mark), prefix, {}, folded);
  };
  if (std::ranges::none_of(kPrefixes, is_prefix)) return false;
  for (char c : text.substr(0, mark)) add(static_cast<uint32_t>(folded(c)) >> 5);
  add(0);
  for (char c : text.substr(0, mark)) add(static_cast<uint32_t>(folded(c)) & 31);
  for (char c : text.substr(mark + 1)) {
    size_t value = kLetters.find(folded(c));
    if (value == std::string_view::npos) return false;
    add(static_cast<uint32_t>(value));
  }
  return sum == 1 || sum == 0x2bc830a3;
}

bool is_eip55(std::string_view digits) {
  std::array<char, 40> lower{};
  std::ranges::transform(digits.substr(0, lower.size()), lower.begin(), ascii_lower);
  auto hash = keccak256({lower.data(), lower.size()});
  for (size_t i = 0; i < lower.size(); ++i) {
    if (!is_ascii_letter(digits[i])) continue;
    int nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;
    if ((nibble >= 8) != (digits[i] < 'a')) return false;
  }
  return true;
}

}  // namespace sallyport::mask
