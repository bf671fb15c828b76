// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/messages.h"

#include <fmt/core.h>

#include <charconv>
#include <string>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/startup.h"

namespace sallyport::postgres {

/// Reads the parts that several messages share. It alone may make the list types, whose iterators trust their
/// bytes. A part that does not fit fails the reader, like any read past the end.
struct MessageParser {
  explicit MessageParser(std::string_view body) : reader(body) {}

  /// `width` * `count` bytes of integers.
  std::string_view integers(size_t count, size_t width) { return reader.take(count * width); }

  FormatList formats() { return FormatList(integers(reader.u16(), sizeof(int16_t))); }

  /// An int16 count and so many values. Checks each length once, so that iterating needs no check.
  ValueList values() {
    const size_t count = reader.u16();
    const std::string_view rest = reader.rest();
    size_t at = 0;
    for (size_t i = 0; i < count; ++i) {
      if (rest.size() - at < sizeof(int32_t)) return broken();
      const int32_t length = load_big_endian<int32_t>(rest.data() + at);
      at += sizeof(int32_t);
      if (length < -1) return broken();
      if (length == -1) continue;
      if (rest.size() - at < static_cast<size_t>(length)) return broken();
      at += static_cast<size_t>(length);
    }
    return ValueList(reader.take(at), count);
  }

  /// Non-empty strings up to an empty one, which ends the list.
  StringList strings_to_empty() {
    const std::string_view from = reader.rest();
    while (reader.ok() && !reader.c_string().empty()) {
    }
    if (!reader.ok()) return {};
    return StringList(from.substr(0, from.size() - reader.rest().size() - 1));
  }

  StringList counted_strings(size_t count) {
    const std::string_view from = reader.rest();
    for (size_t i = 0; i < count && reader.ok(); ++i) reader.c_string();
    if (!reader.ok()) return {};
    return StringList(from.substr(0, from.size() - reader.rest().size()));
  }

  RowDescription fields() {
    const size_t count = reader.u16();
    const std::string_view from = reader.rest();
    for (size_t i = 0; i < count && reader.ok(); ++i) {
      reader.c_string();
      reader.take(kFieldTailBytes - sizeof(int16_t));
      const int16_t format = reader.i16();
      if (format != kTextFormat && format != kBinaryFormat) fail_reader();
    }
    if (!reader.ok()) return {};
    return RowDescription(from.substr(0, from.size() - reader.rest().size()), count);
  }

  ReportFields report() {
    const std::string_view from = reader.rest();
    while (reader.ok() && reader.u8() != 0) reader.c_string();
    if (!reader.ok()) return {};
    return ReportFields(from.substr(0, from.size() - reader.rest().size() - 1));
  }

  std::optional<Named> named() {
    switch (reader.u8()) {
      case 'S':
        return Named::statement;
      case 'P':
        return Named::portal;
      default:
        fail_reader();
        return std::nullopt;
    }
  }

  void fail_reader() { reader.take(reader.rest().size() + 1); }
  bool complete() const { return reader.ok() && reader.at_end(); }

  /// Everything after a field's name: table, column, type, size, modifier, format.
  static constexpr size_t kFieldTailBytes = 4 + 2 + 4 + 2 + 4 + 2;

  ByteReader reader;

