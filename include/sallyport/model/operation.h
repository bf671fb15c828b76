// SPDX-License-Identifier: Apache-2.0
// One unit that policy judges, whatever its protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sallyport/model/address.h"
#include "sallyport/model/effect.h"

namespace sallyport::model {

using FlowId = uint64_t;       ///< unique while the node runs
using OperationId = uint32_t;  ///< counts within a session; 0 is the connection itself

/// Operation zero: the connection, judged before any dial.
struct Connect {
  Endpoint destination;
};

/// A SQL message: one or more statements that run or fail together. `startup` is the StartupMessage.
struct Sql {
  enum class Source : uint8_t { startup, query, parse, execute, function_call };
  Source source = Source::query;
  std::string text;  ///< UTF-8, as the agent sent it; literals in clear: mask before recording
  std::vector<Effect> effects;
};

/// One HTTP request. What upstream gets is what the agent sent; these are the words that policy judges.
struct Http {
  std::string method;  ///< as sent: methods have no two spellings
  std::string host;    ///< lower case, "name:port"; empty: not said
  std::string path;    ///< normalised (policy::normalise_path): percent-decoded, "/" first; "*" for OPTIONS *
  std::string query;   ///< behind the `?`, as sent; it may hold secrets: never recorded as it is
};

/// Bytes of a protocol nobody decodes.
struct Opaque {};

using OperationBody = std::variant<Connect, Sql, Http, Opaque>;

struct Operation {
  OperationId id = 0;
  OperationId parent = 0;  ///< 0: the connection
  std::string target;      ///< name in policy; empty: nothing listed
  OperationBody body;
};

/// "connect", "sql", "http", "opaque": the same word in policy, record and CLI.
std::string_view kind_of(const Operation& operation);

}  // namespace sallyport::model
