// SPDX-License-Identifier: Apache-2.0
// Every bound that the outside can reach, by name. Invariant 6: each has a test that reaches it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sallyport::limits {

// --- SQL text, before the parser sees it (sql/) ---
inline constexpr size_t kSqlTextBytesMax = 1 << 20;
inline constexpr size_t kSqlTokensMax = 200'000;
inline constexpr size_t kSqlNestingMax = 500;       ///< open brackets, CASE and chained operators
inline constexpr size_t kSqlStatementsMax = 1'000;  ///< in one Query message
inline constexpr size_t kSqlEffectsMax = 4'096;
inline constexpr size_t kSqlRoutineBytesMax = 256 * 1024;  ///< code of functions looked into for one text
inline constexpr int kSqlRoutineDepthMax = 12;             ///< functions that call functions

// --- PostgreSQL wire (protocol/postgres, flow/postgres) ---
inline constexpr size_t kPgStartupBytesMax = 10'000;           ///< PostgreSQL's MAX_STARTUP_PACKET_LENGTH
inline constexpr size_t kPgAuthMessageBytesMax = 65'536;       ///< PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH
inline constexpr size_t kPgBufferedMessageBytesMax = 4 << 20;  ///< a message judged or masked whole
inline constexpr size_t kPgMessageBytesMax = 0x3fffffff;       ///< PostgreSQL's PQ_LARGE_MESSAGE_LIMIT
inline constexpr size_t kPgSmallMessageBytesMax = 10'000;      ///< PostgreSQL's PQ_SMALL_MESSAGE_LIMIT
inline constexpr uint32_t kScramIterationsMax = 1'000'000;     ///< more would stall a worker: about 0.4 s
inline constexpr size_t kPgInFlightMax = 65'536;               ///< messages awaiting an answer, one flow
inline constexpr size_t kRecordParameterBytesMax = 1'024;      ///< of one Bind value in the record
inline constexpr size_t kPgNamesMax = 16'384;                  ///< prepared statements and portals, one flow
inline constexpr size_t kPgJudgedMax = 64;                     ///< texts whose judgement a flow remembers
inline constexpr size_t kPgJudgedTextBytesMax = 2'048;         ///< of one of them; longer ones are not remembered
inline constexpr int64_t kRecordSameAsMaxAgeMs = 60'000;       ///< an entry stands in full again after that
inline constexpr int64_t kCatalogueFactMaxAgeMs = 1'000;       ///< how long DDL of other sessions may go unseen
inline constexpr int kFactRoundsMax = 16;                      ///< look-ups for one operation; after that, deny

// --- HTTP/1.1 (protocol/http, flow/http) ---
inline constexpr size_t kHttpHeadBytesMax = 64 << 10;  ///< of one message, start line to empty line
inline constexpr size_t kHttpTargetBytesMax = 16 << 10;
inline constexpr size_t kHttpFieldsMax = 256;                    ///< of one header or trailer section
inline constexpr size_t kHttpTrailerBytesMax = 8 << 10;          ///< one trailer section
inline constexpr size_t kHttpChunkExtensionBytesMax = 16 << 10;  ///< skipped, of one body
inline constexpr uint64_t kHttpSkippedBytesMax = 1 << 20;        ///< of a refused request's body; then the end
inline constexpr int kHttpInterimMax = 16;                       ///< 1xx responses to one request
inline constexpr int64_t kHttpHeadTimeoutMs = 60'000;            ///< first byte of a request to the end of its head
inline constexpr int64_t kHttpIdleTimeoutMs = 300'000;           ///< no request, and no target that would close

// --- Flows (flow/, net/) ---
inline constexpr size_t kLegQueueBytesMax = 1 << 20;    ///< queued to one leg; over it the source rests
inline constexpr int64_t kHandshakeTimeoutMs = 15'000;  ///< accept to the end of authentication
inline constexpr int64_t kDialTimeoutMs = 10'000;
inline constexpr int64_t kDetectTimeoutMs = 2'000;  ///< first bytes of a flow nobody listed
inline constexpr int64_t kHoldTimeoutMs = 60'000;
inline constexpr int64_t kSlowPeerTimeoutMs = 60'000;  ///< a full send queue that does not move