 private:
  ValueList broken() {
    fail_reader();
    return {};
  }
};

namespace {

std::unexpected<Error> malformed(Side sender, std::string_view name) {
  return fail(fmt::format("{} sent malformed {}", sender == Side::agent ? "agent" : "server", name));
}

template <class Message>
Result<Message> finished(const MessageParser& parser, const Message& message, Side sender, std::string_view name) {
  if (!parser.complete()) return malformed(sender, name);
  return message;
}

}  // namespace

bool StringList::contains(std::string_view wanted) const {
  for (std::string_view text : *this) {
    if (text == wanted) return true;
  }
  return false;
}

// ---------------------------------------------------------------- from the agent

Result<Query> parse_query(std::string_view body) {
  MessageParser parser(body);
  const Query message{parser.reader.c_string()};
  return finished(parser, message, Side::agent, "Query");
}

Result<Parse> parse_parse(std::string_view body) {
  MessageParser parser(body);
  Parse message;
  message.statement = parser.reader.c_string();
  message.sql = parser.reader.c_string();
  message.parameter_types = OidList(parser.integers(parser.reader.u16(), sizeof(uint32_t)));
  return finished(parser, message, Side::agent, "Parse");
}

Result<Bind> parse_bind(std::string_view body) {
  MessageParser parser(body);
  Bind message;
  message.portal = parser.reader.c_string();
  message.statement = parser.reader.c_string();
  message.parameter_formats = parser.formats();
  message.parameters = parser.values();
  message.result_formats = parser.formats();
  const size_t formats = message.parameter_formats.size();
  if (formats > 1 && formats != message.parameters.size()) parser.fail_reader();
  return finished(parser, message, Side::agent, "Bind");
}

std::optional<BindNames> parse_bind_names(std::string_view prefix) {
  ByteReader reader(prefix);
  BindNames names;
  names.portal = reader.c_string();
  names.statement = reader.c_string();
  if (!reader.ok()) return std::nullopt;
  return names;
}

Result<Describe> parse_describe(std::string_view body) {
  MessageParser parser(body);
  Describe message;
  message.kind = parser.named().value_or(Named::statement);
  message.name = parser.reader.c_string();
  return finished(parser, message, Side::agent, "Describe");
}

Result<Close> parse_close(std::string_view body) {
  MessageParser parser(body);
  Close message;
  message.kind = parser.named().value_or(Named::statement);
  message.name = parser.reader.c_string();
  return finished(parser, message, Side::agent, "Close");
}

Result<Execute> parse_execute(std::string_view body) {
  MessageParser parser(body);
  Execute message;
  message.portal = parser.reader.c_string();
  message.rows_max = parser.reader.i32();
  return finished(parser, message, Side::agent, "Execute");
}

Result<FunctionCall> parse_function_call(std::string_view body) {
  MessageParser parser(body);
  FunctionCall message;
  message.function_oid = parser.reader.u32();
  message.argument_formats = parser.formats();
  message.arguments = parser.values();
  message.result_format = parser.reader.i16();
  const size_t formats = message.argument_formats.size();
  if (formats > 1 && formats != message.arguments.size()) parser.fail_reader();
  return finished(parser, message, Side::agent, "FunctionCall");
}

Result<CopyFail> parse_copy_fail(std::string_view body) {
  MessageParser parser(body);
  const CopyFail message{parser.reader.c_string()};
  return finished(parser, message, Side::agent, "CopyFail");
}

Result<PasswordMessage> parse_password_message(std::string_view body) {
  MessageParser parser(body);
  const PasswordMessage message{parser.reader.c_string()};
  return finished(parser, message, Side::agent, "PasswordMessage");
}

Result<SaslInitialResponse> parse_sasl_initial_response(std::string_view body) {
  MessageParser parser(body);
  SaslInitialResponse message;
  message.mechanism = parser.reader.c_string();
  const int32_t length = parser.reader.i32();
  if (length >= 0) {
    message.response = parser.reader.take(static_cast<size_t>(length));
  } else if (length != -1) {
    parser.fail_reader();
  }
  return finished(parser, message, Side::agent, "SASLInitialResponse");
}

Result<SaslResponse> parse_sasl_response(std::string_view body) { return SaslResponse{body}; }

// ---------------------------------------------------------------- from the server

Result<Authentication> parse_authentication(std::string_view body) {
  using Kind = Authentication::Kind;
  MessageParser parser(body);
  Authentication message;
  message.kind = static_cast<Kind>(parser.reader.u32());
  switch (message.kind) {
    case Kind::ok:
    case Kind::kerberos_v5:
    case Kind::cleartext:
    case Kind::gss:
    case Kind::sspi:
      break;
    case Kind::md5:
      message.md5_salt = parser.reader.take(4);
      break;
    case Kind::sasl:
      message.sasl_mechanisms = parser.strings_to_empty();
      if (message.sasl_mechanisms.begin() == message.sasl_mechanisms.end()) parser.fail_reader();
      break;
    case Kind::gss_continue:
    case Kind::sasl_continue:
    case Kind::sasl_final:
      message.data = parser.reader.take(parser.reader.rest().size());
      break;
    default:
      parser.fail_reader();  // a method nobody knows cannot be relayed: what would it prove?
  }
  return finished(parser, message, Side::server, "Authentication");
}

Result<BackendKeyData> parse_backend_key_data(std::string_view body) {
  MessageParser parser(body);
  BackendKeyData message;
  message.pid = parser.reader.u32();
  message.key = parser.reader.take(parser.reader.rest().size());
  if (message.key.size() < kCancelKeyBytesMin || message.key.size() > kCancelKeyBytesMax) parser.fail_reader();
  return finished(parser, message, Side::server, "BackendKeyData");
}

Result<ParameterStatus> parse_parameter_status(std::string_view body) {
  MessageParser parser(body);
  ParameterStatus message;
  message.name = parser.reader.c_string();
  message.value = parser.reader.c_string();
  return finished(parser, message, Side::server, "ParameterStatus");
}

Result<ReadyForQuery> parse_ready_for_query(std::string_view body) {
  if (body.size() != 1 || std::string_view("ITE").find(body[0]) == std::string_view::npos)
    return malformed(Side::server, "ReadyForQuery");
  return ReadyForQuery{static_cast<TransactionStatus>(body[0])};
}

Field RowDescription::Item::read(const char* at) {
  Field field;
  field.name = std::string_view(at);
  const char* tail = at + field.name.size() + 1;
  field.table_oid = load_big_endian<uint32_t>(tail);
  field.column = load_big_endian<int16_t>(tail + 4);
  field.type_oid = load_big_endian<uint32_t>(tail + 6);
  field.type_size = load_big_endian<int16_t>(tail + 10);
  field.type_modifier = load_big_endian<int32_t>(tail + 12);
  field.format = load_big_endian<int16_t>(tail + 16);
  return field;
}

size_t RowDescription::Item::bytes(const char* at) { return std::strlen(at) + 1 + MessageParser::kFieldTailBytes; }

Result<RowDescription> parse_row_description(std::string_view body) {
  MessageParser parser(body);
  const RowDescription message = parser.fields();
  return finished(parser, message, Side::server, "RowDescription");
}

Result<DataRow> parse_data_row(std::string_view body) {
  MessageParser parser(body);
  const DataRow message{parser.values()};
  return finished(parser, message, Side::server, "DataRow");
}

Result<CommandComplete> parse_command_complete(std::string_view body) {
  MessageParser parser(body);
  const CommandComplete message{parser.reader.c_string()};
  return finished(parser, message, Side::server, "CommandComplete");
}

std::optional<uint64_t> rows_of_tag(std::string_view tag) {
  const size_t space = tag.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view digits = tag.substr(space + 1);
  uint64_t rows = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rows);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return rows;
}

