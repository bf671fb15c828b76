// SPDX-License-Identifier: Apache-2.0
// Oracle: a text cut anywhere comes out of a stream as mask_text() makes it whole; findings lie inside the text, in
// order; what is held stays within the window.
#include "sallyport/base/limits.h"
#include "sallyport/mask/detector_set.h"
#include "tests/fuzz/fuzz.h"

using namespace sallyport;
using fuzzing::must;

namespace {

std::shared_ptr<const mask::DetectorSet> every_detector() {
  std::vector<model::DetectMask> rules;
  for (std::string_view type : mask::detector_types()) {
    model::DetectMask rule{"fuzz", std::string(type), {}};
    rule.with.strategy = rules.size() % 2 == 0 ? model::MaskStrategy::redact : model::MaskStrategy::partial;
    rule.min_score = 0.1;
    rules.push_back(std::move(rule));
  }
  return *mask::DetectorSet::compile(std::move(rules));
}

std::string shown(std::string text) {
  for (char& c : text) c = c < ' ' || c == 0x7f ? '~' : c;
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto detectors = every_detector();
  static const auto masker = *mask::Masker::make({});
  fuzzing::Choices choices(fuzzing::view(data, size));
  const size_t chunk_max = 1 + choices.choose(40);
  const std::string text(choices.rest());
  size_t least = 0;
  for (const mask::Finding& found : detectors->scan(text)) {
    must(found.length > 0 && found.offset + found.length <= text.size(), "a finding outside the text");
    must(found.offset >= least, "findings out of order");
    must(found.score > 0 && found.score <= 1, "a score that is none");
    least = found.offset;
  }
  const std::string whole = detectors->mask_text(text, *masker).value_or(text);
  mask::DetectorSet::Stream stream(detectors, masker);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t chunk = std::min(text.size() - at, 1 + (at * 7 + 3) % chunk_max);
    stream.feed(std::string_view(text).substr(at, chunk), out);
    must(stream.held_bytes() <= 2 * limits::kMaskStreamWindowBytes, "more is held than the window");
    at += chunk;
  }
  stream.finish(out);
  if (out != whole) fuzzing::story() = "whole:    " + shown(whole) + "\nstreamed: " + shown(out);
  must(out == whole, "a cut changed what comes out");
  return 0;
}
