// SPDX-License-Identifier: Apache-2.0
// The kernel half as the daemon sees it: programs on agents' cgroups, listeners in their network
// namespaces, and the table that tells where an accepted connection was going. The only user of libbpf.
//
// Life of a diverted connection: listen() → enrol() → the agent calls connect() → accept4() on the
// listener → take_flow() → dial_socket(). Everything that diverts is pinned in bpffs, so it outlives
// this process: without a listener of ours agents get ECONNREFUSED, never a direct connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/model/address.h"

namespace sallyport::kernel {

/// How much of an agent's traffic is bound to pass through us. Computed by self_test(), never assumed.
enum class Level : uint8_t {
  observe,  ///< TCP connects are diverted; nothing else is refused
  guarded,  ///< and raw sockets, foreign protocols, egress past us and our ports are refused
  enforce,  ///< and no way around is left open
};
std::string_view to_string(Level level);

/// One line of `sallyport doctor`.
struct ProbeResult {
  std::string name;  ///< "cgroup2", "bpffs", "program cgroup/connect4"
  bool ok = false;
  bool required = true;  ///< false: something is better with it, nothing breaks without
  std::string detail;    ///< what was found
  std::string remedy;    ///< what to do about it; empty when ok
};

/// Tries everything that the kernel path needs on this machine. Changes nothing that stays.
std::vector<ProbeResult> probe();

/// Where cgroup v2 is mounted ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), from /proc/self/mountinfo.
Result<std::string> find_cgroup_root();

/// The id by which kernel and record name a cgroup: the inode number of its directory.
Result<uint64_t> cgroup_id_of(int cgroup_fd);

inline constexpr std::string_view kDefaultPinDir = "/sys/fs/bpf/sallyport";

struct Options {
  std::string pin_dir{kDefaultPinDir};  ///< on bpffs, which is mounted at /sys/fs/bpf when absent
  std::string cgroup_root;              ///< empty: find_cgroup_root()
};

/// What the kernel must know of a listener to divert connections to it.
struct ListenerInfo {
  uint16_t port = 0;          ///< host byte order; the same for IPv4 and IPv6
  uint64_t netns_cookie = 0;  ///< of the namespace it listens in (SO_NETNS_COOKIE)
  /// The addresses that the namespace would use towards the world: what getsockname() shows to a
  /// diverted agent, and local like 127.0.0.1 itself. All zero: none.
  model::IpAddress source_v4;
  model::IpAddress source_v6;
};

/// Two listening, non-blocking sockets on 127.0.0.1 and ::1, marked so that the kernel diverts to
/// them and to nobody else. Closing them makes the agents' connects fail. They keep the network
/// namespace alive.
struct Listener {
  UniqueFd v4;
  UniqueFd v6;  ///< empty where the namespace has no IPv6
  ListenerInfo info;
};

struct EnrolOptions {
  ListenerInfo listener;
  Level level = Level::guarded;
  bool divert_loopback = false;  ///< true when the agent shares the host's network namespace
  uint32_t flow_quota = 0;       ///< connects diverted but not yet taken; 0: limits::kKernelFlowQuota
};

struct Enrolment {
  uint64_t cgroup_id = 0;
  uint32_t workload = 0;  ///< small index, stable while the cgroup stays enrolled; FlowEntry repeats it
  uint64_t birth_ns = 0;  ///< when it was enrolled first, monotonic: an id that is used again is another enrolment
  EnrolOptions options;
};

/// Where an accepted connection was going, and who asked for it.
struct FlowEntry {
  model::Endpoint destination;  ///< original, as the agent meant it
  uint64_t cgroup_id = 0;       ///< the enrolled cgroup, an ancestor or the very cgroup of the socket
  uint32_t workload = 0;
  uint32_t pid = 0;  ///< thread-group id of the connecting task in the initial pid namespace
  uint32_t uid = 0;  ///< in the initial user namespace
  uint32_t gid = 0;
  uint64_t start_ns = 0;           ///< when that process started, since boot; /proc/PID/stat 22 counts in 1/100 s
  uint64_t socket_cookie = 0;      ///< of the agent's socket, unique while the machine runs
  uint64_t birth_ns = 0;           ///< of the enrolment
  uint64_t executable_device = 0;  ///< as makedev(3) has it
  uint64_t executable_inode = 0;   ///< 0: the process has no executable
};

/// A count of something that happened in the kernel half since the pins were made.
struct Counter {
  std::string name;  ///< "connect_diverted", "refused_no_listener", "failed_origin_create"
  uint64_t value = 0;
};

/// One way out that self_test() tried.
struct VectorResult {
  std::string name;  ///< "tcp4", "raw socket", "packet socket"
  bool closed = false;
  std::string detail;  ///< what happened, or what closes it elsewhere
};

struct LevelReport {
  Level level = Level::observe;
  std::vector<VectorResult> vectors;
  std::vector<std::string> open;  ///< names of the vectors that stay open
};

/// Thread-safe: enrol() and withdraw() take a lock, the rest are single system calls.
class Kernel {
 public:
  /// Mounts bpffs if need be, loads the programs and takes over the pins of an earlier process: its
  /// enrolments stay, their programs are swapped for ours. Enrol them again with a new listener.
  static Result<std::unique_ptr<Kernel>> open(const Options& options);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  /// Attaches every program to the cgroup and then tells them the workload. Until that, and whenever a
  /// step fails, the cgroup's connects are refused. For an enrolled cgroup only the options change.
  /// The cgroup may be neither the root, nor an ancestor or descendant of an enrolled one, nor hold us.
  Result<Enrolment> enrol(int cgroup_fd, const EnrolOptions& options);

