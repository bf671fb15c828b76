// SPDX-License-Identifier: Apache-2.0
// Goal: whatever a strategy makes of a value, it is a value of its type, in the format asked for,
// and shows nothing it should not. Method: tables of values, both formats; each binary answer is
// read back.
#include "sallyport/mask/masker.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "mask/pg_types.h"
#include "mask/pg_value.h"
#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

using model::MaskSpec;
using model::MaskStrategy;

constexpr uint32_t kInt4Oid = 23, kInt8Oid = 20, kDateOid = 1082, kUuidOid = 2950, kNumericOid = 1700;
constexpr uint32_t kTextArrayOid = 1009, kInt4ArrayOid = 1007, kTimestamptzOid = 1184, kJsonbOid = 3802;

std::shared_ptr<const Masker> masker() {
  std::map<std::string, Key> keys;
  keys["main"] = Key{"k1", Secret("0123456789abcdef0123456789abcdef")};
  return *Masker::make(std::move(keys));
}

MaskSpec spec(MaskStrategy strategy) {
  MaskSpec made;
  made.strategy = strategy;
  made.key = "main";
  return made;
}

std::string binary_int(uint64_t value, int width) {
  std::string out;
  ByteWriter writer(out);
  if (width == 2) writer.u16(static_cast<uint16_t>(value));
  if (width == 4) writer.u32(static_cast<uint32_t>(value));
  if (width == 8) writer.u64(value);
  return out;
}

struct Row {
  uint32_t oid;
  std::string text;      // a value, as the server writes it
  std::string redacted;  // what redact gives in text format
};

const Row kRows[] = {
    {25, "Grace Hopper", "[redacted]"},
    {1043, "Grace Hopper", "[redacted]"},
    {1042, "GRACE     ", "[redacted]"},
    {19, "grace", "[redacted]"},
    {705, "grace", "[redacted]"},
    {18, "G", "*"},
    {16, "t", "f"},
    {21, "-1906", "0"},
    {23, "19061209", "0"},
    {20, "9223372036854775807", "0"},
    {26, "4294967295", "0"},
    {700, "3.25", "0"},
    {701, "-2.5e+300", "0"},
    {1700, "-84200.50", "0"},
    {1082, "1906-12-09", "1970-01-01"},
    {1083, "23:59:59.25", "00:00:00"},
    {1114, "1906-12-09 10:00:00", "1970-01-01 00:00:00"},
    {1184, "1906-12-09 10:00:00.5+05:30", "1970-01-01 00:00:00+00"},
    {1186, "3 days 04:05:06", "00:00:00"},
    {1266, "10:00:00+02", "00:00:00+00"},
    {2950, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"},
    {114, R"({"ssn":"078-05-1120"})", R"("[redacted]")"},
    {3802, R"({"ssn": "078-05-1120"})", R"("[redacted]")"},
    {17, "\\xdeadbeef", "\\x"},
    {869, "10.1.2.3/24", "0.0.0.0"},
    {650, "10.1.2.0/24", "0.0.0.0/32"},
    {829, "08:00:2b:01:02:03", "00:00:00:00:00:00"},
    {774, "08:00:2b:01:02:03:04:05", "00:00:00:00:00:00:00:00"},
    {790, "$84,200.00", "$0.00"},
};

TEST(Masker, RedactGivesAValueOfTheTypeInBothFormats) {
  auto m = masker();
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.oid);
    EXPECT_EQ(m->mask(spec(MaskStrategy::redact), row.oid, false, row.text), row.redacted);
    auto binary = m->mask(spec(MaskStrategy::redact), row.oid, true, "ignored by redact");
    ASSERT_TRUE(binary);
    TypeClass type = find_type(row.oid)->type;
    if (type == TypeClass::interval || type == TypeClass::timetz) {
      EXPECT_EQ(binary->size(), type == TypeClass::interval ? 16U : 12U);
      continue;
    }
    auto back = decode(type, true, *binary);
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(type, *back, false), row.redacted);
  }
}

