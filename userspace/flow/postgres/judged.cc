// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/judged.h"

#include "sallyport/base/limits.h"

namespace sallyport::flow {

std::shared_ptr<Judged> JudgedTexts::find(std::string_view text) {
  const auto found = by_text_.find(text);
  if (found == by_text_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return order_.front();
}

void JudgedTexts::keep(const std::shared_ptr<Judged>& judged) {
  if (judged->text().size() > limits::kPgJudgedTextBytesMax) return;
  if (const auto found = by_text_.find(judged->text()); found != by_text_.end()) {
    drop(found->second);
  } else if (order_.size() >= limits::kPgJudgedMax) {
    drop(std::prev(order_.end()));
  }
  order_.push_front(judged);
  by_text_.emplace(judged->text(), order_.begin());
}

/// The key is the text of what it leads to, so it goes first.
void JudgedTexts::drop(Order::iterator place) {
  by_text_.erase((*place)->text());
  order_.erase(place);
}

}  // namespace sallyport::flow
