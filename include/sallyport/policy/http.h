// SPDX-License-Identifier: Apache-2.0
// HTTP in policy's words: what a request's target is once it is normalised, and which hosts are a Target's.
#pragma once

#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/policy/policy.h"

namespace sallyport::policy {

/// A request target of origin form, "/v1/invoices?year=2026", taken apart.
struct HttpPath {
  std::string path;   ///< percent-decoded once
  std::string query;  ///< behind the first `?`, as it came
};

/// Refuses what servers read in different ways: an encoded slash, backslash, NUL or other control character, a broken
/// escape, `.` and `..` segments, a fragment, bytes that belong in no URI. "*" (OPTIONS *) stays as it is.
Result<HttpPath> normalise_path(std::string_view target);

/// A Host field or authority, taken apart: lower case, no trailing dot, port 0 where it says none.
struct HttpHost {
  std::string name;  ///< or an address, without brackets
  uint16_t port = 0;
};
Result<HttpHost> parse_http_host(std::string_view authority);

/// Whether a request for `host` at `destination`'s connection is one to `target`: a name that the Target lists with
/// that port, or an address that leads to it. What it does not list could be another virtual host of the same server.
bool leads_to(const Policy& policy, const HostAddresses& resolved, const Target& target, const HttpHost& host,
              uint16_t default_port);

}  // namespace sallyport::policy
