// SPDX-License-Identifier: Apache-2.0
#include "net/tls_context.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include "net/tls_engine.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::net {
namespace {

SslContext make_context(const SSL_METHOD* method) {
  SslContext context(SSL_CTX_new(method));
  if (!context || !SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION)) return nullptr;
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  return context;
}

}  // namespace

std::string openssl_error(std::string_view otherwise) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : std::string(otherwise);
}

Result<std::unique_ptr<TlsContexts>> TlsContexts::make() {
  std::unique_ptr<TlsContexts> contexts(new TlsContexts);
  contexts->server_ = make_context(TLS_server_method());
  contexts->unverified_ = make_context(TLS_client_method());
  if (!contexts->server_ || !contexts->unverified_)
    return fail(fmt::format("openssl gives no TLS context: {}", openssl_error("no reason given")));
  TlsEngine::install_callbacks(contexts->server_.get());
  return contexts;
}

Result<SSL_CTX*> TlsContexts::verified(const std::string& ca_file) {
  struct stat status {};
  if (!ca_file.empty()) {
    if (::stat(ca_file.c_str(), &status) != 0) return fail_errno(fmt::format("CA file `{}`", printable(ca_file)));
    if (!S_ISREG(status.st_mode) || status.st_size > static_cast<off_t>(limits::kCaFileBytesMax))
      return fail(fmt::format("CA file `{}` is no regular file of at most {} bytes", printable(ca_file),
                              limits::kCaFileBytesMax));
  }
  const auto nanos = [](const timespec& time) { return time.tv_sec * kNanosPerSecond + time.tv_nsec; };
  Roots seen{.mtime_ns = nanos(status.st_mtim),
             .ctime_ns = nanos(status.st_ctim),
             .inode = status.st_ino,
             .size = static_cast<uint64_t>(status.st_size)};
  if (auto found = roots_.find(ca_file); found != roots_.end()) {
    const Roots& known = found->second;
    if (known.mtime_ns == seen.mtime_ns && known.ctime_ns == seen.ctime_ns && known.inode == seen.inode &&
        known.size == seen.size)
      return known.context.get();
  }
  seen.context = make_context(TLS_client_method());
  if (!seen.context) return fail(fmt::format("openssl gives no TLS context: {}", openssl_error("no reason given")));
  const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(seen.context.get())
                                     : SSL_CTX_load_verify_file(seen.context.get(), ca_file.c_str());
  if (loaded != 1) {
    return fail(fmt::format("CA file `{}` cannot be used: {}", ca_file.empty() ? "system" : printable(ca_file),
                            openssl_error("no certificate in it")),
                "it must hold certificates in PEM");
  }
  SSL_CTX_set_verify(seen.context.get(), SSL_VERIFY_PEER, &TlsEngine::on_verify);
  // Any other one may go: connections hold references of their own.
  if (roots_.size() >= limits::kTlsContextsMax && !roots_.contains(ca_file)) roots_.erase(roots_.begin());
  Roots& kept = roots_[ca_file] = std::move(seen);
  return kept.context.get();
}

}  // namespace sallyport::net
