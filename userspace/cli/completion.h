// SPDX-License-Identifier: Apache-2.0
// Shell completion, made from the parser itself, so that it cannot lag behind.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace sallyport::cli {

/// A script for "bash" or "zsh" (which loads bash's); empty for another shell.
std::string completion_script(const CLI::App& app, std::string_view shell);

}  // namespace sallyport::cli
