// SPDX-License-Identifier: Apache-2.0
// Recall and precision of the detectors on JSON lines of the two kinds in use:
//   {"entity":"EMAIL_ADDRESS","text":…,"expected_bytes":[[0,9]],"evidence":"strong"}   personal data
//   {"rule":"github-pat","positive":true,"text":…,"expected_bytes":[[5,45]]}           keys
// A finding counts when it overlaps an expected span; `exact` tells how many have its very bounds. A line's `config` is
// a setting of the program that the lines are of: it is measured under ours of the same effect, or not at all.
// Usage: measure_cases [-v] FILE…   (-v prints misses and false alarms)
#include <fmt/core.h>

#include <chrono>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "sallyport/mask/detector_set.h"

namespace {

using sallyport::mask::DetectorSet;
using sallyport::mask::Finding;

struct Rate {
  size_t expected = 0, found = 0, exact = 0, false_alarms = 0, negatives = 0, negatives_hit = 0;
  /// Of those, negatives whose very text is another line's positive: no detector can be right about both.
  size_t contradicted = 0, contradicted_hit = 0;
};

struct Case {
  std::string kind;
  std::string text;
  bool positive = false;
  bool contradicted = false;
  std::vector<std::pair<size_t, size_t>> spans;
};

/// What finds an entity of the case files; `regions` for telephone numbers.
struct Finder {
  std::string type;
  std::vector<std::string> regions = {};
  double score_min = sallyport::mask::kStrongScore;

