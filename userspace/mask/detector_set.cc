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
  std::vector<Wanted> ids;
  for (const model::DetectMask& rule : rules) {
    auto kind = std::ranges::find(detector_kinds(), std::string_view(rule.type), &DetectorKind::type);
    const bool own = kind == detector_kinds().end();
    if (own && rule.patterns.empty()) {
      return fail(fmt::format("no detector finds `{}`", rule.type),
                  fmt::format("the types are {}", fmt::join(detector_types(), ", ")));
    }
    for (const model::DetectPattern& pattern : rule.patterns) {
      if (auto good = check_pattern(pattern); !good) {
        return fail(fmt::format("{}, {}: {}", rule.type, pattern.name, good.error().what), good.error().hint);
      }
    }
    // Two of a kind for the same countries: the first works for both.
    bool known = std::ranges::any_of(std::span(rules).first(impl->rules.size()), [&](const model::DetectMask& one) {
      return one.type == rule.type && one.regions == rule.regions;
    });
    auto index = static_cast<uint32_t>(impl->rules.size());
    impl->rules.push_back({rule.type, own ? TextKind::any : kind->kind, rule.with, static_cast<float>(rule.min_score)});
    if (known) continue;
    Wanted wanted{own ? std::string_view() : kind->type, index, &rule};
    if (!own && kind->make == nullptr) {
      ids.push_back(wanted);
      continue;
    }
    impl->detectors.push_back(own ? make_pattern_detector(wanted) : kind->make(wanted));
    impl->rules[index].detector = impl->detectors.back().get();
  }
  if (!ids.empty()) impl->detectors.push_back(make_id_detector(ids));
  for (const Wanted& wanted : ids) impl->rules[wanted.rule].detector = impl->detectors.back().get();
  return std::shared_ptr<const DetectorSet>(new DetectorSet(std::move(impl)));
}

bool DetectorSet::empty() const { return impl_->rules.empty(); }

std::vector<Match> DetectorSet::Impl::all_matches(std::string_view text, size_t start) const {
  std::vector<Match> found;
  uint32_t traits = text_traits(text);
  for (const auto& detector : detectors) {
    if (detector->wants(traits)) detector->scan(text, start, found);
  }
  if (found.empty()) return found;
  std::erase_if(found, [&](const Match& match) { return match.score < rules[match.rule].score_min; });
  for (Match& match : found) match.tail_rule = match.rule;
  std::ranges::stable_sort(found, [](const Match& a, const Match& b) {
    if (a.offset != b.offset) return a.offset < b.offset;
    return a.length > b.length;
  });
  return found;
}

std::vector<Match> DetectorSet::Impl::matches(std::string_view text, size_t start) const {
  std::vector<Match> found = all_matches(text, start);
  if (found.size() < 2) return found;
  std::vector<Match> apart;
  for (const Match& next : found) {
    if (apart.empty() || next.offset >= apart.back().offset + apart.back().length) {
      apart.push_back(next);
      continue;
    }
    Match both = apart.back();
    both.from = std::min(both.from, next.from);
    if (next.to > both.to) {
      both.tail_rule = next.tail_rule;
      both.form = next.form;
    }
    both.to = std::max(both.to, next.to);
    both.length = std::max(both.length, next.offset + next.length - both.offset);
    // The rule of the one that covers all of it, of the surer among equals; of the first where neither does.
    bool wider = next.length == both.length && next.length > apart.back().length;
    bool surer = next.length == apart.back().length && next.score > apart.back().score;
    if (wider || surer) {
      both.rule = next.rule;
      both.score = next.score;
      both.name = next.name;
    }
    apart.back() = both;
  }
  return apart;
}

size_t DetectorSet::Impl::hold_from(std::string_view text) const {
  size_t least = text.size();
  for (const auto& detector : detectors) least = std::min(least, detector->hold_from(text));
  return least;
}

void DetectorSet::Impl::append_masked(const Match& found, std::string_view text, const Masker& masker,
                                      std::string& out) const {
  const Rule& rule = rules[found.rule];
  if (found.length > limits::kMaskStreamWindowBytes) {
    out += masker.mask_text({}, TextKind::any, {});
  } else {
    out += masker.mask_text(rule.with, rule.kind, text.substr(found.offset, found.length));
  }
}

std::vector<Finding> DetectorSet::scan(std::string_view utf8) const {
  std::vector<Finding> findings;
  for (const Match& found : impl_->all_matches(utf8, 0)) {
    auto same = std::ranges::find_if(findings.rbegin(), findings.rend(),
                                     [&](const Finding& one) { return one.rule == found.rule; });
    if (same != findings.rend() && found.offset < same->offset + same->length) {
      same->length = std::max(same->length, found.offset + found.length - same->offset);
      same->score = std::max(same->score, found.score);
      continue;
    }
    findings.push_back(
        {found.offset, found.length, impl_->rules[found.rule].type, found.rule, found.score, found.name});
  }
  return findings;
}

std::optional<std::string> DetectorSet::mask_text(std::string_view utf8, const Masker& masker) const {
  std::vector<Match> found = impl_->matches(utf8, 0);
  if (found.empty()) return std::nullopt;
  if (found.size() > limits::kMaskFindingsMax) return masker.mask_text({}, TextKind::any, {});
  std::string out;
  size_t done = 0;
  for (const Match& next : found) {
    out += utf8.substr(done, next.offset - done);
    impl_->append_masked(next, utf8, masker, out);
    done = next.offset + next.length;
  }
  out += utf8.substr(done);
  return out;
}

}  // namespace sallyport::mask
