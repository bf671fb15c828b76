// SPDX-License-Identifier: Apache-2.0
// What policy says about an operation, why, and what goes with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::model {

enum class Outcome : uint8_t { allow, hold, deny };
std::string_view to_string(Outcome outcome);

/// How a value is made unreadable. `null` gives SQL NULL, `fixed` a constant.
enum class MaskStrategy : uint8_t { redact, partial, hash, null, fixed };
std::string_view to_string(MaskStrategy strategy);

struct MaskSpec {
  MaskStrategy strategy = MaskStrategy::redact;
  std::string fixed;       ///< for fixed
  uint32_t keep_last = 4;  ///< for partial, in characters
  std::string key;         ///< for hash: name of the key file's key
  bool operator==(const MaskSpec&) const = default;
};

/// Mask one column wherever it comes from. `relation` is schema-qualified and folded.
struct ColumnMask {
  std::string mask;      ///< name of the Mask document
  std::string relation;  ///< "schema.name", never quoted
  std::string column;
  MaskSpec with;
  bool predicates = false;  ///< statements may test the column: compare, join, group, sort by it
  bool operator==(const ColumnMask&) const = default;
};

/// A shape that a policy adds to the detectors' own (kind Detector).
struct DetectPattern {
  std::string name;
  std::vector<std::string> keywords = {};  ///< every match begins with one of them
  std::string pattern = {};                ///< RE2, anchored where a keyword stands; group 1, if any, is the secret
  bool ignore_case = false;
  double entropy_min = 0;                 ///< Shannon bits a byte of the secret, at least
  double score = 0.9;                     ///< 0 to 1
  std::vector<std::string> context = {};  ///< words before it that add to the score
  bool operator==(const DetectPattern&) const = default;
};

/// Mask what a detector finds in any other text value.
struct DetectMask {
  std::string mask;
  std::string type;  ///< mask::detector_types(), or the name of a Detector, which then has patterns
  MaskSpec with;
  double min_score = 0.5;                    ///< findings below it are left alone
  std::vector<std::string> regions = {};     ///< for phone: countries whose own way of writing counts; empty: some
  std::vector<DetectPattern> patterns = {};  ///< of a Detector
  bool operator==(const DetectMask&) const = default;
};

/// At most `max` of what is counted in a sliding `per_ns`; whoever releases operations counts.
struct Limit {
  enum class Count : uint8_t { rows, bytes, statements };
  enum class Over : uint8_t { agent, flow };  ///< all flows of the agent on this target together, or each by itself
  Count count = Count::rows;
  Over over = Over::agent;
  Outcome then = Outcome::deny;  ///< hold or deny
  uint64_t max = 0;
  int64_t per_ns = 0;
  std::string rule;   ///< "billing-bot-invoices.limits[0]"
  std::string where;  ///< "file:line:column"
  bool operator==(const Limit&) const = default;
};
std::string_view to_string(Limit::Count count);
std::string_view to_string(Limit::Over over);
/// "10000 rows per 1h": the words of policy.
std::string describe(const Limit& limit);

/// What must be done with an allowed operation.
struct Obligations {
  std::vector<ColumnMask> columns;
  std::vector<DetectMask> detect;
  uint32_t record_rows_max = 0;  ///< masked result rows kept in the record; 0: counts only
  std::vector<Limit> limits;     ///< one for each count, over and per: the least
  bool empty() const { return columns.empty() && detect.empty() && record_rows_max == 0 && limits.empty(); }
};

/// A rule, or the want of one, that made the decision.
struct Cause {
  std::string rule;   ///< "billing-bot-invoices.deny[0]", "baseline.catalogue", "no rule"
  std::string text;   ///< one line in words
  std::string where;  ///< "file:line:column", or empty
};

struct Decision {
  Outcome outcome = Outcome::deny;
  std::vector<Cause> causes;  ///< never empty
  Obligations obligations;
  std::string hint;             ///< the smallest YAML rule that would allow what was refused
  int64_t expires_wall_ns = 0;  ///< re-judge no later than this; 0: only on change
  uint64_t policy_epoch = 0;
};

}  // namespace sallyport::model
