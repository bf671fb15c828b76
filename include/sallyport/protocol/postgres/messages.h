// SPDX-License-Identifier: Apache-2.0
// The bodies of protocol 3.x messages as plain structs over borrowed bytes. Every parse_X(body) is strict: counts
// must agree with bytes, strings end in NUL, nothing may be left over; a failure is the peer's violation, one line
// that holds none of its data. Nothing allocates on success, so a parsed message lives as long as the input.
//
// Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats", one section per struct.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/protocol/postgres/frame.h"

namespace sallyport::postgres {

/// Reads a big-endian integer from the first sizeof(Int) bytes at `at`.
template <class Int>
inline Int load_big_endian(const char* at) {
  Int value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof value == 4) return static_cast<Int>(__builtin_bswap32(static_cast<uint32_t>(value)));
  if constexpr (sizeof value == 2) return static_cast<Int>(__builtin_bswap16(static_cast<uint16_t>(value)));
}
static_assert(std::endian::native == std::endian::little, "load_big_endian swaps");

/// An array of fixed-width integers on the wire: format codes (int16_t), type OIDs (uint32_t).
template <class Int>
class IntList {
 public:
  IntList() = default;
  explicit IntList(std::string_view bytes) : bytes_(bytes) {}
  size_t size() const { return bytes_.size() / sizeof(Int); }
  bool empty() const { return bytes_.empty(); }
  /// `index` must be less than size().
  Int operator[](size_t index) const { return load_big_endian<Int>(bytes_.data() + index * sizeof(Int)); }

 private:
  std::string_view bytes_;
};
using OidList = IntList<uint32_t>;

inline constexpr int16_t kTextFormat = 0;
inline constexpr int16_t kBinaryFormat = 1;

/// Format codes of Bind and FunctionCall: none means all text, one is for all.
class FormatList : public IntList<int16_t> {
 public:
  using IntList::IntList;
  /// The format of value `index`: what the list means, not what it holds.
  int16_t of(size_t index) const {
    if (empty()) return kTextFormat;
    return size() == 1 ? (*this)[0] : (*this)[index];
  }
};

/// Walks items that lie one behind another: Item::read(at) gives one, Item::bytes(at) what it takes on the wire.
template <class Item>
class WireIterator {
 public:
  using value_type = decltype(Item::read(nullptr));
  using difference_type = std::ptrdiff_t;
  WireIterator() = default;
  explicit WireIterator(const char* at) : at_(at) {}
  value_type operator*() const { return Item::read(at_); }
  WireIterator& operator++() {
    at_ += Item::bytes(at_);
    return *this;
  }
  WireIterator operator++(int) {
    WireIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const WireIterator&) const = default;

 private:
  const char* at_ = nullptr;
};

/// One value: nothing is SQL NULL.
using Value = std::optional<std::string_view>;

/// Values with an int32 length each (-1: NULL): columns of a DataRow, parameters of a Bind, arguments of a
/// FunctionCall. Only parse_… makes one, after the bounds were checked. Iterate with a range-for.
class ValueList {
 public:
  struct Item {
    static Value read(const char* at) {
      const int32_t length = load_big_endian<int32_t>(at);
      if (length < 0) return std::nullopt;
      return std::string_view(at + 4, static_cast<size_t>(length));
    }
    static size_t bytes(const char* at) {
      const int32_t length = load_big_endian<int32_t>(at);
      return 4 + static_cast<size_t>(length < 0 ? 0 : length);
    }
  };
  using Iterator = WireIterator<Item>;

  ValueList() = default;
  size_t size() const { return count_; }
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  /// The values as on the wire, lengths included, without the count.
  std::string_view bytes() const { return bytes_; }

 private:
  friend struct MessageParser;
  ValueList(std::string_view bytes, size_t count) : bytes_(bytes), count_(count) {}
  std::string_view bytes_;
  size_t count_ = 0;
};

/// NUL-terminated strings one after another: SASL mechanisms, refused protocol options.
class StringList {
 public:
  struct Item {
    static std::string_view read(const char* at) { return std::string_view(at); }
    static size_t bytes(const char* at) { return std::strlen(at) + 1; }
  };
  using Iterator = WireIterator<Item>;

