// SPDX-License-Identifier: Apache-2.0
#include "sallyport/mask/masker.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "mask/email.h"
#include "mask/pg_array.h"
#include "mask/pg_value.h"
#include "mask/utf8.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
constexpr std::string_view kRedactedJson = "\"[redacted]\"";
constexpr std::string_view kStars = "****";  // always four: the length of what is hidden stays hidden
constexpr size_t kShortText = 8;
constexpr size_t kHashTextBytes = 16;
constexpr int64_t kHashDays = 36'524;  // a hashed date lies in the century from 1970

using Digest = std::array<uint8_t, 32>;

Digest hmac_sha256(std::string_view key, std::string_view value) {
  Digest digest{};
  unsigned size = digest.size();
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const uint8_t*>(value.data()),
       value.size(), digest.data(), &size);
  return digest;
}

std::string base64url(const Digest& digest, size_t bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  int held = 0;
  for (size_t i = 0; i < bytes; ++i) {
    bits = bits << 8 | digest[i];
    for (held += 8; held >= 6; held -= 6) text.push_back(kLetters[bits >> (held - 6) & 63]);
  }
  if (held > 0) text.push_back(kLetters[bits << (6 - held) & 63]);
  return text;
}

std::string hash_text(const Key& key, const Digest& digest) {
  return fmt::format("hmac:{}:{}", key.id, base64url(digest, kHashTextBytes));
}

uint64_t number_of(const Digest& digest, size_t at) {
  uint64_t number = 0;
  for (size_t i = at; i < at + 8; ++i) number = number << 8 | digest[i];
  return number;
}

std::string bytes_of(const Digest& digest, size_t count) {
  return std::string(reinterpret_cast<const char*>(digest.data()), count);
}

/// How many of `length` characters partial may show: half of a text, a quarter of a short one.
size_t shown_of(size_t length, uint32_t keep_last) {
  return std::min<size_t>(keep_last, length < kShortText ? length / 4 : length / 2);
}

std::string partial_email(std::string_view text) {
  size_t at = std::min(text.rfind('@'), text.size());
  std::string_view local = text.substr(0, at);
  std::string masked;
  if (code_points(local) >= 2) masked = first_code_point(local);
  return masked.append("***").append(text.substr(at));
}

/// Digits become `*`, but the last; separators stay.
std::string partial_card(std::string_view text, uint32_t keep_last) {
  size_t digits = static_cast<size_t>(std::ranges::count_if(text, [](char c) { return c >= '0' && c <= '9'; }));
  size_t hidden = digits - shown_of(digits, std::min<uint32_t>(keep_last, 4));
  std::string masked(text);
  for (char& letter : masked) {
    if (letter < '0' || letter > '9' || hidden == 0) continue;
    letter = '*';
    --hidden;
  }
  return masked;
}

std::string partial_text(std::string_view text, TextKind kind, uint32_t keep_last) {
  if (kind == TextKind::payment_card) return partial_card(text, keep_last);
  if (kind == TextKind::email || is_email(text)) return partial_email(text);
  std::string masked(kStars);
  return masked.append(last_code_points(text, shown_of(code_points(text), keep_last)));
}

/// What redact gives.
Scalar neutral(TypeClass type) {
  switch (type) {
    case TypeClass::text:
      return std::string(kRedacted);
    case TypeClass::char1:
      return std::string("*");
    case TypeClass::boolean:
      return false;
    case TypeClass::float4:
    case TypeClass::float8:
      return 0.0;
    case TypeClass::numeric:
      return std::string("0");
    case TypeClass::uuid:
      return std::string(16, '\0');
    case TypeClass::json:
    case TypeClass::jsonb:
      return std::string(kRedactedJson);
    case TypeClass::bytea:
      return std::string();
    case TypeClass::inet:
    case TypeClass::cidr:
      return *parse_inet("0.0.0.0", type == TypeClass::cidr);
    case TypeClass::macaddr:
      return std::string(6, '\0');
    case TypeClass::macaddr8:
      return std::string(8, '\0');
    default:
      return int64_t{0};
  }
}

Scalar partial(TypeClass type, const Scalar& value, uint32_t keep_last) {
  switch (type) {
    case TypeClass::text:
      return partial_text(std::get<std::string>(value), TextKind::any, keep_last);
    case TypeClass::int2:
    case TypeClass::int4:
    case TypeClass::int8:
    case TypeClass::oid: {
      std::string digits = std::to_string(std::get<int64_t>(value));
      if (digits.starts_with('-')) digits.erase(0, 1);
      std::string_view kept = last_code_points(digits, shown_of(digits.size(), keep_last));
      int64_t number = 0;
      for (char digit : kept) number = number * 10 + digit - '0';
      return number;
    }
    case TypeClass::uuid: {  // whole bytes of its end
      const std::string& bytes = std::get<std::string>(value);
      size_t kept = std::min<size_t>(keep_last / 2, 4);
      return std::string(16 - kept, '\0') + bytes.substr(16 - kept);
    }
    default:
      return neutral(type);
  }
}

