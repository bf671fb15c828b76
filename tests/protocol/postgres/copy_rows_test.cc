// SPDX-License-Identifier: Apache-2.0
// What a real server sends (copy_cases.h), cut at every byte, gives the values that were copied; each value written
// again gives the server's bytes.
#include "sallyport/protocol/postgres/copy_rows.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/base/limits.h"

namespace sallyport::postgres {
namespace {

using namespace std::string_view_literals;

struct Case {
  const char* sql;
  CopyLayout layout;
  bool force_quote;
  size_t columns;
  std::string_view wire;
};

const Case kCases[] = {
#include "copy_cases.h"
};

struct Source {
  std::optional<std::string_view> a, b;
  std::optional<int> n;
};

/// ROWS of make_copy_cases.py.
const Source kRows[] = {{"plain", "x", 1},
                        {"", "", {}},
                        {{}, {}, {}},
                        {"tab\there", "new\nline\r\n", -7},
                        {"back\\slash", "\\N", 0},
                        {"\\.", "N", 2},
                        {"quo\"te", "a,b;c|d$e", 3},
                        {"\b\f\v\x01\x7f", "x\\tno tab", 4},
                        {"naïve ☃ 𝄞", "null", 5},
                        {"\"", "\"\"", 6},
                        {"'", "\\", 7},
                        {" lead", "trail ", 8},
                        {"\\,", ",\"", 9},
                        {"$", "$$", 10},
                        {"NULL", "[redacted]", 11},
                        {"\n", "\r", 12}};

std::string number(int value, bool binary) {
  if (!binary) return std::to_string(value);
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
  return out;
}

/// The rows that come of these pieces; what is not a row is only counted into `bytes`.
std::vector<std::string> rows_of(const CopyLayout& layout, const std::vector<std::string_view>& pieces,
                                 std::string& bytes) {
  CopyReader reader(layout);
  std::vector<std::string> rows;
  for (std::string_view piece : pieces) {
    while (true) {
      auto next = reader.next(piece);
      EXPECT_TRUE(next) << next.error().what;
      if (!next || !*next) break;
      bytes += (*next)->bytes;
      if ((*next)->is_row) rows.emplace_back((*next)->bytes);
    }
    EXPECT_TRUE(piece.empty());
  }
  EXPECT_TRUE(reader.finish());
  EXPECT_EQ(reader.held_bytes(), 0u);
  return rows;
}

TEST(CopyRows, WhatTheServerSendsIsTakenApartAndPutTogether) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.sql);
    const bool binary = c.layout.format == CopyLayout::Format::binary;
    std::string bytes;
    const std::vector<std::string> rows = rows_of(c.layout, {c.wire}, bytes);
    EXPECT_EQ(bytes, c.wire);
    ASSERT_EQ(rows.size(), std::size(kRows));
    const CopyReader reader(c.layout);
    for (size_t i = 0; i < rows.size(); ++i) {
      SCOPED_TRACE(i);
      std::array<std::optional<std::string>, 3> expected{std::optional<std::string>(kRows[i].a),
                                                         std::optional<std::string>(kRows[i].b)};
      if (kRows[i].n) expected[2] = number(*kRows[i].n, binary);
      std::vector<CopyField> fields;
      ASSERT_TRUE(reader.split(rows[i], fields));
      ASSERT_EQ(fields.size(), c.columns);
      std::string written, copied, scratch;
      CopyRowWriter writer(c.layout, c.columns, written);
      CopyRowWriter copier(c.layout, c.columns, copied);
      for (size_t k = 0; k < fields.size(); ++k) {
        copier.field(fields[k]);
        if (fields[k].null) {
          EXPECT_FALSE(expected[k]);
          writer.value(std::nullopt, c.force_quote);
          continue;
        }
        const std::string value(reader.value(fields[k], scratch));
        // A NULL that may be a value is read as that value.
        if (expected[k])
          EXPECT_EQ(value, *expected[k]);
        else
          EXPECT_EQ(fields[k].raw, c.layout.null);
        writer.value(value, c.force_quote);
      }
      writer.finish();
      copier.finish();
      EXPECT_EQ(written, rows[i]);
      EXPECT_EQ(copied, rows[i]);
    }
  }
}

