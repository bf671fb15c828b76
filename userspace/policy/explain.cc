// SPDX-License-Identifier: Apache-2.0
#include "sallyport/policy/explain.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "explain_masks.h"
#include "match_http.h"
#include "match_sql.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

using model::Effect;
using model::ObjectKind;

std::span<const Effect> effects_of(const model::Operation& operation) {
  const auto* sql = std::get_if<model::Sql>(&operation.body);
  return sql ? std::span<const Effect>(sql->effects) : std::span<const Effect>();
}

bool concerns(const model::ColumnMask& mask, const Effect& effect) {
  if (SqlEffect(effect).opaque()) return true;
  if (effect.kind != ObjectKind::relation || effect.access != model::Access::read) return false;
  if (effect.object != mask.relation) return false;
  return effect.all_columns || std::ranges::find(effect.columns, mask.column) != effect.columns.end();
}

std::vector<std::string> columns_of(const Effect& effect) {
  return effect.all_columns ? std::vector<std::string>{"*"} : effect.columns;
}

}  // namespace

std::vector<ShownMask> masks_shown(const model::Decision& decision, const model::Operation& operation,
                                   const std::vector<ShownMask>* columns) {
  std::vector<ShownMask> out;
  const auto effects = effects_of(operation);
  if (columns) out = *columns;
  for (const model::ColumnMask& mask : decision.obligations.columns)
    if (!columns && std::ranges::any_of(effects, [&](const Effect& effect) { return concerns(mask, effect); }))
      out.push_back({fmt::format("{}.{}", mask.relation, mask.column),
                     std::string(model::to_string(mask.with.strategy)),
                     fmt::format("Mask {} names the column", mask.mask)});
  const bool reads = std::ranges::any_of(effects, [](const Effect& effect) {
    return SqlEffect(effect).opaque() || (effect.kind == ObjectKind::relation && effect.access == model::Access::read);
  });
  if (!reads) return out;
  for (const model::DetectMask& mask : decision.obligations.detect)
    out.push_back({"*", std::string(model::to_string(mask.with.strategy)),
                   fmt::format("Mask {} detects {}", mask.mask, mask.type)});
  return out;
}

std::string limit_shown(const model::Limit& limit) {
  return fmt::format("{} over {} then {}", model::describe(limit), model::to_string(limit.over),
                     model::to_string(limit.then));
}

std::string describe(const Effect& effect) {
  std::string out = printable(effect.statement_class);
  if (effect.kind == ObjectKind::unknown) {
    const std::string why = printable(effect.because);
    return why.empty() ? "something that cannot be told" : fmt::format("what cannot be told ({})", why);
  }
  const bool plain = effect.kind == ObjectKind::relation || effect.kind == ObjectKind::other;
  out += plain ? " " : fmt::format(" {} ", model::to_string(effect.kind));
  out += printable(effect.object);
  const auto columns = columns_of(effect);
  if (!columns.empty()) out += fmt::format(" ({})", printable(fmt::format("{}", fmt::join(columns, ", "))));
  if (effect.statement_class == model::kUnknownClass && !effect.because.empty())
    out += ": " + printable(effect.because);
  return out;
}

nlohmann::json explain_json(const model::Decision& decision, const model::Operation& operation,
                            const std::vector<ShownMask>* columns, const model::Principal* principal) {
  using nlohmann::json;
  json out;
  out["decision"] = model::to_string(decision.outcome);
  out["causes"] = json::array();
  for (const model::Cause& cause : decision.causes) out["causes"].push_back(cause.rule);
  out["operation"] = {{"kind", model::kind_of(operation)}};
  if (const auto* http = std::get_if<model::Http>(&operation.body)) {
    out["operation"]["method"] = http->method;
    out["operation"]["path"] = http->path;
  }
  out["effects"] = json::array();
  for (const Effect& effect : effects_of(operation)) {
    const bool unknown = effect.kind == ObjectKind::unknown;
    out["effects"].push_back({{"class", unknown ? std::string(model::kUnknownClass) : effect.statement_class},
                              {"object", effect.object},
                              {"access", model::to_string(effect.access)},
                              {"columns", columns_of(effect)}});
  }
  out["masks"] = json::array();
  for (const ShownMask& mask : masks_shown(decision, operation, columns))
    out["masks"].push_back({{"column", mask.column}, {"strategy", mask.strategy}, {"because", mask.because}});
  for (const model::Limit& limit : decision.obligations.limits)
    out["limits"].push_back({{"rule", limit.rule},
                             {"count", model::to_string(limit.count)},
                             {"max", limit.max},
                             {"per_s", limit.per_ns / kNanosPerSecond},
                             {"over", model::to_string(limit.over)},
                             {"then", model::to_string(limit.then)}});
  if (principal) out["principal"] = model::describe(*principal);
  out["hint"] = decision.hint;
  return out;
}

std::string explain_text(const model::Decision& decision, const model::Operation& operation,
                         const std::vector<ShownMask>* columns, const model::Principal* principal) {
  std::string out = fmt::format("{}\n", model::to_string(decision.outcome));
  if (principal) out += fmt::format("  for      {}\n", printable(model::describe(*principal)));
  for (const model::Cause& cause : decision.causes) {
    out += fmt::format("  because  {}: {}\n", cause.rule, cause.text);
    if (!cause.where.empty()) out += fmt::format("           {}\n", cause.where);
  }
  if (const auto* http = std::get_if<model::Http>(&operation.body))
    out += fmt::format("  request  {}\n", describe(*http));
  for (const Effect& effect : effects_of(operation))
    out += fmt::format("  effect   {}, {}\n", describe(effect), model::to_string(effect.access));
  for (const ShownMask& mask : masks_shown(decision, operation, columns))
    out += fmt::format("  mask     {} {}: {}\n", mask.column, mask.strategy, mask.because);
  for (const model::Limit& limit : decision.obligations.limits)
    out += fmt::format("  limit    {}: {}\n", limit.rule, limit_shown(limit));
  for (std::string_view rest = decision.hint; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    out += fmt::format("  hint     {}\n", rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return out;
}

}  // namespace sallyport::policy