  StringList() = default;
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  bool contains(std::string_view wanted) const;

 private:
  friend struct MessageParser;
  explicit StringList(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};

// ---------------------------------------------------------------- from the agent

struct Query {
  std::string_view sql;
};
Result<Query> parse_query(std::string_view body);

struct Parse {
  std::string_view statement;  ///< empty: the unnamed one
  std::string_view sql;
  OidList parameter_types;  ///< 0: to be inferred
};
Result<Parse> parse_parse(std::string_view body);

/// `parameter_formats` has 0, 1 or parameters.size() entries (checked). Codes other than 0 and 1 are passed: the
/// server refuses them.
struct Bind {
  std::string_view portal;     ///< empty: the unnamed one
  std::string_view statement;  ///< empty: the unnamed one
  FormatList parameter_formats;
  ValueList parameters;
  FormatList result_formats;
};
Result<Bind> parse_bind(std::string_view body);

/// The names at the front of a Bind that is too large to be held: enough to know what would run.
struct BindNames {
  std::string_view portal;
  std::string_view statement;
};
/// `prefix`: the first bytes of the body. Nothing: both names are not yet in it.
std::optional<BindNames> parse_bind_names(std::string_view prefix);

enum class Named : char { statement = 'S', portal = 'P' };

struct Describe {
  Named kind = Named::statement;
  std::string_view name;
};
Result<Describe> parse_describe(std::string_view body);

struct Close {
  Named kind = Named::statement;
  std::string_view name;
};
Result<Close> parse_close(std::string_view body);

struct Execute {
  std::string_view portal;
  int32_t rows_max = 0;  ///< 0 or less: all
};
Result<Execute> parse_execute(std::string_view body);

struct FunctionCall {
  uint32_t function_oid = 0;
  FormatList argument_formats;
  ValueList arguments;
  int16_t result_format = 0;
};
Result<FunctionCall> parse_function_call(std::string_view body);

struct CopyFail {
  std::string_view reason;
};
Result<CopyFail> parse_copy_fail(std::string_view body);

/// Type 'p' in answer to a cleartext or MD5 request.
struct PasswordMessage {
  std::string_view password;  ///< a secret
};
Result<PasswordMessage> parse_password_message(std::string_view body);

/// Type 'p', the first in answer to AuthenticationSASL.
struct SaslInitialResponse {
  std::string_view mechanism;
  std::optional<std::string_view> response;
};
Result<SaslInitialResponse> parse_sasl_initial_response(std::string_view body);

/// Type 'p', in answer to AuthenticationSASLContinue. Any bytes are legal.
struct SaslResponse {
  std::string_view data;
};
Result<SaslResponse> parse_sasl_response(std::string_view body);

// ---------------------------------------------------------------- from the server

/// All messages of type 'R'. Which of the last three is filled depends on `kind`.
struct Authentication {
  enum class Kind : uint32_t {
    ok = 0,
    kerberos_v5 = 2,
    cleartext = 3,
    md5 = 5,
    gss = 7,
    gss_continue = 8,
    sspi = 9,
    sasl = 10,
    sasl_continue = 11,
    sasl_final = 12,
  };
  Kind kind = Kind::ok;
  std::string_view md5_salt;   ///< md5: 4 bytes
  StringList sasl_mechanisms;  ///< sasl: at least one
  std::string_view data;       ///< gss_continue, sasl_continue, sasl_final
};
Result<Authentication> parse_authentication(std::string_view body);

struct BackendKeyData {
  uint32_t pid = 0;
  std::string_view key;  ///< 4 bytes, up to 256 in protocol 3.2; a secret
};
Result<BackendKeyData> parse_backend_key_data(std::string_view body);

struct ParameterStatus {
  std::string_view name;
  std::string_view value;
};
Result<ParameterStatus> parse_parameter_status(std::string_view body);

enum class TransactionStatus : char { idle = 'I', open = 'T', failed = 'E' };

struct ReadyForQuery {
  TransactionStatus status = TransactionStatus::idle;
};
Result<ReadyForQuery> parse_ready_for_query(std::string_view body);

struct Field {
  std::string_view name;
  uint32_t table_oid = 0;  ///< 0: not a plain column
  int16_t column = 0;      ///< attribute number in table_oid; 0: not a plain column
  uint32_t type_oid = 0;
  int16_t type_size = 0;      ///< negative: variable
  int32_t type_modifier = 0;  ///< -1: none
  int16_t format = 0;         ///< kTextFormat or kBinaryFormat; after Describe of a statement not yet known: 0

