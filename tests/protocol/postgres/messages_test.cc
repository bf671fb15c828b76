// SPDX-License-Identifier: Apache-2.0
// Bodies read from bytes written by hand after the documentation, and the strictness of every parser: each body is
// also cut short at every byte and lengthened by one, which must fail.
#include "sallyport/protocol/postgres/messages.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::postgres {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

/// `body` is well-formed for this type; nothing shorter or longer is. `open_ended`: the body's tail may have any
/// length, so only what is shorter than `fixed` bytes must fail.
void check_strict(Side side, char type, std::string_view body, bool open_ended = false, size_t fixed = 0) {
  SCOPED_TRACE(type_name(side, type));
  const auto whole = check_body(side, type, body);
  EXPECT_TRUE(whole) << whole.error().what;
  for (size_t size = 0; size < (open_ended ? fixed : body.size()); ++size) {
    const std::string cut(body.substr(0, size));
    EXPECT_FALSE(check_body(side, type, cut)) << "cut to " << size << " bytes";
  }
  if (open_ended) return;
  for (char extra : {'\0', 'x'}) EXPECT_FALSE(check_body(side, type, std::string(body) + extra)) << "one byte more";
}

std::string show(const ValueList& values) {
  std::string text = fmt::format("{}:", values.size());
  for (const Value value : values) text += value ? fmt::format(" [{}]", *value) : " NULL";
  return text;
}

TEST(Messages, Query) {
  check_strict(Side::agent, 'Q', "select 1\0"sv);
  EXPECT_EQ(parse_query("select 1\0"sv)->sql, "select 1");
  EXPECT_FALSE(parse_query("select 1\0drop table t\0"sv)) << "the server would see the first string only";
}

TEST(Messages, Parse) {
  const auto body = "st\0select $1\0\0\2\0\0\0\x17\0\0\0\0"sv;
  check_strict(Side::agent, 'P', body);
  const Parse parse = parse_parse(body).value();
  EXPECT_EQ(parse.statement, "st");
  EXPECT_EQ(parse.sql, "select $1");
  ASSERT_EQ(parse.parameter_types.size(), 2u);
  EXPECT_EQ(parse.parameter_types[0], 23u);
  EXPECT_EQ(parse.parameter_types[1], 0u);
}

TEST(Messages, Bind) {
  const auto body =
      "po\0st\0"
      "\0\1\0\1"
      "\0\3"
      "\0\0\0\2hi"
      "\xff\xff\xff\xff"
      "\0\0\0\0"
      "\0\2\0\0\0\1"sv;
  check_strict(Side::agent, 'B', body);
  const Bind bind = parse_bind(body).value();
  EXPECT_EQ(bind.portal, "po");
  EXPECT_EQ(bind.statement, "st");
  EXPECT_EQ(show(bind.parameters), "3: [hi] NULL []");
  EXPECT_EQ(bind.parameter_formats.of(2), kBinaryFormat) << "one code is for all";
  EXPECT_EQ(bind.result_formats.of(0), kTextFormat);
  EXPECT_EQ(bind.result_formats.of(1), kBinaryFormat);
  const Bind bare = parse_bind("\0\0\0\0\0\0\0\0"sv).value();
  EXPECT_EQ(show(bare.parameters), "0:");
  EXPECT_EQ(bare.result_formats.of(7), kTextFormat) << "no codes mean text";
}

TEST(Messages, BindRefusesCountsThatDisagree) {
  EXPECT_FALSE(
      parse_bind("\0\0"
                 "\0\2\0\0\0\0"
                 "\0\1\0\0\0\0"
                 "\0\0"sv))
      << "two formats, one parameter";
  EXPECT_FALSE(
      parse_bind("\0\0"
                 "\0\0"
                 "\0\1\xff\xff\xff\xfe"
                 "\0\0"sv))
      << "length -2";
  EXPECT_FALSE(
      parse_bind("\0\0"
                 "\0\0"
                 "\0\1\x7f\xff\xff\xff"
                 "\0\0"sv))
      << "length beyond the end";
  EXPECT_FALSE(
      parse_bind("\0\0"
                 "\0\0"
                 "\xff\xff"
                 "\0\0"sv))
      << "65535 parameters in no bytes";
}

TEST(Messages, BindNamesFromAPrefix) {
  const auto body = "po\0st\0\0\0\0\1\0"sv;
  for (size_t size = 0; size < body.size(); ++size) {
    const auto names = parse_bind_names(body.substr(0, size));
    ASSERT_EQ(names.has_value(), size >= 6) << size;
    if (names) {
      EXPECT_EQ(names->portal, "po");
      EXPECT_EQ(names->statement, "st");
    }
  }
}

