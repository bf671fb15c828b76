// SPDX-License-Identifier: Apache-2.0
// COPY's csv format: a field that holds a delimiter, a quote or a line end, or looks like NULL, stands in quotes, in
// which the escape character goes before a quote and before itself.
#include <algorithm>

#include "protocol/postgres/copy_formats.h"

namespace sallyport::postgres {

// Each newline and quote is looked for once, so that a row of many quotes takes no longer than its length.
bool find_copy_csv_end(const CopyLayout& layout, std::string_view bytes, size_t& at, bool& in_quotes, bool& skip_one) {
  const char inside[] = {layout.quote, layout.escape};
  size_t newline = 0;
  bool newline_known = false;
  while (at < bytes.size()) {
    if (skip_one) {
      skip_one = false;
      ++at;
    } else if (in_quotes) {
      // A doubled quote ends the quotes and begins them again.
      const size_t next = bytes.find_first_of(std::string_view(inside, layout.escape == layout.quote ? 1 : 2), at);
      at = next == std::string_view::npos ? bytes.size() : next + 1;
      if (next == std::string_view::npos) continue;
      if (bytes[next] == layout.quote)
        in_quotes = false;
      else
        skip_one = true;
    } else {
      if (!newline_known || newline < at) newline = std::min(bytes.find('\n', at), bytes.size());
      newline_known = true;
      const size_t quote = bytes.substr(0, newline).find(layout.quote, at);
      if (quote == std::string_view::npos) {
        at = std::min(newline + 1, bytes.size());
        return newline < bytes.size();
      }
      in_quotes = true;
      at = quote + 1;
    }
  }
  return false;
}

Result<> split_copy_csv(const CopyLayout& layout, std::string_view row, std::vector<CopyField>& fields) {
  for (size_t begin = 0;;) {
    size_t end = begin;
    if (begin < row.size() && row[begin] == layout.quote) {
      for (++end; end < row.size(); ++end) {
        const bool pair = row[end] == layout.escape && end + 1 < row.size() &&
                          (row[end + 1] == layout.quote || row[end + 1] == layout.escape);
        if (pair)
          ++end;
        else if (row[end] == layout.quote)
          break;
      }
      if (end++ >= row.size()) return fail("COPY data: a quoted value without an end");
      if (end < row.size() && row[end] != layout.delimiter) return fail("COPY data: something behind a quoted value");
    } else {
      end = std::min(row.find(layout.delimiter, begin), row.size());
      if (row.substr(begin, end - begin).find(layout.quote) != std::string_view::npos)
        return fail("COPY data: a quote within a value without quotes");
    }
    fields.push_back({.raw = row.substr(begin, end - begin)});
    if (end >= row.size()) return {};
    begin = end + 1;
  }
}

std::string_view copy_csv_value(const CopyLayout& layout, std::string_view raw, std::string& scratch) {
  if (raw.size() < 2 || raw.front() != layout.quote) return raw;
  raw = raw.substr(1, raw.size() - 2);
  if (raw.find(layout.escape) == std::string_view::npos) return raw;
  scratch.clear();
  for (size_t at = 0; at < raw.size(); ++at) {
    const bool pair = raw[at] == layout.escape && at + 1 < raw.size() &&
                      (raw[at + 1] == layout.quote || raw[at + 1] == layout.escape);
    at += pair;
    scratch.push_back(raw[at]);
  }
  return scratch;
}

void append_copy_csv(const CopyLayout& layout, std::string_view value, bool force_quote, bool single,
                     std::string& out) {
  const char special[] = {layout.delimiter, layout.quote, '\n', '\r'};
  const bool quoted = force_quote || value == layout.null || (single && value == "\\.") ||
                      value.find_first_of(std::string_view(special, sizeof special)) != std::string_view::npos;
  if (!quoted) {
    out += value;
    return;
  }
  out.push_back(layout.quote);
  for (const char c : value) {
    if (c == layout.quote || c == layout.escape) out.push_back(layout.escape);
    out.push_back(c);
  }
  out.push_back(layout.quote);
}

}  // namespace sallyport::postgres
