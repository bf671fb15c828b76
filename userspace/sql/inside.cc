// SPDX-License-Identifier: Apache-2.0
#include "sql/inside.h"

#include <algorithm>
#include <utility>

#include "sallyport/base/limits.h"
#include "sql/settings.h"

namespace sallyport::sql {

using model::Access;
using model::ObjectKind;

namespace {

constexpr size_t kReadsMax = 20'000;  // columns that functions of one statement read

// The schemas of a search_path as the server goes through them: temporary relations and pg_catalog come first
// unless they are listed.
std::vector<std::string> schemas_of(std::string_view value) {
  std::vector<std::string> schemas;
  size_t at = 0;
  while ((at = value.find_first_not_of(" ,\t\n", at)) != std::string_view::npos) {
    std::string name;
    if (value[at] == '"') {
      for (++at; at < value.size(); ++at) {
        if (value[at] == '"' && (at + 1 >= value.size() || value[at + 1] != '"')) break;
        if (value[at] == '"') ++at;
        name.push_back(value[at]);
      }
      ++at;
    } else {
      size_t end = std::min(value.find_first_of(" ,\t\n", at), value.size());
      name = fold_setting(value.substr(at, end - at));
      at = end;
    }
    if (!name.empty()) schemas.push_back(std::move(name));
    if (at >= value.size()) break;
  }
  auto lists = [&](std::string_view name) { return std::find(schemas.begin(), schemas.end(), name) != schemas.end(); };
  if (!lists("pg_catalog")) schemas.insert(schemas.begin(), "pg_catalog");
  if (!lists("pg_temp")) schemas.insert(schemas.begin(), "pg_temp");
  return schemas;
}

}  // namespace

Query::Inside::Inside(Query& query, const Routine* routine, std::vector<ColumnRead>& reads, Naming naming,
                      std::string_view through)
    : query_(query), state_(query.state_), reads_(reads), outer_way_(state_.way), through_(through) {
  ++state_.inside;
  planned_ = query.effects_.planned() && (routine == nullptr || routine->volatility == 'v');
  outer_path_ = state_.names.exchange_path({});
  SearchPath path;
  if (naming == own_names) path = outer_path_;
  if (routine != nullptr) enter(*routine, path);
  if (naming == session_names) path = {};
  state_.names.exchange_path(std::move(path));
  if (query.effects_.planned() && !planned_) state_.way.append("!");
  if (!through.empty()) state_.way.append(through).push_back(' ');
}

Query::Inside::~Inside() {
  --state_.inside;
  state_.way = std::move(outer_way_);
  state_.names.exchange_path(std::move(outer_path_));
}

template <class Each>
bool Query::Inside::parse(const std::string& text, std::string_view& why, Each each) {
  state_.routine_bytes += text.size();
  if (state_.routine_bytes > limits::kSqlRoutineBytesMax) return why = "it is longer than the limit", false;
  if (!is_utf8(text) || text.find('\0') != std::string::npos) return why = "it is not valid UTF-8", false;
  Scan scanned = scan(text, state_.standard_strings);
  if (!scanned.refused.empty()) return why = scanned.refused, false;
  pg::ParseTree tree(text.c_str(), state_.standard_strings);
  if (!tree.ok()) return why = "it does not parse", false;
  for (const Node* node : tree.statements())
    if (const auto* raw = pg::as<RawStmt>(node)) each(raw->stmt);
  return true;
}

bool Query::Inside::run(const std::string& text, const Scope& scope, std::string_view& why) {
  return parse(text, why, [&](const Node* node) { run(node, scope); });
}

bool Query::Inside::run_definition(const std::string& text, const Scope& scope, std::string_view& why) {
  return parse(text, why, [&](const Node* node) {
    if (nodeTag(node) != T_CreateFunctionStmt) return;
    const Node* body = reinterpret_cast<const CreateFunctionStmt*>(node)->sql_body;
    if (body != nullptr && nodeTag(body) == T_ReturnStmt)
      return run_value(reinterpret_cast<const ReturnStmt*>(body)->returnval, scope);
    for (const Node* list : pg::Nodes(body))
      for (const Node* each : pg::Nodes(list)) run(each, scope);
  });
}

bool Query::Inside::run_trigger(const std::string& text, const Scope& scope, std::string_view& why) {
  return parse(text, why, [&](const Node* node) {
    if (nodeTag(node) == T_CreateTrigStmt) run_value(reinterpret_cast<const CreateTrigStmt*>(node)->whenClause, scope);
  });
}

bool Query::Inside::run_rule(const std::string& text, const FactPtr& table, std::string_view& why) {
  return parse(text, why, [&](const Node* node) {
    if (nodeTag(node) != T_RuleStmt) return;
    const auto* rule = reinterpret_cast<const RuleStmt*>(node);
    run_action(rule->whereClause, table);
    for (const Node* action : pg::Nodes(rule->actions)) run_action(action, table);
  });
}

// An expression or a statement over the rows OLD and NEW of a table.
void Query::Inside::run_action(const Node* node, const FactPtr& table) {
  if (node == nullptr) return;
  Statement inner;
  Effects effects(inner);
  effects.exchange_planned(planned_);
  Query query(state_, effects);
  Scope scope;
  for (std::string_view name : {"old", "new"}) {
    Item item;
    item.name = name;
    item.use = query.use({table, {}}, "select", true, true);
    item.qualified_only = true;
    scope.items.push_back(std::move(item));
  }
  switch (nodeTag(node)) {
    case T_NotifyStmt:
      effects.add("notify", ObjectKind::channel, reinterpret_cast<const NotifyStmt*>(node)->conditionname,
                  Access::write);
      break;
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
      query.statement(node, &scope, nullptr);
      break;
    default:
      query.test(query.expression(node, &scope, "select"));
  }
  query.finish_lineage();
  effects.finish();
  if (effects.overflowed()) state_.too_complex = true;
  adopt(inner);
}

bool Query::Inside::run_dynamic(const std::string& expression, const Scope& scope, std::string_view& why) {
  std::string text;
  bool constant = false;
  bool parsed = parse("SELECT " + expression, why, [&](const Node* node) {
    run(node, scope);
    const auto* select = pg::as<SelectStmt>(node);
    if (select == nullptr || pg::Nodes(select->targetList).size() != 1) return;
    const auto* target = pg::as<ResTarget>(pg::Nodes(select->targetList)[0]);
    constant = target != nullptr && query_.fold_text(target->val, text);
  });
  if (!parsed) return false;
  if (constant) return run(text, Scope(), why);
  return why = "it runs text that is computed", false;
}

bool Query::Inside::run_view(const std::string& text, const std::string& through, uint8_t commands, bool write,
                             std::string_view& why) {
  if (!through.empty()) state_.way.append(through).push_back(' ');
  std::string_view outer_class = query_.class_;
  return parse(text, why, [&](const Node* node) {
    if (nodeTag(node) == T_ViewStmt) node = reinterpret_cast<const ViewStmt*>(node)->query;
    if (const auto* create = pg::as<CreateTableAsStmt>(node)) node = create->query;
    Statement inner;
    Effects effects(inner);
    effects.exchange_planned(planned_);
    effects.set_base(through);
    Query view(state_, effects);
    view.statement(node, nullptr, nullptr);
    const auto* select = pg::as<SelectStmt>(node);
    if (write && select != nullptr && pg::Nodes(select->fromClause).size() == 1) {
      if (const auto* base = pg::as<RangeVar>(pg::Nodes(select->fromClause)[0])) {
        view.class_ = outer_class;
        effects.all_columns(view.relation_effect(base, outer_class, Access::write));
        view.write_target(base, outer_class, commands);
      }
    }
    effects.finish();
    if (effects.overflowed()) state_.too_complex = true;
    adopt(inner);
  });
}

void Query::Inside::enter(const Routine& routine, SearchPath& path) {
  std::string name = join_names(routine.schema, routine.name);
  if (routine.security_definer) {
    through_ = name;
    path.owner = routine.owner;
  }
  for (const std::string& text : routine.settings) {
    size_t equals = std::min(text.find('='), text.size());
    std::string setting = fold_setting(text.substr(0, equals));
    if (setting != "search_path") {
      query_.effects_.add("set", ObjectKind::setting, std::move(setting), Access::write);
      continue;
    }
    path = {true, schemas_of(std::string_view(text).substr(std::min(equals + 1, text.size()))), ""};
    if (std::find(path.schemas.begin(), path.schemas.end(), "$user") != path.schemas.end())
      query_.effects_.unknown(ObjectKind::function, name, Access::execute,
                              "function " + name + " searches the schema of whoever calls it");
  }
  if (routine.security_definer || path.fixed) state_.way.append(name).push_back(' ');
}

void Query::Inside::run(const Node* node, const Scope& scope) {
  static const NoSessionNames kNoNames;
  Statement inner;
  LocalNames local;
  const std::vector<Statement> earlier;
  Command command(state_, kNoNames, local, earlier, inner, &scope);
  if (!command.run_inside(node, planned_)) state_.too_complex = true;
  state_.names.settle();  // what it moved, has moved
  moved_ |= inner.moves_meaning;
  adopt(inner);
}

void Query::Inside::run_value(const Node* node, const Scope& scope) {
  Statement inner;
  Effects effects(inner);
  effects.exchange_planned(planned_);
  Query query(state_, effects);
  query.expression(node, &scope, "select");
  query.finish_lineage();
  effects.finish();
  if (effects.overflowed()) state_.too_complex = true;
  adopt(inner);
}

void Query::Inside::adopt(Statement& inner) {
  if (inner.transaction_control) inner.moves_meaning = true;
  inner.computed_output = false;
  for (const model::Effect& effect : inner.effects) {
    if (effect.access == Access::write || effect.statement_class == model::kUnknownClass) ++state_.doings;
    if (effect.kind != ObjectKind::relation || effect.access != Access::read) continue;
    for (const FactPtr& fact : inner.relations) {
      if (object_name(*fact) != effect.object) continue;
      if (effect.all_columns) reads_.push_back({fact, "*"});
      for (const std::string& column : effect.columns) reads_.push_back({fact, column});
    }
  }
  if (reads_.size() > kReadsMax) state_.too_complex = true;
  query_.effects_.adopt(inner, through_);
  if (query_.effects_.overflowed()) state_.too_complex = true;
}

}  // namespace sallyport::sql
