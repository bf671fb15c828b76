// SPDX-License-Identifier: Apache-2.0
#include "sallyport/protocol/postgres/frame.h"

#include <fmt/core.h>

#include <array>

#include "sallyport/protocol/postgres/messages.h"

namespace sallyport::postgres {
namespace {

/// What is known of a type byte without looking at the body.
struct TypeInfo {
  std::string_view name;
  uint32_t frame_bytes_max = 0;
};
using TypeTable = std::array<TypeInfo, 128>;

// A body of this size, and the header around it; PostgreSQL counts likewise.
constexpr uint32_t frame_of(size_t body_bytes) { return static_cast<uint32_t>(body_bytes + kFrameHeaderBytes); }
constexpr uint32_t kEmpty = frame_of(0);
constexpr uint32_t kSmall = frame_of(limits::kPgSmallMessageBytesMax);
constexpr uint32_t kAuth = frame_of(limits::kPgAuthMessageBytesMax);
constexpr uint32_t kBuffered = frame_of(limits::kPgBufferedMessageBytesMax);
constexpr uint32_t kAny = frame_of(limits::kPgMessageBytesMax);

// As SocketBackend() bounds what a client sends. CopyFail carries a text of the client's choice: small as well.
constexpr TypeTable make_agent_table() {
  TypeTable table{};
  table['B'] = {"Bind", kAny};
  table['C'] = {"Close", kSmall};
  table['d'] = {"CopyData", kAny};
  table['c'] = {"CopyDone", kEmpty};
  table['f'] = {"CopyFail", kSmall};
  table['D'] = {"Describe", kSmall};
  table['E'] = {"Execute", kSmall};
  table['H'] = {"Flush", kEmpty};
  table['F'] = {"FunctionCall", kAny};
  table['P'] = {"Parse", kAny};
  table['p'] = {"PasswordMessage", kAuth};
  table['Q'] = {"Query", kAny};
  table['S'] = {"Sync", kEmpty};
  table['X'] = {"Terminate", kEmpty};
  return table;
}

// Rows and COPY data may be as large as a message can be; what Sallyport must read whole may not.
constexpr TypeTable make_server_table() {
  TypeTable table{};
  table['R'] = {"Authentication", kAuth};
  table['K'] = {"BackendKeyData", kSmall};
  table['2'] = {"BindComplete", kEmpty};
  table['3'] = {"CloseComplete", kEmpty};
  table['C'] = {"CommandComplete", kSmall};
  table['W'] = {"CopyBothResponse", kBuffered};
  table['d'] = {"CopyData", kAny};
  table['c'] = {"CopyDone", kEmpty};
  table['G'] = {"CopyInResponse", kBuffered};
  table['H'] = {"CopyOutResponse", kBuffered};
  table['D'] = {"DataRow", kAny};
  table['I'] = {"EmptyQueryResponse", kEmpty};
  table['E'] = {"ErrorResponse", kBuffered};
  table['V'] = {"FunctionCallResponse", kAny};
  table['v'] = {"NegotiateProtocolVersion", kSmall};
  table['n'] = {"NoData", kEmpty};
  table['N'] = {"NoticeResponse", kBuffered};
  table['A'] = {"NotificationResponse", kSmall};
  table['t'] = {"ParameterDescription", kBuffered};
  table['S'] = {"ParameterStatus", kBuffered};
  table['1'] = {"ParseComplete", kEmpty};
  table['s'] = {"PortalSuspended", kEmpty};
  table['Z'] = {"ReadyForQuery", kEmpty + 1};
  table['T'] = {"RowDescription", kBuffered};
  return table;
}

constexpr TypeTable kAgentTable = make_agent_table();
constexpr TypeTable kServerTable = make_server_table();
constexpr TypeInfo kNoType{};

const TypeInfo& info_of(Side sender, char type) {
  const auto index = static_cast<uint8_t>(type);
  if (index >= kAgentTable.size()) return kNoType;
  return sender == Side::agent ? kAgentTable[index] : kServerTable[index];
}

Violation bad_header(Side sender, const TypeInfo& info, const Header& header) {
  const std::string_view from = sender == Side::agent ? "agent" : "server";
  if (info.frame_bytes_max == 0)
    return {
        fmt::format("{} sent message type 0x{:02x}, which does not exist", from, static_cast<uint8_t>(header.type))};
  if (header.length < 4)
    return {
        fmt::format("{} sent {} with length {}, less than the length field itself", from, info.name, header.length)};
  return {fmt::format("{} sent {} with length {}, over the limit of {}", from, info.name, header.length,
                      info.frame_bytes_max - 1)};
}

}  // namespace

std::string_view type_name(Side sender, char type) {
  const std::string_view name = info_of(sender, type).name;
  return name.empty() ? "unknown message" : name;
}

size_t frame_bytes_max(Side sender, char type) { return info_of(sender, type).frame_bytes_max; }

std::variant<Header, NeedMore, Violation> peek_header(Side sender, std::string_view input) {
  if (input.empty()) return NeedMore{kFrameHeaderBytes};
  Header header{input[0], 0};
  const TypeInfo& info = info_of(sender, header.type);
  // An unknown type is refused at once: its length means nothing, and waiting for it would be waiting for ever.
  if (info.frame_bytes_max == 0) return bad_header(sender, info, header);
  if (input.size() < kFrameHeaderBytes) return NeedMore{kFrameHeaderBytes};
  header.length = load_big_endian<uint32_t>(input.data() + 1);
  if (header.length < 4 || header.frame_bytes() > info.frame_bytes_max) return bad_header(sender, info, header);
  return header;
}

std::variant<Frame, Large, NeedMore, Violation> FrameReader::next(std::string_view input) const {
  auto peeked = peek_header(sender_, input);
  if (auto* more = std::get_if<NeedMore>(&peeked)) return *more;
  if (auto* bad = std::get_if<Violation>(&peeked)) return std::move(*bad);
  const Header header = std::get<Header>(peeked);
  const size_t size = header.frame_bytes();
  // Large even when all of it is there: what a message is must not depend on how the bytes were cut.
  if (size > frame_of(limits::kPgBufferedMessageBytesMax)) return Large{header};
  if (input.size() < size) return NeedMore{size};
  return Frame{header.type, input.substr(0, size), input.substr(kFrameHeaderBytes, size - kFrameHeaderBytes)};
}

}  // namespace sallyport::postgres
