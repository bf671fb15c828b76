// SPDX-License-Identifier: Apache-2.0
// Starts programs as another user, on pipes or on a terminal of their own, and collects what they say.
#pragma once

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace sallyport::testing {

struct Outcome {
  int status = -1;  ///< wait status
  std::string out;  ///< standard output and error together
  int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
  int signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
};

using Arguments = std::vector<std::string>;

inline void exec_as(uid_t uid, const Arguments& arguments) {
  if (uid != 0) {
    const gid_t extra[] = {uid, 50};  // a supplementary group that must stay true
    if (::setgroups(2, extra) != 0 || ::setgid(uid) != 0 || ::setuid(uid) != 0) ::_exit(99);
  }
  std::vector<char*> list;
  for (const std::string& argument : arguments) list.push_back(const_cast<char*>(argument.c_str()));
  list.push_back(nullptr);
  ::execvp(list[0], list.data());
  ::_exit(98);
}

/// A running program with a pipe or terminal to it.
class Running {
 public:
  Running(uid_t uid, const Arguments& arguments, bool terminal, const std::function<void()>& prepare = {}) {
    int pipe_ends[2] = {-1, -1};
    if (!terminal && ::pipe2(pipe_ends, O_CLOEXEC) != 0) return;
    pid_ = terminal ? ::forkpty(&fd_, nullptr, nullptr, nullptr) : ::fork();
    if (pid_ == 0) {
      if (!terminal) {
        ::dup2(pipe_ends[1], 1);
        ::dup2(pipe_ends[1], 2);
        ::setpgid(0, 0);
      }
      if (prepare) prepare();
      exec_as(uid, arguments);
    }
    if (!terminal) {
      ::setpgid(pid_, pid_);
      ::close(pipe_ends[1]);
      fd_ = pipe_ends[0];
    }
  }
  ~Running() {
    if (pid_ > 0 && !waited_) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (fd_ >= 0) ::close(fd_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& out() const { return out_; }

  /// Reads until `text` has come; false after the time or at the end.
  bool expect(const std::string& text, int timeout_ms = 60'000) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    while (out_.find(text, seen_) == std::string::npos) {
      if (std::chrono::steady_clock::now() > until || !read_some(100)) return false;
    }
    seen_ = out_.find(text, seen_) + text.size();
    return true;
  }
  /// Types `keys` until `text` comes: who should get them may not be there yet.
  bool press(const std::string& keys, const std::string& text) {
    for (int i = 0; i < 60; ++i) {
      type(keys);
      if (expect(text, 1'000)) return true;
    }
    return false;
  }
  void type(const std::string& text) {
    if (::write(fd_, text.data(), text.size()) < 0) ::perror("type");
  }
  /// Next state change: exit, or stop when `stops`.
  int wait(bool stops = false, int timeout_ms = 60'000) {
    int status = -1;
    for (int passed = 0; passed < timeout_ms; passed += 10) {
      const pid_t got = ::waitpid(pid_, &status, WNOHANG | (stops ? WUNTRACED : 0));
      if (got == pid_) {
        waited_ = !WIFSTOPPED(status);
        return status;
      }
      if (!read_some(10)) ::usleep(10'000);
    }
    return -1;
  }
  Outcome finish() {
    Outcome outcome;
    outcome.status = wait();
    for (int i = 0; i < 20 && read_some(100); ++i) {
    }
    outcome.out = out_;
    return outcome;
  }

 private:
  bool read_some(int timeout_ms) {
    pollfd entry{fd_, POLLIN, 0};
    if (::poll(&entry, 1, timeout_ms) <= 0) return !eof_;
    char buffer[4096];
    const ssize_t count = ::read(fd_, buffer, sizeof buffer);
    if (count <= 0) {
      eof_ = true;
      return false;
    }
    out_.append(buffer, static_cast<size_t>(count));
    return true;
  }

  pid_t pid_ = -1;
  int fd_ = -1;
  bool waited_ = false;
  bool eof_ = false;
  std::string out_;
  size_t seen_ = 0;
};

}  // namespace sallyport::testing