std::string_view ReportFields::find(char code) const {
  for (const Entry entry : *this) {
    if (entry.code == code) return entry.text;
  }
  return {};
}

bool ReportFields::ends_connection() const {
  // V is never translated, and absent before PostgreSQL 9.6.
  const std::string_view untranslated = find('V');
  const std::string_view severity = untranslated.empty() ? find('S') : untranslated;
  return severity == "FATAL" || severity == "PANIC";
}

Result<ReportFields> parse_report(std::string_view body) {
  MessageParser parser(body);
  const ReportFields message = parser.report();
  return finished(parser, message, Side::server, "ErrorResponse or NoticeResponse");
}

Result<ParameterDescription> parse_parameter_description(std::string_view body) {
  MessageParser parser(body);
  const ParameterDescription message{OidList(parser.integers(parser.reader.u16(), sizeof(uint32_t)))};
  return finished(parser, message, Side::server, "ParameterDescription");
}

Result<CopyResponse> parse_copy_response(std::string_view body) {
  MessageParser parser(body);
  CopyResponse message;
  const uint8_t format = parser.reader.u8();
  if (format > 1) parser.fail_reader();
  message.binary = format == 1;
  message.column_formats = parser.formats();
  return finished(parser, message, Side::server, "CopyResponse");
}