// --- Sockets (net/) ---
inline constexpr size_t kLegQueueLowBytes = kLegQueueBytesMax / 4;  ///< under it a resting source reads again
inline constexpr size_t kReadBytesMax = 64 << 10;                   ///< taken from one socket in one turn
inline constexpr int kReadyMax = 64;  ///< sockets served in one turn: with kReadBytesMax, what a turn can gather
inline constexpr int kAcceptsPerTurnMax = 64;  ///< of one listener
inline constexpr size_t kWorkerFlowsMax = 65'536;
inline constexpr size_t kLegsMax = 16;              ///< of one flow
inline constexpr size_t kPostedEventsMax = 65'536;  ///< waiting for one worker
inline constexpr int64_t kFinishTimeoutMs = 5'000;  ///< for queues to go out when a flow ends
inline constexpr int64_t kLingerTimeoutMs = 1'000;  ///< for the peer's last bytes to come in after that
inline constexpr int64_t kAcceptPauseMs = 100;      ///< after accept() found no descriptor left
inline constexpr size_t kTlsContextsMax = 64;       ///< CA files whose roots one worker keeps loaded
inline constexpr size_t kCaFileBytesMax = 8 << 20;

// --- What outlives a flow (node/) ---
inline constexpr size_t kLiveFlowsMax = 1 << 20;
inline constexpr size_t kCancelKeyBytesMax = 256;  ///< PG protocol 3.2: BackendKeyData
inline constexpr size_t kCredentialFileBytesMax = 64 << 10;
inline constexpr size_t kCredentialFilesMax = 4'096;  ///< kept in memory
inline constexpr size_t kHostNamesMax = 4'096;
inline constexpr size_t kAddressesPerNameMax = 256;
inline constexpr int64_t kNameRefreshMs = 10'000;
inline constexpr int64_t kNameKeepMs = 300'000;
inline constexpr size_t kLimitCountersMax = 65'536;
inline constexpr size_t kHoldsMax = 4'096;
inline constexpr size_t kHoldsPerFlowMax = 64;
inline constexpr size_t kLeavesMax = 1'024;
inline constexpr size_t kCataloguesMax = 256;           ///< side connections: one for each server and database
inline constexpr size_t kCataloguePathsMax = 32;        ///< search paths of sessions that one catalogue keeps facts for
inline constexpr size_t kCatalogueNamesMax = 4'096;     ///< facts of one catalogue, over all paths; more: start again
inline constexpr size_t kCatalogueBytesMax = 32 << 20;  ///< what their answers took; more: start again
inline constexpr size_t kCatalogueWantedMax = 256;      ///< names waiting to be asked, one catalogue

// --- Side connections (edges/catalogue) ---
inline constexpr int64_t kCatalogueValidateMs = 450;  ///< between two validations; facts live kCatalogueFactMaxAgeMs
inline constexpr int64_t kCatalogueRestPerWork = 2;   ///< rests so many times as long as a validation took
inline constexpr int64_t kCatalogueUnusedMs = 2'000;  ///< no session looked: nothing is validated
inline constexpr int64_t kCatalogueIdleMs = 60'000;   ///< no session looked: disconnected and forgotten
inline constexpr int64_t kCatalogueConnectTimeoutMs = 5'000;
inline constexpr int64_t kCatalogueAnswerTimeoutMs = 2'000;
inline constexpr int64_t kCatalogueRetryMs = 3'000;           ///< after a failure
inline constexpr size_t kCatalogueAnswerBytesMax = 16 << 20;  ///< look-ups of one validation

// --- Records (record/) ---
inline constexpr size_t kRecordPayloadBytesMax = 1 << 20;
inline constexpr size_t kRecordSegmentBytesMax = 64 << 20;
inline constexpr size_t kRecordReserveBytes = 256 << 10;    ///< ahead of what is written, one worker
inline constexpr int64_t kRecordCheckMs = 10;               ///< between two looks whether the segment was removed
inline constexpr size_t kRecordPendingBytesMax = 8 << 20;   ///< appended, not yet accepted, one worker
inline constexpr size_t kRecordStringBytesMax = 256 << 10;  ///< one string of an entry too large as it is
inline constexpr size_t kRecordSessionsListedMax = 100'000;
inline constexpr size_t kRecordSessionBytesMax = 64 << 20;  ///< payloads loaded for one session
inline constexpr int kRecordNestingMax = 8;                 ///< arrays and maps in a payload

