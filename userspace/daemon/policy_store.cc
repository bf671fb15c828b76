// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/policy/author.h"

namespace sallyport::daemon {
namespace {

namespace fs = std::filesystem;

bool is_policy_file(const fs::path& path) {
  const std::string extension = path.extension();
  return (extension == ".yaml" || extension == ".yml" || extension == ".json") && !policy::is_test_file(path.string());
}

Result<std::vector<fs::path>> list_policy_files(const std::string& directory) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    if (is_policy_file(it->path())) out.push_back(it->path());
  if (error)
    return fail(fmt::format("policy directory {}: {}", directory, error.message()),
                "make it, or name another with --policy");
  std::ranges::sort(out);
  return out;
}

/// What a change of any file changes: names, sizes, times.
std::string fingerprint_of(const std::string& directory) {
  std::string out;
  auto files = list_policy_files(directory);
  if (!files) return out;
  for (const fs::path& path : *files) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) continue;
    out += fmt::format("{} {} {} {}.{} {}.{}\n", path.string(), status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
  }
  return out;
}

Result<std::shared_ptr<const mask::Masker>> read_mask_keys(const policy::Policy& policy) {
  std::map<std::string, mask::Key> keys;
  for (const policy::MaskKey& key : policy.mask_keys()) {
    std::ifstream file(key.file, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (!file)
      return fail(fmt::format("mask key {}: cannot read {}", key.name, key.file), "make it: head -c 32 /dev/urandom");
    keys.emplace(key.name, mask::make_key(std::move(bytes)));
  }
  return mask::Masker::make(std::move(keys));
}

}  // namespace

Result<std::vector<policy::Source>> read_policy_directory(const std::string& directory) {
  auto files = list_policy_files(directory);
  if (!files) return std::unexpected(files.error());
  std::vector<policy::Source> out;
  for (const fs::path& path : *files) {
    std::error_code error;
    if (fs::file_size(path, error) > limits::kPolicyFileBytesMax)
      return fail(fmt::format("{} is larger than {} bytes", path.string(), limits::kPolicyFileBytesMax), "split it");
    std::ifstream file(path, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (!file) return fail(fmt::format("cannot read {}", path.string()));
    out.push_back({path.string(), std::move(text)});
  }
  return out;
}

PolicyStore::PolicyStore(std::string directory, std::function<void()> changed)
    : directory_(std::move(directory)), changed_(std::move(changed)) {
  names_ = std::make_unique<node::HostNames>([this] { on_addresses(); });
}

Result<> PolicyStore::reload() {
  std::lock_guard one(reload_mutex_);
  fingerprint_ = fingerprint_of(directory_);
  auto load = [&]() -> Result<> {
    auto sources = read_policy_directory(directory_);
    if (!sources) return std::unexpected(sources.error());
    auto loaded = policy::load(
        *sources, {.wall_ns = read_clocks().wall_ns, .epoch = next_epoch(), .check_pattern = mask::check_pattern});
    if (!loaded) {
      const policy::Diagnostic& first = loaded.error().front();
      return fail(fmt::format("{} ({} findings in all)", first.to_string(), loaded.error().size()),
                  fmt::format("run: sallyport policy check {}", directory_));
    }
    for (const policy::Diagnostic& warning : loaded->warnings) spdlog::warn("policy: {}", warning.to_string());
    auto masker = read_mask_keys(*loaded->policy);
    if (!masker) return std::unexpected(masker.error());
    if (auto set = names_->set_names(loaded->policy->host_names()); !set) return std::unexpected(set.error());
    // The first policy is useless before its names are known; later ones keep the addresses they share.
    names_->wait_resolved(facts() ? 0 : 3'000);
    std::lock_guard alone(publish_mutex_);
    publish(loaded->policy, *masker);
    return {};
  };
  auto done = load();
  std::lock_guard lock(mutex_);
  last_error_ = done ? "" : done.error().what;
  if (done)
    spdlog::info("policy: {} is in force, epoch {}", directory_, epoch_);
  else
    spdlog::error("policy: not loaded, {}: {}", facts_ ? "the running one stays" : "nothing is allowed", last_error_);
  return done;
}

void PolicyStore::poll() {
  {
    std::lock_guard one(reload_mutex_);
    if (fingerprint_of(directory_) == fingerprint_) return;
  }
  // A file may be half written: one more look tells whether it has come to rest.
  (void)reload();
}

std::shared_ptr<const flow::Facts> PolicyStore::facts() const {
  std::lock_guard lock(mutex_);
  return facts_;
}

uint64_t PolicyStore::next_epoch() const {
  std::lock_guard lock(mutex_);
  return epoch_ + 1;
}

std::string PolicyStore::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

policy::HostAddresses PolicyStore::addresses() const {
  policy::HostAddresses out;
  const auto snapshot = names_->snapshot();
  for (const auto& [name, resolved] : *snapshot) out[name] = resolved.addresses;
  return out;
}

void PolicyStore::publish(std::shared_ptr<const policy::Policy> policy, std::shared_ptr<const mask::Masker> masker) {
  auto next = std::make_shared<flow::Facts>();
  next->policy = std::move(policy);
  next->masker = std::move(masker);
  next->hosts = addresses();
  {
    std::lock_guard lock(mutex_);
    next->epoch = ++epoch_;
    facts_ = std::move(next);
  }
  loaded_wall_ns_ = read_clocks().wall_ns;
  changed_();
}

/// Names resolve to other addresses: the same policy, new facts.
void PolicyStore::on_addresses() {
  std::lock_guard alone(publish_mutex_);
  const auto current = facts();
  if (current) publish(current->policy, current->masker);
}

}  // namespace sallyport::daemon
