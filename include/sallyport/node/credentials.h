// SPDX-License-Identifier: Apache-2.0
// Passwords and SCRAM verifiers from files that the operator keeps. A file is read again when it
// changed, and refused unless it is a regular file, owned by root or the daemon's user, that neither
// group nor world can read or write. Thread-safe. It reads files: call it once a connection, not once a message.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "sallyport/base/result.h"
#include "sallyport/base/secret.h"

namespace sallyport::node {

struct Credential {
  std::string user;  ///< empty: the user that the agent names at startup
  Secret password;
};

class Credentials {
 public:
  /// `owner`: a user beside root who may own the files; normally geteuid().
  explicit Credentials(uid_t owner);

  /// A credential file: one line, `user:password` or `password` alone; a password that has a colon is
  /// written with its user. Errors name the path and the way out, never the content.
  Result<Credential> find(const std::string& path);

  /// The verifier of `role` in a verifier file: lines `role:SCRAM-SHA-256$…` as in pg_authid; empty
  /// lines and lines that begin with # are skipped. Empty: the role is not listed.
  Result<std::optional<Secret>> find_verifier(const std::string& path, const std::string& role);

 private:
  struct Identity {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t mtime_ns = 0, ctime_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  struct File {
    Identity identity;
    Secret content;
  };
  Result<Secret> read(const std::string& path);

  const uid_t owner_;
  std::mutex mutex_;
  std::unordered_map<std::string, File> files_;
};

}  // namespace sallyport::node
