// SPDX-License-Identifier: Apache-2.0
#include "flow/operation/limit_leases.h"

#include <fmt/core.h>

#include <algorithm>

namespace sallyport::flow {
namespace {

constexpr int64_t kLeaseMax = kNanosPerSecond;  ///< how long a quiet flow may keep something from others

/// No longer than a step of the sliding window (node::LimitCounters), or what is spent late would not be seen.
int64_t lease_time_ns(const model::Limit& limit) { return std::min(limit.per_ns / 60, kLeaseMax); }

/// "42 s", "12 min", "3 h 5 min": rounded up.
std::string rough_duration(int64_t ns) {
  const int64_t seconds = std::max<int64_t>((ns + kNanosPerSecond - 1) / kNanosPerSecond, 1);
  if (seconds < 120) return fmt::format("{} s", seconds);
  const int64_t minutes = (seconds + 59) / 60;
  if (minutes < 120) return fmt::format("{} min", minutes);
  return fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

/// `unspent`: of what is used, what this flow has leased and not spent.
std::string describe_use(const model::Limit& limit, const Lease& lease, uint64_t unspent, uint64_t need,
                         const Now& now) {
  const uint64_t used = lease.used - std::min(unspent, lease.used);
  std::string out = fmt::format("{} of {} are used", std::min(used, limit.max), model::describe(limit));
  if (limit.over == model::Limit::Over::agent) out += ", over all connections of the agent";
  if (need > 1 && used < limit.max) out += fmt::format(", and {} more are needed", need);
  if (lease.frees_at_monotonic_ns != 0)
    out +=
        fmt::format("; the first are free again in {}", rough_duration(lease.frees_at_monotonic_ns - now.monotonic_ns));
  return out;
}

}  // namespace

void LimitLeases::set(std::span<const model::Limit> limits, std::string_view target, const Now& now) {
  if (leased_.empty() && limits.empty()) return;
  std::vector<Leased> next;
  for (const model::Limit& limit : limits) next.push_back({limit});
  for (Leased& old : leased_) {
    auto same = std::ranges::find_if(next, [&](const Leased& each) { return each.limit == old.limit; });
    if (same != next.end() && target_ == target)
      *same = old;
    else
      give_back(old, now);
  }
  leased_ = std::move(next);
  target_ = target;
}

std::optional<LimitLeases::UsedUp> LimitLeases::admit(uint64_t statements, bool holds_lifted, const Now& now,
                                                      Actions& actions) {
  const auto counts = [](const Leased& leased) { return leased.limit.count == model::Limit::Count::statements; };
  const auto lifted = [&](const Leased& leased) { return holds_lifted && leased.limit.then == model::Outcome::hold; };
  for (Leased& leased : leased_) {
    const uint64_t need = counts(leased) ? statements : 1;
    if (leased.left >= need || lifted(leased)) continue;
    if (auto used_up = lease_more(leased, need, now, actions)) return used_up;
  }
  for (Leased& leased : leased_)
    if (counts(leased) && !lifted(leased)) leased.left -= statements;
  return std::nullopt;
}

std::optional<LimitLeases::UsedUp> LimitLeases::lease_more(Leased& leased, uint64_t need, const Now& now,
                                                           Actions& actions) {
  const model::Limit& limit = leased.limit;
  auto lease = services_.lease(origin_, target_, limit, need - leased.left, now);
  if (lease && lease->granted != 0) {
    if (leased.until_ns == 0) {
      leased.until_ns = now.monotonic_ns + lease_time_ns(limit);
      actions.add(Wake{leased.until_ns});
    }
    leased.left += lease->granted;
    return std::nullopt;
  }
  std::string text = lease ? describe_use(limit, *lease, leased.left, need, now) : lease.error().what;
  return UsedUp{&limit,
                {.rule = limit.rule, .text = std::move(text), .where = limit.where},
                fmt::format("# wait, or raise `max` of {} ({})", limit.rule, limit.where)};
}

void LimitLeases::give_back_old(const Now& now, Actions& actions) {
  for (Leased& leased : leased_) {
    if (leased.until_ns == 0) continue;
    if (now.monotonic_ns >= leased.until_ns)
      give_back(leased, now);
    else
      actions.add(Wake{leased.until_ns});
  }
}

void LimitLeases::give_back_all(const Now& now) {
  for (Leased& leased : leased_) give_back(leased, now);
}

void LimitLeases::give_back(Leased& leased, const Now& now) {
  if (leased.left != 0) services_.give_back(origin_, target_, leased.limit, leased.left, now);
  leased.left = 0;
  leased.until_ns = 0;
}

}  // namespace sallyport::flow
