// SPDX-License-Identifier: Apache-2.0
#include "mask/pem.h"

#include <algorithm>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

constexpr std::string_view kDashes = "-----";
constexpr std::string_view kEnd = "-----END";
constexpr size_t kHeaderBytesMax = 120;
constexpr size_t kBodyBytesMin = 32;

/// Bytes inside a block: base64, its header lines, and line ends as JSON writes them.
bool is_pem(char c) {
  return is_ascii_alnum(c) || std::string_view("+/=-:,.\\ \t\r\n").find(c) != std::string_view::npos;
}

class PrivateKeyDetector final : public Detector {
 public:
  explicit PrivateKeyDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return (traits & kTraitLong) && (traits & kTraitLetter); }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    for (size_t at = text.find(kPemBegin, start); at != std::string_view::npos;) {
      size_t end = pem_end(text, at);
      if (end > at) out.push_back({at, end, at, end - at, 1, rule_});
      at = text.find(kPemBegin, std::max(end, at + 1));
    }
  }

  size_t hold_from(std::string_view text) const override { return pem_hold_from(text); }
  size_t tail_end(int, std::string_view rest) const override { return pem_tail_end(rest); }

 private:
  uint32_t rule_;
};

}  // namespace

size_t pem_end(std::string_view text, size_t at) {
  std::string_view head = text.substr(at, kHeaderBytesMax);
  size_t dashes = head.find(kDashes, kPemBegin.size());
  if (dashes == std::string_view::npos || head.substr(0, dashes).find("PRIVATE KEY") == std::string_view::npos)
    return at;
  size_t body = at + dashes + kDashes.size();
  size_t end = body;
  while (end < text.size() && is_pem(text[end])) {
    if (text.substr(end).starts_with(kEnd)) {
      size_t close = text.find(kDashes, end + kEnd.size());
      bool closes = close != std::string_view::npos && close - end <= kHeaderBytesMax;
      if (closes) return end - body >= kBodyBytesMin ? close + kDashes.size() : at;
    }
    ++end;
  }
  return end - body >= kBodyBytesMin || end == text.size() ? end : at;
}

size_t pem_hold_from(std::string_view text) {
  // Its first line may have begun, or the block is open to the end.
  size_t least = text.size() - std::min(text.size(), kHeaderBytesMax);
  size_t open = text.rfind(kPemBegin);
  if (open != std::string_view::npos && (open >= least || pem_end(text, open) == text.size())) return open;
  for (size_t size = std::min(kPemBegin.size() - 1, text.size()); size > 0; --size) {
    if (text.ends_with(kPemBegin.substr(0, size))) return text.size() - size;
  }
  return text.size();
}

size_t pem_tail_end(std::string_view rest) {
  size_t close = rest.find(kEnd);
  if (close != std::string_view::npos) close = rest.find(kDashes, close + kDashes.size());
  size_t most = std::min(rest.size(), close == std::string_view::npos ? rest.size() : close + kDashes.size());
  size_t end = 0;
  while (end < most && is_pem(rest[end])) ++end;
  return end;
}

std::unique_ptr<Detector> make_private_key_detector(const Wanted& wanted) {
  return std::make_unique<PrivateKeyDetector>(wanted.rule);
}

}  // namespace sallyport::mask
