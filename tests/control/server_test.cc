// SPDX-License-Identifier: Apache-2.0
// The control API over its real socket, asked by processes of several users and cgroups.
#include "sallyport/control/server.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "sallyport/base/limits.h"
#include "tests/launch/placing_service.h"
#include "tests/launch/runner.h"

namespace sallyport::testing {
namespace {

constexpr uid_t kViewer = 4711, kOperator = 4712, kNobody = 65534;

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) FAIL() << "needs root: makes cgroups and becomes other users";
    folder_ = "/run/sptest-control-" + std::to_string(::getpid());
    ASSERT_TRUE(std::filesystem::create_directory(folder_));
    socket_ = folder_ + "/control.sock";
    service_ = std::make_unique<PlacingService>(
        socket_, control::Roles{{control::Role::viewer, {kViewer}, {}}, {control::Role::operate, {kOperator}, {}}});
    ASSERT_TRUE(service_->running());
  }
  void TearDown() override {
    service_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  Outcome ask(uid_t uid, const Arguments& request, const std::function<void()>& prepare = {}) const {
    Arguments all{CONTROL_ASK, socket_};
    all.insert(all.end(), request.begin(), request.end());
    return Running(uid, all, false, prepare).finish();
  }

  UniqueFd dial() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
  }
  /// Sends `bytes` as root and returns the whole answer.
  std::string raw(const std::string& bytes) const {
    const UniqueFd fd = dial();
    if (::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return "not sent";
    return read_all(fd.get());
  }
  static std::string read_all(int fd) {
    std::string answer(64 << 10, '\0');
    size_t used = 0;
    for (ssize_t count; (count = ::recv(fd, answer.data() + used, answer.size() - used, 0)) > 0;)
      used += static_cast<size_t>(count);
    answer.resize(used);
    return answer;
  }

  std::string folder_, socket_;
  std::unique_ptr<PlacingService> service_;
};

TEST_F(ServerTest, RolesDecideWhoMayAskWhat) {
  struct Row {
    uid_t uid;
    Arguments request;
    bool allowed;
  };
  for (const Row& row : {
           Row{0, {"GET", "/v1/status"}, true},
           Row{kViewer, {"GET", "/v1/status"}, true},
           Row{kOperator, {"GET", "/v1/status"}, true},
           Row{kNobody, {"GET", "/v1/status"}, false},
           Row{kNobody, {"GET", "/v1/agents"}, false},
           Row{kNobody, {"GET", "/v1/flows"}, false},
           Row{kNobody, {"GET", "/v1/policy"}, false},
           Row{kNobody, {"GET", "/v1/doctor"}, false},
           Row{kNobody, {"GET", "/v1/sessions"}, false},
           Row{kNobody, {"GET", "/v1/sessions/x"}, false},
           Row{kViewer, {"GET", "/v1/sessions/x"}, true},
           Row{kViewer, {"POST", "/v1/policy/reload"}, false},
           Row{kOperator, {"POST", "/v1/policy/reload"}, true},
           Row{kNobody, {"POST", "/v1/exec", R"({"agent":"probe"})"}, true},
           Row{kNobody, {"POST", "/v1/exec", R"({"agent":"forbidden"})"}, false},
       }) {
    const Outcome outcome = ask(row.uid, row.request);
    EXPECT_EQ(outcome.code(), row.allowed ? 0 : 1) << row.uid << " " << row.request[1] << ": " << outcome.out;
  }
  EXPECT_EQ(ask(kNobody, {"GET", "/v1/sessions"}).out, "`nobody` does not hold the role `viewer`\n");
}

TEST_F(ServerTest, AGovernedPeerIsRefusedEverything) {
  auto scope = service_->handler().scopes().make("probe");
  ASSERT_TRUE(scope);
  const std::string procs = service_->cgroup2_root() + scope->path + "/cgroup.procs";
  auto enter = [&] { std::ofstream(procs) << 0; };
  for (const Arguments& request : {Arguments{"GET", "/v1/status"},
                                   {"GET", "/v1/sessions"},
                                   {"GET", "/v1/nothing"},
                                   {"POST", "/v1/exec", R"({"agent":"probe"})"},
                                   {"POST", "/v1/exec", R"({"agent":"another"})"},
                                   {"POST", "/v1/policy/reload"}}) {
    for (uid_t uid : {uid_t{0}, kViewer, kNobody})
      EXPECT_EQ(ask(uid, request, enter).out, "agents are refused here\n") << request[1] << " as " << uid;
  }
}

