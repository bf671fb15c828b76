// SPDX-License-Identifier: Apache-2.0
// Formats: systemd's in cgroup-util.c (slices nest by name, "_" escapes), kubelet's in pkg/kubelet/cm
// (cgroup_manager_linux.go), containers' in runc and crun (`slice:prefix:name` becomes prefix-name.scope).
#include "sallyport/identity/cgroup_facts.h"

#include <algorithm>
#include <charconv>

#include "sallyport/base/limits.h"

namespace sallyport::identity {
namespace {

using model::CgroupFacts;
using model::WorkloadKind;

constexpr size_t kContainerIdDigits = 64;

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_container_id(std::string_view text) { return text.size() == kContainerIdDigits && is_lower_hex(text); }

/// Takes `prefix` and `suffix` off; empty if they are not there.
std::string_view between(std::string_view text, std::string_view prefix, std::string_view suffix) {
  if (text.size() <= prefix.size() + suffix.size() || !text.starts_with(prefix) || !text.ends_with(suffix)) return {};
  return text.substr(prefix.size(), text.size() - prefix.size() - suffix.size());
}

/// 8-4-4-4-12 hex digits, or the 32 of a static pod. systemd's names have `_` for `-`.
std::string pod_uid_of(std::string_view text, char hyphen) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  constexpr size_t kStaticDigits = 32;
  if (text.size() == kStaticDigits && is_lower_hex(text)) return std::string(text);
  if (text.size() != kForm.size()) return {};
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    if (kForm[i] == '-' ? out[i] != hyphen : !is_lower_hex(text.substr(i, 1))) return {};
    out[i] = kForm[i] == '-' ? '-' : out[i];
  }
  return out;
}

/// A decimal uid as systemd writes it: no sign, no leading zero.
std::optional<uint32_t> uid_of(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0')) return {};
  return value;
}

struct ContainerName {
  std::string_view id;  ///< empty: no container's name
  std::string_view runtime;
};

/// "cri-containerd-<id>.scope" and the like.
ContainerName container_scope(std::string_view element) {
  constexpr std::pair<std::string_view, std::string_view> kPrefixes[] = {{"cri-containerd-", "containerd"},
                                                                         {"nerdctl-", "containerd"},
                                                                         {"crio-", "cri-o"},
                                                                         {"docker-", "docker"},
                                                                         {"libpod-", "podman"}};
  for (const auto& [prefix, runtime] : kPrefixes)
    if (const auto id = between(element, prefix, ".scope"); is_container_id(id)) return {id, runtime};
  return {};
}

/// Units that have cgroups. systemd puts "_" before names that the kernel could take for its own files.
std::string_view unit_of(std::string_view element) {
  if (element.starts_with('_')) element.remove_prefix(1);
  for (std::string_view suffix : {".service", ".scope", ".socket", ".mount", ".swap"})
    if (element.size() > suffix.size() && element.ends_with(suffix)) return element;
  return {};
}

class PathReader {
 public:
  PathReader(std::string_view path, const Anchors& anchors) : anchors_(anchors) { facts_.path = path; }

  CgroupFacts read() {
    if (!split()) return std::move(facts_);
    fix(elements_.size());
    facts_.inner = true;
    if (elements_.empty() || read_exec() || read_kubernetes() || read_cgroupfs_containers()) return std::move(facts_);
    read_systemd();
    return std::move(facts_);
  }

