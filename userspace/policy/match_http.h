// SPDX-License-Identifier: Apache-2.0
// The `http:` rule: what it says, and whether it covers or touches a request. All that policy knows of HTTP is here and
// in http_path.cc.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pattern.h"
#include "sallyport/base/limits.h"
#include "sallyport/model/operation.h"

namespace sallyport::policy {

struct HttpRule {
  bool any_method = true;            ///< no `methods`, or a `*` in it
  std::vector<std::string> methods;  ///< GET stands for HEAD as well: it tells no more
  bool any_path = true;              ///< no `paths`, or `/**` in it
  std::vector<Pattern> paths;
};

/// "/v1/*", "/v1/**", "/": absolute, as requests have it once normalised; a trailing slash is a segment of no letters.
Result<Pattern> parse_http_path_pattern(std::string_view text);

/// A request with its path taken apart, once for all rules. Views into the operation, which must outlive it.
class HttpCall {
 public:
  explicit HttpCall(const model::Http& http);
  const model::Http& http() const { return http_; }
  /// False: servers read such a path in different ways (`//`, `;`, a `%` left after decoding, bytes that are no UTF-8).
  /// No pattern can be ruled out for it, and only a rule about all paths covers it.
  bool plain() const { return plain_; }
  std::span<const Part> parts() const { return {parts_.data(), count_}; }

 private:
  const model::Http& http_;
  std::array<Part, limits::kPolicySegmentsMax> parts_;
  size_t count_ = 0;
  bool plain_ = true;
};

/// Whether the rule surely matches the request.
bool covers(const HttpRule& rule, const HttpCall& call);
/// Whether it matches, or that cannot be ruled out.
bool touches(const HttpRule& rule, const HttpCall& call);
/// Whether everything that `allow` can cover is touched by `deny`; false when that is not plain to see.
bool shadows(const HttpRule& deny, const HttpRule& allow);

/// "GET /v1/invoices"
std::string describe(const model::Http& http);
/// "{http: {methods: [GET], paths: [/v1/invoices]}}": the smallest rule that covers it.
std::string rule_for(const model::Http& http);

}  // namespace sallyport::policy
