// SPDX-License-Identifier: Apache-2.0
// Prints the columns that statements use, by their lineage: what results are made of, what is tested, what is stored.
//   lineage_columns SCHEMA.sql < STATEMENTS     one statement a line, one line of sorted columns for each
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>

#include "sallyport/sql/analysis.h"
#include "sallyport/sql/schema_text.h"

namespace {

using namespace sallyport;

std::set<std::string> columns_of(const sql::Analysis& analysis) {
  std::set<std::string> columns;
  auto add = [&](const std::vector<sql::ColumnOrigin>& origins) {
    for (const sql::ColumnOrigin& origin : origins)
      columns.insert(origin.relation->schema + "." + origin.relation->name + "." + origin.column);
  };
  for (const sql::Statement& statement : analysis.statements) {
    for (const sql::Output& output : statement.outputs) add(output.from);
    add(statement.tested);
    add(statement.stored);
  }
  if (!analysis.parsed) columns.insert("? " + analysis.parse_error);
  return columns;
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(argc == 2 ? argv[1] : "");
  const auto schema = sql::SchemaText::read(std::string(std::istreambuf_iterator<char>(file), {}));
  if (!schema) {
    std::fprintf(stderr, "%s\n", schema.error().what.c_str());
    return 2;
  }
  sql::Catalogue catalogue;
  const sql::Settings settings{.creation_schema = "public"};
  for (std::string line; std::getline(std::cin, line);) {
    auto answer = sql::analyse(line, settings, catalogue, sql::NoSessionNames());
    while (const auto* missing = std::get_if<sql::Missing>(&answer)) {
      schema->answer(*missing, catalogue);
      answer = sql::analyse(line, settings, catalogue, sql::NoSessionNames());
    }
    std::string joined;
    for (const std::string& column : columns_of(std::get<sql::Analysis>(answer))) joined += column + " ";
    std::puts(joined.c_str());
  }
  return 0;
}
