// SPDX-License-Identifier: Apache-2.0
// Walks SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE and expressions of one statement, and notes what
// they read, write and call. Split by subject over query.cc (SELECT, WITH), from.cc (FROM items),
// columns.cc (column references), expression.cc, functions.cc (calls), types.cc (casts, operators), dml.cc,
// routines.cc (what functions run), behind.cc (what lies behind relations), lineage.cc (where values go), views.cc
// (what views are made of).
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "sql/names.h"
#include "sql/pg.h"
#include "sql/plpgsql.h"
#include "sql/scan.h"
#include "sql/scope.h"

namespace sallyport::sql {

/// A column that a function reads: its result may be made of it. "*": any.
struct ColumnRead {
  FactPtr fact;
  std::string column;
};

/// What a view's columns are made of.
struct ViewColumn {
  std::vector<ColumnRead> from;
  bool traced = false;
  bool plain = false;
};
struct ViewLineage {
  bool known = false;
  std::vector<ViewColumn> columns;
};

/// What all statements of one text share.
struct TextState {
  TextState(std::string_view the_text, const std::vector<LiteralToken>& the_tokens, const Settings& settings,
            const Catalogue& catalogue)
      : text(the_text),
        tokens(the_tokens),
        names(settings, catalogue),
        literals(the_tokens.size()),
        standard_strings(settings.standard_conforming_strings) {}

  std::string_view text;
  const std::vector<LiteralToken>& tokens;
  Names names;
  std::vector<Literal> literals;  ///< one for each token
  size_t links = 0;               ///< columns attached to literals so far
  size_t work = 0;                ///< names compared so far: many columns times many references
  int depth = 0;
  bool too_complex = false;
  bool explaining = false;  ///< inside EXPLAIN without ANALYZE: nothing is made
  bool standard_strings = true;
  int inside = 0;                              ///< functions that are being looked into: their text is not `text`
  size_t routine_bytes = 0;                    ///< code looked into so far
  std::vector<std::vector<ColumnRead>> given;  ///< what texts given to functions read
  /// Relations of the statement behind which was looked, for each command and way.
  std::set<std::tuple<const RelationFact*, uint8_t, std::string>> looked_behind;
  /// Functions of the statement that is walked, each looked into once for each way to it, with what they read.
  std::map<std::pair<const Routine*, std::string>, std::vector<ColumnRead>> looked_into;
  std::map<const RelationFact*, ViewLineage> views;
  size_t doings = 0;                    ///< calls so far that may do more than compute, or tell whether they were made
  std::set<const Routine*> doers;       ///< functions looked into that do
  bool event_triggers_changed = false;  ///< by the text
  std::string way;  ///< the functions around that change whose rights count or how names are looked up
};

/// Counts how deep the walk is; false once it is too deep, and then the whole text is given up.
class Deeper {
 public:
  Deeper(TextState& state, int cost);
  ~Deeper() { state_.depth -= cost_; }
  Deeper(const Deeper&) = delete;
  Deeper& operator=(const Deeper&) = delete;
  explicit operator bool() const { return !state_.too_complex; }

 private:
  TextState& state_;
  int cost_;
};

struct QualifiedName {
  std::string_view schema;
  std::string_view name;
};

/// VALUES columns are column1, column2 …; static text. Beyond those that have a name: "?column?".
std::string_view values_column_name(size_t index);

/// The last two parts of a name list, borrowed from the tree.
QualifiedName qualified_name(const List* list);

/// A function that computes and does nothing else, as far as a superuser declared it so.
bool is_harmless(const Routine& routine);

class Query {
 public:
  Query(TextState& state, Effects& effects) : state_(state), effects_(effects) {}

  /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE or MERGE; anything else is unknown.
  Outputs statement(const Node* node, const Scope* outer, Ctes* ctes);
  /// A stand-alone expression (a default, a check, a parameter) read as part of `statement_class`.
  Lineage expression(const Node* node, const Scope* scope, std::string_view statement_class);