  /// Detaches every program: what still runs in the cgroup connects directly from now on, so empty it
  /// first. A cgroup that is not enrolled, or gone, is no error.
  Result<void> withdraw(uint64_t cgroup_id);

  /// Puts the tripwire on a cgroup: below it, sockets of cgroups that are not enrolled may be TCP and their connects
  /// are refused with ECONNREFUSED, from the moment they are there. Enrolled ones below go on as they are. Not for the
  /// root.
  Result<void> govern(int cgroup_fd);
  /// Takes it off again. A cgroup that is not governed, or gone, is no error.
  Result<void> ungovern(uint64_t cgroup_id);
  /// Cgroups that are governed now, by us or by the process before us.
  std::vector<uint64_t> governed();

  /// What is enrolled now, by us or by the process before us. Pins of cgroups that are gone are removed.
  Result<std::vector<Enrolment>> enrolments();

  /// Listens in a network namespace (-1: our own) on a free port. The caller polls and accepts.
  Result<Listener> listen(int netns_fd);

  /// Marks a listener that came from another process (SCM_RIGHTS), and tells what it is. v6_fd may be -1.
  Result<ListenerInfo> adopt(int v4_fd, int v6_fd);

  /// Takes the entry of an accepted connection out of the table. No entry: somebody dialled the
  /// listener directly, or the agent's socket is gone already; reset the connection.
  Result<FlowEntry> take_flow(int accepted_fd);

  /// An unconnected, non-blocking TCP socket (AF_INET or AF_INET6) in a network namespace (-1: our own).
  Result<UniqueFd> dial_socket(int netns_fd, int family);

  /// Every counter, in a fixed order.
  std::vector<Counter> counters();

  /// Forks canaries into a scratch cgroup and tries the known ways out. Takes under two seconds. The
  /// children run plain system calls only, so threads of the caller are no trouble.
  Result<LevelReport> self_test();

  const std::string& cgroup_root() const;

 private:
  struct Impl;
  explicit Kernel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Withdraws everything under `pin_dir` and removes it: agents still running connect directly
/// afterwards. For uninstalling and for tests; no daemon may be using it. Absent: no error.
Result<void> remove_pins(const std::string& pin_dir);

}  // namespace sallyport::kernel
