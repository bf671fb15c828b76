// SPDX-License-Identifier: Apache-2.0
#include "launch/mounts.h"

#include <fstream>
#include <sstream>

namespace sallyport::launch {
namespace {

/// proc(5): blank, tab, newline and backslash stand as octal escapes.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

/// The part of `path` below `folder`, with its leading '/', or empty when they are the same.
std::string_view below(std::string_view path, std::string_view folder) {
  return folder == "/" ? path : path.substr(folder.size());
}

std::string joined(std::string_view folder, std::string_view rest) {
  return folder == "/" && !rest.empty() ? std::string(rest) : std::string(folder) + std::string(rest);
}

}  // namespace

Result<std::vector<Mount>> read_mounts() {
  std::ifstream file("/proc/self/mountinfo");
  if (!file) return fail("cannot read /proc/self/mountinfo");
  std::vector<Mount> mounts;
  std::string line;
  while (std::getline(file, line)) {
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos) continue;
    std::istringstream head(line), tail(line.substr(separator + 3));
    std::string id, parent;
    Mount mount;
    head >> id >> parent >> mount.device >> mount.root >> mount.point;
    tail >> mount.type;
    mount.root = unescaped(mount.root);
    mount.point = unescaped(mount.point);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

bool is_below(std::string_view path, std::string_view folder) {
  if (folder == "/") return path.starts_with('/');
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::vector<std::string> other_views(const std::vector<Mount>& mounts, std::string_view path) {
  const Mount* home = nullptr;  // the mount that `path` lies in
  for (const Mount& mount : mounts) {
    if (is_below(path, mount.point) && (home == nullptr || mount.point.size() >= home->point.size())) home = &mount;
  }
  std::vector<std::string> views;
  if (home == nullptr) return views;
  const std::string inner = joined(home->root, below(path, home->point));
  for (const Mount& mount : mounts) {
    if (mount.device != home->device) continue;
    std::string view;
    if (is_below(inner, mount.root)) {
      view = joined(mount.point, below(inner, mount.root));
    } else if (is_below(mount.root, inner)) {
      view = mount.point;
    }
    if (!view.empty() && !is_below(view, path)) views.push_back(std::move(view));
  }
  return views;
}

}  // namespace sallyport::launch
