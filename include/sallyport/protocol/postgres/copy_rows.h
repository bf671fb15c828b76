// SPDX-License-Identifier: Apache-2.0
// The data of COPY … TO STDOUT, taken apart into rows and fields and put together again, as the server writes them:
// each field also as the very bytes that came, so that what is not changed passes as it is. Pieces may be cut anywhere;
// a row of more than limits::kPgBufferedMessageBytesMax is an error. Encodings in which a byte of a character may look
// like ASCII (SJIS, BIG5, GBK …) cannot be read in text or csv format: callers must refuse those.
// Source: PostgreSQL documentation, COPY, "File Formats"; server: copyto.c, CopyOneRowTo, CopyAttributeOutText and
// …CSV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/model/copy.h"
#include "sallyport/protocol/postgres/messages.h"

namespace sallyport::postgres {

using model::CopyLayout;

/// Borrows from the row.
struct CopyField {
  std::string_view raw;  ///< as it came: with quotes and escapes, in binary format with its length
  /// Surely. In text format a NULL option that a value may look like ('') hides which fields are: none is.
  bool null = false;
};

/// Cuts a stream into rows and rows into fields.
class CopyReader {
 public:
  explicit CopyReader(CopyLayout layout);

  struct Piece {
    bool is_row = false;     ///< false: names of columns, the head or end of binary data
    std::string_view bytes;  ///< whole, line end and all; valid until the next call
  };
  /// Takes bytes from the front of `data`. Nothing: all were taken, more are needed. Fails on what no server writes.
  Result<std::optional<Piece>> next(std::string_view& data);
  /// The data ended: fails if they end amid a row.
  Result<> finish() const;
  size_t held_bytes() const { return held_.size(); }

  /// The fields of a row that next() gave.
  Result<> split(std::string_view row, std::vector<CopyField>& fields) const;
  /// The value of a field that is not NULL, borrowed from it or from `scratch`.
  std::string_view value(const CopyField& field, std::string& scratch) const;

  const CopyLayout& layout() const { return layout_; }

 private:
  bool find_end(std::string_view bytes);

  CopyLayout layout_;
  bool null_is_clear_ = true;
  bool begun_ = false;  ///< what stands before the first row has come
  bool over_ = false;   ///< the end of binary data has come
  std::string held_;    ///< a row's beginning
  bool row_is_held_ = false;
  // How far the row at hand was looked through.
  size_t scanned_ = 0;
  bool in_quotes_ = false;
  bool skip_one_ = false;
  int fields_left_ = -1;
};

/// Appends one row, field by field.
class CopyRowWriter {
 public:
  CopyRowWriter(const CopyLayout& layout, size_t columns, std::string& out);
  /// As it came.
  void field(const CopyField& field);
  /// As the server would write it. `force_quote`: the column is named in FORCE_QUOTE.
  void value(const Value& value, bool force_quote);
  void finish();

 private:
  void begin_field();

  const CopyLayout& layout_;
  std::string& out_;
  size_t columns_;
  bool first_ = true;
};

}  // namespace sallyport::postgres
