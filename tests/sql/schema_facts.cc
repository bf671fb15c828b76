// SPDX-License-Identifier: Apache-2.0
// Prints the relations of a schema's text as dump_catalogue.sql prints those of a server, one JSON object a line:
//   schema_facts FILE.sql
// What was left out goes to standard error, and makes the exit code 1.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sallyport/sql/schema_text.h"

int main(int argc, char** argv) {
  using namespace sallyport;
  std::ifstream file(argc == 2 ? argv[1] : "");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto schema = sql::SchemaText::read(text);
  if (!schema) {
    std::fprintf(stderr, "%s\n", schema.error().what.c_str());
    return 2;
  }
  for (const sql::RelationName& key : schema->relations()) {
    sql::Catalogue catalogue;
    schema->answer({.relations = {key}}, catalogue);
    const sql::RelationFact& fact = *catalogue.relations.at(key);
    const nlohmann::json row = {
        {"schema", fact.schema},           {"name", fact.name},           {"kind", std::string(1, fact.kind)},
        {"hidden", fact.hidden},           {"columns", fact.columns},     {"family", fact.family},
        {"descendants", fact.descendants}, {"sequences", fact.sequences}, {"references", fact.references}};
    std::puts(row.dump().c_str());
  }
  for (const std::string& each : schema->not_understood()) std::fprintf(stderr, "%s\n", each.c_str());
  return schema->not_understood().empty() ? 0 : 1;
}
