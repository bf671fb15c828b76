// SPDX-License-Identifier: Apache-2.0
// The other end of a TLS connection: plain libssl over its own memory BIOs, so that our engine is not
// tested against itself.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <string>

#include "sallyport/net/worker.h"

namespace sallyport::net {

class TlsPeer {
 public:
  enum class Role { client, server };
  explicit TlsPeer(Role role, const Leaf* leaf = nullptr) {
    context_ = SSL_CTX_new(role == Role::client ? TLS_client_method() : TLS_server_method());
    if (leaf != nullptr) {
      SSL_CTX_use_certificate(context_, leaf->certificate.get());
      SSL_CTX_use_PrivateKey(context_, leaf->key.get());
    }
    role_ = role;
  }
  ~TlsPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsPeer(const TlsPeer&) = delete;

  SSL_CTX* context() { return context_; }
  /// Made on first use, after the context was set up.
  SSL* ssl() {
    if (ssl_ != nullptr) return ssl_;
    ssl_ = SSL_new(context_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_, in_, out_);
    role_ == Role::client ? SSL_set_connect_state(ssl_) : SSL_set_accept_state(ssl_);
    return ssl_;
  }

  /// Takes ciphertext, drives the handshake, keeps plaintext.
  void feed(std::string_view ciphertext) {
    ssl();
    if (!ciphertext.empty()) BIO_write(in_, ciphertext.data(), static_cast<int>(ciphertext.size()));
    if (!SSL_is_init_finished(ssl_)) SSL_do_handshake(ssl_);
    char buffer[16384];
    for (int got = SSL_read(ssl_, buffer, sizeof buffer); got > 0; got = SSL_read(ssl_, buffer, sizeof buffer))
      plaintext.append(buffer, static_cast<size_t>(got));
  }
  void write(std::string_view bytes) { SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size())); }
  std::string take_output() {
    ssl();
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(out_, &bytes);
    std::string out(bytes, static_cast<size_t>(size));
    (void)BIO_reset(out_);
    return out;
  }
  bool finished() { return SSL_is_init_finished(ssl()) == 1; }
  bool got_close_notify() { return (SSL_get_shutdown(ssl()) & SSL_RECEIVED_SHUTDOWN) != 0; }

  std::string plaintext;

 private:
  Role role_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

}  // namespace sallyport::net
