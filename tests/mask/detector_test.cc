// SPDX-License-Identifier: Apache-2.0
// Goal: each detector finds what it is for, with its exact bounds, and passes what only looks alike.
// Method: rows of text in which «» mark what must be found. The secrets are made up.
#include <gtest/gtest.h>

#include <random>

#include "mask/detectors.h"
#include "mask/key_rules.h"
#include "sallyport/base/limits.h"
#include "sallyport/mask/detector_set.h"

namespace sallyport::mask {
namespace {

std::shared_ptr<const DetectorSet> set_of(std::initializer_list<const char*> types,
                                          model::MaskStrategy strategy = model::MaskStrategy::redact) {
  std::vector<model::DetectMask> rules;
  for (const char* type : types) {
    model::DetectMask rule;
    rule.type = type;
    rule.with.strategy = strategy;
    rules.push_back(std::move(rule));
  }
  return *DetectorSet::compile(std::move(rules));
}

/// Scans `marked` without its marks, and writes the marks where something was found.
std::string found_in(const DetectorSet& set, std::string marked) {
  for (std::string_view mark : {"«", "»"}) {
    for (size_t at; (at = marked.find(mark)) != std::string::npos;) marked.erase(at, mark.size());
  }
  auto findings = set.scan(marked);
  for (auto finding = findings.rbegin(); finding != findings.rend(); ++finding) {
    marked.insert(finding->offset + finding->length, "»");
    marked.insert(finding->offset, "«");
  }
  return marked;
}

void expect_rows(const DetectorSet& set, std::initializer_list<std::string> rows) {
  for (const std::string& row : rows) EXPECT_EQ(found_in(set, row), row);
}

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
                  "sk-ant-api03-" + alnum,        // shorter than its issuer makes them
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
  EXPECT_EQ(findings[0], (Finding{0, 15, "email", 0}));
  EXPECT_EQ(findings[1], (Finding{16, 16, "payment-card", 1}));
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
