// SPDX-License-Identifier: Apache-2.0
// SP_CHECK ends the process on a mistake of ours. Never on anything a peer controls.
#pragma once

namespace sallyport {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}

#define SP_CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::sallyport::check_failed(#expression, __FILE__, __LINE__))
