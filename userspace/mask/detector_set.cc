// SPDX-License-Identifier: Apache-2.0
#include "sallyport/mask/detector_set.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "mask/detector_set_impl.h"
#include "mask/detectors.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {

std::vector<std::string_view> detector_types() {
  std::vector<std::string_view> types;
  for (const DetectorKind& kind : detector_kinds()) types.push_back(kind.type);
  return types;
}

DetectorSet::DetectorSet(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DetectorSet::~DetectorSet() = default;

Result<std::shared_ptr<const DetectorSet>> DetectorSet::compile(std::vector<model::DetectMask> rules) {
  if (rules.size() > limits::kMaskDetectorsMax) {
    return fail(fmt::format("{} detectors are asked for, more than {}", rules.size(), limits::kMaskDetectorsMax));
  }
  auto impl = std::make_unique<Impl>();
  for (size_t i = 0; i < rules.size(); ++i) {
    const std::string& type = rules[i].type;
    auto kind = std::ranges::find(detector_kinds(), type, &DetectorKind::type);
    if (kind == detector_kinds().end()) {
      return fail(fmt::format("no detector finds `{}`", type),
                  fmt::format("the types are {}", fmt::join(detector_types(), ", ")));
    }
    bool known =
        std::ranges::any_of(impl->rules, [&](const Impl::Rule& rule) { return rule.detector->type() == type; });
    if (!known) impl->rules.push_back({kind->make(), rules[i].with, i});
  }
  return std::shared_ptr<const DetectorSet>(new DetectorSet(std::move(impl)));
}

bool DetectorSet::empty() const { return impl_->rules.empty(); }

std::vector<RuleMatch> DetectorSet::Impl::matches(std::string_view text, size_t start) const {
  std::vector<RuleMatch> found;
  uint32_t traits = text_traits(text);
  std::vector<Match> one;
  for (size_t i = 0; i < rules.size(); ++i) {
    if (!rules[i].detector->wants(traits)) continue;
    one.clear();
    rules[i].detector->scan(text, start, one);
    for (const Match& match : one) found.push_back({match, i});
  }
  if (found.size() < 2) return found;
  std::ranges::stable_sort(found, [](const RuleMatch& a, const RuleMatch& b) {
    if (a.match.offset != b.match.offset) return a.match.offset < b.match.offset;
    return a.match.length > b.match.length;
  });
  std::vector<RuleMatch> apart;
  for (const RuleMatch& next : found) {
    if (apart.empty() || next.match.offset >= apart.back().match.offset + apart.back().match.length) {
      apart.push_back(next);
      continue;
    }
    Match& last = apart.back().match;
    last.from = std::min(last.from, next.match.from);
    last.to = std::max(last.to, next.match.to);
    last.length = std::max(last.length, next.match.offset + next.match.length - last.offset);
  }
  return apart;
}

size_t DetectorSet::Impl::hold_from(std::string_view text) const {
  size_t least = text.size();
  for (const Rule& rule : rules) least = std::min(least, rule.detector->hold_from(text));
  return least;
}

void DetectorSet::Impl::append_masked(const RuleMatch& found, std::string_view text, const Masker& masker,
                                      std::string& out) const {
  const Rule& rule = rules[found.rule];
  if (found.match.length > limits::kMaskStreamWindowBytes) {
    out += masker.mask_text({}, TextKind::any, {});
  } else {
    out += masker.mask_text(rule.with, rule.detector->kind(), text.substr(found.match.offset, found.match.length));
  }
}

std::vector<Finding> DetectorSet::scan(std::string_view utf8) const {
  std::vector<Finding> findings;
  for (const RuleMatch& found : impl_->matches(utf8, 0)) {
    const Impl::Rule& rule = impl_->rules[found.rule];
    findings.push_back({found.match.offset, found.match.length, rule.detector->type(), rule.index});
  }
  return findings;
}

std::optional<std::string> DetectorSet::mask_text(std::string_view utf8, const Masker& masker) const {
  std::vector<RuleMatch> found = impl_->matches(utf8, 0);
  if (found.empty()) return std::nullopt;
  if (found.size() > limits::kMaskFindingsMax) return masker.mask_text({}, TextKind::any, {});
  std::string out;
  size_t done = 0;
  for (const RuleMatch& next : found) {
    out += utf8.substr(done, next.match.offset - done);
    impl_->append_masked(next, utf8, masker, out);
    done = next.match.offset + next.match.length;
  }
  out += utf8.substr(done);
  return out;
}

}  // namespace sallyport::mask
