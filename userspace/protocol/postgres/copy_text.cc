// SPDX-License-Identifier: Apache-2.0
// COPY's text format: fields between delimiters, a newline ends the row, a backslash goes before what would end either.
#include <algorithm>

#include "protocol/postgres/copy_formats.h"

namespace sallyport::postgres {
namespace {

constexpr std::string_view kControls = "\b\f\n\r\t\v";
constexpr std::string_view kLetters = "bfnrtv";

}  // namespace

void split_copy_text(const CopyLayout& layout, std::string_view row, std::vector<CopyField>& fields) {
  const bool escapes = row.find('\\') != std::string_view::npos;
  size_t begin = 0;
  for (size_t at = 0; at < row.size();) {
    if (escapes) {
      if (row[at] == '\\') {
        at += 2;
        continue;
      }
      if (row[at] != layout.delimiter) {
        ++at;
        continue;
      }
    } else {
      at = row.find(layout.delimiter, at);
      if (at == std::string_view::npos) break;
    }
    fields.push_back({.raw = row.substr(begin, at - begin)});
    begin = ++at;
  }
  fields.push_back({.raw = row.substr(begin)});
}

std::string_view copy_text_value(std::string_view raw, std::string& scratch) {
  size_t escape = raw.find('\\');
  if (escape == std::string_view::npos) return raw;
  scratch.clear();
  size_t from = 0;
  for (; escape != std::string_view::npos && escape + 1 < raw.size(); escape = raw.find('\\', from)) {
    const size_t letter = kLetters.find(raw[escape + 1]);
    scratch.append(raw, from, escape - from);
    scratch.push_back(letter == std::string_view::npos ? raw[escape + 1] : kControls[letter]);
    from = escape + 2;
  }
  return scratch.append(raw.substr(from));
}

void append_copy_text(const CopyLayout& layout, std::string_view value, std::string& out) {
  for (const char c : value) {
    const size_t control = static_cast<unsigned char>(c) < 0x20 ? kControls.find(c) : std::string_view::npos;
    if (control != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(kLetters[control]);
      continue;
    }
    if (c == '\\' || c == layout.delimiter) out.push_back('\\');
    out.push_back(c);
  }
}

}  // namespace sallyport::postgres
