// SPDX-License-Identifier: Apache-2.0
// Addresses as RFC 5321 4.1.2 has them, without quoted local parts and address literals, with UTF-8
// letters of two bytes (RFC 6531; not more, so that scripts written without spaces do not run in).
#include "mask/email.h"

#include <algorithm>
#include <array>

#include "mask/detector.h"

namespace sallyport::mask {
namespace {

constexpr size_t kLocalBytesMax = 64;    // RFC 5321 4.5.3.1.1
constexpr size_t kDomainBytesMax = 255;  // RFC 5321 4.5.3.1.2
constexpr size_t kLabelBytesMax = 63;    // RFC 1035 2.3.4

enum : uint8_t { kLocal = 1, kDomain = 2 };

constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    bool high = (c >= 0xc2 && c <= 0xdf) || (c >= 0x80 && c <= 0xbf);
    if (letter || high || c == '-') classes[static_cast<size_t>(c)] = kLocal | kDomain;
  }
  for (char c : std::string_view("!#$%&'*+/=?^_`{|}~.")) classes[static_cast<uint8_t>(c)] |= kLocal;
  classes['.'] |= kDomain;
  return classes;
}();

bool is_local(char c) { return kClasses[static_cast<uint8_t>(c)] & kLocal; }
bool is_domain(char c) { return kClasses[static_cast<uint8_t>(c)] & kDomain; }
bool is_continuation_byte(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

/// Where the local part that ends before `at` begins; `at` if there is none.
size_t local_begin(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && at - begin < kLocalBytesMax && is_local(text[begin - 1])) --begin;
  // A dot-string neither begins with a dot nor has two in a row; marks around an address
  // ('a@b.c', =a@b.c, {a@b.c}) are not of it.
  size_t dots = text.substr(begin, at - begin).rfind("..");
  if (dots != std::string_view::npos) begin += dots + 2;
  constexpr std::string_view kMarks = ".'`{|=/*?&^~$#!%}";
  while (begin < at && (is_continuation_byte(text[begin]) || kMarks.find(text[begin]) != std::string_view::npos))
    ++begin;
  // key=a@b.c and ?email=a@b.c: what stands before the last '=' or '/' is not of it either.
  size_t mark = text.substr(begin, at - begin).find_last_of("=/?&");
  if (mark != std::string_view::npos) begin += mark + 1;
  if (begin < at && text[at - 1] == '.') return at;
  return begin;
}

bool is_top_level(std::string_view label) {
  if (label.size() < 2) return false;
  if (label.starts_with("xn--")) return true;
  return std::ranges::none_of(label, [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
}

/// Where the domain that begins at `begin` ends; `begin` if there is none.
size_t domain_end(std::string_view text, size_t begin) {
  size_t limit = std::min(text.size(), begin + kDomainBytesMax);
  size_t end = begin;
  size_t good = begin;  // behind the last label that can be a top-level one
  size_t labels = 0;
  while (end < limit) {
    size_t label = end;
    while (end < limit && is_domain(text[end]) && text[end] != '.') ++end;
    std::string_view word = text.substr(label, end - label);
    while (word.ends_with('-')) word.remove_suffix(1);
    if (word.empty() || word.size() > kLabelBytesMax || word.starts_with('-')) break;
    if (++labels >= 2 && is_top_level(word)) good = label + word.size();
    if (word.size() != end - label || end >= limit || text[end] != '.') break;
    ++end;
  }
  return good;
}

class EmailDetector final : public Detector {
 public:
  explicit EmailDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return traits & kTraitAt; }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    for (size_t at = text.find('@', start); at != std::string_view::npos; at = text.find('@', at + 1)) {
      size_t begin = std::max(local_begin(text, at), start);
      size_t end = domain_end(text, at + 1);
      if (begin < at && end > at + 1) out.push_back({begin, end, begin, end - begin, 1, rule_});
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t least = text.size() - std::min(text.size(), kLocalBytesMax + 1 + kDomainBytesMax + kLeadBytes);
    size_t begin = text.size();
    while (begin > least && (is_local(text[begin - 1]) || text[begin - 1] == '@')) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view rest) const override {
    size_t end = 0;
    while (end < rest.size() && is_domain(rest[end])) ++end;
    return end;
  }

 private:
  uint32_t rule_;
};

}  // namespace

bool is_email(std::string_view text) {
  size_t at = text.find('@');
  return at != std::string_view::npos && at > 0 && at <= kLocalBytesMax && local_begin(text, at) == 0 &&
         domain_end(text, at + 1) == text.size();
}

std::unique_ptr<Detector> make_email_detector(const Wanted& wanted) {
  return std::make_unique<EmailDetector>(wanted.rule);
}

}  // namespace sallyport::mask
