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

/// Bytes of a protocol nobody decodes.
struct Opaque {};

using OperationBody = std::variant<Connect, Sql, Opaque>;

struct Operation {
  OperationId id = 0;
  OperationId parent = 0;  ///< 0: the connection
  std::string target;      ///< name in policy; empty: nothing listed
  OperationBody body;
};

/// "connect", "sql", "opaque": the same word in policy, record and CLI.
std::string_view kind_of(const Operation& operation);

}  // namespace sallyport::model
