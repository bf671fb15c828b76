// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/row_masking.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/encoder.h"

namespace sallyport::flow {
namespace {

using model::MaskStrategy;

constexpr uint32_t kFirstUserOid = 16384;  // PostgreSQL's FirstNormalObjectId

/// Lower is stricter.
int strictness(MaskStrategy strategy) {
  switch (strategy) {
    case MaskStrategy::null:
      return 0;
    case MaskStrategy::fixed:
      return 1;
    case MaskStrategy::redact:
      return 2;
    case MaskStrategy::hash:
      return 3;
    case MaskStrategy::partial:
      return 4;
  }
  return 0;
}

bool is_named(const sql::RelationFact& relation, std::string_view qualified) {
  return fmt::format("{}.{}", relation.schema, relation.name) == qualified ||
         std::ranges::find(relation.family, qualified) != relation.family.end();
}

/// A relation whose rows are its own, so that a column of it is an origin and not a disguise.
bool is_plain(const sql::RelationFact& relation) {
  return relation.found && (relation.kind == 'r' || relation.kind == 'p') &&
         !(relation.hidden & sql::RelationFact::on_select);
}

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

}  // namespace

const model::ColumnMask* mask_of(const model::Obligations& obligations, const sql::RelationFact& relation,
                                 std::string_view column) {
  const model::ColumnMask* found = nullptr;
  for (const model::ColumnMask& mask : obligations.columns)
    if (mask.column == column && is_named(relation, mask.relation) &&
        (!found || strictness(mask.with.strategy) < strictness(found->with.strategy)))
      found = &mask;
  return found;
}

bool reads_masked(const model::Obligations& obligations, std::span<const sql::Statement> statements) {
  if (obligations.columns.empty()) return false;
  auto is_masked = [&](const auto& relation) {
    return std::ranges::any_of(obligations.columns,
                               [&](const model::ColumnMask& mask) { return is_named(*relation, mask.relation); });
  };
  return std::ranges::any_of(statements, [&](const sql::Statement& statement) {
    return std::ranges::any_of(statement.relations, is_masked) ||
           std::ranges::any_of(statement.effects, [](const model::Effect& effect) {
             return effect.statement_class == model::kUnknownClass;
           });
  });
}

namespace {

bool takes_values(const model::Effect& effect) {
  static constexpr std::string_view kClasses[] = {"create", "insert", "merge", "notify", "refresh", "update"};
  return effect.access == model::Access::write &&
         std::ranges::find(kClasses, effect.statement_class) != std::end(kClasses);
}

bool reads_masked_column(const model::Obligations& obligations, const sql::Statement& statement,
                         const model::Effect& effect) {
  auto is_of = [&](const model::ColumnMask& mask) {
    if (effect.object == mask.relation) return true;
    return std::ranges::any_of(statement.relations, [&](const auto& relation) {
      return effect.object == relation->schema + "." + relation->name && is_named(*relation, mask.relation);
    });
  };
  return effect.access == model::Access::read &&
         std::ranges::any_of(obligations.columns, [&](const model::ColumnMask& mask) {
           const bool column =
               effect.all_columns || std::ranges::find(effect.columns, mask.column) != effect.columns.end();
           return column && is_of(mask);
         });
}

}  // namespace

bool stores_masked(const model::Obligations& obligations, const sql::Analysis& analysis) {
  if (obligations.columns.empty()) return false;
  // What an INSERT reads of its own table it only returns, masked, unless it is an upsert.
  const bool may_upsert = std::ranges::search(analysis.shape, std::string_view("conflict"), {}, [](unsigned char c) {
                            return static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
                          }).begin() != analysis.shape.end();
  return std::ranges::any_of(analysis.statements, [&](const sql::Statement& statement) {
    return !statement.explain_only && std::ranges::any_of(statement.effects, takes_values) &&
           std::ranges::any_of(statement.effects, [&](const model::Effect& effect) {
             return (effect.statement_class != "insert" || may_upsert) &&
                    reads_masked_column(obligations, statement, effect);
           });
  });
}

RowMasking::RowMasking(const model::Obligations& obligations, std::span<const postgres::Field> fields,
                       std::span<const std::shared_ptr<const sql::RelationFact>> relations, bool tainted,
                       std::shared_ptr<const mask::Masker> masker, std::shared_ptr<const mask::DetectorSet> detectors)
    : masker_(std::move(masker)), detectors_(std::move(detectors)) {
  for (const postgres::Field& field : fields) {
    Column column{.type_oid = field.type_oid, .binary = field.format != postgres::kTextFormat};
    auto origin = std::ranges::find_if(
        relations, [&](const auto& relation) { return field.table_oid != 0 && relation->oid == field.table_oid; });
    const bool known =
        origin != relations.end() && field.column > 0 && static_cast<size_t>(field.column) <= (*origin)->columns.size();
    const model::ColumnMask* mask =
        known ? mask_of(obligations, **origin, (*origin)->columns[static_cast<size_t>(field.column) - 1]) : nullptr;
    if (mask) {
      column.what = What::mask;
      column.spec = mask->with;
    } else if (tainted && !(known && is_plain(**origin))) {
      column.what = What::mask;
    } else if (detectors_ && !detectors_->empty() && may_hold_text(field.type_oid)) {
      column.what = What::detect;
    }
    touches_ = touches_ || column.what != What::pass;
    columns_.push_back(std::move(column));
  }
}

size_t RowMasking::apply(const postgres::DataRow& row, std::string& out) const {
  const Column whole{.what = What::mask, .spec = {.strategy = MaskStrategy::null}};
  const bool fits = row.values.size() == columns_.size();
  postgres::DataRowBuilder builder(out);
  size_t changed = 0;
  size_t index = 0;
  for (const postgres::Value value : row.values) {
    const Column& column = fits ? columns_[index++] : whole;
    if (!value || column.what == What::pass) {
      builder.column(value);
      continue;
    }
    std::optional<std::string> masked;
    if (column.what == What::detect) {
      // Inside a binary array or composite a text of another length would break the value: all of it goes.
      const bool in_place = !column.binary || is_plain_text(column.type_oid);
      if (in_place ? !(masked = detectors_->mask_text(*value, *masker_)).has_value()
                   : detectors_->scan(*value).empty()) {
        builder.value(*value);
        continue;
      }
      if (!in_place) masked = masker_->mask({}, column.type_oid, column.binary, *value);
    } else {
      masked = masker_->mask(column.spec, column.type_oid, column.binary, *value);
    }
    ++changed;
    masked ? builder.value(*masked) : builder.null();
  }
  builder.finish();
  return changed;
}

void append_withheld_report(std::string& out, char type, const postgres::ReportFields& fields) {
  ByteWriter writer(out);
  writer.u8(static_cast<uint8_t>(type));
  const size_t length_at = writer.position();
  writer.u32(0);
  for (const auto field : fields) {
    // Severity, SQLSTATE, position in the agent's own text, and names of objects carry no values.
    static constexpr std::string_view kKept = "SVCPsctdnFLR";
    if (kKept.find(field.code) == std::string_view::npos) continue;
    writer.u8(static_cast<uint8_t>(field.code));
    writer.c_string(field.text);
  }
  writer.u8('M');
  writer.c_string("text withheld by policy: the statement reads masked columns");
  writer.u8(0);
  writer.patch_u32(length_at, static_cast<uint32_t>(out.size() - length_at));
}

}  // namespace sallyport::flow
