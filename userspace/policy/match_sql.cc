// SPDX-License-Identifier: Apache-2.0
#include "match_sql.h"

#include <algorithm>

#include "sallyport/base/limits.h"

namespace sallyport::policy {
namespace {

using model::Effect;
using model::ObjectKind;

/// As sql::statement_classes(); a test compares them.
constexpr std::string_view kStatementWords[] = {
    "*",           "alter",
    "analyze",     "call",
    "checkpoint",  "close",
    "cluster",     "comment",
    "copy",        "create",
    "deallocate",  "declare",
    "delete",      "discard",
    "do",          "drop",
    "execute",     "explain",
    "fetch",       "function_call",
    "grant",       "import_foreign_schema",
    "insert",      "listen",
    "load",        "lock",
    "merge",       "notify",
    "prepare",     "reassign",
    "refresh",     "reindex",
    "replication", "reset",
    "revoke",      "security_label",
    "select",      "set",
    "show",        "startup",
    "transaction", "truncate",
    "two_phase",   "unknown",
    "unlisten",    "update",
    "vacuum",
};

bool any_match(const std::vector<Pattern>& patterns, std::span<const Part> parts) {
  return std::ranges::any_of(patterns, [&](const Pattern& pattern) { return pattern.matches(parts); });
}

/// A column pattern of one segment speaks of that column in whatever table the rule is about.
bool column_matches(const Pattern& pattern, const SqlEffect& effect, const Part& column) {
  if (pattern.segments.size() == 1 && pattern.segments[0].kind != Segment::Kind::deep)
    return pattern.matches(std::span(&column, 1));
  const std::span<const Part> relation = effect.parts();
  if (relation.size() != 2) return column.kind == Part::Kind::some;
  const Part whole[] = {relation[0], relation[1], column};
  return pattern.matches(whole);
}

bool any_column_matches(const SqlRule& rule, const SqlEffect& effect, const Part& column) {
  return std::ranges::any_of(rule.list(SqlKey::columns),
                             [&](const Pattern& pattern) { return column_matches(pattern, effect, column); });
}

bool statement_matches(const SqlRule& rule, const SqlEffect& effect) {
  if (!effect.opaque() && rule.any_statement) return true;
  if (effect.effect().kind == ObjectKind::unknown) return rule.names(model::kUnknownClass);
  return rule.names(effect.effect().statement_class);
}

bool access_matches(const SqlRule& rule, const Effect& effect) {
  return rule.access >> static_cast<unsigned>(effect.access) & 1;
}

/// The keys for relations: a rule that has either of them speaks of relations.
bool names_relations(const SqlRule& rule) { return rule.has(SqlKey::tables) || rule.has(SqlKey::columns); }

}  // namespace

std::span<const std::string_view> statement_words() { return kStatementWords; }

bool SqlRule::names(std::string_view statement_class) const {
  return std::ranges::find(statements, statement_class) != statements.end();
}

SqlKey key_of(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::relation:
      return SqlKey::tables;
    case ObjectKind::function:
      return SqlKey::functions;
    case ObjectKind::schema:
      return SqlKey::schemas;
    case ObjectKind::type:
      return SqlKey::types;
    case ObjectKind::database:
      return SqlKey::databases;
    case ObjectKind::role:
      return SqlKey::roles;
    case ObjectKind::setting:
      return SqlKey::settings;
    case ObjectKind::file:
      return SqlKey::files;
    case ObjectKind::program:
      return SqlKey::programs;
    case ObjectKind::channel:
      return SqlKey::channels;
    case ObjectKind::other:
    case ObjectKind::unknown:
      break;
  }
  return SqlKey::objects;
}

SqlEffect::SqlEffect(const Effect& effect) : effect_(&effect), parts_(short_) {
  opaque_ = effect.kind == ObjectKind::unknown || effect.statement_class == model::kUnknownClass ||
            effect.statement_class == kReplicationClass;
  switch (effect.kind) {
    case ObjectKind::relation:
    case ObjectKind::function:
    case ObjectKind::type:
      count_ = split_sql_name(effect.object, short_);
      if (count_ != 2) count_ = 0;
      return;
    case ObjectKind::setting:
      // Setting names have no case (guc_name_compare in PostgreSQL's guc.c).
      lowered_ = effect.object;
      for (char& c : lowered_)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      count_ = split_sql_name(lowered_, short_);
      return;
    case ObjectKind::file:
      long_.resize(limits::kPolicySegmentsMax);
      parts_ = long_;
      count_ = split_path(effect.object, long_);
      return;
    case ObjectKind::schema:
    case ObjectKind::database:
    case ObjectKind::role:
    case ObjectKind::channel:
    case ObjectKind::program:
    case ObjectKind::other:
      // One part, however many dots it has.
      short_[0] = {effect.object, Part::Kind::plain};
      count_ = effect.object.empty() ? 0 : 1;
      return;
    case ObjectKind::unknown:
      return;
  }
}

