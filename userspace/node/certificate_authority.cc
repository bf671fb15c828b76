// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/certificate_authority.h"

#include <fmt/core.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/model/address.h"

namespace sallyport::node {
namespace {

constexpr int64_t kDaySeconds = 24 * 60 * 60;
constexpr int64_t kSkewSeconds = kDaySeconds;  ///< an agent's clock may be behind ours
constexpr int64_t kLeafDays = 30;
constexpr int64_t kAuthorityDays = 3650;    ///< longer than any daemon runs
constexpr size_t kCommonNameBytesMax = 64;  // RFC 5280 appendix A.1: ub-common-name

using Certificate = std::shared_ptr<X509>;
using Key = std::shared_ptr<EVP_PKEY>;

std::unexpected<Error> openssl_failed(std::string_view what) {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  auto error = fail(fmt::format("{}: {}", what, reason != nullptr ? reason : "no reason given"));
  ERR_clear_error();
  return error;
}

/// RFC 1035 letters, digits, hyphens and dots, and the underscore that is met in practice.
bool is_host_name(const std::string& host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.find("..") != std::string::npos) return false;
  return std::ranges::all_of(host, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_';
  });
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool set_random_serial(X509* certificate) {
  // RFC 5280 4.1.2.2: positive, at most 20 octets; 127 random bits.
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool set = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool set_common_name(X509_NAME* name, const std::string& value) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0) == 1;
}

/// A version 3 certificate with everything but extensions and signature.
Certificate blank(EVP_PKEY* key, const std::string& common_name, int64_t now_wall_ns, int64_t days) {
  Certificate certificate(X509_new(), &X509_free);
  const time_t now = now_wall_ns / kNanosPerSecond;
  const bool made = certificate && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                    set_random_serial(certificate.get()) && X509_set_pubkey(certificate.get(), key) == 1 &&
                    ASN1_TIME_set(X509_getm_notBefore(certificate.get()), now - kSkewSeconds) != nullptr &&
                    ASN1_TIME_set(X509_getm_notAfter(certificate.get()), now + days * kDaySeconds) != nullptr &&
                    set_common_name(X509_get_subject_name(certificate.get()), common_name);
  return made ? certificate : nullptr;
}

}  // namespace

Result<std::unique_ptr<CertificateAuthority>> CertificateAuthority::make(const std::string& node, int64_t now_wall_ns) {
  std::unique_ptr<CertificateAuthority> authority(new CertificateAuthority);
  authority->key_ = Key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  if (!authority->key_) return openssl_failed("the certificate authority's key cannot be made");
  const std::string name = fmt::format("Sallyport on {}", printable(node)).substr(0, kCommonNameBytesMax);
  Certificate certificate = blank(authority->key_.get(), name, now_wall_ns, kAuthorityDays);
  X509* raw = certificate.get();
  if (!certificate || X509_set_issuer_name(raw, X509_get_subject_name(raw)) != 1 ||
      !add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(raw, raw, NID_subject_key_identifier, "hash") ||
      X509_sign(raw, authority->key_.get(), EVP_sha256()) == 0)
    return openssl_failed("the certificate authority's certificate cannot be made");
  authority->certificate_ = std::move(certificate);
  return authority;
}

Result<MintedLeaf> CertificateAuthority::mint(const std::string& host, int64_t now_wall_ns) const {
  const auto address = model::IpAddress::parse(host);
  if (!address && !is_host_name(host)) return fail(fmt::format("`{}` is no host name and no address", printable(host)));
  const std::string alternative_name = (address ? "IP:" + address->to_string() : "DNS:" + host);
  Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  if (!key) return openssl_failed("a leaf's key cannot be made");
  Certificate certificate =
      blank(key.get(), host.size() <= kCommonNameBytesMax ? host : "sallyport leaf", now_wall_ns, kLeafDays);
  X509* raw = certificate.get();
  if (!certificate || X509_set_issuer_name(raw, X509_get_subject_name(certificate_.get())) != 1 ||
      !add_extension(raw, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(raw, certificate_.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(raw, certificate_.get(), NID_ext_key_usage, "serverAuth") ||
      !add_extension(raw, certificate_.get(), NID_subject_alt_name, alternative_name) ||
      !add_extension(raw, certificate_.get(), NID_authority_key_identifier, "keyid:always") ||
      X509_sign(raw, key_.get(), EVP_sha256()) == 0)
    return openssl_failed(fmt::format("a certificate for `{}` cannot be made", printable(host)));
  return MintedLeaf{std::move(certificate), std::move(key), now_wall_ns + kLeafDays * kDaySeconds * kNanosPerSecond};
}

Result<MintedLeaf> CertificateAuthority::leaf(const std::string& host, int64_t now_wall_ns) {
  std::lock_guard lock(mutex_);
  if (const auto found = by_host_.find(host); found != by_host_.end()) {
    if (found->second->leaf.not_after_wall_ns - now_wall_ns > kDaySeconds * kNanosPerSecond) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->leaf;
    }
    recent_.erase(found->second);
    by_host_.erase(found);
  }
  auto minted = mint(host, now_wall_ns);
  if (!minted) return minted;
  if (recent_.size() >= limits::kLeavesMax) {
    by_host_.erase(recent_.back().host);
    recent_.pop_back();
  }
  recent_.push_front({host, *minted});
  by_host_.emplace(host, recent_.begin());
  return minted;
}

std::string CertificateAuthority::certificate_pem() const {
  BIO* bio = BIO_new(BIO_s_mem());
  if (bio == nullptr) return {};
  std::string out;
  if (PEM_write_bio_X509(bio, certificate_.get()) == 1) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    out.assign(bytes, static_cast<size_t>(size));
  }
  BIO_free(bio);
  return out;
}

size_t CertificateAuthority::cached() const {
  std::lock_guard lock(mutex_);
  return recent_.size();
}

}  // namespace sallyport::node
