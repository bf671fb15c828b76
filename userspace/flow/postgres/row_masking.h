// SPDX-License-Identifier: Apache-2.0
// What happens to each column of a result, by where it comes from: RowDescription names a table OID and column number
// for plain columns (PG protocol: RowDescription), whatever alias or `*` they came by; for all else the statement's
// lineage tells. What cannot be traced is masked whole in a statement that touches a masked column.
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

class RowMasking {
 public:
  /// Nothing to do.
  RowMasking() = default;

  /// For a result of `statement` with these columns. Null `detectors`: none.
  RowMasking(const model::Obligations& obligations, std::span<const postgres::Field> fields,
             const sql::Statement& statement, std::shared_ptr<const mask::Masker> masker,
             std::shared_ptr<const mask::DetectorSet> detectors);

  /// False: rows pass as they are.
  bool touches() const { return touches_; }
  bool touches(size_t index) const { return columns_[index].what != What::pass; }
  /// Value `index` of a row that has as many as were described. True: the agent gets `instead`, null for NULL. False:
  /// the value as it is.
  bool replace(size_t index, const postgres::Value& value, std::optional<std::string>& instead) const;
  /// Appends a whole DataRow message with this row masked; returns how many values were changed. A row
  /// whose column count is not that of the description is masked whole.
  size_t apply(const postgres::DataRow& row, std::string& out) const;

 private:
  /// whole: the same for every row, NULL or not, so that not even that is told.
  enum class What : uint8_t { pass, mask, whole, detect };
  struct Column {
    What what = What::pass;
    model::MaskSpec spec;
    std::optional<std::string> instead;  ///< of whole
    uint32_t type_oid = 0;
    bool binary = false;
  };

  std::vector<Column> columns_;
  bool touches_ = false;
  std::shared_ptr<const mask::Masker> masker_;
  std::shared_ptr<const mask::DetectorSet> detectors_;
};

/// An SQLSTATE as the agent and the record may see it. `raised`: code of functions may have made it (RAISE … USING
/// ERRCODE), and then five letters of a value fit in; only those that clients act on pass.
std::string_view told_sqlstate(std::string_view code, bool raised);

/// ErrorResponse or NoticeResponse of a statement that may carry masked values: severity, SQLSTATE,
/// position and names stay, texts are replaced (PG protocol: Error and Notice Message Fields). `raised`: as above, and
/// names are texts too.
void append_withheld_report(std::string& out, char type, const postgres::ReportFields& fields, bool raised);

/// The same of any other statement: what detectors find in a field is masked.
void append_searched_report(std::string& out, char type, const postgres::ReportFields& fields,
                            const mask::DetectorSet& detectors, const mask::Masker& masker);

}  // namespace sallyport::flow