  bool operator==(const Field&) const = default;
};

/// Iterate with a range-for: yields Field by value.
class RowDescription {
 public:
  struct Item {
    static Field read(const char* at);
    static size_t bytes(const char* at);
  };
  using Iterator = WireIterator<Item>;

  RowDescription() = default;
  size_t size() const { return count_; }
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }

 private:
  friend struct MessageParser;
  RowDescription(std::string_view bytes, size_t count) : bytes_(bytes), count_(count) {}
  std::string_view bytes_;
  size_t count_ = 0;
};
Result<RowDescription> parse_row_description(std::string_view body);

struct DataRow {
  ValueList values;
};
Result<DataRow> parse_data_row(std::string_view body);

struct CommandComplete {
  std::string_view tag;  ///< "SELECT 3", "INSERT 0 1", "BEGIN"
};
Result<CommandComplete> parse_command_complete(std::string_view body);
/// The row count at the end of a tag; nothing when the tag has none.
std::optional<uint64_t> rows_of_tag(std::string_view tag);

/// ErrorResponse and NoticeResponse: typed strings. Iterate, or find by code.
class ReportFields {
 public:
  struct Entry {
    char code;  ///< 'S' severity, 'V' severity untranslated, 'C' SQLSTATE, 'M' message, 'D' detail, 'H' hint …
    std::string_view text;
  };
  struct Item {
    static Entry read(const char* at) { return {*at, std::string_view(at + 1)}; }
    static size_t bytes(const char* at) { return 1 + std::strlen(at + 1) + 1; }
  };
  using Iterator = WireIterator<Item>;

  ReportFields() = default;
  Iterator begin() const { return Iterator(bytes_.data()); }
  Iterator end() const { return Iterator(bytes_.data() + bytes_.size()); }
  /// The first field of this code; empty when absent.
  std::string_view find(char code) const;
  std::string_view sqlstate() const { return find('C'); }
  std::string_view message() const { return find('M'); }
  /// FATAL or PANIC: the server closes the connection after this.
  bool ends_connection() const;

 private:
  friend struct MessageParser;
  explicit ReportFields(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};
/// For both ErrorResponse and NoticeResponse.
Result<ReportFields> parse_report(std::string_view body);

struct ParameterDescription {
  OidList types;
};
Result<ParameterDescription> parse_parameter_description(std::string_view body);

/// CopyInResponse, CopyOutResponse and CopyBothResponse.
struct CopyResponse {
  bool binary = false;
  IntList<int16_t> column_formats;
};
Result<CopyResponse> parse_copy_response(std::string_view body);

struct NotificationResponse {
  uint32_t pid = 0;
  std::string_view channel;
  std::string_view payload;
};
Result<NotificationResponse> parse_notification_response(std::string_view body);

struct NegotiateProtocolVersion {
  uint32_t version = 0;  ///< the newest the server speaks, whole (major << 16 | minor)
  StringList refused_options;
};
Result<NegotiateProtocolVersion> parse_negotiate_protocol_version(std::string_view body);

struct FunctionCallResponse {
  Value value;
};
Result<FunctionCallResponse> parse_function_call_response(std::string_view body);

/// For the messages without a body: Sync, Flush, Terminate, CopyDone; ParseComplete, BindComplete, CloseComplete,
/// NoData, PortalSuspended, EmptyQueryResponse.
Result<> parse_empty(std::string_view body);

/// Parses the body with whatever parser its type calls for and throws the outcome away: a frame that is relayed
/// unread is still known to be well-formed. Type 'p' and CopyData are accepted unread.
Result<> check_body(Side sender, char type, std::string_view body);

}  // namespace sallyport::postgres
