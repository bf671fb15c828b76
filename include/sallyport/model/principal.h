// SPDX-License-Identifier: Apache-2.0
// Who is calling: what the kernel says about the cgroup, what the runtime's own state adds to it, what a verified token
// says, and the process.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::model {

/// One process above the caller, nearest first.
struct Ancestor {
  uint32_t pid = 0;
  std::string command;  ///< comm
  bool operator==(const Ancestor&) const = default;
};

/// The process that called connect(). The kernel's own words are pid to executable inode; the rest is /proc's, and
/// stands only if /proc agrees with those. Never proof of identity.
struct Process {
  uint32_t pid = 0;  ///< thread-group id in the daemon's pid namespace; 0: not known
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t start_ticks = 0;        ///< field 22 of /proc/PID/stat; 0: not known
  std::string command;             ///< comm
  std::string executable;          ///< path in its own mount namespace; empty: unknown
  uint64_t executable_device = 0;  ///< makedev(3) of the file system
  uint64_t executable_inode = 0;
  std::string executable_doubt;        ///< why the path proves nothing: "it is on FUSE"; empty: it stands
  std::string sha256;                  ///< of the executable, hex; empty: not computed
  std::string sha256_missing;          ///< why it is not: "it is larger than 512 MiB"; empty: it is there
  bool digesting = false;              ///< the SHA-256 comes within moments
  std::vector<std::string> arguments;  ///< argv, secrets masked, cut
  std::string directory;               ///< working directory
  std::vector<Ancestor> parents;
  std::string unknown;  ///< why /proc's words are missing: "the process has gone"; empty: they stand
  bool operator==(const Process&) const = default;
};

/// What kind of thing the first container-level element of a cgroup path is.
enum class WorkloadKind : uint8_t {
  other,       ///< no runtime of ours: the path itself is all there is
  kubernetes,  ///< a pod
  docker,
  podman,
  container,  ///< of containerd or CRI-O, outside of a pod
  systemd,    ///< a unit
  exec,       ///< `sallyport exec`
};
std::string_view to_string(WorkloadKind kind);

/// What the path of a cgroup proves, read from the root down. What a workload can name below its own level is no fact.
struct CgroupFacts {
  WorkloadKind kind = WorkloadKind::other;
  std::string path;                 ///< from the cgroup2 root
  std::string identity;             ///< the beginning of `path` that fixes the identity; empty: the path is malformed
  std::string pod_uid;              ///< lower case, with hyphens; of a static pod 32 hex digits
  std::string qos;                  ///< "guaranteed", "burstable", "besteffort"
  std::string container_id;         ///< 64 hex digits; of a pod, that of the container inside, if the path goes so far
  std::string runtime;              ///< "containerd", "cri-o", "docker", "podman"; empty: the path does not say
  std::string unit;                 ///< "billing.service"
  std::vector<std::string> slices;  ///< outermost first: "bots.slice", "bots-a.slice"
  std::optional<uint32_t> user;     ///< uid of user-UID.slice: all below is that user's own word
  std::string exec;                 ///< name of the agent that `sallyport exec` was asked for
  bool inner = false;               ///< workloads of their own may lie below it
  bool operator==(const CgroupFacts&) const = default;
};

/// Everything that an Agent's `workload` can select on.
struct Workload {
  CgroupFacts cgroup;
  std::string user_name;  ///< login name of cgroup.user; empty: none
  // From the runtime's own state; empty: not known (yet).
  std::string name;
  std::string image;
  std::map<std::string, std::string> labels;
  std::string pod_namespace;
  std::string pod;
  // From a verified token only.
  std::string service_account;
  bool operator==(const Workload&) const = default;
};

/// A verified token's claims, as far as they name somebody.
struct TokenIdentity {
  std::string issuer;  ///< name of the Issuer document; empty: no token
  std::string subject;
  int64_t expires_wall_ns = 0;  ///< 0: never
  bool operator==(const TokenIdentity&) const = default;
};

struct Principal {
  std::string agent;        ///< name in policy; empty: nobody's
  std::string workload;     ///< "exec:billing-bot", "docker:web", "cgroup:/bots.slice": how it was recognised
  uint64_t cgroup_id = 0;   ///< the enrolled cgroup
  std::string cgroup_path;  ///< below the cgroup2 root
  TokenIdentity token;
  Process process;
};

/// "docker:web", "kubernetes:bots/billing-7d9f", "systemd:billing.service": the shortest name that people know it by.
std::string name_of(const Workload& workload);
/// "psql[4711]"; "unknown[4711]" when nobody can say; "psql" without a number.
std::string name_of(const Process& process);
/// The one way in which refusals, explain, sessions and the log name a principal:
/// "billing-bot (exec:billing-bot, corp/system:serviceaccount:bots:billing-bot, psql[4711])".
std::string describe(const Principal& principal);

}  // namespace sallyport::model