TEST(Messages, DescribeCloseExecute) {
  check_strict(Side::agent, 'D', "Sst\0"sv);
  check_strict(Side::agent, 'C', "P\0"sv);
  EXPECT_EQ(parse_describe("Sst\0"sv)->kind, Named::statement);
  EXPECT_EQ(parse_close("Ppo\0"sv)->name, "po");
  EXPECT_FALSE(parse_describe("Xst\0"sv));
  EXPECT_FALSE(parse_close("sst\0"sv));
  check_strict(Side::agent, 'E', "po\0\0\0\0\5"sv);
  EXPECT_EQ(parse_execute("po\0\0\0\0\5"sv)->rows_max, 5);
  EXPECT_EQ(parse_execute("\0\xff\xff\xff\xff"sv)->rows_max, -1);
}

TEST(Messages, FunctionCall) {
  const auto body =
      "\0\0\4\0"
      "\0\1\0\1"
      "\0\2\0\0\0\1a\xff\xff\xff\xff"
      "\0\1"sv;
  check_strict(Side::agent, 'F', body);
  const FunctionCall call = parse_function_call(body).value();
  EXPECT_EQ(call.function_oid, 1024u);
  EXPECT_EQ(show(call.arguments), "2: [a] NULL");
  EXPECT_EQ(call.result_format, kBinaryFormat);
}

TEST(Messages, PasswordsAndSasl) {
  EXPECT_EQ(parse_password_message("pw\0"sv)->password, "pw");
  EXPECT_FALSE(parse_password_message("pw"sv));
  EXPECT_FALSE(parse_password_message("pw\0x"sv));
  const auto initial = parse_sasl_initial_response("SCRAM-SHA-256\0\0\0\0\3n,,"sv).value();
  EXPECT_EQ(initial.mechanism, "SCRAM-SHA-256");
  EXPECT_EQ(initial.response, "n,,");
  EXPECT_FALSE(parse_sasl_initial_response("X\0\xff\xff\xff\xff"sv)->response);
  EXPECT_FALSE(parse_sasl_initial_response("X\0\xff\xff\xff\xfe"sv));
  EXPECT_FALSE(parse_sasl_initial_response("X\0\0\0\0\4abc"sv));
  EXPECT_FALSE(parse_sasl_initial_response("X\0\0\0\0\2abc"sv));
}

TEST(Messages, AgentsWithoutBody) {
  for (char type : "cHSX"sv) check_strict(Side::agent, type, "");
  check_strict(Side::agent, 'f', "no more\0"sv);
  EXPECT_TRUE(check_body(Side::agent, 'd', "anything"));
  EXPECT_FALSE(check_body(Side::agent, 'Z', "I"));
}

TEST(Messages, Authentication) {
  using Kind = Authentication::Kind;
  check_strict(Side::server, 'R', "\0\0\0\0"sv);
  check_strict(Side::server, 'R', "\0\0\0\3"sv);
  check_strict(Side::server, 'R', "\0\0\0\5salt"sv);
  check_strict(Side::server, 'R', "\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"sv);
  check_strict(Side::server, 'R', "\0\0\0\x0br=x"sv, true, 4);
  EXPECT_EQ(parse_authentication("\0\0\0\5salt"sv)->md5_salt, "salt");
  const auto sasl = parse_authentication("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"sv).value();
  EXPECT_EQ(sasl.kind, Kind::sasl);
  EXPECT_TRUE(sasl.sasl_mechanisms.contains("SCRAM-SHA-256"));
  EXPECT_TRUE(sasl.sasl_mechanisms.contains("SCRAM-SHA-256-PLUS"));
  EXPECT_FALSE(sasl.sasl_mechanisms.contains("SCRAM"));
  EXPECT_EQ(parse_authentication("\0\0\0\x0cv=x"sv)->data, "v=x");
  EXPECT_FALSE(parse_authentication("\0\0\0\x0a\0"sv)) << "no mechanism at all";
  for (char unknown : "\1\4\6\x0d\x7f"sv) EXPECT_FALSE(parse_authentication("\0\0\0"s + unknown));
}

TEST(Messages, SessionFacts) {
  check_strict(Side::server, 'K', "\0\0\1\2abcd"sv, true, 8);
  EXPECT_EQ(parse_backend_key_data("\0\0\1\2abcd"sv)->pid, 258u);
  EXPECT_TRUE(parse_backend_key_data("\0\0\1\2"s + std::string(256, 'k')));
  EXPECT_FALSE(parse_backend_key_data("\0\0\1\2"s + std::string(257, 'k')));
  check_strict(Side::server, 'S', "client_encoding\0UTF8\0"sv);
  EXPECT_EQ(parse_parameter_status("client_encoding\0UTF8\0"sv)->value, "UTF8");
  check_strict(Side::server, 'Z', "T"sv);
  EXPECT_EQ(parse_ready_for_query("E")->status, TransactionStatus::failed);
  EXPECT_FALSE(parse_ready_for_query("X"));
  const auto body = "\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0"sv;
  check_strict(Side::server, 'v', body);
  const auto negotiate = parse_negotiate_protocol_version(body).value();
  EXPECT_EQ(negotiate.version, 3u << 16);
  EXPECT_TRUE(negotiate.refused_options.contains("_pq_.b"));
  EXPECT_FALSE(parse_negotiate_protocol_version("\0\3\0\0\xff\xff\xff\xff"sv));
}

