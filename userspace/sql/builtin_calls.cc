// SPDX-License-Identifier: Apache-2.0
// Functions of pg_catalog, and of extensions that come with PostgreSQL, which do more than compute. Where their
// effect has a name of its own (a file, a setting, a table) it is that; else it is the call of the function.
#include <algorithm>
#include <string_view>
#include <utility>

#include "sql/builtin_names.h"
#include "sql/query.h"
#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

constexpr std::string_view kLargeObjects = "pg_catalog.pg_largeobject";

// What they do is told by their name, and they touch nothing that a rule could name better. A name that ends in
// `*` stands for all that begin so.
constexpr std::string_view kCalls[] = {
    "brin_desummarize_range",
    "brin_summarize_*",
    "currtid2",
    "gin_clean_pending_list",
    "pg_advisory_*",
    "pg_backup_start",
    "pg_backup_stop",
    "pg_blocking_pids",
    "pg_cancel_backend",
    "pg_config",
    "pg_control_*",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_create_restore_point",
    "pg_current_logfile",
    "pg_current_wal_*",
    "pg_cursor",
    "pg_drop_replication_slot",
    "pg_event_trigger_*",
    "pg_export_snapshot",
    "pg_get_backend_memory_contexts",
    "pg_get_multixact_members",
    "pg_get_replication_slots",
    "pg_get_shmem_allocations",
    "pg_get_wal_*",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_import_system_collations",
    "pg_is_wal_replay_paused",
    "pg_isolation_test_session_is_blocked",
    "pg_last_*",
    "pg_lock_status",
    "pg_log_backend_memory_contexts",
    "pg_logical_emit_message",
    "pg_ls_archive_statusdir",
    "pg_ls_logdir",
    "pg_ls_logicalmapdir",
    "pg_ls_logicalsnapdir",
    "pg_ls_replslotdir",
    "pg_ls_tmpdir",
    "pg_ls_waldir",
    "pg_nextoid",
    "pg_notification_queue_usage",
    "pg_prepared_xact",
    "pg_promote",
    "pg_reload_conf",
    "pg_replication_*",
    "pg_rotate_logfile",
    "pg_rotate_logfile_old",
    "pg_safe_snapshot_blocking_pids",
    "pg_sequence_last_value",
    "pg_show_all_file_settings",
    "pg_show_replication_origin_status",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_stat_clear_snapshot",
    "pg_stat_force_next_flush",
    "pg_stat_get_*",
    "pg_stat_have_stats",
    "pg_stat_reset*",
    "pg_switch_wal",
    "pg_terminate_backend",
    "pg_try_advisory_*",
    "pg_wal_replay_*",
    "pg_xact_commit_timestamp*",
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger*",
    "unique_key_recheck",
};

struct LargeObjectCall {
  std::string_view name;
  Access access;
  int file = -1;  ///< the argument that is a path on the server; it is used the other way round
};
constexpr LargeObjectCall kLargeObjectCalls[] = {
    {"lo_close", Access::read},       {"lo_creat", Access::write},  {"lo_create", Access::write},
    {"lo_export", Access::read, 1},   {"lo_get", Access::read},     {"lo_import", Access::write, 0},
    {"lo_lseek", Access::read},       {"lo_lseek64", Access::read}, {"lo_open", Access::read},
    {"lo_put", Access::write},        {"lo_tell", Access::read},    {"lo_tell64", Access::read},
    {"lo_truncate", Access::write},   {"lo_unlink", Access::write}, {"lo_truncate64", Access::write},
    {"lo_from_bytea", Access::write}, {"loread", Access::read},     {"lowrite", Access::write},
};

bool is_listed(std::string_view name) {
  return std::any_of(std::begin(kCalls), std::end(kCalls), [&](std::string_view each) {
    return each.back() == '*' ? name.starts_with(each.substr(0, each.size() - 1)) : name == each;
  });
}

bool is_null(const Node* node) {
  const auto* constant = pg::as<A_Const>(node);
  return constant != nullptr && constant->isnull;
}

}  // namespace

// A cast that leaves a text as it is.
bool Query::keeps_text(const TypeName* type) { return is_plain(type, "text") || is_plain(type, "varchar"); }

