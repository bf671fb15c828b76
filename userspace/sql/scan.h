// SPDX-License-Identifier: Apache-2.0
// One pass over a text with PostgreSQL's lexical rules (scan.l), before its parser sees it: bounds,
// literals, shape. It decides nothing about meaning; where it errs, the parser's tree still stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::sql {

struct LiteralToken {
  uint32_t offset = 0;
  uint32_t length = 0;
  int parameter = 0;  ///< n for $n, else 0
  bool string = false;
};

struct Token {
  enum Kind : uint8_t { word, quoted_name, string, other };
  uint32_t offset = 0;
  uint32_t length = 0;
  Kind kind = other;
};

struct Scan {
  std::string_view refused;  ///< static; why the parser must not see the text, empty: it may
  size_t end = 0;            ///< how far the pass went: the whole text unless refused
  std::vector<LiteralToken> literals;
  std::string shape;
};

/// With `tokens` every token is noted there too.
Scan scan(std::string_view text, bool standard_conforming_strings, std::vector<Token>* tokens = nullptr);

/// Well-formed UTF-8 as PostgreSQL's pg_utf8_islegal sees it.
bool is_utf8(std::string_view text);

/// Offset of the first byte at or after `at` that is neither white space nor in a comment.
size_t skip_blank(std::string_view text, size_t at);

/// "name" with quotes inside doubled.
std::string quoted_name(std::string_view name);

/// A quoted or plain name list as regclass reads it ("a.b", "\"A\".b"), folded. Empty: not such a list.
std::vector<std::string> split_names(std::string_view text);

}  // namespace sallyport::sql
