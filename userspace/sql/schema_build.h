// SPDX-License-Identifier: Apache-2.0
// Statement after statement of a schema, into SchemaText::State.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sql/pg.h"
#include "sql/schema_state.h"

namespace sallyport::sql {

/// The calls in an expression.
struct ExpressionCalls {
  bool any = false;
  bool foreign = false;                ///< of what is not known to be harmless: all but pure built-in ones and nextval
  std::vector<std::string> sequences;  ///< constants given to nextval
};
ExpressionCalls calls_in(const Node* expression);

class SchemaBuilder {
 public:
  explicit SchemaBuilder(SchemaText::State& state) : state_(state) {}

  /// `text` is what `node` was parsed from, and lives as long as the call.
  void apply(const Node* node, std::string_view text);

 private:
  using Relation = SchemaText::State::Relation;

  bool relation_statement(const Node* node);
  bool code_statement(const Node* node);
  bool type_statement(const Node* node);
  void change_statement(const Node* node);

  Relation& make(const RangeVar* range, char kind);
  void create_table(const CreateStmt* create, char kind);
  void create_index(const IndexStmt* create);
  void create_sequence(const RelationName& name);
  void add_column(const RelationName& table, const ColumnDef* column);
  void add_constraint(const RelationName& table, std::string_view column, const Constraint* constraint);
  void add_default(const RelationName& table, const Node* expression);
  void add_identity(const RelationName& table, std::string_view column, const List* options);
  void inherit(const RelationName& child, const RangeVar* parent);
  void alter_table(const AlterTableStmt* alter);
  void alter_column(const RelationName& table, const AlterTableCmd* command);
  void rename(const RenameStmt* rename);
  void move_to_schema(const AlterObjectSchemaStmt* move);
  void drop(const DropStmt* drop);
  void create_function(const CreateFunctionStmt* create);
  void function_option(const DefElem* option, Routine& routine);
  void parameters(const List* list, Routine& routine);
  void define(const DefineStmt* define);
  void create_domain(const CreateDomainStmt* create);
  void create_cast(const CreateCastStmt* create);
  void hide(const RelationName& table, uint8_t bits);
  bool runs_functions(const Node* expression) const;
  void search_path(const VariableSetStmt* set);

  RelationName name_of(const RangeVar* range) const;
  RelationName name_of(const List* names) const;
  RelationName type_of(const TypeName* type) const;
  /// Functions that these parts of a definition name; those of pg_catalog only if `builtin_too`.
  std::vector<RelationName> functions_in(const List* definition, std::initializer_list<std::string_view> keys,
                                         bool builtin_too = false) const;
  void add_sort_operator(const List* definition, Routine& aggregate) const;

  SchemaText::State& state_;
  std::string_view text_;
  std::string schema_ = "public";  ///< where unqualified names are made
};

}  // namespace sallyport::sql
