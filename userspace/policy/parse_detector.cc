// SPDX-License-Identifier: Apache-2.0
// Kind Detector: shapes of keys and numbers that are a policy's own.
#include <fmt/core.h>

#include "keys.h"
#include "parse.h"

namespace sallyport::policy {
namespace {

constexpr double kEntropyMax = 8;  // bits in a byte

model::DetectPattern parse_pattern(const Node& node, Reader& reader) {
  model::DetectPattern out;
  if (const Node* words = reader.get(node, "keywords", "a pattern", true))
    out.keywords = reader.texts(*words, "keywords");
  if (const Node* text = reader.get(node, "pattern", "a pattern", true)) out.pattern = reader.text(*text, "pattern");
  if (const Node* word = reader.get(node, "ignoreCase", "a pattern"))
    out.ignore_case = reader.word(*word, "ignoreCase", keys::kSwitch).value_or(0) == 1;
  if (const Node* bits = reader.get(node, "minEntropy", "a pattern"))
    out.entropy_min = reader.fraction(*bits, "minEntropy", kEntropyMax).value_or(0);
  if (const Node* score = reader.get(node, "score", "a pattern"))
    out.score = reader.fraction(*score, "score", 1).value_or(1);
  if (const Node* words = reader.get(node, "context", "a pattern")) out.context = reader.texts(*words, "context");
  return out;
}

}  // namespace

void parse_detector(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  Detector detector;
  detector.name = name;
  detector.where = where;
  if (reader.is_map(spec, "spec of a Detector", keys::kDetector)) {
    if (const Node* patterns = reader.get(spec, "patterns", "spec of a Detector", true)) {
      for (const Node& item : reader.list(*patterns, "patterns")) {
        if (!reader.is_map(item, "a pattern", keys::kPattern)) continue;
        detector.patterns.push_back(parse_pattern(item, reader));
        detector.patterns.back().name = name;
        detector.places.push_back(reader.place(item));
      }
    }
  }
  out.detectors.push_back(std::move(detector));
}

}  // namespace sallyport::policy
