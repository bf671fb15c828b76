// SPDX-License-Identifier: Apache-2.0
#include "sql/schema_split.h"

#include <algorithm>
#include <string>

#include "sql/scan.h"

namespace sallyport::sql {
namespace {

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (c & 0x80);
}

bool is_word(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

/// Behind the quote that ends what begins at `at` with the same one.
size_t skip_quoted(std::string_view text, size_t at, bool escapes) {
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (escapes && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      return at + 1;  // a doubled quote begins the next piece
    }
  }
  return text.size();
}

/// Behind $tag$ … $tag$ at `at`; `at` + 1 if there is no such thing.
size_t skip_dollar_quoted(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && name_char(text[end]) && text[end] != '$') ++end;
  if (end >= text.size() || text[end] != '$') return at + 1;
  const std::string_view tag = text.substr(at, end + 1 - at);
  const size_t close = text.find(tag, end + 1);
  return close == std::string_view::npos ? text.size() : close + tag.size();
}

/// One pass over tokens, as far as psql's lexer looks at them.
class Cursor {
 public:
  Cursor(std::string_view text, size_t at) : text_(text), at_(at) {}

  /// Behind the next token; comments and blanks count as one.
  size_t step() {
    const char c = text_[at_];
    if (c == '\'') {
      const bool escapes =
          at_ > 0 && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && (at_ < 2 || !name_char(text_[at_ - 2]));
      return at_ = skip_quoted(text_, at_, escapes);
    }
    if (c == '"') return at_ = skip_quoted(text_, at_, false);
    if (c == '$') return at_ = skip_dollar_quoted(text_, at_);
    if (const size_t blank = skip_blank(text_, at_); blank > at_) return at_ = blank;
    if (c == '(') ++brackets;
    if (c == ')' && brackets > 0) --brackets;
    if (!name_char(c)) return ++at_;
    const size_t begin = at_;
    while (at_ < text_.size() && name_char(text_[at_])) ++at_;
    word(text_.substr(begin, at_ - begin));
    return at_;
  }

  size_t at() const { return at_; }
  bool open() const { return brackets > 0 || bodies_ > 0; }

  int brackets = 0;

 private:
  /// psqlscan.l: BEGIN and CASE in CREATE [OR REPLACE] {FUNCTION | PROCEDURE} open what END closes.
  void word(std::string_view text) {
    ++words_;
    if (words_ == 1) creates_ = is_word(text, "create");
    if (words_ == 2 && is_word(text, "or")) words_ = -1;  // OR REPLACE: the next but one is the third
    if (words_ == 0) words_ = 1;
    if (words_ == 2 && creates_) routine_ = is_word(text, "function") || is_word(text, "procedure");
    if (!routine_ || brackets > 0) return;
    if (is_word(text, "begin") || (bodies_ > 0 && is_word(text, "case"))) ++bodies_;
    if (bodies_ > 0 && is_word(text, "end")) --bodies_;
  }

  std::string_view text_;
  size_t at_;
  int words_ = 0;
  int bodies_ = 0;
  bool creates_ = false;
  bool routine_ = false;
};

}  // namespace

void StatementSplitter::skip_between() {
  while (at_ < text_.size()) {
    const size_t next = skip_blank(text_, at_);
    if (next < text_.size() && text_[next] == ';') {
      at_ = next + 1;
    } else if (next < text_.size() && text_[next] == '\\') {
      at_ = std::min(text_.find('\n', next), text_.size());
    } else {
      at_ = next;
      return;
    }
  }
}

void StatementSplitter::skip_copy_data(std::string_view statement) {
  if (statement.size() < 4 || !is_word(statement.substr(0, 4), "copy")) return;
  std::string lower(statement);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (lower.find("from stdin") == std::string::npos) return;
  const size_t end = text_.find("\n\\.", at_);
  at_ = end == std::string_view::npos ? text_.size() : end + 3;
}

bool StatementSplitter::next(std::string_view& statement, size_t& line) {
  skip_between();
  if (at_ >= text_.size()) return false;
  const size_t begin = at_;
  line_ += static_cast<size_t>(std::ranges::count(text_.substr(counted_, begin - counted_), '\n'));
  counted_ = begin;
  line = line_;
  Cursor cursor(text_, begin);
  while (cursor.at() < text_.size() && (text_[cursor.at()] != ';' || cursor.open())) cursor.step();
  statement = text_.substr(begin, cursor.at() - begin);
  at_ = std::min(cursor.at() + 1, text_.size());
  skip_copy_data(statement);
  return true;
}

std::string_view bracketed(std::string_view text, size_t at) {
  Cursor cursor(text, at);
  while (cursor.at() < text.size() && cursor.brackets == 0) cursor.step();
  const size_t begin = cursor.at();
  while (cursor.at() < text.size() && cursor.brackets > 0) cursor.step();
  return begin < cursor.at() ? text.substr(begin, cursor.at() - 1 - begin) : std::string_view();
}

}  // namespace sallyport::sql