// The type of pg_catalog, without a length, and not one that hides it in the search path.
bool Query::is_plain(const TypeName* type, std::string_view wanted) {
  if (type == nullptr || type->typmods != nullptr || type->arrayBounds != nullptr || type->setof || type->pct_type)
    return false;
  QualifiedName name = qualified_name(type->names);
  if (name.name != wanted || pg::Nodes(type->names).size() > 2) return false;
  if (name.schema == "pg_catalog") return true;
  if (!name.schema.empty()) return false;
  if (state_.names.offline()) return state_.names.moved().empty();
  std::string_view doubt;
  const TypeFact* fact = state_.names.type({}, wanted, doubt);
  return fact == nullptr ? doubt.empty() : fact->builtin;  // null: it is being asked for
}

// The server's own || between texts.
bool Query::joins_text(const A_Expr* operation) {
  if (operation->kind != AEXPR_OP) return false;
  QualifiedName name = qualified_name(operation->name);
  if (name.name != "||" || pg::Nodes(operation->name).size() > 2) return false;
  if (name.schema == "pg_catalog") return true;
  std::vector<RelationName> functions;
  return name.schema.empty() && state_.names.operators({}, "||", functions) && functions.empty();
}

bool Query::fold_text(const Node* node, std::string& text, int depth) {
  constexpr int kDepthMax = 100;
  if (depth > kDepthMax) return false;
  if (const auto* cast = pg::as<TypeCast>(node))
    return keeps_text(cast->typeName) && fold_text(cast->arg, text, depth + 1);
  if (const auto* operation = pg::as<A_Expr>(node))
    return joins_text(operation) && fold_text(operation->lexpr, text, depth + 1) &&
           fold_text(operation->rexpr, text, depth + 1);
  const auto* constant = pg::as<A_Const>(node);
  if (constant == nullptr || constant->isnull || constant->val.node.type != T_String) return false;
  text.append(pg::text_of(&constant->val.node));
  return true;
}

// The name of a relation, given as 'x' or 'x'::regclass.
bool Query::fold_relation(const Node* node, std::string& text) {
  const auto* cast = pg::as<TypeCast>(node);
  return fold_text(cast != nullptr && is_plain(cast->typeName, "regclass") ? cast->arg : node, text);
}

// Functions of pg_catalog whose effect is known. False: it is not.
bool Query::special_call(std::string_view name, const FuncCall* call, Lineage& reads) {
  pg::Nodes arguments(call == nullptr ? nullptr : call->args);
  auto object = [&] { return "pg_catalog." + std::string(name); };
  if (is_listed(name)) {
    effects_.add("call", ObjectKind::function, object(), Access::execute);
    if (name == "pg_reload_conf") effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
    return true;
  }
  if (arguments.empty()) return false;
  if (name == "nextval" || name == "setval" || name == "currval") {
    sequence_call(name, arguments[0], name == "currval" ? Access::read : Access::write);
    return true;
  }
  if (name == "set_config" && arguments.size() == 3) {
    set_config_call(call);
    return true;
  }
  if (name == "pg_notify") {
    std::string channel;
    if (!fold_text(arguments[0], channel)) return false;
    effects_.add("notify", ObjectKind::channel, std::move(channel), Access::write);
    return true;
  }
  // A value of the first argument's type is made, whose checks its cast has told of.
  if (name.find("_populate_record") != std::string_view::npos) return pg::as<TypeCast>(arguments[0]) != nullptr;
  if (name == "ts_rewrite" && arguments.size() == 3) return true;
  return file_call(name, arguments) || text_call(name, arguments, reads);
}

// Files of the server, and large objects.
bool Query::file_call(std::string_view name, const pg::Nodes& arguments) {
  auto file = [&](size_t argument, Access access) {
    std::string path;
    if (argument < arguments.size() && fold_text(arguments[argument], path)) {
      effects_.add("call", ObjectKind::file, std::move(path), access);
    } else {
      effects_.unknown(ObjectKind::file, "", access, "the file that " + std::string(name) + " is for is computed");
    }
  };
  bool reads_file = name == "pg_read_file" || name == "pg_read_binary_file" || name == "pg_read_file_old" ||
                    name == "pg_stat_file" || name == "pg_ls_dir";
  auto* found = std::find_if(std::begin(kLargeObjectCalls), std::end(kLargeObjectCalls),
                             [&](const LargeObjectCall& each) { return each.name == name; });
  if (!reads_file && found == std::end(kLargeObjectCalls)) return false;
  effects_.add("call", ObjectKind::function, "pg_catalog." + std::string(name), Access::execute);
  if (reads_file) return file(0, Access::read), true;
  effects_.all_columns(effects_.add("call", ObjectKind::relation, std::string(kLargeObjects), found->access));
  if (found->file >= 0)
    file(static_cast<size_t>(found->file), found->access == Access::read ? Access::write : Access::read);
  return true;
}

