// SPDX-License-Identifier: Apache-2.0
// YAML nodes into documents: each is checked by itself here, all together in compile().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiled.h"
#include "reader.h"

namespace sallyport::policy {

struct ParsedTarget {
  Target target;
  TargetRules rules;
  std::vector<Reference> masks;
};

/// Shapes of a policy's own, by the name that `detect` uses.
struct Detector {
  std::string name;
  std::vector<model::DetectPattern> patterns;
  std::vector<Place> places;  ///< of each pattern
  Place where;
};

/// Everything of one load, before it is joined.
struct Documents {
  std::vector<Agent> agents;
  std::vector<Issuer> issuers;
  std::vector<ParsedTarget> targets;
  std::vector<Mask> masks;
  std::vector<MaskKey> keys;
  std::vector<Detector> detectors;
  std::vector<std::unique_ptr<Entitlement>> entitlements;
};

/// One document of any kind, added to `out` even when parts of it are wrong, so that names it defines are known.
void parse_document(const Node& node, Reader& reader, Documents& out);

/// What stands under `workload:` of an Agent.
void parse_workload(const Node& node, Agent& agent, Reader& reader);
void parse_agent(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);
void parse_target(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);
void parse_mask(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);
void parse_entitlement(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);

void parse_detector(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);

void parse_issuer(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out);
/// What stands under `token:` of an Agent.
AgentToken parse_token(const Node& node, Reader& reader);

/// What stands under `process:` in a rule.
ProcessRule parse_process_rule(const Node& node, model::Outcome outcome, Reader& reader);

/// What stands under `sql:` in a rule of a list `allow`, `hold` or `deny`.
SqlRule parse_sql_rule(const Node& node, model::Outcome outcome, Reader& reader);

/// What stands under `http:` in a rule.
HttpRule parse_http_rule(const Node& node, Reader& reader);
/// What a Target of protocol http cannot have, and its own default of tls.mode.
void check_http_target(const Node& spec, Target& target, Reader& reader);

/// "schema.table.column" without patterns: the relation as effects name it, and the column's bare name.
struct ColumnName {
  std::string relation;
  std::string column;
};
Result<ColumnName> parse_column_name(std::string_view text);

}  // namespace sallyport::policy
