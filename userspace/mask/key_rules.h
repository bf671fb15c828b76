// SPDX-License-Identifier: Apache-2.0
// Shapes of keys and tokens, as data: a literal that every such key holds, and a pattern that tells
// it. Written from the issuers' documentation of their formats. A policy adds its own with kind Detector.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace sallyport::mask {

/// What tells a secret, besides the pattern and its entropy.
enum class Proof : uint8_t {
  shape,  ///< nothing more: the pattern is proof
  mixed,  ///< it has digits and letters
  named,  ///< mixed; the name before it says so, and neither name nor value says something else
};

struct KeyRule {
  std::string_view name;
  /// Literals, one of which stands at the start of a match (or `before` bytes behind it),
  /// separated by spaces.
  std::string_view keywords;
  /// RE2, ASCII, anchored at the start of the match. Group 1, if there is one, is the secret.
  std::string_view pattern;
  /// The literal stands this many bytes behind the start.
  uint8_t before = 0;
  bool ignore_case = false;
  /// Starts only where no letter or digit stands before.
  bool at_word = true;
  /// The secret has at least so many Shannon bits a byte.
  float entropy_min = 2.5F;
  Proof proof = Proof::shape;
  /// Its issuer fixed how long it is: with more behind it, it is none.
  bool exact = false;
  float score = 0.9F;
  /// Lower-case words before it that add to its score, with `|` between.
  std::string_view context = {};
};

std::span<const KeyRule> builtin_key_rules();

}  // namespace sallyport::mask
