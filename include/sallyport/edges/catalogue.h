// SPDX-License-Identifier: Apache-2.0
// Side connections: one to each server and database whose catalogue sessions look for, from the daemon's own network
// namespace, over TLS, with libpq. They fill node::Catalogues and keep validating it, in one thread of their own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sallyport/node/catalogues.h"
#include "sallyport/node/credentials.h"

namespace sallyport::edges {

class SideConnections {
 public:
  /// Reads a credential file; called from the thread, at every connect.
  using ReadCredential = std::function<Result<node::Credential>(const std::string& file)>;

  /// Starts the thread. `catalogues` outlives this.
  static Result<std::unique_ptr<SideConnections>> start(node::Catalogues& catalogues, ReadCredential credential);
  /// Closes the connections and waits for the thread.
  ~SideConnections();
  SideConnections(const SideConnections&) = delete;
  SideConnections& operator=(const SideConnections&) = delete;

 private:
  struct Thread;
  explicit SideConnections(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace sallyport::edges
