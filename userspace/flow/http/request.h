// SPDX-License-Identifier: Apache-2.0
// A request's head before it is judged: what it means, or why it means nothing that could be judged.
#pragma once

#include <string>
#include <variant>

#include "flow/http/answer.h"
#include "sallyport/model/operation.h"
#include "sallyport/policy/http.h"
#include "sallyport/protocol/http/message.h"

namespace sallyport::flow {

/// What a request asks for.
struct Asked {
  model::Http http;
  policy::HttpHost host;
  std::string target;           ///< of origin form, for upstream; "*" for OPTIONS *
  http::Connection connection;  ///< what its Connection says
};

/// Refuses what Sallyport does not speak (CONNECT, Upgrade, HTTP/2), what servers could take for another request than
/// the one judged (fields that override method or path), and what names no host. `secured`: the agent speaks TLS.
std::variant<Answer, Asked> read_request(const http::RequestHead& head, bool secured);

/// "GET api.internal/v1/invoices?year=…&page=…": the record has a query's names, never its values: they may be secrets.
std::string record_text(const model::Http& http);
/// The same for a request that read_request() refused: its path as it came, cut, without a query.
std::string record_text(const http::RequestHead& head);

}  // namespace sallyport::flow