  /// The relation of a RangeVar, with the effect that `statement_class` has on it.
  int relation_effect(const RangeVar* relation, std::string_view statement_class, model::Access access);
  int relation_effect(std::string_view schema, std::string_view name, std::string_view statement_class,
                      model::Access access, bool only = false);
  /// The same, with what lies behind the relation for these RelationFact::Hidden bits.
  void write_target(const RangeVar* relation, std::string_view statement_class, uint8_t commands);
  int copy_target(const RangeVar* relation, model::Access access);
  bool is_kind(const RangeVar* relation, char kind) {
    return state_.names.relation(pg::view(relation->schemaname), pg::view(relation->relname)).fact->kind == kind;
  }
  /// What keeps a relation in order runs, with its owner's rights or (`own`) those of whoever asks.
  void upkeep(const RangeVar* relation, bool own);
  /// What event triggers do, which definitions fire.
  void event_triggers();
  /// The hidden bits of a relation that is made like `model`, whose code counts as run now: what that does not tell.
  uint8_t copied_code(const RangeVar* model, bool triggers);
  uint8_t copied_types();
  /// May values of the type run code that cannot be told yet? What can be told counts as run now.
  bool untold_type(const TypeName* type);
  void domain(const List* name);
  /// Every column of `relation` is touched by effect `effect`.
  void every_column(const RangeVar* relation, int effect);
  /// A scope in which `relation` is the only item (CHECK, index and policy expressions).
  Scope scope_of(const RangeVar* relation, std::string_view statement_class);
  void add_item(Scope& scope, const RangeVar* relation, std::string_view statement_class, std::string_view alias,
                bool silent);
  /// The effect of making a relation; later statements of the text know it.
  void create_relation(const RangeVar* relation, char kind, bool if_not_exists, std::vector<std::string> columns,
                       uint8_t hidden = 0);
  void type(const TypeName* type);
  void type(const TypeName* type, Lineage& reads);
  Lineage function(std::string_view schema, std::string_view name, std::string_view verb,
                   const FuncCall* call = nullptr);
  /// DO: code without a function.
  void code_block(std::string_view language, std::string_view code);
  /// SET and set_config alike: notes the setting and what it moves.
  void setting(std::string_view name, std::string_view statement_class, std::string_view value = {});
  /// The statement's result is `outputs`.
  void publish(const Outputs& outputs);
  /// The columns of a relation, or those of them that are named. Reads nothing.
  Outputs relation_outputs(const RangeVar* relation, const List* columns, std::string_view statement_class);
  /// A column of the first item, borrowed with `name`. Reads nothing.
  Lineage column_lineage(const Scope& scope, std::string_view name) const;
  /// Columns that decide something, columns whose values leave (Statement::tested, stored).
  void test(const Lineage& lineage) { tested_.append_columns(lineage); }
  void store(const Lineage& lineage) { stored_.append_columns(lineage); }
  /// `lineage` goes into a column; what was in the same column before does not leave it.
  void store(const Lineage& lineage, int use, std::string_view column);
  /// Gives the statement what was tested and stored. Once, at its end.
  void finish_lineage();
  void link(const Lineage& lineage);
  void link_literals(const std::vector<uint32_t>& literals, int use, std::string_view column);
  void link_literal(uint32_t literal, std::string column);
  int use(const Resolved& resolved, std::string_view statement_class, bool only, bool silent);
  const FactPtr& fact_of(int use) const { return uses_[use].fact; }

 private:
  // query.cc
  Outputs select(const SelectStmt* select, const Scope* outer, Ctes* ctes);
  Outputs leaf(const SelectStmt* select, const Scope* outer, Ctes* ctes);
  Outputs values(const SelectStmt* select, const Scope* outer, Ctes* ctes);
  void set_operation_order(const SelectStmt* select, const Outputs& outputs, const Scope* outer);
  static void merge(Outputs& outputs, const Outputs& below);
  void with(const WithClause* clause, const Scope* outer, Ctes& ctes);
  void make_cte(Ctes& ctes, size_t index);
  Outputs recursive_cte(const CommonTableExpr* cte, const Scope* outer, Ctes& ctes, size_t index);
  Outputs recursive_union(const SelectStmt* body, const CommonTableExpr* cte, const Scope* outer, Ctes* inner,
                          Ctes::Entry& entry);
  Outputs targets(const List* list, const Scope& scope, bool returning);
  bool star_target(const ResTarget* target, const Scope& scope, Outputs& outputs);
  void clause(const Node* node, const Scope& scope, const Outputs& outputs, bool output_first);
  void clauses(const List* list, const Scope& scope, const Outputs& outputs, bool output_first);
  void into(const IntoClause* clause);
  static std::string_view output_name(const Node* node, int depth);

