// SPDX-License-Identifier: Apache-2.0
// The keys of Issuers, kept fresh: by OpenID discovery over verified HTTPS, or from a local file. Each Issuer has a
// thread of its own, so that one that is slow or down delays no other.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sallyport/base/limits.h"
#include "sallyport/identity/jwks.h"

namespace sallyport::edges {

/// Where one Issuer's keys come from.
struct IssuerSource {
  std::string name;       ///< in policy
  std::string url;        ///< keys are discovered below it, unless `jwks_file` names a file
  std::string jwks_file;  ///< empty: discovery
  std::string ca_file;    ///< PEM roots; empty: the system's
  int64_t keep_ns = 0;    ///< how long the last keys count while no newer ones can be had
  bool operator==(const IssuerSource&) const = default;
};

/// Intervals in milliseconds; the defaults are those of base/limits.h. Tests shorten them.
struct JwksTimes {
  int64_t connect = limits::kJwksConnectTimeoutMs;
  int64_t answer = limits::kJwksAnswerTimeoutMs;
  int64_t refresh_min = limits::kJwksRefreshMinMs;
  int64_t refresh_max = limits::kJwksRefreshMaxMs;
  int64_t unknown_key = limits::kJwksUnknownKeyMs;
  int64_t retry = limits::kJwksRetryMs;
  int64_t retry_max = limits::kJwksRetryMaxMs;
  int64_t file_poll = limits::kJwksFilePollMs;
};

struct IssuerStatus {
  std::string name;
  size_t keys = 0;
  int64_t fetched_wall_ns = 0;  ///< 0: never
  uint64_t fetches = 0;         ///< attempts
  std::string trouble;          ///< of the last attempt; empty: it went well
};

class IssuerWatch;

class JwksCache final : public identity::KeySet {
 public:
  /// `changed` is called from the threads when the keys of an Issuer are others than before, or came, or ran out.
  explicit JwksCache(std::function<void()> changed, JwksTimes times = {});
  ~JwksCache() override;

  /// The Issuers there are now; those that stay keep their keys. Returns before anything is fetched.
  void set_issuers(const std::vector<IssuerSource>& sources);

  Result<std::shared_ptr<const identity::Jwks>> keys(std::string_view issuer) override;
  /// Asks for the keys again, no more often than JwksTimes::unknown_key, and for one key id in vain only once in
  /// JwksTimes::refresh_min.
  void miss(std::string_view issuer, std::string_view key_id) override;
  std::vector<IssuerStatus> status() const;

 private:
  std::shared_ptr<IssuerWatch> find(std::string_view issuer) const;

  const std::function<void()> changed_;
  const JwksTimes times_;
  mutable std::mutex mutex_;  ///< of the map, not of what it holds
  std::map<std::string, std::shared_ptr<IssuerWatch>, std::less<>> watches_;
};

}  // namespace sallyport::edges
