// SPDX-License-Identifier: Apache-2.0
#include "sallyport/base/secret.h"

#include <openssl/crypto.h>

namespace sallyport {

void wipe(void* memory, size_t size) { OPENSSL_cleanse(memory, size); }

void wipe(std::string& bytes) {
  wipe(bytes.data(), bytes.capacity());
  bytes.clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  wipe(bytes_);
  bytes_ = std::move(other.bytes_);
  wipe(other.bytes_);
  return *this;
}

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  wipe(bytes_);
  bytes_ = other.bytes_;
  return *this;
}

bool Secret::equals(std::string_view other) const {
  return bytes_.size() == other.size() && CRYPTO_memcmp(bytes_.data(), other.data(), other.size()) == 0;
}

}  // namespace sallyport