 private:
  bool split() {
    std::string_view rest = facts_.path;
    if (!rest.starts_with('/') || rest.size() > limits::kCgroupPathBytesMax) return false;
    if (rest == "/") return true;
    while (!rest.empty()) {
      rest.remove_prefix(1);
      const std::string_view element = rest.substr(0, rest.find('/'));
      const bool control = std::ranges::any_of(element, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
      if (element.empty() || element == "." || element == ".." || control ||
          element.size() > limits::kCgroupNameBytesMax || elements_.size() >= limits::kCgroupDepthMax)
        return false;
      elements_.push_back(element);
      rest.remove_prefix(element.size());
    }
    return true;
  }

  std::string_view at(size_t index) const { return index < elements_.size() ? elements_[index] : std::string_view(); }

  /// The first `count` elements are the identity.
  void fix(size_t count) {
    const char* end = count == 0 ? facts_.path.data() + 1 : elements_[count - 1].data() + elements_[count - 1].size();
    facts_.identity.assign(facts_.path.data(), static_cast<size_t>(end - facts_.path.data()));
  }

  void fix(size_t count, WorkloadKind kind, bool inner = false) {
    fix(count);
    facts_.kind = kind;
    facts_.inner = inner;
  }

  void set_container(const ContainerName& name) {
    facts_.container_id = name.id;
    facts_.runtime = name.runtime;
  }

  /// sallyport.slice/<agent>-<n>.scope, made by the daemon.
  bool read_exec() {
    if (at(0) != "sallyport.slice") return false;
    std::string_view name = between(at(1), "", ".scope");
    const size_t hyphen = name.rfind('-');
    if (hyphen == std::string_view::npos || hyphen == 0 || !uid_of(name.substr(hyphen + 1))) return true;
    facts_.exec = name.substr(0, hyphen);
    fix(2, WorkloadKind::exec);
    return true;
  }

  bool read_kubernetes() {
    if (read_pods_cgroupfs(0) || read_pods_systemd(0, "")) return true;
    for (const std::string& root : anchors_.kubelet_roots) {
      // Cgroupfs driver: the root as it is. systemd driver: each of its elements is a slice.
      size_t count = 0;
      std::string stem;
      bool plain = true, slices = true;
      for (std::string_view rest = root; rest.size() > 1; ++count) {
        rest.remove_prefix(1);
        const std::string_view element = rest.substr(0, rest.find('/'));
        rest.remove_prefix(element.size());
        if (!stem.empty()) stem += '-';
        stem += element;
        plain &= at(count) == element;
        slices &= at(count) == stem + ".slice";
      }
      if (count == 0) continue;
      if ((plain && read_pods_cgroupfs(count)) || (slices && read_pods_systemd(count, stem + "-"))) return true;
    }
    return false;
  }

  /// kubepods[/burstable|/besteffort]/pod<uid>[/<id>|/crio-<id>]
  bool read_pods_cgroupfs(size_t index) {
    if (at(index) != "kubepods") return false;
    std::string_view qos = "guaranteed";
    if (at(++index) == "burstable" || at(index) == "besteffort") qos = at(index++);
    set_pod(index, pod_uid_of(between(at(index), "pod", ""), '-'), qos);
    if (facts_.pod_uid.empty()) return true;
    const std::string_view container = at(index + 1);
    if (is_container_id(container)) set_container({container, ""});
    if (const auto id = between(container, "crio-", ""); is_container_id(id)) set_container({id, "cri-o"});
    return true;
  }

  /// kubepods.slice[/kubepods-burstable.slice]/kubepods-burstable-pod<uid>.slice[/cri-containerd-<id>.scope]
  bool read_pods_systemd(size_t index, const std::string& above) {
    std::string stem = above + "kubepods";
    if (at(index) != stem + ".slice") return false;
    std::string_view qos = "guaranteed";
    ++index;
    for (std::string_view each : {"burstable", "besteffort"}) {
      const std::string inside = stem + "-" + std::string(each);
      if (at(index) != inside + ".slice") continue;
      stem = inside;
      qos = each;
      ++index;
      break;
    }
    set_pod(index, pod_uid_of(between(at(index), stem + "-pod", ".slice"), '_'), qos);
    if (facts_.pod_uid.empty()) return true;
    set_container(container_scope(at(index + 1)));
    return true;
  }

  /// A pod's containers lie inside it: watched, but the pod is the identity.
  void set_pod(size_t index, std::string uid, std::string_view qos) {
    if (uid.empty()) return;
    facts_.pod_uid = std::move(uid);
    facts_.qos = qos;
    fix(index + 1, WorkloadKind::kubernetes, elements_.size() == index + 1);
  }

  /// docker/<id>; libpod_parent[/<pod id>]/libpod-<id>
  bool read_cgroupfs_containers() {
    if (at(0) == "docker") {
      if (!is_container_id(at(1))) return true;
      set_container({at(1), "docker"});
      fix(2, WorkloadKind::docker);
      return true;
    }
    if (at(0) != "libpod_parent") return false;
    const size_t index = is_container_id(at(1)) ? 2 : 1;
    const std::string_view id = between(at(index), "libpod-", "");
    if (!is_container_id(id)) return true;
    set_container({id, "podman"});
    fix(index + 1, WorkloadKind::podman);
    return true;
  }

  void read_systemd() {
    size_t index = 0;
    std::string stem;  // of the slice above: "a-b" for a.slice/a-b.slice
    for (; at(index).ends_with(".slice"); ++index) {
      const std::string_view name = between(at(index), "", ".slice");
      const std::string_view own = stem.empty() ? name : between(name, stem + "-", "");
      if (own.empty() || own.find('-') != std::string_view::npos) return;  // systemd would not put it there
      if (facts_.slices.size() == 1 && facts_.slices[0] == "user.slice") facts_.user = uid_of(own);
      stem = name;
      facts_.slices.emplace_back(at(index));
    }
    const std::string_view unit = unit_of(at(index));
    if (unit.empty()) return;
    facts_.unit = unit;
    if (facts_.slices.empty()) facts_.slices.emplace_back("-.slice");
    const ContainerName container = facts_.user ? ContainerName{} : container_scope(at(index));
    if (!container.id.empty()) {
      set_container(container);
      fix(index + 1, kind_of(container));
      return;
    }
    fix(index + 1, WorkloadKind::systemd);
    if (facts_.user && unit == "user@" + std::to_string(*facts_.user) + ".service") read_rootless(index + 1);
  }

  static WorkloadKind kind_of(const ContainerName& container) {
    if (container.runtime == "docker") return WorkloadKind::docker;
    return container.runtime == "podman" ? WorkloadKind::podman : WorkloadKind::container;
  }

  /// Below user@UID.service everything is the user's own word, and `user` says so. Docker and podman put containers
  /// into user.slice there; that much is told, so that a policy which trusts the user can tell them from a shell.
  void read_rootless(size_t index) {
    facts_.inner = elements_.size() == index;
    if (at(index) != "user.slice") return;
    const std::string_view pod = between(at(index + 1), "user-libpod_pod_", ".slice");
    facts_.inner = elements_.size() == index + 1 || (elements_.size() == index + 2 && is_container_id(pod));
    const size_t last = is_container_id(pod) ? index + 2 : index + 1;
    const ContainerName container = container_scope(at(last));
    if (container.runtime != "docker" && container.runtime != "podman") return;
    set_container(container);
    fix(last + 1, kind_of(container));
  }

  const Anchors& anchors_;
  CgroupFacts facts_;
  std::vector<std::string_view> elements_;  ///< into facts_.path
};

}  // namespace

CgroupFacts read_cgroup_path(std::string_view path, const Anchors& anchors) { return PathReader(path, anchors).read(); }

}  // namespace sallyport::identity