// --- Masks (mask/) ---
inline constexpr size_t kMaskStreamWindowBytes = 16 << 10;  ///< held of a stream; an RSA-8192 PEM key is 6.4 KiB
inline constexpr size_t kMaskFindingsMax = 4'096;           ///< in one value; with more it is masked whole
inline constexpr size_t kMaskDetectorsMax = 256;
inline constexpr size_t kMaskPhoneTriesMax = 1'000;    ///< numbers of one value that libphonenumber is asked about
inline constexpr size_t kMaskPatternBytesMax = 4'096;  ///< of one pattern of a policy
inline constexpr int64_t kMaskPatternMemoryBytesMax = 8 << 20;  ///< RE2's, of one pattern
inline constexpr size_t kMaskKeyBytesMin = 16;
inline constexpr size_t kMaskKeyIdBytesMax = 32;
inline constexpr size_t kMaskArrayElementsMax = 1 << 20;
inline constexpr int kMaskArrayDimensionsMax = 6;  ///< PostgreSQL's MAXDIM

// --- Policy (policy/) ---
inline constexpr size_t kPolicyFileBytesMax = 4 << 20;
inline constexpr size_t kPolicyDocumentsMax = 10'000;
inline constexpr size_t kPolicyNodesMax = 1'000'000;        ///< YAML values in one load
inline constexpr size_t kPolicyDepthMax = 32;               ///< nesting of YAML values
inline constexpr size_t kPolicyFindingsMax = 100;           ///< diagnostics of one load; the rest is counted
inline constexpr size_t kPolicyScopeEntitlementsMax = 256;  ///< for one agent on one target
inline constexpr size_t kPolicySegmentsMax = 64;            ///< parts of one pattern, or of a name matched with one
inline constexpr size_t kPolicyCausesMax = 16;              ///< named in one Decision
inline constexpr size_t kPolicyHintRulesMax = 8;            ///< rules proposed in one hint

// --- Tokens (identity/, edges/jwks, edges/workload_file) ---
inline constexpr size_t kTokenBytesMax = 16 << 10;        ///< in compact form; Kubernetes' are 1 to 2 KiB
inline constexpr size_t kTokenHeaderBytesMax = 8 << 10;   ///< its header, decoded
inline constexpr size_t kTokenJsonDepthMax = 8;           ///< nesting of header, claims and key sets
inline constexpr size_t kTokenClaimsMax = 512;            ///< values of all claims together
inline constexpr size_t kTokenSignatureBytesMax = 1'024;  ///< RSA-8192
inline constexpr size_t kTokenKeyIdBytesMax = 512;
inline constexpr int64_t kTokenSkewMaxS = 300;  ///< between an issuer's clock and ours
inline constexpr size_t kJwksBytesMax = 256 << 10;
inline constexpr size_t kJwksKeysMax = 128;  ///< of one issuer
inline constexpr int kRsaBitsMin = 2'048;    ///< RFC 7518 section 3.3
inline constexpr int kRsaBitsMax = 8'192;    ///< more would stall whoever verifies
inline constexpr size_t kIssuersMax = 256;
inline constexpr int64_t kJwksConnectTimeoutMs = 5'000;
inline constexpr int64_t kJwksAnswerTimeoutMs = 10'000;  ///< one request, name look-up to last byte
inline constexpr int64_t kJwksRefreshMinMs = 60'000;     ///< whatever Cache-Control says
inline constexpr int64_t kJwksRefreshMaxMs = 3'600'000;  ///< nor longer; also where it says nothing
inline constexpr int64_t kJwksUnknownKeyMs = 10'000;     ///< between two fetches for keys nobody knows, one issuer
inline constexpr int64_t kJwksRetryMs = 5'000;           ///< after a failure; doubles up to kJwksRetryMaxMs
inline constexpr int64_t kJwksRetryMaxMs = 300'000;
inline constexpr size_t kJwksUnknownKeysMax = 256;  ///< key ids an issuer was asked for in vain, remembered
inline constexpr int64_t kJwksFilePollMs = 1'000;
inline constexpr int64_t kTokenWaitMs = 5'000;         ///< a new flow for the first token of its workload
inline constexpr int64_t kTokenPollMs = 500;           ///< between two looks at a workload's token
inline constexpr size_t kTokenThreads = 4;             ///< that look
inline constexpr int64_t kTokenReadTimeoutMs = 2'000;  ///< a file of a workload, open to last byte
inline constexpr size_t kTokenReadersMax = 16;         ///< reads at a time, those that hang included
inline constexpr size_t kShownTokensPerFlowMax = 16;   ///< callers of one flow that are told apart by token
inline constexpr size_t kShownTokensKept = 16'384;     ///< verified ones that no flow holds
inline constexpr size_t kShownTokensQueuedMax = 64;    ///< waiting to be verified, one workload
inline constexpr int64_t kShownTokenChecksPerS = 50;   ///< of one workload: ES512 takes 0.7 ms
inline constexpr int64_t kShownTokenChecksBurst = 100;

