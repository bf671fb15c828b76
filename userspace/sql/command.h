// SPDX-License-Identifier: Apache-2.0
// One statement of a text: which command it is, its effects, and what it changes for those after it.
// command.cc: session, transaction, COPY, EXPLAIN, prepared statements; define.cc: what makes and
// changes objects; objects.cc: how objects are named.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "sql/query.h"

namespace sallyport::sql {

/// PREPARE and DECLARE of this text, before the session's own.
struct LocalNames {
  struct Kind {
    std::map<std::string, std::optional<size_t>, std::less<>> names;  ///< index of the statement; none: closed
    bool all_closed = false;
  };
  Kind prepared;
  Kind cursors;
};

/// What a Node that stands for an object names.
struct ObjectRef {
  model::ObjectKind kind = model::ObjectKind::other;
  std::string object;
  bool relation = false;  ///< then schema and name are set, and the catalogue has the last word
  std::string_view schema;
  std::string_view name;
  std::string_view column;
};

ObjectRef describe_object(ObjectType type, const Node* object);
/// "table", "event trigger" …
std::string_view object_word(ObjectType type);
std::string role_name(const RoleSpec* role);

class Command {
 public:
  /// `outer`: names that the statement sees beside its own, those of a function's parameters and variables.
  Command(TextState& state, const SessionNames& session, LocalNames& local, const std::vector<Statement>& earlier,
          Statement& out, const Scope* outer = nullptr)
      : state_(state),
        session_(session),
        local_(local),
        earlier_(earlier),
        out_(out),
        effects_(out),
        query_(state, effects_),
        outer_(outer) {}

  /// Fills the Statement but for its place and literals. False: give up on the text.
  bool run(const Node* node);
  /// The same for a statement inside a function: it ends nothing. `planned`: it is not run.
  bool run_inside(const Node* node, bool planned);

 private:
  void command(const Node* node);
  bool session_command(const Node* node);
  bool maintenance_command(const Node* node);
  bool upkeep_command(const Node* node);
  bool define_command(const Node* node);
  bool define_type(const Node* node);
  bool define_rare(const Node* node);
  bool define_relation(const Node* node);
  bool define_code(const Node* node);
  bool define_global(const Node* node);
  bool alter_command(const Node* node);
  bool alter_type(const Node* node);
  bool alter_rare(const Node* node);
  void alter_place(const Node* node);

  void query(const Node* node);
  void do_block(const DoStmt* block);
  void explain(const ExplainStmt* explain);
  void copy(const CopyStmt* copy);
  // command_lineage.cc
  void copied(const CopyStmt* copy);
  void explained(bool analyze);
  void store_outputs();
  void unknown_outputs();
  void definition_lineage(const Node* node);
  void moved(const RangeVar* relation, std::string_view column);
  void moved_schema(std::string_view schema);
  void altered(const AlterTableCmd* command, const RangeVar* relation);
  void constrained(const Constraint* constraint, const RangeVar* relation, const Scope& scope);
  void indexed(const IndexStmt* index);
  void prepare(const PrepareStmt* prepare);
  void execute(const ExecuteStmt* execute);
  void declare(const DeclareCursorStmt* declare);
  void fetch(const FetchStmt* fetch);
  void close(NameChange::Kind kind, std::string_view name);
  void adopt(const Statement* statement, std::string_view word, std::string_view name);
  const Statement* find(const LocalNames::Kind& kind, std::string_view name, bool prepared) const;
  void transaction(const TransactionStmt* transaction);
  void set(const VariableSetStmt* set);
  void discard(const DiscardStmt* discard);
  void create_table_as(const CreateTableAsStmt* create);

  void create_table(const CreateStmt* create);
  void create_view(const ViewStmt* view);
  void create_schema(const CreateSchemaStmt* create);
  void create_index(const IndexStmt* index);
  void create_function(const CreateFunctionStmt* create);
  void create_trigger(const CreateTrigStmt* create);
  void create_rule(const RuleStmt* rule);
  void alter_table(const AlterTableStmt* alter);
  void alter_table_command(const AlterTableCmd* command, const Scope& scope, const RangeVar* relation);
  void drop(const DropStmt* drop);
  void rename(const RenameStmt* rename);
  void grant(const GrantStmt* grant);
  void grant_role(const GrantRoleStmt* grant);
  void role(const Node* node);
  void publication_objects(const List* objects, std::string_view statement_class);
  void foreign(const Node* node);

  /// Parts of definitions that hold expressions and types: ColumnDef, Constraint, IndexElem …
  void definition(const Node* node, const Scope* scope);
  void definitions(const List* list, const Scope* scope);
  void constraint(const Constraint* constraint, const Scope* scope);
  void secret_options(const List* options, bool all);

  int object(std::string_view statement_class, model::ObjectKind kind, std::string name,
             model::Access access = model::Access::write);
  void object(std::string_view statement_class, ObjectType type, const Node* node);
  void relation(std::string_view statement_class, const RangeVar* relation,
                model::Access access = model::Access::write);
  /// DDL on something else than relations: names and calls may mean something else afterwards.
  void moves_names();

  TextState& state_;
  const SessionNames& session_;
  LocalNames& local_;
  const std::vector<Statement>& earlier_;
  Statement& out_;
  Effects effects_;
  Query query_;
  const Scope* outer_;
};

}  // namespace sallyport::sql
