// SPDX-License-Identifier: Apache-2.0
// FROM items, what their columns come from, and the levels of query around an expression.
//
//   Scope of the outer query  <-parent-  Scope of a subquery  <-parent-  …
//     items: t (a relation), s (a subquery's Outputs), j (an aliased join: Outputs made of its members)
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sql/effects.h"

namespace sallyport::sql {

/// One relation in one statement: where reads of its columns are noted.
struct Use {
  FactPtr fact;
  std::string_view statement_class;  ///< borrowed, static
  bool only = false;
  bool silent = false;  ///< EXCLUDED, OLD, NEW: lineage, but no read
  bool doubtful = false;
  int read_effect = -1;  ///< made at the first read
};

/// A column of a Use; "*" where columns are not known.
struct Origin {
  int use = -1;
  std::string_view column;
  auto operator<=>(const Origin&) const = default;
};

/// What a value is made of. May repeat itself a little; compact() makes it a set.
struct Lineage {
  std::vector<Origin> columns;
  std::vector<uint32_t> literals;  ///< indices of the text's literals
  size_t compact_at = 64;          ///< nested `a || a` would double for ever

  void append(const Lineage& other) {
    columns.insert(columns.end(), other.columns.begin(), other.columns.end());
    literals.insert(literals.end(), other.literals.begin(), other.literals.end());
    if (columns.size() + literals.size() > compact_at) compact();
  }
  void compact() {
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    std::sort(literals.begin(), literals.end());
    literals.erase(std::unique(literals.begin(), literals.end()), literals.end());
    compact_at = std::max<size_t>(64, 2 * (columns.size() + literals.size()));
  }
};

struct OutputColumn {
  std::string_view name;
  Lineage lineage;
};

/// The result columns of a query.
struct Outputs {
  bool known = true;  ///< false: there may be columns beside these
  std::vector<OutputColumn> columns;
  Lineage rest;  ///< of those that are not known

  void append(const Outputs& other) {
    columns.insert(columns.end(), other.columns.begin(), other.columns.end());
    rest.append(other.rest);
    known &= other.known;
  }
  Lineage all() const {
    Lineage lineage = rest;
    for (const OutputColumn& column : columns) lineage.append(column.lineage);
    return lineage;
  }
};

/// One FROM item. A plain relation has `use` and no `outputs`; everything else has `outputs`.
struct Item {
  std::string_view name;    ///< alias or relation name
  std::string_view schema;  ///< for schema.name.column; empty if aliased
  int use = -1;
  std::shared_ptr<const Outputs> outputs;
  bool hidden = false;          ///< a member of an aliased join
  bool qualified_only = false;  ///< EXCLUDED and the like
};

struct Ctes;

struct Scope {
  const Scope* parent = nullptr;
  const Ctes* ctes = nullptr;  ///< WITH names that subqueries in expressions see
  std::vector<Item> items;
  size_t visible_from = 0;  ///< JOIN … ON sees only the join's own items
};

/// Names of WITH lists, innermost first.
struct Ctes {
  struct Entry {
    std::string_view name;
    std::shared_ptr<const Outputs> outputs;
    bool visible = false;
  };
  const Ctes* parent = nullptr;
  std::vector<Entry> entries;

  const Entry* find(std::string_view name) const {
    for (const Ctes* level = this; level != nullptr; level = level->parent)
      for (const Entry& entry : level->entries)
        if (entry.visible && entry.name == name) return &entry;
    return nullptr;
  }
};

}  // namespace sallyport::sql