TEST(Masker, EveryTypeAndStrategyGivesAReadableValueOrNull) {
  auto m = masker();
  for (const Row& row : kRows) {
    TypeClass type = find_type(row.oid)->type;
    for (auto strategy : {MaskStrategy::partial, MaskStrategy::hash}) {
      SCOPED_TRACE(fmt::format("{} {}", row.oid, to_string(strategy)));
      auto text = m->mask(spec(strategy), row.oid, false, row.text);
      bool too_few_values = strategy == MaskStrategy::hash && (type == TypeClass::boolean || type == TypeClass::char1);
      ASSERT_EQ(text.has_value(), !too_few_values);
      if (!text) continue;
      EXPECT_NE(*text, row.text);
      if (type != TypeClass::interval && type != TypeClass::timetz && type != TypeClass::money) {
        EXPECT_TRUE(decode(type, false, *text)) << *text;
      }
    }
    EXPECT_EQ(m->mask(spec(MaskStrategy::null), row.oid, false, row.text), std::nullopt);
  }
}

TEST(Masker, HashIsTheSameInBothFormatsAndNamesItsKey) {
  auto m = masker();
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.oid);
    TypeClass type = find_type(row.oid)->type;
    auto scalar = decode(type, false, row.text);
    auto text = m->mask(spec(MaskStrategy::hash), row.oid, false, row.text);
    if (!scalar || !text) continue;  // forms that are only written, or have too few values
    auto value = encode(type, *scalar, true);
    ASSERT_TRUE(value);
    auto binary = m->mask(spec(MaskStrategy::hash), row.oid, true, *value);
    ASSERT_TRUE(binary);
    if (type == TypeClass::interval) continue;
    auto back = decode(type, true, *binary);
    ASSERT_TRUE(back);
    EXPECT_EQ(encode(type, *back, false), *text);
  }
  auto hashed = m->mask(spec(MaskStrategy::hash), Masker::kTextOid, false, "078-05-1120");
  EXPECT_TRUE(hashed->starts_with("hmac:k1:"));
  EXPECT_EQ(hashed->size(), std::string("hmac:k1:").size() + 22);
  EXPECT_NE(m->mask(spec(MaskStrategy::hash), Masker::kTextOid, false, "078-05-1121"), hashed);
}

// The expected text is the openssl command's.
TEST(Masker, HashIsHmacSha256) {
  std::map<std::string, Key> keys;
  keys["main"] = Key{"a", Secret("Jefe-Jefe-Jefe-Jefe")};
  auto m = *Masker::make(std::move(keys));
  // printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe-Jefe-Jefe-Jefe
  EXPECT_EQ(m->mask(spec(MaskStrategy::hash), Masker::kTextOid, false, "what do ya want for nothing?"),
            "hmac:a:PRMKtIX8rcVM9tQQHQvV6g");
}

