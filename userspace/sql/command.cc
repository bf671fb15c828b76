// SPDX-License-Identifier: Apache-2.0
#include "sql/command.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

template <class T>
const T* cast(const Node* node) {
  return reinterpret_cast<const T*>(node);
}

bool selects_into(const Node* node) {
  const auto* select = pg::as<SelectStmt>(node);
  while (select != nullptr && select->op != SETOP_NONE) select = select->larg;
  return select != nullptr && select->intoClause != nullptr;
}

// The value of a boolean option as defGetBoolean reads it; anything odd counts as on.
bool option_is_on(const DefElem* option) {
  if (option->arg == nullptr) return true;
  if (const auto* integer = pg::as<Integer>(option->arg)) return integer->ival != 0;
  std::string word = fold_setting(pg::text_of(option->arg));
  return word != "false" && word != "off";
}

}  // namespace

bool Command::run(const Node* node) {
  state_.looked_into.clear();
  state_.given.clear();
  state_.looked_behind.clear();
  std::string_view moved = state_.names.moved();
  command(node);
  // Names in a function are looked up when it runs: behind what another part of the statement has moved.
  auto unknown = [](const model::Effect& effect) { return effect.statement_class == model::kUnknownClass; };
  if (!state_.looked_into.empty() && (state_.names.moving() || state_.names.moved() != moved) &&
      std::none_of(out_.effects.begin(), out_.effects.end(), unknown))
    effects_.unknown(ObjectKind::function, "", Access::execute,
                     "functions are called by a statement that may change what names in them mean");
  query_.finish_lineage();
  effects_.finish();
  state_.names.settle();
  return !effects_.overflowed() && !state_.too_complex;
}

bool Command::run_inside(const Node* node, bool planned) {
  effects_.exchange_planned(planned);
  command(node);
  query_.finish_lineage();
  effects_.finish();
  return !effects_.overflowed() && !state_.too_complex;
}

int Command::object(std::string_view statement_class, ObjectKind kind, std::string name, Access access) {
  return effects_.add(statement_class, kind, std::move(name), access);
}

void Command::object(std::string_view statement_class, ObjectType type, const Node* node) {
  ObjectRef ref = describe_object(type, node);
  if (!ref.relation) {
    object(statement_class, ref.kind, std::move(ref.object));
    return;
  }
  int effect = query_.relation_effect(ref.schema, ref.name, statement_class, Access::write, true);
  if (!ref.column.empty()) effects_.column(effect, ref.column);
}

void Command::relation(std::string_view statement_class, const RangeVar* relation, Access access) {
  query_.relation_effect(relation, statement_class, access);
}

void Command::moves_names() {
  out_.moves_meaning = true;
  if (!state_.explaining) state_.names.move("definitions were changed earlier in the text");
}

void Command::command(const Node* node) {
  Deeper deeper(state_, 8);
  if (!deeper || node == nullptr) return;
  if (session_command(node) || maintenance_command(node) || define_command(node) || alter_command(node))
    return definition_lineage(node);
  out_.statement_class = model::kUnknownClass;
  effects_.unknown(ObjectKind::unknown, "", Access::execute,
                   "a statement of a kind that is not known (node " + std::to_string(nodeTag(node)) + ")");
  moves_names();
  out_.moves_lexing = true;
}

void Command::query(const Node* node) { query_.publish(query_.statement(node, outer_, nullptr)); }

