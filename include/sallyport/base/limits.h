// SPDX-License-Identifier: Apache-2.0
// Every bound that the outside can reach, by name. Invariant 6: each has a test that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::limits {

// --- SQL text, before the parser sees it (sql/) ---
inline constexpr size_t kSqlTextBytesMax = 1 << 20;
inline constexpr size_t kSqlTokensMax = 200'000;
inline constexpr size_t kSqlNestingMax = 500;  ///< open brackets, CASE and chained operators
inline constexpr size_t kSqlStatementsMax = 1'000;  ///< in one Query message
inline constexpr size_t kSqlEffectsMax = 4'096;

// --- PostgreSQL wire (protocol/postgres, flow/postgres) ---
inline constexpr size_t kPgStartupBytesMax = 10'000;  ///< PostgreSQL's MAX_STARTUP_PACKET_LENGTH
inline constexpr size_t kPgAuthMessageBytesMax = 65'536;  ///< PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH
inline constexpr size_t kPgBufferedMessageBytesMax = 4 << 20;  ///< a message judged or masked whole
inline constexpr size_t kPgMessageBytesMax = 0x3fffffff;  ///< PostgreSQL's PQ_LARGE_MESSAGE_LIMIT
inline constexpr size_t kPgInFlightMax = 65'536;  ///< messages awaiting an answer, one flow
inline constexpr size_t kPgNamesMax = 16'384;  ///< prepared statements and portals, one flow
inline constexpr int kFactRoundsMax = 4;  ///< look-ups for one operation; after that, deny

// --- Flows (flow/, net/) ---
inline constexpr size_t kLegQueueBytesMax = 1 << 20;  ///< queued to one leg; over it the source rests
inline constexpr int64_t kHandshakeTimeoutMs = 15'000;  ///< accept to the end of authentication
inline constexpr int64_t kDialTimeoutMs = 10'000;
inline constexpr int64_t kDetectTimeoutMs = 2'000;  ///< first bytes of a flow nobody listed
inline constexpr int64_t kHoldTimeoutMs = 60'000;
inline constexpr int64_t kSlowPeerTimeoutMs = 60'000;  ///< a full send queue that does not move

// --- Records (record/) ---
inline constexpr size_t kRecordPayloadBytesMax = 1 << 20;
inline constexpr size_t kRecordSegmentBytesMax = 64 << 20;

// --- Policy (policy/) ---
inline constexpr size_t kPolicyFileBytesMax = 4 << 20;
inline constexpr size_t kPolicyDocumentsMax = 10'000;
inline constexpr size_t kPolicyNodesMax = 1'000'000;  ///< YAML values in one load
inline constexpr size_t kPolicyDepthMax = 32;         ///< nesting of YAML values
inline constexpr size_t kPolicyFindingsMax = 100;     ///< diagnostics of one load; the rest is counted
inline constexpr size_t kPolicyScopeEntitlementsMax = 256;  ///< for one agent on one target
inline constexpr size_t kPolicySegmentsMax = 64;      ///< parts of one pattern, or of a name matched with one
inline constexpr size_t kPolicyCausesMax = 16;        ///< named in one Decision
inline constexpr size_t kPolicyHintRulesMax = 8;      ///< rules proposed in one hint

}  // namespace sallyport::limits
