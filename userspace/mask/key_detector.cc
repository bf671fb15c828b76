// SPDX-License-Identifier: Apache-2.0
// Keys, tokens and passwords that have a shape or stand behind a name that says so: the project's own rules
// (key_rules.cc) and those that a policy adds.
#include <re2/re2.h>

#include <algorithm>
#include <string>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"
#include "mask/key_rules.h"
#include "mask/key_values.h"
#include "mask/keyword_index.h"
#include "mask/pem.h"
#include "sallyport/base/check.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

/// From the start of a name to the start of its value: the longest that a rule can match.
constexpr size_t kNameBytesMax = 160;
constexpr size_t kIdentifierBytesMax = 48;  // looked at before the word that tells

/// Bytes that a secret is made of, in any rule: printable, and not a mark that ends a value.
bool is_token(char c) {
  return c > 0x20 && c < 0x7f && std::string_view("\"'`,;<>(){}[]").find(c) == std::string_view::npos;
}

/// What behind a secret that is longer than its rule knows still belongs to it.
bool continues_token(char c) { return is_ascii_alnum(c) || c == '_' || c == '-'; }
bool is_name(char c) { return continues_token(c) || c == '.'; }

/// A rule ready for work.
struct Compiled {
  std::string name;
  std::string context;
  std::unique_ptr<RE2> pattern;
  size_t before = 0;
  bool at_word = true;
  float entropy_min = 0;
  Proof proof = Proof::shape;
  bool exact = false;
  float score = 0;
};

std::unique_ptr<RE2> compile(std::string_view pattern, bool ignore_case) {
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_case_sensitive(!ignore_case);
  options.set_max_mem(limits::kMaskPatternMemoryBytesMax);
  return std::make_unique<RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
}

class KeyDetector final : public Detector {
 public:
  KeyDetector(const Wanted& wanted, bool pem) : rule_(wanted.rule), pem_(pem) {
    if (pem) index_.add(kPemBegin, false, kPemOwner);
  }

  void add(const KeyRule& rule) {
    // (?i) stands in the pattern itself where its rule needs it.
    auto pattern = compile(rule.pattern, false);
    SP_CHECK(pattern->ok() && pattern->NumberOfCapturingGroups() <= 1);
    auto owner = static_cast<uint32_t>(rules_.size());
    for (std::string_view words = rule.keywords; !words.empty();) {
      size_t space = std::min(words.find(' '), words.size());
      index_.add(words.substr(0, space), rule.ignore_case, owner);
      if (rule.exact && rule.before == 0) exact_.emplace_back(words.substr(0, space));
      words.remove_prefix(std::min(space + 1, words.size()));
    }
    rules_.push_back({std::string(rule.name), std::string(rule.context), std::move(pattern), rule.before, rule.at_word,
                      rule.entropy_min, rule.proof, rule.exact, rule.score});
  }

  void add(const model::DetectPattern& asked) {
    auto owner = static_cast<uint32_t>(rules_.size());
    for (const std::string& word : asked.keywords) index_.add(word, asked.ignore_case, owner);
    std::string context;
    for (const std::string& word : asked.context) context += (context.empty() ? "" : "|") + word;
    rules_.push_back({asked.name, std::move(context), compile(asked.pattern, asked.ignore_case), 0, true,
                      static_cast<float>(asked.entropy_min), Proof::shape, false, static_cast<float>(asked.score)});
  }

  void build() { index_.build(); }

