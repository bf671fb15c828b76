// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/encoder.h"

#include "sallyport/base/bytes.h"
#include "sallyport/base/check.h"

namespace sallyport::postgres {
namespace {

/// Opens a message on construction; finish() patches its length in.
class MessageBuilder {
 public:
  MessageBuilder(std::string& out, char type) : writer_(out) {
    writer_.u8(static_cast<uint8_t>(type));
    begin(out);
  }
  /// A startup packet: no type byte.
  MessageBuilder(std::string& out, uint32_t code) : writer_(out) {
    begin(out);
    writer_.u32(code);
  }

  ByteWriter* operator->() { return &writer_; }

  /// A NUL inside would end the string early and leave its rest to be read as something else.
  void text(std::string_view text) { writer_.c_string(text.substr(0, text.find('\0'))); }

  void formats(std::span<const int16_t> codes) {
    writer_.u16(count_of(codes.size()));
    for (int16_t code : codes) writer_.u16(static_cast<uint16_t>(code));
  }
  void oids(std::span<const uint32_t> oids) {
    writer_.u16(count_of(oids.size()));
    for (uint32_t oid : oids) writer_.u32(oid);
  }
  void value(const Value& value) {
    if (!value) return writer_.u32(UINT32_MAX);
    writer_.u32(static_cast<uint32_t>(value->size()));
    writer_.bytes(*value);
  }
  void values(std::span<const Value> values) {
    writer_.u16(count_of(values.size()));
    for (const Value& each : values) value(each);
  }

  static uint16_t count_of(size_t count) {
    SP_CHECK(count <= UINT16_MAX);
    return static_cast<uint16_t>(count);
  }

  void finish() { writer_.patch_u32(length_at_, static_cast<uint32_t>(writer_.position() - length_at_)); }

 private:
  void begin(const std::string& out) {
    length_at_ = out.size();
    writer_.u32(0);
  }

