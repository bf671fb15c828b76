// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/http/body.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/http/head.h"
#include "sallyport/base/limits.h"

namespace sallyport::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr uint8_t kSizeDigitsMax = 16;

}  // namespace

std::variant<NeedMore, Violation, BodyReader::Piece> BodyReader::next(std::string_view input) {
  switch (framing_.kind) {
    case Framing::Kind::none:
      return Piece{.last = true};
    case Framing::Kind::chunked:
      return next_chunked(input);
    case Framing::Kind::until_close:
      if (input.empty()) return NeedMore{};
      return Piece{.consumed = input.size(), .data = input};
    case Framing::Kind::length:
      break;
  }
  if (input.empty()) return NeedMore{};
  const std::string_view data = input.substr(0, std::min<uint64_t>(left_, input.size()));
  left_ -= data.size();
  return Piece{.consumed = data.size(), .data = data, .last = left_ == 0};
}

/// One byte of the framing around chunks; why it cannot stand there, or nullptr.
const char* BodyReader::on_framing_byte(char c) {
  switch (state_) {
    case State::size:
      if (const int digit = hex_value(c); digit >= 0) {
        if (++digits_ > kSizeDigitsMax || left_ >> 58 != 0) return "a chunk size that is too large";
        left_ = left_ << 4 | static_cast<unsigned>(digit);
        return nullptr;
      }
      if (digits_ == 0 || (c != '\r' && c != ';')) return "a chunk size that is no number";
      state_ = c == ';' ? State::extension : State::size_end;
      return nullptr;
    case State::extension:
      if (++extension_bytes_ > limits::kHttpChunkExtensionBytesMax) return "more chunk extensions than are allowed";
      if (c == '\r')
        state_ = State::size_end;
      else if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
        return "a control character in a chunk extension";
      return nullptr;
    case State::size_end:
      if (c != '\n') return "a CR without LF behind a chunk size";
      state_ = left_ == 0 ? State::trailers : State::data;
      return nullptr;
    case State::data_cr:
      if (c != '\r') return "a chunk longer than its size";
      state_ = State::data_end;
      return nullptr;
    case State::data_end:
      if (c != '\n') return "a CR without LF behind a chunk";
      state_ = State::size;
      digits_ = 0;
      return nullptr;
    case State::data:
    case State::trailers:
      break;
  }
  return nullptr;
}

std::variant<NeedMore, Violation, BodyReader::Piece> BodyReader::next_chunked(std::string_view input) {
  size_t at = 0;
  while (at < input.size() && state_ != State::data && state_ != State::trailers)
    if (const char* why = on_framing_byte(input[at++])) return Violation{400, why};
  const std::string_view rest = input.substr(at);
  if (state_ == State::data && !rest.empty()) {
    const std::string_view data = rest.substr(0, std::min<uint64_t>(left_, rest.size()));
    left_ -= data.size();
    if (left_ == 0) state_ = State::data_cr;
    return Piece{.consumed = at + data.size(), .data = data};
  }
  if (state_ == State::trailers && !rest.empty()) {
    const Block block = find_block(rest, limits::kHttpTrailerBytesMax, true);
    if (block.why) return Violation{block.status, block.why};
    if (block.end != 0) {
      auto trailers = parse_trailers(rest.substr(0, block.end));
      if (auto* violation = std::get_if<Violation>(&trailers)) return std::move(*violation);
      return Piece{
          .consumed = at + block.end, .last = true, .trailers = std::get<std::vector<Field>>(std::move(trailers))};
    }
  }
  if (at == 0) return NeedMore{};
  return Piece{.consumed = at};
}

void append_chunk(std::string& out, std::string_view data) {
  if (data.empty()) return;
  out += fmt::format("{:x}\r\n", data.size());
  out.append(data).append("\r\n");
}

void append_last_chunk(std::string& out, std::span<const Field> trailers) {
  out += "0\r\n";
  for (const Field& field : trailers) out.append(field.name).append(": ").append(field.value).append("\r\n");
  out += "\r\n";
}

}  // namespace sallyport::http
