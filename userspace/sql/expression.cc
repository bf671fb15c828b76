// SPDX-License-Identifier: Apache-2.0
// Expressions. One Lineage collects the columns and literals of a predicate, a result column or an
// assignment; link() then tells each literal which columns it stands beside.
#include <algorithm>
#include <string_view>
#include <utility>

#include "sallyport/base/limits.h"
#include "sql/query.h"

namespace sallyport::sql {
namespace {

constexpr size_t kLinksMax = 20'000;  // columns attached to literals in one text; beyond: a secret

}  // namespace

Deeper::Deeper(TextState& state, int cost) : state_(state), cost_(cost) {
  state_.depth += cost_;
  if (state_.depth > static_cast<int>(limits::kSqlNestingMax)) state_.too_complex = true;
}

void Query::link_literal(uint32_t index, std::string column) {
  Literal& literal = state_.literals[index];
  if (++state_.links > kLinksMax) {
    literal.password = literal.parameter == 0;
    return;
  }
  if (std::find(literal.columns.begin(), literal.columns.end(), column) == literal.columns.end())
    literal.columns.push_back(std::move(column));
}

void Query::link_literals(const std::vector<uint32_t>& literals, int use, std::string_view column) {
  if (literals.empty() || uses_[use].fact->name.empty()) return;
  std::string name = object_name(*uses_[use].fact);
  name.append(".").append(column);
  for (uint32_t literal : literals) link_literal(literal, name);
}

void Query::link(const Lineage& lineage) {
  if (lineage.literals.empty()) return;
  if (state_.links + lineage.literals.size() * lineage.columns.size() > kLinksMax) {
    for (uint32_t index : lineage.literals) {
      Literal& literal = state_.literals[index];
      literal.password |= literal.parameter == 0;
    }
    return;
  }
  for (const Origin& origin : lineage.columns) link_literals(lineage.literals, origin.use, origin.column);
}

Lineage Query::group(const Node* node, const Scope* scope) {
  Lineage lineage;
  expr(node, scope, lineage);
  link(lineage);
  return lineage;
}

Lineage Query::expression(const Node* node, const Scope* scope, std::string_view statement_class) {
  std::string_view outer_class = std::exchange(class_, statement_class);
  Lineage lineage = group(node, scope);
  class_ = outer_class;
  return lineage;
}

void Query::predicate(const Node* node, const Scope* scope) {
  const auto* boolean = pg::as<BoolExpr>(node);
  if (boolean == nullptr) return test(group(node, scope));
  Deeper deeper(state_, 1);
  if (!deeper) return;
  for (const Node* argument : pg::Nodes(boolean->args)) predicate(argument, scope);
}

// `location` is a token's offset, or that of the minus sign before a number.
void Query::literal(int location, bool parameter, Lineage& group) {
  if (location < 0 || state_.inside > 0) return;
  auto offset = static_cast<uint32_t>(location);
  const std::vector<LiteralToken>& tokens = state_.tokens;
  auto found = std::lower_bound(tokens.begin(), tokens.end(), offset,
                                [](const LiteralToken& token, uint32_t at) { return token.offset < at; });
  if (found == tokens.end() || (found->parameter != 0) != parameter) return;
  if (found->offset != offset && state_.text[offset] != '-') return;
  group.literals.push_back(static_cast<uint32_t>(found - tokens.begin()));
}

void Query::exprs(const List* list, const Scope* scope, Lineage& group) {
  for (const Node* node : pg::Nodes(list)) expr(node, scope, group);
}

void Query::expr(const Node* node, const Scope* scope, Lineage& group) {
  if (node == nullptr) return;
  Deeper deeper(state_, 1);
  if (!deeper) return;
  switch (nodeTag(node)) {
    case T_A_Const: {
      const auto* constant = reinterpret_cast<const A_Const*>(node);
      if (!constant->isnull && constant->val.node.type != T_Boolean) literal(constant->location, false, group);
      return;
    }
    case T_ParamRef:
      return literal(reinterpret_cast<const ParamRef*>(node)->location, true, group);
    case T_ColumnRef:
      return column_ref(reinterpret_cast<const ColumnRef*>(node), scope, group);
    case T_A_Expr:
      return operation(reinterpret_cast<const A_Expr*>(node), scope, group);
    case T_BoolExpr:
      return guarded(reinterpret_cast<const BoolExpr*>(node)->args, scope, group);
    case T_NullTest:
      return expr(reinterpret_cast<const Node*>(reinterpret_cast<const NullTest*>(node)->arg), scope, group);
    case T_BooleanTest:
      return expr(reinterpret_cast<const Node*>(reinterpret_cast<const BooleanTest*>(node)->arg), scope, group);
    case T_FuncCall:
      return call(reinterpret_cast<const FuncCall*>(node), scope, group);
    case T_SubLink:
      return sublink(reinterpret_cast<const SubLink*>(node), scope, group);
    case T_TypeCast: {
      const auto* cast = reinterpret_cast<const TypeCast*>(node);
      size_t doings = state_.doings;
      type(cast->typeName, group);
      return argument(cast->arg, state_.doings != doings, scope, group);
    }
    case T_A_Indirection:
      return indirection(reinterpret_cast<const A_Indirection*>(node), scope, group);
    case T_List:
      return exprs(reinterpret_cast<const List*>(node), scope, group);
    default:
      return other_expr(node, scope, group);
  }
}

void Query::other_expr(const Node* node, const Scope* scope, Lineage& group) {
  auto walk = [&](const void* part) { expr(static_cast<const Node*>(part), scope, group); };
  switch (nodeTag(node)) {
    case T_CaseExpr: {
      const auto* choice = reinterpret_cast<const CaseExpr*>(node);
      Lineage chosen;
      expr(reinterpret_cast<const Node*>(choice->arg), scope, chosen);
      test(chosen);
      group.append(chosen);
      if (choice->arg != nullptr) named_operator({}, "=", group);
      exprs(choice->args, scope, group);
      return walk(choice->defresult);
    }
    case T_CaseWhen: {
      Lineage condition;
      expr(reinterpret_cast<const Node*>(reinterpret_cast<const CaseWhen*>(node)->expr), scope, condition);
      test(condition);
      group.append(condition);
      return walk(reinterpret_cast<const CaseWhen*>(node)->result);
    }
    case T_CoalesceExpr:
      return guarded(reinterpret_cast<const CoalesceExpr*>(node)->args, scope, group);
    case T_MinMaxExpr:
      return exprs(reinterpret_cast<const MinMaxExpr*>(node)->args, scope, group);
    case T_RowExpr:
      return exprs(reinterpret_cast<const RowExpr*>(node)->args, scope, group);
    case T_A_ArrayExpr:
      return exprs(reinterpret_cast<const A_ArrayExpr*>(node)->elements, scope, group);
    case T_A_Indices:
      walk(reinterpret_cast<const A_Indices*>(node)->lidx);
      return walk(reinterpret_cast<const A_Indices*>(node)->uidx);
    case T_CollateClause:
      return walk(reinterpret_cast<const CollateClause*>(node)->arg);
    case T_NamedArgExpr:
      return walk(reinterpret_cast<const NamedArgExpr*>(node)->arg);
    case T_ResTarget:
      return walk(reinterpret_cast<const ResTarget*>(node)->val);
    case T_MultiAssignRef:
      return walk(reinterpret_cast<const MultiAssignRef*>(node)->source);
    case T_GroupingFunc:
      return exprs(reinterpret_cast<const GroupingFunc*>(node)->args, scope, group);
    case T_GroupingSet:
      return exprs(reinterpret_cast<const GroupingSet*>(node)->content, scope, group);
    case T_SortBy:
      if (reinterpret_cast<const SortBy*>(node)->useOp != nullptr)
        operator_name(reinterpret_cast<const SortBy*>(node)->useOp, group);
      return walk(reinterpret_cast<const SortBy*>(node)->node);
    case T_WindowDef:
      return window(reinterpret_cast<const WindowDef*>(node), scope, group);
    case T_XmlExpr:
      exprs(reinterpret_cast<const XmlExpr*>(node)->named_args, scope, group);
      return exprs(reinterpret_cast<const XmlExpr*>(node)->args, scope, group);
    case T_XmlSerialize:
      type(reinterpret_cast<const XmlSerialize*>(node)->typeName);
      return walk(reinterpret_cast<const XmlSerialize*>(node)->expr);
    case T_SQLValueFunction:
    case T_SetToDefault:
    case T_CurrentOfExpr:
    case T_Integer:
    case T_Float:
    case T_Boolean:
    case T_String:
    case T_BitString:
      return;
    case T_A_Star:
      return everything(scope, group);
    default:
      effects_.unknown(model::ObjectKind::unknown, "", model::Access::execute,
                       "an expression of a kind that is not known (node " + std::to_string(nodeTag(node)) + ")");
  }
}

// Parts of AND, OR and COALESCE: an earlier one decides whether a later one is computed at all.
void Query::guarded(const List* parts, const Scope* scope, Lineage& group) {
  size_t doings = state_.doings;
  Lineage all;
  exprs(parts, scope, all);
  guard(doings, all);
  group.append(all);
}

// A value that code may get, which may put it anywhere.
void Query::argument(const Node* node, bool runs_code, const Scope* scope, Lineage& group) {
  if (!runs_code) return expr(node, scope, group);
  Lineage value;
  expr(node, scope, value);
  store(value);
  group.append(value);
}

void Query::operation(const A_Expr* operation, const Scope* scope, Lineage& group) {
  size_t doings = state_.doings;
  switch (operation->kind) {
    case AEXPR_BETWEEN:
    case AEXPR_NOT_BETWEEN:
    case AEXPR_BETWEEN_SYM:
    case AEXPR_NOT_BETWEEN_SYM:
      // Named by words, which stand for these.
      for (std::string_view name : {"<=", ">=", "<", ">"}) named_operator({}, name, group);
      break;
    default:
      operator_name(operation->name, group);
  }
  bool runs_code = state_.doings != doings;
  argument(operation->lexpr, runs_code, scope, group);
  argument(operation->rexpr, runs_code, scope, group);
}

void Query::sublink(const SubLink* link, const Scope* scope, Lineage& group) {
  size_t doings = state_.doings;
  if (link->operName != nullptr) operator_name(link->operName, group);
  if (link->operName == nullptr && link->testexpr != nullptr) named_operator({}, "=", group);  // IN
  bool runs_code = state_.doings != doings;
  ++state_.doings;  // statistics tell how often it ran
  argument(link->testexpr, runs_code, scope, group);
  Outputs outputs = statement(link->subselect, scope, scope == nullptr ? nullptr : scope->ctes);
  if (runs_code) store(outputs.all());
  if (link->subLinkType != EXISTS_SUBLINK) group.append(outputs.all());
}

void Query::indirection(const A_Indirection* node, const Scope* scope, Lineage& group) {
  pg::Nodes parts(node->indirection);
  const auto* row = pg::as<ColumnRef>(node->arg);
  size_t next = 0;
  Lineage value;
  if (row != nullptr && pg::Nodes(row->fields).size() == 1 && !parts.empty() && pg::as<String>(parts[0]) != nullptr) {
    // (t).column: the same as t.column where t is no column itself.
    std::string_view name = pg::text_of(pg::Nodes(row->fields)[0]);
    if (find_item({}, name, scope) != nullptr && !has_known_column(name, scope)) {
      qualified({}, name, pg::text_of(parts[0]), scope, value);
      next = 1;
    }
  }
  if (next == 0) expr(node->arg, scope, value);
  group.append(value);
  for (; next < parts.size(); ++next) {
    if (pg::as<String>(parts[next]) != nullptr) {
      field_or_function(pg::text_of(parts[next]), value, group);
    } else if (pg::as<A_Star>(parts[next]) == nullptr) {
      expr(parts[next], scope, group);
    }
  }
}

void Query::window(const WindowDef* window, const Scope* scope, Lineage& group) {
  exprs(window->partitionClause, scope, group);
  exprs(window->orderClause, scope, group);
  expr(window->startOffset, scope, group);
  expr(window->endOffset, scope, group);
}

}  // namespace sallyport::sql
