// SPDX-License-Identifier: Apache-2.0
// What column masks mean for a statement, by its lineage (Statement's outputs, stored, tested): what comes out
// masked, and what may not run because no mask could follow the value or because rows would tell it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sallyport/model/decision.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::sql {

/// A mask that a value falls under.
struct MaskedBy {
  const model::ColumnMask* mask = nullptr;  ///< null: none
  /// The value is not that of the masked column but made of it: its strategy would show too much, or be no value of
  /// its type.
  bool derived = false;
  explicit operator bool() const { return mask != nullptr; }
};

/// Is `column` of this relation masked: under its own name or that of an ancestor or descendant, as a generated column
/// of masked ones, or as what the server shows of every column (pg_stats)? "*": any column. The strictest of several.
MaskedBy mask_of(const model::Obligations& obligations, const RelationFact& relation, std::string_view column);

/// May the relation show what others hold: a view, a materialised view, a foreign table?
bool is_opaque(const RelationFact& relation);

/// Can the statement touch a masked column: does it read or write a relation that has some, or something nobody can
/// name? Then texts of errors and notices may hold values.
bool touches_masked(const model::Obligations& obligations, const Statement& statement);
bool touches_masked(const model::Obligations& obligations, std::span<const Statement> statements);

/// How a result column is masked that the server does not name as a plain column of a table.
struct OutputMask {
  enum class What : uint8_t { none, own, whole };
  What what = What::none;
  model::MaskSpec with;  ///< own: of the one column it is; whole: the same for every row, redact or null
};
OutputMask mask_of_output(const model::Obligations& obligations, const Statement& statement, const Output& output);
/// `count`: of the columns that come. Outputs that do not fit it are masked if the statement touches masked columns.
OutputMask mask_of_output(const model::Obligations& obligations, const Statement& statement, size_t index,
                          size_t count);

/// Why a statement may not run though policy allows it.
struct MaskRefusal {
  std::string rule;  ///< "mask pii"
  std::string text;
  std::string hint;
};
std::optional<MaskRefusal> refused_by_masks(const model::Obligations& obligations, const Statement& statement);
/// Would values of this COPY … TO STDOUT have to be masked?
bool copy_needs_mask(const model::Obligations& obligations, const Statement& statement);
/// A COPY … TO STDOUT whose data cannot be taken apart, `because`; nothing if none of them would have to be.
std::optional<MaskRefusal> refused_copy(const model::Obligations& obligations, const Statement& statement,
                                        std::string_view because);

}  // namespace sallyport::sql
