// SPDX-License-Identifier: Apache-2.0
// Goal: cutting a text anywhere changes nothing in what comes out. Method: the whole text through
// mask_text() is the oracle; then every cut in two, byte by byte, and random cuts of random mixtures
// of findings and noise.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "sallyport/base/limits.h"
#include "sallyport/mask/detector_set.h"

namespace sallyport::mask {
namespace {

constexpr size_t kWindow = limits::kMaskStreamWindowBytes;

std::shared_ptr<const Masker> masker() {
  std::map<std::string, Key> keys;
  keys["main"] = Key{"k1", Secret("0123456789abcdef0123456789abcdef")};
  return *Masker::make(std::move(keys));
}

std::shared_ptr<const DetectorSet> all() {
  std::vector<model::DetectMask> rules;
  for (std::string_view type : detector_types()) {
    model::DetectMask rule{"pii", std::string(type), {}};
    rule.with.strategy = type == "api-key" ? model::MaskStrategy::hash : model::MaskStrategy::partial;
    rule.with.key = "main";
    rules.push_back(std::move(rule));
  }
  return *DetectorSet::compile(std::move(rules));
}

const std::string kAlnum = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";

std::string pem(size_t lines) {
  std::string text = "-----BEGIN PRIVATE KEY-----\n";
  for (size_t i = 0; i < lines; ++i) text += "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpI\n";
  return text + "-----END PRIVATE KEY-----\n";
}

std::vector<std::string> pieces() {
  return {"ada@example.com",
          "4111 1111 1111 1111",
          "378282246310005",
          "ghp_" + kAlnum.substr(0, 36),
          "password = \"hunter2Hunter\"",
          "{\"api_key\": \"" + kAlnum + "\"}",
          "Authorization: Bearer " + kAlnum,
          "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
          pem(3),
          "https://bob:s3cr3tPw9@db.example.com/x",
          "DE44 5001 0517 5407 3249 31",
          "219-45-7821",
          "ssn 219457821",
          "is150403A517B",
          "943 476 5919",
          "00:1b:44:11:3a:b7",
          "2001:db8::1ff:fe23/64",
          "10.1.2.3",
          "15KeaSGDfciLtpEPNDrLu3EMJU53N6xF2a",
          "+1 415 555 0132",
          "phone 4155550132",
          "www.example.co.uk",
          "(",
          "/",
          ":",
          ".",
          "a",
          "7",
          " ",
          " ",
          "\n",
          ", ",
          "word ",
          "2026-11-24 05:22:22 ",
          "x=1&y=2",
          "-----",
          "@",
          "12 34 56 78 ",
          "žluťoučký ",
          "\xff\xfe",
          kAlnum};
}

std::string oracle(const DetectorSet& set, const Masker& m, const std::string& text) {
  return set.mask_text(text, m).value_or(text);
}

std::string streamed(const std::shared_ptr<const DetectorSet>& set, const std::shared_ptr<const Masker>& m,
                     const std::string& text, const std::function<size_t()>& next_chunk) {
  DetectorSet::Stream stream(set, m);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t size = std::min(text.size() - at, next_chunk());
    stream.feed(std::string_view(text).substr(at, size), out);
    at += size;
    EXPECT_LE(stream.held_bytes(), 2 * kWindow);
  }
  stream.finish(out);
  EXPECT_EQ(stream.held_bytes(), 0U);
  return out;
}

TEST(Stream, ACutAtAnyByteChangesNothing) {
  auto set = all();
  auto m = masker();
  std::string text;
  for (const std::string& piece : pieces()) text += "before " + piece + " after\n" + piece + ",";
  std::string expected = oracle(*set, *m, text);
  ASSERT_NE(expected, text);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    size_t call = 0;
    std::string out = streamed(set, m, text, [&] { return call++ == 0 && cut > 0 ? cut : text.size(); });
    ASSERT_EQ(out, expected) << "cut at " << cut;
  }
  EXPECT_EQ(streamed(set, m, text, [] { return 1; }), expected);
}

TEST(Stream, RandomMixturesAndCuts) {
  auto set = all();
  auto m = masker();
  auto parts = pieces();
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    std::string text;
    for (size_t i = random() % 60; i > 0; --i) {
      text += parts[random() % parts.size()];
      if (random() % 3 == 0) text += static_cast<char>(random() % 256);
    }
    std::string out = streamed(set, m, text, [&] { return 1 + random() % 70; });
    ASSERT_EQ(out, oracle(*set, *m, text)) << "seed " << seed;
  }
}

TEST(Stream, NothingInTheMakingPassesAtOnce) {
  DetectorSet::Stream stream(all(), masker());
  std::string out;
  std::string line = "data: nothing to see here, move along please " + std::string(300, '.') + "\n";
  for (int i = 0; i < 100; ++i) stream.feed(line, out);
  EXPECT_GT(out.size(), 99 * line.size());
  stream.finish(out);
  EXPECT_EQ(out.size(), 100 * line.size());
  EXPECT_EQ(stream.findings(), 0U);
}

// What is held never exceeds the window by more than a piece, and a run without end passes.
TEST(Stream, TheWindowBoundsWhatIsHeld) {
  auto set = all();
  auto m = masker();
  std::string run;
  while (run.size() < 20 * kWindow) run += kAlnum;
  EXPECT_EQ(streamed(set, m, run, [] { return 1'000; }), run);
  EXPECT_EQ(streamed(set, m, run, [&] { return run.size(); }), run);
  std::string digits(3 * kWindow, '7');
  EXPECT_EQ(streamed(set, m, digits, [] { return 777; }), digits);
}

// A finding longer than the window is redacted, and nothing of its rest comes out.
TEST(Stream, AFindingLongerThanTheWindowIsRedacted) {
  auto set = all();
  auto m = masker();
  std::string key = pem(10 * kWindow / 65);
  std::string text = "before\n" + key + "after the key\n";
  std::string whole = oracle(*set, *m, text);
  EXPECT_EQ(whole, "before\n[redacted]\nafter the key\n");
  std::string out = streamed(set, m, text, [] { return 4'096; });
  EXPECT_TRUE(out.starts_with("before\n[redacted]")) << out.substr(0, 60);
  EXPECT_EQ(out.find("MIIEp"), std::string::npos);
  std::string token = "token: sk-" + kAlnum;
  while (token.size() < 4 * kWindow) token += kAlnum;
  out = streamed(set, m, token + " end", [] { return 999; });
  EXPECT_EQ(out.find("e5F6"), std::string::npos) << out;
  EXPECT_TRUE(out.ends_with(" end"));
}

TEST(Stream, AStreamServesOneTextAfterAnother) {
  model::DetectMask email{"pii", "email", {}};
  email.with.strategy = model::MaskStrategy::partial;
  DetectorSet::Stream stream(*DetectorSet::compile({email}), masker());
  std::string out;
  stream.feed("ada@exam", out);
  stream.finish(out);
  stream.feed("ple.com and bob@example.com", out);
  stream.finish(out);
  EXPECT_EQ(out, "ada@example.com and b***@example.com");
  EXPECT_EQ(stream.findings(), 1U);
}

}  // namespace
}  // namespace sallyport::mask
