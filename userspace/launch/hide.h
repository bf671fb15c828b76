// SPDX-License-Identifier: Apache-2.0
// Arranges the new mount namespace: what leads out of it is covered, the rest stays as it was.
#pragma once

#include <sys/types.h>

#include <string>

#include "sallyport/base/result.h"

namespace sallyport::launch {

struct HideOptions {
  uid_t uid = 0;
  std::string control_socket;
  std::string working_directory;  ///< looked up anew at the end, so that it cannot lie under a cover
};

/// Runs as first process of new pid and mount namespaces with CAP_SYS_ADMIN over them. The covers
/// cannot be taken off without that capability.
Result<> hide_ways_out(const HideOptions& options);

}  // namespace sallyport::launch
