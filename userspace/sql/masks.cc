// SPDX-License-Identifier: Apache-2.0
#include "sallyport/sql/masks.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

namespace sallyport::sql {
namespace {

using model::ColumnMask;
using model::MaskStrategy;
using model::Obligations;

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

bool is_qualified(std::string_view name, std::string_view schema, std::string_view qualified) {
  return qualified.size() == schema.size() + 1 + name.size() && qualified.starts_with(schema) &&
         qualified[schema.size()] == '.' && qualified.ends_with(name);
}

bool is_named(const RelationFact& relation, std::string_view qualified) {
  if (relation.name == "*") return qualified.starts_with(relation.schema + ".");  // every relation of a schema
  return is_qualified(relation.name, relation.schema, qualified) ||
         std::ranges::find(relation.family, qualified) != relation.family.end();
}

/// What the server keeps of other columns' values, or of statements' texts, and shows under another name; and the
/// columns of it that hold neither.
struct Telling {
  std::string_view relation;
  std::string_view harmless;  ///< between blanks
};
constexpr Telling kTelling[] = {
    {"pg_locks", " locktype database relation pid mode granted fastpath waitstart "},
    {"pg_stat_activity",
     " datid datname pid leader_pid usesysid usename client_addr client_hostname client_port backend_start xact_start "
     "query_start state_change wait_event_type wait_event state backend_type "},
    {"pg_stat_statements", " userid dbid "},
    {"pg_stat_statements_info", ""},
    {"pg_statistic", " starelid staattnum stainherit "},
    {"pg_statistic_ext_data", " stxoid stxdinherit "},
    {"pg_stats", " schemaname tablename attname inherited "},
    {"pg_stats_ext", " schemaname tablename statistics_schemaname statistics_name statistics_owner attnames kinds "},
    {"pg_stats_ext_exprs", " schemaname tablename statistics_schemaname statistics_name statistics_owner "},
};

bool is_telling(const RelationFact& relation, std::string_view column) {
  if (relation.schema == "pg_toast") return true;
  // Extensions may be in any schema.
  if (relation.schema != "pg_catalog" && !relation.name.starts_with("pg_stat_statements")) return false;
  const auto* found = std::ranges::find(kTelling, relation.name, &Telling::relation);
  if (found == std::end(kTelling)) return false;
  return column == "*" || found->harmless.find(fmt::format(" {} ", column)) == std::string_view::npos;
}

const ColumnMask* direct_mask(const Obligations& obligations, const RelationFact& relation, std::string_view column) {
  const ColumnMask* found = nullptr;
  for (const ColumnMask& mask : obligations.columns)
    if ((column == "*" || mask.column == column) && is_named(relation, mask.relation) &&
        (!found || strictness(mask.with.strategy) < strictness(found->with.strategy)))
      found = &mask;
  return found;
}

bool has_masks(const Obligations& obligations, const RelationFact& relation) {
  return direct_mask(obligations, relation, "*") != nullptr || is_telling(relation, "*");
}

bool is_unknown(const model::Effect& effect) { return effect.statement_class == model::kUnknownClass; }

bool has_unknown(const Statement& statement) { return std::ranges::any_of(statement.effects, is_unknown); }

std::string name_of(const ColumnOrigin& origin, const ColumnMask* mask) {
  const RelationFact& relation = *origin.relation;
  if (mask && is_named(relation, mask->relation)) return fmt::format("{}.{}", mask->relation, mask->column);
  return fmt::format("{}.{}.{}", relation.schema, relation.name, origin.column);
}

}  // namespace

MaskedBy mask_of(const Obligations& obligations, const RelationFact& relation, std::string_view column) {
  if (obligations.columns.empty()) return {};
  if (const ColumnMask* mask = direct_mask(obligations, relation, column)) return {mask, column == "*"};
  const ColumnMask* found = nullptr;
  for (const auto& [generated, from] : relation.generated) {
    const ColumnMask* mask = column == generated ? direct_mask(obligations, relation, from) : nullptr;
    if (mask && (!found || strictness(mask->with.strategy) < strictness(found->with.strategy))) found = mask;
  }
  if (!found && is_telling(relation, column)) found = &obligations.columns.front();
  return {found, true};
}

bool is_opaque(const RelationFact& relation) {
  if (relation.schema == "pg_catalog" || relation.schema == "information_schema") return false;
  return relation.kind == 'v' || relation.kind == 'm' || relation.kind == 'f';
}

bool touches_masked(const Obligations& obligations, const Statement& statement) {
  if (obligations.columns.empty()) return false;
  return has_unknown(statement) || std::ranges::any_of(statement.relations, [&](const auto& relation) {
           return has_masks(obligations, *relation);
         });
}

bool touches_masked(const Obligations& obligations, std::span<const Statement> statements) {
  return std::ranges::any_of(statements, [&](const Statement& s) { return touches_masked(obligations, s); });
}

OutputMask mask_of_output(const Obligations& obligations, const Statement& statement, const Output& output) {
  if (obligations.columns.empty()) return {};
  const OutputMask redacted{OutputMask::What::whole, {.strategy = MaskStrategy::redact}};
  OutputMask found;
  // An unknown effect may be anywhere in a value, unless it is the bare value of a column.
  if (!output.traced || (!output.plain && has_unknown(statement))) found = redacted;
  for (const ColumnOrigin& origin : output.from) {
    const MaskedBy masked = mask_of(obligations, *origin.relation, origin.column);
    if (masked && output.plain && !masked.derived) return {OutputMask::What::own, masked.mask->with};
    if (masked && masked.mask->with.strategy == MaskStrategy::null)
      return {OutputMask::What::whole, {.strategy = MaskStrategy::null}};
    if (masked || is_opaque(*origin.relation)) found = redacted;
  }
  return found;
}

OutputMask mask_of_output(const Obligations& obligations, const Statement& statement, size_t index, size_t count) {
  const std::vector<Output>& outputs = statement.outputs;
  if (statement.outputs_known && outputs.size() == count) return mask_of_output(obligations, statement, outputs[index]);
  if (!statement.outputs_known && outputs.size() == 1) return mask_of_output(obligations, statement, outputs.front());
  if (!touches_masked(obligations, statement)) return {};
  return {OutputMask::What::whole, {.strategy = MaskStrategy::redact}};
}

bool copy_needs_mask(const Obligations& obligations, const Statement& statement) {
  return !obligations.detect.empty() || std::ranges::any_of(statement.outputs, [&](const Output& output) {
    return mask_of_output(obligations, statement, output).what != OutputMask::What::none;
  });
}

std::optional<MaskRefusal> refused_copy(const Obligations& obligations, const Statement& statement,
                                        std::string_view because) {
  for (const Output& output : statement.outputs) {
    if (mask_of_output(obligations, statement, output).what == OutputMask::What::none) continue;
    const ColumnMask* mask = &obligations.columns.front();
    std::string name = fmt::format("column `{}` of the COPY", output.name);
    for (const ColumnOrigin& origin : output.from)
      if (const MaskedBy masked = mask_of(obligations, *origin.relation, origin.column)) {
        mask = masked.mask;
        name = name_of(origin, mask);
      }
    return MaskRefusal{
        fmt::format("mask {}", mask->mask),
        fmt::format("{} is masked, or may hold what is, and the data of this COPY cannot be masked: {}", name, because),
        "use SELECT, or leave the column out"};
  }
  if (obligations.detect.empty()) return std::nullopt;
  return MaskRefusal{fmt::format("mask {}", obligations.detect.front().mask),
                     fmt::format("the data of this COPY cannot be searched for what must be masked: {}", because),
                     "use SELECT"};
}

std::optional<MaskRefusal> refused_by_masks(const Obligations& obligations, const Statement& statement) {
  if (statement.copy_out && !statement.copy_out->obscure.empty())
    if (auto refused = refused_copy(obligations, statement, statement.copy_out->obscure)) return refused;
  if (obligations.columns.empty()) return std::nullopt;
  for (const ColumnOrigin& origin : statement.stored) {
    const MaskedBy masked = mask_of(obligations, *origin.relation, origin.column);
    if (!masked && !is_opaque(*origin.relation)) continue;
    const ColumnMask& mask = masked ? *masked.mask : obligations.columns.front();
    const std::string name = name_of(origin, masked.mask);
    return MaskRefusal{fmt::format("mask {}", mask.mask),
                       fmt::format("{} {}, and its value would go where no mask follows it: into another column, a "
                                   "setting, a function",
                                   name, masked ? "is masked" : "may hold what is masked"),
                       "SELECT it, which gives it masked; or leave the column out of what is written"};
  }
  for (const ColumnOrigin& origin : statement.tested) {
    const MaskedBy masked = mask_of(obligations, *origin.relation, origin.column);
    if (masked ? masked.mask->predicates && !masked.derived : !is_opaque(*origin.relation)) continue;
    const ColumnMask& mask = masked ? *masked.mask : obligations.columns.front();
    const std::string name = name_of(origin, masked.mask);
    const std::string hint =
        masked && !masked.derived
            ? fmt::format("in Mask {}: columns: [{{column: {}.{}, with: {}, predicates: allow}}]", mask.mask,
                          mask.relation, mask.column, model::to_string(mask.with.strategy))
            : "leave the column out of conditions, joins and orders";
    return MaskRefusal{fmt::format("mask {}", mask.mask),
                       fmt::format("{} {}: to compare, join, group or sort by it tells its values", name,
                                   masked ? "is masked" : "may hold what is masked"),
                       hint};
  }
  return std::nullopt;
}

}  // namespace sallyport::sql
