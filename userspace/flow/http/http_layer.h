// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 flow: each request is an operation.
#pragma once

#include <memory>

#include "flow/operation/layer.h"

namespace sallyport::flow {

std::unique_ptr<Layer> make_http_layer(OperationLife& life);

}  // namespace sallyport::flow
