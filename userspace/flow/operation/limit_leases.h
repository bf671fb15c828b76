// SPDX-License-Identifier: Apache-2.0
// What one flow has leased of the limits in force for it. Spending is a decrement; only when a lease is used up is
// the node asked for more (Services::lease). Leases go back when the flow ends and, so that a quiet flow keeps nothing
// from others, a moment after they were taken.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/flow/action.h"
#include "sallyport/flow/services.h"
#include "sallyport/model/decision.h"

namespace sallyport::flow {

class LimitLeases {
 public:
  /// Both outlive this.
  LimitLeases(const Origin& origin, Services& services) : origin_(origin), services_(services) {}

  /// What is in force from now on; leases of limits that stay are kept.
  void set(std::span<const model::Limit> limits, std::string_view target, const Now& now);

  /// A limit that has not enough left, and what to tell.
  struct UsedUp {
    const model::Limit* limit;  ///< until set() is called again
    model::Cause cause;
    std::string hint;
  };

  /// May so many statements run? Then they are counted; a limit of rows or bytes must have something left.
  /// `holds_lifted`: a human let it run in spite of limits that hold.
  std::optional<UsedUp> admit(uint64_t statements, bool holds_lifted, const Now& now, Actions& actions);

  /// Counts part of a result.
  std::optional<UsedUp> spend(uint64_t rows, uint64_t bytes, bool holds_lifted, const Now& now, Actions& actions) {
    for (Leased& leased : leased_) {
      const uint64_t need = leased.limit.count == model::Limit::Count::rows    ? rows
                            : leased.limit.count == model::Limit::Count::bytes ? bytes
                                                                               : 0;
      if (holds_lifted && leased.limit.then == model::Outcome::hold) continue;
      if (leased.left < need)
        if (auto used_up = lease_more(leased, need, now, actions)) return used_up;
      leased.left -= need;
    }
    return std::nullopt;
  }

  /// At a Tick: gives back what was leased long enough ago, and asks for another Tick while anything is leased.
  void give_back_old(const Now& now, Actions& actions);
  void give_back_all(const Now& now);
  bool empty() const { return leased_.empty(); }

 private:
  struct Leased {
    model::Limit limit;
    uint64_t left = 0;
    int64_t until_ns = 0;  ///< monotonic: goes back then; 0: nothing was leased
  };
  std::optional<UsedUp> lease_more(Leased& leased, uint64_t need, const Now& now, Actions& actions);
  void give_back(Leased& leased, const Now& now);

  const Origin& origin_;
  Services& services_;
  std::string target_;
  std::vector<Leased> leased_;
};

}  // namespace sallyport::flow
