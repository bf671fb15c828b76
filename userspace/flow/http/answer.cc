// SPDX-License-Identifier: Apache-2.0
#include "flow/http/answer.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sallyport::flow {
namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Refused";
  }
}

std::string body_of(const Answer& answer, bool json) {
  if (json) {
    nlohmann::json error = {{"message", answer.message}};
    if (!answer.detail.empty()) error["detail"] = answer.detail;
    if (!answer.hint.empty()) error["hint"] = answer.hint;
    // Policy's words are UTF-8; what an agent sent stands in them escaped.
    return nlohmann::json{{"error", error}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  std::string out = answer.message + "\n";
  if (!answer.detail.empty()) out.append(answer.detail).append("\n");
  if (!answer.hint.empty()) out.append("hint: ").append(answer.hint).append("\n");
  return out;
}

}  // namespace

std::string render_answer(const Answer& answer, const AnswerForm& form) {
  const std::string body = body_of(answer, form.json);
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n", answer.status,
      reason_of(answer.status), form.json ? "application/json" : "text/plain; charset=utf-8", body.size());
  if (!answer.challenge.empty()) out += fmt::format("WWW-Authenticate: {}\r\n", answer.challenge);
  if (form.close)
    out += "Connection: close\r\n";
  else if (form.http10)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  return form.to_head ? out : out + body;
}

Answer refusal_answer(const LiveOperation& live, const Origin& origin, std::string_view challenge) {
  Refusal refusal = render_refusal(live, origin);
  Answer out{403, std::move(refusal.message), std::move(refusal.detail), std::move(refusal.hint), {}};
  const bool token = std::ranges::any_of(live.decision->causes,
                                         [](const model::Cause& cause) { return cause.rule == kTokenMismatch; });
  if (token && !challenge.empty()) {
    out.status = 401;
    out.challenge = challenge;
  }
  return out;
}

bool wants_json(const http::RequestHead& head) {
  return std::ranges::any_of(head.fields, [](const http::Field& field) {
    return http::same_name(field.name, "accept") && field.value.find("json") != std::string_view::npos;
  });
}

}  // namespace sallyport::flow
