// SPDX-License-Identifier: Apache-2.0
// A schema as SQL text (written by hand, or what `pg_dump --schema-only` prints) turned into the facts of a Catalogue,
// so that statements can be analysed without a server. For the command line: no agent's bytes come here. Pure; one
// thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/sql/catalogue.h"

namespace sallyport::sql {

inline constexpr size_t kSchemaTextBytesMax = 64 << 20;

class SchemaText {
 public:
  /// Goes through the statements in order. Those that make nothing that a statement could reach (GRANT, COMMENT,
  /// INSERT, data of a COPY, lines of psql) are passed over; those that do not parse are kept in not_understood().
  /// Fails when the text is too long, is not UTF-8, or holds no definition at all.
  static Result<SchemaText> read(std::string_view text);

  /// Answers every name in `missing`, as a session with search_path public would be told.
  void answer(const Missing& missing, Catalogue& catalogue) const;

  /// "line 12: syntax error", one for each statement left out.
  const std::vector<std::string>& not_understood() const;
  /// Every relation that is made, sorted.
  std::vector<RelationName> relations() const;

  struct State;  ///< private: userspace/sql/schema_state.h

 private:
  explicit SchemaText(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace sallyport::sql
