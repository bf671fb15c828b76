// SPDX-License-Identifier: Apache-2.0
// Below a governed cgroup nobody's sockets are refused from their first moment, enrolled ones go on; cgroups are seen
// as they come and go; an id or a path that is used again is another enrolment.
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "fixture.h"
#include "sallyport/kernel/cgroup_watch.h"

namespace sallyport::kernel::test {
namespace {

std::string make_socket(int family, int type, int protocol) {
  UniqueFd fd(socket(family, type, protocol));
  return outcome(fd ? 0 : -1);
}

class GovernedTest : public KernelTest {};

TEST_F(GovernedTest, NobodysConnectsAreRefusedFromTheFirstMoment) {
  Netns netns;
  uint16_t port = 0;
  auto local = server("127.0.0.1", port);
  Cgroup root(cgroup_path("root"));
  ASSERT_TRUE(kernel_->govern(root.fd()));
  Cgroup nobodys(root.path() + "/nobodys");
  Cgroup below(nobodys.path() + "/below");
  for (const Cgroup* cgroup : {&root, &nobodys, &below}) {
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return dial("10.77.0.1", 5432); }), "connect: ECONNREFUSED");
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return dial("fd77::1", 5432); }), "connect: ECONNREFUSED");
    EXPECT_EQ(as_agent(*cgroup, -1, [&] { return dial("127.0.0.1", port); }), "connect: ECONNREFUSED")
        << "loopback too: nobody knows whose it is";
    EXPECT_EQ(as_agent(*cgroup, -1, [] { return make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }), "EPERM");
    EXPECT_EQ(as_agent(*cgroup, -1, [] { return make_socket(AF_INET, SOCK_DGRAM, 0); }), "EPERM");
    EXPECT_EQ(as_agent(*cgroup, -1, [] { return make_socket(AF_UNIX, SOCK_STREAM, 0); }), "ok");
  }
  EXPECT_EQ(counter("refused_nobodys_connect"), 9u);
  EXPECT_EQ(counter("refused_nobodys_socket"), 6u);
  EXPECT_EQ(as_stranger([&] {
              UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
              auto to = address("127.0.0.1", port);
              return outcome(connect(fd.get(), to.raw(), to.size));
            }),
            "ok")
      << "outside nothing changes";
}

TEST_F(GovernedTest, EnrolledOnesGoOn) {
  Netns netns;
  Cgroup root(cgroup_path("root"));
  Cgroup before(root.path() + "/before"), after(root.path() + "/after");
  auto first = enrol(before, netns.fd());
  ASSERT_TRUE(kernel_->govern(root.fd()));
  auto second = enrol(after, netns.fd());
  Cgroup nested(after.path() + "/nested");
  for (const Cgroup* cgroup : {&before, &after, &nested}) {
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return dial("10.77.0.1", 5432); }), "hello");
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return dial("::ffff:10.77.0.1", 5432); }), "hello");
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return dial("fd77::1", 5432); }), "hello");
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return make_socket(AF_INET, SOCK_DGRAM, 0); }), "ok");
    EXPECT_EQ(as_agent(*cgroup, netns.fd(), [] { return make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); }), "EPERM");
  }
  // A fork, an exec and a move out of it change nothing for a socket that the agent made.
  Cgroup nobodys(root.path() + "/nobodys");
  EXPECT_EQ(as_agent(after, netns.fd(),
                     [&] {
                       UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
                       UniqueFd procs(openat(nobodys.fd(), "cgroup.procs", O_WRONLY));
                       if (write(procs.get(), "0", 1) != 1) return std::string("not moved");
                       auto to = address("10.77.0.1", 5432);
                       const std::string first = outcome(connect(fd.get(), to.raw(), to.size));
                       return first + ", then " + dial("10.77.0.1", 5432);
                     }),
            "ok, then connect: ECONNREFUSED");
  ASSERT_TRUE(kernel_->withdraw(after.id()));
  EXPECT_EQ(as_agent(after, netns.fd(), [] { return dial("10.77.0.1", 5432); }), "connect: ECONNREFUSED")
      << "withdrawn, it is nobody's";
}

TEST_F(GovernedTest, StaysWithoutADaemonAndANextOneTakesOver) {
  Cgroup root(cgroup_path("root"));
  Cgroup nobodys(root.path() + "/nobodys");
  ASSERT_TRUE(kernel_->govern(root.fd()));
  kernel_.reset();
  EXPECT_EQ(as_agent(nobodys, -1, [] { return dial("127.0.0.1", 9); }), "connect: ECONNREFUSED");
  EXPECT_EQ(as_agent(nobodys, -1, [] { return make_socket(AF_INET, SOCK_DGRAM, 0); }), "EPERM");
  kernel_ = open_kernel();
  EXPECT_EQ(kernel_->governed(), std::vector<uint64_t>{root.id()});
  EXPECT_EQ(as_agent(nobodys, -1, [] { return make_socket(AF_INET, SOCK_DGRAM, 0); }), "EPERM");
  ASSERT_TRUE(kernel_->ungovern(root.id()));
  EXPECT_EQ(as_agent(nobodys, -1, [] { return make_socket(AF_INET, SOCK_DGRAM, 0); }), "ok");
  EXPECT_TRUE(kernel_->governed().empty());
}

