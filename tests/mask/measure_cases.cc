// SPDX-License-Identifier: Apache-2.0
// Recall and precision of the detectors on JSON lines of the two kinds in use:
//   {"entity":"EMAIL_ADDRESS","text":…,"expected_bytes":[[0,9]],"evidence":"strong"}   personal data
//   {"rule":"github-pat","positive":true,"text":…,"expected_bytes":[[5,45]]}           keys
// A finding counts when it overlaps an expected span; `exact` tells how many have its very bounds.
// Usage: measure_cases [-v] FILE…   (-v prints misses and false alarms)
#include <fmt/core.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sallyport/mask/detector_set.h"

namespace {

using sallyport::mask::DetectorSet;
using sallyport::mask::Finding;

struct Rate {
  size_t expected = 0, found = 0, exact = 0, false_alarms = 0, negatives = 0, negatives_hit = 0;
};

struct Case {
  std::string kind;
  std::string text;
  bool positive = false;
  std::vector<std::pair<size_t, size_t>> spans;
};

/// The detector for a case; empty: none yet.
std::string detector_of(const nlohmann::json& line) {
  if (line.contains("rule")) return "api-key";
  static const std::map<std::string, std::string> kEntities = {{"EMAIL_ADDRESS", "email"},
                                                               {"CREDIT_CARD", "payment-card"}};
  auto found = kEntities.find(line.value("entity", ""));
  if (found == kEntities.end()) return {};
  return line.contains("evidence") && line["evidence"] == "weak-needs-context" ? std::string() : found->second;
}

bool overlaps(const Finding& finding, const std::pair<size_t, size_t>& span) {
  return finding.offset < span.second && span.first < finding.offset + finding.length;
}

void judge(const DetectorSet& set, const Case& one, Rate& rate, bool verbose) {
  std::vector<Finding> findings = set.scan(one.text);
  for (const auto& span : one.spans) {
    ++rate.expected;
    bool hit = std::ranges::any_of(findings, [&](const Finding& f) { return overlaps(f, span); });
    rate.found += hit;
    rate.exact += std::ranges::any_of(
        findings, [&](const Finding& f) { return f.offset == span.first && f.offset + f.length == span.second; });
    if (!hit && verbose) fmt::print("missed  {}: {}\n", one.kind, one.text.substr(0, 300));
  }
  size_t wrong = 0;
  for (const Finding& finding : findings) {
    if (one.positive && one.spans.empty()) continue;
    bool right = std::ranges::any_of(one.spans, [&](const auto& span) { return overlaps(finding, span); });
    if (!right) ++wrong;
    if (!right && verbose)
      fmt::print("alarm   {}: `{}` in {}\n", one.kind, one.text.substr(finding.offset, finding.length),
                 one.text.substr(0, 300));
  }
  rate.false_alarms += wrong;
  if (!one.positive) {
    ++rate.negatives;
    rate.negatives_hit += !findings.empty();
  }
}

void print(const std::string& name, const Rate& r) {
  auto percent = [](size_t part, size_t whole) { return whole == 0 ? 100.0 : 100.0 * double(part) / double(whole); };
  fmt::print(
      "{:32} recall {:5}/{:5} {:6.2f} %  exact {:6.2f} %  precision {:6.2f} %  negatives hit {:3}/{:3} {:5.2f} %\n",
      name, r.found, r.expected, percent(r.found, r.expected), percent(r.exact, r.expected),
      percent(r.found, r.found + r.false_alarms), r.negatives_hit, r.negatives,
      r.negatives == 0 ? 0.0 : percent(r.negatives_hit, r.negatives));
}

/// Nanoseconds for a value of 40 bytes, by what it holds.
void print_cost(const DetectorSet& set) {
  const std::pair<const char*, std::string> values[] = {
      {"40 bytes of prose", "the quick brown fox jumps over the lazy d"},
      {"40 bytes with digits", "flat 12, 221 baker street, london nw1 6x"},
      {"40 bytes with an address", "write to ada.lovelace@example.com please"},
      {"40 bytes of one token", "c2F5IGl0IHdpdGggYmFzZTY0IGFuZCBiZSBkb25"},
      {"19 bytes of a timestamp", "2026-11-24 05:22:22"}};
  for (const auto& [name, value] : values) {
    constexpr int kRounds = 1'000'000;
    size_t found = 0;
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) found += set.scan(value).size();
    auto spent = std::chrono::steady_clock::now() - begin;
    fmt::print("{:32} {:6.1f} ns, {} found\n", name, double(spent.count()) / kRounds, found / kRounds);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::shared_ptr<const DetectorSet>> sets;
  std::vector<sallyport::model::DetectMask> all;
  auto begin = std::chrono::steady_clock::now();
  for (std::string_view type : sallyport::mask::detector_types()) {
    sallyport::model::DetectMask rule{"measure", std::string(type), {}};
    sets[rule.type] = *DetectorSet::compile({rule});
    all.push_back(rule);
  }
  auto spent = std::chrono::steady_clock::now() - begin;
  fmt::print("{:32} {:6.1f} ms\n", "compile", double(spent.count()) / 1e6);
  std::map<std::string, Rate> rates;
  std::map<std::string, Rate> totals;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "-v") {
      verbose = true;
      continue;
    }
    std::ifstream file(argv[i]);
    for (std::string text; std::getline(file, text);) {
      nlohmann::json line = nlohmann::json::parse(text);
      std::string detector = detector_of(line);
      if (detector.empty()) continue;
      Case one{line.value("rule", line.value("entity", "")), line["text"], false, {}};
      if (line.contains("expected_bytes") && line["expected_bytes"].is_array())
        for (const auto& span : line["expected_bytes"]) one.spans.emplace_back(span[0], span[1]);
      one.positive = line.value("positive", !one.spans.empty());
      judge(*sets[detector], one, rates[one.kind], verbose);
      judge(*sets[detector], one, totals["all " + detector], false);
    }
  }
  for (const auto& [name, rate] : rates) print(name, rate);
  for (const auto& [name, rate] : totals) print(name, rate);
  print_cost(**DetectorSet::compile(all));
}
