// SPDX-License-Identifier: Apache-2.0
// The OpenSSL contexts of one worker: one for servers, one for each file of roots. Not thread-safe.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "sallyport/base/result.h"

namespace sallyport::net {

struct SslContextFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslContextFree>;

/// The newest entry of OpenSSL's error queue in words, which is then empty; `otherwise` if there is none.
std::string openssl_error(std::string_view otherwise);

class TlsContexts {
 public:
  /// TLS 1.2 and up, no tickets, no session cache, no renegotiation, buffers freed when idle.
  static Result<std::unique_ptr<TlsContexts>> make();

  /// Towards agents; certificates are set on each connection.
  SSL_CTX* server() const { return server_.get(); }
  /// Towards servers whose certificate nobody checks.
  SSL_CTX* unverified() const { return unverified_.get(); }
  /// Towards servers that must chain to the PEM roots in `ca_file` (empty: the system's). Loaded
  /// again when the file changed. Borrowed: SSL_new() takes its own reference.
  Result<SSL_CTX*> verified(const std::string& ca_file);

 private:
  struct Roots {
    int64_t mtime_ns = 0, ctime_ns = 0;
    uint64_t inode = 0, size = 0;
    SslContext context;
  };
  TlsContexts() = default;

  SslContext server_, unverified_;
  std::unordered_map<std::string, Roots> roots_;
};

}  // namespace sallyport::net