// Functions that run SQL which they are given as text, and those that read a table they are given by name.
bool Query::text_call(std::string_view name, const pg::Nodes& arguments, Lineage& reads) {
  std::string text;
  size_t argument = name == "ts_rewrite" ? 1 : 0;
  bool runs = name.starts_with("query_to_xml") || name == "ts_stat" || name == "ts_rewrite";
  bool table = name.starts_with("table_to_xml");
  if ((!runs && !table) || argument >= arguments.size()) return false;
  if (!(table ? fold_relation(arguments[argument], text) : fold_text(arguments[argument], text))) return false;
  if (table) {
    std::vector<std::string> names = split_names(text);
    if (names.empty() || names.size() > 2) return false;
    text = "TABLE ";
    for (const std::string& part : names) text.append(&part == &names[0] ? "" : ".").append(quoted_name(part));
  }
  effects_.add("call", ObjectKind::function, "pg_catalog." + std::string(name), Access::execute);
  return run_given("pg_catalog." + std::string(name), text, reads), true;
}

// Functions in C of tablefunc run SQL that they are given; what they read is known if that is constant.
bool Query::library_call(const Routine& routine, const FuncCall* call, Lineage& reads) {
  if (call == nullptr || routine.library != "$libdir/tablefunc") return false;
  if (routine.source == "normal_rand") return true;
  pg::Nodes arguments(call->args);
  bool connects = routine.source.starts_with("connectby_text");
  bool hash = routine.source == "crosstab_hash";
  // Of the overloads this one takes two texts: other calls do not reach it.
  const auto* second = arguments.size() < 2 ? nullptr : pg::as<A_Const>(arguments[1]);
  if (hash && (arguments.size() != 2 || (second != nullptr && second->val.node.type == T_Integer))) return true;
  size_t wanted = connects ? 3 : hash ? 2 : 1;
  if (arguments.size() < wanted || (!connects && !routine.source.starts_with("crosstab"))) return false;
  std::vector<std::string> texts(wanted);
  for (size_t i = 0; i < wanted; ++i)
    if (!fold_text(arguments[i], texts[i])) return false;
  // It puts the three together just so.
  if (connects) texts = {"SELECT " + texts[1] + "," + texts[2] + " FROM " + texts[0]};
  for (const std::string& text : texts) run_given(join_names(routine.schema, routine.name), text, reads);
  return true;
}

void Query::sequence_call(std::string_view name, const Node* argument, Access access) {
  std::string text;
  std::vector<std::string> names;
  if (fold_relation(argument, text)) names = split_names(text);
  bool oid = !names.empty() && names[0].find_first_not_of("0123456789") == std::string::npos;
  if (names.empty() || names.size() > 3 || oid) {
    effects_.unknown(ObjectKind::relation, "", access,
                     "the sequence that " + std::string(name) + " is for is computed");
    return;
  }
  std::string_view schema = names.size() > 1 ? std::string_view(names[names.size() - 2]) : std::string_view();
  relation_effect(schema, names.back(), class_, access, true);
}

void Query::set_config_call(const FuncCall* call) {
  pg::Nodes arguments(call->args);
  std::string name, value;
  if (!fold_text(arguments[0], name) || name.empty()) {
    effects_.unknown(ObjectKind::setting, "", Access::write, "the setting that set_config changes is computed");
    effects_.statement().moves_meaning = effects_.statement().moves_lexing = true;
    state_.names.move("a call earlier in the text may have changed it");
    return;
  }
  bool told = is_null(arguments[1]) || fold_text(arguments[1], value);
  setting(name, "set", told ? value : "");
  if (!told)
    effects_.unknown(ObjectKind::setting, fold_setting(name), Access::write,
                     "the value that set_config gives " + fold_setting(name) + " is computed");
}

}  // namespace sallyport::sql