Cover covers(const SqlRule& rule, const SqlEffect& sql) {
  const Effect& effect = sql.effect();
  if (!statement_matches(rule, sql) || !access_matches(rule, effect)) return Cover::none;
  if (rule.present == 0) return Cover::all;
  if (effect.kind == ObjectKind::unknown || sql.parts().empty()) return Cover::none;
  if (effect.kind != ObjectKind::relation) {
    const SqlKey key = key_of(effect.kind);
    return rule.has(key) && any_match(rule.list(key), sql.parts()) ? Cover::all : Cover::none;
  }
  if (!names_relations(rule)) return Cover::none;
  if (rule.has(SqlKey::tables) && !any_match(rule.list(SqlKey::tables), sql.parts())) return Cover::none;
  if (!rule.has(SqlKey::columns)) return Cover::all;
  if (any_column_matches(rule, sql, {{}, Part::Kind::every})) return Cover::all;
  if (effect.all_columns) return Cover::none;
  if (!effect.columns.empty()) return Cover::columns;
  // No column at all: `SELECT count(*)` tells nothing that a column would not; DELETE or DROP is about whole rows.
  const bool reads = effect.access == model::Access::read;
  return reads && any_column_matches(rule, sql, {{}, Part::Kind::some}) ? Cover::all : Cover::none;
}

bool covers_column(const SqlRule& rule, const SqlEffect& effect, std::string_view column) {
  return any_column_matches(rule, effect, {column, Part::Kind::plain});
}

bool touches(const SqlRule& rule, const SqlEffect& sql) {
  if (sql.opaque()) return true;
  const Effect& effect = sql.effect();
  if (!statement_matches(rule, sql) || !access_matches(rule, effect)) return false;
  if (rule.present == 0) return true;
  const bool nameless = sql.parts().empty();
  if (effect.kind != ObjectKind::relation) {
    const SqlKey key = key_of(effect.kind);
    return rule.has(key) && (nameless || any_match(rule.list(key), sql.parts()));
  }
  if (!names_relations(rule)) return false;
  if (rule.has(SqlKey::tables) && !nameless && !any_match(rule.list(SqlKey::tables), sql.parts())) return false;
  if (!rule.has(SqlKey::columns)) return true;
  if (effect.all_columns || nameless) return any_column_matches(rule, sql, {{}, Part::Kind::some});
  return std::ranges::any_of(effect.columns, [&](const std::string& column) {
    return any_column_matches(rule, sql, {column, Part::Kind::plain});
  });
}

bool shadows(const SqlRule& deny, const SqlRule& allow) {
  const auto opaque = [](const std::string& word) { return word == model::kUnknownClass || word == kReplicationClass; };
  if (!allow.any_statement && !allow.statements.empty() && std::ranges::all_of(allow.statements, opaque)) return true;
  if (!deny.any_statement) {
    if (allow.any_statement) return false;
    for (const std::string& word : allow.statements)
      if (!deny.names(word) && !opaque(word)) return false;
  }
  if (allow.access & ~deny.access) return false;
  if (deny.present == 0) return true;
  if (allow.present == 0 || allow.present & ~deny.present) return false;
  // `deny` narrows tables by columns where `allow` does not.
  if (deny.has(SqlKey::columns) && !allow.has(SqlKey::columns)) return false;
  if (deny.has(SqlKey::tables) && !allow.has(SqlKey::tables) && allow.has(SqlKey::columns)) return false;
  for (size_t key = 0; key < kSqlKeyCount; ++key) {
    if (!allow.has(static_cast<SqlKey>(key)) || !deny.has(static_cast<SqlKey>(key))) continue;
    for (const Pattern& narrow : allow.patterns[key])
      if (std::ranges::none_of(deny.patterns[key], [&](const Pattern& wide) { return wide.includes(narrow); }))
        return false;
  }
  return true;
}

}  // namespace sallyport::policy
