// SPDX-License-Identifier: Apache-2.0
// The one pattern grammar, written once. A pattern is a row of segments; `*` stands for any text within one
// segment, `**` alone for one or more whole segments. SQL names split at dots and fold as PostgreSQL folds them
// (unquoted: ASCII letters to lower case; in double quotes: as they are, `*` too); paths split at slashes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"

namespace sallyport::policy {

struct Segment {
  enum class Kind : uint8_t { literal, glob, any, deep };
  Kind kind = Kind::literal;
  std::string text;
  bool operator==(const Segment&) const = default;
};

/// One part of a name that is matched, as it is: never quoted. `every` stands for all values at once: only `*` and `**`
/// match it. `some` stands for a value nobody knows: whatever could match it does.
struct Part {
  enum class Kind : uint8_t { plain, every, some };
  std::string_view text;
  Kind kind = Kind::plain;
};

struct Pattern {
  std::string text;  ///< as written
  std::vector<Segment> segments;

  bool matches(std::span<const Part> parts) const;
  bool matches_word(std::string_view word) const;  ///< one segment, plain
  /// Every name that `narrower` matches is matched by this one too; false when that is not plain to see.
  bool includes(const Pattern& narrower) const;
  /// Some name is matched by both.
  bool overlaps(const Pattern& other) const;
};

/// "public.customers", `public."Users"`, "public.*". The number of segments must be one of the bits of
/// `counts` (bit n: n segments), unless the pattern has a `**`. `example` is what the error proposes.
Result<Pattern> parse_sql_pattern(std::string_view text, unsigned counts, std::string_view example);
/// "/var/log/**": absolute, no `.`, `..` or empty segments.
Result<Pattern> parse_path_pattern(std::string_view text);
/// Free text as one segment, not folded: "extension dblink".
Result<Pattern> parse_text_pattern(std::string_view text);

/// A claim of a token: text parted by colons and slashes, which stand for themselves. `*` is one part, so that
/// "repo:acme/*" does not match "repo:acme/a:ref:x"; "repo:acme/**" does.
Result<Pattern> parse_claim_pattern(std::string_view text);
/// The parts of a claim, separators included; 0: more than `out` holds. Views into `claim`.
size_t split_claim(std::string_view claim, std::span<Part> out);

/// Splits a name as effects give it, "schema.name" without quotes, at dots. Views into `name`. Returns the number of
/// parts; 0: an empty part, or more than `out` holds. A name with a dot in it has too many parts: nobody can say which.
size_t split_sql_name(std::string_view name, std::span<Part> out);
/// Splits an absolute path at slashes; 0: relative, with `.` or `..` in it, or too long.
size_t split_path(std::string_view path, std::span<Part> out);

/// `name` in double quotes if SQL needs them, or if it has a `*`.
std::string quote_identifier(std::string_view name);

}  // namespace sallyport::policy
