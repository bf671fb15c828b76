// SPDX-License-Identifier: Apache-2.0
// Entitlements: rules, limits, windows, reviews.
#include <fmt/core.h>

#include "keys.h"
#include "parse.h"
#include "sallyport/base/clock.h"

namespace sallyport::policy {
namespace {

constexpr std::string_view kWhat = "spec of an Entitlement";

void parse_rules(const Node& node, model::Outcome outcome, Entitlement& out, Reader& reader) {
  const std::string_view word = model::to_string(outcome);
  size_t index = 0;
  for (const Node& item : reader.list(node, word)) {
    auto rule = std::make_unique<Rule>();
    rule->name = fmt::format("{}.{}[{}]", out.name, word, index++);
    rule->text = fmt::format("{}: [{}]", word, flow_text(item));
    rule->place = reader.place(item);
    rule->where = rule->place.to_string();
    rule->outcome = outcome;
    if (!reader.is_map(item, "a rule", keys::kRule)) continue;
    const Node* process = item.find("process");
    if (item.entries.size() != (process ? 2u : 1u)) {
      reader.wrong(item, "a rule has exactly one protocol key", "write - sql: {statements: [select]}");
      continue;
    }
    if (const Node* sql = item.find("sql")) rule->sql = parse_sql_rule(*sql, outcome, reader);
    if (const Node* http = item.find("http")) rule->http = parse_http_rule(*http, reader);
    if (process) rule->process = parse_process_rule(*process, outcome, reader);
    out.rules.push_back(std::move(rule));
  }
}

void parse_references(const Node& spec, std::string_view key, std::vector<Reference>& out, Reader& reader) {
  const Node* node = reader.get(spec, key, kWhat);
  if (!node) return;
  for (const Node& item : reader.list(*node, key)) out.push_back({reader.text(item, key), reader.place(item)});
}

std::optional<model::Limit> parse_limit(const Node& node, Reader& reader) {
  constexpr uint64_t kMaxMax = 1'000'000'000'000'000;
  model::Limit out;
  if (!reader.is_map(node, "a limit", keys::kLimit)) return {};
  const Node* count = reader.get(node, "count", "a limit", true);
  const Node* max = reader.get(node, "max", "a limit", true);
  const Node* per = reader.get(node, "per", "a limit", true);
  const Node* over = reader.get(node, "over", "a limit");
  const Node* then = reader.get(node, "then", "a limit");
  const auto count_index = count ? reader.word(*count, "count", keys::kCounts) : std::nullopt;
  const auto max_value = max ? reader.number(*max, "max", kMaxMax) : std::nullopt;
  const auto per_ns = per ? reader.duration(*per, "per") : std::nullopt;
  const auto over_index = over ? reader.word(*over, "over", keys::kOver) : 0;
  const auto then_index = then ? reader.word(*then, "then", keys::kThen) : 1;
  if (!count_index || !max_value || !per_ns || !over_index || !then_index) return {};
  out.count = static_cast<model::Limit::Count>(*count_index);
  out.max = *max_value;
  out.per_ns = *per_ns;
  out.over = static_cast<model::Limit::Over>(*over_index);
  out.then = *then_index == 0 ? model::Outcome::hold : model::Outcome::deny;
  return out;
}

void parse_limits(const Node& node, Entitlement& out, Reader& reader) {
  size_t index = 0;
  for (const Node& item : reader.list(node, "limits")) {
    auto limit = parse_limit(item, reader);
    if (!limit) continue;
    limit->rule = fmt::format("{}.limits[{}]", out.name, index++);
    limit->where = reader.place(item).to_string();
    out.limits.push_back(std::move(*limit));
  }
}

void parse_window(const Node& node, Entitlement& out, Reader& reader) {
  if (!reader.is_map(node, "window", keys::kWindow)) return;
  const Node* from = reader.get(node, "from", "window");
  const Node* until = reader.get(node, "until", "window");
  if (!from && !until) reader.wrong(node, "a window without from or until", "leave it out, or say when");
  if (from) out.from_ns = reader.time(*from, "window.from").value_or(kForever);
  if (until) out.until_ns = reader.time(*until, "window.until").value_or(kAlways);
  if (from && until && out.from_ns != kForever && out.until_ns != kAlways && out.from_ns >= out.until_ns)
    reader.wrong(*until, "window.until is not after window.from");
  const std::string where = reader.place(node).to_string();
  const auto rule = [&](std::string text) { return NamedRule{out.name + ".window", std::move(text), where}; };
  if (from && out.from_ns != kForever)
    out.early = rule(fmt::format("grants nothing before {}", format_time(out.from_ns)));
  if (until && out.until_ns != kAlways)
    out.late = rule(fmt::format("grants nothing since {}", format_time(out.until_ns)));
}

void parse_review(const Node& node, Entitlement& out, Reader& reader) {
  if (!reader.is_map(node, "review", keys::kReview)) return;
  if (const Node* record = reader.get(node, "record", "review")) reader.text(*record, "review.record");
  if (const Node* by = reader.get(node, "by", "review", true)) reader.text(*by, "review.by");
  const Node* at = reader.get(node, "at", "review", true);
  const Node* expires = reader.get(node, "expires", "review", true);
  const auto at_ns = at ? reader.time(*at, "review.at") : std::nullopt;
  const auto expires_ns = expires ? reader.time(*expires, "review.expires") : std::nullopt;
  out.expires_ns = expires_ns.value_or(kAlways);
  if (at_ns && expires_ns && *at_ns >= *expires_ns) reader.wrong(*expires, "review.expires is not after review.at");
  if (expires_ns)
    out.lapsed = {out.name + ".review",
                  fmt::format("its review expired at {}: review it again", format_time(*expires_ns)),
                  reader.place(*expires).to_string()};
}

void parse_spec(const Node& spec, Entitlement& out, Reader& reader) {
  const auto reference = [&](std::string_view key, Reference& to) {
    if (const Node* node = reader.get(spec, key, kWhat, true)) to = {reader.text(*node, key), reader.place(*node)};
  };
  reference("agent", out.agent);
  reference("target", out.target);
  for (model::Outcome outcome : {model::Outcome::allow, model::Outcome::hold, model::Outcome::deny})
    if (const Node* rules = reader.get(spec, model::to_string(outcome), kWhat))
      parse_rules(*rules, outcome, out, reader);
  parse_references(spec, "masks", out.masks, reader);
  parse_references(spec, "reveal", out.reveal, reader);
  if (const Node* limits = reader.get(spec, "limits", kWhat)) parse_limits(*limits, out, reader);
  if (const Node* window = reader.get(spec, "window", kWhat)) parse_window(*window, out, reader);
  if (const Node* review = reader.get(spec, "review", kWhat)) parse_review(*review, out, reader);
  if (const Node* baseline = reader.get(spec, "baseline", kWhat))
    out.baseline = reader.word(*baseline, "baseline", keys::kBaseline) == 0u;
  bool says_something = false;
  for (std::string_view key : {"allow", "hold", "deny", "masks", "reveal", "limits", "baseline"})
    says_something |= spec.find(key) != nullptr;
  if (!says_something) reader.wrong(spec, "an Entitlement without allow, hold, deny or masks says nothing");
}

}  // namespace

void parse_entitlement(const Node& spec, const std::string& name, const Place& where, Reader& reader, Documents& out) {
  auto entitlement = std::make_unique<Entitlement>();
  entitlement->name = name;
  entitlement->where = where;
  if (reader.is_map(spec, kWhat, keys::kEntitlement)) parse_spec(spec, *entitlement, reader);
  out.entitlements.push_back(std::move(entitlement));
}

}  // namespace sallyport::policy
