// SPDX-License-Identifier: Apache-2.0
// What Tokens needs of a node: a policy directory, an issuer whose keys are a file, and folders that look like cgroups
// with this process in them.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "daemon/tokens.h"
#include "sallyport/base/check.h"
#include "sallyport/base/clock.h"
#include "tests/identity/issuer.h"

namespace sallyport::daemon::test {

inline const identity::test::Signer& signer(int instance = 0) {
  static const identity::test::Signer made[] = {identity::test::Signer("RSA-2048", 0),
                                                identity::test::Signer("RSA-2048", 1)};
  return made[instance];
}

/// A token of the issuer that every Node has.
inline std::string token(std::string_view subject, int64_t seconds = 600, int instance = 0) {
  const int64_t now = read_clocks().wall_ns / kNanosPerSecond;
  return identity::test::make_token(signer(instance), {{"alg", "RS256"}, {"kid", fmt::format("k{}", instance)}},
                                    {{"iss", "corp"}, {"aud", "sallyport"}, {"sub", subject}, {"exp", now + seconds}});
}

/// An Agent that asks for `subject`; `rest`: more of its token.
inline std::string agent(std::string_view name, std::string_view subject, std::string_view rest = "") {
  return fmt::format(
      "---\napiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {{name: {0}}}\n"
      "spec: {{workload: [{{cgroup: /{0}}}], token: {{issuer: corp, subject: {1}{2}}}}}\n",
      name, subject, rest);
}

class Node {
 public:
  explicit Node(const std::string& agents)
      : folder_(std::filesystem::temp_directory_path() / fmt::format("sallyport-tokens-{}-{}", getpid(), count_++)) {
    std::filesystem::create_directories(folder_ / "policy");
    publish_keys({0});
    write_policy(agents);
    policy = std::make_unique<PolicyStore>(folder_ / "policy", [this] {
      if (tokens) tokens->policy_changed();
    });
    tokens = std::make_unique<Tokens>(
        *policy, folder_.string(), [this](uint64_t id) { note([&] { changed.insert(id); }); },
        [this](model::FlowId flow) { note([&] { woken.insert(flow); }); });
    SP_CHECK(policy->reload());
    wait([this] {
      const auto issuers = tokens->issuers();
      return !issuers.empty() && issuers[0].keys != 0;
    });
  }
  ~Node() {
    tokens->stop();
    std::filesystem::remove_all(folder_);
  }

  void write_policy(const std::string& agents) {
    std::ofstream(folder_ / "policy/p.yaml") << fmt::format(
        "apiVersion: sallyport.dev/v1alpha1\nkind: Issuer\nmetadata: {{name: corp}}\n"
        "spec: {{url: corp, audience: sallyport, jwks: {}, skew: 1s}}\n{}",
        (folder_ / "keys.json").string(), agents);
  }
  /// By rename, as one should.
  void publish_keys(const std::vector<int>& instances) {
    nlohmann::json keys = nlohmann::json::array();
    for (int instance : instances) keys.push_back(signer(instance).public_jwk(fmt::format("k{}", instance)));
    std::ofstream(folder_ / "keys.fresh") << nlohmann::json{{"keys", keys}}.dump();
    std::filesystem::rename(folder_ / "keys.fresh", folder_ / "keys.json");
  }
  void put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / (name + ".fresh")) << text;
    std::filesystem::rename(folder_ / (name + ".fresh"), folder_ / name);
  }
  std::string path(const std::string& name) const { return folder_ / name; }

  /// A cgroup with this process in it.
  TokenHolder holder(uint64_t id, std::vector<std::string> agents, std::string file = "") const {
    const std::string cgroup = fmt::format("/c{}", id);
    std::filesystem::create_directories(folder_.string() + cgroup);
    std::ofstream(folder_.string() + cgroup + "/cgroup.procs") << getpid() << '\n';
    return {.cgroup_id = id,
            .agents = std::move(agents),
            .recognised_as = "cgroup:" + cgroup,
            .cgroup_path = cgroup,
            .by_exec = true,
            .file = std::move(file)};
  }
  static flow::Origin origin(uint64_t cgroup_id, model::FlowId flow = 1) {
    flow::Origin out{.id = flow};
    out.principal.cgroup_id = cgroup_id;
    return out;
  }
  /// Waits for `condition`, at most a minute.
  bool wait(const std::function<bool()>& condition) {
    for (int i = 0; i < 12'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  void note(const std::function<void()>& change) {
    std::lock_guard lock(mutex);
    change();
  }
  bool was_woken(model::FlowId flow) {
    std::lock_guard lock(mutex);
    return woken.erase(flow) != 0;
  }
  bool was_changed(uint64_t id) {
    std::lock_guard lock(mutex);
    return changed.erase(id) != 0;
  }

  std::unique_ptr<PolicyStore> policy;
  std::unique_ptr<Tokens> tokens;
  std::mutex mutex;  ///< of the two
  std::set<uint64_t> changed;
  std::set<model::FlowId> woken;

 private:
  static inline int count_ = 0;
  const std::filesystem::path folder_;
};

}  // namespace sallyport::daemon::test
