// SPDX-License-Identifier: Apache-2.0
// `sql:` rules, and names of single columns.
#include <fmt/core.h>

#include <algorithm>

#include "doubts.h"
#include "keys.h"
#include "parse.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

/// How the names of each key are written: number of parts as bits, and an example.
struct NameForm {
  unsigned counts;
  std::string_view example;
};

NameForm form_of(SqlKey key) {
  switch (key) {
    case SqlKey::tables:
      return {0b100, "public.customers"};
    case SqlKey::columns:
      return {0b1010, "public.customers.email"};
    case SqlKey::functions:
      return {0b100, "public.pay"};
    case SqlKey::types:
      return {0b100, "public.mood"};
    case SqlKey::settings:
      return {0b110, "statement_timeout"};
    default:
      return {0b10, "reporting"};
  }
}

/// Names that PostgreSQL folds; settings have no case, and the others are no names.
bool folds(SqlKey key) {
  return key != SqlKey::settings && key != SqlKey::files && key != SqlKey::programs && key != SqlKey::objects;
}

Result<Pattern> parse_pattern(SqlKey key, std::string_view text) {
  if (key == SqlKey::files) return parse_path_pattern(text);
  if (key == SqlKey::programs || key == SqlKey::objects) return parse_text_pattern(text);
  const NameForm form = form_of(key);
  return parse_sql_pattern(text, form.counts, form.example);
}

void parse_statements(const Node& node, SqlRule& rule, Reader& reader) {
  rule.any_statement = false;
  for (const Node& item : reader.list(node, "statements")) {
    const auto index = reader.word(item, "a statement class", statement_words());
    if (!index) continue;
    const std::string_view word = statement_words()[*index];
    if (word == "*") {
      rule.any_statement = true;
    } else {
      rule.statements.emplace_back(word);
    }
  }
}

void parse_access(const Node& node, SqlRule& rule, Reader& reader) {
  rule.access = 0;
  for (const Node& item : reader.list(node, "access"))
    if (const auto index = reader.word(item, "access", keys::kAccess)) rule.access |= 1u << *index;
}

void parse_names(const Node& node, SqlKey key, SqlRule& rule, Reader& reader) {
  const std::string_view what = kSqlKeys[static_cast<size_t>(key)];
  rule.present |= static_cast<uint16_t>(1u << static_cast<unsigned>(key));
  for (const Node& item : reader.list(node, what)) {
    const std::string text = reader.text(item, what);
    if (text.empty()) continue;
    auto pattern = parse_pattern(key, text);
    if (pattern) {
      if (folds(key)) doubt_sql_name(item, what, text, reader);
      rule.patterns[static_cast<size_t>(key)].push_back(std::move(*pattern));
    } else {
      reader.wrong(item, fmt::format("{}: {}", what, pattern.error().what), pattern.error().hint);
    }
  }
}

}  // namespace

SqlRule parse_sql_rule(const Node& node, model::Outcome outcome, Reader& reader) {
  SqlRule rule;
  if (!reader.is_map(node, "a sql rule", kSqlKeys)) return rule;
  for (const Entry& entry : node.entries) {
    if (entry.key.text == "statements") {
      parse_statements(entry.value, rule, reader);
    } else if (entry.key.text == "access") {
      parse_access(entry.value, rule, reader);
    } else {
      const auto found = std::ranges::find(kSqlKeys, entry.key.text);
      if (found != kSqlKeys.end())
        parse_names(entry.value, static_cast<SqlKey>(found - kSqlKeys.begin()), rule, reader);
    }
  }
  doubt_functions(node, rule, outcome, reader);
  return rule;
}

Result<ColumnName> parse_column_name(std::string_view text) {
  auto pattern = parse_sql_pattern(text, 0b1000, "public.customers.email");
  if (!pattern) return std::unexpected(pattern.error());
  for (const Segment& segment : pattern->segments)
    if (segment.kind != Segment::Kind::literal)
      return fail(fmt::format("`{}`: a mask names one column, not a pattern", printable(text)),
                  "write one entry for each column");
  const auto& parts = pattern->segments;
  return ColumnName{parts[0].text + "." + parts[1].text, parts[2].text};
}

}  // namespace sallyport::policy