TEST(Masker, PartialKeepsTheEndAndNeverMuchOfAShortText) {
  auto m = masker();
  const std::pair<const char*, const char*> rows[] = {
      {"", "****"},
      {"abc", "****"},
      {"abcd", "****d"},
      {"abcdefg", "****g"},
      {"abcdefgh", "****efgh"},
      {"078-05-1120", "****1120"},
      {"Žluťoučký kůň", "**** kůň"},
      {"ada@example.com", "a***@example.com"},
      {"a@example.com", "***@example.com"},
      {"é.da@example.com", "é***@example.com"},
      {"not an address @ all", "**** all"},
  };
  for (const auto& [value, masked] : rows)
    EXPECT_EQ(m->mask(spec(MaskStrategy::partial), Masker::kTextOid, false, value), masked) << value;
  MaskSpec many = spec(MaskStrategy::partial);
  many.keep_last = 1'000;
  EXPECT_EQ(m->mask(many, Masker::kTextOid, false, "0123456789"), "****56789");
  EXPECT_EQ(m->mask(spec(MaskStrategy::partial), kInt8Oid, false, "-123456789"), "6789");
  EXPECT_EQ(m->mask(spec(MaskStrategy::partial), kInt4Oid, false, "42"), "0");
  EXPECT_EQ(m->mask(spec(MaskStrategy::partial), kUuidOid, false, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            "00000000-0000-0000-0000-000000000a11");
  EXPECT_EQ(m->mask_text(spec(MaskStrategy::partial), TextKind::payment_card, "4111-1111-1111-1234"),
            "****-****-****-1234");
}

TEST(Masker, FixedMustBeValidForTheType) {
  auto m = masker();
  auto fixed = [&](uint32_t oid, std::string value, bool binary = false) {
    MaskSpec one = spec(MaskStrategy::fixed);
    one.fixed = std::move(value);
    return m->mask(one, oid, binary, "whatever");
  };
  EXPECT_EQ(fixed(Masker::kTextOid, "hidden"), "hidden");
  EXPECT_EQ(fixed(kInt4Oid, "-7"), "-7");
  EXPECT_EQ(fixed(kInt4Oid, "-7", true), binary_int(static_cast<uint64_t>(-7), 4));
  EXPECT_EQ(fixed(kInt4Oid, "hidden"), std::nullopt);
  EXPECT_EQ(fixed(kInt4Oid, "2147483648"), std::nullopt);
  EXPECT_EQ(fixed(kDateOid, "2000-01-02", true), binary_int(1, 4));
  EXPECT_EQ(fixed(kDateOid, "2000-02-30"), std::nullopt);
  EXPECT_EQ(fixed(kJsonbOid, R"({"a":1})", true), "\x01{\"a\":1}");
  EXPECT_EQ(fixed(kJsonbOid, "{nonsense"), std::nullopt);
  EXPECT_EQ(fixed(kUuidOid, "00000000-0000-0000-0000-000000000001", true), std::string(15, '\0') + '\1');
  EXPECT_EQ(fixed(kTimestamptzOid, "2000-01-01 00:00:01+00", true), binary_int(1'000'000, 8));
  EXPECT_EQ(fixed(kNumericOid, "12345.678"), "12345.678");
  EXPECT_EQ(fixed(kInt4ArrayOid, "5"), std::nullopt);  // "whatever" is no array: nothing of it comes out
}

TEST(Masker, ArraysKeepTheirShape) {
  auto m = masker();
  auto redact = spec(MaskStrategy::redact);
  EXPECT_EQ(m->mask(redact, kTextArrayOid, false, R"({a,"b, \"c\"",NULL})"), R"({"[redacted]","[redacted]",NULL})");
  EXPECT_EQ(m->mask(redact, kTextArrayOid, false, "{}"), "{}");
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, false, "[0:1][1:1]={{7},{8}}"), R"([0:1][1:1]={{"0"},{"0"}})");
  EXPECT_EQ(m->mask(spec(MaskStrategy::null), kTextArrayOid, false, "{a}"), std::nullopt);
  for (const char* broken : {"", "a", "{", "{a", "{a}}", "{\"a}", "{{{{{{{a}}}}}}}", "[x]={a}"})
    EXPECT_EQ(m->mask(redact, kTextArrayOid, false, broken), std::nullopt) << broken;

  std::string value = binary_int(1, 4) + binary_int(1, 4) + binary_int(kInt4Oid, 4) + binary_int(2, 4) +
                      binary_int(1, 4) + binary_int(4, 4) + binary_int(77, 4) + binary_int(~uint32_t{0}, 4);
  std::string expected = value;
  expected.replace(24, 4, binary_int(0, 4));
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, true, value), expected);
  for (size_t cut = 0; cut < value.size(); ++cut)
    EXPECT_EQ(m->mask(redact, kInt4ArrayOid, true, value.substr(0, cut)), std::nullopt) << cut;
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, true, value + "x"), std::nullopt);
}

