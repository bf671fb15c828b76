// SPDX-License-Identifier: Apache-2.0
// A live flow as net/ sees it: events in, actions out. Sans-IO: no descriptor, clock or thread; one
// worker thread calls it, never re-entered.
#pragma once

#include <memory>

#include "sallyport/base/clock.h"
#include "sallyport/flow/action.h"
#include "sallyport/flow/event.h"
#include "sallyport/model/principal.h"

namespace sallyport::flow {

/// What is known of a flow when it is accepted.
struct Origin {
  model::FlowId id = 0;
  model::Principal principal;
  model::Endpoint source;
  model::Endpoint destination;  ///< original, as the agent meant it
};

class Flow {
 public:
  virtual ~Flow() = default;
  /// Called once, before any event.
  virtual void start(const Now& now, Actions& actions) = 0;
  virtual void on_event(const Event& event, const Now& now, Actions& actions) = 0;
};

}  // namespace sallyport::flow
