// SPDX-License-Identifier: Apache-2.0
#include "control/request.h"

#include <fmt/core.h>

#include <boost/asio/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include "control/stream.h"
#include "sallyport/base/limits.h"

namespace sallyport::control {

namespace http = boost::beast::http;

Result<HttpRequest> read_request(int socket, unsigned& status) {
  DeadlineStream stream(socket, limits::kControlRequestTimeoutMs);
  boost::beast::flat_buffer buffer(limits::kControlHeaderBytesMax + limits::kControlRequestBytesMax);
  http::request_parser<http::string_body> parser;
  parser.header_limit(limits::kControlHeaderBytesMax);
  parser.body_limit(limits::kControlRequestBytesMax);
  boost::system::error_code error;
  http::read(stream, buffer, parser, error);
  if (error) {
    const bool too_big =
        error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow;
    status = too_big ? 413 : error == boost::asio::error::timed_out ? 408 : 400;
    return fail(fmt::format("the request cannot be read: {}", error.message()));
  }
  auto& message = parser.get();
  return HttpRequest{std::string(message.method_string()), std::string(message.target()), std::move(message.body())};
}

}  // namespace sallyport::control
