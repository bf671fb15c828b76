// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL flow: Login until the server is ready, Conversation from then on.
#pragma once

#include <memory>

#include "flow/operation/layer.h"

namespace sallyport::flow {

std::unique_ptr<Layer> make_postgres_layer(OperationLife& life);

}  // namespace sallyport::flow
