// SPDX-License-Identifier: Apache-2.0
// The only place that includes PostgreSQL's headers: raw parse tree nodes of major version 15, and the
// entry points of libpg_query that they fit. Include it after every standard header.
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

// postgres.h comes first.
// clang-format off
extern "C" {
#include <postgres.h>

#include <nodes/parsenodes.h>
#include <nodes/pg_list.h>
#include <nodes/primnodes.h>
#include <nodes/value.h>
#include <pg_query.h>
}
// clang-format on

#undef bind
#undef connect
#undef fprintf
#undef gettext
#undef printf
#undef snprintf
#undef sprintf
#undef strerror
#undef vfprintf
#undef vprintf
#undef vsnprintf
#undef vsprintf
#undef Max
#undef Min

static_assert(PG_MAJORVERSION_NUM == 15, "the node layout must be that of libpg_query 15");

namespace sallyport::sql::pg {

template <class T>
inline constexpr NodeTag kTag = T_Invalid;

#define SP_TAG(type) \
  template <>        \
  inline constexpr NodeTag kTag<type> = T_##type;
SP_TAG(A_ArrayExpr)
SP_TAG(A_Const)
SP_TAG(A_Expr)
SP_TAG(A_Indices)
SP_TAG(A_Indirection)
SP_TAG(A_Star)
SP_TAG(AccessPriv)
SP_TAG(AlterTableCmd)
SP_TAG(BoolExpr)
SP_TAG(Boolean)
SP_TAG(CaseExpr)
SP_TAG(CollateClause)
SP_TAG(ColumnDef)
SP_TAG(ColumnRef)
SP_TAG(CommonTableExpr)
SP_TAG(Constraint)
SP_TAG(CreateTableAsStmt)
SP_TAG(DefElem)
SP_TAG(FuncCall)
SP_TAG(FunctionParameter)
SP_TAG(IndexElem)
SP_TAG(Integer)
SP_TAG(JoinExpr)
SP_TAG(List)
SP_TAG(MergeWhenClause)
SP_TAG(MultiAssignRef)
SP_TAG(NamedArgExpr)
SP_TAG(ObjectWithArgs)
SP_TAG(ParamRef)
SP_TAG(PartitionCmd)
SP_TAG(PartitionElem)
SP_TAG(PublicationObjSpec)
SP_TAG(RangeTableFuncCol)
SP_TAG(RangeVar)
SP_TAG(RawStmt)
SP_TAG(ResTarget)
SP_TAG(RoleSpec)
SP_TAG(RowExpr)
SP_TAG(SelectStmt)
SP_TAG(SortBy)
SP_TAG(StatsElem)
SP_TAG(String)
SP_TAG(SubLink)
SP_TAG(TableLikeClause)
SP_TAG(TypeCast)
SP_TAG(TypeName)
SP_TAG(VacuumRelation)
SP_TAG(VariableSetStmt)
SP_TAG(WindowDef)
#undef SP_TAG

/// `node` as a T if it is one, else nullptr.
template <class T>
const T* as(const void* node) {
  static_assert(kTag<T> != T_Invalid);
  if (node == nullptr || static_cast<const Node*>(node)->type != kTag<T>) return nullptr;
  return static_cast<const T*>(node);
}

/// `node` as a T, whose tag was looked at before.
template <class T>
const T* cast(const Node* node) {
  return reinterpret_cast<const T*>(node);
}

/// A string node's text, borrowed from the tree; empty if it is none.
inline std::string_view text_of(const void* node) {
  const auto* string = as<String>(node);
  return string != nullptr && string->sval != nullptr ? std::string_view(string->sval) : std::string_view();
}

inline std::string_view view(const char* c_string) {
  return c_string == nullptr ? std::string_view() : std::string_view(c_string);
}

/// A List as a range of nodes; NIL is empty.
class Nodes {
 public:
  explicit Nodes(const List* list) : list_(list) {}
  explicit Nodes(const Node* node) : list_(as<List>(node)) {}
  struct Iterator {
    const ListCell* cell;
    const Node* operator*() const { return static_cast<const Node*>(cell->ptr_value); }
    Iterator& operator++() {
      ++cell;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return cell != other.cell; }
  };
  Iterator begin() const { return {list_ == nullptr ? nullptr : list_->elements}; }
  Iterator end() const { return {list_ == nullptr ? nullptr : list_->elements + list_->length}; }
  size_t size() const { return list_ == nullptr ? 0 : static_cast<size_t>(list_->length); }
  bool empty() const { return size() == 0; }
  const Node* operator[](size_t index) const { return static_cast<const Node*>(list_->elements[index].ptr_value); }

 private:
  const List* list_;
};

/// The raw parse of one text, owned: nodes are valid while this lives, on the thread that made it.
class ParseTree {
 public:
  /// `text` is NUL-terminated, bounded by a scan, valid UTF-8, and outlives the tree.
  ParseTree(const char* text, bool standard_conforming_strings);
  ParseTree(const ParseTree&) = delete;
  ParseTree& operator=(const ParseTree&) = delete;
  ~ParseTree();

  bool ok() const { return error_.empty(); }
  /// PostgreSQL's message; it may quote the text.
  std::string_view error() const { return error_; }
  /// RawStmt nodes.
  Nodes statements() const { return Nodes(tree_); }

 private:
  void* context_ = nullptr;
  const List* tree_ = nullptr;
  std::string_view error_;
  void* error_node_ = nullptr;
};

}  // namespace sallyport::sql::pg
