// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/judged.h"

#include <algorithm>
#include <array>

#include "sallyport/base/limits.h"

namespace sallyport::flow {
namespace {

constexpr char kPlace = '\0';           // where a number was: no text of the protocol holds one
constexpr size_t kNumberDigitsMax = 9;  // an int4 for the lexer, whatever the digits

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_operator(char c) { return std::string_view("=<>!+-*/~@#%^&|`?:").find(c) != std::string_view::npos; }

/// Is what stands before `at` one of the operators that compare?
bool follows_comparison(std::string_view text, size_t at) {
  while (at > 0 && is_space(text[at - 1])) --at;
  size_t begin = at;
  while (begin > 0 && is_operator(text[begin - 1])) --begin;
  static constexpr std::array<std::string_view, 7> kCompare = {"=", "<", ">", "<=", ">=", "<>", "!="};
  return std::ranges::find(kCompare, text.substr(begin, at - begin)) != kCompare.end();
}

/// Nothing that could make more of a number than a number: a fraction, a name, a cast.
bool ends_number(std::string_view text, size_t at) {
  if (at < text.size() && !is_space(text[at]) && std::string_view(");,").find(text[at]) == std::string_view::npos)
    return false;
  while (at < text.size() && is_space(text[at])) ++at;
  return at == text.size() || text[at] != ':';
}

/// Each number of the outline is a literal of the parser's, and the statement only reads or changes rows: there is
/// nothing whose effects hang on the value that a column is compared with.
bool may_stand_for_alike(const Judged& judged) {
  if (!judged.analysis->parsed || judged.analysis->statements.size() != 1 || judged.numbers.empty()) return false;
  const std::string& text = judged.text();
  if (text.find("--") != std::string::npos || text.find("/*") != std::string::npos) return false;
  const sql::Statement& statement = judged.analysis->statements.front();
  static constexpr std::array<std::string_view, 4> kOfRows = {"select", "insert", "update", "delete"};
  if (std::ranges::find(kOfRows, statement.statement_class) == kOfRows.end() || statement.moves_meaning ||
      statement.moves_lexing || statement.name_change)
    return false;
  for (const model::Effect& effect : statement.effects)
    if (effect.kind != model::ObjectKind::relation || effect.statement_class == model::kUnknownClass) return false;
  return std::ranges::all_of(judged.numbers, [&](const Number& number) {
    return std::ranges::any_of(statement.literals, [&](const sql::Literal& literal) {
      return literal.offset == number.offset && literal.length == number.length && literal.parameter == 0 &&
             !literal.password;
    });
  });
}

}  // namespace

void JudgedTexts::draw_outline(std::string_view text) {
  outline_.clear();
  numbers_.clear();
  size_t from = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c != '=' && c != '<' && c != '>') continue;
    while (at < text.size() && is_space(text[at])) ++at;
    size_t end = at;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end == at || end - at > kNumberDigitsMax || !ends_number(text, end) || !follows_comparison(text, at)) continue;
    numbers_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(end - at)});
    outline_.append(text, from, at - from).push_back(kPlace);
    from = at = end;
  }
  outline_.append(text, from);
}

std::shared_ptr<Judged> JudgedTexts::find(std::string_view text, bool alike) {
  if (text.size() > limits::kPgJudgedTextBytesMax) return nullptr;
  if (!order_.empty() && order_.front().judged->text() == text) return order_.front().judged;
  draw_outline(text);
  const auto found = by_outline_.find(outline_);
  if (found == by_outline_.end()) return nullptr;
  const Entry& entry = *found->second;
  if (entry.judged->text() != text && !(alike && entry.stands_for_alike)) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return entry.judged;
}

void JudgedTexts::keep(const std::shared_ptr<Judged>& judged) {
  if (judged->text().size() > limits::kPgJudgedTextBytesMax) return;
  draw_outline(judged->text());
  judged->numbers = numbers_;
  if (const auto found = by_outline_.find(outline_); found != by_outline_.end()) {
    drop(found->second);
  } else if (order_.size() >= limits::kPgJudgedMax) {
    drop(std::prev(order_.end()));
  }
  order_.push_front({outline_, may_stand_for_alike(*judged), judged});
  by_outline_.emplace(order_.front().outline, order_.begin());
}

/// The key is part of what it leads to, so it goes first.
void JudgedTexts::drop(Order::iterator place) {
  by_outline_.erase(place->outline);
  order_.erase(place);
}

std::string redact_alike(
    std::string_view text, const std::vector<Number>& numbers, const Judged& judged,
    const std::function<std::optional<std::string>(const sql::Literal&, std::string_view)>& replace) {
  std::string out;
  out.reserve(text.size());
  size_t from = 0;
  size_t passed = 0;  // numbers before the literal
  ptrdiff_t shift = 0;
  for (const sql::Literal& literal : judged.analysis->statements.front().literals) {
    for (; passed < numbers.size() && judged.numbers[passed].offset < literal.offset; ++passed)
      shift = numbers[passed].offset + numbers[passed].length - static_cast<ptrdiff_t>(judged.numbers[passed].offset) -
              judged.numbers[passed].length;
    if (literal.parameter != 0) continue;
    const bool is_number = passed < numbers.size() && judged.numbers[passed].offset == literal.offset;
    const auto begin = static_cast<size_t>(literal.offset + shift);
    const size_t length = is_number ? numbers[passed].length : literal.length;
    const auto instead = replace(literal, text.substr(begin, length));
    if (!instead || begin < from) continue;
    out.append(text.substr(from, begin - from)).append(*instead);
    from = begin + length;
  }
  return out.append(text.substr(from));
}

}  // namespace sallyport::flow
