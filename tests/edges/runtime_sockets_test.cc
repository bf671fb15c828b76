// SPDX-License-Identifier: Apache-2.0
// A runtime's API socket: an HTTP server on a Unix socket that answers with what podman 4.3.1's service was seen to
// answer, and with what none should. The real podman: tests/interop/test_podman.py.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "edges/runtimes/api_socket.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/edges/runtimes.h"

namespace sallyport::edges {
namespace {

namespace fs = std::filesystem;
using Is = ApiAnswer::Is;
using model::Workload;
using model::WorkloadKind;

const std::string kId(64, 'a');

/// As podman writes it, cut to what matters.
std::string body_of(const std::string& id) {
  return R"({"Id":")" + id + R"(","Created":"2026-11-24T19:28:54Z","Path":"/bin/sh","Name":"/job","Config":{)" +
         R"("Hostname":"","Image":"docker.io/library/alpine:3","Labels":{"team":"bots","n":1}}})";
}
std::string http(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

int listen_at(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << strerror(errno);
  EXPECT_EQ(listen(fd, 8), 0);
  return fd;
}

class RuntimeSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sallyport-socket-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    path_ = folder_ + "/api.sock";
  }
  void TearDown() override {
    stop_serving();
    fs::remove_all(folder_);
  }

  /// Each connection's request is read, and `answer` of it written; "" holds it open until the test ends.
  void serve(std::function<std::string(const std::string&)> answer) {
    listener_ = listen_at(path_);
    server_ = std::thread([this, answer = std::move(answer)] {
      for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        std::string request;
        char buffer[4096];
        while (request.find("\r\n\r\n") == std::string::npos) {
          const ssize_t count = read(fd, buffer, sizeof buffer);
          if (count <= 0) break;
          request.append(buffer, static_cast<size_t>(count));
        }
        const std::string text = answer(request);
        for (size_t sent = 0; sent < text.size();) {
          const ssize_t count = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
          if (count <= 0) break;
          sent += static_cast<size_t>(count);
        }
        if (text.empty()) {
          held_.push_back(fd);
        } else {
          close(fd);
        }
      }
    });
  }
  void stop_serving() {
    if (!server_.joinable()) return;
    shutdown(listener_, SHUT_RDWR);
    server_.join();
    close(listener_);
    for (int fd : held_) close(fd);
    held_.clear();
  }
  ApiAnswer ask(const std::string& id = kId) { return ask_for_container(path_, id, stop_); }

  std::string folder_, path_;
  std::atomic<bool> stop_ = false;
  int listener_ = -1;
  std::thread server_;
  std::vector<int> held_;
};

TEST_F(RuntimeSocketTest, AsksForTheContainerAndBelievesNothingElse) {
  std::string asked, answer = http(200, body_of(kId));
  serve([&](const std::string& request) {
    asked = request;
    return answer;
  });
  setenv("http_proxy", "http://127.0.0.1:9", 1);  // of no consequence
  ApiAnswer good = ask();
  unsetenv("http_proxy");
  EXPECT_TRUE(asked.starts_with("GET /containers/" + kId + "/json HTTP/1.1\r\n")) << asked;
  ASSERT_EQ(good.is, Is::answered) << good.why;
  EXPECT_EQ(good.body["Config"]["Labels"]["team"], "bots");
  const struct {
    std::string answer, why;
    Is is;
  } rows[] = {
      {http(404, R"({"cause":"no such container"})"), path_ + " knows no container " + kId, Is::useless},
      {http(200, body_of(std::string(64, 'b'))), "is not of container", Is::useless},
      {http(200, "{half"), "is not of container", Is::useless},
      {http(200, "[7]"), "is not of container", Is::useless},
      {http(200, R"({"Id":7})"), "is not of container", Is::useless},
      {http(200, std::string(limits::kRuntimeFileBytesMax + 1, ' ')), "is larger than", Is::useless},
      {"HTTP/1.1 200 X\r\n\r\n" + std::string(limits::kRuntimeFileBytesMax + 1, ' '), "is larger than", Is::useless},
      {http(500, "{}"), "answers with status 500", Is::unreachable},
      {"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", "status 302", Is::unreachable},
      {"no HTTP at all\r\n\r\n", path_, Is::unreachable},
  };
  for (const auto& row : rows) {
    answer = row.answer;
    const ApiAnswer got = ask();
    EXPECT_EQ(got.is, row.is) << row.answer.substr(0, 40);
    EXPECT_NE(got.why.find(row.why), std::string::npos) << got.why;
  }
  for (const char* id : {"", "../x", "AB", "a b"}) EXPECT_EQ(ask(id).is, Is::useless) << id;
}

TEST_F(RuntimeSocketTest, OneThatDoesNotAnswerIsGivenUpInTimeOrAtOnce) {
  serve([](const std::string&) { return std::string(); });
  const int64_t begin_ns = read_clocks().monotonic_ns;
  const ApiAnswer late = ask();
  EXPECT_EQ(late.is, Is::unreachable);
  EXPECT_GE(read_clocks().monotonic_ns - begin_ns, (limits::kRuntimeAnswerMs - 50) * kNanosPerMilli);
  stop_ = true;
  EXPECT_EQ(ask().is, Is::unreachable);
}

