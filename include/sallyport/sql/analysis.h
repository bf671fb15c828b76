// SPDX-License-Identifier: Apache-2.0
// PostgreSQL statements -> what they do. Judged is the tree of PostgreSQL's own parser, never the text;
// what cannot be understood is an effect of class "unknown". Pure functions: no clock, file, socket or
// thread; any thread may call, each call stands alone. No statement of a peer ends the process or takes
// unbounded time (limits::kSql*). docs/sql.md lists the classes and what each statement gives.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/model/copy.h"
#include "sallyport/model/effect.h"
#include "sallyport/sql/catalogue.h"

namespace sallyport::sql {

/// What of the session's state the lexer and parser depend on.
struct Settings {
  bool standard_conforming_strings = true;
  int server_major = 15;
  /// current_schema(): where unqualified names are created. Empty: not known, such a CREATE is then
  /// `unknown` too. Ignored with Catalogue::assume_plain ("public").
  std::string creation_schema;
  /// A statement that moves meaning has run in the transaction that is open now: its end, in this text,
  /// moves names again (SET LOCAL, ON COMMIT DROP).
  bool transaction_moved = true;
};

/// A constant or parameter in the text.
struct Literal {
  uint32_t offset = 0;               ///< bytes, in the analysed text
  uint32_t length = 0;               ///< bytes, quotes, prefix and continuation lines included
  int parameter = 0;                 ///< 0: a literal; n: $n
  std::vector<std::string> columns;  ///< "schema.relation.column" it is compared with or assigned to
  bool password = false;             ///< a secret whatever it is compared with: never record it
};

/// A column that a value is made of.
struct ColumnOrigin {
  std::shared_ptr<const RelationFact> relation;  ///< never null
  std::string column;                            ///< "*": any of its columns, the whole row
};

/// One result column, and what it is made of.
struct Output {
  std::string name;
  std::vector<ColumnOrigin> from;  ///< sorted by name, each once; empty: of constants, counts of rows, the clock …
  bool traced = true;              ///< false: also of something that cannot be told
  bool plain = false;              ///< the value of the one column in `from`, as it is
};

/// COPY … TO STDOUT as it was asked for, defaults filled in (PostgreSQL: COPY; ProcessCopyOptions).
struct CopyOut {
  model::CopyLayout layout;
  bool force_quote_all = false;
  std::vector<std::string> force_quote;  ///< names of columns
  std::string encoding;                  ///< as written; empty: the client_encoding
  /// A query in the text's own words, or made of names, that gives the columns of the COPY. Empty: not known.
  std::string query;
  /// Why the data cannot be taken apart, static. Empty: they can.
  std::string_view obscure;
};

/// How a statement changes the session's set of prepared statements and cursors. When it succeeded,
/// the caller keeps its Statement under `name` and shows it through SessionNames.
struct NameChange {
  enum Kind : uint8_t { prepare, deallocate, deallocate_all, declare_cursor, close_cursor, close_all_cursors };
  Kind kind = prepare;
  std::string name;
};

/// One statement of a text.
struct Statement {
  enum class Copy : uint8_t { none, in, out };  ///< only COPY FROM STDIN and COPY TO STDOUT

