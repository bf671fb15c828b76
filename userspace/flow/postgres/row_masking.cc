// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/row_masking.h"

#include <algorithm>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/sql/masks.h"

namespace sallyport::flow {
namespace {

using model::MaskStrategy;

constexpr uint32_t kFirstUserOid = 16384;  // PostgreSQL's FirstNormalObjectId

/// char, name, text, json, xml, unknown, bpchar, varchar, jsonb: text in binary format too.
bool is_plain_text(uint32_t type_oid) {
  static constexpr uint32_t kTypes[] = {18, 19, 25, 114, 142, 705, 1042, 1043, 3802};
  return std::ranges::find(kTypes, type_oid) != std::end(kTypes);
}

/// Also arrays of those, composites and the types of extensions and users.
bool may_hold_text(uint32_t type_oid) {
  static constexpr uint32_t kArrays[] = {143, 199, 1002, 1003, 1009, 1014, 1015, 2249, 2287, 3807};
  return is_plain_text(type_oid) || type_oid >= kFirstUserOid ||
         std::ranges::find(kArrays, type_oid) != std::end(kArrays);
}

sql::OutputMask mask_of_field(const model::Obligations& obligations, const postgres::Field& field,
                              const sql::Statement& statement, size_t index, size_t count) {
  const auto origin = std::ranges::find_if(statement.relations, [&](const auto& relation) {
    return field.table_oid != 0 && relation->oid == field.table_oid;
  });
  const bool plain = origin != statement.relations.end() && !sql::is_opaque(**origin) && field.column > 0 &&
                     static_cast<size_t>(field.column) <= (*origin)->columns.size();
  if (!plain) return sql::mask_of_output(obligations, statement, index, count);
  const sql::MaskedBy masked =
      sql::mask_of(obligations, **origin, (*origin)->columns[static_cast<size_t>(field.column) - 1]);
  if (!masked) return {};
  if (masked.derived) return {sql::OutputMask::What::whole, {.strategy = MaskStrategy::redact}};
  return {sql::OutputMask::What::own, masked.mask->with};
}

}  // namespace

RowMasking::RowMasking(const model::Obligations& obligations, std::span<const postgres::Field> fields,
                       const sql::Statement& statement, std::shared_ptr<const mask::Masker> masker,
                       std::shared_ptr<const mask::DetectorSet> detectors)
    : masker_(std::move(masker)), detectors_(std::move(detectors)) {
  for (size_t i = 0; i < fields.size(); ++i) {
    const postgres::Field& field = fields[i];
    Column column{.type_oid = field.type_oid, .binary = field.format != postgres::kTextFormat};
    const sql::OutputMask mask = mask_of_field(obligations, field, statement, i, fields.size());
    column.spec = mask.with;
    if (mask.what == sql::OutputMask::What::own) column.what = What::mask;
    if (mask.what == sql::OutputMask::What::whole) {
      column.what = What::whole;
      column.instead = masker_->mask(mask.with, column.type_oid, column.binary, {});
    }
    const bool may_detect = detectors_ && !detectors_->empty() && may_hold_text(field.type_oid);
    if (column.what == What::pass && may_detect) column.what = What::detect;
    touches_ = touches_ || column.what != What::pass;
    columns_.push_back(std::move(column));
  }
}

bool RowMasking::replace(size_t index, const postgres::Value& value, std::optional<std::string>& instead) const {
  const Column& column = columns_[index];
  if (column.what == What::whole) {
    instead = column.instead;
    return true;
  }
  if (!value || column.what == What::pass) return false;
  if (column.what == What::mask) {
    instead = masker_->mask(column.spec, column.type_oid, column.binary, *value);
    return true;
  }
  // Inside a binary array or composite a text of another length would break the value: all of it goes.
  const bool in_place = !column.binary || is_plain_text(column.type_oid);
  if (in_place) return (instead = detectors_->mask_text(*value, *masker_)).has_value();
  if (detectors_->scan(*value).empty()) return false;
  instead = masker_->mask({}, column.type_oid, column.binary, *value);
  return true;
}

size_t RowMasking::apply(const postgres::DataRow& row, std::string& out) const {
  const bool fits = row.values.size() == columns_.size();
  postgres::DataRowBuilder builder(out);
  size_t changed = 0;
  size_t index = 0;
  std::optional<std::string> instead;
  for (const postgres::Value value : row.values) {
    if (!fits) {
      changed += value.has_value();
      builder.null();
    } else if (!replace(index++, value, instead)) {
      builder.column(value);
    } else {
      ++changed;
      instead ? builder.value(*instead) : builder.null();
    }
  }
  builder.finish();
  return changed;
}

std::string_view told_sqlstate(std::string_view code, bool raised) {
  // What clients act on (PG Appendix A): to try again, to tell a broken constraint from a broken statement.
  static constexpr std::string_view kActedOn[] = {
      "00000", "01000", "22003", "22007", "22008", "22012", "22023", "22P02", "23502", "23503",
      "23505", "23514", "23P01", "25006", "25P02", "40001", "40P01", "42501", "42601", "42703",
      "42804", "42883", "42P01", "53300", "55P03", "57014", "57P01", "P0001", "P0002"};
  return !raised || std::ranges::find(kActedOn, code) != std::end(kActedOn) ? code : "P0001";
}

namespace {

template <class Told>
void append_report(std::string& out, char type, Told told) {
  ByteWriter writer(out);
  writer.u8(static_cast<uint8_t>(type));
  const size_t length_at = writer.position();
  writer.u32(0);
  told(writer);
  writer.u8(0);
  writer.patch_u32(length_at, static_cast<uint32_t>(out.size() - length_at));
}

}  // namespace

void append_withheld_report(std::string& out, char type, const postgres::ReportFields& fields, bool raised) {
  append_report(out, type, [&](ByteWriter& writer) {
    for (const auto field : fields) {
      // Severity, SQLSTATE, position in the agent's own text, and names of objects carry no values.
      static constexpr std::string_view kKept = "SVCPsctdnFLR";
      static constexpr std::string_view kNames = "sctdn";
      if (kKept.find(field.code) == std::string_view::npos) continue;
      if (raised && kNames.find(field.code) != std::string_view::npos) continue;
      writer.u8(static_cast<uint8_t>(field.code));
      writer.c_string(field.code == 'C' ? told_sqlstate(field.text, raised) : field.text);
    }
    writer.u8('M');
    writer.c_string("text withheld by policy: the statement reads masked columns");
  });
}

void append_searched_report(std::string& out, char type, const postgres::ReportFields& fields,
                            const mask::DetectorSet& detectors, const mask::Masker& masker) {
  append_report(out, type, [&](ByteWriter& writer) {
    for (const auto field : fields) {
      const auto masked = detectors.mask_text(field.text, masker);
      writer.u8(static_cast<uint8_t>(field.code));
      writer.c_string(masked ? std::string_view(*masked) : field.text);
    }
  });
}

}  // namespace sallyport::flow
