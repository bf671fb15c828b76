// SPDX-License-Identifier: Apache-2.0
#include "sallyport/node/credentials.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::node {
namespace {

std::string named(const std::string& path) { return fmt::format("credential file `{}`", printable(path)); }

Result<void> check_file(const std::string& path, const struct stat& status, uid_t owner) {
  if (!S_ISREG(status.st_mode)) return fail(named(path) + " is no regular file");
  if (status.st_uid != 0 && status.st_uid != owner)
    return fail(fmt::format("{} belongs to uid {}", named(path), status.st_uid),
                fmt::format("chown it to root or to uid {}", owner));
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(fmt::format("{} has mode {:04o}: others can get at it", named(path), status.st_mode & 07777u),
                fmt::format("chmod 0600 {}", printable(path)));
  if (status.st_size > static_cast<off_t>(limits::kCredentialFileBytesMax))
    return fail(fmt::format("{} is longer than {} bytes", named(path), limits::kCredentialFileBytesMax));
  return {};
}

Result<Secret> read_all(const std::string& path, int fd) {
  std::string content(limits::kCredentialFileBytesMax + 1, '\0');
  size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t got = ::read(fd, content.data() + filled, content.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      auto error = fail_errno(named(path));
      wipe(content);
      return error;
    }
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  Secret out(std::string(content.data(), filled));
  wipe(content);
  if (filled > limits::kCredentialFileBytesMax)
    return fail(fmt::format("{} is longer than {} bytes", named(path), limits::kCredentialFileBytesMax));
  return out;
}

/// The next line without its end; `rest` moves behind it.
std::string_view take_line(std::string_view& rest) {
  const size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Credentials::Credentials(uid_t owner) : owner_(owner) {}

Result<Secret> Credentials::read(const std::string& path) {
  // O_NONBLOCK: a FIFO put there must not hold the caller up before fstat() can tell.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail_errno(named(path));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(named(path));
  if (auto checked = check_file(path, status, owner_); !checked) return std::unexpected(checked.error());
  const auto nanos = [](const timespec& time) { return time.tv_sec * kNanosPerSecond + time.tv_nsec; };
  const Identity identity{.device = status.st_dev,
                          .inode = status.st_ino,
                          .size = static_cast<uint64_t>(status.st_size),
                          .mtime_ns = nanos(status.st_mtim),
                          .ctime_ns = nanos(status.st_ctim)};
  {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(path);
    if (found != files_.end() && found->second.identity == identity) return found->second.content;
  }
  auto content = read_all(path, fd.get());
  if (!content) return content;
  std::lock_guard lock(mutex_);
  if (files_.size() >= limits::kCredentialFilesMax && !files_.contains(path)) files_.erase(files_.begin());
  files_.insert_or_assign(path, File{identity, *content});
  return content;
}

Result<Credential> Credentials::find(const std::string& path) {
  auto content = read(path);
  if (!content) return std::unexpected(content.error());
  std::string_view rest = content->reveal();
  const std::string_view line = take_line(rest);
  if (rest.find_first_not_of("\r\n \t") != std::string_view::npos)
    return fail(named(path) + " has more than one line", "write one line: user:password, or the password alone");
  const size_t colon = line.find(':');
  const std::string_view password = colon == std::string_view::npos ? line : line.substr(colon + 1);
  if (password.empty() || line.find('\0') != std::string_view::npos)
    return fail(named(path) + " holds no password", "write one line: user:password, or the password alone");
  Credential out;
  if (colon != std::string_view::npos) out.user = std::string(line.substr(0, colon));
  out.password = Secret(std::string(password));
  return out;
}

Result<std::optional<Secret>> Credentials::find_verifier(const std::string& path, const std::string& role) {
  auto content = read(path);
  if (!content) return std::unexpected(content.error());
  std::string_view rest = content->reveal();
  std::optional<Secret> out;
  for (int number = 1; !rest.empty(); ++number) {
    const std::string_view line = take_line(rest);
    if (line.empty() || line.starts_with('#')) continue;
    const size_t separator = line.find(":SCRAM-SHA-256$");
    if (separator == std::string_view::npos || separator == 0)
      return fail(fmt::format("{} line {} is no verifier", named(path), number),
                  "write role:SCRAM-SHA-256$... as in pg_authid.rolpassword");
    if (line.substr(0, separator) != role) continue;
    if (out) return fail(fmt::format("{} lists role `{}` twice", named(path), printable(role)));
    out = Secret(std::string(line.substr(separator + 1)));
  }
  return out;
}

}  // namespace sallyport::node
