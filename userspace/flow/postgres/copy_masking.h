// SPDX-License-Identifier: Apache-2.0
// The data of a COPY … TO STDOUT on their way to the agent: each field is masked as a DataRow of the same origin would
// be, and written again as the server would have; what is not changed passes byte for byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flow/postgres/row_masking.h"
#include "sallyport/protocol/postgres/copy_rows.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// A value as the record keeps it.
std::optional<std::string> recorded_value(const postgres::Value& value, bool text);

class CopyMasking {
 public:
  using RecordedRow = std::vector<std::optional<std::string>>;

  /// `names`: of the columns; `masking` was made for them, in the format of `copy`.
  CopyMasking(const sql::CopyOut& copy, const std::vector<std::string>& names,
              std::shared_ptr<const RowMasking> masking);

  /// From the next row on.
  void use(std::shared_ptr<const RowMasking> masking) { masking_ = std::move(masking); }

  struct Passed {
    uint64_t rows = 0;
    uint64_t masked = 0;  ///< values
  };
  /// The body of one CopyData message. Appends a CopyData message with the rows that end in it, if any do; the first
  /// `record_max` of them are appended to `recorded` as they were sent. Fails, with `out` in no state to be used, on
  /// what cannot be taken apart and on a row that is too large.
  Result<Passed> apply(std::string_view data, std::string& out, uint64_t record_max,
                       std::vector<RecordedRow>& recorded);
  /// No more will come.
  Result<> finish() const { return reader_.finish(); }

 private:
  Result<uint64_t> apply_row(std::string_view row, std::string& out, RecordedRow* recorded);

  postgres::CopyReader reader_;
  std::vector<bool> force_quote_;
  std::shared_ptr<const RowMasking> masking_;
  std::vector<postgres::CopyField> fields_;
  std::string scratch_;
  std::optional<std::string> instead_;
};

}  // namespace sallyport::flow
