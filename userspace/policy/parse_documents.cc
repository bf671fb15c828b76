// SPDX-License-Identifier: Apache-2.0
// The envelope of every document; Agents and Masks.
#include <fmt/core.h>

#include <algorithm>

#include "doubts.h"
#include "keys.h"
#include "parse.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

std::optional<model::MaskSpec> parse_strategy_map(const Node& node, std::vector<Place>& key_uses, Reader& reader) {
  model::MaskSpec out;
  if (!reader.is_map(node, "with", keys::kStrategyMaps)) return {};
  if (node.entries.size() != 1) {
    reader.wrong(node, "`with` has exactly one strategy", "write {partial: {keepLast: 4}}");
    return {};
  }
  const Node& value = node.entries[0].value;
  if (node.find("fixed")) {
    out.strategy = model::MaskStrategy::fixed;
    if (value.kind != Node::Kind::scalar) reader.wrong(value, fmt::format("fixed is {}, not a text", value.in_words()));
    out.fixed = value.text;
  } else if (node.find("partial")) {
    out.strategy = model::MaskStrategy::partial;
    if (!reader.is_map(value, "partial", keys::kPartial)) return {};
    if (const Node* keep = reader.get(value, "keepLast", "partial", true))
      out.keep_last = static_cast<uint32_t>(reader.number(*keep, "partial.keepLast", 64).value_or(0));
  } else if (node.find("hash")) {
    out.strategy = model::MaskStrategy::hash;
    if (!reader.is_map(value, "hash", keys::kHash)) return {};
    if (const Node* key = reader.get(value, "key", "hash", true)) {
      out.key = reader.name(*key, "hash.key");
      key_uses.push_back(reader.place(*key));
    }
  } else {
    return {};
  }
  return out;
}

std::optional<model::MaskSpec> parse_strategy(const Node& node, std::vector<Place>& key_uses, Reader& reader) {
  if (node.kind == Node::Kind::map) return parse_strategy_map(node, key_uses, reader);
  model::MaskSpec out;
  const auto index = reader.word(node, "with", keys::kStrategies);
  if (!index) return {};
  out.strategy = static_cast<model::MaskStrategy>(*index);
  if (out.strategy == model::MaskStrategy::hash) reader.wrong(node, "hash needs a key", "write {hash: {key: NAME}}");
  if (out.strategy == model::MaskStrategy::fixed) reader.wrong(node, "fixed needs its text", "write {fixed: \"text\"}");
  return out;
}

void parse_mask_columns(const Node& node, Mask& mask, Reader& reader) {
  for (const Node& item : reader.list(node, "columns")) {
    if (!reader.is_map(item, "a masked column", keys::kMaskColumn)) continue;
    const Node* column = reader.get(item, "column", "a masked column", true);
    const Node* with = reader.get(item, "with", "a masked column", true);
    const Node* predicates = reader.get(item, "predicates", "a masked column");
    const auto spec = with ? parse_strategy(*with, mask.key_uses, reader) : std::nullopt;
    const bool may_test = predicates && reader.word(*predicates, "predicates", keys::kPredicates) == size_t{1};
    const std::string text = column ? reader.text(*column, "column") : "";
    if (text.empty()) continue;
    auto name = parse_column_name(text);
    if (!name) {
      reader.wrong(*column, fmt::format("column: {}", name.error().what), name.error().hint);
    } else if (spec) {
      doubt_sql_name(*column, "column", text, reader);
      mask.columns.push_back({mask.name, std::move(name->relation), std::move(name->column), *spec, may_test});
    }
  }
}

/// Countries that phone numbers may be written for.
void check_regions(const Node& node, const model::DetectMask& mask, Reader& reader) {
  if (mask.type != "phone") reader.wrong(node, fmt::format("`{}` has no regions", printable(mask.type)), "phone has");
  for (const std::string& region : mask.regions) {
    const bool code = region.size() == 2 && std::ranges::all_of(region, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!code) reader.wrong(node, fmt::format("regions: `{}` is no country", printable(region)), "write [US, DE]");
  }
}

