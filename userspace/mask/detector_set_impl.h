// SPDX-License-Identifier: Apache-2.0
// The inside of a DetectorSet, which its scan and its streams share.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mask/detector.h"
#include "sallyport/mask/detector_set.h"

namespace sallyport::mask {

struct DetectorSet::Impl {
  struct Rule {
    std::string type;
    TextKind kind = TextKind::any;
    model::MaskSpec with;
    float score_min = 0;
    const Detector* detector = nullptr;  // of `detectors`
  };

  std::vector<Rule> rules;                           // as compile() was given them; Match::rule is an index
  std::vector<std::unique_ptr<Detector>> detectors;  // each works for one rule or more

  /// All matches from `start` on that score enough, by offset, the longer first.
  std::vector<Match> all_matches(std::string_view text, size_t start) const;

  /// Those that overlap made one: the best's rule, and all that they cover.
  std::vector<Match> matches(std::string_view text, size_t start) const;

  size_t hold_from(std::string_view text) const;

  /// Appends what the client sees instead of a match. Longer than the window: redacted.
  void append_masked(const Match& found, std::string_view text, const Masker& masker, std::string& out) const;
};

}  // namespace sallyport::mask