TEST(Masker, ArrayLimits) {
  auto m = masker();
  auto redact = spec(MaskStrategy::redact);
  std::string deep = binary_int(static_cast<uint64_t>(limits::kMaskArrayDimensionsMax) + 1, 4) + binary_int(0, 4) +
                     binary_int(kInt4Oid, 4);
  for (int i = 0; i <= limits::kMaskArrayDimensionsMax; ++i) deep += binary_int(0, 4) + binary_int(1, 4);
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, true, deep), std::nullopt);
  std::string many = binary_int(2, 4) + binary_int(0, 4) + binary_int(kInt4Oid, 4);
  for (int i = 0; i < 2; ++i) many += binary_int(limits::kMaskArrayElementsMax, 4) + binary_int(1, 4);
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, true, many), std::nullopt);
  std::string text = "{1";
  for (size_t i = 0; i < limits::kMaskArrayElementsMax; ++i) text += ",1";
  EXPECT_EQ(m->mask(redact, kInt4ArrayOid, false, text + "}"), std::nullopt);
}

TEST(Masker, WhatIsNotUnderstoodIsNull) {
  auto m = masker();
  for (uint32_t oid : {600U, 3614U, 16'999U, 0U}) {  // point, tsvector, an extension's, none
    for (auto strategy : {MaskStrategy::redact, MaskStrategy::partial, MaskStrategy::hash, MaskStrategy::fixed})
      EXPECT_EQ(m->mask(spec(strategy), oid, false, "secret"), std::nullopt);
  }
  MaskSpec keyless = spec(MaskStrategy::hash);
  keyless.key = "no such key";
  EXPECT_EQ(m->mask(keyless, Masker::kTextOid, false, "secret"), std::nullopt);
  EXPECT_EQ(m->mask(keyless, kTextArrayOid, false, "{secret}"), std::nullopt);
  EXPECT_EQ(m->mask_text(keyless, TextKind::any, "secret"), "");
  // Malformed binary values come out as if redacted, never as they were.
  EXPECT_EQ(m->mask(spec(MaskStrategy::partial), kInt4Oid, true, "toolong"), binary_int(0, 4));
  EXPECT_EQ(m->mask(spec(MaskStrategy::partial), kInt4Oid, false, "12345678x"), "0");
}

TEST(Masker, NumericBothWays) {
  const char* values[] = {"0",
                          "0.00",
                          "1",
                          "-1",
                          "10000",
                          "0.0001",
                          "-84200.50",
                          "123456789012345678901234567890.12345",
                          "0.00001234",
                          "99999999",
                          "100000000.000000001"};
  for (const char* value : values) {
    auto binary = numeric_binary_from_text(value);
    ASSERT_TRUE(binary) << value;
    EXPECT_EQ(numeric_text_from_binary(*binary), value);
  }
  // select numeric_send(-84200.50): 3 digits, weight 1, negative, scale 2
  EXPECT_EQ(*numeric_binary_from_text("-84200.50"), binary_int(3, 2) + binary_int(1, 2) + binary_int(0x4000, 2) +
                                                        binary_int(2, 2) + binary_int(8, 2) + binary_int(4200, 2) +
                                                        binary_int(5000, 2));
  for (const char* broken : {"", "-", ".", "1.2.3", "NaN", "1e5", "0x1"})
    EXPECT_FALSE(is_numeric_text(broken)) << broken;
}

TEST(Masker, KeysMustBeFit) {
  std::map<std::string, Key> keys;
  keys["weak"] = Key{"k", Secret(std::string(limits::kMaskKeyBytesMin - 1, 'x'))};
  auto refused = Masker::make(keys);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("`weak` has 15 bytes"), std::string::npos);
  EXPECT_EQ(refused.error().what.find("xxx"), std::string::npos);
  for (std::string id : {std::string(), std::string("a:b"), std::string(limits::kMaskKeyIdBytesMax + 1, 'a')}) {
    keys["weak"] = Key{id, Secret(std::string(32, 'x'))};
    EXPECT_FALSE(Masker::make(keys)) << id;
  }
}

}  // namespace
}  // namespace sallyport::mask
