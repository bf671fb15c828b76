// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <string_view>

#include "sql/command.h"

namespace sallyport::sql {

using model::ObjectKind;

namespace {

// A name list, ObjectWithArgs, TypeName or string as dotted text.
std::string dotted(const Node* node) {
  if (const auto* with_arguments = pg::as<ObjectWithArgs>(node))
    return dotted(reinterpret_cast<const Node*>(with_arguments->objname));
  if (const auto* type = pg::as<TypeName>(node)) return dotted(reinterpret_cast<const Node*>(type->names));
  if (const auto* range = pg::as<RangeVar>(node))
    return join_names(pg::view(range->schemaname), pg::view(range->relname));
  if (const auto* integer = pg::as<Integer>(node)) return std::to_string(integer->ival);
  if (pg::as<String>(node) != nullptr) return std::string(pg::text_of(node));
  std::string text;
  for (const Node* part : pg::Nodes(node)) {
    if (!text.empty()) text.push_back('.');
    text.append(dotted(part));
  }
  return text;
}

ObjectRef relation_of(const Node* node, size_t trailing) {
  ObjectRef ref;
  ref.kind = ObjectKind::relation;
  if (const auto* range = pg::as<RangeVar>(node)) {
    ref.schema = pg::view(range->schemaname);
    ref.name = pg::view(range->relname);
  } else {
    pg::Nodes parts(node);
    size_t count = parts.size() > trailing ? parts.size() - trailing : 0;
    if (count >= 1) ref.name = pg::text_of(parts[count - 1]);
    if (count >= 2) ref.schema = pg::text_of(parts[count - 2]);
    if (trailing > 0 && !parts.empty()) ref.column = pg::text_of(parts[parts.size() - 1]);
  }
  ref.relation = !ref.name.empty();
  ref.object = join_names(ref.schema, ref.name);
  return ref;
}

}  // namespace

std::string_view object_word(ObjectType type) {
  static constexpr std::string_view kWords[] = {
      "access method",
      "aggregate",
      "operator class member",
      "support function",
      "attribute",
      "cast",
      "column",
      "collation",
      "conversion",
      "database",
      "default",
      "default privileges",
      "domain",
      "domain constraint",
      "event trigger",
      "extension",
      "foreign data wrapper",
      "server",
      "foreign table",
      "function",
      "index",
      "language",
      "large object",
      "materialized view",
      "operator class",
      "operator",
      "operator family",
      "parameter",
      "policy",
      "procedure",
      "publication",
      "publication schema",
      "publication table",
      "role",
      "routine",
      "rule",
      "schema",
      "sequence",
      "subscription",
      "statistics",
      "constraint",
      "table",
      "tablespace",
      "transform",
      "trigger",
      "text search configuration",
      "text search dictionary",
      "text search parser",
      "text search template",
      "type",
      "user mapping",
      "view",
  };
  static_assert(std::size(kWords) == OBJECT_VIEW + 1);
  auto index = static_cast<size_t>(type);
  return index < std::size(kWords) ? kWords[index] : "object";
}

ObjectRef describe_object(ObjectType type, const Node* object) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
    case OBJECT_MATVIEW:
    case OBJECT_SEQUENCE:
    case OBJECT_INDEX:
    case OBJECT_FOREIGN_TABLE:
      return relation_of(object, 0);
    case OBJECT_COLUMN:
    case OBJECT_TRIGGER:
    case OBJECT_RULE:
    case OBJECT_POLICY:
    case OBJECT_TABCONSTRAINT:
    case OBJECT_DEFAULT: {
      ObjectRef ref = relation_of(object, pg::as<RangeVar>(object) != nullptr ? 0 : 1);
      if (type != OBJECT_COLUMN) ref.column = {};
      return ref;
    }
    default:
      break;
  }
  ObjectRef ref;
  ref.object = dotted(object);
  switch (type) {
    case OBJECT_FUNCTION:
    case OBJECT_PROCEDURE:
    case OBJECT_ROUTINE:
    case OBJECT_AGGREGATE:
      ref.kind = ObjectKind::function;
      break;
    case OBJECT_SCHEMA:
      ref.kind = ObjectKind::schema;
      break;
    case OBJECT_TYPE:
    case OBJECT_DOMAIN:
    case OBJECT_DOMCONSTRAINT:
    case OBJECT_ATTRIBUTE:
      ref.kind = ObjectKind::type;
      break;
    case OBJECT_DATABASE:
      ref.kind = ObjectKind::database;
      break;
    case OBJECT_ROLE:
      ref.kind = ObjectKind::role;
      break;
    case OBJECT_PARAMETER_ACL:
      ref.kind = ObjectKind::setting;
      break;
    default:
      ref.object = std::string(object_word(type)) + " " + ref.object;
  }
  return ref;
}

std::string role_name(const RoleSpec* role) {
  if (role == nullptr) return "";
  switch (role->roletype) {
    case ROLESPEC_CSTRING:
      return std::string(pg::view(role->rolename));
    case ROLESPEC_CURRENT_ROLE:
    case ROLESPEC_CURRENT_USER:
      return "current_user";
    case ROLESPEC_SESSION_USER:
      return "session_user";
    case ROLESPEC_PUBLIC:
      return "public";
  }
  return "";
}

}  // namespace sallyport::sql
