// SPDX-License-Identifier: Apache-2.0
// ALTER, DROP, GRANT, COMMENT, and objects of the whole database or server.
#include <string>
#include <string_view>

#include "sql/command.h"
#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

template <class T>
const T* cast(const Node* node) {
  return reinterpret_cast<const T*>(node);
}

std::string dotted_name(const List* list) {
  std::string text;
  for (const Node* part : pg::Nodes(list)) {
    if (!text.empty()) text.push_back('.');
    text.append(pg::text_of(part));
  }
  return text;
}

// Rows are read, and perhaps written anew: checks, generated columns and indexes are computed.
bool goes_through_rows(const AlterTableCmd* command) {
  switch (command->subtype) {
    case AT_AddColumn:
    case AT_AlterColumnType:
    case AT_AddConstraint:
    case AT_ValidateConstraint:
    case AT_AttachPartition:
    case AT_SetLogged:
    case AT_SetUnLogged:
    case AT_SetTableSpace:
    case AT_SetAccessMethod:
    case AT_AddIndex:
    case AT_AddIndexConstraint:
      return true;
    default:
      return false;
  }
}

std::string named(std::string_view word, const char* name) {
  return std::string(word) + " " + std::string(pg::view(name));
}

}  // namespace

bool Command::define_global(const Node* node) {
  auto is = [&](std::string_view statement_class) { out_.statement_class = statement_class; };
  switch (nodeTag(node)) {
    case T_CreateRoleStmt:
    case T_AlterRoleStmt:
    case T_AlterRoleSetStmt:
    case T_DropRoleStmt:
      role(node);
      break;
    case T_CreateFdwStmt:
    case T_AlterFdwStmt:
    case T_CreateForeignServerStmt:
    case T_AlterForeignServerStmt:
    case T_CreateUserMappingStmt:
    case T_AlterUserMappingStmt:
    case T_DropUserMappingStmt:
    case T_ImportForeignSchemaStmt:
    case T_CreateSubscriptionStmt:
    case T_AlterSubscriptionStmt:
    case T_DropSubscriptionStmt:
      foreign(node);
      break;
    case T_CreatedbStmt:
      is("create"), object("create", ObjectKind::database, cast<CreatedbStmt>(node)->dbname);
      break;
    case T_DropdbStmt:
      is("drop"), object("drop", ObjectKind::database, cast<DropdbStmt>(node)->dbname);
      break;
    case T_AlterDatabaseStmt:
      is("alter"), object("alter", ObjectKind::database, cast<AlterDatabaseStmt>(node)->dbname);
      break;
    case T_AlterDatabaseRefreshCollStmt:
      is("alter"), object("alter", ObjectKind::database, cast<AlterDatabaseRefreshCollStmt>(node)->dbname);
      break;
    case T_AlterDatabaseSetStmt:
      is("alter"), object("alter", ObjectKind::database, cast<AlterDatabaseSetStmt>(node)->dbname);
      break;
    case T_AlterSystemStmt: {
      const VariableSetStmt* set = cast<AlterSystemStmt>(node)->setstmt;
      is("alter");
      object("alter", ObjectKind::other, "server configuration");
      object("alter", ObjectKind::setting, set->name == nullptr ? "all" : fold_setting(set->name));
      break;
    }
    default:
      return define_rare(node);
  }
  moves_names();
  return true;
}

// Tablespaces, extensions, publications.
bool Command::define_rare(const Node* node) {
  auto is = [&](std::string_view statement_class) { out_.statement_class = statement_class; };
  switch (nodeTag(node)) {
    case T_CreateTableSpaceStmt:
      is("create"),
          object("create", ObjectKind::other, named("tablespace", cast<CreateTableSpaceStmt>(node)->tablespacename));
      object("create", ObjectKind::file, std::string(pg::view(cast<CreateTableSpaceStmt>(node)->location)));
      break;
    case T_DropTableSpaceStmt:
      is("drop"),
          object("drop", ObjectKind::other, named("tablespace", cast<DropTableSpaceStmt>(node)->tablespacename));
      break;
    case T_AlterTableSpaceOptionsStmt:
      is("alter");
      object("alter", ObjectKind::other, named("tablespace", cast<AlterTableSpaceOptionsStmt>(node)->tablespacename));
      break;
    case T_CreateExtensionStmt:
      is("create"), object("create", ObjectKind::other, named("extension", cast<CreateExtensionStmt>(node)->extname));
      break;
    case T_AlterExtensionStmt:
      is("alter"), object("alter", ObjectKind::other, named("extension", cast<AlterExtensionStmt>(node)->extname));
      break;
    case T_AlterExtensionContentsStmt: {
      const auto* alter = cast<AlterExtensionContentsStmt>(node);
      is("alter"), object("alter", ObjectKind::other, named("extension", alter->extname));
      object("alter", alter->objtype, alter->object);
      break;
    }
    case T_CreatePublicationStmt: {
      const auto* create = cast<CreatePublicationStmt>(node);
      is("create"), object("create", ObjectKind::other, named("publication", create->pubname));
      if (create->for_all_tables)
        effects_.all_columns(object("create", ObjectKind::other, "every table", Access::read));
      publication_objects(create->pubobjects, "create");
      break;
    }
    case T_AlterPublicationStmt: {
      const auto* alter = cast<AlterPublicationStmt>(node);
      is("alter"), object("alter", ObjectKind::other, named("publication", alter->pubname));
      publication_objects(alter->pubobjects, "alter");
      break;
    }
    default:
      return false;
  }
  moves_names();
  return true;
}

