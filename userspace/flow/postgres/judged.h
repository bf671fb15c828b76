// SPDX-License-Identifier: Apache-2.0
// A text as it was understood and judged, shared by every message that says the same: the statements of an agent
// repeat, and what is known of one needs to be worked out once while names, policy and hour stay what they are.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "flow/postgres/row_masking.h"
#include "sallyport/model/decision.h"
#include "sallyport/model/operation.h"
#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/sql/analysis.h"

namespace sallyport::flow {

/// What a RowDescription said.
struct ResultShape {
  std::string message;                  ///< its body, to know it again by
  std::vector<postgres::Field> fields;  ///< without their names
  std::vector<std::string> columns;     ///< the names
};

struct Judged {
  std::shared_ptr<const model::Operation> operation;  ///< text in UTF-8 and effects, as policy is asked about them
  std::shared_ptr<const sql::Analysis> analysis;      ///< of the text, by the facts of `meaning`
  bool readable = true;                               ///< false: not of its encoding, and unknown for ever
  uint64_t meaning = 0;                               ///< the session's meaning epoch then
  bool transaction_moved = false;                     ///< sql::Settings then
  bool standard_conforming_strings = true;            ///< likewise

  /// Null: not decided yet. Good until `decision->expires_wall_ns`, under the facts of `facts_epoch`.
  std::shared_ptr<const model::Decision> decision;
  uint64_t facts_epoch = 0;
  bool tainted = false;  ///< errors and computed columns may carry values that `decision` masks

  /// The operation whose entry in the record says all this. 0: none yet.
  model::OperationId recorded_as = 0;
  int64_t recorded_monotonic_ns = 0;

  /// Of the last result, and what `decision` makes of its rows.
  std::shared_ptr<const ResultShape> shape;
  std::shared_ptr<const RowMasking> masking;

  const model::Sql& sql() const { return std::get<model::Sql>(operation->body); }
  const std::string& text() const { return sql().text; }
};

/// The texts used last, at most limits::kPgJudgedMax; long ones (kPgJudgedTextBytesMax) are not kept.
class JudgedTexts {
 public:
  /// Null: not known.
  std::shared_ptr<Judged> find(std::string_view text);
  void keep(const std::shared_ptr<Judged>& judged);

 private:
  using Order = std::list<std::shared_ptr<Judged>>;  ///< used last first
  void drop(Order::iterator place);
  Order order_;
  std::unordered_map<std::string_view, Order::iterator> by_text_;
};

}  // namespace sallyport::flow