TEST(Messages, RowDescription) {
  const auto body =
      "\0\2"
      "id\0\0\0\x40\1\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
      "\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x0e\0\1"sv;
  check_strict(Side::server, 'T', body);
  const RowDescription row = parse_row_description(body).value();
  const std::vector<Field> fields(row.begin(), row.end());
  ASSERT_EQ(fields.size(), row.size());
  EXPECT_EQ(fields[0], (Field{"id", 16385, 1, 23, 4, -1, 0}));
  EXPECT_EQ(fields[1], (Field{"", 0, 0, 25, -1, 14, 1}));
  std::string strange(body);
  strange.back() = 2;
  EXPECT_FALSE(parse_row_description(strange)) << "a format that is neither text nor binary cannot be masked";
  check_strict(Side::server, 'T', "\0\0"sv);
}

TEST(Messages, DataRow) {
  const auto body =
      "\0\3"
      "\0\0\0\1"
      "1"
      "\xff\xff\xff\xff"
      "\0\0\0\0"sv;
  check_strict(Side::server, 'D', body);
  EXPECT_EQ(show(parse_data_row(body)->values), "3: [1] NULL []");
  check_strict(Side::server, 'D', "\0\0"sv);
  EXPECT_FALSE(parse_data_row("\0\1\xff\xff\xff\xfe"sv));
  EXPECT_FALSE(parse_data_row("\0\1\x80\0\0\0"sv));
}

TEST(Messages, CommandCompleteAndItsRows) {
  check_strict(Side::server, 'C', "SELECT 3\0"sv);
  EXPECT_EQ(rows_of_tag("SELECT 3"), 3u);
  EXPECT_EQ(rows_of_tag("INSERT 0 12"), 12u);
  EXPECT_EQ(rows_of_tag("COPY 18446744073709551615"), UINT64_MAX);
  EXPECT_FALSE(rows_of_tag("COPY 18446744073709551616"));
  EXPECT_FALSE(rows_of_tag("BEGIN"));
  EXPECT_FALSE(rows_of_tag("CREATE TABLE"));
  EXPECT_FALSE(rows_of_tag("SELECT -1"));
  EXPECT_FALSE(rows_of_tag("SELECT "));
}

TEST(Messages, Reports) {
  const auto body = "SFEHLER\0VERROR\0C42501\0Mno\0\0"sv;
  check_strict(Side::server, 'E', body);
  check_strict(Side::server, 'N', "\0"sv);
  const ReportFields report = parse_report(body).value();
  EXPECT_EQ(report.sqlstate(), "42501");
  EXPECT_EQ(report.message(), "no");
  EXPECT_EQ(report.find('H'), "");
  EXPECT_FALSE(report.ends_connection());
  EXPECT_TRUE(parse_report("SFATAL\0\0"sv)->ends_connection()) << "before 9.6";
  EXPECT_TRUE(parse_report("SPANIK\0VPANIC\0\0"sv)->ends_connection());
  EXPECT_FALSE(parse_report("SERROR\0\0M\0"sv)) << "bytes behind the terminator";
}

TEST(Messages, TheRest) {
  check_strict(Side::server, 't', "\0\2\0\0\0\x17\0\0\0\x19"sv);
  EXPECT_EQ(parse_parameter_description("\0\2\0\0\0\x17\0\0\0\x19"sv)->types[1], 25u);
  for (char type : "GHW"sv) check_strict(Side::server, type, "\1\0\2\0\1\0\1"sv);
  EXPECT_TRUE(parse_copy_response("\1\0\1\0\1"sv)->binary);
  EXPECT_FALSE(parse_copy_response("\2\0\0"sv));
  check_strict(Side::server, 'A', "\0\0\1\2ch\0pay\0"sv);
  EXPECT_EQ(parse_notification_response("\0\0\1\2ch\0pay\0"sv)->payload, "pay");
  check_strict(Side::server, 'V', "\0\0\0\2ok"sv);
  check_strict(Side::server, 'V', "\xff\xff\xff\xff"sv);
  EXPECT_EQ(parse_function_call_response("\0\0\0\2ok"sv)->value, "ok");
  EXPECT_FALSE(parse_function_call_response("\xff\xff\xff\xff"sv)->value);
  for (char type : "123Insc"sv) check_strict(Side::server, type, "");
}

}  // namespace
}  // namespace sallyport::postgres
