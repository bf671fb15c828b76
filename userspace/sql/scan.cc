// SPDX-License-Identifier: Apache-2.0
#include "sql/scan.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "sallyport/base/limits.h"

namespace sallyport::sql {
namespace {

// The reasons below say these in words.
static_assert(limits::kSqlTextBytesMax == 1 << 20 && limits::kSqlTokensMax == 200'000 &&
              limits::kSqlStatementsMax == 1'000 && limits::kSqlNestingMax == 500);

// Longest run of operator characters handed on: PostgreSQL's lexer takes quadratic time to give up on
// "+++…", and no operator is longer than a name.
constexpr size_t kOperatorRunMax = 128;

// PostgreSQL's lexer matches a comment's start, and an operator, with all operator characters behind it,
// then gives most of them back: "/**//**/…" is quadratic. This bounds the characters it looks at in vain.
constexpr size_t kLookAheadMax = 8'000'000;

enum CharClass : uint8_t { kOther = 0, kSpace = 1, kNameStart = 2, kDigit = 4, kOperator = 8 };

constexpr std::array<uint8_t, 256> make_classes() {
  std::array<uint8_t, 256> table{};
  for (unsigned char c : {' ', '\t', '\n', '\r', '\f'}) table[c] = kSpace;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 'a' + 'A'] = kNameStart;
  for (int c = 0x80; c <= 0xff; ++c) table[c] = kNameStart;
  table['_'] = kNameStart;
  for (int c = '0'; c <= '9'; ++c) table[c] = kDigit;
  for (unsigned char c : {'~', '!', '@', '#', '^', '&', '|', '`', '?', '+', '-', '*', '/', '%', '<', '>', '='})
    table[c] = kOperator;
  return table;
}
constexpr std::array<uint8_t, 256> kClasses = make_classes();

bool is(char c, int classes) { return (kClasses[static_cast<unsigned char>(c)] & classes) != 0; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// `on_comment` is called with the offset of every "/*", nested ones too.
template <class OnComment>
size_t skip(std::string_view text, size_t at, OnComment on_comment) {
  while (at < text.size()) {
    char c = text[at];
    char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (is(c, kSpace)) {
      ++at;
    } else if (c == '-' && next == '-') {
      while (at < text.size() && text[at] != '\n' && text[at] != '\r') ++at;
    } else if (c == '/' && next == '*') {
      size_t depth = 1;
      on_comment(at);
      for (at += 2; at < text.size() && depth > 0; ++at) {
        if (text[at] == '*' && at + 1 < text.size() && text[at + 1] == '/') {
          --depth;
          ++at;
        } else if (text[at] == '/' && at + 1 < text.size() && text[at + 1] == '*') {
          ++depth;
          on_comment(at);
          ++at;
        }
      }
    } else {
      break;
    }
  }
  return std::min(at, text.size());
}

class Scanner {
 public:
  Scanner(std::string_view text, bool standard_strings, std::vector<Token>* all)
      : text_(text), standard_strings_(standard_strings), all_(all) {
    result_.shape.reserve(text.size() + 8);
  }

  Scan run() {
    while (result_.refused.empty()) {
      at_ = skip(text_, at_, [this](size_t comment) { look_ahead(comment); });
      if (at_ >= text_.size() || !result_.refused.empty()) break;
      if (++tokens_ > limits::kSqlTokensMax) {
        result_.refused = "more than the 200,000 tokens that are analysed";
        break;
      }
      size_t begin = at_;
      token();
      if (all_ != nullptr) note(begin);
    }
    result_.end = at_;
    number_placeholders();
    return std::move(result_);
  }

 private:
  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  void note(size_t begin) {
    Token token{static_cast<uint32_t>(begin), static_cast<uint32_t>(at_ - begin), Token::other};
    if (!result_.literals.empty() && result_.literals.back().offset == begin) {
      if (result_.literals.back().string) token.kind = Token::string;
    } else if (text_[at_ - 1] == '"') {
      token.kind = Token::quoted_name;
    } else if (is(text_[begin], kNameStart)) {
      token.kind = Token::word;
    }
    all_->push_back(token);
  }

  void token() {
    char c = text_[at_];
    if (is(c, kNameStart)) return word();
    if (is(c, kDigit) || (c == '.' && is(peek(1), kDigit))) return number();
    if (c == '\'') return string(at_, !standard_strings_);
    if (c == '"') return quoted_name(at_);
    if (c == '$') return dollar();
    if (is(c, kOperator)) return operators();
    punctuation();
  }

  void word() {
    char first = lower(peek());
    if (peek(1) == '\'' && (first == 'e' || first == 'b' || first == 'x')) return string(at_++, first == 'e');
    if (first == 'u' && peek(1) == '&' && (peek(2) == '\'' || peek(2) == '"')) {
      at_ += 2;
      return peek() == '\'' ? string(at_ - 2, false) : quoted_name(at_ - 2);
    }
    size_t begin = at_;
    while (at_ < text_.size() && (is(text_[at_], kNameStart | kDigit) || text_[at_] == '$')) ++at_;
    std::string_view name = text_.substr(begin, at_ - begin);
    emit(name, true);
    if (name.size() == 4 && folds_to(name, "case")) nest(++cases_);
    if (name.size() == 3 && folds_to(name, "end") && cases_ > 0) --cases_;
    after_word_ = true;
  }

  static bool folds_to(std::string_view name, std::string_view keyword) {
    return std::equal(name.begin(), name.end(), keyword.begin(), [](char a, char b) { return lower(a) == b; });
  }

  void number() {
    size_t begin = at_;
    if (peek() == '0' && (lower(peek(1)) == 'x' || lower(peek(1)) == 'o' || lower(peek(1)) == 'b')) at_ += 2;
    while (at_ < text_.size()) {
      char c = text_[at_];
      bool exponent = (c == '+' || c == '-') && lower(text_[at_ - 1]) == 'e' && is(peek(1), kDigit);
      bool range = c == '.' && peek(1) == '.';
      if (range || !(is(c, kDigit | kNameStart) || c == '.' || exponent)) break;
      ++at_;
    }
    literal(begin, 0, false);
  }

  // From `begin` (a prefix may precede the quote at at_) to the end of the last continued part.
  void string(size_t begin, bool backslash_escapes) {
    for (;;) {
      ++at_;
      while (at_ < text_.size()) {
        char c = text_[at_++];
        if (c == '\\' && backslash_escapes) {
          at_ = std::min(at_ + 1, text_.size());
        } else if (c == '\'') {
          if (peek() != '\'') break;
          ++at_;
        }
      }
      size_t next = continuation();
      if (next == std::string_view::npos) break;
      at_ = next;
    }
    literal(begin, 0, true);
  }

  // A quote after white space with a line end in it (and -- comments) goes on with the same string.
  size_t continuation() const {
    size_t at = at_;
    bool newline = false;
    while (at < text_.size()) {
      char c = text_[at];
      if (is(c, kSpace)) {
        newline |= c == '\n' || c == '\r';
        ++at;
      } else if (c == '-' && at + 1 < text_.size() && text_[at + 1] == '-') {
        while (at < text_.size() && text_[at] != '\n' && text_[at] != '\r') ++at;
      } else {
        break;
      }
    }
    return newline && at < text_.size() && text_[at] == '\'' ? at : std::string_view::npos;
  }

  void quoted_name(size_t begin) {
    ++at_;
    while (at_ < text_.size()) {
      if (text_[at_++] != '"') continue;
      if (peek() != '"') break;
      ++at_;
    }
    emit(text_.substr(begin, at_ - begin), false);
    after_word_ = true;
  }

  void dollar() {
    size_t begin = at_;
    if (is(peek(1), kDigit)) {
      int parameter = 0;
      for (++at_; is(peek(), kDigit); ++at_) parameter = std::min(parameter * 10 + (peek() - '0'), 1'000'000);
      highest_parameter_ = std::max(highest_parameter_, parameter);
      return literal(begin, parameter, false);
    }
    size_t end = begin + 1;
    if (end < text_.size() && is(text_[end], kNameStart))
      while (end < text_.size() && is(text_[end], kNameStart | kDigit)) ++end;
    if (end >= text_.size() || text_[end] != '$') return punctuation();
    std::string_view tag = text_.substr(begin, end + 1 - begin);
    size_t close = text_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
    literal(begin, 0, true);
  }

  // Counts the run of operator characters that begins at `at`.
  void look_ahead(size_t at) {
    if (at >= run_end_) run_end_ = at;
    while (run_end_ < text_.size() && is(text_[run_end_], kOperator)) ++run_end_;
    looked_at_ += run_end_ - at;
    if (looked_at_ > kLookAheadMax) result_.refused = "too many comments and operators in a row";
  }

  void operators() {
    size_t begin = at_;
    look_ahead(begin);
    while (at_ < text_.size() && is(text_[at_], kOperator)) {
      if (at_ > begin && peek() == '-' && peek(1) == '-') break;
      if (at_ > begin && peek() == '/' && peek(1) == '*') break;
      ++at_;
    }
    if (at_ - begin > kOperatorRunMax) result_.refused = "an operator longer than the limit";
    emit(text_.substr(begin, std::min(at_ - begin, kOperatorRunMax)), false);
  }

  void punctuation() {
    char c = text_[at_++];
    if (c == '(' || c == '[') nest(++brackets_);
    if ((c == ')' || c == ']') && brackets_ > 0) --brackets_;
    if (c == ';') {
      brackets_ = cases_ = 0;
      if (++statements_ > limits::kSqlStatementsMax)
        result_.refused = "more than the 1,000 statements that are analysed";
    }
    bool tight_before =
        c == ')' || c == ']' || c == ',' || c == '.' || c == ';' || c == ':' || ((c == '(' || c == '[') && after_word_);
    if (tight_before && !result_.shape.empty() && result_.shape.back() == ' ') result_.shape.pop_back();
    result_.shape.push_back(c);
    if (c != '(' && c != '[' && c != '.' && c != ':') result_.shape.push_back(' ');
    after_word_ = c == ')' || c == ']';
  }

  void nest(size_t) {
    if (brackets_ + cases_ > limits::kSqlNestingMax)
      result_.refused = "nested deeper than the 500 levels that are analysed";
  }

  void literal(size_t begin, int parameter, bool string) {
    result_.literals.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(at_ - begin), parameter, string});
    if (parameter != 0) {
      emit(text_.substr(begin, at_ - begin), false);
    } else {
      emit("$?", false);
    }
  }