// Queries, transactions, settings, prepared statements, cursors.
bool Command::session_command(const Node* node) {
  auto is = [&](std::string_view statement_class) { out_.statement_class = statement_class; };
  switch (nodeTag(node)) {
    case T_SelectStmt:
      is(selects_into(node) ? "create" : "select");
      query(node);
      if (selects_into(node)) out_.outputs.clear();
      return true;
    case T_InsertStmt:
      return is("insert"), query(node), true;
    case T_UpdateStmt:
      return is("update"), query(node), true;
    case T_DeleteStmt:
      return is("delete"), query(node), true;
    case T_MergeStmt:
      return is("merge"), query(node), true;
    case T_ExplainStmt:
      return is("explain"), explain(cast<ExplainStmt>(node)), true;
    case T_CopyStmt:
      return is("copy"), copy(cast<CopyStmt>(node)), true;
    case T_PrepareStmt:
      return is("prepare"), prepare(cast<PrepareStmt>(node)), true;
    case T_ExecuteStmt:
      return is("execute"), execute(cast<ExecuteStmt>(node)), true;
    case T_DeallocateStmt:
      return is("deallocate"), close(NameChange::deallocate, pg::view(cast<DeallocateStmt>(node)->name)), true;
    case T_DeclareCursorStmt:
      return is("declare"), declare(cast<DeclareCursorStmt>(node)), true;
    case T_FetchStmt:
      return is("fetch"), fetch(cast<FetchStmt>(node)), true;
    case T_ClosePortalStmt:
      return is("close"), close(NameChange::close_cursor, pg::view(cast<ClosePortalStmt>(node)->portalname)), true;
    case T_TransactionStmt:
      return transaction(cast<TransactionStmt>(node)), true;
    case T_VariableSetStmt:
      return set(cast<VariableSetStmt>(node)), true;
    case T_VariableShowStmt:
      is("show");
      object("show", ObjectKind::setting, fold_setting(pg::view(cast<VariableShowStmt>(node)->name)), Access::read);
      return true;
    case T_ConstraintsSetStmt:
      is("transaction");
      object("transaction", ObjectKind::other, "transaction", Access::execute);
      return true;
    case T_DiscardStmt:
      return is("discard"), discard(cast<DiscardStmt>(node)), true;
    case T_CreateTableAsStmt:
      return create_table_as(cast<CreateTableAsStmt>(node)), true;
    default:
      return false;
  }
}

// Everything else that makes and changes no definition.
bool Command::maintenance_command(const Node* node) {
  auto is = [&](std::string_view statement_class) { out_.statement_class = statement_class; };
  switch (nodeTag(node)) {
    case T_ListenStmt:
      is("listen");
      object("listen", ObjectKind::channel, cast<ListenStmt>(node)->conditionname, Access::read);
      return true;
    case T_UnlistenStmt: {
      std::string_view name = pg::view(cast<UnlistenStmt>(node)->conditionname);
      is("unlisten");
      object("unlisten", ObjectKind::channel, std::string(name.empty() ? "*" : name), Access::read);
      return true;
    }
    case T_NotifyStmt:
      is("notify");
      object("notify", ObjectKind::channel, cast<NotifyStmt>(node)->conditionname);
      return true;
    case T_TruncateStmt: {
      const auto* truncate = cast<TruncateStmt>(node);
      is("truncate");
      for (const Node* item : pg::Nodes(truncate->relations))
        if (const auto* range = pg::as<RangeVar>(item))
          query_.write_target(range, "truncate", RelationFact::on_truncate);
      if (truncate->behavior == DROP_CASCADE)
        effects_.unknown(ObjectKind::relation, "", Access::write, "which tables TRUNCATE CASCADE empties is not known");
      return true;
    }
    case T_LockStmt:
      is("lock");
      for (const Node* item : pg::Nodes(cast<LockStmt>(node)->relations))
        if (const auto* range = pg::as<RangeVar>(item)) relation("lock", range);
      return true;
    default:
      return upkeep_command(node);
  }
}

