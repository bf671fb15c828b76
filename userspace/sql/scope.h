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
  bool own = false;     ///< what the statement brings itself: EXCLUDED, marks of a recursion; no origin of a value
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
  bool untraced = false;           ///< also of something that cannot be told

  void append(const Lineage& other) {
    literals.insert(literals.end(), other.literals.begin(), other.literals.end());
    append_columns(other);
  }
  void append_columns(const Lineage& other) {
    untraced |= other.untraced;
    columns.insert(columns.end(), other.columns.begin(), other.columns.end());
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
  bool plain = false;  ///< the value of one column, as it is
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
  Ctes* ctes = nullptr;  ///< WITH names that subqueries in expressions see
  std::vector<Item> items;
  size_t visible_from = 0;  ///< JOIN … ON sees only the join's own items
  bool merged = false;      ///< a join with USING: `*` gives its columns once and in another order than the items'
};

/// Names of WITH lists, innermost first.
struct Ctes {
  struct Entry {
    std::string_view name;
    const void* body = nullptr;              ///< the CommonTableExpr
    std::shared_ptr<const Outputs> outputs;  ///< null: not gone through yet (WITH RECURSIVE may look ahead)
    bool visible = false;
  };
  struct Found {
    Ctes* level = nullptr;
    size_t index = 0;
  };
  Ctes* parent = nullptr;
  const Scope* outer = nullptr;
  bool recursive = false;
  std::vector<Entry> entries;

  Found find(std::string_view name) {
    for (Ctes* level = this; level != nullptr; level = level->parent)
      for (size_t i = 0; i < level->entries.size(); ++i)
        if (level->entries[i].visible && level->entries[i].name == name) return {level, i};
    return {};
  }
};

}  // namespace sallyport::sql
