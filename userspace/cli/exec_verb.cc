// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli/output.h"
#include "cli/verbs.h"
#include "sallyport/control/client.h"
#include "sallyport/launch/exec.h"

namespace sallyport::cli {

int run_exec(const Common& common, const ExecArguments& arguments) {
  const control::Client client(common.socket);
  const launch::ExecOptions options{arguments.command, arguments.allow_root, common.socket};
  // As the daemon sees it through the command's root, which is ours.
  const std::string token_file =
      arguments.token_file.empty() ? "" : std::filesystem::absolute(arguments.token_file).lexically_normal().string();
  return launch::run_command(options, [&](bool map_identity) -> Result<launch::Placement> {
    auto grant = client.exec({arguments.agent, map_identity, token_file});
    if (!grant) return std::unexpected(grant.error());
    return launch::Placement{grant->io_uring};
  });
}

}  // namespace sallyport::cli
