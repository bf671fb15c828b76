// SPDX-License-Identifier: Apache-2.0
// The program `sallyport`: every verb, the daemon among them.
#include <cstdio>
#include <exception>

#include "cli/arguments.h"
#include "cli/verbs.h"

int main(int count, char** values) {
  try {
    return sallyport::cli::run(count, values);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sallyport: internal error: %s\n", error.what());
    return sallyport::cli::kFound;
  }
}
