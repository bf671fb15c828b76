// SPDX-License-Identifier: Apache-2.0
// Goal: accounts, network addresses, URLs, chains, tokens and telephone numbers are found with their exact bounds, and
// what only looks alike is not. Method: marked rows. The values are made up; the chains' keys hold nothing.
#include <chrono>

#include "mask/base58.h"
#include "mask/id_rules.h"
#include "tests/mask/marked.h"

namespace sallyport::mask {
namespace {

using test::expect_rows;
using test::rule_of;
using test::set_of;

TEST(Addresses, Iban) {
  expect_rows("iban", {"«DE44500105175407324931»", "«DE44 5001 0517 5407 3249 31»", "«DE44-5001-0517-5407-3249-31».",
                       "pay «GB02NWBK60161331926820», «NO9386011117947»", "«MT57MALT011000012345MTLCAST001T»",
                       "«de44500105175407324931»", "De44500105175407324931", "DE44500105175407324932",
                       "DE445001051754073249310", "XDE44500105175407324931", "DE44 5001-0517 5407 3249 31",
                       "«DE44 50010517 5407 3249 31», «DE44 500105175407324931»", "de44 500105175407324931",
                       "«DE44.5001.0517.5407.3249.31»", "ZZ44500105175407324931", "DE44 5001 0517 5407 3249"});
}

TEST(Addresses, Ip) {
  expect_rows("ip-address", {"from «10.1.2.3» to «192.168.0.254»:8080",
                             "«10.0.0.0/8», «2001:db8::/32»",
                             "[«2001:db8::1»]:443",
                             "«::1» «fe80::1ff:fe23:4567:890a» «::ffff:10.1.2.3»",
                             "«2001:0db8:0000:0000:0000:ff00:0042:8329»",
                             "host:«10.1.2.3»",
                             "«10.1.2.3».",
                             "10.1.2",
                             "1.2.3.4.5",
                             "256.1.2.3",
                             "01.2.3.4",
                             "a1.2.3.4",
                             "12:34:56",
                             "std::vector a::b dead::beef",
                             "2001:db8:::1",
                             "1:2:3:4:5:6:7",
                             "1:2:3:4:5:6:7:8:9",
                             "::ffff:256.1.2.3",
                             "version 1.2.3.4",
                             "«10.1.2.3»-«10.1.2.9» but ip-10.1.2.3 and 10.1.2.3-rc",
                             "rows[::2] «::1»",
                             "v1.2.3.4",
                             "00:1b:44:11:3a:b7"});
}

TEST(Addresses, Url) {
  expect_rows("url",
              {"see «https://example.com/a?b=c#d», or", "(«http://user:pw@db.internal.example.com:8080/x»)",
               "«ftp://ftp.example.org/f.tar.gz».", "<«https://example.com»>", "\"«https://example.com/\u00fc»\"",
               "«http://[2001:db8::1]/p» «http://10.1.2.3:80/»", "«https://en.wikipedia.org/wiki/A_(b)»",
               "go to «example.com» or «www.example.co.uk»,", "«sub.example.museum»", "main.rs README.md a.b e.g.this",
               "http://localhost", "http://nothing", "user@example.com", "file:///etc/passwd", "obj.method() x.y=1",
               "x=https://", "1.5 2.0", "end.Next"});
}

TEST(Addresses, Chains) {
  expect_rows("crypto-address",
              {"send to «15KeaSGDfciLtpEPNDrLu3EMJU53N6xF2a»", "«361fVykfDX2iyyvpVKWwKfbHSzMm1Wt9eA»",
               "«Kxorh5nstUhqeabJcCtSoPrq4Bpnzh9m5AZaKBGPNw8WBCEAgwGs»", "«TEHraVdwpLqJ3zJ1xVW4RBvVDFpMdaYCMm»",
               "«rnKe2SGDCc5LtFNP4DiLusNMJ7ns4axEp2»", "«bc1q9an4hykn8wg2ahafj6pvlc58mxxyqlmn5xqnye»",
               "«BC1Q9AN4HYKN8WG2AHAFJ6PVLC58MXXYQLMN5XQNYE»",
               "«bc1p9an4hykn8wg2ahafj6pvlc58mxxyqlmngdu98jzys28962h25jjsxxgfyw»",
               "«npub19an4hykn8wg2ahafj6pvlc58mxxyqlmngdu98jzys28962h25jjs9x5zvv»",
               "«0x2f675B92D33B90aEDFA99682CFe287D98C407F73»", "«0x2f675b92d33b90aedfa99682cfe287d98c407f73»",
               "15KeaSGDfciLtpEPNDrLu3EMJU53N6xF2b", "bc1q9an4hykn8wg2ahafj6pvlc58mxxyqlmn5xqnyf",
               "0x2F675b92D33B90aEDFA99682CFe287D98C407F73", "x15KeaSGDfciLtpEPNDrLu3EMJU53N6xF2a",
               "15KeaSGDfciLtpEPNDrLu3EMJU53N6xF2a1", "0x0000000000000000000000000000000000000000"});
}

TEST(Addresses, KeccakOfNothing) {
  std::string hex;
  for (uint8_t byte : keccak256("")) {
    static constexpr char kHex[] = "0123456789abcdef";
    hex += {kHex[byte >> 4], kHex[byte & 15]};
  }
  EXPECT_EQ(hex, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}

TEST(Addresses, Jwt) {
  const std::string head = "eyJhbGciOiJIUzI1NiJ9";
  const std::string body = "eyJzdWIiOiIxMjM0NTY3ODkwIn0";
  const std::string sign = "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
  expect_rows("jwt", {"Bearer «" + head + "." + body + "." + sign + "»,", "«" + head + "." + body + ".» unsigned",
                      "«" + head + "." + body + "." + body + "." + sign + "." + sign + "»", head + "." + body,
                      "eyJ.a.b", "x" + head + "." + body + "." + sign});
}

TEST(Addresses, PrivateKey) {
  const std::string line = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF8PbnGy0AHB7MhgwMbRvI0MBZhpI\n";
  const std::string key = "-----BEGIN EC PRIVATE KEY-----\n" + line + line + "-----END EC PRIVATE KEY-----";
  expect_rows("private-key", {"a «" + key + "» b «" + key + "»", "-----BEGIN PUBLIC KEY-----\n" + line,
                              "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"});
}

TEST(Addresses, Phone) {
  expect_rows("phone", {"call «+1 415 555 0132» or «(415) 555-0199»",
                        "«+44 20 7946 0018»",
                        "«+49 (0)30 901820»",
                        "«020 7946 0018»",
                        "phone: «4155550132»",
                        "4155550132",
                        "«0049 30 901820»",
                        "2026-11-24 05:22:22",
                        "24.11.2026",
                        "10.20.30.40",
                        "415-555-013",
                        "4111 1111 1111 1111",
                        "+1 415 555 0132 99",
                        "x4155550132",
                        "0.4155550132",
                        "«(415 555 0132)», (see «415 555 0132»)",
                        "«( 555-0132110)»",
                        "255.255.255.0",
                        "Boston MA 02111-1307",
                        "-32768..32767"});
  model::DetectMask turkish = rule_of("phone");
  turkish.regions = {"TR"};
  expect_rows(**DetectorSet::compile({turkish}),
              {"«0532 123 45 67»", "«5321234567»", "(415) 555-0199", "«+90 532 123 45 67»"});
}

// A value of nothing but numbers asks the library a bounded number of times, and what is not asked about is masked.
TEST(Addresses, PhonesWithoutEnd) {
  std::string text;
  while (text.size() < (1 << 20)) text += "12-34567, ";
  auto set = set_of({"phone"});
  auto masker = *Masker::make({});
  auto begin = std::chrono::steady_clock::now();
  auto masked = set->mask_text(text, *masker);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  ASSERT_TRUE(masked);
  EXPECT_EQ(*masked, "[redacted]");
}

}  // namespace
}  // namespace sallyport::mask
