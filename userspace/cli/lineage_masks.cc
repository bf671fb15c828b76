// SPDX-License-Identifier: Apache-2.0
#include "cli/lineage_masks.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/sql/masks.h"

namespace sallyport::cli {
namespace {

using policy::ShownMask;

class Shown {
 public:
  explicit Shown(const model::Obligations& obligations) : obligations_(obligations) {}

  void add(const sql::Statement& statement, const sql::Output& output) {
    const sql::OutputMask mask = sql::mask_of_output(obligations_, statement, output);
    if (mask.what == sql::OutputMask::What::none) return;
    const size_t before = out_.size();
    bool found = false;
    for (const sql::ColumnOrigin& origin : output.from)
      for (const model::ColumnMask& column : obligations_.columns) found |= add(output, mask, origin, column);
    if (!found && out_.size() == before)
      add({"?", std::string(model::to_string(mask.with.strategy)),
           fmt::format("what result column `{}` is made of cannot be told", output.name)});
  }
  std::vector<ShownMask> take() { return std::move(out_); }

 private:
  bool add(const sql::Output& output, const sql::OutputMask& mask, const sql::ColumnOrigin& origin,
           const model::ColumnMask& column) {
    model::Obligations one;
    one.columns.push_back(column);
    if (!sql::mask_of(one, *origin.relation, origin.column)) return false;
    const bool any = origin.column == "*" && output.from.size() == 1;  // the columns are not known: each as it is
    const bool own = any || mask.what == sql::OutputMask::What::own;
    add({fmt::format("{}.{}", column.relation, column.column),
         std::string(model::to_string(own ? column.with.strategy : mask.with.strategy)),
         own ? fmt::format("Mask {} names the column", column.mask)
             : fmt::format("Mask {} names the column, and result column `{}` is made of it", column.mask,
                           output.name)});
    return true;
  }
  void add(ShownMask mask) {
    const bool known = std::ranges::any_of(
        out_, [&](const ShownMask& each) { return each.column == mask.column && each.strategy == mask.strategy; });
    if (!known) out_.push_back(std::move(mask));
  }

  const model::Obligations& obligations_;
  std::vector<ShownMask> out_;
};

}  // namespace

std::vector<ShownMask> masks_by_lineage(const sql::Analysis& analysis, model::Decision& decision) {
  Shown shown(decision.obligations);
  for (const sql::Statement& statement : analysis.statements) {
    for (const sql::Output& output : statement.outputs) shown.add(statement, output);
    if (decision.outcome == model::Outcome::deny) continue;
    const auto refused = sql::refused_by_masks(decision.obligations, statement);
    if (!refused) continue;
    decision.outcome = model::Outcome::deny;
    decision.causes = {{.rule = refused->rule, .text = refused->text}};
    decision.hint = refused->hint;
  }
  return shown.take();
}

}  // namespace sallyport::cli