/// A value of the type made from an HMAC; nullopt where the type has too few values to hide in.
std::optional<Scalar> hashed(TypeClass type, const Key& key, const Digest& digest) {
  auto number = static_cast<int64_t>(number_of(digest, 0) >> 1);
  auto days = static_cast<int64_t>(number_of(digest, 8) % kHashDays);
  auto seconds = static_cast<int64_t>(number_of(digest, 16) % 86'400);
  switch (type) {
    case TypeClass::text:
      return hash_text(key, digest);
    case TypeClass::boolean:
    case TypeClass::char1:
      return std::nullopt;
    case TypeClass::int2:
      return number & 0x7fff;
    case TypeClass::int4:
    case TypeClass::oid:
      return number & 0x7fffffff;
    case TypeClass::int8:
      return number;
    case TypeClass::float4:
      return static_cast<double>(number & 0xffffff);
    case TypeClass::float8:
      return static_cast<double>(number & 0x1fffffffffffff);
    case TypeClass::numeric:
      return std::to_string(number & 0x1fffffffffffff);
    case TypeClass::money:
      return number & 0x1fffffffffffff;
    case TypeClass::date:
    case TypeClass::interval:
      return days;
    case TypeClass::time:
    case TypeClass::timetz:
      return seconds * 1'000'000;
    case TypeClass::timestamp:
    case TypeClass::timestamptz:
      return days * kMicrosPerDay + seconds * 1'000'000;
    case TypeClass::uuid: {  // RFC 9562 5.8: version 8, vendor's own
      std::string bytes = bytes_of(digest, 16);
      bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x80);
      bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
      return bytes;
    }
    case TypeClass::json:
    case TypeClass::jsonb:
      return fmt::format("\"{}\"", hash_text(key, digest));
    case TypeClass::bytea:
      return bytes_of(digest, kHashTextBytes);
    case TypeClass::inet:
    case TypeClass::cidr: {  // RFC 4193: an address nobody routes
      std::string wire = *parse_inet("fd00::", type == TypeClass::cidr);
      return wire.substr(0, 5) + bytes_of(digest, 15);
    }
    case TypeClass::macaddr:
    case TypeClass::macaddr8:  // locally administered
      return bytes_of(digest, type == TypeClass::macaddr ? 6 : 8).replace(0, 1, 1, '\x02');
  }
  return std::nullopt;
}

}  // namespace

Key make_key(std::string bytes) {
  constexpr size_t kIdDigestBytes = 4;
  Digest digest{};
  unsigned size = digest.size();
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string id;
  for (size_t i = 0; i < kIdDigestBytes; ++i) id += fmt::format("{:02x}", digest[i]);
  return {std::move(id), Secret(std::move(bytes))};
}

Result<std::shared_ptr<const Masker>> Masker::make(std::map<std::string, Key> keys) {
  for (const auto& [name, key] : keys) {
    if (key.bytes.reveal().size() < limits::kMaskKeyBytesMin) {
      return fail(fmt::format("mask key `{}` has {} bytes, fewer than {}", name, key.bytes.reveal().size(),
                              limits::kMaskKeyBytesMin),
                  "make one with: head -c 32 /dev/urandom > FILE");
    }
    bool printable = std::ranges::all_of(key.id, [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    });
    if (key.id.empty() || key.id.size() > limits::kMaskKeyIdBytesMax || !printable) {
      return fail(fmt::format("mask key `{}` has an id that is not 1 to {} letters, digits, `_` or `-`", name,
                              limits::kMaskKeyIdBytesMax));
    }
  }
  return std::shared_ptr<const Masker>(new Masker(std::move(keys)));
}

std::optional<std::string> Masker::mask(const model::MaskSpec& spec, uint32_t type_oid, bool binary,
                                        std::string_view value) const {
  if (spec.strategy == model::MaskStrategy::null) return std::nullopt;
  const PgType* element = find_element(type_oid);
  if (element == nullptr) return mask_scalar(spec, type_oid, binary, value);
  if (spec.strategy == model::MaskStrategy::hash && !has_key(spec.key)) return std::nullopt;
  return rewrite_array(binary, element->oid, value,
                       [&](std::string_view one) { return mask_scalar(spec, element->oid, binary, one); });
}

std::optional<std::string> Masker::mask_scalar(const model::MaskSpec& spec, uint32_t type_oid, bool binary,
                                               std::string_view value) const {
  const PgType* known = find_type(type_oid);
  if (known == nullptr) return std::nullopt;
  TypeClass type = known->type;
  switch (spec.strategy) {
    case model::MaskStrategy::redact:
      return encode(type, neutral(type), binary);
    case model::MaskStrategy::partial: {
      auto scalar = decode(type, binary, value);
      return encode(type, scalar ? partial(type, *scalar, spec.keep_last) : neutral(type), binary);
    }
    case model::MaskStrategy::hash: {
      auto found = keys_.find(spec.key);
      if (found == keys_.end()) return std::nullopt;
      // One text for both formats, so that equal values stay equal whichever a client asks for.
      auto scalar = decode(type, binary, value);
      auto canonical = scalar ? encode(type, *scalar, false) : std::nullopt;
      Digest digest = hmac_sha256(found->second.bytes.reveal(), canonical ? *canonical : value);
      auto result = hashed(type, found->second, digest);
      return result ? encode(type, *result, binary) : std::nullopt;
    }
    case model::MaskStrategy::fixed: {
      auto scalar = decode(type, false, spec.fixed);
      return scalar ? encode(type, *scalar, binary) : std::nullopt;
    }
    case model::MaskStrategy::null:
      break;
  }
  return std::nullopt;
}

std::string Masker::mask_text(const model::MaskSpec& spec, TextKind kind, std::string_view text) const {
  switch (spec.strategy) {
    case model::MaskStrategy::redact:
      return std::string(kRedacted);
    case model::MaskStrategy::partial:
      return partial_text(text, kind, spec.keep_last);
    case model::MaskStrategy::fixed:
      return spec.fixed;
    case model::MaskStrategy::hash:
      if (auto found = keys_.find(spec.key); found != keys_.end())
        return hash_text(found->second, hmac_sha256(found->second.bytes.reveal(), text));
      return {};
    case model::MaskStrategy::null:
      break;
  }
  return {};
}

}  // namespace sallyport::mask
