// SPDX-License-Identifier: Apache-2.0
// Reads a file of hostile and of harmless statements with what a real server touched for each, and
// prints how many are covered by effects:
//   sql_measure hostile_sql.jsonl [catalogue.jsonl]
// The catalogue (dump_catalogue.sql prints one from the companion schema) answers Missing; without it
// relations are assumed to be plain tables, and cases that only a catalogue decides count apart.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "render.h"
#include "sallyport/sql/analysis.h"

namespace {

using namespace sallyport;  // NOLINT: one small program
using nlohmann::json;

/// What earlier messages of a case prepared and declared.
class Session final : public sql::SessionNames {
 public:
  const sql::Statement* prepared(std::string_view name) const override { return find(prepared_, name); }
  const sql::Statement* cursor(std::string_view name) const override { return find(cursors_, name); }
  void note(const sql::Analysis& analysis) {
    for (const sql::Statement& statement : analysis.statements) {
      if (!statement.name_change.has_value()) continue;
      const sql::NameChange& change = *statement.name_change;
      if (change.kind == sql::NameChange::prepare) prepared_[change.name] = statement;
      if (change.kind == sql::NameChange::declare_cursor) cursors_[change.name] = statement;
    }
  }

 private:
  using Map = std::map<std::string, sql::Statement, std::less<>>;
  static const sql::Statement* find(const Map& map, std::string_view name) {
    auto found = map.find(name);
    return found == map.end() ? nullptr : &found->second;
  }
  Map prepared_, cursors_;
};

/// A catalogue read from a file; `path` is what the session's search_path would be.
class FileCatalogue {
 public:
  explicit FileCatalogue(const char* path) {
    if (path == nullptr) {
      catalogue_.assume_plain = true;
      return;
    }
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      if (line.empty() || line[0] != '{') continue;
      json row = json::parse(line);
      if (row.contains("q")) {
        other(row);
        continue;
      }
      auto fact = std::make_shared<sql::RelationFact>();
      fact->found = true;
      fact->oid = row["oid"];
      fact->schema = row["schema"];
      fact->name = row["name"];
      fact->kind = row["kind"].get<std::string>()[0];
      fact->hidden = row["hidden"];
      fact->columns = row["columns"].get<std::vector<std::string>>();
      fact->family = row["family"].get<std::vector<std::string>>();
      fact->descendants = row["descendants"].get<std::vector<std::string>>();
      fact->references = row["references"].get<std::vector<std::string>>();
      fact->sequences = row["sequences"].get<std::vector<std::string>>();
      catalogue_.relations[{fact->schema, fact->name}] = fact;
    }
  }

  sql::Analysis analyse(const std::string& text, const std::vector<std::string>& path, const Session& session) {
    sql::Settings settings;
    settings.creation_schema = path.empty() ? "public" : path[0];
    sql::Catalogue catalogue = catalogue_;
    for (int round = 0; round < 16; ++round) {
      auto answer = sql::analyse(text, settings, catalogue, session);
      if (auto* analysis = std::get_if<sql::Analysis>(&answer)) return std::move(*analysis);
      const auto& missing = std::get<sql::Missing>(answer);
      for (const sql::RelationName& name : missing.relations) catalogue.relations[name] = find(name, path);
      for (const sql::RelationName& name : missing.behind) catalogue.behind[name] = first(behind_, name, path);
      for (const sql::RelationName& name : missing.functions) catalogue.functions[name] = function(name, path);
      for (const sql::RelationName& name : missing.types) catalogue.types[name] = first(types_, name, path);
      for (const sql::RelationName& name : missing.operators) catalogue.operators[name] = operators(name, path);
    }
    return {};
  }

 private:
  using Path = std::vector<std::string>;

  static Path schemas_of(const sql::RelationName& name, const Path& path) {
    if (!name.schema.empty()) return {name.schema};
    Path schemas = {"pg_catalog"};
    schemas.insert(schemas.end(), path.begin(), path.end());
    return schemas;
  }

