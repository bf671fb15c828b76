// SPDX-License-Identifier: Apache-2.0
// What the engine asks of a detector. A new kind is one class here and one line in detectors.cc;
// the engine (detector_set.cc, stream.cc) does not change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sallyport/mask/masker.h"

namespace sallyport::mask {

/// What a text contains, told in one cheap pass (text_traits).
enum Trait : uint32_t {
  kTraitAt = 1,           // '@'
  kTraitDigit = 2,        // a decimal digit
  kTraitAssign = 4,       // '=', ':' or '>'
  kTraitLong = 8,         // eight bytes in a row, aligned, without space or control: any run of 15 has them
  kTraitLetter = 16,      // an ASCII letter
  kTraitCardDigits = 32,  // 13 digits, anywhere
};

/// One thing found: [offset, offset + length) is to be masked; [from, to) is all that was looked at
/// to tell, the keyword before a password for one.
struct Match {
  size_t from = 0;
  size_t to = 0;
  size_t offset = 0;
  size_t length = 0;
  int form = 0;  ///< the detector's own note, handed back to tail_end()
};

/// Bytes of text before a scanned range that a detector may look at.
inline constexpr size_t kLeadBytes = 4;

class Detector {
 public:
  virtual ~Detector() = default;
  virtual std::string_view type() const = 0;
  virtual TextKind kind() const { return TextKind::any; }
  /// May a text with these traits hold a finding?
  virtual bool wants(uint32_t traits) const = 0;
  /// Appends every match with `from` at or behind `start`, in any order; what stands before `start`
  /// is context. INVARIANT: whether [from, to) is a match depends on nothing outside
  /// [from - kLeadBytes, to + kLeadBytes), so a stream may cut anywhere else.
  virtual void scan(std::string_view text, size_t start, std::vector<Match>& out) const = 0;
  /// The least `from` that a match ending at or behind the end of `text`, grown by whatever comes,
  /// could have. text.size() when nothing is in the making.
  virtual size_t hold_from(std::string_view text) const = 0;
  /// Where a match of this form, too long for a stream's window and cut off before `rest`, ends in
  /// `rest`: rest.size() when it may go on.
  virtual size_t tail_end(int form, std::string_view rest) const = 0;
};

std::unique_ptr<Detector> make_email_detector();
std::unique_ptr<Detector> make_payment_card_detector();
std::unique_ptr<Detector> make_api_key_detector();

uint32_t text_traits(std::string_view text);

}  // namespace sallyport::mask
