// SPDX-License-Identifier: Apache-2.0
#include "protocol/http/head.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::http {
namespace {

namespace beast = boost::beast;

/// Beast's grammar of start lines and fields. Of bodies it is told that there are none.
template <bool is_request>
class HeadParser : public beast::http::basic_parser<is_request> {
 public:
  using Text = beast::string_view;
  using Code = beast::error_code;

  Code parse(std::string_view block) {
    this->header_limit(static_cast<uint32_t>(limits::kHttpHeadBytesMax + 64));
    this->skip(true);
    Code code;
    const size_t used = this->put(boost::asio::buffer(block.data(), block.size()), code);
    if (!code && (used != block.size() || !this->is_header_done())) code = beast::http::error::partial_message;
    return code;
  }

  std::string_view method, target, reason;
  int status = 0, version = 0;
  std::vector<Field> fields;

 private:
  static std::string_view view(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(beast::http::verb, Text m, Text t, int v, Code&) override {
    method = view(m), target = view(t), version = v;
  }
  void on_response_impl(int s, Text r, int v, Code&) override { status = s, reason = view(r), version = v; }
  void on_field_impl(beast::http::field, Text name, Text value, Code& code) override {
    if (fields.size() >= limits::kHttpFieldsMax)
      code = beast::http::error::header_limit;
    else
      fields.push_back({view(name), view(value)});
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<uint64_t> const&, Code&) override {}
  size_t on_body_impl(Text body, Code&) override { return body.size(); }
  void on_chunk_header_impl(uint64_t, Text, Code&) override {}
  size_t on_chunk_body_impl(uint64_t, Text body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

Violation wrong(const beast::error_code& code) {
  if (code == beast::http::error::bad_version) return {505, "not HTTP/1.0 or HTTP/1.1"};
  if (code == beast::http::error::header_limit) return {431, "more header fields than are allowed"};
  return {400, code.message()};
}

bool is_field_byte(unsigned char c) { return c >= 0x20 ? c != 0x7f : c == '\t'; }

/// A name that CGI and WSGI cannot tell from one of these (they turn `-` into `_`).
bool looks_like_framing(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  std::string dashed(name);
  std::ranges::replace(dashed, '_', '-');
  static constexpr std::string_view kNames[] = {"content-length", "transfer-encoding", "host", "connection"};
  return std::ranges::any_of(kNames, [&](std::string_view each) { return same_name(dashed, each); });
}

/// Counts of what frames a message, and the checks that do not depend on which side sent it.
struct FramingFields {
  const Field* length = nullptr;
  const Field* coding = nullptr;
  std::optional<Violation> wrong;
};

FramingFields find_framing(std::span<const Field> fields, int minor) {
  FramingFields out;
  for (const Field& field : fields) {
    if (same_name(field.name, "content-length")) {
      if (std::exchange(out.length, &field)) out.wrong = {400, "two Content-Length fields"};
    } else if (same_name(field.name, "transfer-encoding")) {
      if (std::exchange(out.coding, &field)) out.wrong = {400, "two Transfer-Encoding fields"};
    } else if (looks_like_framing(field.name)) {
      out.wrong = {400, fmt::format("a field named {}", printable(field.name))};
    }
  }
  if (out.wrong || !out.coding) return out;
  if (out.length)
    out.wrong = {400, "both Content-Length and Transfer-Encoding"};
  else if (minor == 0)
    out.wrong = {400, "Transfer-Encoding in HTTP/1.0"};
  else if (!same_name(out.coding->value, "chunked"))
    out.wrong = {501, "a Transfer-Encoding other than chunked"};
  return out;
}

std::optional<uint64_t> parse_length(std::string_view digits) {
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  uint64_t value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

/// The framing that fields ask for; `otherwise` where they say nothing.
std::variant<Violation, Framing> read_framing(std::span<const Field> fields, int minor, Framing::Kind otherwise) {
  const FramingFields found = find_framing(fields, minor);
  if (found.wrong) return *found.wrong;
  if (found.coding) return Framing{Framing::Kind::chunked, 0};
  if (!found.length) return Framing{otherwise, 0};
  const auto length = parse_length(found.length->value);
  if (!length) return Violation{400, "a Content-Length that is no number"};
  return Framing{*length == 0 ? Framing::Kind::none : Framing::Kind::length, *length};
}

/// RFC 9112 section 2.2: an empty line before a request is skipped, for what old clients sent behind a body.
size_t leading_empty_line(std::string_view input) { return input.starts_with("\r\n") ? 2 : 0; }

}  // namespace

Block find_block(std::string_view input, size_t bytes_max, bool first_is_field) {
  size_t line = 0;
  for (size_t at = 0; at < input.size(); ++at) {
    if (at >= bytes_max) return {0, 431, "more bytes in its header than are allowed"};
    const char c = input[at];
    if (at == line && (line != 0 || first_is_field) && (c == ' ' || c == '\t')) return {0, 400, "a folded header line"};
    if (is_field_byte(static_cast<unsigned char>(c))) continue;
    if (c != '\r') return {0, 400, c == '\n' ? "a line that ends without CR" : "a control character in its header"};
    if (at + 1 == input.size()) break;
    if (input[at + 1] != '\n') return {0, 400, "a CR without LF"};
    if (at == line && (line != 0 || first_is_field)) return {at + 2, 400, nullptr};
    line = at + 2;
    ++at;
  }
  return {};
}

std::variant<NeedMore, Violation, RequestHead> next_request(std::string_view input) {
  const size_t skipped = leading_empty_line(input);
  const Block found = find_block(input.substr(skipped), limits::kHttpHeadBytesMax, false);
  if (found.why) return Violation{found.status, found.why};
  if (found.end == 0) return NeedMore{};
  HeadParser<true> parser;
  if (const auto code = parser.parse(input.substr(skipped, found.end)); code) return wrong(code);
  RequestHead out;
  out.raw = input.substr(0, skipped + found.end);
  out.method = parser.method;
  out.target = parser.target;
  out.minor = parser.version - 10;
  out.fields = std::move(parser.fields);
  if (out.target.size() > limits::kHttpTargetBytesMax) return Violation{414, "a request target longer than is allowed"};
  auto framing = read_framing(out.fields, out.minor, Framing::Kind::none);
  if (auto* violation = std::get_if<Violation>(&framing)) return std::move(*violation);
  out.body = std::get<Framing>(framing);
  return out;
}

std::variant<NeedMore, Violation, ResponseHead> next_response(std::string_view input, bool to_head) {
  const Block found = find_block(input, limits::kHttpHeadBytesMax, false);
  if (found.why) return Violation{found.status, found.why};
  if (found.end == 0) return NeedMore{};
  HeadParser<false> parser;
  if (const auto code = parser.parse(input.substr(0, found.end)); code) return wrong(code);
  ResponseHead out;
  out.raw = input.substr(0, found.end);
  out.status = parser.status;
  out.reason = parser.reason;
  out.minor = parser.version - 10;
  out.fields = std::move(parser.fields);
  if (out.status < 100) return Violation{400, "a status below 100"};
  auto framing = read_framing(out.fields, out.minor, Framing::Kind::until_close);
  if (auto* violation = std::get_if<Violation>(&framing)) return std::move(*violation);
  out.body = std::get<Framing>(framing);
  const bool bodiless = out.interim() || out.status == 204;
  // RFC 9112 section 6.1: a server that frames what cannot have a body is not to be trusted with the next message.
  if (bodiless && out.body.kind == Framing::Kind::chunked) return Violation{400, "Transfer-Encoding without a body"};
  if (bodiless || out.status == 304 || to_head) out.body = {};
  return out;
}

std::variant<Violation, std::vector<Field>> parse_trailers(std::string_view block) {
  // A start line of our own, so that the same grammar reads them.
  constexpr std::string_view kStart = "HTTP/1.1 200 OK\r\n";
  std::string whole(kStart);
  whole += block;
  HeadParser<false> parser;
  if (const auto code = parser.parse(whole); code) return wrong(code);
  std::vector<Field> out;
  for (const Field& field : parser.fields) {
    static constexpr std::string_view kNever[] = {"content-length",
                                                  "transfer-encoding",
                                                  "host",
                                                  "connection",
                                                  "content-encoding",
                                                  "content-type",
                                                  "content-range",
                                                  "trailer",
                                                  "te",
                                                  "authorization",
                                                  "proxy-authorization",
                                                  "cookie",
                                                  "set-cookie",
                                                  "expect",
                                                  "upgrade",
                                                  "range"};
    if (looks_like_framing(field.name) ||
        std::ranges::any_of(kNever, [&](std::string_view each) { return same_name(field.name, each); }))
      return Violation{400, fmt::format("{} in a trailer", printable(field.name))};
    const auto here = [&](std::string_view part) {
      return block.substr(part.data() - whole.data() - kStart.size(), part.size());
    };
    out.push_back({here(field.name), field.value.empty() ? std::string_view() : here(field.value)});
  }
  return out;
}

}  // namespace sallyport::http
