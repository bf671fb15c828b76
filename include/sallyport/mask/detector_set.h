// SPDX-License-Identifier: Apache-2.0
// Finds personal data and secrets in text that no column mask names, whole or as a stream.
//
// Engine: each detector is a scanner over a buffer plus one question, "from where on might what I
// saw still grow?" (Detector::hold_from, userspace/mask/detector.h). A stream keeps only that tail,
// so chunks pass at once when nothing is in the making, and never more than
// limits::kMaskStreamWindowBytes are held. Key shapes are RE2 patterns, tried only where their
// literal stands. RE2 and not Vectorscan: a stream that replaces what it finds must hold the bytes
// of a match anyway, so Vectorscan's streaming mode saves nothing here; what is needed is the start
// of a match and its groups, which it gives at a price or not at all; and RE2 needs no scratch
// space per thread and no SSSE3.
//
// Immutable after compile(): threads may share a set; a Stream belongs to one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/mask/masker.h"
#include "sallyport/model/decision.h"

namespace sallyport::mask {

/// The score from which on a finding is strong evidence; DetectMask::min_score if nothing is said.
inline constexpr double kStrongScore = 0.5;

/// One finding: bytes [offset, offset + length) of the text scanned.
struct Finding {
  size_t offset = 0;
  size_t length = 0;
  std::string_view type;       ///< "email", …: lives as long as the set
  size_t rule = 0;             ///< index into what compile() was given
  float score = 1;             ///< 0 to 1: how sure it is
  std::string_view name = {};  ///< which of a type's shapes ("github" of api-key), where it has several
  bool operator==(const Finding&) const = default;
};

/// The words that DetectMask::type may be, sorted.
std::vector<std::string_view> detector_types();

/// Fails with what is wrong with a pattern of a policy.
Result<> check_pattern(const model::DetectPattern& pattern);

class DetectorSet {
 public:
  /// Fails on a type that is not known and brings no patterns (the error names the known ones), on a pattern that is
  /// no RE2 expression, and on more than limits::kMaskDetectorsMax rules. Two rules of one type: the first is used.
  static Result<std::shared_ptr<const DetectorSet>> compile(std::vector<model::DetectMask> rules);
  ~DetectorSet();

  bool empty() const;

  /// All findings in order of offset, the longer first, each rule's own: they may overlap, and mask_text() then masks
  /// them as one. Bytes that are not UTF-8 end a finding.
  std::vector<Finding> scan(std::string_view utf8) const;

  /// `utf8` with each finding masked by its rule; nullopt: nothing was found. Text with more than
  /// limits::kMaskFindingsMax findings is replaced whole.
  std::optional<std::string> mask_text(std::string_view utf8, const Masker& masker) const;

  /// One text that arrives in pieces, cut anywhere. What comes out is what mask_text() makes of the
  /// whole. A finding longer than the window is redacted, whatever its rule's strategy.
  class Stream {
   public:
    Stream(std::shared_ptr<const DetectorSet> set, std::shared_ptr<const Masker> masker);
    ~Stream();
    Stream(Stream&&) noexcept;
    Stream& operator=(Stream&&) noexcept;

    /// Appends to `out` whatever can be passed on now. `chunk` is copied as far as it is held.
    void feed(std::string_view chunk, std::string& out);
    /// The end of the text: appends the rest. The stream is then ready for another text.
    void finish(std::string& out);

    size_t held_bytes() const;
    size_t findings() const;  ///< masked so far, over all texts

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  friend class Stream;
  struct Impl;
  explicit DetectorSet(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::mask
