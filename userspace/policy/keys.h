// SPDX-License-Identifier: Apache-2.0
// Every key and word that policy files can use, in one place: the reader proposes from these lists, and a test
// compares them with docs/schema/policy.schema.json and docs/policy.md.
#pragma once

#include <array>
#include <string_view>

namespace sallyport::policy::keys {

using Word = std::string_view;

inline constexpr Word kApiVersion = "sallyport.dev/v1alpha1";
inline constexpr std::array<Word, 6> kKinds = {"Agent", "Target", "Mask", "Entitlement", "Detector", "Issuer"};
inline constexpr std::array<Word, 4> kDocument = {"apiVersion", "kind", "metadata", "spec"};
inline constexpr std::array<Word, 1> kMetadata = {"name"};

inline constexpr std::array<Word, 5> kAgent = {"workload", "token", "owner", "loopback", "minLevel"};
inline constexpr std::array<Word, 4> kToken = {"issuer", "subject", "claims", "file"};
inline constexpr std::array<Word, 6> kWorkload = {"exec", "cgroup", "kubernetes", "docker", "podman", "systemd"};
inline constexpr std::array<Word, 6> kKubernetes = {"namespace", "pod", "uid", "qos", "labels", "serviceAccount"};
inline constexpr std::array<Word, 5> kContainer = {"name", "image", "labels", "id", "user"};  // docker, podman
inline constexpr std::array<Word, 3> kSystemd = {"unit", "slice", "user"};
inline constexpr std::array<Word, 2> kExec = {"name", "users"};
inline constexpr std::array<Word, 2> kLoopback = {"local", "divert"};
inline constexpr std::array<Word, 3> kLevels = {"observe", "guarded", "enforce"};

inline constexpr std::array<Word, 7> kIssuer = {"url", "audience", "jwks", "ca", "algorithms", "skew", "keepKeys"};
/// identity's, which a test compares.
inline constexpr std::array<Word, 10> kAlgorithms = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                                     "PS512", "ES256", "ES384", "ES512", "EdDSA"};

inline constexpr std::array<Word, 11> kTarget = {"protocol", "hosts",     "databases", "users", "tls",   "credential",
                                                 "auth",     "catalogue", "masks",     "token", "record"};
inline constexpr std::array<Word, 2> kTargetToken = {"from", "name"};
/// In the order of TokenFrom, without `file`.
inline constexpr std::array<Word, 3> kTokenFrom = {"password", "authorization", "header"};
inline constexpr std::array<Word, 2> kProtocols = {"postgres", "http"};
inline constexpr std::array<Word, 3> kTls = {"mode", "ca", "agent"};
inline constexpr std::array<Word, 6> kTlsModes = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
inline constexpr std::array<Word, 3> kAgentTls = {"off", "allow", "require"};
inline constexpr std::array<Word, 2> kCredential = {"file", "verifier"};
inline constexpr std::array<Word, 1> kAuth = {"min"};
inline constexpr std::array<Word, 1> kCatalogue = {"credential"};
inline constexpr std::array<Word, 1> kCatalogueCredential = {"file"};
inline constexpr std::array<Word, 4> kAuthMethods = {"none", "password", "md5", "scram-sha-256"};
inline constexpr std::array<Word, 1> kRecord = {"rows"};

inline constexpr std::array<Word, 3> kMask = {"columns", "detect", "keys"};
inline constexpr std::array<Word, 3> kMaskColumn = {"column", "with", "predicates"};
inline constexpr std::array<Word, 2> kPredicates = {"refuse", "allow"};
inline constexpr std::array<Word, 4> kMaskDetect = {"type", "with", "minScore", "regions"};
inline constexpr std::array<Word, 2> kMaskKey = {"name", "file"};
inline constexpr std::array<Word, 1> kDetector = {"patterns"};
inline constexpr std::array<Word, 6> kPattern = {"keywords", "pattern", "ignoreCase", "minEntropy", "score", "context"};
inline constexpr std::array<Word, 2> kSwitch = {"false", "true"};
/// mask::detector_types(), sorted.
inline constexpr std::array<Word, 63> kDetectors = {  // clang-format off
    "api-key", "au-abn", "au-acn", "au-medicare", "au-tfn", "br-cnpj", "br-cpf", "ca-sin", "crypto-address",
    "de-handelsregister", "de-health-insurance", "de-id-card", "de-lanr", "de-passport", "de-social-security",
    "de-tax-id", "de-tax-number", "de-vat-id", "email", "es-nie", "es-nif", "fi-identity-code", "iban", "in-aadhaar",
    "in-gstin", "in-pan", "in-vehicle", "in-voter", "ip-address", "it-fiscal-code", "it-vat-code", "jwt", "kr-brn",
    "kr-driver-license", "kr-frn", "kr-rrn", "mac-address", "ng-nin", "ng-vehicle", "payment-card", "phone",
    "pl-nip", "pl-pesel", "private-key", "se-organisationsnummer", "se-personnummer", "sg-nric", "sg-uen", "th-tnin",
    "tr-license-plate", "tr-national-id", "uk-driving-licence", "uk-nhs", "uk-nino", "uk-vehicle", "url",
    "us-aba-routing", "us-dea", "us-itin", "us-mbi", "us-npi", "us-ssn", "za-id"};
// clang-format on
inline constexpr std::array<Word, 5> kStrategies = {"redact", "partial", "hash", "null", "fixed"};
inline constexpr std::array<Word, 3> kStrategyMaps = {"partial", "hash", "fixed"};
inline constexpr std::array<Word, 1> kPartial = {"keepLast"};
inline constexpr std::array<Word, 1> kHash = {"key"};

inline constexpr std::array<Word, 11> kEntitlement = {"agent",  "target", "allow",  "hold",   "deny",    "masks",
                                                      "reveal", "limits", "window", "review", "baseline"};
inline constexpr std::array<Word, 3> kRule = {"sql", "http", "process"};  // exactly one protocol
inline constexpr std::array<Word, 4> kProcess = {"exe", "sha256", "uid", "gid"};
inline constexpr std::array<Word, 2> kHttpRule = {"methods", "paths"};
inline constexpr std::array<Word, 3> kAccess = {"read", "write", "execute"};
inline constexpr std::array<Word, 5> kLimit = {"count", "max", "per", "over", "then"};
inline constexpr std::array<Word, 3> kCounts = {"rows", "bytes", "statements"};
inline constexpr std::array<Word, 2> kOver = {"agent", "flow"};
inline constexpr std::array<Word, 2> kThen = {"hold", "deny"};
inline constexpr std::array<Word, 2> kWindow = {"from", "until"};
inline constexpr std::array<Word, 4> kReview = {"record", "by", "at", "expires"};
inline constexpr std::array<Word, 2> kBaseline = {"default", "none"};

}  // namespace sallyport::policy::keys
