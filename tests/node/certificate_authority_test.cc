// SPDX-License-Identifier: Apache-2.0
// Minted certificates verify against the exported CA for their host only, and are cached and bounded.
#include "sallyport/node/certificate_authority.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <thread>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

constexpr int64_t kDay = 24 * 3600 * kNanosPerSecond;

std::shared_ptr<X509> from_pem(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  std::shared_ptr<X509> certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr), &X509_free);
  BIO_free(bio);
  return certificate;
}

/// What a client with the CA in its store makes of `leaf` at `wall_ns`: X509_V_OK or an error.
int verify(X509* leaf, X509* root, int64_t wall_ns, const char* host, const char* address) {
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf, nullptr);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context);
  X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_time(parameters, wall_ns / kNanosPerSecond);
  if (host != nullptr) X509_VERIFY_PARAM_set1_host(parameters, host, 0);
  if (address != nullptr) X509_VERIFY_PARAM_set1_ip_asc(parameters, address);
  X509_verify_cert(context);
  const int error = X509_STORE_CTX_get_error(context);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return error;
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  const int64_t now_ = read_clocks().wall_ns;
  std::unique_ptr<CertificateAuthority> authority_ = std::move(*CertificateAuthority::make("node-1", now_));
  std::shared_ptr<X509> root_ = from_pem(authority_->certificate_pem());
};

TEST_F(CertificateAuthorityTest, LeavesVerifyForTheirHostOnly) {
  auto leaf = authority_->leaf("db.internal", now_);
  ASSERT_TRUE(leaf) << leaf.error().what;
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_, "db.internal", nullptr), X509_V_OK);
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_, "other.internal", nullptr),
            X509_V_ERR_HOSTNAME_MISMATCH);
  EXPECT_EQ(X509_check_private_key(leaf->certificate.get(), leaf->key.get()), 1);
  auto stranger = CertificateAuthority::make("node-1", now_);
  EXPECT_NE(
      verify(leaf->certificate.get(), from_pem((*stranger)->certificate_pem()).get(), now_, "db.internal", nullptr),
      X509_V_OK)
      << "same name, other key";
}

TEST_F(CertificateAuthorityTest, AddressesOfBothFamilies) {
  for (const char* address : {"10.1.2.3", "fd00::1"}) {
    auto leaf = authority_->leaf(address, now_);
    ASSERT_TRUE(leaf) << leaf.error().what;
    EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_, nullptr, address), X509_V_OK) << address;
    EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_, nullptr, "10.1.2.4"), X509_V_ERR_IP_ADDRESS_MISMATCH);
  }
}

TEST_F(CertificateAuthorityTest, ClocksMayBeADayApart) {
  auto leaf = authority_->leaf("db", now_);
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_ - kDay + 60 * kNanosPerSecond, "db", nullptr), X509_V_OK);
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_ + 29 * kDay, "db", nullptr), X509_V_OK);
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_ + 31 * kDay, "db", nullptr), X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST_F(CertificateAuthorityTest, IsCachedUntilADayBeforeItsEnd) {
  auto first = authority_->leaf("db", now_);
  EXPECT_EQ(authority_->leaf("db", now_ + 28 * kDay)->certificate, first->certificate);
  auto second = authority_->leaf("db", now_ + 29 * kDay + kDay / 2);
  EXPECT_NE(second->certificate, first->certificate);
  EXPECT_EQ(authority_->cached(), 1u);
}

TEST_F(CertificateAuthorityTest, TheCacheForgetsWhatIsUnusedLongest) {
  auto first = authority_->leaf("host0", now_);
  auto second = authority_->leaf("host1", now_);
  for (size_t i = 2; i < limits::kLeavesMax; ++i) ASSERT_TRUE(authority_->leaf("host" + std::to_string(i), now_));
  EXPECT_EQ(authority_->leaf("host0", now_)->certificate, first->certificate);
  ASSERT_TRUE(authority_->leaf("one.more", now_));
  EXPECT_EQ(authority_->cached(), limits::kLeavesMax);
  EXPECT_EQ(authority_->leaf("host0", now_)->certificate, first->certificate) << "used just now";
  EXPECT_NE(authority_->leaf("host1", now_)->certificate, second->certificate);
}

TEST_F(CertificateAuthorityTest, RefusesWhatIsNoHost) {
  for (const std::string host : {"", "a b", "a,DNS:evil", "a\nb", ".x", "a..b", "*.internal"})
    EXPECT_FALSE(authority_->leaf(host, now_)) << host;
  EXPECT_FALSE(authority_->leaf(std::string(254, 'a'), now_));
  const std::string longest = std::string(63, 'a') + "." + std::string(63, 'b') + ".internal";
  auto leaf = authority_->leaf(longest, now_);
  ASSERT_TRUE(leaf) << "longer than a common name may be";
  EXPECT_EQ(verify(leaf->certificate.get(), root_.get(), now_, longest.c_str(), nullptr), X509_V_OK);
}

TEST_F(CertificateAuthorityTest, ManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 100; ++i) {
        auto leaf = authority_->leaf("host" + std::to_string(i % 10), now_);
        ASSERT_TRUE(leaf);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(authority_->cached(), 10u);
}

}  // namespace
}  // namespace sallyport::node
