// SPDX-License-Identifier: Apache-2.0
// Effects as one short line, for tables of expectations:
//   select read public.t(a,b); update write public.t(c); unknown execute function app.f
#pragma once

#include <string>

#include "sallyport/sql/analysis.h"

namespace sallyport::sql {

inline std::string_view kind_word(model::ObjectKind kind) {
  static constexpr std::string_view kWords[] = {"",        "function", "schema",  "type",    "database", "role",
                                                "setting", "file",     "program", "channel", "other",    "unknown"};
  return kWords[static_cast<size_t>(kind)];
}

inline std::string render(const model::Effect& effect) {
  static constexpr std::string_view kAccess[] = {"read", "write", "execute"};
  std::string line = effect.statement_class;
  line.append(" ").append(kAccess[static_cast<size_t>(effect.access)]);
  if (effect.kind != model::ObjectKind::relation) line.append(" ").append(kind_word(effect.kind));
  if (!effect.object.empty()) line.append(" ").append(effect.object);
  std::string through = effect.through.empty() ? "" : " through " + effect.through;
  if (effect.columns.empty() && !effect.all_columns) return line.append(through);
  line.append("(");
  for (const std::string& column : effect.columns) line.append(line.back() == '(' ? "" : ",").append(column);
  if (effect.all_columns) line.append(line.back() == '(' ? "*" : ",*");
  return line.append(")").append(through);
}

inline std::string render(const Statement& statement) {
  std::string line;
  for (const model::Effect& effect : statement.effects) line.append(line.empty() ? "" : "; ").append(render(effect));
  return line;
}

}  // namespace sallyport::sql
