// SPDX-License-Identifier: Apache-2.0
// What an agent may send, after StartupMessage. Oracles: pg_stream.h; names of a Bind read from any prefix agree.
#include "tests/fuzz/pg_stream.h"

namespace sallyport::fuzzing {
namespace {

using namespace postgres;

std::string bind_again(std::string_view body) {
  std::string out;
  const auto m = parse_bind(body);
  if (!m) return out;
  append_bind(out, m->portal, m->statement, elements(m->parameter_formats), elements(m->parameters),
              elements(m->result_formats));
  for (size_t size = 0; size <= body.size(); ++size) {
    const auto names = parse_bind_names(body.substr(0, size));
    must(!names || (names->portal == m->portal && names->statement == m->statement), "a prefix names another portal");
  }
  for (size_t i = 0; i < m->parameters.size(); ++i) m->parameter_formats.of(i);
  return out;
}

std::string function_call_again(std::string_view body) {
  std::string out;
  if (const auto m = parse_function_call(body))
    append_function_call(out, m->function_oid, elements(m->argument_formats), elements(m->arguments), m->result_format);
  return out;
}

/// Type 'p' is read in three ways, whatever it was meant to be.
std::string password_again(std::string_view body) {
  std::string out;
  append_sasl_response(out, parse_sasl_response(body)->data);
  if (const auto m = parse_password_message(body)) {
    std::string as_password;
    append_password_message(as_password, m->password);
    must(as_password == out, "PasswordMessage encodes to other bytes");
  }
  if (const auto m = parse_sasl_initial_response(body)) {
    std::string as_initial;
    append_sasl_initial_response(as_initial, m->mechanism, m->response);
    must(as_initial == out, "SASLInitialResponse encodes to other bytes");
  }
  return out;
}

std::string encode_again(const Frame& frame) {
  std::string out;
  switch (frame.type) {
    case frontend::kBind:
      return bind_again(frame.body);
    case frontend::kFunctionCall:
      return function_call_again(frame.body);
    case frontend::kPassword:
      return password_again(frame.body);
    case frontend::kQuery:
      if (const auto m = parse_query(frame.body)) append_query(out, m->sql);
      break;
    case frontend::kParse:
      if (const auto m = parse_parse(frame.body)) append_parse(out, m->statement, m->sql, elements(m->parameter_types));
      break;
    case frontend::kDescribe:
      if (const auto m = parse_describe(frame.body)) append_describe(out, m->kind, m->name);
      break;
    case frontend::kClose:
      if (const auto m = parse_close(frame.body)) append_close(out, m->kind, m->name);
      break;
    case frontend::kExecute:
      if (const auto m = parse_execute(frame.body)) append_execute(out, m->portal, m->rows_max);
      break;
    case frontend::kCopyFail:
      if (const auto m = parse_copy_fail(frame.body)) append_copy_fail(out, m->reason);
      break;
    case frontend::kCopyData:
      append_copy_data(out, frame.body);
      break;
    default:
      if (parse_empty(frame.body)) append_empty(out, frame.type);
  }
  return out;
}

}  // namespace
}  // namespace sallyport::fuzzing

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzzing::check_stream(postgres::Side::agent, fuzzing::encode_again, fuzzing::view(data, size));
  return 0;
}