void parse_mask_detect(const Node& node, Mask& mask, Reader& reader) {
  for (const Node& item : reader.list(node, "detect")) {
    if (!reader.is_map(item, "a detector", keys::kMaskDetect)) continue;
    const Node* type = reader.get(item, "type", "a detector", true);
    const Node* with = reader.get(item, "with", "a detector", true);
    const auto spec = with ? parse_strategy(*with, mask.key_uses, reader) : std::nullopt;
    // A type that is none of ours is a Detector's name: check_together() knows them all.
    model::DetectMask out{mask.name, type ? reader.text(*type, "type") : "", spec.value_or(model::MaskSpec())};
    if (const Node* score = reader.get(item, "minScore", "a detector"))
      out.min_score = reader.fraction(*score, "minScore", 1).value_or(0);
    if (const Node* regions = reader.get(item, "regions", "a detector")) {
      out.regions = reader.texts(*regions, "regions");
      check_regions(*regions, out, reader);
    }
    if (!spec || out.type.empty()) continue;
    mask.type_uses.push_back(reader.place(*type));
    mask.detect.push_back(std::move(out));
  }
}

void parse_mask_keys(const Node& node, std::vector<MaskKey>& out, Reader& reader) {
  for (const Node& item : reader.list(node, "keys")) {
    if (!reader.is_map(item, "a mask key", keys::kMaskKey)) continue;
    const Node* name = reader.get(item, "name", "a mask key", true);
    const Node* file = reader.get(item, "file", "a mask key", true);
    if (name && file)
      out.push_back({reader.name(*name, "keys.name"), reader.absolute_path(*file, "keys.file"), reader.place(*name)});
  }
}

}  // namespace

void parse_document(const Node& node, Reader& reader, Documents& out) {
  if (!reader.is_map(node, "a document", keys::kDocument)) return;
  if (const Node* version = reader.get(node, "apiVersion", "a document", true))
    reader.word(*version, "apiVersion", std::span(&keys::kApiVersion, 1));
  const Node* kind = reader.get(node, "kind", "a document", true);
  const Node* metadata = reader.get(node, "metadata", "a document", true);
  const Node* spec = reader.get(node, "spec", "a document", true);
  std::string name;
  Place where = reader.place(node);
  if (metadata && reader.is_map(*metadata, "metadata", keys::kMetadata)) {
    if (const Node* value = reader.get(*metadata, "name", "metadata", true)) {
      name = reader.name(*value, "metadata.name");
      where = reader.place(*value);
    }
  }
  const auto index = kind ? reader.word(*kind, "kind", keys::kKinds) : std::nullopt;
  if (!index || !spec) return;
  switch (*index) {
    case 0:
      return parse_agent(*spec, name, where, reader, out);
    case 1:
      return parse_target(*spec, name, where, reader, out);
    case 2:
      return parse_mask(*spec, name, where, reader, out);
    case 3:
      return parse_entitlement(*spec, name, where, reader, out);
    case 4:
      return parse_detector(*spec, name, where, reader, out);
    default:
      return parse_issuer(*spec, name, where, reader, out);
  }
}

void parse_agent(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  Agent agent;
  agent.name = name;
  agent.where = where;
  if (reader.is_map(spec, "spec of an Agent", keys::kAgent)) {
    if (const Node* workload = reader.get(spec, "workload", "spec of an Agent", true))
      parse_workload(*workload, agent, reader);
    if (const Node* token = reader.get(spec, "token", "")) agent.token = parse_token(*token, reader);
    if (const Node* owner = reader.get(spec, "owner", "")) agent.owner = reader.text(*owner, "owner");
    if (const Node* word = reader.get(spec, "loopback", ""))
      agent.loopback = static_cast<Loopback>(reader.word(*word, "loopback", keys::kLoopback).value_or(0));
    if (const Node* word = reader.get(spec, "minLevel", ""))
      agent.min_level = static_cast<Level>(reader.word(*word, "minLevel", keys::kLevels).value_or(2));
  }
  out.agents.push_back(std::move(agent));
}

void parse_mask(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  Mask mask;
  mask.name = name;
  mask.where = where;
  if (reader.is_map(spec, "spec of a Mask", keys::kMask)) {
    const Node* columns = reader.get(spec, "columns", "");
    const Node* detect = reader.get(spec, "detect", "");
    const Node* mask_keys = reader.get(spec, "keys", "");
    if (!columns && !detect && !mask_keys) reader.wrong(spec, "a Mask without columns, detect or keys masks nothing");
    if (columns) parse_mask_columns(*columns, mask, reader);
    if (detect) parse_mask_detect(*detect, mask, reader);
    if (mask_keys) parse_mask_keys(*mask_keys, out.keys, reader);
  }
  out.masks.push_back(std::move(mask));
}

}  // namespace sallyport::policy