TEST(CopyRows, CutAnywhere) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.sql);
    std::string bytes;
    const std::vector<std::string> whole = rows_of(c.layout, {c.wire}, bytes);
    for (size_t at = 0; at <= c.wire.size(); ++at) {
      bytes.clear();
      ASSERT_EQ(rows_of(c.layout, {c.wire.substr(0, at), c.wire.substr(at)}, bytes), whole) << at;
      ASSERT_EQ(bytes, c.wire);
    }
    std::vector<std::string_view> single;
    for (size_t at = 0; at < c.wire.size(); ++at) single.push_back(c.wire.substr(at, 1));
    bytes.clear();
    EXPECT_EQ(rows_of(c.layout, single, bytes), whole);
    EXPECT_EQ(bytes, c.wire);
  }
}

TEST(CopyRows, OnlyANullThatNoValueLooksLikeIsOne) {
  const auto is_null = [](std::string null, std::string_view row) {
    std::vector<CopyField> fields;
    EXPECT_TRUE(CopyReader({.null = std::move(null)}).split(row, fields));
    return fields.front().null;
  };
  EXPECT_TRUE(is_null("\\N", "\\N\n"));
  EXPECT_FALSE(is_null("\\N", "\\\\N\n"));
  EXPECT_FALSE(is_null("", "\n"));
  EXPECT_FALSE(is_null("219-45-7821", "219-45-7821\n"));
  std::vector<CopyField> fields;
  const CopyLayout csv{.format = CopyLayout::Format::csv, .delimiter = ',', .null = "x"};
  ASSERT_TRUE(CopyReader(csv).split("x,\"x\",,\"\"\n", fields));
  EXPECT_TRUE(fields[0].null && !fields[1].null && !fields[2].null && !fields[3].null);
}

std::string error_of(const CopyLayout& layout, std::string_view data) {
  CopyReader reader(layout);
  std::vector<CopyField> fields;
  while (true) {
    auto next = reader.next(data);
    if (!next) return next.error().what;
    if (!*next) break;
    if (auto split = reader.split((*next)->bytes, fields); (*next)->is_row && !split) return split.error().what;
  }
  auto finished = reader.finish();
  return finished ? "" : finished.error().what;
}

TEST(CopyRows, WhatNoServerSendsIsAnError) {
  const CopyLayout text;
  const CopyLayout csv{.format = CopyLayout::Format::csv, .delimiter = ',', .null = ""};
  const CopyLayout binary{.format = CopyLayout::Format::binary};
  const std::string head("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"sv);
  EXPECT_EQ(error_of(text, "a\tb"), "COPY data: they end amid a row");
  EXPECT_EQ(error_of(csv, "\"a\n"), "COPY data: they end amid a row");
  EXPECT_EQ(error_of(csv, "\"a\"b,c\n"), "COPY data: something behind a quoted value");
  EXPECT_EQ(error_of(csv, "a\"b\"\n"), "COPY data: a quote within a value without quotes");
  EXPECT_EQ(error_of(binary, head), "");
  EXPECT_EQ(error_of(binary, "PGCOPY\n\377\r\n\0\1\0\0\0\0\0\0\0"sv), "COPY data: not the head of binary format");
  EXPECT_EQ(error_of(binary, head + "\377\377"), "");
  EXPECT_EQ(error_of(binary, head + "\377\377x"), "COPY data: more behind their end");
  EXPECT_EQ(error_of(binary, head + std::string("\0\1\0\0\0\5ab"sv)), "COPY data: they end amid a row");
}

TEST(CopyRows, ARowIsBounded) {
  const std::string large(limits::kPgBufferedMessageBytesMax, 'x');
  EXPECT_EQ(error_of({}, large.substr(1) + "\n"), "");
  const std::string refused = "a row of more than 4194304 bytes is more than can be masked";
  EXPECT_EQ(error_of({}, large + "\n"), refused);
  EXPECT_EQ(error_of({}, large + "x"), refused);
  const CopyLayout csv{.format = CopyLayout::Format::csv, .delimiter = ',', .null = ""};
  EXPECT_EQ(error_of(csv, "\"" + large), refused);
}

TEST(CopyRows, ARowOfManyQuotesTakesNoLongerThanItsLength) {
  std::string row;
  while (row.size() < (1 << 20)) row += "\"a\",";
  row += "\n";
  std::string bytes;
  const CopyLayout csv{.format = CopyLayout::Format::csv, .delimiter = ',', .null = ""};
  EXPECT_EQ(rows_of(csv, {row}, bytes).size(), 1u);
}

}  // namespace
}  // namespace sallyport::postgres
