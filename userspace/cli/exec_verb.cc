// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"
#include "cli/verbs.h"
#include "sallyport/control/client.h"
#include "sallyport/launch/exec.h"

namespace sallyport::cli {

int run_exec(const Common& common, const ExecArguments& arguments) {
  const control::Client client(common.socket);
  const launch::ExecOptions options{arguments.command, arguments.allow_root, common.socket};
  return launch::run_command(options, [&](bool map_identity) -> Result<launch::Placement> {
    auto grant = client.exec({arguments.agent, map_identity});
    if (!grant) return std::unexpected(grant.error());
    return launch::Placement{grant->io_uring};
  });
}

}  // namespace sallyport::cli
