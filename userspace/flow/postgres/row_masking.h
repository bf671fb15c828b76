// SPDX-License-Identifier: Apache-2.0
// What happens to each column of a result, by where it comes from: RowDescription names a table OID
// and column number for plain columns (PG protocol: RowDescription), whatever alias or `*` they came
// by. In a statement that reads a masked table, what has no known plain origin is masked whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/mask/detector_set.h"
#include "sallyport/mask/masker.h"
#include "sallyport/model/decision.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// Does any statement read a relation that has masked columns, or something nobody can name while
/// there are masks at all? Then errors and computed columns may carry masked values.
bool reads_masked(const model::Obligations& obligations, std::span<const sql::Statement> statements);

/// May a statement put what a masked column holds where no mask follows it: another column, a new table,
/// a NOTIFY? Effects do not tell a value from a condition, so UPDATE … WHERE on a masked column counts.
bool stores_masked(const model::Obligations& obligations, const sql::Analysis& analysis);

/// Is `column` of this relation masked, under its own name or that of an ancestor or descendant?
/// The strictest of several; nullptr: not masked.
const model::ColumnMask* mask_of(const model::Obligations& obligations, const sql::RelationFact& relation,
                                 std::string_view column);

class RowMasking {
 public:
  /// Nothing to do.
  RowMasking() = default;

  /// `relations` are those the statement reads; `tainted` is reads_masked(). Null `detectors`: none.
  RowMasking(const model::Obligations& obligations, std::span<const postgres::Field> fields,
             std::span<const std::shared_ptr<const sql::RelationFact>> relations, bool tainted,
             std::shared_ptr<const mask::Masker> masker, std::shared_ptr<const mask::DetectorSet> detectors);

  /// False: rows pass as they are.
  bool touches() const { return touches_; }
  /// Appends a whole DataRow message with this row masked; returns how many values were changed. A row
  /// whose column count is not that of the description is masked whole.
  size_t apply(const postgres::DataRow& row, std::string& out) const;

 private:
  enum class What : uint8_t { pass, mask, detect };
  struct Column {
    What what = What::pass;
    model::MaskSpec spec;
    uint32_t type_oid = 0;
    bool binary = false;
  };

  std::vector<Column> columns_;
  bool touches_ = false;
  std::shared_ptr<const mask::Masker> masker_;
  std::shared_ptr<const mask::DetectorSet> detectors_;
};

/// ErrorResponse or NoticeResponse of a statement that may carry masked values: severity, SQLSTATE,
/// position and names stay, texts are replaced (PG protocol: Error and Notice Message Fields).
void append_withheld_report(std::string& out, char type, const postgres::ReportFields& fields);

}  // namespace sallyport::flow