  template <class Map>
  static typename Map::mapped_type first(const Map& facts, const sql::RelationName& name, const Path& path) {
    for (const std::string& schema : schemas_of(name, path)) {
      auto found = facts.find({schema, name.name});
      if (found != facts.end()) return found->second;
    }
    return {};
  }

  std::shared_ptr<const sql::RelationFact> find(const sql::RelationName& name, const Path& path) {
    auto found = first(catalogue_.relations, name, path);
    return found != nullptr ? found : std::make_shared<sql::RelationFact>();
  }

  sql::FunctionFact function(const sql::RelationName& name, const Path& path) const {
    sql::FunctionFact fact;
    for (const std::string& schema : schemas_of(name, path)) {
      auto [begin, end] = routines_.equal_range({schema, name.name});
      for (auto each = begin; each != end; ++each) fact.routines.push_back(each->second);
    }
    fact.shadowed = !fact.routines.empty();
    return fact;
  }

  sql::OperatorFact operators(const sql::RelationName& name, const Path& path) const {
    sql::OperatorFact fact;
    for (const std::string& schema : schemas_of(name, path)) {
      auto found = operators_.find({schema, name.name});
      if (found == operators_.end()) continue;
      fact.functions.insert(fact.functions.end(), found->second.functions.begin(), found->second.functions.end());
    }
    return fact;
  }

  static std::vector<sql::RelationName> names_of(const json& pairs) {
    std::vector<sql::RelationName> names;
    for (const json& pair : pairs) names.push_back({pair[0], pair[1]});
    return names;
  }

  void other(const json& row) {
    sql::RelationName name{row["schema"], row["name"]};
    if (row["q"] == "t")
      types_[name] = {true, row["checks"].get<Path>(), names_of(row["functions"]), name.schema == "pg_catalog"};
    if (row["q"] == "b") {
      auto behind = std::make_shared<sql::BehindFact>();
      behind->hidden = row["hidden"];
      behind->definition = row["definition"];
      for (const json& each : row["runs"]) behind->runs.push_back({each[0], each[1], {each[2], each[3]}, each[4]});
      for (const json& each : row["cascades"]) behind->cascades.push_back({each[0], {each[1], each[2]}, each[3]});
      if (row["foreign"].is_object()) {
        behind->wrapper = row["foreign"]["handler"];
        behind->server = row["foreign"]["server"];
        for (const json& option : row["foreign"].value("options", json::array()))
          if (option.get<std::string>().starts_with("filename=")) behind->file = option.get<std::string>().substr(9);
      }
      behind_[name] = std::move(behind);
    }
    if (row["q"] == "x") operators_[name] = {names_of(row["functions"])};
    if (row["q"] != "f") return;
    auto routine = std::make_shared<sql::Routine>();
    routine->schema = name.schema;
    routine->name = name.name;
    routine->owner = row["owner"];
    routine->kind = row["kind"].get<std::string>()[0];
    routine->volatility = row["volatility"].get<std::string>()[0];
    routine->security_definer = row["definer"];
    routine->language = row["language"];
    routine->source = row["source"];
    routine->definition = row["definition"];
    routine->library = row["library"];
    routine->defaults = row["defaults"];
    routine->settings = row["settings"].get<Path>();
    routine->parameters = row["parameters"].get<Path>();
    routine->parts = names_of(row["parts"]);
    routine->types = names_of(row["types"]);
    routines_.emplace(name, std::move(routine));
  }

  sql::Catalogue catalogue_;
  std::multimap<sql::RelationName, std::shared_ptr<const sql::Routine>> routines_;
  std::map<sql::RelationName, std::shared_ptr<const sql::BehindFact>> behind_;
  std::map<sql::RelationName, sql::TypeFact> types_;
  std::map<sql::RelationName, sql::OperatorFact> operators_;
};

