// SPDX-License-Identifier: Apache-2.0
#include "tests/flow/wire_text.h"

#include <fmt/core.h>

#include "sallyport/base/bytes.h"
#include "sallyport/protocol/postgres/messages.h"

namespace sallyport::flow::test {
namespace {

using namespace postgres;

std::string values(const ValueList& list) {
  std::string out;
  for (const Value value : list) {
    if (!out.empty()) out += '|';
    out += value ? std::string(*value) : "NULL";
  }
  return out;
}

std::string statement_name(std::string_view name) {
  return name.starts_with("sallyport look-up") ? "look-up" : std::string(name);
}

std::string portal_name(std::string_view name) {
  return name.starts_with("refused by sallyport ") ? "refused" : statement_name(name);
}

std::string one_of_agent(const Frame& frame) {
  switch (frame.type) {
    case frontend::kQuery: {
      auto query = parse_query(frame.body);
      return query ? fmt::format("Q({})", query->sql) : "?";
    }
    case frontend::kParse: {
      auto parse = parse_parse(frame.body);
      if (!parse) return "?";
      if (parse->statement == "sallyport look-up") return "P(look-up)";
      return fmt::format("P({}|{})", parse->statement, parse->sql);
    }
    case frontend::kBind: {
      auto bind = parse_bind(frame.body);
      if (!bind) return "?";
      if (bind->statement == "sallyport look-up") return "B(look-up)";
      return fmt::format("B({}<-{})", bind->portal, bind->statement);
    }
    case frontend::kExecute: {
      auto execute = parse_execute(frame.body);
      return execute ? fmt::format("E({})", portal_name(execute->portal)) : "?";
    }
    case frontend::kDescribe: {
      auto describe = parse_describe(frame.body);
      if (describe && describe->name == "sallyport look-up") return "D(look-up)";
      return describe ? fmt::format("D({}{})", static_cast<char>(describe->kind), describe->name) : "?";
    }
    case frontend::kClose: {
      auto close = parse_close(frame.body);
      if (!close) return "?";
      if (close->name == "sallyport look-up") return "C(look-up)";
      return fmt::format("C({}{})", static_cast<char>(close->kind), close->name);
    }
    case frontend::kFunctionCall: {
      auto call = parse_function_call(frame.body);
      return call ? fmt::format("F({})", call->function_oid) : "?";
    }
    case frontend::kCopyData:
      return fmt::format("d({})", frame.body);
    default:
      return std::string(1, frame.type);
  }
}

std::string one_of_server(const Frame& frame) {
  switch (frame.type) {
    case backend::kRowDescription: {
      auto description = parse_row_description(frame.body);
      if (!description) return "?";
      std::string names;
      for (const Field field : *description) {
        if (!names.empty()) names += ',';
        names += field.name;
      }
      return fmt::format("T({})", names);
    }
    case backend::kDataRow: {
      auto row = parse_data_row(frame.body);
      return row ? fmt::format("D({})", values(row->values)) : "?";
    }
    case backend::kCommandComplete: {
      auto complete = parse_command_complete(frame.body);
      return complete ? fmt::format("C({})", complete->tag) : "?";
    }
    case backend::kReadyForQuery: {
      auto ready = parse_ready_for_query(frame.body);
      return ready ? fmt::format("Z({})", static_cast<char>(ready->status)) : "?";
    }
    case backend::kErrorResponse:
    case backend::kNoticeResponse: {
      auto report = parse_report(frame.body);
      return report ? fmt::format("{}({})", frame.type, report->sqlstate()) : "?";
    }
    case backend::kAuthentication: {
      auto request = parse_authentication(frame.body);
      return request ? fmt::format("R({})", static_cast<uint32_t>(request->kind)) : "?";
    }
    case backend::kParameterStatus: {
      auto status = parse_parameter_status(frame.body);
      return status ? fmt::format("S({}={})", status->name, status->value) : "?";
    }
    case backend::kFunctionCallResponse: {
      auto response = parse_function_call_response(frame.body);
      if (!response) return "?";
      return response->value ? fmt::format("V({})", *response->value) : "V(NULL)";
    }
    case backend::kCopyData:
      return fmt::format("d({})", frame.body);
    default:
      return std::string(1, frame.type);
  }
}

template <class One>
std::string render(std::string_view bytes, One one) {
  std::string out;
  for (const Frame& frame : take_frames(bytes)) {
    if (!out.empty()) out += ' ';
    out += one(frame);
  }
  if (!bytes.empty()) out += fmt::format(" +{} bytes", bytes.size());
  return out;
}

}  // namespace

std::vector<Frame> take_frames(std::string_view& bytes) {
  std::vector<Frame> out;
  while (bytes.size() >= kFrameHeaderBytes) {
    ByteReader reader(bytes.substr(1));
    const size_t size = size_t{reader.u32()} + 1;
    if (size < kFrameHeaderBytes || bytes.size() < size) break;
    out.push_back({bytes.front(), bytes.substr(0, size), bytes.substr(kFrameHeaderBytes, size - kFrameHeaderBytes)});
    bytes.remove_prefix(size);
  }
  return out;
}

std::string agent_text(std::string_view bytes) { return render(bytes, one_of_agent); }
std::string server_text(std::string_view bytes) { return render(bytes, one_of_server); }

std::string report_field(std::string_view bytes, char code) {
  std::string out;
  for (const Frame& frame : take_frames(bytes)) {
    if (frame.type != backend::kErrorResponse && frame.type != backend::kNoticeResponse) continue;
    if (auto report = parse_report(frame.body)) out = std::string(report->find(code));
  }
  return out;
}

}  // namespace sallyport::flow::test
