// SPDX-License-Identifier: Apache-2.0
// Code that runs inside a statement without standing in its text: of functions, DO blocks, views, policies. It has
// names of its own, may run with another's rights, and what it does becomes what the statement does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/command.h"

namespace sallyport::sql {

class Query::Inside {
 public:
  /// Whose names the code is written in.
  enum Naming {
    own_names,      ///< of the function, or of whoever calls it
    session_names,  ///< of the session: text that the catalogue printed
  };

  /// Lives while the code is walked; borrows all. `routine` null: code without a function. `reads` gathers the
  /// columns that the code reads. `through`: by way of what it is done, if that is enough to be allowed.
  Inside(Query& query, const Routine* routine, std::vector<ColumnRead>& reads, Naming naming = own_names,
         std::string_view through = {});
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside();

  /// Something in it may have moved what names mean.
  bool moved() const { return moved_; }

  // All: false if the code was not looked into; `why` (static) then says for what reason.

  /// Statements.
  bool run(const std::string& text, const Scope& scope, std::string_view& why);
  /// The body within CREATE FUNCTION … BEGIN ATOMIC … END or RETURN ….
  bool run_definition(const std::string& text, const Scope& scope, std::string_view& why);
  /// WHEN of CREATE TRIGGER.
  bool run_trigger(const std::string& text, const Scope& scope, std::string_view& why);
  /// CREATE RULE on `table`, when it applies.
  bool run_rule(const std::string& text, const FactPtr& table, std::string_view& why);
  /// What EXECUTE does with an expression: its value run as SQL if it is constant, else it is not known.
  bool run_dynamic(const std::string& expression, const Scope& scope, std::string_view& why);
  /// A view's query, of which `through` is the name (empty: it has the rights of whoever asks), and a write to the
  /// one relation that is behind it.
  bool run_view(const std::string& text, const std::string& through, uint8_t commands, bool write,
                std::string_view& why);

 private:
  void enter(const Routine& routine, SearchPath& path);
  template <class Each>
  bool parse(const std::string& text, std::string_view& why, Each each);
  void run(const Node* node, const Scope& scope);
  void run_value(const Node* node, const Scope& scope);
  void run_action(const Node* node, const FactPtr& table);
  void adopt(Statement& inner);

  Query& query_;
  TextState& state_;
  std::vector<ColumnRead>& reads_;
  std::string outer_way_;
  SearchPath outer_path_;
  std::string through_;
  bool planned_ = false;
  bool moved_ = false;
};

}  // namespace sallyport::sql
