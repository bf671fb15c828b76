// SPDX-License-Identifier: Apache-2.0
#include "sallyport/base/result.h"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sallyport/base/check.h"

namespace sallyport {

std::unexpected<Error> fail_errno(std::string what, std::string hint) {
  const int error = errno;
  char text[128];
  return fail(fmt::format("{}: {}", what, strerror_r(error, text, sizeof text)), std::move(hint));
}

std::unexpected<Error> fail_within(std::string context, const Error& inner) {
  return fail(fmt::format("{}: {}", context, inner.what), inner.hint);
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "sallyport: internal error: %s is false at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace sallyport
