// SPDX-License-Identifier: Apache-2.0
// The three descriptors a command keeps.
#pragma once

#include "sallyport/base/result.h"

namespace sallyport::launch {

/// Opens /dev/null where 0, 1 or 2 is closed (else our own descriptors would land there), and refuses
/// what would lead past the sandbox: Internet sockets and rings made outside, folders (openat would
/// walk from them), devices but terminals and the likes of /dev/null.
Result<> check_stdio();

}  // namespace sallyport::launch