void Command::role(const Node* node) {
  switch (nodeTag(node)) {
    case T_CreateRoleStmt: {
      const auto* create = cast<CreateRoleStmt>(node);
      out_.statement_class = "create";
      object("create", ObjectKind::role, std::string(pg::view(create->role)));
      return secret_options(create->options, false);
    }
    case T_AlterRoleStmt: {
      const auto* alter = cast<AlterRoleStmt>(node);
      out_.statement_class = "alter";
      object("alter", ObjectKind::role, role_name(alter->role));
      return secret_options(alter->options, false);
    }
    case T_AlterRoleSetStmt: {
      const auto* alter = cast<AlterRoleSetStmt>(node);
      out_.statement_class = "alter";
      object("alter", ObjectKind::role, alter->role == nullptr ? "*" : role_name(alter->role));
      return;
    }
    default:
      out_.statement_class = "drop";
      for (const Node* role : pg::Nodes(cast<DropRoleStmt>(node)->roles))
        object("drop", ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
  }
}

// Foreign data wrappers, servers, user mappings, subscriptions: their options hold passwords.
void Command::foreign(const Node* node) {
  auto note = [&](std::string_view statement_class, std::string name, const List* options) {
    out_.statement_class = statement_class;
    object(statement_class, ObjectKind::other, std::move(name));
    secret_options(options, false);
  };
  switch (nodeTag(node)) {
    case T_CreateFdwStmt:
      return note("create", named("foreign data wrapper", cast<CreateFdwStmt>(node)->fdwname),
                  cast<CreateFdwStmt>(node)->options);
    case T_AlterFdwStmt:
      return note("alter", named("foreign data wrapper", cast<AlterFdwStmt>(node)->fdwname),
                  cast<AlterFdwStmt>(node)->options);
    case T_CreateForeignServerStmt:
      return note("create", named("server", cast<CreateForeignServerStmt>(node)->servername),
                  cast<CreateForeignServerStmt>(node)->options);
    case T_AlterForeignServerStmt:
      return note("alter", named("server", cast<AlterForeignServerStmt>(node)->servername),
                  cast<AlterForeignServerStmt>(node)->options);
    case T_CreateUserMappingStmt:
      return note("create", named("user mapping on", cast<CreateUserMappingStmt>(node)->servername),
                  cast<CreateUserMappingStmt>(node)->options);
    case T_AlterUserMappingStmt:
      return note("alter", named("user mapping on", cast<AlterUserMappingStmt>(node)->servername),
                  cast<AlterUserMappingStmt>(node)->options);
    case T_DropUserMappingStmt:
      return note("drop", named("user mapping on", cast<DropUserMappingStmt>(node)->servername), nullptr);
    case T_DropSubscriptionStmt:
      return note("drop", named("subscription", cast<DropSubscriptionStmt>(node)->subname), nullptr);
    case T_ImportForeignSchemaStmt: {
      const auto* import = cast<ImportForeignSchemaStmt>(node);
      note("import_foreign_schema", named("server", import->server_name), import->options);
      object("import_foreign_schema", ObjectKind::schema, std::string(pg::view(import->local_schema)));
      return;
    }
    default: {
      bool create = nodeTag(node) == T_CreateSubscriptionStmt;
      note(create ? "create" : "alter",
           named("subscription",
                 create ? cast<CreateSubscriptionStmt>(node)->subname : cast<AlterSubscriptionStmt>(node)->subname),
           nullptr);
      // The connection string holds a password, and is no node with a place: every string is a secret.
      for (size_t i = 0; i < state_.tokens.size() && state_.inside == 0; ++i)
        state_.literals[i].password |= state_.tokens[i].string;
    }
  }
}

void Command::publication_objects(const List* objects, std::string_view statement_class) {
  for (const Node* node : pg::Nodes(objects)) {
    const auto* part = pg::as<PublicationObjSpec>(node);
    if (part == nullptr) continue;
    if (part->pubtable != nullptr && part->pubtable->relation != nullptr) {
      int effect = query_.relation_effect(part->pubtable->relation, statement_class, Access::read);
      effects_.all_columns(effect);
      Scope scope = query_.scope_of(part->pubtable->relation, statement_class);
      query_.expression(part->pubtable->whereClause, &scope, statement_class);
    } else {
      object(statement_class, ObjectKind::schema, std::string(pg::view(part->name)), Access::read);
    }
  }
}

bool Command::alter_command(const Node* node) {
  auto alters = [&](ObjectKind kind, std::string name) {
    out_.statement_class = "alter";
    object("alter", kind, std::move(name));
    moves_names();
  };
  switch (nodeTag(node)) {
    case T_AlterTableStmt:
      return alter_table(cast<AlterTableStmt>(node)), true;
    case T_DropStmt:
      return drop(cast<DropStmt>(node)), true;
    case T_RenameStmt:
      return rename(cast<RenameStmt>(node)), true;
    case T_GrantStmt:
      return grant(cast<GrantStmt>(node)), true;
    case T_GrantRoleStmt:
      return grant_role(cast<GrantRoleStmt>(node)), true;
    case T_AlterDefaultPrivilegesStmt: {
      const auto* alter = cast<AlterDefaultPrivilegesStmt>(node);
      out_.statement_class = "alter";
      object("alter", ObjectKind::other, "default privileges");
      for (const Node* role : pg::Nodes(alter->action == nullptr ? nullptr : alter->action->grantees))
        object("alter", ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
      return true;
    }
    case T_CommentStmt:
      out_.statement_class = "comment";
      object("comment", cast<CommentStmt>(node)->objtype, cast<CommentStmt>(node)->object);
      return true;
    case T_SecLabelStmt:
      out_.statement_class = "security_label";
      object("security_label", cast<SecLabelStmt>(node)->objtype, cast<SecLabelStmt>(node)->object);
      return true;
    case T_AlterSeqStmt:
      out_.statement_class = "alter";
      out_.moves_meaning = true;
      return relation("alter", cast<AlterSeqStmt>(node)->sequence), true;
    case T_AlterPolicyStmt: {
      const auto* alter = cast<AlterPolicyStmt>(node);
      relation("alter", alter->table);
      alters(ObjectKind::other, named("policy", alter->policy_name));
      Scope scope = query_.scope_of(alter->table, "alter");
      query_.expression(alter->qual, &scope, "alter");
      query_.expression(alter->with_check, &scope, "alter");
      return true;
    }
    case T_AlterObjectSchemaStmt:
    case T_AlterOwnerStmt:
    case T_AlterObjectDependsStmt:
      return alter_place(node), true;
    case T_DropOwnedStmt:
      out_.statement_class = "drop";
      for (const Node* role : pg::Nodes(cast<DropOwnedStmt>(node)->roles))
        object("drop", ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
      effects_.unknown(ObjectKind::unknown, "", Access::write, "what DROP OWNED removes is not known");
      return moves_names(), true;
    case T_ReassignOwnedStmt:
      out_.statement_class = "reassign";
      for (const Node* role : pg::Nodes(cast<ReassignOwnedStmt>(node)->roles))
        object("reassign", ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
      effects_.unknown(ObjectKind::unknown, "", Access::write, "what REASSIGN OWNED moves is not known");
      return moves_names(), true;
    default:
      return alter_type(node);
  }
}

bool Command::alter_type(const Node* node) {
  auto alters = [&](ObjectKind kind, std::string name) {
    out_.statement_class = "alter";
    object("alter", kind, std::move(name));
    moves_names();
  };
  switch (nodeTag(node)) {
    case T_AlterTableMoveAllStmt:
      alters(ObjectKind::other, named("tablespace", cast<AlterTableMoveAllStmt>(node)->orig_tablespacename));
      effects_.unknown(ObjectKind::relation, "", Access::write, "which tables are moved is not known");
      return true;
    case T_AlterDomainStmt:
      alters(ObjectKind::type, dotted_name(cast<AlterDomainStmt>(node)->typeName));
      query_.domain(cast<AlterDomainStmt>(node)->typeName);  // its checks are run over the columns that there are
      if (const auto* check = pg::as<Constraint>(cast<AlterDomainStmt>(node)->def)) {
        constraint(check, nullptr);
      } else {
        query_.expression(cast<AlterDomainStmt>(node)->def, nullptr, "alter");
      }
      return true;
    case T_AlterEnumStmt:
      return alters(ObjectKind::type, dotted_name(cast<AlterEnumStmt>(node)->typeName)), true;
    case T_AlterTypeStmt:
      return alters(ObjectKind::type, dotted_name(cast<AlterTypeStmt>(node)->typeName)), true;
    default:
      return alter_rare(node);
  }
}

bool Command::alter_rare(const Node* node) {
  std::string name;
  ObjectKind kind = ObjectKind::other;
  switch (nodeTag(node)) {
    case T_AlterFunctionStmt: {
      const auto* alter = cast<AlterFunctionStmt>(node);
      ObjectRef ref = describe_object(alter->objtype, reinterpret_cast<const Node*>(alter->func));
      name = std::move(ref.object);
      kind = ref.kind;
      break;
    }
    case T_AlterOperatorStmt:
      name = "operator " + dotted_name(cast<AlterOperatorStmt>(node)->opername->objname);
      break;
    case T_AlterOpFamilyStmt:
      name = "operator family " + dotted_name(cast<AlterOpFamilyStmt>(node)->opfamilyname);
      break;
    case T_AlterTSDictionaryStmt:
      name = "text search dictionary " + dotted_name(cast<AlterTSDictionaryStmt>(node)->dictname);
      break;
    case T_AlterTSConfigurationStmt:
      name = "text search configuration " + dotted_name(cast<AlterTSConfigurationStmt>(node)->cfgname);
      break;
    case T_AlterEventTrigStmt:
      name = named("event trigger", cast<AlterEventTrigStmt>(node)->trigname);
      break;
    case T_AlterCollationStmt:
      name = "collation " + dotted_name(cast<AlterCollationStmt>(node)->collname);
      break;
    case T_AlterStatsStmt:
      name = "statistics " + dotted_name(cast<AlterStatsStmt>(node)->defnames);
      break;
    default:
      return false;
  }
  out_.statement_class = "alter";
  object("alter", kind, std::move(name));
  moves_names();
  return true;
}

// OWNER TO, SET SCHEMA, DEPENDS ON EXTENSION.
void Command::alter_place(const Node* node) {
  out_.statement_class = "alter";
  ObjectType type = OBJECT_TABLE;
  const RangeVar* range = nullptr;
  const Node* named_object = nullptr;
  if (nodeTag(node) == T_AlterObjectSchemaStmt) {
    const auto* alter = cast<AlterObjectSchemaStmt>(node);
    type = alter->objectType, range = alter->relation, named_object = alter->object;
    object("alter", ObjectKind::schema, std::string(pg::view(alter->newschema)));
  } else if (nodeTag(node) == T_AlterOwnerStmt) {
    const auto* alter = cast<AlterOwnerStmt>(node);
    type = alter->objectType, range = alter->relation, named_object = alter->object;
    object("alter", ObjectKind::role, role_name(alter->newowner));
  } else {
    const auto* alter = cast<AlterObjectDependsStmt>(node);
    type = alter->objectType, range = alter->relation, named_object = alter->object;
  }
  if (range != nullptr) {
    relation("alter", range);
    state_.names.doubt(pg::view(range->relname));
  } else {
    object("alter", type, named_object);
  }
  moves_names();
}

void Command::alter_table(const AlterTableStmt* alter) {
  out_.statement_class = "alter";
  out_.moves_meaning = true;
  if (alter->objtype == OBJECT_TYPE) {
    object("alter", ObjectKind::type,
           join_names(pg::view(alter->relation->schemaname), pg::view(alter->relation->relname)));
    return moves_names();
  }
  relation("alter", alter->relation);
  Scope scope = query_.scope_of(alter->relation, "alter");
  for (const Node* node : pg::Nodes(alter->cmds)) {
    const auto* command = pg::as<AlterTableCmd>(node);
    if (command == nullptr) continue;
    if (goes_through_rows(command)) query_.upkeep(alter->relation, true);
    alter_table_command(command, scope, alter->relation);
  }
}

void Command::alter_table_command(const AlterTableCmd* command, const Scope& scope, const RangeVar* relation) {
  if (command->newowner != nullptr) object("alter", ObjectKind::role, role_name(command->newowner));
  if (command->behavior == DROP_CASCADE)
    effects_.unknown(ObjectKind::unknown, "", Access::write, "what CASCADE removes with it is not known");
  if (const auto* column = pg::as<ColumnDef>(command->def)) {
    if (command->subtype == AT_AlterColumnType) query_.type(column->typeName);
    return definition(command->def, &scope);
  }
  if (pg::as<Constraint>(command->def) != nullptr) return definition(command->def, &scope);
  switch (command->subtype) {
    case AT_ColumnDefault:
      query_.expression(command->def, &scope, "alter");
      return;
    case AT_AttachPartition:
    case AT_DetachPartition:
      if (const auto* partition = pg::as<PartitionCmd>(command->def)) {
        this->relation("alter", partition->name);
        query_.upkeep(partition->name, true);
      }
      return state_.names.doubt(pg::view(relation->relname));
    case AT_AddInherit:
    case AT_DropInherit:
      if (const auto* parent = pg::as<RangeVar>(command->def)) {
        this->relation("alter", parent);
        state_.names.doubt(pg::view(parent->relname));
      }
      return state_.names.doubt(pg::view(relation->relname));
    case AT_EnableTrig:
    case AT_EnableAlwaysTrig:
    case AT_EnableReplicaTrig:
    case AT_EnableTrigAll:
    case AT_EnableTrigUser:
    case AT_EnableRule:
    case AT_EnableAlwaysRule:
    case AT_EnableReplicaRule:
    case AT_EnableRowSecurity:
    case AT_ForceRowSecurity:
      return state_.names.doubt(pg::view(relation->relname));
    default:
      if (const auto* options = pg::as<List>(command->def)) secret_options(options, false);
  }
}

void Command::drop(const DropStmt* drop) {
  out_.statement_class = "drop";
  out_.moves_meaning = true;
  for (const Node* node : pg::Nodes(drop->objects)) {
    object("drop", drop->removeType, node);
    ObjectRef ref = describe_object(drop->removeType, node);
    if (ref.relation) {
      state_.names.doubt(ref.name);
    } else {
      moves_names();
    }
  }
  if (drop->behavior == DROP_CASCADE)
    effects_.unknown(ObjectKind::unknown, "", Access::write, "what CASCADE removes with it is not known");
}

void Command::rename(const RenameStmt* rename) {
  out_.statement_class = "alter";
  out_.moves_meaning = true;
  if (rename->relation != nullptr) {
    relation("alter", rename->relation);
    state_.names.doubt(pg::view(rename->relation->relname));
    state_.names.doubt(pg::view(rename->newname));
    return;
  }
  if (rename->object != nullptr) {
    object("alter", rename->renameType, rename->object);
  } else {
    // Roles, schemas, databases, tablespaces: the name is in subname.
    ObjectKind kind = rename->renameType == OBJECT_ROLE       ? ObjectKind::role
                      : rename->renameType == OBJECT_SCHEMA   ? ObjectKind::schema
                      : rename->renameType == OBJECT_DATABASE ? ObjectKind::database
                                                              : ObjectKind::other;
    std::string name(pg::view(rename->subname));
    if (kind == ObjectKind::other) name = std::string(object_word(rename->renameType)) + " " + name;
    object("alter", kind, std::move(name));
  }
  moves_names();
}

void Command::grant(const GrantStmt* grant) {
  std::string_view word = grant->is_grant ? "grant" : "revoke";
  out_.statement_class = word;
  out_.moves_meaning = true;
  for (const Node* node : pg::Nodes(grant->objects)) {
    if (grant->targtype == ACL_TARGET_ALL_IN_SCHEMA) {
      object(word, ObjectKind::schema, std::string(pg::text_of(node)));
    } else {
      object(word, grant->objtype, node);
    }
  }
  for (const Node* role : pg::Nodes(grant->grantees)) object(word, ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
}

void Command::grant_role(const GrantRoleStmt* grant) {
  std::string_view word = grant->is_grant ? "grant" : "revoke";
  out_.statement_class = word;
  out_.moves_meaning = true;
  for (const Node* role : pg::Nodes(grant->granted_roles))
    if (const auto* privilege = pg::as<AccessPriv>(role))
      object(word, ObjectKind::role, std::string(pg::view(privilege->priv_name)));
  for (const Node* role : pg::Nodes(grant->grantee_roles))
    object(word, ObjectKind::role, role_name(pg::as<RoleSpec>(role)));
}

}  // namespace sallyport::sql
