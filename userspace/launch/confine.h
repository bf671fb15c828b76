// SPDX-License-Identifier: Apache-2.0
// What a process gives up for good: abstract sockets, capabilities, privilege by exec, system calls.
#pragma once

#include "sallyport/base/result.h"

namespace sallyport::launch {

struct ConfineOptions {
  bool keep_identity_capabilities = false;  ///< for uid 0: change of identity and file access, nothing else
  bool io_uring = true;
};

/// Irreversible for the calling process and all it starts.
Result<> confine(const ConfineOptions& options);

/// Landlock can keep abstract Unix sockets of others out of reach (Linux 6.12).
bool can_scope_abstract_sockets();

/// Installs the filter alone; part of confine().
Result<> filter_system_calls(bool io_uring);

}  // namespace sallyport::launch
