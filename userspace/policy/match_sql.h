// SPDX-License-Identifier: Apache-2.0
// The `sql:` rule: what it says, and whether it covers or touches an effect. All that policy knows of SQL
// effects is here and in baseline_sql.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pattern.h"
#include "sallyport/model/effect.h"

namespace sallyport::policy {

/// The keys of a rule that speak of objects. `columns` narrows `tables`; every other one is for one ObjectKind.
enum class SqlKey : uint8_t {
  tables,
  columns,
  functions,
  schemas,
  types,
  databases,
  roles,
  settings,
  files,
  programs,
  channels,
  objects
};
inline constexpr size_t kSqlKeyCount = 12;
/// In the order of SqlKey, then the two others: the keys of `sql:` in policy files and schema.
inline constexpr std::array<std::string_view, kSqlKeyCount + 2> kSqlKeys = {
    "tables",   "columns", "functions", "schemas",  "types",   "databases",  "roles",
    "settings", "files",   "programs",  "channels", "objects", "statements", "access"};

/// The words that `statements` can list: effect classes.
std::span<const std::string_view> statement_words();

/// Classes whose meaning nobody can bound. They are covered only by a rule that lists them by name, and no deny
/// or hold rule can be ruled out for them.
inline constexpr std::string_view kReplicationClass = "replication";
inline constexpr std::string_view kStartupClass = "startup";

struct SqlRule {
  bool any_statement = true;            ///< no `statements`, or a `*` in it
  std::vector<std::string> statements;  ///< without the `*`
  uint16_t present = 0;                 ///< bit of each SqlKey that the rule has
  std::array<std::vector<Pattern>, kSqlKeyCount> patterns;
  uint8_t access = 0b111;  ///< bit of each model::Access

  bool has(SqlKey key) const { return present >> static_cast<unsigned>(key) & 1; }
  const std::vector<Pattern>& list(SqlKey key) const { return patterns[static_cast<size_t>(key)]; }
  bool names(std::string_view statement_class) const;
};

/// An effect with its name taken apart, once for all rules. Views into the effect, which must outlive it.
class SqlEffect {
 public:
  explicit SqlEffect(const model::Effect& effect);
  SqlEffect(const SqlEffect&) = delete;
  SqlEffect& operator=(const SqlEffect&) = delete;
  const model::Effect& effect() const { return *effect_; }
  /// Class or object that nobody can bound: unknown, replication.
  bool opaque() const { return opaque_; }
  /// The parts of the name; none when it is not a name of its kind.
  std::span<const Part> parts() const { return {parts_.data(), count_}; }

 private:
  const model::Effect* effect_;
  bool opaque_ = false;
  size_t count_ = 0;
  std::array<Part, 4> short_{};
  std::vector<Part> long_;
  std::string lowered_;
  std::span<Part> parts_;
};

enum class Cover : uint8_t { none, columns, all };

/// Whether the rule surely matches all of the effect; `columns`: it may cover some of its columns, see covers_column().
Cover covers(const SqlRule& rule, const SqlEffect& effect);
/// For a rule that gave Cover::columns.
bool covers_column(const SqlRule& rule, const SqlEffect& effect, std::string_view column);
/// Whether the rule matches any part of the effect, or that cannot be ruled out.
bool touches(const SqlRule& rule, const SqlEffect& effect);
/// Whether everything that `allow` can cover is touched by `deny`; false when that is not plain to see.
bool shadows(const SqlRule& deny, const SqlRule& allow);

/// The key that speaks of objects of this kind; relations: tables.
SqlKey key_of(model::ObjectKind kind);

}  // namespace sallyport::policy
