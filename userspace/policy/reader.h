// SPDX-License-Identifier: Apache-2.0
// Typed access to YAML nodes. Whatever is wrong becomes a finding at its place; the reader goes on with a neutral
// value, so that one run shows all mistakes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "findings.h"
#include "sallyport/policy/author.h"
#include "yaml.h"

namespace sallyport::policy {

class Reader {
 public:
  using Words = std::span<const std::string_view>;

  explicit Reader(Findings& findings) : findings_(findings) {}

  Findings& findings() { return findings_; }
  Place place(const Node& node) const { return findings_.place(node.line, node.column); }
  void wrong(const Node& node, std::string message, std::string hint = {}) {
    findings_.error(place(node), std::move(message), std::move(hint));
  }

  /// A map with none but `keys`; false (and a finding) if it is no map. `what` names it: "spec of a Target".
  bool is_map(const Node& node, std::string_view what, Words keys);
  /// The value of `key`; nullptr if absent, with a finding when `needed`.
  const Node* get(const Node& map, std::string_view key, std::string_view what, bool needed = false);
  /// Its items; nothing (and a finding) if it is no list, or an empty one.
  std::span<const Node> list(const Node& node, std::string_view what);
  /// A scalar that is not null or empty; "" (and a finding) otherwise.
  std::string text(const Node& node, std::string_view what);
  std::vector<std::string> texts(const Node& node, std::string_view what);
  /// Index in `words`; nothing (and a finding) if it is none of them.
  std::optional<size_t> word(const Node& node, std::string_view what, Words words);
  std::optional<uint64_t> number(const Node& node, std::string_view what, uint64_t max);
  /// 0 to `max`, with decimals.
  std::optional<double> fraction(const Node& node, std::string_view what, double max);
  /// The name of a document or key: lower-case letters, digits and inner hyphens, at most 63.
  std::string name(const Node& node, std::string_view what);
  std::string absolute_path(const Node& node, std::string_view what);
  /// "2026-11-01" (its first moment, UTC) or "2026-11-01T09:30:00Z" or with "+01:00".
  std::optional<int64_t> time(const Node& node, std::string_view what);
  /// "30s", "15m", "1h", "7d"
  std::optional<int64_t> duration(const Node& node, std::string_view what);

 private:
  Findings& findings_;
};

bool valid_name(std::string_view name);

}  // namespace sallyport::policy
