// SPDX-License-Identifier: Apache-2.0
#include "mask/keyword_index.h"

#include <algorithm>

#include "sallyport/base/check.h"

namespace sallyport::mask {

void KeywordIndex::add(std::string_view literal, bool ignore_case, uint32_t owner) {
  SP_CHECK(literal.size() >= 2);
  std::string kept(literal);
  if (ignore_case) std::ranges::transform(kept, kept.begin(), fold);
  uint32_t pair = pair_of(literal[0], literal[1]);
  present_.set(pair);
  entries_.push_back({pair, std::move(kept), ignore_case, owner});
}

void KeywordIndex::build() { std::ranges::stable_sort(entries_, {}, &Entry::pair); }

bool KeywordIndex::stands_at(const Entry& entry, std::string_view text) {
  if (text.size() < entry.literal.size()) return false;
  if (!entry.ignore_case) return text.starts_with(entry.literal);
  for (size_t i = 0; i < entry.literal.size(); ++i) {
    if (fold(text[i]) != entry.literal[i]) return false;
  }
  return true;
}

}  // namespace sallyport::mask
