// SPDX-License-Identifier: Apache-2.0
// What Sallyport itself answers: a refusal, or why it cannot go on.
#pragma once

#include <string>
#include <string_view>

#include "flow/operation/layer.h"
#include "sallyport/protocol/http/message.h"

namespace sallyport::flow {

struct Answer {
  int status = 403;
  std::string message;
  std::string detail;
  std::string hint;
  std::string challenge;  ///< WWW-Authenticate, for 401; empty: none
};

/// How the one who asked wants it told.
struct AnswerForm {
  bool json = false;     ///< it accepts application/json
  bool to_head = false;  ///< the head only
  bool close = true;     ///< nothing more will be read
  bool http10 = false;   ///< it must be told that the connection stays
};

/// The whole message: text/plain, or application/json `{"error": {"message", "detail", "hint"}}`.
std::string render_answer(const Answer& answer, const AnswerForm& form);
/// A refused operation or connection. 401 with `challenge` where a token is missing or not good; else 403.
Answer refusal_answer(const LiveOperation& live, const Origin& origin, std::string_view challenge);
/// Whether Accept names JSON: what a program asks for that could not read text.
bool wants_json(const http::RequestHead& head);

}  // namespace sallyport::flow
