// SPDX-License-Identifier: Apache-2.0
// The pattern grammar: what each pattern matches, and what is no pattern.
#include "policy/pattern.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

bool matches_name(std::string_view pattern_text, std::string_view name) {
  auto pattern = parse_sql_pattern(pattern_text, 0b1110, "a.b");
  if (!pattern) {
    ADD_FAILURE() << pattern.error().what;
    return false;
  }
  std::array<Part, 4> parts;
  const size_t count = split_sql_name(name, parts);
  return pattern->matches(std::span(parts).first(count));
}

TEST(Pattern, SqlNames) {
  const struct {
    std::string_view pattern, name;
    bool matches;
  } kRows[] = {
      {"public.customers", "public.customers", true},
      {"public.customers", "public.customer", false},
      {"PUBLIC.Customers", "public.customers", true},       // unquoted folds
      {"public.\"Customers\"", "public.customers", false},  // quoted does not
      {"public.\"Customers\"", "public.Customers", true},
      {"public.\"Customers\"", "public.\"Customers\"", false},  // a name that has quotes in it
      {"public.customers", "public.Customers", false},
      {"public.\"a\"\"b\"", "public.a\"b", true},
      {"public.\"a.b\"", "public.a.b", false},  // whose dot that is, nobody can say
      {"public.*", "public.customers", true},
      {"public.*", "app.customers", false},
      {"public.*", "public.a.b", false},  // `*` stays within its segment
      {"public.inv_*", "public.inv_2024", true},
      {"public.inv_*", "public.invoice", false},
      {"public.*_log", "public.audit_log", true},
      {"public.a*b*c", "public.axxbyyc", true},
      {"public.a*b*c", "public.axxbyy", false},
      {"public.\"a*\"", "public.abc", false},  // in quotes a star is a star
      {"public.\"a*\"", "public.a*", true},
      {"**", "public.customers", true},
      {"**", "customers", true},
      {"*.*", "public.customers", true},
      {"**.email", "public.customers.email", true},
      {"**.email", "email", false},  // `**` is one or more
      {"public.**", "public.customers.email", true},
      {"public.**.x", "public.a.b.x", true},
      {"público.é", "público.é", true},
      {"público.É", "público.é", false},  // only ASCII folds
  };
  for (const auto& row : kRows)
    EXPECT_EQ(matches_name(row.pattern, row.name), row.matches) << row.pattern << " against " << row.name;
}

TEST(Pattern, WhatIsNoSqlPattern) {
  for (std::string_view text : {"", "customers", "a.b.c", "public.", ".customers", "public..a", "public.my table",
                                "public.\"open", "public.\"\"", "public.a**", "1a.b", "public.a;b", "public.\"a\"b"})
    EXPECT_FALSE(parse_sql_pattern(text, 0b100, "public.customers")) << text;
  EXPECT_FALSE(parse_sql_pattern("public." + std::string(64, 'x'), 0b100, "public.customers"))
      << "longer than PostgreSQL keeps";
  EXPECT_TRUE(parse_sql_pattern("public." + std::string(63, 'x'), 0b100, "public.customers"));
  EXPECT_EQ(parse_sql_pattern("customers", 0b100, "public.customers").error().what,
            "`customers`: 1 part where the name has two");
}

TEST(Pattern, Paths) {
  const struct {
    std::string_view pattern, path;
    bool matches;
  } kRows[] = {
      {"/var/log/a", "/var/log/a", true},      {"/var/log/*", "/var/log/a", true},
      {"/var/log/*", "/var/log/a/b", false},   {"/var/log/**", "/var/log/a/b", true},
      {"/var/log/**", "/var/log", false},      {"/var/**/x", "/var/a/b/x", true},
      {"/var/**/x", "/var/x", false},          {"/**/b/**", "/a/b/c/b/d", true},
      {"/tmp/*.csv", "/tmp/a.csv", true},      {"/tmp/*.csv", "/tmp/a.txt", false},
      {"/var/log/**", "/var/log/../x", false}, {"/var/log/**", "/var/log//x", false},
      {"/var/log/**", "var/log/x", false},     {"/Tmp/a", "/tmp/a", false},
  };
  for (const auto& row : kRows) {
    const auto pattern = parse_path_pattern(row.pattern);
    ASSERT_TRUE(pattern) << row.pattern;
    std::array<Part, 16> parts;
    const size_t count = split_path(row.path, parts);
    EXPECT_EQ(pattern->matches(std::span(parts).first(count)), row.matches) << row.pattern << " against " << row.path;
  }
  for (std::string_view text : {"", "/", "a/b", "/a//b", "/a/../b", "/a/./b", "/a/", "/a/b**"})
    EXPECT_FALSE(parse_path_pattern(text)) << text;
}

TEST(Pattern, IncludesOnlyWhatIsPlainToSee) {
  const struct {
    std::string_view wide, narrow;
    bool includes;
  } kRows[] = {
      {"public.*", "public.a", true},   {"public.*", "public.a*", true}, {"public.a", "public.*", false},
      {"public.a*", "public.ab", true}, {"**", "public.a", true},        {"*.a", "public.a", true},
      {"public.a", "public.a", true},   {"app.*", "public.a", false},    {"public.*", "**", false},
  };
  for (const auto& row : kRows) {
    const auto wide = parse_sql_pattern(row.wide, 0b100, "a.b"), narrow = parse_sql_pattern(row.narrow, 0b100, "a.b");
    ASSERT_TRUE(wide && narrow);
    EXPECT_EQ(wide->includes(*narrow), row.includes) << row.wide << " over " << row.narrow;
  }
}

TEST(Pattern, NamesTooLongForTheirPartsMatchNothing) {
  std::string deep;
  for (int i = 0; i < 65; ++i) deep += "/a";
  std::array<Part, 64> parts;
  EXPECT_EQ(split_path(deep, parts), 0u);
  EXPECT_EQ(split_path(deep.substr(2), parts), 64u);
  std::string long_pattern = deep;
  EXPECT_FALSE(parse_path_pattern(long_pattern));
}

TEST(Pattern, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(quote_identifier("customers"), "customers");
  EXPECT_EQ(quote_identifier("Customers"), "\"Customers\"");
  EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
  EXPECT_EQ(quote_identifier("a*"), "\"a*\"");
  EXPECT_EQ(quote_identifier("1a"), "\"1a\"");
}

}  // namespace
}  // namespace sallyport::policy
