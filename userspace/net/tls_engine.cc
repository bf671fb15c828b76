// SPDX-License-Identifier: Apache-2.0
#include "net/tls_engine.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "sallyport/base/check.h"
#include "sallyport/base/log.h"
#include "sallyport/model/address.h"

namespace sallyport::net {
namespace {

bool is_address(const std::string& name) { return model::IpAddress::parse(name).has_value(); }

/// RFC 5929 section 4.1: the certificate hashed with the hash of its signature, SHA-256 for MD5 and
/// SHA-1. Empty where the signature has no hash (Ed25519): undefined there, as PostgreSQL has it.
std::string end_point_digest(X509* certificate) {
  int digest_nid = NID_undef;
  if (certificate == nullptr || !X509_get_signature_info(certificate, &digest_nid, nullptr, nullptr, nullptr))
    return {};
  if (digest_nid == NID_undef) return {};
  if (digest_nid == NID_md5 || digest_nid == NID_sha1) digest_nid = NID_sha256;
  const EVP_MD* digest = EVP_get_digestbynid(digest_nid);
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned size = 0;
  if (digest == nullptr || !X509_digest(certificate, digest, bytes.data(), &size)) return {};
  return std::string(reinterpret_cast<const char*>(bytes.data()), size);
}

std::string subject_of(X509* certificate) {
  char text[200] = "";
  if (certificate != nullptr) X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
  return printable(text);
}

}  // namespace

// ---- The BIO ----

BIO_METHOD* TlsEngine::bio_method() {
  // One for the life of the process: OpenSSL wants it to outlive every BIO made of it.
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sallyport memory");
    SP_CHECK(made != nullptr);
    BIO_meth_set_read_ex(made, &TlsEngine::bio_read);
    BIO_meth_set_write_ex(made, &TlsEngine::bio_write);
    BIO_meth_set_ctrl(made, &TlsEngine::bio_control);
    return made;
  }();
  return method;
}

int TlsEngine::bio_read(BIO* bio, char* buffer, size_t capacity, size_t* got) {
  auto* engine = static_cast<TlsEngine*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *got = std::min(capacity, engine->input_.size());
  if (*got == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(buffer, engine->input_.data(), *got);
  engine->input_.remove_prefix(*got);
  return 1;
}

int TlsEngine::bio_write(BIO* bio, const char* bytes, size_t size, size_t* written) {
  static_cast<TlsEngine*>(BIO_get_data(bio))->output_.append(bytes, size);
  *written = size;
  return 1;
}

long TlsEngine::bio_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
      return 1;
    case BIO_CTRL_EOF:
      return 0;
    case BIO_CTRL_PENDING:
      return static_cast<long>(static_cast<TlsEngine*>(BIO_get_data(bio))->input_.size());
    default:
      return 0;
  }
}

// ---- Making one ----

Result<std::unique_ptr<TlsEngine>> TlsEngine::make(TlsContexts& contexts, const flow::Secure& secure,
                                                   const Leaf* leaf) {
  ERR_clear_error();
  const bool server = secure.role == flow::Secure::Role::server;
  SSL_CTX* context = server ? contexts.server() : contexts.unverified();
  if (!server && secure.verify != flow::Secure::Verify::none) {
    auto verified = contexts.verified(secure.ca_file);
    if (!verified) return std::unexpected(verified.error());
    context = *verified;
  }
  std::unique_ptr<TlsEngine> engine(new TlsEngine(server));
  engine->ssl_.reset(SSL_new(context));
  BIO* bio = engine->ssl_ ? BIO_new(bio_method()) : nullptr;
  if (bio == nullptr) return fail(fmt::format("openssl gives no TLS object: {}", openssl_error("no reason given")));
  BIO_set_data(bio, engine.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(engine->ssl_.get(), bio, bio);
  SSL_set_app_data(engine->ssl_.get(), reinterpret_cast<char*>(engine.get()));
  if (secure.alpn.size() > 255) return fail("an ALPN name is at most 255 bytes");
  if (!secure.alpn.empty()) engine->alpn_ = static_cast<char>(secure.alpn.size()) + secure.alpn;
  auto ready = server ? engine->prepare_server(secure, leaf) : engine->prepare_client(secure);
  if (!ready) return std::unexpected(ready.error());
  return engine;
}

Result<void> TlsEngine::prepare_server(const flow::Secure& secure, const Leaf* leaf) {
  if (leaf == nullptr || !leaf->certificate || !leaf->key)
    return fail(fmt::format("no certificate for `{}`", printable(secure.server_name)));
  if (SSL_use_certificate(ssl_.get(), leaf->certificate.get()) != 1 ||
      SSL_use_PrivateKey(ssl_.get(), leaf->key.get()) != 1)
    return fail(fmt::format("the certificate for `{}` cannot be used: {}", printable(secure.server_name),
                            openssl_error("no reason given")));
  SSL_set_accept_state(ssl_.get());
  return {};
}

Result<void> TlsEngine::prepare_client(const flow::Secure& secure) {
  SSL* ssl = ssl_.get();
  const std::string& name = secure.server_name;
  const bool address = is_address(name);
  // RFC 6066 section 3: literal addresses are not permitted in SNI.
  if (!name.empty() && !address && SSL_set_tlsext_host_name(ssl, name.c_str()) != 1)
    return fail(fmt::format("`{}` cannot be a TLS server name", printable(name)));
  if (secure.verify == flow::Secure::Verify::full) {
    if (name.empty()) return fail("verify-full needs the server's name", "name the host in the Target");
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set =
        address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) : SSL_set1_host(ssl, name.c_str());
    if (set != 1) return fail(fmt::format("`{}` cannot be verified as a server's name", printable(name)));
    full_verification_ = true;
  }
  if (!alpn_.empty() && SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn_.data()),
                                            static_cast<unsigned>(alpn_.size())) != 0)
    return fail("openssl refused the ALPN name");
  SSL_set_connect_state(ssl);
  auto begun = handshake();
  if (!begun) return std::unexpected(begun.error());
  return {};
}

