// SPDX-License-Identifier: Apache-2.0
// Everything of protocol 3.x that Sallyport makes itself, appended to a string the caller owns (the output buffer
// of a leg). What must not hold a NUL (names, SQL, report texts) is cut at its first one, so that no text from
// outside can forge a field; lengths are patched in last. Layouts: see messages.h, decode(encode(m)) == m.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "sallyport/protocol/postgres/messages.h"
#include "sallyport/protocol/postgres/startup.h"

namespace sallyport::postgres {

/// What an error or notice of ours says. Empty fields are left out, but severity, sqlstate and message.
struct Report {
  std::string_view severity = "ERROR";  ///< ERROR, FATAL; WARNING, NOTICE, INFO …: fields S and V
  std::string_view sqlstate;            ///< five characters
  std::string_view message;
  std::string_view detail;
  std::string_view hint;
};
void append_error_response(std::string& out, const Report& report);
void append_notice_response(std::string& out, const Report& report);

// ---------------------------------------------------------------- towards the agent

void append_ready_for_query(std::string& out, TransactionStatus status);
void append_authentication_ok(std::string& out);
void append_authentication_cleartext(std::string& out);
/// `salt` is 4 bytes.
void append_authentication_md5(std::string& out, std::string_view salt);
void append_authentication_sasl(std::string& out, std::initializer_list<std::string_view> mechanisms);
void append_authentication_sasl_continue(std::string& out, std::string_view data);
void append_authentication_sasl_final(std::string& out, std::string_view data);
void append_parameter_status(std::string& out, std::string_view name, std::string_view value);
/// `key`: 4 to 256 bytes.
void append_backend_key_data(std::string& out, uint32_t pid, std::string_view key);
/// `version`: the newest we speak, whole (kProtocol32).
void append_negotiate_protocol_version(std::string& out, uint32_t version,
                                       std::span<const std::string_view> refused_options);
void append_row_description(std::string& out, std::span<const Field> fields);
void append_parameter_description(std::string& out, std::span<const uint32_t> types);
void append_command_complete(std::string& out, std::string_view tag);
/// Null: SQL NULL.
void append_function_call_response(std::string& out, const Value& value);
void append_notification_response(std::string& out, const NotificationResponse& notification);
/// The messages without a body, of either direction: Sync, Flush, ParseComplete, NoData …
void append_empty(std::string& out, char type);

/// Appends one DataRow column by column. finish() patches length and count; at most 65535 columns.
class DataRowBuilder {
 public:
  explicit DataRowBuilder(std::string& out);
  void value(std::string_view bytes);
  void null();
  void column(const Value& value) { value ? this->value(*value) : null(); }
  /// No bytes may be appended to the string by others between construction and finish().
  void finish();

 private:
  std::string& out_;
  size_t start_;
  uint16_t count_ = 0;
};

// ---------------------------------------------------------------- towards the server

void append_ssl_request(std::string& out);
/// `key`: as the server gave it in BackendKeyData.
void append_cancel_request(std::string& out, uint32_t pid, std::string_view key);
/// Parameters in the order given.
void append_startup_message(std::string& out, uint32_t version,
                            std::span<const std::pair<std::string, std::string>> parameters);
void append_password_message(std::string& out, std::string_view password);
void append_sasl_initial_response(std::string& out, std::string_view mechanism,
                                  std::optional<std::string_view> response);
void append_sasl_response(std::string& out, std::string_view data);

void append_query(std::string& out, std::string_view sql);
void append_parse(std::string& out, std::string_view statement, std::string_view sql,
                  std::span<const uint32_t> parameter_types = {});
void append_bind(std::string& out, std::string_view portal, std::string_view statement,
                 std::span<const int16_t> parameter_formats, std::span<const Value> parameters,
                 std::span<const int16_t> result_formats);
void append_describe(std::string& out, Named kind, std::string_view name);
void append_execute(std::string& out, std::string_view portal, int32_t rows_max);
void append_close(std::string& out, Named kind, std::string_view name);
void append_function_call(std::string& out, uint32_t function_oid, std::span<const int16_t> argument_formats,
                          std::span<const Value> arguments, int16_t result_format);
void append_sync(std::string& out);
void append_flush(std::string& out);
void append_terminate(std::string& out);
void append_copy_data(std::string& out, std::string_view data);
void append_copy_done(std::string& out);
void append_copy_fail(std::string& out, std::string_view reason);

}  // namespace sallyport::postgres
