// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "mask/check_digits.h"
#include "mask/detector.h"

namespace sallyport::mask {

namespace {

/// Is there a word's edge between two letters? `keyId`: before the I.
bool edge(char before, char behind) {
  if (!is_ascii_letter(before) || !is_ascii_letter(behind)) return true;
  return before >= 'a' && behind < 'a';
}

}  // namespace

bool has_context(std::string_view text, size_t at, std::string_view words) {
  constexpr size_t kWholeWordBytesMax = 4;  // shorter ones stand inside many others
  if (words.empty()) return false;
  std::array<char, kContextBytes> lower{};
  size_t from = at - std::min(at, kContextBytes);
  std::ranges::transform(text.substr(from, at - from), lower.begin(), ascii_lower);
  std::string_view before(lower.data(), at - from);
  while (!words.empty()) {
    std::string_view word = words.substr(0, words.find('|'));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    for (size_t found = before.find(word); found != std::string_view::npos; found = before.find(word, found + 1)) {
      size_t begin = from + found;
      size_t end = begin + word.size();
      bool begins = begin == 0 || edge(text[begin - 1], text[begin]);
      bool ends = word.size() > kWholeWordBytesMax || end == text.size() || edge(text[end - 1], text[end]);
      if (begins && ends) return true;
    }
  }
  return false;
}

}  // namespace sallyport::mask
