// SPDX-License-Identifier: Apache-2.0
#include "edges/runtimes/state_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>

#include "sallyport/base/limits.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::edges {

Result<std::optional<nlohmann::json>> read_state_file(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0) return fail_errno(path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) != 0)
    return fail(fmt::format("{} is no file that only root can write", path), "see who made it");
  if (static_cast<size_t>(status.st_size) > limits::kRuntimeFileBytesMax)
    return fail(fmt::format("{} is larger than {} bytes", path, limits::kRuntimeFileBytesMax));
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t used = 0;
  while (used < text.size()) {
    const ssize_t count = read(file.get(), text.data() + used, text.size() - used);
    if (count < 0) return fail_errno(path);
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  text.resize(used);
  auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return fail(fmt::format("{} is no JSON", path), "it may be half written: looked at again");
  return parsed;
}

std::string text_at(const nlohmann::json& value, std::string_view path) {
  const nlohmann::json* at = &value;
  for (size_t slash = 0; slash != std::string_view::npos;) {
    slash = path.find('/');
    if (!at->is_object()) return {};
    const auto found = at->find(std::string(path.substr(0, slash)));
    if (found == at->end()) return {};
    at = &*found;
    if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  }
  return at->is_string() ? at->get<std::string>() : std::string();
}

std::map<std::string, std::string> labels_of(const nlohmann::json& value) {
  std::map<std::string, std::string> out;
  if (!value.is_object()) return out;
  for (const auto& [key, text] : value.items())
    if (text.is_string() && out.size() < limits::kRuntimeLabelsMax) out.emplace(key, text.get<std::string>());
  return out;
}

}  // namespace sallyport::edges