  // from.cc
  void from(const List* list, Scope& scope, Ctes* ctes);
  void from_item(const Node* node, Scope& scope, Ctes* ctes);
  void from_relation(const RangeVar* relation, Scope& scope, Ctes* ctes);
  void from_subselect(const RangeSubselect* range, Scope& scope, Ctes* ctes);
  void from_function(const RangeFunction* range, Scope& scope);
  void from_table_function(const RangeTableFunc* range, Scope& scope);
  void from_sample(const RangeTableSample* sample, Scope& scope, Ctes* ctes);
  void from_join(const JoinExpr* join, Scope& scope, Ctes* ctes);
  void join_columns(const JoinExpr* join, Scope& scope, size_t begin, size_t middle);
  void join_alias(const JoinExpr* join, Scope& scope, size_t begin);
  void derived(Scope& scope, const Alias* alias, std::shared_ptr<const Outputs> outputs);
  static std::shared_ptr<const Outputs> renamed(const Outputs& outputs, const List* names);

  // columns.cc
  enum class Has { no, maybe, yes };
  Has has(const Item& item, std::string_view column) const;
  void spend(size_t work) const;
  void touch(const Item& item, std::string_view column, Lineage& lineage);
  void touch_origins(const Lineage& from, Lineage& lineage);
  void star(const Item& item, Outputs& outputs);
  void whole_row(const Item& item, Lineage& lineage);
  void everything(const Scope* scope, Lineage& lineage);
  int read_effect(int use);
  void column_ref(const ColumnRef* ref, const Scope* scope, Lineage& lineage);
  void unqualified(std::string_view name, const Scope* scope, Lineage& lineage);
  void qualified(std::string_view schema, std::string_view item, std::string_view column, const Scope* scope,
                 Lineage& lineage);
  const Item* find_item(std::string_view schema, std::string_view name, const Scope* scope) const;
  bool has_known_column(std::string_view name, const Scope* scope) const;

  // expression.cc
  void expr(const Node* node, const Scope* scope, Lineage& group);
  void exprs(const List* list, const Scope* scope, Lineage& group);
  void predicate(const Node* node, const Scope* scope);
  Lineage group(const Node* node, const Scope* scope);
  void literal(int location, bool parameter, Lineage& group);
  void guarded(const List* parts, const Scope* scope, Lineage& group);
  void argument(const Node* node, bool runs_code, const Scope* scope, Lineage& group);
  void operation(const A_Expr* operation, const Scope* scope, Lineage& group);
  void sublink(const SubLink* link, const Scope* scope, Lineage& group);
  void indirection(const A_Indirection* node, const Scope* scope, Lineage& group);
  void window(const WindowDef* window, const Scope* scope, Lineage& group);
  void other_expr(const Node* node, const Scope* scope, Lineage& group);

  // lineage.cc
  std::vector<ColumnOrigin> origins(const Lineage& lineage) const;
  void close_recursion(int mark, Outputs& outputs);
  void search_and_cycle(const CommonTableExpr* cte, Outputs& outputs);
  void call_lineage(const FuncCall* call, const Scope* scope, Lineage& group);
  /// After the parts of AND, OR, COALESCE: what was done before may have decided whether something is done.
  void guard(size_t doings_before, const Lineage& parts) {
    if (state_.doings != doings_before) test(parts);
  }

  // views.cc
  bool walk_view(const std::string& definition, ViewLineage& view);
  const ViewLineage& look_into_view(const FactPtr& fact);
  /// Null: not a view, or nobody can tell.
  std::shared_ptr<const Outputs> view_outputs(int use);

  // functions.cc
  void call(const FuncCall* call, const Scope* scope, Lineage& group);
  void resolve_call(const FuncCall* call, Lineage& group);
  void builtin_call(std::string_view name, const FuncCall* call, Lineage& reads);
  void unknown_function(std::string object, std::string because);
  void sequence_call(std::string_view name, const Node* argument, model::Access access);
  void set_config_call(const FuncCall* call);
  /// (value).name may be a call of a function.
  void field_or_function(std::string_view name, const Lineage& value, Lineage& group);
  void secret_arguments(const FuncCall* call, std::string_view name);

