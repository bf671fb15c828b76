// SPDX-License-Identifier: Apache-2.0
// Decisions for programs and for people: `policy explain`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"
#include "sallyport/model/principal.h"

namespace sallyport::policy {

/// A mask that is brought to bear on an operation, in words.
struct ShownMask {
  std::string column;    ///< "public.customers.email"; "*" for a detector, "?" where nobody can tell which
  std::string strategy;  ///< that of the values that come out: "redact" if only made of the column
  std::string because;
};

/// {"decision":"allow|hold|deny","causes":["NAME"],"operation":{"kind":"sql"}, for HTTP also "method" and "path",
///  "effects":[{"class","object","access","columns":[…]}],"masks":[{"column","strategy","because"}],
///  "hint":"…"} and, where limits are in force, "limits":[{"rule","count","max","per_s","over","then"}].
/// `columns` is ["*"] where all columns count. `masks` are `columns`, or all on columns that the operation
/// reads if that is null, and the detectors, whose column is "*". `hint` is "" where there is none.
/// With `principal` also "principal": who, in model::describe()'s words.
nlohmann::json explain_json(const model::Decision& decision, const model::Operation& operation,
                            const std::vector<ShownMask>* columns = nullptr,
                            const model::Principal* principal = nullptr);

/// The same for a terminal, with each cause's words and place; ends in a newline.
std::string explain_text(const model::Decision& decision, const model::Operation& operation,
                         const std::vector<ShownMask>* columns = nullptr, const model::Principal* principal = nullptr);

/// "update public.invoices (amount)": one effect in words, as causes and explain say it.
std::string describe(const model::Effect& effect);

}  // namespace sallyport::policy