// VACUUM to CALL and DO.
bool Command::upkeep_command(const Node* node) {
  auto is = [&](std::string_view statement_class) { out_.statement_class = statement_class; };
  switch (nodeTag(node)) {
    case T_VacuumStmt: {
      const auto* vacuum = cast<VacuumStmt>(node);
      std::string_view word = vacuum->is_vacuumcmd ? "vacuum" : "analyze";
      is(word);
      if (vacuum->rels == nullptr) object(word, ObjectKind::other, "every table");
      for (const Node* item : pg::Nodes(vacuum->rels))
        if (const auto* part = pg::as<VacuumRelation>(item); part != nullptr && part->relation != nullptr)
          relation(word, part->relation);
      return true;
    }
    case T_ClusterStmt:
      is("cluster");
      if (cast<ClusterStmt>(node)->relation == nullptr) object("cluster", ObjectKind::other, "every table");
      if (cast<ClusterStmt>(node)->relation != nullptr) relation("cluster", cast<ClusterStmt>(node)->relation);
      return true;
    case T_ReindexStmt: {
      const auto* reindex = cast<ReindexStmt>(node);
      is("reindex");
      if (reindex->relation != nullptr) {
        relation("reindex", reindex->relation);
      } else {
        bool schema = reindex->kind == REINDEX_OBJECT_SCHEMA;
        object("reindex", schema ? ObjectKind::schema : ObjectKind::database, std::string(pg::view(reindex->name)));
      }
      return true;
    }
    case T_RefreshMatViewStmt: {
      const auto* refresh = cast<RefreshMatViewStmt>(node);
      is("refresh");
      query_.write_target(refresh->relation, "refresh", 0);
      // What is known to be one has told what it reads.
      if (!query_.is_kind(refresh->relation, 'm'))
        effects_.unknown(ObjectKind::relation, "", Access::read, "what a materialized view reads is not known");
      return true;
    }
    case T_CheckPointStmt:
      is("checkpoint");
      object("checkpoint", ObjectKind::other, "server", Access::execute);
      return true;
    case T_LoadStmt:
      is("load");
      object("load", ObjectKind::file, cast<LoadStmt>(node)->filename, Access::execute);
      moves_names();
      return true;
    case T_CallStmt: {
      const FuncCall* call = cast<CallStmt>(node)->funccall;
      is("call");
      Outputs result;
      result.known = false;
      result.rest = query_.expression(reinterpret_cast<const Node*>(call), outer_, "call");
      query_.publish(result);
      // A procedure is never harmless, even if a function of its name is.
      pg::Nodes parts(call == nullptr ? nullptr : call->funcname);
      size_t count = parts.size();
      if (count > 0)
        query_.function(count > 1 ? pg::text_of(parts[count - 2]) : std::string_view(), pg::text_of(parts[count - 1]),
                        "procedure");
      return true;
    }
    case T_DoStmt:
      return is("do"), do_block(cast<DoStmt>(node)), true;
    default:
      return false;
  }
}

void Command::do_block(const DoStmt* block) {
  std::string_view language = "plpgsql";
  std::string_view code;
  for (const Node* node : pg::Nodes(block->args)) {
    const auto* option = pg::as<DefElem>(node);
    if (option == nullptr) continue;
    (pg::view(option->defname) == "language" ? language : code) = pg::text_of(option->arg);
  }
  query_.code_block(language, code);
}

void Command::explain(const ExplainStmt* explain) {
  bool analyze = false;
  for (const Node* node : pg::Nodes(explain->options)) {
    const auto* option = pg::as<DefElem>(node);
    if (option != nullptr && pg::view(option->defname) == "analyze") analyze = option_is_on(option);
  }
  bool was_explaining = state_.explaining;
  state_.explaining |= !analyze;
  // Planned, not run: nothing is written, but functions may be called while planning.
  bool was_planned = effects_.exchange_planned(!analyze);
  command(explain->query);
  effects_.exchange_planned(was_planned);
  state_.explaining = was_explaining;
  out_.statement_class = "explain";
  out_.name_change.reset();
  out_.copy = Statement::Copy::none;
  out_.copy_out.reset();
  out_.computed_output = true;
  out_.explain_only = !analyze;
  query_.finish_lineage();
  explained(analyze);
}

void Command::copy(const CopyStmt* copy) {
  if (copy->query != nullptr) {
    query(copy->query);
    out_.computed_output = true;
  } else if (copy->relation != nullptr) {
    Access access = copy->is_from ? Access::write : Access::read;
    int effect = query_.copy_target(copy->relation, access);
    for (const Node* column : pg::Nodes(copy->attlist)) effects_.column(effect, pg::text_of(column));
    if (copy->attlist == nullptr) query_.every_column(copy->relation, effect);
    if (copy->whereClause != nullptr) {
      Scope scope = query_.scope_of(copy->relation, "copy");
      query_.expression(copy->whereClause, &scope, "copy");
    }
  }
  if (copy->filename == nullptr) {
    out_.copy = copy->is_from ? Statement::Copy::in : Statement::Copy::out;
  } else if (copy->is_program) {
    object("copy", ObjectKind::program, copy->filename, Access::execute);
  } else {
    object("copy", ObjectKind::file, copy->filename, copy->is_from ? Access::read : Access::write);
  }
  copied(copy);
}

