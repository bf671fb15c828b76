// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/copy_rows.h"

#include <fmt/core.h>

#include <utility>

#include "protocol/postgres/copy_formats.h"
#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"

namespace sallyport::postgres {

using Format = CopyLayout::Format;

CopyReader::CopyReader(CopyLayout layout) : layout_(std::move(layout)) {
  begun_ = layout_.format != Format::binary && !layout_.header;
  if (layout_.format != Format::text) return;
  std::string scratch, again;
  append_copy_text(layout_, copy_text_value(layout_.null, scratch), again);
  null_is_clear_ = again != layout_.null;
}

/// Looks on for the end of what begins `bytes`; true: it is at scanned_.
bool CopyReader::find_end(std::string_view bytes) {
  switch (layout_.format) {
    case Format::text: {
      const size_t newline = bytes.find('\n', scanned_);
      scanned_ = newline == std::string_view::npos ? bytes.size() : newline + 1;
      return newline != std::string_view::npos;
    }
    case Format::csv:
      return find_copy_csv_end(layout_, bytes, scanned_, in_quotes_, skip_one_);
    case Format::binary:
      if (begun_) return find_copy_binary_end(bytes, scanned_, fields_left_);
      scanned_ = kCopyBinaryHeadBytes;
      return bytes.size() >= kCopyBinaryHeadBytes;
  }
  return false;
}

Result<std::optional<CopyReader::Piece>> CopyReader::next(std::string_view& data) {
  if (std::exchange(row_is_held_, false)) held_.clear();
  if (data.empty()) return std::nullopt;
  if (over_) return fail("COPY data: more behind their end");
  const size_t before = held_.size();
  if (before != 0) held_ += data;
  const std::string_view bytes = before != 0 ? std::string_view(held_) : data;
  const bool ended = find_end(bytes);
  if ((ended ? scanned_ : bytes.size()) > limits::kPgBufferedMessageBytesMax)
    return fail(
        fmt::format("a row of more than {} bytes is more than can be masked", limits::kPgBufferedMessageBytesMax));
  if (!ended) {
    if (before == 0) held_ = data;
    data = {};
    return std::nullopt;
  }
  Piece piece{.is_row = begun_, .bytes = bytes.substr(0, scanned_)};
  data.remove_prefix(scanned_ - before);
  if (before != 0) {
    held_.resize(scanned_);
    piece.bytes = held_;
    row_is_held_ = true;
  }
  if (layout_.format == Format::binary) {
    if (!begun_ && !is_copy_binary_head(piece.bytes)) return fail("COPY data: not the head of binary format");
    over_ = begun_ && fields_left_ < 0;
    if (over_) piece.is_row = false;
  }
  begun_ = true;
  scanned_ = 0;
  in_quotes_ = skip_one_ = false;
  fields_left_ = -1;
  return piece;
}

Result<> CopyReader::finish() const {
  if (!row_is_held_ && !held_.empty()) return fail("COPY data: they end amid a row");
  return {};
}

Result<> CopyReader::split(std::string_view row, std::vector<CopyField>& fields) const {
  fields.clear();
  if (layout_.format == Format::binary) return split_copy_binary(row, fields);
  row.remove_suffix(1);
  if (layout_.format == Format::text)
    split_copy_text(layout_, row, fields);
  else if (auto split = split_copy_csv(layout_, row, fields); !split)
    return split;
  if (null_is_clear_)
    for (CopyField& field : fields) field.null = field.raw == layout_.null;
  return {};
}

std::string_view CopyReader::value(const CopyField& field, std::string& scratch) const {
  switch (layout_.format) {
    case Format::text:
      return copy_text_value(field.raw, scratch);
    case Format::csv:
      return copy_csv_value(layout_, field.raw, scratch);
    case Format::binary:
      return field.raw.substr(4);
  }
  return {};
}

CopyRowWriter::CopyRowWriter(const CopyLayout& layout, size_t columns, std::string& out)
    : layout_(layout), out_(out), columns_(columns) {
  if (layout.format == Format::binary) ByteWriter(out).u16(static_cast<uint16_t>(columns));
}

void CopyRowWriter::begin_field() {
  if (!std::exchange(first_, false) && layout_.format != Format::binary) out_.push_back(layout_.delimiter);
}

void CopyRowWriter::field(const CopyField& field) {
  begin_field();
  out_ += field.raw;
}

void CopyRowWriter::value(const Value& value, bool force_quote) {
  begin_field();
  if (layout_.format == Format::binary)
    append_copy_binary(value, out_);
  else if (!value)
    out_ += layout_.null;
  else if (layout_.format == Format::text)
    append_copy_text(layout_, *value, out_);
  else
    append_copy_csv(layout_, *value, force_quote, columns_ == 1, out_);
}

void CopyRowWriter::finish() {
  if (layout_.format != Format::binary) out_.push_back('\n');
}

}  // namespace sallyport::postgres
