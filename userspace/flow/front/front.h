// SPDX-License-Identifier: Apache-2.0
// The bottom of every flow's stack: opens the session, judges the connection itself (operation zero)
// before anything is dialled, and hands over to the protocol's layer. A destination that nothing
// lists is refused in the protocol that its first bytes show, so that the agent can read why.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "flow/operation/layer.h"
#include "sallyport/flow/flow.h"

namespace sallyport::flow {

/// Layers by the `protocol` of a Target: "postgres" …
using Layers = std::map<std::string, LayerFactory, std::less<>>;

/// `services` and `layers` outlive the flow.
std::unique_ptr<Flow> make_flow(const Origin& origin, Services& services, const Layers& layers);

}  // namespace sallyport::flow
