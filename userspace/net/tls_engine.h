// SPDX-License-Identifier: Apache-2.0
// TLS over memory, no descriptor: ciphertext in, plaintext out, and the other way round. Both roles.
//
//   socket ── feed(ciphertext) ──► engine ── read() ──► plaintext
//   socket ◄── output() ◄───────── engine ◄── write(plaintext)
//
// Move on with feed() then read() until it gives 0; whatever was called, output() may have grown.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "net/tls_context.h"
#include "sallyport/base/result.h"
#include "sallyport/flow/action.h"
#include "sallyport/flow/event.h"
#include "sallyport/net/worker.h"

namespace sallyport::net {

class TlsEngine {
 public:
  /// `leaf` is needed for the server's role. The client's first message is in output() at once.
  static Result<std::unique_ptr<TlsEngine>> make(TlsContexts& contexts, const flow::Secure& secure, const Leaf* leaf);

  /// `ciphertext` is borrowed until read() has given 0 or an error.
  void feed(std::string_view ciphertext) { input_ = ciphertext; }
  /// Up to `capacity` plaintext bytes; 0: more ciphertext is needed, or the peer's close_notify came
  /// (ended()). An error is final; its alert, if any, is in output(). Runs the handshake first.
  Result<size_t> read(char* buffer, size_t capacity);
  /// Before the end of the handshake the bytes wait inside (counted by waiting()).
  Result<void> write(std::string_view plaintext);
  /// Sends close_notify: after what waits, once the handshake is over.
  void close();

  /// Ciphertext for the peer; the caller takes it and leaves it empty.
  std::string& output() { return output_; }
  size_t waiting() const { return waiting_.size(); }
  bool established() const { return established_; }
  bool ended() const { return ended_; }
  /// What was agreed; call when established. `leg` is filled in.
  flow::Secured secured(flow::Leg leg) const;

  /// For TlsContexts: what OpenSSL calls during the handshake of a server, and of a client that verifies.
  static void install_callbacks(SSL_CTX* server);
  static int on_verify(int accepted, X509_STORE_CTX* store);

 private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  explicit TlsEngine(bool server) : server_(server) {}
  Result<void> prepare_server(const flow::Secure& secure, const Leaf* leaf);
  Result<void> prepare_client(const flow::Secure& secure);
  Result<bool> handshake();
  Result<void> encrypt(std::string_view plaintext);
  std::string failure(std::string_view otherwise) const;

  // The BIO under the SSL object: reads input_, appends to output_.
  static BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* buffer, size_t capacity, size_t* got);
  static int bio_write(BIO* bio, const char* bytes, size_t size, size_t* written);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static int on_client_hello(SSL* ssl, int* alert, void* unused);
  static int on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                     unsigned int offered_size, void* unused);

  const bool server_;
  bool established_ = false;
  bool ended_ = false;
  bool close_wanted_ = false;
  bool full_verification_ = false;
  std::string not_accepted_;  ///< why the server's certificate was not
  std::string alpn_;          ///< wire form: length byte, then the name
  std::string_view input_;
  std::string output_;
  std::string waiting_;
  std::unique_ptr<SSL, SslFree> ssl_;
};

}  // namespace sallyport::net
