// SPDX-License-Identifier: Apache-2.0
#include "launch/confine.h"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <utility>

#include "sallyport/base/unique_fd.h"

namespace sallyport::launch {
namespace {

/// What `su`, and a server that takes another uid, need. Nothing that reaches the network, other
/// processes, mounts or the kernel.
constexpr int kIdentityCapabilities[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                         CAP_KILL,  CAP_SETGID,       CAP_SETUID};

// Landlock's ABI as of version 6; older headers lack it.
constexpr uint64_t kScopeAbstractUnixSocket = 1;
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};
constexpr int kLandlockVersionWithScopes = 6;
constexpr unsigned kLandlockCreateRulesetVersion = 1;

Result<> scope_abstract_sockets() {
  if (!can_scope_abstract_sockets()) return {};  // doctor and docs/exec.md say that they stay open then
  const RulesetAttributes attributes{0, 0, kScopeAbstractUnixSocket};
  UniqueFd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0)));
  if (!ruleset) return fail_errno("landlock_create_ruleset");
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return fail_errno("landlock_restrict_self");
  return {};
}

Result<> drop_capabilities(bool keep_identity) {
  uint64_t keep = 0;
  for (int capability : kIdentityCapabilities) keep |= keep_identity ? uint64_t{1} << capability : 0;
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
    if ((keep >> capability & 1) == 0 && ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
      return fail_errno("drop a capability from the bounding set");
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return fail_errno("clear ambient capabilities");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (int word = 0; word < 2; ++word)
    data[word].effective = data[word].permitted = static_cast<uint32_t>(keep >> (32 * word));
  if (::syscall(SYS_capset, &header, data) != 0) return fail_errno("drop capabilities");
  return {};
}

/// Collects rules; the first failure stays.
class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release) {}

  template <class... Comparisons>
  void refuse(int error, int call, Comparisons... comparisons) {
    const scmp_arg_cmp list[sizeof...(comparisons) + 1] = {comparisons...};
    note(::seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(static_cast<uint32_t>(error)), call,
                                  sizeof...(comparisons), list));
  }
  void note(int code) {
    if (code < 0 && code_ == 0) code_ = code;
  }
  Result<> load() {
    // A 32-bit program multiplexes its sockets through socketcall(2), whose arguments no filter sees.
    note(::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
    if (code_ == 0) note(::seccomp_load(context_.get()));
    if (code_ == 0) return {};
    errno = -code_;
    return fail_errno("install the seccomp filter", "the kernel needs CONFIG_SECCOMP_FILTER");
  }

 private:
  std::unique_ptr<void, void (*)(void*)> context_;
  int code_ = 0;
};

/// AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK; the kernel reads 32 bits, the filter compares all 64, so
/// whatever is set above makes a family refused, never allowed.
void refuse_families(Filter& filter, int call) {
  constexpr unsigned kAllowed[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
  constexpr unsigned kHighest = AF_NETLINK;
  for (unsigned family = 0; family <= kHighest; ++family) {
    bool allowed = false;
    for (unsigned each : kAllowed) allowed |= each == family;
    if (!allowed) filter.refuse(EAFNOSUPPORT, call, SCMP_A0(SCMP_CMP_EQ, family));
  }
  filter.refuse(EAFNOSUPPORT, call, SCMP_A0(SCMP_CMP_GT, kHighest));
  // NETLINK_ROUTE is what getaddrinfo and getifaddrs ask; the others talk to the host's subsystems.
  filter.refuse(EPROTONOSUPPORT, call, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_NE, 0));
}

}  // namespace

bool can_scope_abstract_sockets() {
  return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kLandlockCreateRulesetVersion) >=
         kLandlockVersionWithScopes;
}

Result<> filter_system_calls(bool io_uring) {
  Filter filter;
  refuse_families(filter, SCMP_SYS(socket));
  refuse_families(filter, SCMP_SYS(socketpair));
  // No user namespace: in one of its own the agent would hold every capability again. clone3 hides its
  // flags behind a pointer; libraries fall back to clone when it does not exist.
  filter.refuse(ENOSYS, SCMP_SYS(clone3));
  filter.refuse(EPERM, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
  filter.refuse(EPERM, SCMP_SYS(unshare), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
  filter.refuse(EPERM, SCMP_SYS(setns));
  // Typing into the caller's terminal: the shell outside would read it once the command has ended.
  for (unsigned request : {TIOCSTI, TIOCLINUX})
    filter.refuse(EPERM, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, request));
  // Pinned maps, and upcalls that let a root helper ask a name server.
  for (int call : {SCMP_SYS(bpf), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl)})
    filter.refuse(EPERM, call);
  if (!io_uring) filter.refuse(ENOSYS, SCMP_SYS(io_uring_setup));
  return filter.load();
}

Result<> confine(const ConfineOptions& options) {
  if (auto done = drop_capabilities(options.keep_identity_capabilities); !done) return done;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("set no_new_privs");
  if (auto done = scope_abstract_sockets(); !done) return done;
  return filter_system_calls(options.io_uring);
}

}  // namespace sallyport::launch
