// SPDX-License-Identifier: Apache-2.0
#include "protocol/postgres/scram_text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <charconv>

#include "sallyport/base/check.h"
#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/scram.h"

namespace sallyport::postgres {
namespace {

const unsigned char* unsigned_of(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* unsigned_of(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

std::string base64_encode(std::string_view bytes) {
  // EVP_EncodeBlock writes a NUL behind its output.
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  EVP_EncodeBlock(unsigned_of(text), unsigned_of(bytes), static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() > limits::kPgAuthMessageBytesMax) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(unsigned_of(bytes), unsigned_of(text), static_cast<int>(text.size())) < 0) return std::nullopt;
  for (size_t i = text.size(); i > 0 && text[i - 1] == '=' && !bytes.empty(); --i) bytes.pop_back();
  // OpenSSL lets white space, wrong padding and stray bits pass.
  if (base64_encode(bytes) != text) return std::nullopt;
  return bytes;
}

std::optional<uint32_t> parse_iterations(std::string_view text) {
  uint32_t iterations = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), iterations);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (iterations == 0 || iterations > limits::kScramIterationsMax) return std::nullopt;
  return iterations;
}

std::string sha256(std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(unsigned_of(bytes), bytes.size(), unsigned_of(digest));
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SP_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), unsigned_of(bytes), bytes.size(),
                unsigned_of(digest), nullptr) != nullptr);
  return digest;
}

std::string xor_bytes(std::string_view a, std::string_view b) {
  SP_CHECK(a.size() == b.size());
  std::string result(a);
  for (size_t i = 0; i < result.size(); ++i) result[i] = static_cast<char>(result[i] ^ b[i]);
  return result;
}

bool equal_secretly(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Secret salted_password(const Secret& password, std::string_view salt, uint32_t iterations) {
  const Secret prepared = saslprep(password);
  std::string key(kScramKeyBytes, '\0');
  SP_CHECK(PKCS5_PBKDF2_HMAC(prepared.reveal().data(), static_cast<int>(prepared.reveal().size()), unsigned_of(salt),
                             static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                             static_cast<int>(key.size()), unsigned_of(key)) == 1);
  return Secret(std::move(key));
}

std::optional<std::string_view> AttributeReader::next(char name) {
  if (ended_ || rest_.empty() || rest_[0] != name) return std::nullopt;
  return take();
}

bool AttributeReader::skip_optional() {
  const bool is_letter =
      !rest_.empty() && ((rest_[0] >= 'a' && rest_[0] <= 'z') || (rest_[0] >= 'A' && rest_[0] <= 'Z'));
  return !ended_ && is_letter && rest_[0] != 'm' && take().has_value();
}

std::optional<std::string_view> AttributeReader::take() {
  if (rest_.size() < 2 || rest_[1] != '=') return std::nullopt;
  const size_t comma = rest_.find(',');
  const std::string_view value = rest_.substr(2, comma == std::string_view::npos ? comma : comma - 2);
  ended_ = comma == std::string_view::npos;
  rest_.remove_prefix(ended_ ? rest_.size() : comma + 1);
  return value;
}

bool is_nonce(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

}  // namespace sallyport::postgres