Result<NotificationResponse> parse_notification_response(std::string_view body) {
  MessageParser parser(body);
  NotificationResponse message;
  message.pid = parser.reader.u32();
  message.channel = parser.reader.c_string();
  message.payload = parser.reader.c_string();
  return finished(parser, message, Side::server, "NotificationResponse");
}

Result<NegotiateProtocolVersion> parse_negotiate_protocol_version(std::string_view body) {
  MessageParser parser(body);
  NegotiateProtocolVersion message;
  message.version = parser.reader.u32();
  message.refused_options = parser.counted_strings(parser.reader.u32());
  return finished(parser, message, Side::server, "NegotiateProtocolVersion");
}

Result<FunctionCallResponse> parse_function_call_response(std::string_view body) {
  MessageParser parser(body);
  FunctionCallResponse message;
  const int32_t length = parser.reader.i32();
  if (length >= 0) {
    message.value = parser.reader.take(static_cast<size_t>(length));
  } else if (length != -1) {
    parser.fail_reader();
  }
  return finished(parser, message, Side::server, "FunctionCallResponse");
}

Result<> parse_empty(std::string_view body) {
  if (!body.empty()) return fail("peer sent a body in a message that has none");
  return {};
}

// ---------------------------------------------------------------- all of them

namespace {

template <class Message>
Result<> only_checked(Result<Message> parsed) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  return {};
}

Result<> check_agent_body(char type, std::string_view body) {
  switch (type) {
    case frontend::kBind:
      return only_checked(parse_bind(body));
    case frontend::kClose:
      return only_checked(parse_close(body));
    case frontend::kCopyFail:
      return only_checked(parse_copy_fail(body));
    case frontend::kDescribe:
      return only_checked(parse_describe(body));
    case frontend::kExecute:
      return only_checked(parse_execute(body));
    case frontend::kFunctionCall:
      return only_checked(parse_function_call(body));
    case frontend::kParse:
      return only_checked(parse_parse(body));
    case frontend::kQuery:
      return only_checked(parse_query(body));
    case frontend::kCopyData:
    case frontend::kPassword:
      return {};
    case frontend::kCopyDone:
    case frontend::kFlush:
    case frontend::kSync:
    case frontend::kTerminate:
      return parse_empty(body);
    default:
      return fail("agent sent a message type that does not exist");
  }
}

Result<> check_server_body(char type, std::string_view body) {
  switch (type) {
    case backend::kAuthentication:
      return only_checked(parse_authentication(body));
    case backend::kBackendKeyData:
      return only_checked(parse_backend_key_data(body));
    case backend::kCommandComplete:
      return only_checked(parse_command_complete(body));
    case backend::kCopyBothResponse:
    case backend::kCopyInResponse:
    case backend::kCopyOutResponse:
      return only_checked(parse_copy_response(body));
    case backend::kCopyData:
      return {};
    case backend::kDataRow:
      return only_checked(parse_data_row(body));
    case backend::kErrorResponse:
    case backend::kNoticeResponse:
      return only_checked(parse_report(body));
    case backend::kFunctionCallResponse:
      return only_checked(parse_function_call_response(body));
    case backend::kNegotiateProtocolVersion:
      return only_checked(parse_negotiate_protocol_version(body));
    case backend::kNotificationResponse:
      return only_checked(parse_notification_response(body));
    case backend::kParameterDescription:
      return only_checked(parse_parameter_description(body));
    case backend::kParameterStatus:
      return only_checked(parse_parameter_status(body));
    case backend::kReadyForQuery:
      return only_checked(parse_ready_for_query(body));
    case backend::kRowDescription:
      return only_checked(parse_row_description(body));
    case backend::kBindComplete:
    case backend::kCloseComplete:
    case backend::kCopyDone:
    case backend::kEmptyQueryResponse:
    case backend::kNoData:
    case backend::kParseComplete:
    case backend::kPortalSuspended:
      return parse_empty(body);
    default:
      return fail("server sent a message type that does not exist");
  }
}

}  // namespace

Result<> check_body(Side sender, char type, std::string_view body) {
  return sender == Side::agent ? check_agent_body(type, body) : check_server_body(type, body);
}

}  // namespace sallyport::postgres