  // builtin_calls.cc
  bool special_call(std::string_view name, const FuncCall* call, Lineage& reads);
  bool file_call(std::string_view name, const pg::Nodes& arguments);
  bool text_call(std::string_view name, const pg::Nodes& arguments, Lineage& reads);
  bool library_call(const Routine& routine, const FuncCall* call, Lineage& reads);
  /// Appends the text of a constant, or of constants put together with ||, as the server takes it; false: computed.
  bool fold_text(const Node* node, std::string& text, int depth = 0);
  bool fold_relation(const Node* node, std::string& text);
  bool keeps_text(const TypeName* type);
  bool is_plain(const TypeName* type, std::string_view wanted);
  bool joins_text(const A_Expr* operation);

  // types.cc
  void operator_name(const List* name, Lineage& reads);
  void named_operator(std::string_view schema, std::string_view name, Lineage& reads);
  void named_type(std::string_view schema, std::string_view name, Lineage& reads);
  void quiet_function(const RelationName& name, Lineage& reads);
  void fired_function(const RelationName& name, Lineage& reads);
  void reach_function(const RelationName& name, bool calls, Lineage& reads);

  // behind.cc
  uint8_t behind(const FactPtr& fact, uint8_t commands, model::Access access);
  void runs(const FactPtr& fact, const BehindFact::Runs& runs, uint8_t commands);
  void unasked(const FactPtr& fact, const RelationName& function);
  void rule(const FactPtr& fact, const BehindFact::Runs& runs, const std::string& who);
  void view(const FactPtr& fact, const BehindFact& behind, uint8_t commands, model::Access access);
  bool foreign(const BehindFact& behind, model::Access access);
  void cascade(const FactPtr& fact, const BehindFact::Cascade& cascade, uint8_t commands);

  // routines.cc
  /// Runs a function outside pg_catalog; its call is an effect of the caller's.
  void run(const Routine& routine, const FuncCall* call, Lineage& reads);
  void look_into(const Routine& routine, Lineage& reads);
  class Inside;
  bool run_routine(const Routine& routine, std::vector<ColumnRead>& reads, std::string_view& why);
  bool run_plpgsql(Inside& inside, std::string_view source, std::string_view name, std::vector<std::string> variables,
                   std::string_view& why);
  bool run_pieces(Inside& inside, const std::vector<PlpgsqlPiece>& pieces, const Scope& scope, std::string_view& why);
  /// `stored`: its value goes into a column. `through`: by way of what it is done, if that is enough to be allowed.
  void run_expression(const std::string& text, const Scope& scope, const std::string& who, bool stored = false,
                      std::string_view through = {});
  void run_given(const std::string& who, const std::string& text, Lineage& reads);
  void add_reads(const std::vector<ColumnRead>& from, Lineage& reads);
  static Scope code_scope(std::string_view name, const std::vector<std::string>& variables);

  // dml.cc
  Outputs insert(const InsertStmt* insert, const Scope* outer, Ctes* ctes);
  Outputs update(const UpdateStmt* update, const Scope* outer, Ctes* ctes);
  Outputs remove(const DeleteStmt* remove, const Scope* outer, Ctes* ctes);
  Outputs merge(const MergeStmt* merge, const Scope* outer, Ctes* ctes);
  void insert_columns(const InsertStmt* insert, int use, int effect, const Outputs* source, const Scope& scope);
  void on_conflict(const OnConflictClause* clause, Scope& scope, int use, int effect);
  void assignments(const List* targets, const Scope& scope, int use, int effect);
  void merge_when(const MergeWhenClause* when, const Scope& scope, int use, int effect);
  int target(const RangeVar* relation, std::string_view statement_class, Scope& scope, int& effect, uint8_t commands);
  void hidden(const FactPtr& fact, uint8_t commands, model::Access access);

  TextState& state_;
  Effects& effects_;
  std::vector<Use> uses_;
  std::string_view class_ = "select";  // of the innermost statement being walked
  bool top_ = true;                    // the next query is the statement's own
  bool in_parts_ = false;              // what a function calls unasked is walked
  bool plain_touch_ = false;           // the column touched last is one of a relation, as it is
  Lineage tested_;
  Lineage stored_;
};

}  // namespace sallyport::sql
