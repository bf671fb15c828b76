// SPDX-License-Identifier: Apache-2.0
// URLs (RFC 3986) with a scheme and a host that is a domain or an address, and domains that stand alone where their
// last label is one that exists.
#include <algorithm>
#include <array>
#include <string>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/domains.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

constexpr size_t kSchemeBytesMax = 16;
constexpr size_t kHostBytesMax = 255;  // RFC 1035 2.3.4
constexpr size_t kLabelBytesMax = 63;

enum : uint8_t { kHost = 1, kPath = 2 };

constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (int c = 0x21; c < 256; ++c) {
    if (c != 0x7f) classes[static_cast<size_t>(c)] = kPath;
  }
  for (char c : std::string_view("\"'<>`{}|\\^")) classes[static_cast<uint8_t>(c)] = 0;
  for (int c = 0; c < 256; ++c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c >= 0xc2) classes[static_cast<size_t>(c)] |= kHost;
    if (c >= 0x80 && c <= 0xbf) classes[static_cast<size_t>(c)] |= kHost;
  }
  return classes;
}();

bool is_host(char c) { return kClasses[static_cast<uint8_t>(c)] & kHost; }
bool is_path(char c) { return kClasses[static_cast<uint8_t>(c)] & kPath; }

TopLevel last_label(std::string_view host) {
  size_t dot = host.rfind('.');
  std::string_view label = dot == std::string_view::npos ? std::string_view() : host.substr(dot + 1);
  std::array<char, 24> lower{};
  if (label.size() < 2 || label.size() > lower.size()) return TopLevel::none;
  std::ranges::transform(label, lower.begin(), ascii_lower);
  return top_level({lower.data(), label.size()});
}

/// Labels of letters, digits and hyphens, none of them empty; at least two.
bool is_domain(std::string_view host) {
  size_t labels = 0;
  size_t size = 0;
  for (size_t i = 0; i <= host.size(); ++i) {
    if (i < host.size() && host[i] != '.') {
      ++size;
      continue;
    }
    if (size == 0 || size > kLabelBytesMax || host[i - 1] == '-' || host[i - size] == '-') return false;
    ++labels;
    size = 0;
  }
  return labels >= 2;
}

bool is_quad(std::string_view host) {
  return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos &&
         std::ranges::count(host, '.') == 3;
}

class UrlDetector final : public Detector {
 public:
  explicit UrlDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return traits & (kTraitDot | kTraitColon); }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    // A dot with something on either side, or a scheme's mark, is what tells; the rest is skipped.
    for (size_t at = next_mark(text, start); at < text.size(); at = next_mark(text, at)) {
      at = text[at] == ':' ? after_scheme(text, start, at, out) : after_host(text, start, at, out);
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t begin = text.size();
    while (begin > 0 && is_path(text[begin - 1])) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view rest) const override {
    size_t end = 0;
    while (end < rest.size() && is_path(rest[end])) ++end;
    return end;
  }

 private:
  static size_t next_mark(std::string_view text, size_t at) {
    for (; at + 1 < text.size(); ++at) {
      if (text[at] == '.' && is_host(text[at + 1]) && text[at + 1] != '.') return at;
      if (text[at] == ':' && text[at + 1] == '/') return at;
    }
    return text.size();
  }

  /// Takes the URL whose scheme ends at `mark`, if there is one; gives where to go on.
  size_t after_scheme(std::string_view text, size_t start, size_t mark, std::vector<Match>& out) const {
    size_t scheme = mark;
    while (scheme > 0 && mark - scheme < kSchemeBytesMax &&
           (is_ascii_alnum(text[scheme - 1]) || text[scheme - 1] == '+'))
      --scheme;
    if (scheme == mark || !text.substr(mark).starts_with("://")) return mark + 1;
    size_t end = mark + 3;
    while (end < text.size() && is_path(text[end])) ++end;
    size_t url = url_end(text, mark + 3, end);
    if (url == mark + 3) return url;
    if (scheme >= start) out.push_back({scheme, end, scheme, url - scheme, kProven, rule_});
    return url;
  }

  /// The same for the domain in which a dot stands: "a.com", "(www.a.com/x)", "a.com,b.org".
  size_t after_host(std::string_view text, size_t start, size_t dot, std::vector<Match>& out) const {
    size_t begin = dot;
    while (begin > 0 && dot - begin <= kLabelBytesMax && is_host(text[begin - 1])) --begin;
    size_t end = dot + 1;
    while (end < text.size() && is_host(text[end])) ++end;
    std::string_view host = text.substr(begin, end - begin);
    while (host.ends_with('.') || host.ends_with('-')) host.remove_suffix(1);
    char before = begin > 0 ? text[begin - 1] : ' ';
    char behind = end < text.size() ? text[end] : ' ';
    bool apart = std::string_view("@_/\\:=~$%&+*").find(before) == std::string_view::npos && !is_host(before) &&
                 std::string_view("@_(=").find(behind) == std::string_view::npos;
    if (!apart || begin < start || host.size() > kHostBytesMax || !is_domain(host)) return end;
    bool named = host.starts_with("www.") || host.starts_with("WWW.");
    TopLevel top = last_label(host);
    if (top == TopLevel::none || std::ranges::count(host, '.') < (named ? 2 : 1)) return end;
    float score = named || top == TopLevel::known ? kShaped : kWeak;
    out.push_back({begin, end, begin, host.size(), score, rule_});
    return end;
  }

  /// Where the URL whose authority begins at `begin` ends; `begin`: it has no host.
  static size_t url_end(std::string_view text, size_t begin, size_t end) {
    std::string_view rest = text.substr(begin, end - begin);
    size_t authority = std::min(rest.find_first_of("/?#"), rest.size());
    size_t at_sign = rest.substr(0, authority).rfind('@');
    size_t host = at_sign == std::string_view::npos ? 0 : at_sign + 1;
    size_t host_end = host;
    bool literal = host < rest.size() && rest[host] == '[';
    if (literal) {
      host_end = rest.find(']', host);
      if (host_end == std::string_view::npos || host_end - host > 48) return begin;
      ++host_end;
    } else {
      while (host_end < rest.size() && is_host(rest[host_end])) ++host_end;
      std::string_view name = rest.substr(host, host_end - host);
      while (name.ends_with('.')) name.remove_suffix(1);
      if (name.size() > kHostBytesMax || !is_domain(name)) return begin;
      if (!is_quad(name) && is_ascii_digit(name.back())) return begin;
      if (host_end == rest.size()) return begin + host + name.size();
    }
    if (rest[host_end] == ':') {
      ++host_end;
      while (host_end < rest.size() && is_ascii_digit(rest[host_end])) ++host_end;
    }
    if (host_end < rest.size() && std::string_view("/?#").find(rest[host_end]) == std::string_view::npos)
      return begin + host_end;
    // A mark at the end is the sentence's, and so is a bracket that was not opened within.
    std::string_view url = rest;
    while (!url.empty()) {
      char last = url.back();
      bool opened = last == ')' ? std::ranges::count(url, '(') >= std::ranges::count(url, ')')
                                : last == ']' && std::ranges::count(url, '[') >= std::ranges::count(url, ']');
      if (std::string_view(".,;:!?)]*").find(last) == std::string_view::npos || opened) break;
      url.remove_suffix(1);
    }
    return begin + std::max(url.size(), host_end);
  }

  uint32_t rule_;
};

}  // namespace

std::unique_ptr<Detector> make_url_detector(const Wanted& wanted) { return std::make_unique<UrlDetector>(wanted.rule); }

}  // namespace sallyport::mask