// ---- What OpenSSL calls ----

void TlsEngine::install_callbacks(SSL_CTX* server) {
  SSL_CTX_set_client_hello_cb(server, &TlsEngine::on_client_hello, nullptr);
  SSL_CTX_set_alpn_select_cb(server, &TlsEngine::on_alpn, nullptr);
}

int TlsEngine::on_verify(int accepted, X509_STORE_CTX* store) {
  if (accepted == 1) return 1;
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* engine = reinterpret_cast<TlsEngine*>(SSL_get_app_data(ssl));
  engine->not_accepted_ =
      fmt::format("certificate of `{}` not accepted: {}", subject_of(X509_STORE_CTX_get_current_cert(store)),
                  X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
  return 0;
}

// ALPN is demanded, not only preferred, when the flow names one: a client that offers none fails too.

int TlsEngine::on_client_hello(SSL* ssl, int* alert, void*) {
  const auto* engine = reinterpret_cast<const TlsEngine*>(SSL_get_app_data(ssl));
  const unsigned char* extension = nullptr;
  size_t size = 0;
  if (engine->alpn_.empty() ||
      SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &extension, &size) == 1)
    return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

int TlsEngine::on_alpn(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                       unsigned int offered_size, void*) {
  const auto* engine = reinterpret_cast<const TlsEngine*>(SSL_get_app_data(ssl));
  if (engine->alpn_.empty()) return SSL_TLSEXT_ERR_NOACK;
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, chosen_size, reinterpret_cast<const unsigned char*>(engine->alpn_.data()),
                            static_cast<unsigned>(engine->alpn_.size()), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = selected;
  return SSL_TLSEXT_ERR_OK;
}

// ---- Running ----

Result<bool> TlsEngine::handshake() {
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) {
    established_ = true;
    if (!waiting_.empty()) {
      std::string waited;
      waited.swap(waiting_);
      if (auto sent = encrypt(waited); !sent) return std::unexpected(sent.error());
    }
    if (close_wanted_) close();
    return true;
  }
  const int error = SSL_get_error(ssl_.get(), done);
  if (error == SSL_ERROR_WANT_READ) return false;
  return fail(failure("the handshake was broken off"));
}

std::string TlsEngine::failure(std::string_view otherwise) const {
  const char* who = server_ ? "tls with the agent" : "tls with the server";
  std::string why = openssl_error(otherwise);
  return fmt::format("{}: {}", who, not_accepted_.empty() ? why : not_accepted_);
}

Result<size_t> TlsEngine::read(char* buffer, size_t capacity) {
  if (!established_) {
    auto done = handshake();
    if (!done) return std::unexpected(done.error());
    if (!*done) return 0;
  }
  if (ended_) return 0;
  ERR_clear_error();
  size_t got = 0;
  if (SSL_read_ex(ssl_.get(), buffer, capacity, &got) == 1) return got;
  switch (SSL_get_error(ssl_.get(), 0)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return 0;
    default:
      return fail(failure("the connection was broken off"));
  }
}

Result<void> TlsEngine::write(std::string_view plaintext) {
  if (close_wanted_) return {};
  if (established_) return encrypt(plaintext);
  waiting_.append(plaintext);
  return {};
}

Result<void> TlsEngine::encrypt(std::string_view plaintext) {
  ERR_clear_error();
  while (!plaintext.empty()) {
    size_t written = 0;
    if (SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written) != 1)
      return fail(failure("the connection was broken off"));
    plaintext.remove_prefix(written);
  }
  return {};
}

void TlsEngine::close() {
  close_wanted_ = true;
  if (!established_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // 0 only says that the peer's close_notify is still to come
  ERR_clear_error();
}

flow::Secured TlsEngine::secured(flow::Leg leg) const {
  flow::Secured out{.leg = leg};
  const unsigned char* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &alpn, &alpn_size);
  out.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  if (server_) {
    const char* sni = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    if (sni != nullptr) out.sni = sni;
  }
  out.end_point_digest =
      end_point_digest(server_ ? SSL_get_certificate(ssl_.get()) : SSL_get0_peer_certificate(ssl_.get()));
  out.proven = full_verification_ && SSL_get_verify_result(ssl_.get()) == X509_V_OK;
  return out;
}

}  // namespace sallyport::net
