// SPDX-License-Identifier: Apache-2.0
// Makes one value unreadable and keeps it a value of its type: what a client decodes before masking
// it can decode after. Covers PostgreSQL's types in text and binary format (PostgreSQL 15: each
// type's I/O functions in src/backend/utils/adt). What each strategy gives for each type is a table
// in docs/masking.md. Immutable after make(): any number of threads may share one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"
#include "sallyport/model/decision.h"

namespace sallyport::mask {

/// A key for MaskStrategy::hash. `id` is printed in every hash, so that a rotated key is seen.
struct Key {
  std::string id;  ///< 1 to limits::kMaskKeyIdBytesMax of [A-Za-z0-9_-]
  Secret bytes;    ///< at least limits::kMaskKeyBytesMin
};

/// A key of a file's bytes; its id is the beginning of their SHA-256.
Key make_key(std::string bytes);

/// What kind of text is masked, where that is known: partial keeps another part of each.
enum class TextKind : uint8_t { any, email, payment_card };

class Masker {
 public:
  /// Keys by the name that MaskSpec::key uses. Fails on a key that is too short or an id that is
  /// not printable, naming the key. No keys is fine: then hash gives NULL.
  static Result<std::shared_ptr<const Masker>> make(std::map<std::string, Key> keys);

  /// The value a client gets instead of `value`, which is not SQL NULL (NULL stays NULL: do not
  /// call). nullopt is SQL NULL, and the answer for every type, value or key that is not
  /// understood: this function never returns a byte of what it could not read.
  /// `type_oid` is a built-in type's OID as RowDescription gives it (domains come as their base
  /// type there). A text-like extension type (citext) has an OID of its own in each database: pass
  /// kTextOid for it. `binary`: format code 1.
  /// Arrays of a known type keep their shape, each element masked.
  std::optional<std::string> mask(const model::MaskSpec& spec, uint32_t type_oid, bool binary,
                                  std::string_view value) const;

  /// The same for a piece of UTF-8 text inside a larger one. Text cannot hold a NULL: null, and
  /// hash without its key, give the empty string.
  std::string mask_text(const model::MaskSpec& spec, TextKind kind, std::string_view text) const;

  bool has_key(const std::string& name) const { return keys_.contains(name); }

  static constexpr uint32_t kTextOid = 25;

 private:
  explicit Masker(std::map<std::string, Key> keys) : keys_(std::move(keys)) {}

  std::optional<std::string> mask_scalar(const model::MaskSpec& spec, uint32_t type_oid, bool binary,
                                         std::string_view value) const;

  std::map<std::string, Key> keys_;
};

}  // namespace sallyport::mask
