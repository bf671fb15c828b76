// SPDX-License-Identifier: Apache-2.0
// The inside of a DetectorSet, which its scan and its streams share.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "mask/detector.h"
#include "sallyport/mask/detector_set.h"

namespace sallyport::mask {

/// A match and the rule it belongs to.
struct RuleMatch {
  Match match;
  size_t rule = 0;
};

struct DetectorSet::Impl {
  struct Rule {
    std::unique_ptr<Detector> detector;
    model::MaskSpec with;
    size_t index = 0;  // into what compile() was given
  };

  std::vector<Rule> rules;

  /// All matches from `start` on, by offset, those that overlap made one (the first's rule; it then
  /// covers all of them). `rule` indexes `rules`.
  std::vector<RuleMatch> matches(std::string_view text, size_t start) const;

  size_t hold_from(std::string_view text) const;

  /// Appends what the client sees instead of a match. Longer than the window: redacted.
  void append_masked(const RuleMatch& found, std::string_view text, const Masker& masker, std::string& out) const;
};

}  // namespace sallyport::mask
