// SPDX-License-Identifier: Apache-2.0
// What the documents say, as plain structs: Agents and Targets for those who enrol and dial, Masks'
// key files for the one who reads them. Everything here is owned by a Policy and lives as long.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/model/address.h"
#include "sallyport/model/principal.h"

namespace sallyport::policy {

/// Where something stands in a policy file; lines and columns count from 1.
struct Place {
  std::string path;
  int line = 0;
  int column = 0;

  /// "billing.yaml:12:5"
  std::string to_string() const;
};

/// One finding about a policy file. `message` is one lower-case line without a full stop; `hint` (may be
/// empty) says what to write instead. Errors keep a policy from loading, warnings do not.
struct Diagnostic {
  std::string path;
  int line = 0;
  int column = 0;
  std::string message;
  std::string hint;
  bool error = true;

  /// "billing.yaml:12:5: error: unknown key `targt`; did you mean `target`?"
  std::string to_string() const;
};

/// How tightly a workload must be held before it may act as an agent (DESIGN.md 4).
enum class Level : uint8_t { observe, guarded, enforce };
std::string_view to_string(Level level);

/// What happens to connections to loopback addresses in a network namespace of the agent's own.
enum class Loopback : uint8_t { local, divert };

/// `exec: NAME` (root only) or `exec: {name: NAME, users: [deploy]}`.
struct ExecWorkload {
  std::string name;
  std::vector<std::string> users;  ///< user names or decimal uids that may become the agent, besides root
  Place where;
};

/// One thing that a `workload` asks for: `namespace: [bots, bots-*]`, `labels: {app: web}`.
struct WorkloadFact {
  std::string name;                 ///< "namespace", "labels.app", "cgroup"
  std::vector<std::string> any_of;  ///< patterns as written
  std::string_view source;          ///< who tells the fact: "the cgroup", "the runtime", "a token"
};

/// An element of `workload` but `exec`: all of its facts must hold.
struct WorkloadSelector {
  model::WorkloadKind kind = model::WorkloadKind::other;  ///< other: `cgroup: /path` and what is under it
  std::vector<WorkloadFact> facts;
  Place where;

  /// "docker {name: [web], labels.app: [a, b]}", "cgroup /bots.slice"
  std::string to_string() const;
};

/// Who signs tokens and how its keys are found.
struct Issuer {
  std::string name;
  std::string url;                       ///< `iss` of its tokens, byte by byte; with discovery an https URL
  std::vector<std::string> audience;     ///< one of them must be in `aud`
  std::string jwks_file;                 ///< its keys in a local file; empty: OpenID discovery below `url`
  std::string ca_file;                   ///< PEM roots for discovery; empty: the system's
  std::vector<std::string> algorithms;   ///< names of RFC 7518; empty: all there are
  int64_t skew_ns = 60'000'000'000;      ///< between its clock and ours
  int64_t keep_ns = 86'400'000'000'000;  ///< how long its last keys count while it is down
  Place where;
};

/// One thing that a token must say: `groups: [billing, "ops-*"]`.
struct ClaimRule {
  std::string pointer;              ///< JSON pointer of the claim
  std::vector<std::string> any_of;  ///< patterns as written
};

/// Which token proves that a workload is the agent.
struct AgentToken {
  std::string issuer;                ///< name of an Issuer
  std::vector<std::string> subject;  ///< patterns as written, one must fit; empty: any
  std::vector<ClaimRule> claims;     ///< each must hold
  std::string file;                  ///< where the workload has it; empty: `exec --token-file` says
  Place where;
  Place issuer_where;
};

struct Agent {
  std::string name;
  std::string owner;
  std::vector<ExecWorkload> exec;
  std::vector<WorkloadSelector> workloads;
  Loopback loopback = Loopback::local;
  Level min_level = Level::enforce;
  std::optional<AgentToken> token;  ///< nothing: the cgroup alone says who it is
  Place where;
};

/// libpq's sslmode, towards the server.
enum class TlsMode : uint8_t { disable, allow, prefer, require, verify_ca, verify_full };
std::string_view to_string(TlsMode mode);

/// Whether the agent may or must speak TLS to Sallyport.
enum class AgentTls : uint8_t { off, allow, require };
std::string_view to_string(AgentTls tls);

/// Authentication methods by strength. A server that asks for a weaker one than a Target's `auth.min`
/// gets nothing.
enum class AuthMethod : uint8_t { none, password, md5, scram_sha_256 };
std::string_view to_string(AuthMethod method);

/// One entry of Target.hosts: a host name or a prefix (an address is a full one), and a port.
struct HostPattern {
  std::string text;  ///< as written
  std::string name;  ///< lower case without a trailing dot; empty: `prefix` counts
  model::Prefix prefix;
  uint16_t port = 0;
  Place where;
};

/// Where an agent shows its token to a Target's flows. `file`: nowhere, the workload's own file tells.
enum class TokenFrom : uint8_t { file, password, authorization, header };

struct Target {
  std::string name;
  std::string protocol;  ///< "postgres"
  std::vector<HostPattern> hosts;
  std::vector<std::string> databases;  ///< patterns as written; empty: any
  std::vector<std::string> users;      ///< patterns as written; empty: any
  TlsMode tls_mode = TlsMode::prefer;
  std::string tls_ca_file;  ///< PEM roots for the server's certificate; empty: the system's
  AgentTls agent_tls = AgentTls::allow;
  std::string credential_file;  ///< "user:password" for the server; empty: none. At most one of these two
  std::string verifier_file;    ///< SCRAM verifiers of roles; empty: none
  /// Default: scram-sha-256 with a credential or verifier, else none (the agent's own password passes through).
  AuthMethod auth_min = AuthMethod::none;
  TokenFrom token_from = TokenFrom::file;
  std::string token_header;               ///< of TokenFrom::header, lower case
  std::string catalogue_credential_file;  ///< "user:password" of the catalogue's side connection; empty: none
  std::vector<std::string> masks;         ///< names of Masks that apply to everybody
  uint32_t record_rows_max = 0;
  Place where;
};

/// A key for `with: {hash: {key: NAME}}`; names are unique in a policy.
struct MaskKey {
  std::string name;
  std::string file;
  Place where;
};

}  // namespace sallyport::policy
