// SPDX-License-Identifier: Apache-2.0
#include "mask/pg_array.h"

#include "sallyport/base/bytes.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

std::optional<std::string> rewrite_binary(uint32_t element_oid, std::string_view value, const ElementMask& mask) {
  ByteReader reader(value);
  std::string out;
  ByteWriter writer(out);
  uint32_t dimensions = reader.u32();
  uint32_t flags = reader.u32();
  if (dimensions > static_cast<uint32_t>(limits::kMaskArrayDimensionsMax) || flags > 1) return std::nullopt;
  if (reader.u32() != element_oid) return std::nullopt;
  writer.u32(dimensions);
  size_t flags_at = writer.position();
  writer.u32(flags);
  writer.u32(element_oid);
  size_t elements = dimensions == 0 ? 0 : 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    uint32_t size = reader.u32();
    if (size > limits::kMaskArrayElementsMax) return std::nullopt;
    elements *= size;
    if (elements > limits::kMaskArrayElementsMax) return std::nullopt;
    writer.u32(size);
    writer.u32(reader.u32());  // lower bound
  }
  for (size_t i = 0; i < elements && reader.ok(); ++i) {
    int32_t length = reader.i32();
    std::optional<std::string> masked;
    if (length >= 0) masked = mask(reader.take(static_cast<size_t>(length)));
    writer.u32(masked ? static_cast<uint32_t>(masked->size()) : ~uint32_t{0});
    if (masked) {
      writer.bytes(*masked);
    } else {
      writer.patch_u32(flags_at, 1);
    }
  }
  if (!reader.ok() || !reader.at_end()) return std::nullopt;
  return out;
}

void append_quoted(std::string& out, std::string_view element) {
  out.push_back('"');
  for (char letter : element) {
    if (letter == '"' || letter == '\\') out.push_back('\\');
    out.push_back(letter);
  }
  out.push_back('"');
}

/// Reads one element at `text[at]`, quoted or not. Advances `at` to the mark behind it.
std::optional<std::string> element_at(std::string_view text, size_t& at, bool& quoted) {
  std::string element;
  quoted = text[at] == '"';
  if (quoted) ++at;
  for (; at < text.size(); ++at) {
    char letter = text[at];
    if (letter == '\\') {
      if (++at == text.size()) return std::nullopt;
      element.push_back(text[at]);
    } else if (quoted ? letter == '"' : letter == ',' || letter == '}') {
      if (quoted) ++at;
      return element;
    } else {
      element.push_back(letter);
    }
  }
  return std::nullopt;
}

/// "{a,"b c",NULL}", nested, perhaps with "[2:3]=" before it.
std::optional<std::string> rewrite_text(std::string_view value, const ElementMask& mask) {
  size_t at = value.find('{');
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view bounds = value.substr(0, at);
  if (bounds.find_first_not_of("[]0123456789:-=") != std::string_view::npos) return std::nullopt;
  std::string out(bounds);
  int depth = 0;
  size_t elements = 0;
  while (at < value.size()) {
    char letter = value[at];
    if (letter == '{' || letter == '}' || letter == ',') {
      depth += letter == '{' ? 1 : letter == '}' ? -1 : 0;
      if (depth < 0 || depth > limits::kMaskArrayDimensionsMax) return std::nullopt;
      out.push_back(letter);
      ++at;
      if (depth == 0) break;
      continue;
    }
    bool quoted = false;
    auto element = element_at(value, at, quoted);
    if (!element || ++elements > limits::kMaskArrayElementsMax) return std::nullopt;
    std::optional<std::string> masked;
    if (quoted || *element != "NULL") masked = mask(*element);
    if (masked) {
      append_quoted(out, *masked);
    } else {
      out += "NULL";
    }
  }
  if (depth != 0 || at != value.size()) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::string> rewrite_array(bool binary, uint32_t element_oid, std::string_view value,
                                         const ElementMask& mask) {
  return binary ? rewrite_binary(element_oid, value, mask) : rewrite_text(value, mask);
}

}  // namespace sallyport::mask