  void emit(std::string_view token, bool fold) {
    std::string& shape = result_.shape;
    if (fold) {
      for (char c : token) shape.push_back(lower(c));
    } else {
      shape.append(token);
    }
    shape.push_back(' ');
    after_word_ = false;
  }

  // "$?" becomes the next number after the highest parameter, as pg_stat_statements numbers them.
  void number_placeholders() {
    std::string& shape = result_.shape;
    if (!shape.empty() && shape.back() == ' ') shape.pop_back();
    size_t mark = shape.find("$? ");
    if (mark == std::string::npos && !shape.ends_with("$?")) return;
    std::string numbered;
    numbered.reserve(shape.size() + 16);
    size_t from = 0;
    int next = highest_parameter_;
    bool in_name = false;
    for (size_t i = 0; i < shape.size(); ++i) {
      in_name ^= shape[i] == '"';
      if (in_name || shape[i] != '$' || i + 1 >= shape.size() || shape[i + 1] != '?') continue;
      numbered.append(shape, from, i - from).append("$").append(std::to_string(++next));
      from = ++i + 1;
    }
    shape = std::move(numbered.append(shape, from));
  }

  std::string_view text_;
  bool standard_strings_;
  size_t at_ = 0;
  size_t tokens_ = 0;
  size_t brackets_ = 0;
  size_t cases_ = 0;
  size_t statements_ = 0;
  size_t run_end_ = 0;
  size_t looked_at_ = 0;
  int highest_parameter_ = 0;
  bool after_word_ = false;
  std::vector<Token>* all_;
  Scan result_;
};

}  // namespace