// --- Kernel path (kernel/, bpf/) ---
inline constexpr uint32_t kKernelFlowQuota = 4'096;  ///< diverted and not yet accepted, one workload
inline constexpr int kListenBacklog = 4'096;         ///< the kernel cuts it to net.core.somaxconn
inline constexpr int kListenPortAttempts = 64;       ///< ports tried until IPv4 and IPv6 are both free

// --- Who is calling (identity/, edges/runtimes, kernel/) ---
inline constexpr size_t kCgroupPathBytesMax = 4'096;        ///< the kernel's PATH_MAX
inline constexpr size_t kCgroupNameBytesMax = 255;          ///< of one element; the kernel's NAME_MAX
inline constexpr size_t kCgroupDepthMax = 64;               ///< elements of a path
inline constexpr size_t kCgroupsMax = 65'536;               ///< known at a time; those above are refused where governed
inline constexpr size_t kPolicyWorkloadFactsMax = 64;       ///< patterns of one fact of one `workload`
inline constexpr size_t kRuntimeFileBytesMax = 4 << 20;     ///< a runtime's own description of one container
inline constexpr size_t kRuntimeLabelsMax = 1'024;          ///< of one container
inline constexpr int64_t kRuntimeAnswerMs = 2'000;          ///< for one question at a runtime's socket
inline constexpr int64_t kRuntimeRestMaxMs = 60'000;        ///< between questions at one that does not answer
inline constexpr size_t kRuntimeQuestionsMax = 4'096;       ///< containers that wait for an answer
inline constexpr size_t kProcessArgumentsBytesMax = 4'096;  ///< of argv, in the record
inline constexpr size_t kProcessParentsMax = 16;            ///< chain of parents, in the record
inline constexpr size_t kProcessesKnownMax = 4'096;         ///< processes whose facts are kept
inline constexpr size_t kExecutableDigestsMax = 1'024;      ///< executables whose SHA-256 is kept
inline constexpr int64_t kExecutableBytesMax = 512LL << 20;  ///< larger ones are not digested
inline constexpr int64_t kDigestWaitMs = 5'000;              ///< a new flow for the SHA-256 that policy asks for
inline constexpr int64_t kDigestLookMs = 20;                 ///< between two looks whether it is there

// --- Control API (control/) ---
inline constexpr size_t kControlHeaderBytesMax = 8 << 10;
inline constexpr size_t kControlRequestBytesMax = 64 << 10;  ///< body of a request
inline constexpr size_t kControlAnswerBytesMax = 64 << 20;   ///< body of an answer, as a client takes it
inline constexpr int64_t kControlRequestTimeoutMs = 3'000;   ///< accept to the last byte of the request
inline constexpr int64_t kControlAnswerTimeoutMs = 10'000;   ///< sending the answer
inline constexpr size_t kControlQueueMax = 128;              ///< connections waiting for a worker
inline constexpr size_t kControlPerUidMax = 16;              ///< connections of one uid but root, queued or served
inline constexpr uint32_t kControlPageMax = 10'000;          ///< entries or sessions in one answer

// --- exec (launch/) ---
inline constexpr size_t kAgentNameBytesMax = 63;
inline constexpr unsigned kExecScopesMax = 4'096;       ///< runs of one agent at a time
inline constexpr size_t kExecHiddenSocketsMax = 4'096;  ///< Unix sockets outside /run that are covered
inline constexpr size_t kExecGroupsMax = 339;           ///< supplementary gids; a gid_map has 340 lines

}  // namespace sallyport::limits
