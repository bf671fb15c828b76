// SPDX-License-Identifier: Apache-2.0
#include "sql/settings.h"

#include <algorithm>

namespace sallyport::sql {
namespace {

constexpr std::string_view kMeaning[] = {
    "all",
    "array_nulls",
    "default_tablespace",
    "default_table_access_method",
    "role",
    "row_security",
    "search_path",
    "session_authorization",
    "session_replication_role",
    "temp_tablespaces",
    "transform_null_equals",
    "xmloption",
};

constexpr std::string_view kLexing[] = {
    "all", "backslash_quote", "client_encoding", "names", "standard_conforming_strings",
};

template <size_t N>
bool contains(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

}  // namespace

std::string fold_setting(std::string_view name) {
  std::string folded(name);
  for (char& c : folded)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return folded;
}

bool setting_moves_meaning(std::string_view folded) { return contains(kMeaning, folded); }
bool setting_moves_lexing(std::string_view folded) { return contains(kLexing, folded); }

}  // namespace sallyport::sql
