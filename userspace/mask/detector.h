// SPDX-License-Identifier: Apache-2.0
// What the engine asks of a detector. A new kind is one class here and one line in detectors.cc;
// the engine (detector_set.cc, stream.cc) does not change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/mask/detector_set.h"
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
  kTraitDot = 64,         // '.'
  kTraitColon = 128,      // ':'
  kTraitDigits = 256,     // 7 digits, anywhere
};

/// One thing found: [offset, offset + length) is to be masked; [from, to) is all that was looked at
/// to tell, the keyword before a password for one.
struct Match {
  size_t from = 0;
  size_t to = 0;
  size_t offset = 0;
  size_t length = 0;
  float score = 1;
  uint32_t rule = 0;           ///< whose it is: what the detector was made with
  int form = 0;                ///< the detector's own note, handed back to tail_end()
  std::string_view name = {};  ///< which of a detector's shapes; lives as long as the detector
  uint32_t tail_rule = 0;      ///< the engine's: whose detector knows how the match goes on behind `to`
};

/// Bytes of text before a scanned range that a detector may look at: a word of context is among them.
inline constexpr size_t kLeadBytes = 80;
/// How far before a value context is looked for.
inline constexpr size_t kContextBytes = 64;

class Detector {
 public:
  virtual ~Detector() = default;
  /// May a text with these traits hold a finding?
  virtual bool wants(uint32_t traits) const = 0;
  /// Appends every match with `from` at or behind `start`, in any order; what stands before `start`
  /// is context. INVARIANT: whether [from, to) is a match depends on nothing outside
  /// [from - kLeadBytes, to + kLeadBytes), and what is behind `to` only as far as hold_from() holds it
  /// back, so a stream may cut anywhere else.
  virtual void scan(std::string_view text, size_t start, std::vector<Match>& out) const = 0;
  /// The least `from` that a match ending at or behind the end of `text`, grown by whatever comes,
  /// could have. text.size() when nothing is in the making.
  virtual size_t hold_from(std::string_view text) const = 0;
  /// Where a match of this form, too long for a stream's window and cut off before `rest`, ends in
  /// `rest`: rest.size() when it may go on.
  virtual size_t tail_end(int form, std::string_view rest) const = 0;
};

/// One of compile()'s rules, as the detector that works for it sees it.
struct Wanted {
  std::string_view type;                     ///< a literal
  uint32_t rule = 0;                         ///< to be put into its matches
  const model::DetectMask* asked = nullptr;  ///< valid while detectors are made
};

// Each makes the detector of one type.
std::unique_ptr<Detector> make_email_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_payment_card_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_api_key_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_jwt_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_private_key_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_pattern_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_ip_address_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_url_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_crypto_address_detector(const Wanted& wanted);
std::unique_ptr<Detector> make_phone_detector(const Wanted& wanted);
/// One for iban and all types of id_rules(), each as it is wanted.
std::unique_ptr<Detector> make_id_detector(const std::vector<Wanted>& wanted);

uint32_t text_traits(std::string_view text);

/// Whether one of the lower-case `words`, with `|` between, stands in the kContextBytes before `at`, as a word or, if
/// longer than four letters, as the beginning of one.
bool has_context(std::string_view text, size_t at, std::string_view words);

}  // namespace sallyport::mask
