// SPDX-License-Identifier: Apache-2.0
// The command line: options of every verb, help, examples, completion.
#pragma once

#include <string_view>

namespace sallyport::cli {

/// Parses, runs the verb, returns the exit code.
int run(int count, char** values);

}  // namespace sallyport::cli
