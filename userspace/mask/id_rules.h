// SPDX-License-Identifier: Apache-2.0
// Identifiers that rest on structure and check digits, as data: how they are written, what proves them, which words
// near them raise weak evidence. The engine is id_detector.cc.
#pragma once

#include <span>
#include <string_view>

namespace sallyport::mask {

// What a finding's score means. Policy's default threshold is kStrong (include/sallyport/mask/detector_set.h).
inline constexpr float kProven = 0.9F;    ///< a check digit and a structure
inline constexpr float kShaped = 0.6F;    ///< a shape that little else has
inline constexpr float kUnproven = 0.5F;  ///< a shape with a prefix of its own, the check digit wrong
inline constexpr float kWeak = 0.3F;      ///< many other things look like it: needs a word of context
inline constexpr float kFaint = 0.2F;     ///< the same, more so
inline constexpr float kContext = 0.35F;  ///< what a word of context adds

struct IdRule {
  std::string_view type;
  /// Ways to write it, with `|` between: `9` a digit, `A` a letter, `*` either, `-` any one of `separators` (the same
  /// one throughout a value), every other byte itself.
  std::string_view shapes;
  std::string_view separators;
  /// The score of a value of such a shape, without its separators, in upper case; 0: it is none. `solid`: it was
  /// written without separators.
  float (*score)(std::string_view value, bool solid);
  /// Lower-case words before it that raise its score by kContext, with `|` between.
  std::string_view context;
  /// Also where a word in lower case runs into it ("code is030594W903B").
  bool glued = false;
};

/// Every rule, sorted by type; a type may have several.
std::span<const IdRule> id_rules();

}  // namespace sallyport::mask