  std::string statement_class;  ///< one of statement_classes()
  uint32_t offset = 0;          ///< of its first token, bytes
  uint32_t length = 0;          ///< bytes, without the semicolon
  /// One for each class, object and access; empty only if the statement touches nothing (SELECT 1).
  /// PREPARE and DECLARE carry those of the statement inside, EXECUTE and FETCH those of what they run.
  std::vector<model::Effect> effects;
  /// Every relation read or written, each once; those that EXECUTE or FETCH run included.
  std::vector<std::shared_ptr<const RelationFact>> relations;
  bool transaction_control = false;
  bool leaves_failed_transaction = false;  ///< COMMIT END ROLLBACK ABORT ROLLBACK TO PREPARE TRANSACTION
  /// Afterwards names, settings, role or prepared statements may mean something else: DDL, SET
  /// search_path or role, DISCARD, DO, temporary objects, ROLLBACK, any call that is not known harmless.
  /// The end of a transaction (COMMIT too: SET LOCAL, ON COMMIT DROP) undoes moves made in it: a caller
  /// that saw one in the transaction counts its end as another.
  bool moves_meaning = false;
  bool moves_lexing = false;  ///< may change standard_conforming_strings or client_encoding
  Copy copy = Copy::none;
  std::shared_ptr<const CopyOut> copy_out;  ///< not null for Copy::out
  std::optional<NameChange> name_change;
  std::vector<Literal> literals;  ///< by offset
  bool explain_only = false;      ///< EXPLAIN without ANALYZE: planned, never run
  bool computed_output = false;   ///< has result columns that are no plain columns; advisory

  /// Lineage (docs/sql.md). A superset: a column that is missing here has no way to that place. What views,
  /// functions and prepared statements read counts as read here; what an effect of class unknown hides does not.
  /// The result columns, by position; of PREPARE and DECLARE those that EXECUTE and FETCH will give. Unless
  /// `outputs_known` there is one entry, which stands for each of an unknown number.
  std::vector<Output> outputs;
  bool outputs_known = true;
  /// Columns whose values may leave otherwise than as a result: into a table, a setting, a sequence, a lock, a
  /// message, a file, the argument of a function that is not known pure; or from under their name (ALTER TABLE).
  /// A value that stays in its own column (SET a = lower(a)) is not counted.
  std::vector<ColumnOrigin> stored;
  /// Columns that decide which rows come, how many, in what order, or what else happens: predicates, joins,
  /// grouping, ordering, DISTINCT, LIMIT, CASE conditions, arguments of functions that return sets …
  std::vector<ColumnOrigin> tested;
};

struct Analysis {
  std::vector<Statement> statements;  ///< in order; empty for a text of comments only
  bool parsed = false;                ///< false: `statements` is one of class unknown
  std::string parse_error;            ///< why not, one line without text of the statement's literals
  std::string shape;                  ///< the text, literals replaced by $n, comments gone, one blank between tokens
};

/// What the session has prepared and declared. Answers are borrowed for the length of the call; nullptr:
/// no such name.
class SessionNames {
 public:
  virtual ~SessionNames() = default;
  virtual const Statement* prepared(std::string_view name) const = 0;
  virtual const Statement* cursor(std::string_view name) const = 0;
};

/// A session that has prepared nothing.
class NoSessionNames final : public SessionNames {
 public:
  const Statement* prepared(std::string_view) const override { return nullptr; }
  const Statement* cursor(std::string_view) const override { return nullptr; }
};

/// What `utf8_text` does, statement by statement, or which facts are lacking for an answer. Later
/// statements see the PREPARE, DECLARE and CREATE of earlier ones; names that an earlier statement may
/// have moved are `unknown`. The text need not be valid: then the answer is one unknown statement.
std::variant<Analysis, Missing> analyse(std::string_view utf8_text, const Settings& settings,
                                        const Catalogue& catalogue, const SessionNames& names);

/// Every class that an Effect or Statement can have, sorted: the words of a policy's `statements:`.
const std::vector<std::string_view>& statement_classes();

/// A function of pg_catalog that reads no table, file or session of others and changes nothing.
bool is_builtin_pure_function(std::string_view name);

/// The text as it may be recorded: `replace` is asked for every literal (not for $n) with its bytes and
/// answers what to write instead, or nothing to keep it. Password literals become '<secret>' unasked.
/// All else is kept, comments too. In a text that was not understood every string counts as a password.
std::string redact(std::string_view text, const std::vector<Statement>& statements,
                   const std::function<std::optional<std::string>(const Literal&, std::string_view)>& replace);

}  // namespace sallyport::sql
