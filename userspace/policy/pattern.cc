// SPDX-License-Identifier: Apache-2.0
#include "pattern.h"

#include <fmt/core.h>

#include <algorithm>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

/// PostgreSQL cuts identifiers at NAMEDATALEN - 1 bytes.
constexpr size_t kIdentifierBytesMax = 63;

/// `*` in `glob` stands for any text. Linear in practice: goes back to the last star only.
bool glob_matches(std::string_view glob, std::string_view text) {
  size_t g = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_text = t;
    } else if (g < glob.size() && glob[g] == text[t]) {
      ++g, ++t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

bool segment_matches(const Segment& segment, const Part& part) {
  if (segment.kind == Segment::Kind::any || part.kind == Part::Kind::some) return true;
  if (part.kind == Part::Kind::every) return false;
  return segment.kind == Segment::Kind::literal ? segment.text == part.text : glob_matches(segment.text, part.text);
}

bool has_deep(const Pattern& pattern) {
  return std::ranges::any_of(pattern.segments, [](const Segment& s) { return s.kind == Segment::Kind::deep; });
}

bool segment_includes(const Segment& wide, const Segment& narrow) {
  if (wide == narrow || wide.kind == Segment::Kind::any) return narrow.kind != Segment::Kind::deep;
  return wide.kind == Segment::Kind::glob && narrow.kind == Segment::Kind::literal &&
         glob_matches(wide.text, narrow.text);
}

bool starts_alike(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }
bool ends_alike(std::string_view a, std::string_view b) { return a.ends_with(b) || b.ends_with(a); }

/// Neither is deep. Two globs have a text in common if their ends can be had together: each has a star between them.
bool segment_overlaps(const Segment& a, const Segment& b) {
  using Kind = Segment::Kind;
  if (a.kind == Kind::any || b.kind == Kind::any) return true;
  if (a.kind == Kind::literal && b.kind == Kind::literal) return a.text == b.text;
  if (a.kind == Kind::literal) return glob_matches(b.text, a.text);
  if (b.kind == Kind::literal) return glob_matches(a.text, b.text);
  const std::string_view x = a.text, y = b.text;
  return starts_alike(x.substr(0, x.find('*')), y.substr(0, y.find('*'))) &&
         ends_alike(x.substr(x.rfind('*') + 1), y.substr(y.rfind('*') + 1));
}

Segment make_segment(std::string text) {
  if (text == "**") return {Segment::Kind::deep, {}};
  if (text == "*") return {Segment::Kind::any, {}};
  const bool glob = text.find('*') != std::string::npos;
  return {glob ? Segment::Kind::glob : Segment::Kind::literal, std::move(text)};
}

bool identifier_char(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
  return letter || c == '*' || (!first && ((c >= '0' && c <= '9') || c == '$'));
}

/// One segment of a SQL name at the front of `rest`, which it is taken from.
Result<Segment> take_sql_segment(std::string_view& rest) {
  std::string text;
  const bool quoted = rest.starts_with('"');
  if (quoted) {
    size_t at = 1;
    for (;; ++at) {
      if (at >= rest.size()) return fail("a quoted name without its closing quote");
      if (rest[at] == '"' && (at + 1 >= rest.size() || rest[at + 1] != '"')) break;
      if (rest[at] == '"') ++at;
      text += rest[at];
    }
    rest.remove_prefix(at + 1);
  } else {
    size_t at = 0;
    while (at < rest.size() && identifier_char(rest[at], at == 0)) ++at;
    for (char c : rest.substr(0, at)) text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    rest.remove_prefix(at);
  }
  if (text.empty()) return fail("an empty part or a character that needs double quotes");
  if (text.size() > kIdentifierBytesMax) return fail("PostgreSQL cuts names at 63 bytes");
  if (!quoted && text != "**" && text.find("**") != std::string::npos) return fail("`**` stands alone between dots");
  return quoted ? Segment{Segment::Kind::literal, std::move(text)} : make_segment(std::move(text));
}

}  // namespace

bool Pattern::matches(std::span<const Part> parts) const {
  // As glob_matches, but on segments: a deep one takes at least one part and grows when the rest fails.
  size_t s = 0, p = 0, deep = segments.size(), deep_part = 0;
  while (p < parts.size()) {
    if (s < segments.size() && segments[s].kind == Segment::Kind::deep) {
      deep = s++;
      deep_part = p++;
    } else if (s < segments.size() && segment_matches(segments[s], parts[p])) {
      ++s, ++p;
    } else if (deep < segments.size()) {
      s = deep + 1;
      p = ++deep_part + 1;
    } else {
      return false;
    }
  }
  return p == parts.size() && s == segments.size();
}

bool Pattern::matches_word(std::string_view word) const {
  const Part part{word, Part::Kind::plain};
  return matches(std::span(&part, 1));
}

bool Pattern::includes(const Pattern& narrower) const {
  if (segments == narrower.segments) return true;
  if (segments.size() == 1 && segments[0].kind == Segment::Kind::deep) return true;
  if (has_deep(*this) || segments.size() != narrower.segments.size()) return false;
  return std::ranges::equal(segments, narrower.segments, segment_includes);
}

