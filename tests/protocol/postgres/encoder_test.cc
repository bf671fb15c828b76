// SPDX-License-Identifier: Apache-2.0
// What we make is what we read: every append_X is framed by FrameReader and read back by its parse_X.
#include "sallyport/protocol/postgres/encoder.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace sallyport::postgres {
namespace {

using namespace std::string_view_literals;

/// `bytes` must be one frame of this side and type that its parser accepts; gives its body.
std::string_view only_frame(Side side, char type, std::string_view bytes) {
  const auto result = FrameReader(side).next(bytes);
  const Frame* frame = std::get_if<Frame>(&result);
  EXPECT_NE(frame, nullptr);
  if (frame == nullptr) return {};
  EXPECT_EQ(frame->type, type);
  EXPECT_EQ(frame->raw.size(), bytes.size());
  EXPECT_TRUE(check_body(side, type, frame->body));
  return frame->body;
}

class EncoderTest : public ::testing::Test {
 protected:
  std::string_view agent(char type) { return only_frame(Side::agent, type, out_); }
  std::string_view server(char type) { return only_frame(Side::server, type, out_); }
  std::string out_;
};

TEST_F(EncoderTest, ErrorResponse) {
  append_error_response(out_, {"ERROR", "42501", "refused", "by rule x", "allow: []"});
  EXPECT_EQ(server('E'), "SERROR\0VERROR\0C42501\0Mrefused\0Dby rule x\0Hallow: []\0\0"sv);
}

TEST_F(EncoderTest, NoTextForgesAField) {
  append_error_response(out_, {"ERROR", "42501", "a\0Hdo this\0"sv, "", ""});
  const ReportFields report = parse_report(server('E')).value();
  EXPECT_EQ(report.message(), "a");
  EXPECT_EQ(report.find('H'), "");
  out_.clear();
  append_query(out_, "select 1\0drop"sv);
  EXPECT_EQ(parse_query(agent('Q'))->sql, "select 1");
}

TEST_F(EncoderTest, Notice) {
  append_notice_response(out_, {"WARNING", "01000", "look", "", ""});
  EXPECT_EQ(parse_report(server('N'))->message(), "look");
}

TEST_F(EncoderTest, Authentication) {
  using Kind = Authentication::Kind;
  append_authentication_ok(out_);
  EXPECT_EQ(parse_authentication(server('R'))->kind, Kind::ok);
  out_.clear();
  append_authentication_cleartext(out_);
  EXPECT_EQ(parse_authentication(server('R'))->kind, Kind::cleartext);
  out_.clear();
  append_authentication_md5(out_, "salt");
  EXPECT_EQ(parse_authentication(server('R'))->md5_salt, "salt");
  out_.clear();
  append_authentication_sasl(out_, {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  EXPECT_TRUE(parse_authentication(server('R'))->sasl_mechanisms.contains("SCRAM-SHA-256"));
  out_.clear();
  append_authentication_sasl_continue(out_, "r=1");
  EXPECT_EQ(parse_authentication(server('R'))->data, "r=1");
  out_.clear();
  append_authentication_sasl_final(out_, "v=1");
  EXPECT_EQ(parse_authentication(server('R'))->kind, Kind::sasl_final);
}

TEST_F(EncoderTest, SessionFacts) {
  append_parameter_status(out_, "server_version", "15.18");
  EXPECT_EQ(parse_parameter_status(server('S'))->value, "15.18");
  out_.clear();
  append_backend_key_data(out_, 77, "\1\2\3\4"sv);
  EXPECT_EQ(parse_backend_key_data(server('K'))->pid, 77u);
  EXPECT_EQ(parse_backend_key_data(server('K'))->key, "\1\2\3\4"sv);
  out_.clear();
  append_ready_for_query(out_, TransactionStatus::open);
  EXPECT_EQ(parse_ready_for_query(server('Z'))->status, TransactionStatus::open);
  out_.clear();
  const std::array refused = {"_pq_.a"sv, "_pq_.b"sv};
  append_negotiate_protocol_version(out_, kProtocol30, refused);
  const auto negotiate = parse_negotiate_protocol_version(server('v')).value();
  EXPECT_EQ(negotiate.version, kProtocol30);
  EXPECT_TRUE(std::equal(negotiate.refused_options.begin(), negotiate.refused_options.end(), refused.begin()));
}

TEST_F(EncoderTest, RowDescriptionOfEveryShape) {
  const std::vector<Field> fields = {{"id", 16385, 1, 23, 4, -1, 0}, {"", 0, -2, 25, -1, 0x7fffffff, 1}};
  append_row_description(out_, fields);
  const RowDescription row = parse_row_description(server('T')).value();
  EXPECT_TRUE(std::equal(row.begin(), row.end(), fields.begin(), fields.end()));
}

TEST_F(EncoderTest, ResultMessages) {
  append_parameter_description(out_, std::array{23u, 25u});
  EXPECT_EQ(parse_parameter_description(server('t'))->types[1], 25u);
  out_.clear();
  append_command_complete(out_, "SELECT 2");
  EXPECT_EQ(parse_command_complete(server('C'))->tag, "SELECT 2");
  for (const Value value : {Value("a\0b"sv), Value(""), Value()}) {
    out_.clear();
    append_function_call_response(out_, value);
    EXPECT_EQ(parse_function_call_response(server('V'))->value, value);
  }
  for (char type : "123Insc"sv) {
    out_.clear();
    append_empty(out_, type);
    server(type);
  }
}

TEST_F(EncoderTest, DataRowColumnByColumn) {
  out_ = "before";
  DataRowBuilder row(out_);
  row.value("a\0b"sv);
  row.null();
  row.column("");
  row.column(std::nullopt);
  row.finish();
  EXPECT_EQ(out_,
            "before"
            "D\0\0\0\x19\0\4"
            "\0\0\0\3a\0b"
            "\xff\xff\xff\xff"
            "\0\0\0\0"
            "\xff\xff\xff\xff"sv);
  const DataRow read = parse_data_row(std::string_view(out_).substr(6 + kFrameHeaderBytes)).value();
  EXPECT_EQ(read.values.size(), 4u);
}

TEST_F(EncoderTest, WideRow) {
  constexpr int kColumns = 1664;  // PostgreSQL's MaxTupleAttributeNumber
  DataRowBuilder row(out_);
  for (int i = 0; i < kColumns; ++i) row.value("x");
  row.finish();
  EXPECT_EQ(parse_data_row(server('D'))->values.size(), size_t{kColumns});
}

TEST_F(EncoderTest, StartupPackets) {
  append_ssl_request(out_);
  EXPECT_TRUE(std::holds_alternative<SslRequest>(next_startup(out_)));
  out_.clear();
  append_cancel_request(out_, 77, "12345678");
  const auto cancel = std::get<CancelRequest>(next_startup(out_));
  EXPECT_EQ(cancel.pid, 77u);
  EXPECT_EQ(cancel.key, "12345678");
  out_.clear();
  const std::vector<std::pair<std::string, std::string>> parameters = {{"user", "al"}, {"database", "db"}};
  append_startup_message(out_, kProtocol32, parameters);
  const auto startup = std::get<StartupMessage>(next_startup(out_));
  EXPECT_EQ(startup.version(), kProtocol32);
  EXPECT_EQ(startup.parameters, parameters);
  EXPECT_EQ(startup.raw, out_);
}

TEST_F(EncoderTest, PasswordsAndSasl) {
  append_password_message(out_, "secret");
  EXPECT_EQ(parse_password_message(agent('p'))->password, "secret");
  out_.clear();
  append_sasl_initial_response(out_, "SCRAM-SHA-256", "n,,n=,r=x");
  EXPECT_EQ(parse_sasl_initial_response(agent('p'))->response, "n,,n=,r=x");
  out_.clear();
  append_sasl_initial_response(out_, "SCRAM-SHA-256", std::nullopt);
  EXPECT_FALSE(parse_sasl_initial_response(agent('p'))->response);
  out_.clear();
  append_sasl_response(out_, "c=biws");
  EXPECT_EQ(parse_sasl_response(agent('p'))->data, "c=biws");
}

TEST_F(EncoderTest, ExtendedQuery) {
  append_parse(out_, "st", "select $1", std::array{23u});
  EXPECT_EQ(parse_parse(agent('P'))->parameter_types[0], 23u);
  out_.clear();
  append_bind(out_, "po", "st", std::array<int16_t, 1>{1}, std::array<Value, 2>{Value("v"), Value()},
              std::array<int16_t, 2>{0, 1});
  const Bind bind = parse_bind(agent('B')).value();
  EXPECT_EQ(bind.portal, "po");
  EXPECT_EQ(*bind.parameters.begin(), Value("v"));
  EXPECT_EQ(*++bind.parameters.begin(), Value());
  EXPECT_EQ(bind.result_formats[1], 1);
  out_.clear();
  append_describe(out_, Named::portal, "po");
  EXPECT_EQ(parse_describe(agent('D'))->kind, Named::portal);
  out_.clear();
  append_execute(out_, "po", 10);
  EXPECT_EQ(parse_execute(agent('E'))->rows_max, 10);
  out_.clear();
  append_close(out_, Named::statement, "st");
  EXPECT_EQ(parse_close(agent('C'))->name, "st");
  out_.clear();
  append_function_call(out_, 42, {}, std::array<Value, 1>{Value("v")}, 1);
  EXPECT_EQ(parse_function_call(agent('F'))->function_oid, 42u);
}

TEST_F(EncoderTest, SmallOnes) {
  append_sync(out_);
  agent('S');
  out_.clear();
  append_flush(out_);
  agent('H');
  out_.clear();
  append_terminate(out_);
  agent('X');
  out_.clear();
  append_copy_data(out_, "1\tx\n");
  EXPECT_EQ(agent('d'), "1\tx\n");
  out_.clear();
  append_copy_done(out_);
  agent('c');
  out_.clear();
  append_copy_fail(out_, "why");
  EXPECT_EQ(parse_copy_fail(agent('f'))->reason, "why");
}

}  // namespace
}  // namespace sallyport::postgres
