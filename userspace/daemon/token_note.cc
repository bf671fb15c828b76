// SPDX-License-Identifier: Apache-2.0
#include "daemon/token_note.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <sys/xattr.h>

#include <sstream>

namespace sallyport::daemon {
namespace {

constexpr const char* kAttribute = "trusted.sallyport.token";

}  // namespace

Result<> write_token_note(const std::string& cgroup_directory, const TokenNote& note) {
  const std::string text = fmt::format("{} {} {} {} {}", note.user.uid, note.user.gid, note.user.groups.size(),
                                       fmt::join(note.user.groups, " "), note.file);
  if (setxattr(cgroup_directory.c_str(), kAttribute, text.data(), text.size(), 0) != 0)
    return fail_errno(fmt::format("note the token file on {}", cgroup_directory));
  return {};
}

std::optional<TokenNote> read_token_note(const std::string& cgroup_directory) {
  std::string text(64 << 10, '\0');  // the kernel's XATTR_SIZE_MAX
  const ssize_t size = getxattr(cgroup_directory.c_str(), kAttribute, text.data(), text.size());
  if (size <= 0) return {};
  text.resize(static_cast<size_t>(size));
  std::istringstream in(text);
  TokenNote out;
  size_t groups = 0;
  if (!(in >> out.user.uid >> out.user.gid >> groups) || groups > text.size()) return {};
  out.user.groups.resize(groups);
  for (gid_t& group : out.user.groups)
    if (!(in >> group)) return {};
  in >> std::ws;
  std::getline(in, out.file, '\0');
  if (!out.file.starts_with('/')) return {};
  return out;
}

}  // namespace sallyport::daemon
