// SPDX-License-Identifier: Apache-2.0
// YAML 1.2 (and so JSON) into plain nodes that know where they stand. The strict part of YAML only: anchors,
// aliases and tags are refused, so that a policy says what it means where it stands and cannot blow up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "findings.h"

namespace sallyport::policy {

struct Entry;

struct Node {
  enum class Kind { scalar, list, map };
  Kind kind = Kind::scalar;
  bool quoted = false;         ///< a scalar in quotes or a block: always a string
  std::string text;            ///< scalars
  int line = 0;                ///< from 1
  int column = 0;              ///< from 1, in characters
  std::vector<Node> items;     ///< lists
  std::vector<Entry> entries;  ///< maps, in order, keys unique

  /// Nothing, `~` or `null`.
  bool is_null() const;
  /// "a list", "a map", "nothing", "`text`": for messages.
  std::string in_words() const;
  const Node* find(std::string_view key) const;
};

struct Entry {
  Node key;
  Node value;
};

/// All documents of `text`; what is wrong goes to `findings` and gives no documents. `nodes_left` is taken from.
std::vector<Node> read_yaml(std::string_view text, Findings& findings, size_t& nodes_left);

/// `text` as a scalar that reads back as the same text, wherever it is put on one line.
std::string flow_scalar(std::string_view text);
/// The node on one line: "{sql: {statements: [select]}}".
std::string flow_text(const Node& node);

}  // namespace sallyport::policy
