// SPDX-License-Identifier: Apache-2.0
// Cuts a script into statements as psql does: quotes, comments, brackets and BEGIN ATOMIC bodies are kept together;
// psql's own commands and the data of a COPY are passed over.
#pragma once

#include <cstddef>
#include <string_view>

namespace sallyport::sql {

class StatementSplitter {
 public:
  explicit StatementSplitter(std::string_view text) : text_(text) {}

  /// The next statement without its semicolon, and the line (from 1) on which it begins. False: there is none.
  bool next(std::string_view& statement, size_t& line);

 private:
  void skip_between();
  void skip_copy_data(std::string_view statement);

  std::string_view text_;
  size_t at_ = 0;
  size_t line_ = 1;
  size_t counted_ = 0;  ///< up to where lines were counted
};

/// What stands in the first brackets at or behind `at`, without them; empty: there are none.
std::string_view bracketed(std::string_view text, size_t at);

}  // namespace sallyport::sql
