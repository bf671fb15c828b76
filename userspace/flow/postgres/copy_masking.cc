// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/copy_masking.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/postgres/client_encoding.h"
#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/frame.h"

namespace sallyport::flow {
std::optional<std::string> recorded_value(const postgres::Value& value, bool text) {
  if (!value) return std::nullopt;
  if (text && is_valid_utf8(*value)) return std::string(value->substr(0, limits::kRecordParameterBytesMax));
  return fmt::format("<{} bytes>", value->size());
}

CopyMasking::CopyMasking(const sql::CopyOut& copy, const std::vector<std::string>& names,
                         std::shared_ptr<const RowMasking> masking)
    : reader_(copy.layout), force_quote_(names.size(), copy.force_quote_all), masking_(std::move(masking)) {
  for (const std::string& name : copy.force_quote) {
    const auto found = std::ranges::find(names, name);
    if (found != names.end()) force_quote_[static_cast<size_t>(found - names.begin())] = true;
  }
}

Result<CopyMasking::Passed> CopyMasking::apply(std::string_view data, std::string& out, uint64_t record_max,
                                               std::vector<RecordedRow>& recorded) {
  Passed passed;
  const size_t start = out.size();
  ByteWriter writer(out);
  writer.u8(postgres::backend::kCopyData);
  writer.u32(0);
  while (true) {
    auto piece = reader_.next(data);
    if (!piece) return std::unexpected(piece.error());
    if (!*piece) break;
    if (!(*piece)->is_row) {
      out += (*piece)->bytes;
      continue;
    }
    RecordedRow* keep = passed.rows < record_max ? &recorded.emplace_back() : nullptr;
    auto masked = apply_row((*piece)->bytes, out, keep);
    if (!masked) return std::unexpected(masked.error());
    ++passed.rows;
    passed.masked += *masked;
  }
  if (out.size() == start + postgres::kFrameHeaderBytes)
    out.resize(start);
  else
    writer.patch_u32(start + 1, static_cast<uint32_t>(out.size() - start - 1));
  return passed;
}

Result<uint64_t> CopyMasking::apply_row(std::string_view row, std::string& out, RecordedRow* recorded) {
  if (auto split = reader_.split(row, fields_); !split) return std::unexpected(split.error());
  const size_t columns = force_quote_.size();
  if (columns == 0 && fields_.size() == 1 && fields_.front().raw.empty()) fields_.clear();  // a line without columns
  if (fields_.size() != columns)
    return fail(fmt::format("COPY data: a row of {} columns where {} were described", fields_.size(), columns));
  const bool text = reader_.layout().format != postgres::CopyLayout::Format::binary;
  uint64_t changed = 0;
  postgres::CopyRowWriter writer(reader_.layout(), columns, out);
  for (size_t i = 0; i < columns; ++i) {
    const postgres::CopyField& field = fields_[i];
    const bool looked_at = masking_->touches(i);
    if (!looked_at && !recorded) {
      writer.field(field);
      continue;
    }
    postgres::Value value;
    if (!field.null) value = reader_.value(field, scratch_);
    if (looked_at && masking_->replace(i, value, instead_)) {
      ++changed;
      value = instead_ ? postgres::Value(*instead_) : postgres::Value();
      writer.value(value, force_quote_[i]);
    } else {
      writer.field(field);
    }
    if (recorded) recorded->push_back(recorded_value(value, text));
  }
  writer.finish();
  return changed;
}

}  // namespace sallyport::flow