void Command::prepare(const PrepareStmt* prepare) {
  for (const Node* node : pg::Nodes(prepare->argtypes)) query_.type(pg::as<TypeName>(node));
  bool was_explaining = std::exchange(state_.explaining, true);  // nothing is made yet
  command(prepare->query);
  state_.explaining = was_explaining;
  out_.statement_class = "prepare";
  out_.name_change = NameChange{NameChange::prepare, std::string(pg::view(prepare->name))};
  if (!state_.explaining) local_.prepared.names[out_.name_change->name] = earlier_.size();
}

void Command::declare(const DeclareCursorStmt* declare) {
  query(declare->query);
  out_.name_change = NameChange{NameChange::declare_cursor, std::string(pg::view(declare->portalname))};
  if (!state_.explaining) local_.cursors.names[out_.name_change->name] = earlier_.size();
}

const Statement* Command::find(const LocalNames::Kind& kind, std::string_view name, bool prepared) const {
  auto local = kind.names.find(name);
  if (local != kind.names.end()) return local->second.has_value() ? &earlier_[*local->second] : nullptr;
  if (kind.all_closed) return nullptr;
  return prepared ? session_.prepared(name) : session_.cursor(name);
}

// What `statement` does is done now.
void Command::adopt(const Statement* statement, std::string_view word, std::string_view name) {
  std::string object = std::string(word) + " " + std::string(name);
  if (statement == nullptr || !state_.names.moved().empty()) {
    std::string because = "what " + object + " is, is not known";
    if (statement != nullptr) because.append(": ").append(state_.names.moved());
    effects_.unknown(ObjectKind::other, object, Access::execute, std::move(because));
    out_.moves_meaning = out_.moves_lexing = true;
  }
  if (statement == nullptr) {
    unknown_outputs();
    state_.names.move("a call earlier in the text may have changed it");
    return;
  }
  effects_.adopt(*statement);
  out_.outputs = statement->outputs;
  out_.outputs_known = statement->outputs_known;
  if (statement->moves_meaning && !state_.explaining)
    state_.names.move("a statement run earlier in the text may have changed it");
}

void Command::execute(const ExecuteStmt* execute) {
  const Statement* prepared = find(local_.prepared, pg::view(execute->name), true);
  int number = 0;
  for (const Node* node : pg::Nodes(execute->params)) {
    Lineage argument = query_.expression(node, nullptr, "execute");
    ++number;
    if (prepared == nullptr) continue;
    for (const Literal& parameter : prepared->literals) {
      if (parameter.parameter != number) continue;
      for (const std::string& column : parameter.columns)
        for (uint32_t literal : argument.literals) query_.link_literal(literal, column);
    }
  }
  adopt(prepared, "prepared statement", pg::view(execute->name));
}

void Command::fetch(const FetchStmt* fetch) {
  adopt(find(local_.cursors, pg::view(fetch->portalname), false), "cursor", pg::view(fetch->portalname));
}

void Command::close(NameChange::Kind kind, std::string_view name) {
  bool cursor = kind == NameChange::close_cursor;
  LocalNames::Kind& local = cursor ? local_.cursors : local_.prepared;
  std::string_view word = cursor ? "cursor " : "prepared statement ";
  object(cursor ? "close" : "deallocate", ObjectKind::other, std::string(word) + std::string(name.empty() ? "*" : name),
         Access::execute);
  if (name.empty()) {
    kind = cursor ? NameChange::close_all_cursors : NameChange::deallocate_all;
    local.names.clear();
    local.all_closed = true;
  } else {
    local.names[std::string(name)] = std::nullopt;
  }
  out_.name_change = NameChange{kind, std::string(name)};
}