TEST_F(RuntimeSocketTest, ASocketThatOthersCouldHavePutThereIsNotAsked) {
  EXPECT_EQ(ask().is, Is::no_socket);
  std::ofstream(path_) << "x";
  EXPECT_NE(ask().why.find("is no socket of root's"), std::string::npos);
  fs::remove(path_);
  serve([](const std::string&) { return http(200, body_of(kId)); });
  EXPECT_EQ(ask().is, Is::answered);
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  EXPECT_NE(ask().why.find("others than root can write in " + folder_), std::string::npos) << ask().why;
  ASSERT_EQ(chmod(folder_.c_str(), 01777), 0);
  EXPECT_EQ(ask().is, Is::answered) << "the sticky bit keeps it";
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  const std::string link = folder_ + "/link.sock";
  fs::create_symlink(path_, link);
  EXPECT_EQ(ask_for_container(link, kId, stop_).is, Is::unreachable) << "the last element is no link";
  ASSERT_EQ(symlink(folder_.c_str(), (folder_ + "/here").c_str()), 0);
  EXPECT_EQ(ask_for_container(folder_ + "/here/api.sock", kId, stop_).is, Is::answered) << "as /var/run leads to /run";
  ASSERT_EQ(geteuid(), 0U) << "giving files away needs root";
  ASSERT_EQ(lchown(path_.c_str(), 65534, 65534), 0);
  EXPECT_NE(ask().why.find("is no socket of root's"), std::string::npos);
  ASSERT_EQ(lchown(path_.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(folder_.c_str(), 65534, 65534), 0);
  EXPECT_NE(ask().why.find("others than root can write"), std::string::npos);
}

TEST_F(RuntimeSocketTest, NorIsOneOnWhichAnotherUserListens) {
  ASSERT_EQ(geteuid(), 0U) << "being somebody else needs root";
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool good = setuid(65534) == 0 && listen(fd, 1) == 0;
    (void)!write(ready[1], good ? "y" : "n", 1);
    pause();
  }
  char word = 0;
  ASSERT_EQ(read(ready[0], &word, 1), 1);
  ASSERT_EQ(word, 'y');
  EXPECT_NE(ask().why.find("uid 65534 listens on " + path_), std::string::npos) << ask().why;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (int each : {fd, ready[0], ready[1]}) close(each);
}

/// The thread that asks, told of containers before and after their runtime answers.
class RuntimeAskerTest : public RuntimeSocketTest {
 protected:
  Workload container(WorkloadKind kind, char digit = 'a') {
    Workload out;
    out.cgroup.kind = kind;
    out.cgroup.container_id = std::string(64, digit);
    out.cgroup.path = std::string("/box-") + digit;
    return out;
  }
  RuntimeFolders folders() {
    return {folder_ + "/docker",     folder_ + "/storage",     folder_ + "/run",
            folder_ + "/containerd", folder_ + "/docker.sock", path_};
  }
  void told(RuntimeAnswer answer) {
    std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    changed_.notify_all();
  }
  bool come(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return answers_.size() >= count; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<RuntimeAnswer> answers_;
};

TEST_F(RuntimeAskerTest, TellsWhatFilesDoNotSayAndAsksAgainOnceTheServiceIsThere) {
  RuntimeSockets sockets(folders(), [this](RuntimeAnswer answer) { told(std::move(answer)); });
  Workload rootless = container(WorkloadKind::podman, 'c'), named = container(WorkloadKind::docker, 'd');
  rootless.cgroup.user = 1000;
  named.name = "web";
  sockets.ask(rootless);
  sockets.ask(named);
  sockets.ask(container(WorkloadKind::podman, 'e'));
  sockets.forget("/box-e");
  for (const RuntimeStatus& each : sockets.status()) EXPECT_EQ(each.waiting, 0U) << each.runtime;
  Workload job = container(WorkloadKind::podman);
  job.name = "from a file";
  sockets.ask(job);
  EXPECT_EQ(sockets.status()[1].waiting, 1U);
  EXPECT_FALSE(sockets.status()[1].socket);
  fs::create_directories(folder_ + "/storage/overlay-containers");
  serve([](const std::string&) { return http(200, body_of(kId)); });
  ASSERT_TRUE(come(1));
  EXPECT_EQ(answers_[0].cgroup_path, "/box-a");
  answers_[0].add_to(job);
  EXPECT_EQ(job.name, "from a file");
  EXPECT_EQ(job.image, "docker.io/library/alpine:3");
  EXPECT_EQ(job.labels, (std::map<std::string, std::string>{{"team", "bots"}})) << "text only";
  const RuntimeStatus status = sockets.status()[1];
  EXPECT_TRUE(status.files && status.socket) << status.trouble;
  EXPECT_EQ(status.runtime, "podman");
}

TEST_F(RuntimeAskerTest, OneThatTheRuntimeFailsOnDoesNotKeepTheOthersWaiting) {
  serve([](const std::string& request) {
    return request.find(kId) != std::string::npos ? http(500, "{}") : http(200, body_of(std::string(64, 'b')));
  });
  RuntimeSockets sockets(folders(), [this](RuntimeAnswer answer) { told(std::move(answer)); });
  sockets.ask(container(WorkloadKind::podman, 'a'));
  sockets.ask(container(WorkloadKind::podman, 'b'));
  ASSERT_TRUE(come(1));
  EXPECT_EQ(answers_[0].cgroup_path, "/box-b");
}

TEST_F(RuntimeAskerTest, EndsWhileItWaits) {
  serve([](const std::string&) { return std::string(); });
  const int64_t begin_ns = read_clocks().monotonic_ns;
  {
    RuntimeSockets sockets(folders(), [this](RuntimeAnswer answer) { told(std::move(answer)); });
    sockets.ask(container(WorkloadKind::podman));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_LT(read_clocks().monotonic_ns - begin_ns, 60 * kNanosPerSecond);
  EXPECT_TRUE(answers_.empty());
}

}  // namespace
}  // namespace sallyport::edges
