// SPDX-License-Identifier: Apache-2.0
// Addresses of IPv4 in dotted quads and of IPv6 (RFC 4291 2.2), with a prefix length if one is written.
#include <algorithm>
#include <array>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

constexpr size_t kV6BytesMax = 45;  // INET6_ADDRSTRLEN less one
constexpr size_t kHeldBytes = kV6BytesMax + 5;

bool is_address(char c) { return is_hex(c) || c == ':' || c == '.'; }

/// Before numbers that look the same: "version 1.2.3.4".
constexpr std::string_view kNumbered =
    "version|release|ver|firmware|build|driver|v|section|chapter|oid|objectidentifier";

/// Where the dotted quad at `at` ends; `at`: none.
size_t quad_end(std::string_view text, size_t at) {
  size_t end = at;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (end >= text.size() || text[end++] != '.')) return at;
    size_t begin = end;
    int value = 0;
    while (end < text.size() && is_ascii_digit(text[end]) && end - begin < 4) value = value * 10 + (text[end++] - '0');
    size_t digits = end - begin;
    if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[begin] == '0')) return at;
  }
  return end;
}

/// Does a dotted quad end before `at`? "10.0.0.1-10.0.0.9" are two addresses, "ip-10.0.0.1" is a name.
bool quad_before(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && at - begin < 16 && (is_ascii_digit(text[begin - 1]) || text[begin - 1] == '.')) --begin;
  return begin < at && quad_end(text, begin) == at;
}

/// Is [0, size) of this an IPv6 address? Bytes are of is_address().
bool is_v6(std::string_view text) {
  size_t groups = 0;
  bool gap = false;
  size_t at = 0;
  if (text.starts_with("::")) {
    gap = true;
    at = 2;
  }
  bool any_digit = false;
  while (at < text.size()) {
    size_t begin = at;
    while (at < text.size() && is_hex(text[at])) any_digit |= is_ascii_digit(text[at++]);
    if (at < text.size() && text[at] == '.') {  // the last 32 bits
      return groups <= (gap ? 5 : 6) && (gap || groups == 6) && quad_end(text, begin) == text.size();
    }
    if (at == begin || at - begin > 4) return false;
    ++groups;
    if (at == text.size()) break;
    ++at;  // ':'
    if (at == text.size()) return false;
    if (text[at] != ':') continue;
    if (gap) return false;
    gap = true;
    if (++at == text.size()) break;
  }
  // Words with colons between are paths in programs: without a digit it is none.
  return (gap ? groups < 8 && groups > 0 : groups == 8) && any_digit;
}

class IpAddressDetector final : public Detector {
 public:
  explicit IpAddressDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return (traits & kTraitDigit) && (traits & (kTraitDot | kTraitColon)); }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    size_t at = start;
    while (at > 0 && start - at <= kHeldBytes && is_address(text[at - 1])) --at;
    while (at < text.size()) {
      if (!is_address(text[at])) {
        ++at;
        continue;
      }
      size_t end = at;
      size_t marks = 0;
      for (; end < text.size() && is_address(text[end]); ++end) marks += text[end] == ':' || text[end] == '.';
      if (marks >= 2 && end - at <= kV6BytesMax + 2) find_in_run(text, start, at, end, out);
      at = end;
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t least = text.size() - std::min(text.size(), kHeldBytes);
    size_t begin = text.size();
    while (begin > least && (is_address(text[begin - 1]) || text[begin - 1] == '/' || text[begin - 1] == '-')) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view) const override { return 0; }

 private:
  static bool is_word(char c) { return is_ascii_alnum(c) || c == '_'; }

  void find_in_run(std::string_view text, size_t start, size_t at, size_t run_end, std::vector<Match>& out) const {
    size_t end = run_end;
    // A full stop or colon behind an address is the sentence's.
    if (text[end - 1] == '.') --end;
    std::string_view run = text.substr(at, end - at);
    if (run.ends_with(':') && !run.ends_with("::")) run.remove_suffix(1);
    bool word_before = at > 0 && is_word(text[at - 1]);
    bool word_behind = run_end < text.size() && is_word(text[run_end]);
    // What begins with one colon is behind a name: "host:10.0.0.1" or "from:2001:db8::1".
    std::string_view v6 = run.starts_with(':') && !run.starts_with("::") ? run.substr(1) : run;
    bool v6_begins = !word_before || v6.size() != run.size();
    if (run.find(':') != std::string_view::npos && v6_begins && !word_behind && is_v6(v6)) {
      add(text, start, at + (run.size() - v6.size()), at + run.size(), 128, out);
      return;
    }
    if (run.find("::") != std::string_view::npos && !word_before && !word_behind) return;
    find_quads(text, start, at, run_end, out);
  }

  /// Quads among a run's pieces: "10.0.0.1:8080", "udp:10.0.0.1". Five numbers with dots are no address.
  void find_quads(std::string_view text, size_t start, size_t at, size_t run_end, std::vector<Match>& out) const {
    for (size_t begin = at; begin < run_end; ++begin) {
      if (!is_ascii_digit(text[begin])) continue;
      size_t end = quad_end(text, begin);
      bool begins = begin == 0 || (!is_word(text[begin - 1]) && text[begin - 1] != '.' &&
                                   (text[begin - 1] != '-' || quad_before(text, begin - 1)));
      bool dotted_on = end + 1 < text.size() && text[end] == '.' && is_ascii_digit(text[end + 1]);
      bool ends = end == text.size() ||
                  (!is_word(text[end]) && !dotted_on && (text[end] != '-' || quad_end(text, end + 1) > end + 1));
      if (end > begin && begins && ends) add(text, start, begin, end, 32, out);
      while (begin < run_end && (is_hex(text[begin]) || text[begin] == '.')) ++begin;
    }
  }

  void add(std::string_view text, size_t start, size_t begin, size_t end, int prefix_max,
           std::vector<Match>& out) const {
    if (begin < start) return;
    float score = 0.8F;
    size_t digits = end + 1;
    while (end < text.size() && text[end] == '/' && digits < text.size() && is_ascii_digit(text[digits]) &&
           digits - end <= 3)
      ++digits;
    bool prefix = digits > end + 1 && (digits == text.size() || !is_word(text[digits])) &&
                  number_at(text, end + 1, digits - end - 1) <= prefix_max;
    if (prefix) end = digits;
    std::string_view address = text.substr(begin, end - begin);
    if (address == "::" || (address.size() == 3 && address != "::1")) score = kFaint;  // [::2] of a program
    if (has_context(text, begin, kNumbered)) score = kWeak;
    out.push_back({begin, end, begin, end - begin, score, rule_});
  }

  uint32_t rule_;
};

}  // namespace

std::unique_ptr<Detector> make_ip_address_detector(const Wanted& wanted) {
  return std::make_unique<IpAddressDetector>(wanted.rule);
}

}  // namespace sallyport::mask