void Command::transaction(const TransactionStmt* transaction) {
  out_.statement_class = "transaction";
  out_.transaction_control = true;
  std::string gid = "prepared transaction " + std::string(pg::view(transaction->gid));
  switch (transaction->kind) {
    case TRANS_STMT_BEGIN:
    case TRANS_STMT_START:
    case TRANS_STMT_SAVEPOINT:
    case TRANS_STMT_RELEASE:
      break;
    case TRANS_STMT_COMMIT:
      out_.leaves_failed_transaction = true;
      if (state_.names.transaction_moved()) state_.names.move("a transaction ended earlier in the text");
      break;
    case TRANS_STMT_ROLLBACK:
    case TRANS_STMT_ROLLBACK_TO:
      out_.leaves_failed_transaction = true;
      out_.moves_meaning = true;
      state_.names.roll_back();
      break;
    case TRANS_STMT_PREPARE:
      out_.statement_class = "two_phase";
      out_.leaves_failed_transaction = true;
      object("two_phase", ObjectKind::other, std::move(gid));
      state_.names.roll_back();
      return;
    case TRANS_STMT_COMMIT_PREPARED:
    case TRANS_STMT_ROLLBACK_PREPARED:
      out_.statement_class = "two_phase";
      object("two_phase", ObjectKind::other, gid);
      effects_.unknown(ObjectKind::other, gid, Access::write, "what a prepared transaction did is not known");
      moves_names();
      return;
  }
  object("transaction", ObjectKind::other, "transaction", Access::execute);
}

void Command::set(const VariableSetStmt* set) {
  bool reset = set->kind == VAR_RESET || set->kind == VAR_RESET_ALL;
  out_.statement_class = reset ? "reset" : "set";
  std::string_view name = set->kind == VAR_RESET_ALL ? std::string_view("all") : pg::view(set->name);
  std::string folded = fold_setting(name);
  // SET TRANSACTION and SESSION CHARACTERISTICS come as VAR_SET_MULTI.
  if (set->kind == VAR_SET_MULTI && folded.starts_with("transaction")) {
    if (folded == "transaction snapshot") {
      object("set", ObjectKind::setting, "transaction_snapshot");
      return;
    }
    out_.statement_class = "transaction";
    object("transaction", ObjectKind::other, "transaction", Access::execute);
    return;
  }
  if (set->kind == VAR_SET_MULTI) {
    for (const Node* node : pg::Nodes(set->args))
      if (const auto* option = pg::as<DefElem>(node))
        object("set", ObjectKind::setting, "default_" + std::string(pg::view(option->defname)));
    return;
  }
  for (const Node* node : pg::Nodes(set->args)) query_.expression(node, nullptr, "set");
  bool role = folded == "role" || folded == "session_authorization";
  if (role) {
    // The object is the role that is taken on, "none" and "default" included.
    std::string to = reset || set->kind == VAR_SET_DEFAULT ? "none" : "";
    for (const Node* node : pg::Nodes(set->args))
      if (const auto* constant = pg::as<A_Const>(node)) to = pg::text_of(&constant->val.node);
    object(out_.statement_class, ObjectKind::role, std::move(to));
    out_.moves_meaning = true;
    state_.names.move("the role was changed earlier in the text");
    return;
  }
  query_.setting(name, out_.statement_class);
}

void Command::discard(const DiscardStmt* discard) {
  static constexpr std::string_view kTargets[] = {"all", "plans", "sequences", "temp"};
  auto index = static_cast<size_t>(discard->target);
  object("discard", ObjectKind::other, std::string(index < std::size(kTargets) ? kTargets[index] : "?"),
         Access::execute);
  out_.moves_meaning = true;
  if (discard->target == DISCARD_ALL || discard->target == DISCARD_TEMP) {
    state_.names.roll_back();
    state_.names.move("the session was reset earlier in the text");
  }
  if (discard->target != DISCARD_ALL) return;
  out_.moves_lexing = true;
  local_ = {};
  local_.prepared.all_closed = local_.cursors.all_closed = true;
  out_.name_change = NameChange{NameChange::deallocate_all, ""};
}

void Command::create_table_as(const CreateTableAsStmt* create) {
  out_.statement_class = "create";
  if (pg::as<SelectStmt>(create->query) != nullptr) {
    query(create->query);
  } else {
    command(create->query);  // CREATE TABLE … AS EXECUTE
  }
  out_.statement_class = "create";
  out_.computed_output = false;
  out_.name_change.reset();
  store_outputs();
  if (create->into == nullptr || create->into->rel == nullptr) return;
  char kind = create->objtype == OBJECT_MATVIEW ? 'm' : 'r';
  query_.create_relation(create->into->rel, kind, create->if_not_exists, {});
}

}  // namespace sallyport::sql