  ByteWriter writer_;
  size_t length_at_ = 0;
};

void append_report(std::string& out, char type, const Report& report) {
  MessageBuilder message(out, type);
  const auto field = [&](char code, std::string_view text) {
    message->u8(static_cast<uint8_t>(code));
    message.text(text);
  };
  field('S', report.severity);
  field('V', report.severity);
  field('C', report.sqlstate);
  field('M', report.message);
  if (!report.detail.empty()) field('D', report.detail);
  if (!report.hint.empty()) field('H', report.hint);
  message->u8(0);
  message.finish();
}

void append_authentication(std::string& out, Authentication::Kind kind, std::string_view data = {}) {
  MessageBuilder message(out, backend::kAuthentication);
  message->u32(static_cast<uint32_t>(kind));
  message->bytes(data);
  message.finish();
}

void append_text_message(std::string& out, char type, std::string_view text) {
  MessageBuilder message(out, type);
  message.text(text);
  message.finish();
}

void append_bytes_message(std::string& out, char type, std::string_view bytes) {
  MessageBuilder message(out, type);
  message->bytes(bytes);
  message.finish();
}

void append_named_message(std::string& out, char type, Named kind, std::string_view name) {
  MessageBuilder message(out, type);
  message->u8(static_cast<uint8_t>(kind));
  message.text(name);
  message.finish();
}

}  // namespace

void append_error_response(std::string& out, const Report& report) {
  append_report(out, backend::kErrorResponse, report);
}

void append_notice_response(std::string& out, const Report& report) {
  append_report(out, backend::kNoticeResponse, report);
}

// ---------------------------------------------------------------- towards the agent

void append_ready_for_query(std::string& out, TransactionStatus status) {
  MessageBuilder message(out, backend::kReadyForQuery);
  message->u8(static_cast<uint8_t>(status));
  message.finish();
}

void append_authentication_ok(std::string& out) { append_authentication(out, Authentication::Kind::ok); }

void append_authentication_cleartext(std::string& out) { append_authentication(out, Authentication::Kind::cleartext); }

void append_authentication_md5(std::string& out, std::string_view salt) {
  SP_CHECK(salt.size() == 4);
  append_authentication(out, Authentication::Kind::md5, salt);
}

void append_authentication_sasl(std::string& out, std::initializer_list<std::string_view> mechanisms) {
  MessageBuilder message(out, backend::kAuthentication);
  message->u32(static_cast<uint32_t>(Authentication::Kind::sasl));
  for (std::string_view mechanism : mechanisms) message.text(mechanism);
  message->u8(0);
  message.finish();
}

void append_authentication_sasl_continue(std::string& out, std::string_view data) {
  append_authentication(out, Authentication::Kind::sasl_continue, data);
}

void append_authentication_sasl_final(std::string& out, std::string_view data) {
  append_authentication(out, Authentication::Kind::sasl_final, data);
}

void append_parameter_status(std::string& out, std::string_view name, std::string_view value) {
  MessageBuilder message(out, backend::kParameterStatus);
  message.text(name);
  message.text(value);
  message.finish();
}

void append_backend_key_data(std::string& out, uint32_t pid, std::string_view key) {
  SP_CHECK(key.size() >= kCancelKeyBytesMin && key.size() <= kCancelKeyBytesMax);
  MessageBuilder message(out, backend::kBackendKeyData);
  message->u32(pid);
  message->bytes(key);
  message.finish();
}

void append_negotiate_protocol_version(std::string& out, uint32_t version,
                                       std::span<const std::string_view> refused_options) {
  MessageBuilder message(out, backend::kNegotiateProtocolVersion);
  message->u32(version);
  message->u32(static_cast<uint32_t>(refused_options.size()));
  for (std::string_view option : refused_options) message.text(option);
  message.finish();
}

void append_row_description(std::string& out, std::span<const Field> fields) {
  MessageBuilder message(out, backend::kRowDescription);
  message->u16(MessageBuilder::count_of(fields.size()));
  for (const Field& field : fields) {
    message.text(field.name);
    message->u32(field.table_oid);
    message->u16(static_cast<uint16_t>(field.column));
    message->u32(field.type_oid);
    message->u16(static_cast<uint16_t>(field.type_size));
    message->u32(static_cast<uint32_t>(field.type_modifier));
    message->u16(static_cast<uint16_t>(field.format));
  }
  message.finish();
}

void append_parameter_description(std::string& out, std::span<const uint32_t> types) {
  MessageBuilder message(out, backend::kParameterDescription);
  message.oids(types);
  message.finish();
}

void append_command_complete(std::string& out, std::string_view tag) {
  append_text_message(out, backend::kCommandComplete, tag);
}

void append_function_call_response(std::string& out, const Value& value) {
  MessageBuilder message(out, backend::kFunctionCallResponse);
  message.value(value);
  message.finish();
}

void append_notification_response(std::string& out, const NotificationResponse& notification) {
  MessageBuilder message(out, backend::kNotificationResponse);
  message->u32(notification.pid);
  message.text(notification.channel);
  message.text(notification.payload);
  message.finish();
}

void append_empty(std::string& out, char type) { append_bytes_message(out, type, {}); }

namespace {

void store_big_endian(char* at, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}

constexpr size_t kRowPrefixBytes = kFrameHeaderBytes + sizeof(uint16_t);

}  // namespace

DataRowBuilder::DataRowBuilder(std::string& out) : out_(out), start_(out.size()) {
  out_.append(kRowPrefixBytes, backend::kDataRow);
}

void DataRowBuilder::value(std::string_view bytes) {
  char length[4];
  store_big_endian(length, static_cast<uint32_t>(bytes.size()));
  out_.append(length, sizeof length).append(bytes);
  SP_CHECK(++count_ != 0);
}

void DataRowBuilder::null() {
  out_.append(4, '\xff');
  SP_CHECK(++count_ != 0);
}

void DataRowBuilder::finish() {
  store_big_endian(out_.data() + start_ + 1, static_cast<uint32_t>(out_.size() - start_ - 1));
  out_[start_ + 5] = static_cast<char>(count_ >> 8);
  out_[start_ + 6] = static_cast<char>(count_ & 0xff);
}

// ---------------------------------------------------------------- towards the server

void append_ssl_request(std::string& out) { MessageBuilder(out, kSslRequestCode).finish(); }

void append_cancel_request(std::string& out, uint32_t pid, std::string_view key) {
  SP_CHECK(key.size() >= kCancelKeyBytesMin && key.size() <= kCancelKeyBytesMax);
  MessageBuilder message(out, kCancelRequestCode);
  message->u32(pid);
  message->bytes(key);
  message.finish();
}

void append_startup_message(std::string& out, uint32_t version,
                            std::span<const std::pair<std::string, std::string>> parameters) {
  MessageBuilder message(out, version);
  for (const auto& [name, value] : parameters) {
    if (name.empty() || name[0] == '\0') continue;  // would read as the terminator
    message.text(name);
    message.text(value);
  }
  message->u8(0);
  message.finish();
}

void append_password_message(std::string& out, std::string_view password) {
  append_text_message(out, frontend::kPassword, password);
}

void append_sasl_initial_response(std::string& out, std::string_view mechanism,
                                  std::optional<std::string_view> response) {
  MessageBuilder message(out, frontend::kPassword);
  message.text(mechanism);
  message.value(response);
  message.finish();
}

void append_sasl_response(std::string& out, std::string_view data) {
  append_bytes_message(out, frontend::kPassword, data);
}

void append_query(std::string& out, std::string_view sql) { append_text_message(out, frontend::kQuery, sql); }

void append_parse(std::string& out, std::string_view statement, std::string_view sql,
                  std::span<const uint32_t> parameter_types) {
  MessageBuilder message(out, frontend::kParse);
  message.text(statement);
  message.text(sql);
  message.oids(parameter_types);
  message.finish();
}

void append_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::span<const int16_t> parameter_formats, std::span<const Value> parameters,
                 std::span<const int16_t> result_formats) {
  MessageBuilder message(out, frontend::kBind);
  message.text(portal);
  message.text(statement);
  message.formats(parameter_formats);
  message.values(parameters);
  message.formats(result_formats);
  message.finish();
}

