// SPDX-License-Identifier: Apache-2.0
#include "edges/process/digests.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <memory>
#include <sstream>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"

namespace sallyport::edges {
namespace {

constexpr int64_t kAtOnceBytesMax = 8 << 20;  // some 5 ms of a worker, once an executable

std::string sha256(int fd) {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return {};
  std::array<char, 128 << 10> buffer;
  ssize_t size = 0;
  for (int64_t offset = 0; (size = pread(fd, buffer.data(), buffer.size(), offset)) > 0; offset += size)
    if (offset > limits::kExecutableBytesMax || EVP_DigestUpdate(context.get(), buffer.data(), size) != 1) return {};
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  if (size < 0 || EVP_DigestFinal_ex(context.get(), digest.data(), &length) != 1) return {};
  std::string out;
  for (unsigned i = 0; i < length; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

/// File systems of this mount namespace: one that a user made in a namespace of his own is not among them.
bool is_mounted_here(uint64_t device) {
  const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, number;
    if (words >> id >> parent >> number && number == wanted) return true;
  }
  return false;
}

}  // namespace

Digests::Digests() : thread_([this] { run(); }) {}

Digests::~Digests() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

/// Of a device that is not there it is asked again: it may be mounted by now.
bool Digests::is_ours(uint64_t device) {
  {
    std::lock_guard lock(mutex_);
    if (devices_.contains(device)) return true;
  }
  if (!is_mounted_here(device)) return false;
  std::lock_guard lock(mutex_);
  if (devices_.size() >= limits::kExecutableDigestsMax) devices_.clear();
  return devices_[device] = true;
}

void Digests::keep(const Key& key, std::string digest) {
  std::lock_guard lock(mutex_);
  if (known_.size() >= limits::kExecutableDigestsMax) known_.clear();
  known_[key] = std::move(digest);
}

Digests::Digest Digests::of(UniqueFd file, uint64_t device) {
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return {.missing = "its executable could not be read"};
  if (status.st_size > limits::kExecutableBytesMax)
    return {.missing = fmt::format("its executable is larger than {} MiB", limits::kExecutableBytesMax >> 20)};
  const Key key{device, status.st_ino, status.st_size,
                status.st_ctim.tv_sec * kNanosPerSecond + status.st_ctim.tv_nsec};
  {
    std::lock_guard lock(mutex_);
    if (known_.contains(key)) return look(key);
    if (status.st_size > kAtOnceBytesMax) {
      if (queue_.size() >= limits::kExecutableDigestsMax)
        return {.missing = "too many executables wait to be digested", .key = key};
      known_[key] = std::nullopt;
      queue_.emplace_back(key, std::move(file));
      changed_.notify_all();
      return look(key);
    }
  }
  keep(key, sha256(file.get()));
  return find(key);
}

Digests::Digest Digests::find(const Key& key) {
  std::lock_guard lock(mutex_);
  return look(key);
}

/// mutex_ is held.
Digests::Digest Digests::look(const Key& key) const {
  const auto found = known_.find(key);
  if (found == known_.end() || !found->second)
    return {.missing = "its executable is still being digested", .pending = true, .key = key};
  if (found->second->empty()) return {.missing = "its executable could not be read", .key = key};
  return {.sha256 = *found->second, .key = key};
}

void Digests::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) return;
    auto [key, file] = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    keep(key, sha256(file.get()));
    lock.lock();
  }
}

}  // namespace sallyport::edges
