// SPDX-License-Identifier: Apache-2.0
// What SchemaText has gathered.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sallyport/sql/schema_text.h"

namespace sallyport::sql {

struct SchemaText::State {
  struct Relation {
    RelationFact own;  ///< family, descendants and what descendants hide are added when it is asked for
    std::vector<RelationName> parents;
    std::vector<RelationName> made_of;  ///< types of columns that are not built in
    std::string definition;             ///< of a view: its statement
    bool row_security = false;
    bool policies = false;
  };
  struct Type {
    TypeFact own;
    std::vector<RelationName> made_of;  ///< base of a domain, columns, element
    bool named_in_routines = false;     ///< Routine::types speaks of it: a domain or composite type
    bool runs_functions = false;        ///< a domain whose checks call functions outside pg_catalog
  };
  std::map<RelationName, Relation> relations;
  std::map<RelationName, std::vector<std::shared_ptr<Routine>>> functions;
  std::map<RelationName, Type> types;
  std::map<RelationName, OperatorFact> operators;
  bool event_triggers = false;
  std::vector<std::string> not_understood;
};

}  // namespace sallyport::sql
