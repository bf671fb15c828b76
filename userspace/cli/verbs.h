// SPDX-License-Identifier: Apache-2.0
// What each verb is told, and the verbs. arguments.cc fills the structs; a verb prints and returns its
// exit code: 0 done, 1 refused or found something, 2 used wrongly (`exec`: see launch/exec.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/daemon/daemon.h"

namespace sallyport::cli {

inline constexpr int kDone = 0;
inline constexpr int kFound = 1;
inline constexpr int kUsage = 2;

/// Options that every verb takes.
struct Common {
  std::string socket{control::kDefaultSocket};
  bool json = false;
};

struct ExecArguments {
  std::string agent;
  std::string token_file;
  bool allow_root = false;
  std::vector<std::string> command;
};

struct PolicyArguments {
  std::string path = "/etc/sallyport/policy";  ///< folder or file
  std::string agent;
  std::string target;  ///< name, or for `new` a URL
  std::string sql;
  std::string http;    ///< "GET /path", instead of sql
  std::string schema;  ///< file of SQL, "live", or empty: relations are plain tables
  std::string dsn;     ///< of the live server
  // Who calls, for `explain`; empty: not stated.
  std::string workload;
  std::string issuer;
  std::string subject;
  std::string exe;
  std::string sha256;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

struct TokenArguments {
  std::string file;  ///< "-": standard input
  std::string policy = "/etc/sallyport/policy";
  std::string now;   ///< empty: now
  std::string jwks;  ///< keys of whichever Issuer; empty: each one's own file
};

struct SessionsArguments {
  std::string records;  ///< folder to read without the daemon; empty: ask the daemon
  std::string id;       ///< or its beginning
  std::string agent;
  std::string target;
  uint32_t limit = 100;
  bool denied_only = false;
  double speed = 1;  ///< replay: 0 does not wait
};

struct MaskArguments {
  std::string masks;                 ///< file or folder of Masks and Detectors; empty: `detect` with `with`
  std::vector<std::string> detect;   ///< types; none: all there are, or all of `masks`
  std::string with = "redact";       ///< strategy of types that `masks` does not name
  std::vector<std::string> regions;  ///< for phone
  double score_min = -1;             ///< not negative: instead of each type's own
};

struct DoctorArguments {
  std::string policy = "/etc/sallyport/policy";
  std::string state = "/var/lib/sallyport";
};

int run_exec(const Common& common, const ExecArguments& arguments);
int run_status(const Common& common);
int run_agents(const Common& common);
int run_agent_show(const Common& common, const std::string& name);
int run_doctor(const Common& common, const DoctorArguments& arguments);
int run_policy_new(const PolicyArguments& arguments);
int run_policy_check(const Common& common, const PolicyArguments& arguments);
int run_policy_test(const Common& common, const PolicyArguments& arguments);
int run_policy_explain(const Common& common, const PolicyArguments& arguments);
int run_policy_token(const Common& common, const TokenArguments& arguments);
int run_policy_reload(const Common& common);
int run_mask_test(const Common& common, const MaskArguments& arguments);
int run_sessions_list(const Common& common, const SessionsArguments& arguments);
int run_sessions_show(const Common& common, const SessionsArguments& arguments);
int run_sessions_replay(const Common& common, const SessionsArguments& arguments);

}  // namespace sallyport::cli
