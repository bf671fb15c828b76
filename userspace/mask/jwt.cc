// SPDX-License-Identifier: Apache-2.0
// JSON web tokens in compact form (RFC 7515, RFC 7516): three or five parts of base64url, the first a JSON object.
#include <algorithm>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"

namespace sallyport::mask {
namespace {

constexpr size_t kPartsMax = 5;
constexpr size_t kHeaderBytesMin = 12;

bool is_base64url(char c) { return is_ascii_alnum(c) || c == '-' || c == '_'; }
bool is_token(char c) { return is_base64url(c) || c == '.' || c == '='; }

/// `{"` or `{ "` or a line end behind the brace, as base64 has it at a text's begin.
bool opens_object(std::string_view text) {
  return text.starts_with("eyJ") || text.starts_with("eyA") || text.starts_with("ewo") || text.starts_with("ew0");
}

/// Where the token at `at` ends; `at`: none.
size_t token_end(std::string_view text, size_t at) {
  size_t end = at;
  size_t parts = 0;
  size_t good = at;
  while (parts < kPartsMax) {
    size_t begin = end;
    while (end < text.size() && is_base64url(text[end])) ++end;
    size_t size = end - begin;
    if (parts < 1 && size < kHeaderBytesMin) return at;
    ++parts;
    if (parts == 3 || parts == kPartsMax) good = end;
    if (end >= text.size() || text[end] != '.') break;
    // An empty last part is an unsigned token's; an empty second is that of direct encryption.
    ++end;
    if (parts == 2) good = end;
  }
  return good;
}

class JwtDetector final : public Detector {
 public:
  explicit JwtDetector(uint32_t rule) : rule_(rule) {}

  bool wants(uint32_t traits) const override { return (traits & kTraitLong) && (traits & kTraitDot); }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    for (size_t at = text.find('e', start); at != std::string_view::npos; at = text.find('e', at + 1)) {
      if (!opens_object(text.substr(at, 3)) || (at > 0 && is_base64url(text[at - 1]))) continue;
      size_t end = token_end(text, at);
      if (end == at) continue;
      out.push_back({at, end, at, end - at, kProven, rule_});
      at = end - 1;
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t begin = text.size();
    while (begin > 0 && is_token(text[begin - 1])) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view rest) const override {
    size_t end = 0;
    while (end < rest.size() && is_token(rest[end])) ++end;
    return end;
  }

 private:
  uint32_t rule_;
};

}  // namespace

std::unique_ptr<Detector> make_jwt_detector(const Wanted& wanted) { return std::make_unique<JwtDetector>(wanted.rule); }

}  // namespace sallyport::mask
