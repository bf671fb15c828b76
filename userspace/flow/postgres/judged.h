// SPDX-License-Identifier: Apache-2.0
// A text as it was understood and judged, shared by every message that says the same: the statements of an agent
// repeat, and what is known of one needs to be worked out once while names, policy and hour stay what they are.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
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

/// A plain number that a text compares with something, at a place of bytes.
struct Number {
  uint32_t offset = 0;
  uint32_t length = 0;
  bool operator==(const Number&) const = default;
};

struct Judged {
  std::shared_ptr<const model::Operation> operation;  ///< text in UTF-8 and effects, as policy is asked about them
  std::shared_ptr<const sql::Analysis> analysis;      ///< of the text, by the facts of `meaning`
  bool readable = true;                               ///< false: not of its encoding, and unknown for ever
  std::vector<Number> numbers;                        ///< of the text, once it is kept
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
  bool recorded_text = false;  ///< and its entry has this very text

  /// Of the last result, and what `decision` makes of its rows.
  std::shared_ptr<const ResultShape> shape;
  std::shared_ptr<const RowMasking> masking;
  /// What the COPYs out give, by statement: asked of the server under `meaning`. Null, or none: not known.
  std::vector<std::shared_ptr<const ResultShape>> copies;

  const model::Sql& sql() const { return std::get<model::Sql>(operation->body); }
  const std::string& text() const { return sql().text; }
};

/// The texts used last, at most limits::kPgJudgedMax; long ones (kPgJudgedTextBytesMax) are not kept. A text that
/// differs from a known one only in numbers compared with something (`WHERE id = 7`) does the same, as far as anybody
/// can tell: then the known one serves, if it is a plain reading or changing of rows. docs/performance.md has why.
class JudgedTexts {
 public:
  /// Null: not known. With `alike`, another text may be found whose numbers are others: see numbers().
  std::shared_ptr<Judged> find(std::string_view text, bool alike);
  void keep(const std::shared_ptr<Judged>& judged);
  /// Of the text that was looked for last.
  const std::vector<Number>& numbers() const { return numbers_; }

 private:
  struct Entry {
    std::string outline;  ///< the text without its numbers: the key
    bool stands_for_alike = false;
    std::shared_ptr<Judged> judged;
  };
  using Order = std::list<Entry>;  ///< used last first
  void draw_outline(std::string_view text);
  void drop(Order::iterator place);

  Order order_;
  std::unordered_map<std::string_view, Order::iterator> by_outline_;
  std::string outline_;  ///< of the text looked for last
  std::vector<Number> numbers_;
};

/// sql::redact() of a text for which find() gave another, `judged`; `numbers` are its own.
std::string redact_alike(
    std::string_view text, const std::vector<Number>& numbers, const Judged& judged,
    const std::function<std::optional<std::string>(const sql::Literal&, std::string_view)>& replace);

}  // namespace sallyport::flow