  auto operator<=>(const Finder&) const = default;
};

const std::map<std::string, Finder>& finders() {
  static const std::map<std::string, Finder> kFinders = {{"ABA_ROUTING_NUMBER", {"us-aba-routing"}},
                                                         {"CREDIT_CARD", {"payment-card"}},
                                                         {"CRYPTO", {"crypto-address"}},
                                                         {"EMAIL_ADDRESS", {"email"}},
                                                         {"ES_NIE", {"es-nie"}},
                                                         {"FI_PERSONAL_IDENTITY_CODE", {"fi-identity-code"}},
                                                         {"IBAN_CODE", {"iban"}},
                                                         {"IN_VEHICLE_REGISTRATION", {"in-vehicle"}},
                                                         {"NG_VEHICLE_REGISTRATION", {"ng-vehicle"}},
                                                         {"PHONE_NUMBER", {"phone"}},
                                                         {"PH_MOBILE_NUMBER", {"phone", {"PH"}}},
                                                         {"SG_NRIC_FIN", {"sg-nric"}},
                                                         {"TR_PHONE_NUMBER", {"phone", {"TR"}}},
                                                         {"UK_VEHICLE_REGISTRATION", {"uk-vehicle"}},
                                                         {"ZA_ID_NUMBER", {"za-id"}}};
  return kFinders;
}

/// Gives a finder the setting that a case asks for; false: we have none like it.
bool configure(Finder& finder, std::string_view config) {
  if (config == "strict_checksum") {
    finder.score_min = 0.6;  // above a shape whose check digit is wrong
  } else if (config.starts_with("regions+")) {
    finder.regions = {"US", "GB", "DE", "FR", "IN", "BR", "IL"};
    for (std::string_view rest = config.substr(8); !rest.empty();) {
      std::string_view name = rest.substr(0, rest.find(','));
      finder.regions.emplace_back(name);
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    }
  } else {
    return config.empty();
  }
  return true;
}

/// The detector for a case; an empty type: none. Entities are else called as types are: US_SSN, us-ssn.
Finder finder_of(const nlohmann::json& line) {
  if (line.contains("rule")) return {"api-key"};
  std::string entity = line.value("entity", "");
  if (auto found = finders().find(entity); found != finders().end()) return found->second;
  for (char& c : entity) c = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  auto types = sallyport::mask::detector_types();
  return std::ranges::find(types, entity) == types.end() ? Finder{} : Finder{entity};
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
    rate.contradicted += one.contradicted;
    rate.contradicted_hit += one.contradicted && !findings.empty();
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

/// The least of several runs: the machine may be busy.
double nanoseconds(const DetectorSet& set, const std::string& value) {
  double least = 1e12;
  size_t found = 0;
  for (int run = 0; run < 12; ++run) {
    constexpr int kRounds = 10'000;
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) found += set.scan(value).size();
    auto spent = std::chrono::steady_clock::now() - begin;
    least = std::min(least, double(spent.count()) / kRounds);
    if (least > 5'000 && run == 2) break;
  }
  return found == ~size_t{0} ? 0 : least;
}

/// Nanoseconds for a short value, by what it holds and by which detectors look at it.
void print_costs() {
  const std::pair<const char*, std::string> values[] = {{"prose", "the quick brown fox jumps over the lazy d"},
                                                        {"digits", "flat 12, 221 baker street, london nw1 6x"},
                                                        {"address", "write to ada.lovelace@example.com please"},
                                                        {"token", "c2F5IGl0IHdpdGggYmFzZTY0IGFuZCBiZSBkb25"},
                                                        {"time", "2026-11-24 05:22:22"},
                                                        {"number", "4716190207"},
                                                        {"phone", "call +1 415 555 0132 or (415) 555-0199"}};
  std::vector<std::string_view> ids, cheap, all = sallyport::mask::detector_types();
  for (std::string_view type : all) {
    if (type.size() > 3 && type[2] == '-') ids.push_back(type);
    if (type != "phone") cheap.push_back(type);
  }
  std::vector<std::pair<std::string, std::vector<std::string_view>>> groups = {
      {"email payment-card api-key", {"email", "payment-card", "api-key"}},
      {"email", {"email"}},
      {"payment-card", {"payment-card"}},
      {"api-key", {"api-key"}},
      {"jwt private-key", {"jwt", "private-key"}},
      {"iban", {"iban"}},
      {"ip-address", {"ip-address"}},
      {"mac-address", {"mac-address"}},
      {"url", {"url"}},
      {"crypto-address", {"crypto-address"}},
      {"us-ssn", {"us-ssn"}},
      {"national ids, all", ids},
      {"phone", {"phone"}},
      {"all but phone", cheap},
      {"all", all}};
  fmt::print("\n{:32}", "ns a value");
  for (const auto& [name, value] : values) fmt::print(" {:>8}", name);
  fmt::print(" {:>12}\n", "compile");
  for (const auto& [name, types] : groups) {
    std::vector<sallyport::model::DetectMask> rules;
    for (std::string_view type : types) rules.push_back({"measure", std::string(type), {}});
    auto begin = std::chrono::steady_clock::now();
    auto set = *DetectorSet::compile(rules);
    auto spent = std::chrono::steady_clock::now() - begin;
    fmt::print("{:32}", name);
    for (const auto& [kind, value] : values) fmt::print(" {:8.0f}", nanoseconds(*set, value));
    fmt::print(" {:9.1f} ms\n", double(spent.count()) / 1e6);
  }
}

struct Line {
  Case one;
  Finder finder;
  bool weak = false;
};

std::string text_at(const nlohmann::json& line, const char* key) {
  return line.contains(key) && line[key].is_string() ? line[key].get<std::string>() : std::string();
}

std::vector<Line> read_lines(const char* path) {
  std::vector<Line> lines;
  std::ifstream file(path);
  std::set<std::string> positives;
  for (std::string text; std::getline(file, text);) {
    nlohmann::json line = nlohmann::json::parse(text);
    Line read{{line.value("rule", line.value("entity", "")), line["text"], false, false, {}}, finder_of(line), false};
    if (line.contains("expected_bytes") && line["expected_bytes"].is_array())
      for (const auto& span : line["expected_bytes"]) read.one.spans.emplace_back(span[0], span[1]);
    read.one.positive = line.value("positive", !read.one.spans.empty());
    read.weak = text_at(line, "evidence") == "weak-needs-context";
    if (std::string config = text_at(line, "config"); !configure(read.finder, config)) {
      read.finder = {};
      read.one.kind += " under " + config;
    }
    if (read.one.positive) positives.insert(read.one.text);
    lines.push_back(std::move(read));
  }
  for (Line& line : lines) {
    // Of other settings than a positive's it may be a negative all the same.
    line.one.contradicted = !line.one.positive && line.finder.type == "api-key" && positives.contains(line.one.text);
  }
  return lines;
}

void measure(const char* path, bool verbose) {
  std::map<Finder, std::shared_ptr<const DetectorSet>> sets;
  std::map<std::string, Rate> rates;
  std::map<std::string, Rate> totals;
  std::map<std::string, size_t> unmeasured;
  for (const Line& line : read_lines(path)) {
    if (line.finder.type.empty()) {
      ++unmeasured[line.one.kind];
      continue;
    }
    auto& set = sets[line.finder];
    if (!set) {
      sallyport::model::DetectMask rule{"measure", line.finder.type, {}};
      rule.regions = line.finder.regions;
      rule.min_score = line.finder.score_min;
      set = *DetectorSet::compile({rule});
    }
    std::string weak = line.weak ? " (weak)" : "";
    judge(*set, line.one, rates[line.one.kind + weak], verbose);
    std::string sum = line.finder.type == "api-key" ? "all keys" : "all personal data";
    judge(*set, line.one, totals[sum + weak], false);
  }
  for (const auto& [name, rate] : rates) print(name, rate);
  for (const auto& [name, rate] : totals) {
    print(name, rate);
    if (rate.contradicted == 0) continue;
    size_t rest = rate.negatives - rate.contradicted;
    size_t hit = rate.negatives_hit - rate.contradicted_hit;
    fmt::print("{:32} {} negatives are another line's positives word for word; of the rest {}/{} {:.2f} % hit\n", "",
               rate.contradicted, hit, rest, 100.0 * double(hit) / double(rest));
  }
  for (const auto& [name, count] : unmeasured) fmt::print("{:32} {} cases, no detector\n", name, count);
}

}  // namespace

int main(int argc, char** argv) {
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "-v") {
      verbose = true;
    } else {
      measure(argv[i], verbose);
    }
  }
  print_costs();
}