TEST_F(GovernedTest, TheRootIsNotGoverned) {
  UniqueFd root(open(kernel_->cgroup_root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto refused = kernel_->govern(root.get());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().what, "the root cgroup cannot be governed");
}

TEST_F(GovernedTest, ANewEnrolmentOfTheSamePathIsBornAgain) {
  const std::string path = cgroup_path("again");
  auto listener = kernel_->listen(-1);
  ASSERT_TRUE(listener);
  uint64_t id = 0, birth_ns = 0;
  {
    Cgroup cgroup(path);
    auto first = kernel_->enrol(cgroup.fd(), {.listener = listener->info});
    ASSERT_TRUE(first);
    auto same = kernel_->enrol(cgroup.fd(), {.listener = listener->info, .divert_loopback = true});
    ASSERT_TRUE(same);
    EXPECT_EQ(first->birth_ns, same->birth_ns) << "only the options change";
    id = first->cgroup_id;
    birth_ns = first->birth_ns;
    // A new daemon keeps it.
    kernel_.reset();
    kernel_ = open_kernel();
    ASSERT_EQ(kernel_->enrolments()->size(), 1u);
    EXPECT_EQ(kernel_->enrolments()->at(0).birth_ns, birth_ns);
  }
  ASSERT_EQ(kernel_->enrolments()->size(), 0u) << "gone with its cgroup";
  Cgroup cgroup(path);
  EXPECT_NE(cgroup.id(), id);
  EXPECT_NE(as_agent(cgroup, -1, [] { return dial("127.0.0.1", 9); }), "hello") << "nobody's until it is enrolled";
  EXPECT_EQ(counter("connect_diverted"), 0u);
  listener = kernel_->listen(-1);
  auto second = kernel_->enrol(cgroup.fd(), {.listener = listener->info});
  ASSERT_TRUE(second);
  EXPECT_GT(second->birth_ns, birth_ns);
}

TEST_F(GovernedTest, TheFlowTellsTheEnrolmentAndTheExecutable) {
  Cgroup cgroup(cgroup_path("agent"));
  auto acceptor = enrol(cgroup, -1, {.divert_loopback = true});
  EXPECT_EQ(as_agent(cgroup, -1, [] { return dial("127.0.0.1", 5432); }), "hello");
  const auto flows = acceptor->flows(1);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].birth_ns, kernel_->enrolments()->at(0).birth_ns);
  struct stat self {};
  ASSERT_EQ(stat("/proc/self/exe", &self), 0);
  EXPECT_EQ(flows[0].executable_inode, self.st_ino);
  EXPECT_EQ(flows[0].executable_device, self.st_dev);
}

/// Events until there are `count`, at most 3 s.
std::vector<std::string> events(CgroupWatch& watch, size_t count) {
  constexpr std::string_view kNames[] = {"appeared", "populated", "gone", "lost"};
  std::vector<std::string> out;
  pollfd waiting{watch.fd(), POLLIN, 0};
  while (out.size() < count && poll(&waiting, 1, 3'000) == 1)
    for (const CgroupEvent& event : watch.read())
      out.push_back(fmt::format("{} {}", kNames[static_cast<size_t>(event.kind)], event.path));
  return out;
}

TEST_F(GovernedTest, CgroupsAreSeenAsTheyComeAndGo) {
  Cgroup root(cgroup_path("root"));
  const std::string path = root.path().substr(kernel_->cgroup_root().size());
  auto watch = CgroupWatch::open(kernel_->cgroup_root());
  ASSERT_TRUE(watch);
  ASSERT_TRUE(watch->watch_children(path));
  ASSERT_TRUE(watch->watch_children(path)) << "again: no error";
  EXPECT_EQ(watch->size(), 1u);
  {
    Cgroup child(root.path() + "/child");
    EXPECT_EQ(events(*watch, 1), (std::vector<std::string>{"appeared " + path + "/child"}));
    ASSERT_TRUE(watch->watch_population(path + "/child"));
    EXPECT_EQ(watch->children(path), std::vector<std::string>{"child"});
    as_agent(child, -1, [] { return std::string(); });
    EXPECT_EQ(events(*watch, 1).at(0), "populated " + path + "/child");
  }
  auto last = events(*watch, 1);
  for (int i = 0; i < 3 && (last.empty() || last.back() != "gone " + path + "/child"); ++i) {
    const auto more = events(*watch, 1);
    last.insert(last.end(), more.begin(), more.end());
  }
  EXPECT_EQ(last.back(), "gone " + path + "/child");
  watch->forget(path + "/child");
  watch->forget(path);
  EXPECT_EQ(watch->size(), 0u);
  const auto missing = watch->watch_children(path + "/none");
  ASSERT_FALSE(missing);
}

}  // namespace
}  // namespace sallyport::kernel::test