  bool wants(uint32_t traits) const override {
    return (traits & kTraitLetter) && (traits & (kTraitLong | kTraitAssign));
  }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    index_.scan(text, start, [&](size_t at, uint32_t owner) {
      if (owner == kPemOwner) {
        size_t end = pem_end(text, at);
        if (end > at) out.push_back({at, end, at, end - at, 1, rule_, kBlockForm, "private-key"});
      } else {
        try_rule(rules_[owner], text, start, at, out);
      }
    });
  }

  size_t hold_from(std::string_view text) const override {
    size_t run = text.size();
    while (run > 0 && is_token(text[run - 1])) --run;
    size_t from = run - std::min(run, kNameBytesMax);
    return pem_ ? std::min(from, pem_hold_from(text)) : from;
  }

  size_t tail_end(int form, std::string_view rest) const override {
    if (form == kBlockForm) return pem_tail_end(rest);
    size_t end = 0;
    while (end < rest.size() && continues_token(rest[end])) ++end;
    return end;
  }

 private:
  static constexpr int kBlockForm = 1;
  static constexpr uint32_t kPemOwner = ~uint32_t{0};

  void try_rule(const Compiled& rule, std::string_view text, size_t start, size_t at, std::vector<Match>& out) const {
    if (at < start + rule.before) return;
    size_t from = at - rule.before;
    if (from > 0 && (rule.at_word || rule.before > 0) && is_ascii_alnum(text[from - 1])) return;
    re2::StringPiece groups[2];
    int group = rule.pattern->NumberOfCapturingGroups();
    re2::StringPiece input(text.data(), text.size());
    if (!rule.pattern->Match(input, from, text.size(), RE2::ANCHOR_START, groups, group + 1)) return;
    if (groups[group].data() == nullptr || groups[group].empty()) return;
    std::string_view secret(groups[group].data(), groups[group].size());
    if (rule.proof != Proof::shape) secret = secret.substr(0, parameter_end(secret));
    while (secret.ends_with('.') || secret.ends_with(':')) secret.remove_suffix(1);
    auto offset = static_cast<size_t>(secret.data() - text.data());
    if (offset - from > kNameBytesMax || !proves(rule, text, from, secret)) return;
    size_t end = offset + secret.size();
    while (end < text.size() && continues_token(text[end])) ++end;  // longer than known
    bool more =
        end > offset + secret.size() || (end + 1 < text.size() && text[end] == '.' && is_ascii_alnum(text[end + 1]));
    if (rule.exact && more) return;
    float score = rule.score;
    if (score < 1 && has_context(text, from, rule.context)) score = std::min(1.0F, score + kContext);
    auto to = static_cast<size_t>(groups[0].end() - text.data());
    out.push_back({from, std::max(end, to), offset, end - offset, score, rule_, 0, rule.name});
  }

  /// Does the value, and for named ones the name before it, say that it is a secret?
  bool proves(const Compiled& rule, std::string_view text, size_t from, std::string_view secret) const {
    auto value = static_cast<size_t>(secret.data() - text.data());
    std::string_view rest = text.substr(value + secret.size());
    bool told = rule.proof == Proof::shape;
    if (!told && (!is_mixed(secret) || is_call(secret, rest) || rest.starts_with(".."))) return false;  // .. : cut off
    if (rule.proof == Proof::named) {
      // "monkey" holds a key as little as "keying" does.
      if (from > 0 && text[from] == 'k' && text[from - 1] >= 'a' && text[from - 1] <= 'z') return false;
      size_t name_end = from;
      while (name_end < value && is_name(text[name_end])) ++name_end;
      size_t least = from - std::min(from, kIdentifierBytesMax);
      while (from > least && is_name(text[from - 1])) --from;
      std::string_view name = text.substr(from, name_end - from);
      if (is_wordy(secret) || names_something_else(name, secret)) return false;
      // It begins as an issuer's keys do, whose length is fixed, and that rule has not taken it.
      if (std::ranges::any_of(exact_, [&](const std::string& word) { return secret.starts_with(word); })) return false;
    }
    bool number = all_digits(secret);
    float entropy_min = number ? std::min(rule.entropy_min, kNumberEntropyMin) : rule.entropy_min;
    return std::ranges::all_of(secret, is_token) && !is_placeholder(secret) && entropy_of(secret) >= entropy_min;
  }

  std::vector<Compiled> rules_;
  std::vector<std::string> exact_;  // keywords of rules with an exact length
  KeywordIndex index_;
  uint32_t rule_;
  bool pem_;
};

}  // namespace

std::unique_ptr<Detector> make_api_key_detector(const Wanted& wanted) {
  auto detector = std::make_unique<KeyDetector>(wanted, true);
  for (const KeyRule& rule : builtin_key_rules()) detector->add(rule);
  detector->build();
  return detector;
}

std::unique_ptr<Detector> make_pattern_detector(const Wanted& wanted) {
  auto detector = std::make_unique<KeyDetector>(wanted, false);
  for (const model::DetectPattern& pattern : wanted.asked->patterns) detector->add(pattern);
  detector->build();
  return detector;
}

Result<> check_pattern(const model::DetectPattern& pattern) {
  if (pattern.keywords.empty()) return fail("a pattern without keywords", "name the literals that a match begins with");
  for (const std::string& word : pattern.keywords) {
    if (word.size() < 2) return fail("keyword `" + word + "` is shorter than two bytes");
  }
  if (pattern.pattern.size() > limits::kMaskPatternBytesMax)
    return fail("the pattern is longer than " + std::to_string(limits::kMaskPatternBytesMax) + " bytes");
  auto compiled = compile(pattern.pattern, pattern.ignore_case);
  if (!compiled->ok()) return fail("the pattern is no RE2 expression: " + compiled->error());
  if (compiled->NumberOfCapturingGroups() > 1)
    return fail("the pattern has more than one group", "write the others as (?:…)");
  return {};
}

}  // namespace sallyport::mask
