// SPDX-License-Identifier: Apache-2.0
// The node's own certificate authority, for TLS towards agents. Its P-256 key is made at start, lives
// in memory only and never leaves it. A leaf is minted for each host that an agent means to reach,
// and cached. Thread-safe: one call at a time mints, all share the cache.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "sallyport/base/result.h"

struct x509_st;
struct evp_pkey_st;

namespace sallyport::node {

/// A certificate for one host, and its key. Read only: shared with the cache.
struct MintedLeaf {
  std::shared_ptr<x509_st> certificate;
  std::shared_ptr<evp_pkey_st> key;
  int64_t not_after_wall_ns = 0;
};

class CertificateAuthority {
 public:
  /// `node` goes into the issuer's name, for humans.
  static Result<std::unique_ptr<CertificateAuthority>> make(const std::string& node, int64_t now_wall_ns);

  /// The leaf for a host name or an address; subjectAltName is a dNSName or an iPAddress accordingly.
  /// Fails on what is neither. A cached one is given while it has a day to go; beyond
  /// limits::kLeavesMax the one unused for longest is forgotten.
  Result<MintedLeaf> leaf(const std::string& host, int64_t now_wall_ns);

  /// What agents must trust.
  std::string certificate_pem() const;
  size_t cached() const;

 private:
  struct Cached {
    std::string host;
    MintedLeaf leaf;
  };
  CertificateAuthority() = default;
  Result<MintedLeaf> mint(const std::string& host, int64_t now_wall_ns) const;

  std::shared_ptr<x509_st> certificate_;
  std::shared_ptr<evp_pkey_st> key_;
  mutable std::mutex mutex_;
  std::list<Cached> recent_;  ///< the last used first
  std::unordered_map<std::string, std::list<Cached>::iterator> by_host_;
};

}  // namespace sallyport::node
