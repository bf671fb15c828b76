// SPDX-License-Identifier: Apache-2.0
// Goal: each detector finds what it is for, with its exact bounds, and passes what only looks alike.
// Method: rows of text in which «» mark what must be found. The secrets are made up.
#include <gtest/gtest.h>

#include <random>

#include "mask/detectors.h"
#include "mask/key_rules.h"
#include "sallyport/base/limits.h"
#include "sallyport/mask/detector_set.h"
#include "tests/mask/marked.h"

namespace sallyport::mask {
namespace {

using test::expect_rows;
using test::set_of;

TEST(Detector, Email) {
  expect_rows(*set_of({"email"}), {
                                      "write to «ada.lovelace@example.com», or call",
                                      "«ada@example.com»",
                                      "<«ada+tag@mail.example.co.uk»>",
                                      "'«ada@example.com»'",
                                      "mailto:«ada@example.com»?subject=x",
                                      "?email=«ada@example.com»&x=1",
                                      "«ada@example.com».",
                                      "«ada@example.com»,«bob@example.org»;",
                                      "{\"mail\":\"«ada@example.com»\"}",
                                      "«jürgen@exämple.de» schrieb",
                                      "«ada@xn--exmple-cua.com»",
                                      "@handle and user@host and a@b and @example.com",
                                      "scp file root@10.0.0.1:/tmp",
                                      "price @ 3.50",
                                      "«a_b-c%d@sub.example.museum»",
                                  });
}

TEST(Detector, PaymentCard) {
  expect_rows(*set_of({"payment-card"}), {
                                             "card «4111111111111111» exp",
                                             "«4111 1111 1111 1111»",
                                             "«4111-1111-1111-1111».",
                                             "«378282246310005»",
                                             "«3782 822463 10005»",
                                             "«30569309025904»",
                                             "«6011111111111117»",
                                             "«3530111333300000»",
                                             "2024-01-01 «4111 1111 1111 1111» 12",
                                             "«5555555555554444»,«2223003122003222»",
                                             "4111111111111112",      // Luhn
                                             "0000000000000000",      // no issuer
                                             "9111111111111111116",   // no issuer
                                             "41111111111111111111",  // 20 digits
                                             "a4111111111111111",     // within a word
                                             "4111111111111111b",
                                             "0.4111111111111111",   // decimals
                                             "4111 1111-1111 1111",  // two separators
                                             "«4111.1111.1111.1111» and 41.11111111.111111",
                                             "%B«4111111111111111»^DOE/JOHN^2512101",
                                             "1790000000000000000",  // a time in ns
                                             "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                                         });
}

TEST(Detector, KeysByShape) {
  const std::string body = "c2F5IGl0IHdpdGggYmFzZTY0IGFuZCBiZSBkb25lIHdpdGggaXQ7MTIzNDU2Nzg5MA";
  const std::string alnum = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
  const std::string hex40 = "1f3870be274f6c49b3e31a0c6728957f1a2b3c4d";
  expect_rows(*set_of({"api-key"}),
              {
                  "key «AKIAZ7QW3ERT5YUI6OPA»",
                  "«ghp_" + alnum.substr(0, 36) + "» in a log",
                  "«github_pat_" + alnum.substr(0, 22) + "_" + alnum + "»",
                  "«glpat-" + alnum.substr(0, 20) + "»",
                  "«xoxb-1234567890-1234567890-" + alnum.substr(0, 24) + "»",
                  "«sk_live_" + alnum.substr(0, 24) + "»",
                  "google key «AIza" + alnum.substr(0, 35) + "»",
                  "AIza" + alnum.substr(0, 35),  // alone it is weak
                  "sk-ant-api03-" + alnum,       // shorter than its issuer makes them
                  "«sk-proj-" + alnum + "»",
                  "«sk-ant-api03-" + alnum + alnum + alnum.substr(0, 11) + "AA»",
                  "«npm_" + alnum.substr(0, 36) + "»",
                  "«hf_" + alnum.substr(0, 34) + "»",
                  "jwt «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U»",
                  "Authorization: Bearer «" + alnum + "»",
                  "https://bob:«s3cr3t-Pw9»@db.example.com/x",
                  "{\"password\": \"«hunter2Hunter»\"}",
                  "api_key='«" + hex40 + "»'",
                  "export DB_PASSWORD=«Tr0ub4dor&3xyz»",
                  "<client_secret>«" + alnum.substr(0, 20) + "»</client_secret>",
                  "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----",
                  "password: ${DB_PASSWORD}",
                  "the token is stored elsewhere: see the manual",
                  "key = value",
                  "monkey: 2026-11-24T05:22:22",
                  "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                  "sk-button sk-icon-large",
                  // What programs and documents write behind a word like key.
                  "std::pair<Key, _RandomAccessIterator2>",
                  "key = getPrivateKey2Sync(name)",
                  "token = base64.b32encode(raw)",
                  "secretType = Ed25519PrivateKeyBytes",
                  "api_key=k3j9x8f2m1..",
                  "/cb?access_token=«" + alnum.substr(0, 20) + "»&state=xyz1",
                  "put(\"api_key\", \"«" + hex40 + "»\")",
                  "curl -u admin:«P@ssw0rd1» https://x.example",
                  "curl --user bob:'«pRf7vG2h1L8nQkW9»' -i",
                  "curl -u \"«d2LkV78zLx9q2»:\" https://x.example",
                  "curl -u \"$1:$2\" <user:password> -u name:token",
              });
}

TEST(Detector, PrivateKeys) {
  auto set = set_of({"api-key"});
  std::string body;
  for (int i = 0; i < 26; ++i) body += "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpI\n";
  std::string key = "-----BEGIN RSA PRIVATE KEY-----\n" + body + "-----END RSA PRIVATE KEY-----";
  expect_rows(*set, {"before «" + key + "» after", "«-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + "»"});
  std::string in_json = key;
  for (size_t at = 0; (at = in_json.find('\n', at)) != std::string::npos;) in_json.replace(at, 1, "\\n");
  expect_rows(*set, {"{\"k\":\"«" + in_json + "»\"}"});
}

TEST(Detector, EveryKeyRuleCompilesAndItsLiteralIsThere) {
  EXPECT_GT(builtin_key_rules().size(), 80U);
  for (const KeyRule& rule : builtin_key_rules()) EXPECT_GE(rule.keywords.size(), 2U) << rule.name;
  EXPECT_FALSE(set_of({"api-key"})->empty());
}

TEST(DetectorSet, MasksWhatItFindsByItsRule) {
  std::map<std::string, Key> keys;
  keys["main"] = Key{"k1", Secret("0123456789abcdef0123456789abcdef")};
  auto masker = *Masker::make(std::move(keys));
  model::DetectMask email{"pii", "email", {}};
  email.with.strategy = model::MaskStrategy::partial;
  model::DetectMask card{"pii", "payment-card", {}};
  card.with.strategy = model::MaskStrategy::partial;
  auto set = *DetectorSet::compile({email, card});
  EXPECT_EQ(set->mask_text("ada@example.com paid with 4111 1111 1111 1111", *masker),
            "a***@example.com paid with **** **** **** 1111");
  EXPECT_EQ(set->mask_text("nothing here", *masker), std::nullopt);
  auto findings = set->scan("ada@example.com 4111111111111111");
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0], (Finding{0, 15, "email", 0, 1, {}}));
  EXPECT_EQ(findings[1], (Finding{16, 16, "payment-card", 1, 1, {}}));
}

TEST(DetectorSet, PatternsOfAPolicy) {
  model::DetectMask own = test::rule_of("acme-key");
  own.patterns = {{"acme-key", {"acme_live_", "acme_test_"}, "acme_(?:live|test)_[a-z0-9]{12}", false, 2.5},
                  {"acme-key", {"acme-"}, "acme-(\\d{8})\\b", true, 0, 0.3, {"customer"}}};
  auto set = *DetectorSet::compile({own});
  expect_rows(*set, {"key «acme_live_k3j9x8f2m1q7»", "acme_live_aaaaaaaaaaaa", "xacme_live_k3j9x8f2m1q7",
                     "customer ACME-«48291573»", "ACME-48291573", "acme_prod_k3j9x8f2m1q7"});
  EXPECT_EQ(set->scan("acme_live_k3j9x8f2m1q7")[0].name, "acme-key");
  EXPECT_EQ(set->scan("acme_live_k3j9x8f2m1q7")[0].type, "acme-key");
  // What a pattern may not be.
  EXPECT_TRUE(check_pattern(own.patterns[0]));
  EXPECT_EQ(check_pattern({"a", {}, "x"}).error().what, "a pattern without keywords");
  EXPECT_EQ(check_pattern({"a", {"x"}, "x"}).error().what, "keyword `x` is shorter than two bytes");
  EXPECT_FALSE(check_pattern({"a", {"xx"}, "(x"}));
  EXPECT_FALSE(check_pattern({"a", {"xx"}, "(x)(y)"}));
  EXPECT_FALSE(check_pattern({"a", {"xx"}, std::string(limits::kMaskPatternBytesMax + 1, 'x')}));
  EXPECT_FALSE(check_pattern({"a", {"xx"}, "((x{1,1000}){1,1000}){1,1000}"}));
  own.patterns[0].pattern = "(x";
  EXPECT_FALSE(DetectorSet::compile({own}));
}

TEST(DetectorSet, OverlappingFindingsAreReportedEachAndMaskedAsOne) {
  auto masker = *Masker::make({});
  auto url = test::rule_of("url");
  auto ip = test::rule_of("ip-address");
  ip.with.strategy = model::MaskStrategy::null;
  auto set = *DetectorSet::compile({url, ip});
  const std::string text = "at http://10.1.2.3/x now";
  auto findings = set->scan(text);
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_EQ(findings[0].type, "url");
  EXPECT_EQ(findings[1].type, "ip-address");
  EXPECT_EQ(*set->mask_text(text, *masker), "at [redacted] now");
}

TEST(DetectorSet, UnknownTypesAndTooManyAreRefused) {
  auto refused = DetectorSet::compile({{"pii", "ibn", {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "no detector finds `ibn`");
  EXPECT_TRUE(refused.error().hint.starts_with("the types are api-key, au-abn, ")) << refused.error().hint;
  EXPECT_FALSE(
      DetectorSet::compile(std::vector<model::DetectMask>(limits::kMaskDetectorsMax + 1, {"pii", "email", {}})));
  EXPECT_TRUE((*DetectorSet::compile({}))->empty());
}

TEST(DetectorSet, TooManyFindingsRedactTheWholeValue) {
  auto masker = *Masker::make({});
  auto set = set_of({"email"});
  std::string text;
  for (size_t i = 0; i < limits::kMaskFindingsMax; ++i) text += "a@b.com ";
  EXPECT_NE(*set->mask_text(text, *masker), "[redacted]");
  EXPECT_EQ(*set->mask_text(text + "a@b.com", *masker), "[redacted]");
}

// The cheap pass may never turn away a text in which a detector would have found something.
TEST(DetectorSet, TraitsAreNeverTooFew) {
  std::mt19937 random(20261124);
  const std::string_view alphabet = "ab1 @.:=>-_/\n9Z\xc3\xa9\"0123456789";
  for (int round = 0; round < 20'000; ++round) {
    std::string text(random() % 40, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    uint32_t expected = 0;
    int digits = 0;
    for (char c : text) {
      if (c == '@') expected |= kTraitAt;
      if (c >= '0' && c <= '9') {
        expected |= kTraitDigit;
        ++digits;
        if (digits >= 7) expected |= kTraitDigits;
        if (digits >= 13) expected |= kTraitCardDigits;
      }
      if (c == '.') expected |= kTraitDot;
      if (c == ':') expected |= kTraitColon;
      if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) expected |= kTraitLetter;
      if (c == '=' || c == ':' || c == '>') expected |= kTraitAssign;
    }
    uint32_t traits = text_traits(text);
    ASSERT_EQ(traits & ~uint32_t{kTraitLong}, expected) << text;
  }
  EXPECT_TRUE(text_traits("x123456789012345") & kTraitLong);
  EXPECT_FALSE(text_traits("a b c d e f g h i j k l m n o p") & kTraitLong);
}

}  // namespace
}  // namespace sallyport::mask
