// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 request off a socket, bounded in size and time.
#pragma once

#include "control/routes.h"

namespace sallyport::control {

/// Blocks until the request is whole or limits::kControlRequestTimeoutMs are over. An error sets `status` to what the
/// peer is to be told. `socket` is borrowed and must be non-blocking.
Result<HttpRequest> read_request(int socket, unsigned& status);

}  // namespace sallyport::control
