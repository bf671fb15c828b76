// SPDX-License-Identifier: Apache-2.0
// What the verb `exec` does, without the rest of the command line:
// exec_client SOCKET AGENT [--allow-root] -- CMD…
#include <cstring>
#include <string>

#include "sallyport/control/client.h"
#include "sallyport/launch/exec.h"

int main(int count, char** values) {
  sallyport::launch::ExecOptions options;
  options.control_socket = values[1];
  int next = 3;
  if (next < count && std::strcmp(values[next], "--allow-root") == 0) {
    options.allow_root = true;
    ++next;
  }
  for (++next; next < count; ++next) options.argv.emplace_back(values[next]);
  const sallyport::control::Client client(values[1]);
  return run_command(options, [&](bool map_identity) -> sallyport::Result<sallyport::launch::Placement> {
    auto grant = client.exec({values[2], map_identity});
    if (!grant) return std::unexpected(grant.error());
    return sallyport::launch::Placement{grant->io_uring};
  });
}
