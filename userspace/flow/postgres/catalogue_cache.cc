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
  static constexpr std::string_view kOperators[] = {"=", "<>", ">", ">>", "&", "|", "+"};
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

/// The highest n of all $n.
int last_parameter(std::string_view text) {
  int last = 0;
  for (size_t at = 0; (at = text.find('$', at)) != std::string_view::npos; ++at) {
    int number = 0;
    std::from_chars(text.data() + at + 1, text.data() + text.size(), number);
    last = std::max(last, number);
  }
  return last;
}

template <class Set>
auto nth(const Set& set, size_t one_based) {
  return one_based >= 1 && one_based <= set.size() ? std::next(set.begin(), static_cast<long>(one_based - 1))
                                                   : set.end();
}

/// Moves the names that `from` knows out of `wanted`, and its facts into `to`.
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
  if (row.at("up").is_array())
    for (const json& ancestor : row.at("up")) fact->family.push_back(qualified(ancestor));
  if (row.at("down").is_array())
    for (const json& descendant : row.at("down")) {
      fact->family.push_back(qualified(descendant));
      fact->descendants.push_back(qualified(descendant));
    }
  return fact;
}

}  // namespace

const std::string& lookup_sql() {
  static const std::string kSql = qualify_operators(replaced(kLookupText, "$server", kServerIdentity));
  return kSql;
}

const std::string& lookup_sql_with_path() {
  static const std::string kSql = [] {
    const int last = last_parameter(lookup_sql());
    const std::string path = fmt::format("${}::pg_catalog.name[]", last + 1);
    std::string text = replaced(lookup_sql(), "pg_catalog.current_schemas(true)", path);
    text = replaced(std::move(text), "pg_catalog.current_schemas(false)", path);
    return replaced(std::move(text), "pg_catalog.current_schema()", fmt::format("${}::pg_catalog.text", last + 2));
  }();
  return kSql;
}

const std::string* CatalogueCache::function_name(uint32_t oid) const {
  auto found = function_names_.find(oid);
  return found == function_names_.end() ? nullptr : &found->second;
}

bool CatalogueCache::too_old(const Now& now) const {
  return !empty_ && now.monotonic_ns - oldest_monotonic_ns_ > limits::kCatalogueFactMaxAgeMs * kNanosPerMilli;
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
  unavailable_ = {};
  empty_ = true;
  own_ = false;
}

bool CatalogueCache::may_share(const SharedCatalogue& shared, const Now& now) const {
  // Times are those of loop turns: what came in one may have happened a little after its time.
  const int64_t after_own_ns = moved_ns_ == 0 ? 0 : moved_ns_ + limits::kCatalogueFactMaxAgeMs * kNanosPerMilli;
  return session_.known && !session_.temporary && shared.valid(now) && shared.validated_ns > after_own_ns &&
         shared.generation == session_.generation && shared.server == session_.server;
}

void CatalogueCache::take(const SharedCatalogue& shared, LookupRequest& request) {
  auto found = shared.facts.find(session_.path);
  if (found == shared.facts.end()) return;
  const sql::Catalogue& facts = *found->second;
  bool any = take_facts(facts.relations, request.relations, catalogue_.relations);
  any |= take_facts(facts.functions, request.functions, catalogue_.functions);
  if (!any) return;
  oldest_monotonic_ns_ = empty_ ? shared.validated_ns : std::min(oldest_monotonic_ns_, shared.validated_ns);
  empty_ = false;
}

std::vector<std::string> CatalogueCache::parameters(const LookupRequest& request, const SearchPath* path) {
  const std::string schemas = text_array(
      request.relations, [](const auto& n) -> auto& { return n.schema; });
  const std::string names = text_array(
      request.relations, [](const auto& n) -> auto& { return n.name; });
  const std::string functions = text_array(
      request.functions, [](const auto& n) -> auto& { return n.name; });
  const std::string oids = text_array(request.function_oids, [](uint32_t oid) { return std::to_string(oid); });
  std::vector<std::string> out = {schemas, names, functions, oids};
  if (path) {
    out.push_back(text_array(
        path->schemas, [](const std::string& schema) -> auto& { return schema; }));
    out.push_back(path->creation_schema);
  }
  return out;
}

void CatalogueCache::encode(const LookupRequest& request, std::string& out) {
  const std::vector<std::string> texts = parameters(request);
  const std::vector<postgres::Value> parameters(texts.begin(), texts.end());
  postgres::append_parse(out, kLookupName, lookup_sql());
  postgres::append_bind(out, kLookupName, kLookupName, {}, parameters, {});
  postgres::append_execute(out, kLookupName, 0);
  postgres::append_close(out, postgres::Named::portal, kLookupName);
  postgres::append_close(out, postgres::Named::statement, kLookupName);
}

void CatalogueCache::begin(LookupRequest request, uint64_t generation) {
  request_ = std::move(request);
  incoming_ = {};
  incoming_functions_.clear();
  incoming_session_ = {.generation = generation};
}

bool CatalogueCache::add_row(const postgres::DataRow& row) {
  if (row.values.size() != 1) return false;
  const postgres::Value value = *row.values.begin();
  return value && add_row(*value);
}

bool CatalogueCache::add_row(std::string_view text) {
  const json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  try {
    const std::string& what = object.at("q").get_ref<const std::string&>();
    if (what == "r") {
      auto name = nth(request_.relations, object.at("i").get<size_t>());
      if (name == request_.relations.end()) return false;
      incoming_.relations[*name] = relation_from(object);
    } else if (what == "f") {
      auto name = nth(request_.functions, object.at("i").get<size_t>());
      if (name == request_.functions.end()) return false;
      incoming_.functions[*name] = {.shadowed = object.at("shadowed").get<bool>()};
    } else if (what == "o") {
      incoming_functions_[oid_of(object.at("oid"))] =
          fmt::format("{}.{}", object.at("schema").get<std::string>(), object.at("name").get<std::string>());
    } else if (what == "s") {
      incoming_session_.path = {object.at("schema").is_string() ? object.at("schema").get<std::string>() : "",
                                object.at("path").get<std::vector<std::string>>()};
      incoming_session_.temporary = object.at("temp").get<bool>();
      incoming_session_.server = object.at("server").get<std::string>();
      incoming_session_.known = true;
    }
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

void CatalogueCache::finish(const Now& now) {
  for (const sql::RelationName& name : request_.relations)
    if (!incoming_.relations.contains(name)) {
      auto absent = std::make_shared<sql::RelationFact>();
      absent->schema = name.schema.empty() ? incoming_session_.path.creation_schema : name.schema;
      absent->name = name.name;
      incoming_.relations[name] = std::move(absent);
    }
  for (uint32_t oid : request_.function_oids) incoming_functions_.try_emplace(oid);
  catalogue_.relations.merge(incoming_.relations);
  catalogue_.functions.merge(incoming_.functions);
  function_names_.merge(incoming_functions_);
  session_ = std::move(incoming_session_);
  if (empty_) oldest_monotonic_ns_ = now.monotonic_ns;
  empty_ = false;
  own_ = true;
}

void CatalogueCache::fail() {
  unavailable_.relations.merge(request_.relations);
  unavailable_.functions.merge(request_.functions);
  unavailable_.function_oids.merge(request_.function_oids);
}

bool CatalogueCache::failed_for(const sql::Missing& missing) const {
  auto any_in = [](const auto& wanted, const auto& have) {
    return std::ranges::any_of(wanted, [&](const auto& name) { return have.contains(name); });
  };
  return any_in(missing.relations, unavailable_.relations) || any_in(missing.functions, unavailable_.functions);
}

}  // namespace sallyport::flow