TEST_F(ServerTest, RequestsThatMakeNoSenseAreAnswered) {
  EXPECT_EQ(ask(0, {"GET", "/v1/nothing"}).out, "there is no `/v1/nothing`\n");
  EXPECT_EQ(ask(0, {"POST", "/v1/status"}).out, "`/v1/status` does not take this method\n");
  EXPECT_EQ(ask(0, {"GET", "/v1/sessions?limit=many"}).out, "`limit` is not a number\n");
  EXPECT_EQ(ask(0, {"GET", "/v1/sessions?agent=a%20b&limit=7"}).out, R"({"agent":"a b","limit":7})"
                                                                     "\n");
  EXPECT_EQ(ask(0, {"GET", "/v1/sessions/01J?from=2&limit=99999999"}).out,
            fmt::format(R"({{"from":2,"id":"01J","limit":{}}})", limits::kControlPageMax) + "\n");
  EXPECT_EQ(ask(0, {"GET", "/v1/sessions/none"}).out, "no session `none`\n");
  EXPECT_EQ(ask(0, {"POST", "/v1/exec", "[]"}).code(), 1);
  EXPECT_EQ(ask(0, {"POST", "/v1/exec", R"({"agent":7})"}).code(), 1);
  EXPECT_EQ(ask(0, {"POST", "/v1/exec", R"({"agent":"probe","privileged":true})"}).out,
            "`privileged` is not understood\n");
  EXPECT_TRUE(raw("garbage\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(raw("GET /v1/status HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(ServerTest, OversizedRequestsEndAtTheirLimit) {
  EXPECT_TRUE(raw("GET /v1/status HTTP/1.1\r\nX: " + std::string(limits::kControlHeaderBytesMax, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(raw("POST /v1/exec HTTP/1.1\r\nContent-Length: " + std::to_string(limits::kControlRequestBytesMax + 1) +
                  "\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
  const std::string fits = R"({"agent":")" + std::string(1'000, 'x') + "\"}";
  EXPECT_TRUE(raw("POST /v1/exec HTTP/1.1\r\nContent-Length: " + std::to_string(fits.size()) + "\r\n\r\n" + fits)
                  .starts_with("HTTP/1.1 403 "));  // no agent's name
}

TEST_F(ServerTest, SlowPeersAreCutAndNobodyWaitsForThem) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(dial());
    ASSERT_TRUE(slow.back());
    EXPECT_GT(::send(slow.back().get(), "GET /v1/", 8, 0), 0);
  }
  EXPECT_EQ(ask(0, {"GET", "/v1/status"}).code(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(limits::kControlRequestTimeoutMs));
  for (const UniqueFd& each : slow) EXPECT_TRUE(read_all(each.get()).starts_with("HTTP/1.1 408 "));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(2 * limits::kControlRequestTimeoutMs));
}

TEST_F(ServerTest, OneUserCannotTakeEveryPlace) {
  const std::string flood =
      "import socket, sys\n"
      "held = []\n"
      "for i in range(40):\n"
      "  s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); held.append(s)\n"
      "refused = 0\n"
      "for s in held[16:]:\n"
      "  s.settimeout(60)\n"
      "  refused += s.recv(100).startswith(b'HTTP/1.1 503 ')\n"
      "print('refused', refused, flush=True)\n"
      "sys.stdin.read(1)\n";
  static_assert(limits::kControlPerUidMax == 16 && limits::kControlQueueMax > limits::kControlPerUidMax);
  Running hog(kNobody, {"/usr/bin/python3", "-c", flood, socket_}, true);
  ASSERT_TRUE(hog.expect("refused 24")) << hog.out();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(0, {"GET", "/v1/status"}).code(), 0);
  EXPECT_EQ(ask(kViewer, {"GET", "/v1/status"}).code(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(limits::kControlRequestTimeoutMs));
  hog.type("x\n");
}

TEST_F(ServerTest, AStaleSocketMakesWayALiveOneDoesNot) {
  auto second = control::Server::start({socket_, 0666, {}, 1}, service_->handler());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().what.find("another daemon listens"), std::string::npos);

  const std::string stale = folder_ + "/stale.sock";
  {
    UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, stale.data(), stale.size());
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  auto third = control::Server::start({stale, 0600, {}, 1}, service_->handler());
  ASSERT_TRUE(third) << third.error().what;
  struct stat entry {};
  ASSERT_EQ(::stat(stale.c_str(), &entry), 0);
  EXPECT_EQ(entry.st_mode & 0777, 0600u);
  third->reset();
  EXPECT_FALSE(std::filesystem::exists(stale));
}

}  // namespace
}  // namespace sallyport::testing