Scan scan(std::string_view text, bool standard_conforming_strings, std::vector<Token>* tokens) {
  return Scanner(text, standard_conforming_strings, tokens).run();
}

size_t skip_blank(std::string_view text, size_t at) {
  return skip(text, at, [](size_t) {});
}

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = at + text.size();
  while (at < end) {
    unsigned char lead = *at++;
    if (lead < 0x80) continue;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || end - at < more) return false;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (*at < low || *at > high) return false;
    for (int i = 1; i < more; ++i)
      if ((at[i] & 0xc0) != 0x80) return false;
    at += more;
  }
  return true;
}

std::string quoted_name(std::string_view name) {
  std::string quoted = "\"";
  for (char c : name) quoted.append(c == '"' ? 2 : 1, c);
  return quoted.append("\"");
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  size_t at = 0;
  auto blank = [&] {
    while (at < text.size() && is(text[at], kSpace)) ++at;
  };
  for (;;) {
    blank();
    std::string name;
    if (at < text.size() && text[at] == '"') {
      for (++at; at < text.size(); ++at) {
        if (text[at] == '"' && (at + 1 >= text.size() || text[at + 1] != '"')) break;
        if (text[at] == '"') ++at;
        name.push_back(text[at]);
      }
      if (at++ >= text.size()) return {};
    } else {
      while (at < text.size() && !is(text[at], kSpace) && text[at] != '.' && text[at] != '"')
        name.push_back(lower(text[at++]));
    }
    if (name.empty()) return {};
    names.push_back(std::move(name));
    blank();
    if (at >= text.size()) return names;
    if (text[at++] != '.') return {};
  }
}

}  // namespace sallyport::sql
