// SPDX-License-Identifier: Apache-2.0
#include "sallyport/kernel/cgroup_watch.h"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace sallyport::kernel {

Result<CgroupWatch> CgroupWatch::open(std::string root) {
  CgroupWatch out;
  out.root_ = std::move(root);
  out.inotify_.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!out.inotify_) return fail_errno("make an inotify instance", "raise fs.inotify.max_user_instances");
  return out;
}

Result<> CgroupWatch::add(const std::string& path, bool population) {
  auto& known = population ? population_ : children_;
  if (known.contains(path)) return {};
  const std::string file = root_ + (path == "/" ? "" : path) + (population ? "/cgroup.events" : "");
  const uint32_t mask = population ? IN_MODIFY : IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR;
  const int number = inotify_add_watch(inotify_.get(), file.c_str(), mask);
  if (number < 0)
    return fail_errno(fmt::format("watch cgroup {}", path), errno == ENOSPC ? "raise fs.inotify.max_user_watches" : "");
  known[path] = number;
  by_number_[number] = {path, population};
  return {};
}

Result<> CgroupWatch::watch_children(const std::string& path) { return add(path, false); }
Result<> CgroupWatch::watch_population(const std::string& path) { return add(path, true); }

void CgroupWatch::forget(const std::string& path) {
  for (auto* known : {&children_, &population_}) {
    const auto found = known->find(path);
    if (found == known->end()) continue;
    inotify_rm_watch(inotify_.get(), found->second);  // of one that is gone: no error that matters
    by_number_.erase(found->second);
    known->erase(found);
  }
}

std::vector<CgroupEvent> CgroupWatch::read() {
  std::vector<CgroupEvent> out;
  alignas(inotify_event) char buffer[64 << 10];
  for (ssize_t size; (size = ::read(inotify_.get(), buffer, sizeof buffer)) > 0;) {
    const inotify_event* event = nullptr;
    for (const char* at = buffer; at < buffer + size; at += sizeof *event + event->len) {
      event = reinterpret_cast<const inotify_event*>(at);
      if (event->mask & IN_Q_OVERFLOW) out.push_back({CgroupEvent::Kind::lost, ""});
      const auto watch = by_number_.find(event->wd);
      if (watch == by_number_.end()) continue;
      const auto& [path, population] = watch->second;
      const std::string name = event->len != 0 ? event->name : "";
      const std::string child = (path == "/" ? "" : path) + "/" + name;
      const bool folder = event->mask & IN_ISDIR && !name.empty();
      if (population && event->mask & IN_MODIFY) out.push_back({CgroupEvent::Kind::populated, path});
      if (folder && event->mask & IN_CREATE) out.push_back({CgroupEvent::Kind::appeared, child});
      if (folder && event->mask & IN_DELETE) out.push_back({CgroupEvent::Kind::gone, child});
      if (event->mask & IN_DELETE_SELF) out.push_back({CgroupEvent::Kind::gone, path});
      if (event->mask & IN_IGNORED) {  // the kernel took the watch away with what it watched
        (population ? population_ : children_).erase(path);
        by_number_.erase(watch);
      }
    }
  }
  return out;
}

std::vector<std::string> CgroupWatch::children(const std::string& path) const {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> open(opendir((root_ + path).c_str()), closedir);
  while (const dirent* entry = open ? readdir(open.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

}  // namespace sallyport::kernel
