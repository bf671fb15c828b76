// SPDX-License-Identifier: Apache-2.0
// Where any of some literals stand in a text, in one pass: a bitmap of their first two letters
// (case folded) turns almost every position away with one look-up.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::mask {

class KeywordIndex {
 public:
  /// `literal` has at least two bytes. `owner` is given back on a hit.
  void add(std::string_view literal, bool ignore_case, uint32_t owner);
  void build();

  /// Calls `hit(position, owner)` for every literal at every position at or behind `start`.
  template <class Hit>
  void scan(std::string_view text, size_t start, Hit hit) const {
    for (size_t at = start; at + 1 < text.size(); ++at) {
      uint32_t pair = pair_of(text[at], text[at + 1]);
      if (!present_.test(pair)) continue;
      auto entry = std::lower_bound(entries_.begin(), entries_.end(), pair,
                                    [](const Entry& one, uint32_t wanted) { return one.pair < wanted; });
      for (; entry != entries_.end() && entry->pair == pair; ++entry) {
        if (stands_at(*entry, text.substr(at))) hit(at, entry->owner);
      }
    }
  }

 private:
  struct Entry {
    uint32_t pair;
    std::string literal;  // folded if ignore_case
    bool ignore_case;
    uint32_t owner;
  };

  static char fold(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
  static uint32_t pair_of(char a, char b) {
    return static_cast<uint32_t>(static_cast<uint8_t>(fold(a))) | static_cast<uint32_t>(static_cast<uint8_t>(fold(b)))
                                                                      << 8;
  }
  static bool stands_at(const Entry& entry, std::string_view text);

  std::bitset<65'536> present_;
  std::vector<Entry> entries_;  // sorted by pair once built
};

}  // namespace sallyport::mask
