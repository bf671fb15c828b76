// SPDX-License-Identifier: Apache-2.0
#include "findings.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "sallyport/base/limits.h"

namespace sallyport::policy {
namespace {

/// Levenshtein distance, where swapping two neighbours counts as one change.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = last[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = std::min({change, last[j] + 1, row[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

std::string Place::to_string() const { return fmt::format("{}:{}:{}", path, line, column); }

std::string Diagnostic::to_string() const {
  return fmt::format("{}:{}:{}: {}: {}{}{}", path, line, column, error ? "error" : "warning", message,
                     hint.empty() ? "" : "; ", hint);
}

void Findings::error(const Place& at, std::string message, std::string hint) {
  ++errors_;
  add(at, std::move(message), std::move(hint), true);
}

void Findings::warning(const Place& at, std::string message, std::string hint) {
  add(at, std::move(message), std::move(hint), false);
}

void Findings::add(const Place& at, std::string message, std::string hint, bool error) {
  if (list_.size() >= limits::kPolicyFindingsMax) {
    ++left_out_;
    return;
  }
  list_.push_back({at.path, at.line, at.column, std::move(message), std::move(hint), error});
}

std::vector<Diagnostic> Findings::take() {
  std::ranges::stable_sort(list_, {}, [](const Diagnostic& d) { return std::tie(d.path, d.line, d.column); });
  if (left_out_ > 0 && !list_.empty()) {
    const Diagnostic last = list_.back();
    list_.push_back({last.path, last.line, last.column, fmt::format("{} more findings are not shown", left_out_),
                     "mend these first", errors_ > 0});
  }
  return std::exchange(list_, {});
}

std::string_view nearest(std::string_view typed, std::span<const std::string_view> words) {
  constexpr size_t kTypedMax = 64;
  if (typed.size() > kTypedMax) return {};
  const std::string wanted = lower(typed);
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, typed.size() / 3) + 1;
  for (std::string_view word : words) {
    const size_t distance = edit_distance(wanted, lower(word));
    if (distance < best_distance) best = word, best_distance = distance;
  }
  return best;
}

std::string meant(std::string_view typed, std::span<const std::string_view> words) {
  if (const std::string_view word = nearest(typed, words); !word.empty())
    return fmt::format("did you mean `{}`?", word);
  return fmt::format("known: {}", fmt::join(words, ", "));
}

}  // namespace sallyport::policy
