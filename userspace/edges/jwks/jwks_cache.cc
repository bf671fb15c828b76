// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <fmt/core.h>

#include "edges/jwks/issuer_watch.h"

namespace sallyport::edges {

JwksCache::JwksCache(std::function<void()> changed, JwksTimes times) : changed_(std::move(changed)), times_(times) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)ready;
}

JwksCache::~JwksCache() {
  // Their threads call changed_: they end first.
  watches_.clear();
}

void JwksCache::set_issuers(const std::vector<IssuerSource>& sources) {
  decltype(watches_) next;
  for (const IssuerSource& source : sources) {
    auto now = find(source.name);
    if (!now || now->source() != source) now = std::make_shared<IssuerWatch>(source, times_, changed_);
    next.emplace(source.name, std::move(now));
  }
  std::lock_guard lock(mutex_);
  watches_.swap(next);
  // Those that are gone end here, outside of the lock: `next` goes after it.
}

std::shared_ptr<IssuerWatch> JwksCache::find(std::string_view issuer) const {
  std::lock_guard lock(mutex_);
  const auto found = watches_.find(issuer);
  return found == watches_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<const identity::Jwks>> JwksCache::keys(std::string_view issuer) {
  const auto watch = find(issuer);
  return watch ? watch->keys() : fail("no such Issuer in policy");
}

void JwksCache::miss(std::string_view issuer, std::string_view key_id) {
  if (const auto watch = find(issuer)) watch->miss(key_id);
}

std::vector<IssuerStatus> JwksCache::status() const {
  std::vector<std::shared_ptr<IssuerWatch>> watches;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, watch] : watches_) watches.push_back(watch);
  }
  std::vector<IssuerStatus> out;
  for (const auto& watch : watches) out.push_back(watch->status());
  return out;
}

}  // namespace sallyport::edges