bool names(const sql::Analysis& analysis, const std::string& object) {
  for (const sql::Statement& statement : analysis.statements)
    for (const model::Effect& effect : statement.effects) {
      if (effect.kind == model::ObjectKind::relation && effect.object == object) return true;
      // Roles live in pg_authid.
      if (effect.kind == model::ObjectKind::role && object == "pg_catalog.pg_authid") return true;
    }
  return false;
}

bool unknown(const sql::Analysis& analysis) {
  for (const sql::Statement& statement : analysis.statements)
    for (const model::Effect& effect : statement.effects)
      if (effect.statement_class == model::kUnknownClass) return true;
  return false;
}

struct Tally {
  int all = 0, covered = 0, benign = 0, benign_clean = 0;
};

void print_miss(const json& row, const sql::Analysis& analysis, const char* why) {
  std::printf("%s %s [%s]\n  %s\n", why, row["id"].get<std::string>().c_str(),
              row["decidable"].get<std::string>().c_str(), row["sql"].get<std::string>().c_str());
  for (const sql::Statement& statement : analysis.statements) std::printf("    %s\n", render(statement).c_str());
  if (!analysis.parsed) std::printf("    %s\n", analysis.parse_error.c_str());
}

void judge(const json& row, FileCatalogue& catalogue, std::map<std::string, Tally>& tallies) {
  Session session;
  std::vector<std::string> path = {"public"};
  bool path_changed = false;
  for (const json& setup : row.value("setup", json::array())) {
    std::string text = setup.get<std::string>();
    session.note(catalogue.analyse(text, path, session));
    if (text.starts_with("SET search_path = ")) path = {text.substr(18)}, path_changed = true;
  }
  sql::Analysis analysis = catalogue.analyse(row["sql"], path, session);
  Tally& tally = tallies[row["decidable"]];
  std::vector<std::string> touches = row.contains("touches_last") ? row["touches_last"] : row["touches"];
  bool is_unknown = unknown(analysis);
  bool covered = is_unknown || std::all_of(touches.begin(), touches.end(), [&](const std::string& object) {
                   // Offline a changed search_path cannot be known; the daemon asks the server.
                   return names(analysis, object) || (path_changed && object.starts_with("pg_temp."));
                 });
  // What lies behind a system view is the policy baseline's matter, by the view's own name.
  if (!covered && row.contains("via")) {
    std::vector<std::string> via = row["via"];
    covered = std::any_of(via.begin(), via.end(), [&](const std::string& view) {
      return view.starts_with("pg_catalog.") && names(analysis, view);
    });
  }
  ++tally.all;
  tally.covered += covered;
  if (!covered) print_miss(row, analysis, "MISSED");
  if (!row.value("benign", false)) return;
  ++tally.benign;
  tally.benign_clean += !is_unknown;
  if (is_unknown) print_miss(row, analysis, "FALSE ALARM");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: sql_measure CASES.jsonl [CATALOGUE.jsonl]\n");
    return 2;
  }
  FileCatalogue catalogue(argc == 3 ? argv[2] : nullptr);
  std::ifstream file(argv[1]);
  std::map<std::string, Tally> tallies;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) judge(json::parse(line), catalogue, tallies);
  Tally sum;
  std::printf("%-10s %6s %8s %8s %14s\n", "decidable", "cases", "covered", "benign", "without alarm");
  for (const auto& [name, tally] : tallies) {
    std::printf("%-10s %6d %8d %8d %14d\n", name.c_str(), tally.all, tally.covered, tally.benign, tally.benign_clean);
    sum.all += tally.all, sum.covered += tally.covered;
    sum.benign += tally.benign, sum.benign_clean += tally.benign_clean;
  }
  std::printf("%-10s %6d %8d %8d %14d\n", "all", sum.all, sum.covered, sum.benign, sum.benign_clean);
  return sum.covered == sum.all && sum.benign == sum.benign_clean ? 0 : 1;
}
