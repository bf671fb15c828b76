// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/catalogue_cache.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "flow/postgres/lookup_sql.h"
#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/encoder.h"

namespace sallyport::flow {
namespace {

using nlohmann::json;

constexpr std::string_view kLookupName = "sallyport look-up";
constexpr int64_t kFactMaxAgeNs = limits::kCatalogueFactMaxAgeMs * kNanosPerMilli;

/// A text[] literal; elements quoted, so that any name is data.
template <class Range, class Get>
std::string text_array(const Range& range, Get get) {
  std::string out = "{";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += '"';
    const std::string text(get(item));
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out += '}';
}

std::string qualified(const json& pair) {
  return fmt::format("{}.{}", pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
}

uint32_t oid_of(const json& value) {
  if (value.is_number_unsigned()) return value.get<uint32_t>();
  const auto& text = value.get_ref<const std::string&>();
  uint32_t oid = 0;
  std::from_chars(text.data(), text.data() + text.size(), oid);
  return oid;
}

std::string qualify_operators(std::string_view text) {
  static constexpr std::string_view kOperators[] = {"=", "<>", ">", ">>", "&", "|", "||", "+", "<=", "~", "!~"};
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n", 1), text.size());
    const std::string_view word = text.substr(1, end - 1);
    const bool is_operator = std::ranges::find(kOperators, word) != std::end(kOperators);
    out += text.front();
    out += is_operator ? fmt::format("OPERATOR(pg_catalog.{})", word) : std::string(word);
    text.remove_prefix(end);
  }
  return out;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

/// A part of the question with its operators qualified.
struct Part {
  explicit Part(const LookupPart& part)
      : with(qualify_operators(part.with)), rows(qualify_operators(replaced(part.rows, "$server", kServerIdentity))) {}
  std::string with;
  std::string rows;
};

/// Only what is asked for is in the question: the server plans it anew each time.
std::string lookup_sql(const LookupRequest& request) {
  static const Part kRelations(kLookupRelations), kBehind(kLookupBehind), kRoutines(kLookupRoutines),
      kTypes(kLookupTypes), kOperators(kLookupOperators), kOids(kLookupFunctionOids), kSession(kLookupSession),
      kUnasked(kLookupUnasked);
  std::string with, rows;
  auto ask = [&](bool wanted, const Part& part) {
    if (!wanted) return;
    if (!part.with.empty()) with.append(with.empty() ? "WITH RECURSIVE" : ",").append(part.with);
    if (!part.rows.empty()) rows.append(rows.empty() ? "" : "\nUNION ALL").append(part.rows);
  };
  const sql::Missing& facts = request.facts;
  ask(!facts.relations.empty() || !facts.behind.empty() || !facts.functions.empty() || !facts.types.empty(), kUnasked);
  ask(!request.facts.relations.empty(), kRelations);
  ask(!request.facts.behind.empty(), kBehind);
  ask(!request.facts.functions.empty(), kRoutines);
  ask(!request.facts.types.empty(), kTypes);
  ask(!request.facts.operators.empty(), kOperators);
  ask(!request.function_oids.empty(), kOids);
  ask(true, kSession);
  return with + rows;
}

/// The same question about a search path that is given, in two more parameters, instead of the connection's own.
std::string with_given_path(std::string sql) {
  sql = replaced(std::move(sql), "pg_catalog.current_schemas(true)", "$12::pg_catalog.name[]");
  sql = replaced(std::move(sql), "pg_catalog.current_schemas(false)", "$12::pg_catalog.name[]");
  return replaced(std::move(sql), "pg_catalog.current_schema()", "$13");
}

constexpr uint32_t kText = 25, kTextArray = 1009, kOidArray = 1028;  // pg_type.oid of text, _text and _oid

/// Moves the names that `from` knows out of `wanted`, and its facts into `to`. True if there were any.
template <class Fact>
bool take_facts(const std::map<sql::RelationName, Fact>& from, std::set<sql::RelationName>& wanted,
                std::map<sql::RelationName, Fact>& to) {
  return std::erase_if(wanted, [&](const sql::RelationName& name) {
           auto known = from.find(name);
           if (known == from.end()) return false;
           to.insert_or_assign(name, known->second);
           return true;
         }) != 0;
}

template <class Set>
auto nth(const Set& set, size_t one_based) {
  return one_based >= 1 && one_based <= set.size() ? std::next(set.begin(), static_cast<long>(one_based - 1))
                                                   : set.end();
}

std::vector<sql::RelationName> names_from(const json& pairs) {
  std::vector<sql::RelationName> names;
  if (!pairs.is_array()) return names;
  for (const json& pair : pairs) names.push_back({pair.at(0).get<std::string>(), pair.at(1).get<std::string>()});
  return names;
}

std::string text_or_empty(const json& value) { return value.is_string() ? value.get<std::string>() : std::string(); }

std::vector<std::string> texts_from(const json& values) {
  std::vector<std::string> texts;
  if (!values.is_array()) return texts;
  for (const json& value : values) texts.push_back(text_or_empty(value));
  return texts;
}

/// `row.at(key)` if it is a list, else none.
const json& list_at(const json& row, const char* key) {
  static const json kNone = json::array();
  auto found = row.find(key);
  return found != row.end() && found->is_array() ? *found : kNone;
}

std::shared_ptr<const sql::BehindFact> behind_from(const json& row) {
  auto made = std::make_shared<sql::BehindFact>();
  sql::BehindFact& fact = *made;
  for (const json& each : list_at(row, "triggers"))
    fact.runs.push_back({.commands = each.at(0).get<uint8_t>(),
                         .what = each.at(1).get<std::string>(),
                         .function = {each.at(2).get<std::string>(), each.at(3).get<std::string>()},
                         .code = text_or_empty(each.at(4))});
  for (const json& each : list_at(row, "code"))
    fact.runs.push_back({.commands = each.at(0).get<uint8_t>(),
                         .what = each.at(1).get<std::string>(),
                         .code = text_or_empty(each.at(2))});
  for (const json& each : list_at(row, "unasked"))
    fact.runs.push_back({.commands = each.at(0).get<uint8_t>(),
                         .what = each.at(1).get<std::string>(),
                         .function = {each.at(2).get<std::string>(), each.at(3).get<std::string>()}});
  for (const json& each : list_at(row, "cascades"))
    fact.cascades.push_back({.commands = each.at(0).get<uint8_t>(),
                             .relation = {each.at(1).get<std::string>(), each.at(2).get<std::string>()},
                             .removes = each.at(3).get<bool>()});
  fact.definition = text_or_empty(row.at("definition"));
  if (auto found = row.find("foreign"); found != row.end() && found->is_object()) {
    fact.server = text_or_empty(found->at("server"));
    fact.wrapper = text_or_empty(found->at("handler"));
    for (const json& option : list_at(*found, "options")) {
      const std::string text = text_or_empty(option);
      if (text.starts_with("filename=")) fact.file = text.substr(9);
      if (text.starts_with("program=")) fact.program = text.substr(8);
    }
  }
  for (const json& option : list_at(row, "options")) {
    const std::string text = text_or_empty(option);
    if (!text.starts_with("security_invoker=")) continue;
    const std::string value = text.substr(17);
    fact.invoker_rights = value != "false" && value != "off" && value != "no" && value != "0";
  }
  return made;
}

std::shared_ptr<const sql::RelationFact> relation_from(const json& row) {
  auto fact = std::make_shared<sql::RelationFact>();
  fact->found = true;
  fact->oid = oid_of(row.at("oid"));
  fact->temporary = row.at("temp").get<bool>();
  fact->schema = fact->temporary ? "pg_temp" : row.at("schema").get<std::string>();
  fact->name = row.at("name").get<std::string>();
  fact->kind = row.at("kind").get_ref<const std::string&>().at(0);
  if (row.at("hidden").is_number()) fact->hidden = row.at("hidden").get<uint8_t>();
  if (row.at("columns").is_array())
    for (const json& column : row.at("columns"))
      fact->columns.push_back(column.is_string() ? column.get<std::string>() : "");
  if (row.at("sequences").is_array())
    for (const json& sequence : row.at("sequences")) fact->sequences.push_back(qualified(sequence));
  for (const json& pair : list_at(row, "generated"))
    fact->generated.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
  for (const json& key : list_at(row, "keys")) fact->references.push_back(qualified(key));
  if (row.at("up").is_array())
    for (const json& ancestor : row.at("up")) fact->family.push_back(qualified(ancestor));
  if (row.at("down").is_array())
    for (const json& descendant : row.at("down")) {
      fact->family.push_back(qualified(descendant));
      fact->descendants.push_back(qualified(descendant));
    }
  return fact;
}

std::shared_ptr<const sql::Routine> routine_from(const json& row) {
  auto routine = std::make_shared<sql::Routine>();
  routine->schema = row.at("schema").get<std::string>();
  routine->name = row.at("name").get<std::string>();
  routine->owner = text_or_empty(row.at("owner"));
  routine->kind = row.at("kind").get_ref<const std::string&>().at(0);
  routine->volatility = row.at("volatility").get_ref<const std::string&>().at(0);
  routine->security_definer = row.at("definer").get<bool>();
  routine->language = row.at("language").get<std::string>();
  routine->source = text_or_empty(row.at("source"));
  routine->definition = row.at("definition").get<bool>();
  routine->library = text_or_empty(row.at("library"));
  routine->defaults = text_or_empty(row.at("defaults"));
  routine->settings = texts_from(row.at("settings"));
  routine->parameters = texts_from(row.at("parameters"));
  routine->parts = names_from(row.at("parts"));
  routine->types = names_from(row.at("types"));
  return routine;
}

}  // namespace

const std::string* CatalogueCache::function_name(uint32_t oid) const {
  auto found = function_names_.find(oid);
  return found == function_names_.end() ? nullptr : &found->second;
}

bool CatalogueCache::too_old(const Now& now) const {
  return !empty_ && now.monotonic_ns - oldest_monotonic_ns_ > kFactMaxAgeNs;
}

bool CatalogueCache::expire(const SharedCatalogue* shared, const Now& now) {
  if (!too_old(now)) return false;
  const bool path_holds = shared && may_share(*shared, now);
  if (path_holds && !own_) {
    oldest_monotonic_ns_ = shared->validated_ns;
    return false;
  }
  drop_facts();
  if (!path_holds) session_ = {};
  return true;
}

void CatalogueCache::invalidate(const Now& now) {
  drop_facts();
  session_ = {};
  moved_ns_ = now.monotonic_ns;
}

void CatalogueCache::drop_facts() {
  catalogue_ = {};
  function_names_.clear();
  bytes_ = 0;
  unavailable_ = {};
  empty_ = true;
  own_ = false;
  snapshot_.clear();
}

bool CatalogueCache::may_share(const SharedCatalogue& shared, const Now& now) const {
  // Times are those of loop turns: what came in one may have happened a little after its time.
  const int64_t after_own_ns = moved_ns_ == 0 ? 0 : moved_ns_ + kFactMaxAgeNs;
  return session_.known && !session_.temporary && shared.valid(now) && shared.validated_ns > after_own_ns &&
         shared.generation == session_.generation && shared.server == session_.server;
}

void CatalogueCache::take(const SharedCatalogue& shared, LookupRequest& request) {
  auto found = shared.facts.find(session_.path);
  if (found == shared.facts.end()) return;
  const sql::Catalogue& facts = *found->second;
  sql::Missing& wanted = request.facts;
  bool any = take_facts(facts.relations, wanted.relations, catalogue_.relations);
  any |= take_facts(facts.behind, wanted.behind, catalogue_.behind);
  any |= take_facts(facts.functions, wanted.functions, catalogue_.functions);
  any |= take_facts(facts.types, wanted.types, catalogue_.types);
  any |= take_facts(facts.operators, wanted.operators, catalogue_.operators);
  if (!any) return;
  oldest_monotonic_ns_ = empty_ ? shared.validated_ns : std::min(oldest_monotonic_ns_, shared.validated_ns);
  snapshot_.clear();
  empty_ = false;
}

CatalogueCache::Question CatalogueCache::question(const LookupRequest& request, const SearchPath* path) {
  auto schemas = [](const std::set<sql::RelationName>& wanted) {
    return text_array(
        wanted, [](const auto& n) -> auto& { return n.schema; });
  };
  auto names = [](const std::set<sql::RelationName>& wanted) {
    return text_array(
        wanted, [](const auto& n) -> auto& { return n.name; });
  };
  const sql::Missing& facts = request.facts;
  Question out{
      .text = lookup_sql(request),
      .parameters = {schemas(facts.relations), names(facts.relations), schemas(facts.functions), names(facts.functions),
                     text_array(request.function_oids, [](uint32_t oid) { return std::to_string(oid); }),
                     schemas(facts.types), names(facts.types), schemas(facts.operators), names(facts.operators),
                     schemas(facts.behind), names(facts.behind)}};
  out.types.assign(out.parameters.size(), kTextArray);
  out.types[4] = kOidArray;
  if (path) {
    out.text = with_given_path(std::move(out.text));
    out.parameters.push_back(text_array(
        path->schemas, [](const std::string& schema) -> auto& { return schema; }));
    out.parameters.push_back(path->creation_schema);
    out.types.insert(out.types.end(), {kTextArray, kText});
  }
  return out;
}

void CatalogueCache::encode(const LookupRequest& request, std::string& out) {
  const Question asked = question(request);
  const std::vector<postgres::Value> parameters(asked.parameters.begin(), asked.parameters.end());
  postgres::append_parse(out, kLookupName, asked.text, asked.types);
  postgres::append_bind(out, kLookupName, kLookupName, {}, parameters, {});
  postgres::append_execute(out, kLookupName, 0);
  postgres::append_close(out, postgres::Named::portal, kLookupName);
  postgres::append_close(out, postgres::Named::statement, kLookupName);
}

void CatalogueCache::encode_description(std::string_view query, std::string& out) {
  postgres::append_parse(out, kLookupName, query);
  postgres::append_describe(out, postgres::Named::statement, kLookupName);
  postgres::append_close(out, postgres::Named::statement, kLookupName);
}

void CatalogueCache::begin(LookupRequest request, uint64_t generation) {
  request_ = std::move(request);
  incoming_ = {};
  too_many_.clear();
  incoming_functions_.clear();
  incoming_session_ = {.generation = generation};
}

bool CatalogueCache::add_row(const postgres::DataRow& row) {
  if (row.values.size() != 1) return false;
  const postgres::Value value = *row.values.begin();
  if (!value) return false;
  bytes_ += value->size();
  return bytes_ <= kCatalogueBytesMax && add_row(*value);
}

bool CatalogueCache::add_row(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  try {
    const std::string& what = object.at("q").get_ref<const std::string&>();
    if (what == "r") {
      auto name = nth(request_.facts.relations, object.at("i").get<size_t>());
      if (name == request_.facts.relations.end()) return false;
      incoming_.relations[*name] = relation_from(object);
    } else if (what == "b") {
      auto name = nth(request_.facts.behind, object.at("i").get<size_t>());
      if (name == request_.facts.behind.end()) return false;
      incoming_.behind[*name] = behind_from(object);
    } else if (what == "f") {
      auto name = nth(request_.facts.functions, object.at("i").get<size_t>());
      if (name == request_.facts.functions.end()) return false;
      sql::FunctionFact& fact = incoming_.functions[*name];
      fact.shadowed = true;
      if (object.at("more").get<bool>()) too_many_.insert(*name);
      fact.routines.push_back(routine_from(object));
    } else if (what == "t") {
      auto name = nth(request_.facts.types, object.at("i").get<size_t>());
      if (name == request_.facts.types.end()) return false;
      incoming_.types[*name] = {true, texts_from(object.at("checks")), names_from(object.at("functions")),
                                object.at("builtin").get<bool>()};
    } else if (what == "x") {
      auto name = nth(request_.facts.operators, object.at("i").get<size_t>());
      if (name == request_.facts.operators.end()) return false;
      incoming_.operators[*name] = {names_from(object.at("functions"))};
    } else if (what == "o") {
      incoming_functions_[oid_of(object.at("oid"))] =
          fmt::format("{}.{}", object.at("schema").get<std::string>(), object.at("name").get<std::string>());
    } else if (what == "s") {
      incoming_session_.path = {text_or_empty(object.at("schema")), object.at("path").get<std::vector<std::string>>()};
      incoming_session_.temporary = object.at("temp").get<bool>();
      incoming_session_.server = object.at("server").get<std::string>();
      incoming_session_.frozen = object.at("frozen").get<bool>();
      incoming_session_.snapshot = text_or_empty(object.at("snapshot"));
      incoming_session_.known = true;
    }
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

/// Snapshots that are equal have no end of a transaction with an id between them: no definition can have changed.
bool CatalogueCache::renew(int64_t asked_monotonic_ns) {
  const bool holds = incoming_session_.known && !snapshot_.empty() && incoming_session_.snapshot == snapshot_ &&
                     incoming_session_.path == session_.path && incoming_session_.server == session_.server &&
                     incoming_session_.temporary == session_.temporary;
  session_ = std::move(incoming_session_);
  if (!holds) return drop_facts(), false;
  oldest_monotonic_ns_ = asked_monotonic_ns;
  return true;
}

CatalogueCache::Answered CatalogueCache::finish(const Asked& asked, const Now& now) {
  if (request_.empty()) return renew(asked.monotonic_ns) ? Answered::holds : Answered::moved;
  // The server resolves names by the definitions of now, whatever snapshot a transaction keeps.
  const bool old = incoming_session_.frozen && asked.transaction_monotonic_ns != 0;
  if (old && now.monotonic_ns - asked.transaction_monotonic_ns > kFactMaxAgeNs) {
    session_ = std::move(incoming_session_);
    return Answered::outdated;
  }
  for (const sql::RelationName& name : request_.facts.relations)
    if (!incoming_.relations.contains(name)) {
      auto absent = std::make_shared<sql::RelationFact>();
      absent->schema = name.schema.empty() ? incoming_session_.path.creation_schema : name.schema;
      absent->name = name.name;
      incoming_.relations[name] = std::move(absent);
    }
  for (const sql::RelationName& name : request_.facts.behind)
    incoming_.behind.try_emplace(name, std::make_shared<sql::BehindFact>(sql::BehindFact{.hidden = 0xff}));
  for (const sql::RelationName& name : request_.facts.functions) incoming_.functions.try_emplace(name);
  for (const sql::RelationName& name : too_many_) incoming_.functions[name].routines.clear();
  for (const sql::RelationName& name : request_.facts.types) incoming_.types.try_emplace(name);
  for (const sql::RelationName& name : request_.facts.operators) incoming_.operators.try_emplace(name);
  for (uint32_t oid : request_.function_oids) incoming_functions_.try_emplace(oid);
  catalogue_.relations.merge(incoming_.relations);
  catalogue_.behind.merge(incoming_.behind);
  catalogue_.functions.merge(incoming_.functions);
  catalogue_.types.merge(incoming_.types);
  catalogue_.operators.merge(incoming_.operators);
  function_names_.merge(incoming_functions_);
  session_ = std::move(incoming_session_);
  if (empty_) {
    oldest_monotonic_ns_ = now.monotonic_ns;
    snapshot_ = session_.snapshot;
  }
  if (old) oldest_monotonic_ns_ = std::min(oldest_monotonic_ns_, asked.transaction_monotonic_ns);
  empty_ = false;
  own_ = true;
  return Answered::holds;
}

void CatalogueCache::fail() {
  if (request_.empty()) return drop_facts();
  unavailable_.facts.relations.merge(request_.facts.relations);
  unavailable_.facts.behind.merge(request_.facts.behind);
  unavailable_.facts.functions.merge(request_.facts.functions);
  unavailable_.facts.types.merge(request_.facts.types);
  unavailable_.facts.operators.merge(request_.facts.operators);
  unavailable_.function_oids.merge(request_.function_oids);
}

bool CatalogueCache::failed_for(const sql::Missing& missing) const {
  auto any_in = [](const auto& wanted, const auto& have) {
    return std::ranges::any_of(wanted, [&](const auto& name) { return have.contains(name); });
  };
  const sql::Missing& facts = unavailable_.facts;
  return any_in(missing.relations, facts.relations) || any_in(missing.behind, facts.behind) ||
         any_in(missing.functions, facts.functions) || any_in(missing.types, facts.types) ||
         any_in(missing.operators, facts.operators);
}

}  // namespace sallyport::flow
