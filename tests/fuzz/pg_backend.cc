// SPDX-License-Identifier: Apache-2.0
// What a server may send. Oracles: pg_stream.h. A server is no friend either: the agent may stand in its place.
#include "tests/fuzz/pg_stream.h"

namespace sallyport::fuzzing {
namespace {

using namespace postgres;

std::string authentication_again(std::string_view body) {
  using Kind = Authentication::Kind;
  std::string out;
  const auto m = parse_authentication(body);
  if (!m) return out;
  switch (m->kind) {
    case Kind::ok:
      append_authentication_ok(out);
      break;
    case Kind::cleartext:
      append_authentication_cleartext(out);
      break;
    case Kind::md5:
      append_authentication_md5(out, m->md5_salt);
      break;
    case Kind::sasl_continue:
      append_authentication_sasl_continue(out, m->data);
      break;
    case Kind::sasl_final:
      append_authentication_sasl_final(out, m->data);
      break;
    case Kind::sasl:
      for (std::string_view mechanism : m->sasl_mechanisms)
        must(m->sasl_mechanisms.contains(mechanism), "a list does not contain its own element");
      break;
    default:
      break;
  }
  return out;
}

std::string data_row_again(std::string_view body) {
  std::string out;
  const auto m = parse_data_row(body);
  if (!m) return out;
  DataRowBuilder row(out);
  for (const Value value : m->values) row.column(value);
  row.finish();
  return out;
}

std::string row_description_again(std::string_view body) {
  std::string out;
  const auto m = parse_row_description(body);
  if (!m) return out;
  const std::vector<Field> fields(m->begin(), m->end());
  must(fields.size() == m->size(), "a row description of another length than it says");
  append_row_description(out, fields);
  return out;
}

std::string negotiate_again(std::string_view body) {
  std::string out;
  const auto m = parse_negotiate_protocol_version(body);
  if (!m) return out;
  const std::vector<std::string_view> refused(m->refused_options.begin(), m->refused_options.end());
  append_negotiate_protocol_version(out, m->version, refused);
  return out;
}

/// There is no encoder of a foreign report; its fields must lie within it, in order.
void read_report(std::string_view body) {
  const auto m = parse_report(body);
  if (!m) return;
  size_t bytes = 1;
  for (const auto entry : *m) bytes += 1 + entry.text.size() + 1;
  must(bytes == body.size(), "a report's fields do not fill it");
  m->ends_connection();
}

std::string encode_again(const Frame& frame) {
  std::string out;
  switch (frame.type) {
    case backend::kAuthentication:
      return authentication_again(frame.body);
    case backend::kDataRow:
      return data_row_again(frame.body);
    case backend::kRowDescription:
      return row_description_again(frame.body);
    case backend::kNegotiateProtocolVersion:
      return negotiate_again(frame.body);
    case backend::kErrorResponse:
    case backend::kNoticeResponse:
      read_report(frame.body);
      break;
    case backend::kBackendKeyData:
      if (const auto m = parse_backend_key_data(frame.body)) append_backend_key_data(out, m->pid, m->key);
      break;
    case backend::kParameterStatus:
      if (const auto m = parse_parameter_status(frame.body)) append_parameter_status(out, m->name, m->value);
      break;
    case backend::kReadyForQuery:
      if (const auto m = parse_ready_for_query(frame.body)) append_ready_for_query(out, m->status);
      break;
    case backend::kCommandComplete:
      if (const auto m = parse_command_complete(frame.body)) {
        append_command_complete(out, m->tag);
        rows_of_tag(m->tag);
      }
      break;
    case backend::kParameterDescription:
      if (const auto m = parse_parameter_description(frame.body)) append_parameter_description(out, elements(m->types));
      break;
    default:
      break;
  }
  return out;
}

}  // namespace
}  // namespace sallyport::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzzing::check_stream(postgres::Side::server, fuzzing::encode_again, fuzzing::view(data, size));
  return 0;
}