void append_describe(std::string& out, Named kind, std::string_view name) {
  append_named_message(out, frontend::kDescribe, kind, name);
}

void append_execute(std::string& out, std::string_view portal, int32_t rows_max) {
  MessageBuilder message(out, frontend::kExecute);
  message.text(portal);
  message->u32(static_cast<uint32_t>(rows_max));
  message.finish();
}

void append_close(std::string& out, Named kind, std::string_view name) {
  append_named_message(out, frontend::kClose, kind, name);
}

void append_function_call(std::string& out, uint32_t function_oid, std::span<const int16_t> argument_formats,
                          std::span<const Value> arguments, int16_t result_format) {
  MessageBuilder message(out, frontend::kFunctionCall);
  message->u32(function_oid);
  message.formats(argument_formats);
  message.values(arguments);
  message->u16(static_cast<uint16_t>(result_format));
  message.finish();
}

void append_sync(std::string& out) { append_empty(out, frontend::kSync); }
void append_flush(std::string& out) { append_empty(out, frontend::kFlush); }
void append_terminate(std::string& out) { append_empty(out, frontend::kTerminate); }

void append_copy_data(std::string& out, std::string_view data) { append_bytes_message(out, frontend::kCopyData, data); }
void append_copy_done(std::string& out) { append_empty(out, frontend::kCopyDone); }
void append_copy_fail(std::string& out, std::string_view reason) {
  append_text_message(out, frontend::kCopyFail, reason);
}

}  // namespace sallyport::postgres
