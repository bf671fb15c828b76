// SPDX-License-Identifier: Apache-2.0
// What goes in comes out, in order, however little the socket takes at a time.
#include "net/send_queue.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>

#include "tests/net/harness.h"

namespace sallyport::net {
namespace {

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    left.reset(fds[0]);
    right.reset(fds[1]);
  }
  UniqueFd left, right;
};

TEST(SendQueue, KeepsOrderThroughPartialWrites) {
  Pair pair;
  const int small = 4096;
  setsockopt(pair.left.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  std::mt19937 random(42);
  SendQueue queue;
  std::string in, out;
  char buffer[3000];
  for (int i = 0; i < 3000; ++i) {
    std::string chunk(random() % (i % 50 == 0 ? 20'000 : 300), static_cast<char>('a' + i % 26));
    in += chunk;
    queue.push(std::move(chunk));
    if (i % 3 == 0) {
      ASSERT_GE(queue.write_to(pair.left.get()), 0);
    }
    const ssize_t got = recv(pair.right.get(), buffer, random() % sizeof buffer + 1, MSG_DONTWAIT);
    if (got > 0) out.append(buffer, static_cast<size_t>(got));
    ASSERT_LE(queue.size(), in.size() - out.size());
  }
  while (out.size() < in.size()) {
    ASSERT_GE(queue.write_to(pair.left.get()), 0);
    const ssize_t got = recv(pair.right.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) out.append(buffer, static_cast<size_t>(got));
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(in, out);
}

TEST(SendQueue, TellsAFullSocketFromADeadOne) {
  Pair pair;
  SendQueue queue;
  queue.push(std::string(8 << 20, 'x'));
  EXPECT_GT(queue.write_to(pair.left.get()), 0);
  EXPECT_EQ(queue.write_to(pair.left.get()), 0);
  pair.right.reset();
  EXPECT_EQ(queue.write_to(pair.left.get()), -EPIPE);
  queue.clear();
  EXPECT_EQ(queue.write_to(pair.left.get()), 0) << "nothing to write";
}

}  // namespace
}  // namespace sallyport::net
