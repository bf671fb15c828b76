// SPDX-License-Identifier: Apache-2.0
// A text that arrives in pieces.
//
//   buffer: [ lead: passed on, kept as context | not yet decided ........ | held ]
//            0                                  lead                       hold_from()
//
// Everything before hold_from() is decided: it is passed on, with its matches masked. Only when the
// held part outgrows the window is a match cut, redacted, and the rest of it swallowed.
#include <algorithm>

#include "mask/detector_set_impl.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {

struct DetectorSet::Stream::State {
  std::shared_ptr<const DetectorSet> set;
  std::shared_ptr<const Masker> masker;
  std::string buffer;
  size_t lead = 0;
  const Detector* swallowing = nullptr;  // the rest of a match that was too long
  int swallowed_form = 0;
  size_t findings = 0;

  void advance(bool last, std::string& out);
  size_t settle(std::vector<Match>& found, size_t until) const;
};

namespace {
constexpr size_t kForcedBytes = limits::kMaskStreamWindowBytes / 2;  // kept when the window is full
}

DetectorSet::Stream::Stream(std::shared_ptr<const DetectorSet> set, std::shared_ptr<const Masker> masker)
    : state_(std::make_unique<State>()) {
  state_->set = std::move(set);
  state_->masker = std::move(masker);
}
DetectorSet::Stream::~Stream() = default;
DetectorSet::Stream::Stream(Stream&&) noexcept = default;
DetectorSet::Stream& DetectorSet::Stream::operator=(Stream&&) noexcept = default;

size_t DetectorSet::Stream::held_bytes() const { return state_->buffer.size() - state_->lead; }
size_t DetectorSet::Stream::findings() const { return state_->findings; }

void DetectorSet::Stream::feed(std::string_view chunk, std::string& out) {
  while (!chunk.empty()) {
    if (state_->swallowing != nullptr) {
      size_t end = state_->swallowing->tail_end(state_->swallowed_form, chunk);
      chunk.remove_prefix(end);
      if (chunk.empty()) return;
      state_->swallowing = nullptr;
    }
    std::string_view piece = chunk.substr(0, limits::kMaskStreamWindowBytes);
    chunk.remove_prefix(piece.size());
    state_->buffer += piece;
    state_->advance(false, out);
  }
}

void DetectorSet::Stream::finish(std::string& out) {
  state_->advance(true, out);
  state_->buffer.clear();
  state_->lead = 0;
  state_->swallowing = nullptr;
}

/// Leaves in `found` the matches to be masked now, and gives the end of what may be passed on. A
/// match that lies across that end waits for more, unless it is too long to be waited for.
size_t DetectorSet::Stream::State::settle(std::vector<Match>& found, size_t until) const {
  for (auto next = found.rbegin(); next != found.rend(); ++next) {
    const Match& match = *next;
    bool across = match.from < until && match.to > until;
    if (across && buffer.size() - match.from <= limits::kMaskStreamWindowBytes) until = match.from;
  }
  size_t kept = 0;
  for (const Match& next : found) {
    if (next.from >= until) continue;
    until = std::max(until, next.offset + next.length);
    found[kept++] = next;
  }
  found.resize(kept);
  return until;
}

void DetectorSet::Stream::State::advance(bool last, std::string& out) {
  const Impl& impl = *set->impl_;
  size_t until = last ? buffer.size() : std::max(lead, impl.hold_from(buffer));
  bool forced = buffer.size() - until > limits::kMaskStreamWindowBytes;
  if (forced) until = std::max(lead, buffer.size() - kForcedBytes);
  if (until <= lead) return;
  std::vector<Match> found = impl.matches(buffer, lead);
  if (!last) until = settle(found, until);
  size_t done = lead;
  for (const Match& next : found) {
    out.append(buffer, done, next.offset - done);
    impl.append_masked(next, buffer, *masker, out);
    done = next.offset + next.length;
    ++findings;
    if (!last && next.to == buffer.size()) {
      swallowing = impl.rules[next.tail_rule].detector;
      swallowed_form = next.form;
    }
  }
  out.append(buffer, done, until - done);
  size_t keep = until - std::min(until, kLeadBytes);
  buffer.erase(0, keep);
  lead = until - keep;
}

}  // namespace sallyport::mask