/// Row by row: whether the rests behind (i, j) have a name in common. A deep segment takes one part or more.
bool Pattern::overlaps(const Pattern& other) const {
  const std::vector<Segment>&a = segments, &b = other.segments;
  std::vector<std::vector<char>> rest(a.size() + 1, std::vector<char>(b.size() + 1, 0));
  rest[a.size()][b.size()] = 1;
  const auto deep = [](const Segment& s) { return s.kind == Segment::Kind::deep; };
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      if (!deep(a[i]) && !deep(b[j]) && !segment_overlaps(a[i], b[j])) continue;
      // One part for both; then a deep one may go on while the other does.
      rest[i][j] = rest[i + 1][j + 1] || (deep(a[i]) && rest[i][j + 1]) || (deep(b[j]) && rest[i + 1][j]);
    }
  }
  return rest[0][0] != 0;
}

Result<Pattern> parse_sql_pattern(std::string_view text, unsigned counts, std::string_view example) {
  const auto wrong = [&](std::string why) {
    return fail(fmt::format("`{}`: {}", printable(text), why), fmt::format("write it as in `{}`", example));
  };
  Pattern out{std::string(text), {}};
  std::string_view rest = text;
  for (;;) {
    auto segment = take_sql_segment(rest);
    if (!segment) return wrong(segment.error().what);
    out.segments.push_back(std::move(*segment));
    if (rest.empty()) break;
    if (rest.front() != '.') return wrong("a character that needs double quotes");
    if (out.segments.size() >= limits::kPolicySegmentsMax) return wrong("too many parts");
    rest.remove_prefix(1);
  }
  const size_t count = out.segments.size();
  if (!has_deep(out) && (count >= 32 || !(counts >> count & 1)))
    return wrong(fmt::format("{} part{} where the name has {}", count, count == 1 ? "" : "s",
                             counts == 1u << 1   ? "one"
                             : counts == 1u << 2 ? "two"
                                                 : "another number"));
  return out;
}

Result<Pattern> parse_path_pattern(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(fmt::format("`{}`: {}", printable(text), why), "write it as in `/var/lib/exports/**`");
  };
  if (!text.starts_with('/') || text.size() < 2) return wrong("not an absolute path");
  Pattern out{std::string(text), {}};
  for (std::string_view rest = text; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == "..") return wrong("empty, `.` and `..` parts are not allowed");
    if (part != "**" && part.find("**") != std::string_view::npos) return wrong("`**` stands alone between slashes");
    if (out.segments.size() >= limits::kPolicySegmentsMax) return wrong("too many parts");
    out.segments.push_back(make_segment(std::string(part)));
    rest.remove_prefix(part.size());
  }
  return out;
}

Result<Pattern> parse_text_pattern(std::string_view text) {
  if (text.empty()) return fail("an empty text matches nothing", "write `*` for anything");
  return Pattern{std::string(text), {make_segment(std::string(text))}};
}

size_t split_claim(std::string_view claim, std::span<Part> out) {
  for (size_t count = 0; count < out.size();) {
    const size_t end = claim.find_first_of(":/");
    out[count++] = {claim.substr(0, end), Part::Kind::plain};
    if (end == std::string_view::npos) return count;
    if (count == out.size()) return 0;
    out[count++] = {claim.substr(end, 1), Part::Kind::plain};
    claim.remove_prefix(end + 1);
  }
  return 0;
}

Result<Pattern> parse_claim_pattern(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(fmt::format("`{}`: {}", printable(text), why), "write it as in `system:serviceaccount:bots:billing-*`");
  };
  if (text.empty()) return fail("an empty text matches nothing", "write `**` for anything");
  Part parts[limits::kPolicySegmentsMax];
  const size_t count = split_claim(text, parts);
  if (count == 0) return wrong("too many parts");
  Pattern out{std::string(text), {}};
  for (const Part& part : std::span(parts, count)) {
    if (part.text != "**" && part.text.find("**") != std::string_view::npos)
      return wrong("`**` stands alone between colons and slashes");
    out.segments.push_back(make_segment(std::string(part.text)));
  }
  return out;
}

size_t split_sql_name(std::string_view name, std::span<Part> out) {
  for (size_t count = 0; count < out.size();) {
    const size_t dot = name.find('.');
    out[count] = {name.substr(0, dot), Part::Kind::plain};
    if (out[count++].text.empty()) return 0;
    if (dot == std::string_view::npos) return count;
    name.remove_prefix(dot + 1);
  }
  return 0;
}

size_t split_path(std::string_view path, std::span<Part> out) {
  if (!path.starts_with('/')) return 0;
  size_t count = 0;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == ".." || count == out.size()) return 0;
    out[count++] = {part, Part::Kind::plain};
    path.remove_prefix(part.size());
  }
  return count;
}

std::string quote_identifier(std::string_view name) {
  bool bare = !name.empty();
  for (size_t i = 0; i < name.size(); ++i)
    bare &= identifier_char(name[i], i == 0) && name[i] != '*' && !(name[i] >= 'A' && name[i] <= 'Z');
  if (bare) return std::string(name);
  std::string out = "\"";
  for (char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

}  // namespace sallyport::policy
