// SPDX-License-Identifier: Apache-2.0
// A flow is a stack: the front judges the connection itself, then a protocol's layer takes over with
// the same OperationLife and whatever bytes have come.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "flow/operation/life.h"

namespace sallyport::flow {

/// One call into a layer: the time, and where actions go.
struct Turn {
  const Now& now;
  Actions& actions;
};

class Layer {
 public:
  virtual ~Layer() = default;
  virtual void on_event(const Event& event, Turn& turn) = 0;
};

/// `connection` is operation zero, judged already: released, held or refused. A layer for a refused
/// one only says so in its protocol. `life` outlives the layer.
using LayerFactory = std::function<std::unique_ptr<Layer>(OperationLife& life)>;

/// What a denial says, in the words of every protocol.
struct Refusal {
  std::string message;  ///< "refused by policy: update on public.customers is not allowed"
  std::string detail;   ///< the rule, where it stands
  std::string hint;     ///< what would allow it, how to ask
};
Refusal render_refusal(const LiveOperation& live, const Origin& origin);

}  // namespace sallyport::flow
