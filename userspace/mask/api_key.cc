// SPDX-License-Identifier: Apache-2.0
// Keys, tokens and passwords that have a shape or stand behind a name that says so.
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "mask/detector.h"
#include "mask/key_rules.h"
#include "mask/keyword_index.h"
#include "sallyport/base/check.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

/// From the start of a name to the start of its value: the longest that key_rules.cc can match.
constexpr size_t kNameBytesMax = 160;
constexpr std::string_view kPemBegin = "-----BEGIN";
constexpr std::string_view kPemDashes = "-----";
constexpr size_t kPemHeaderBytesMax = 120;
constexpr size_t kPemBodyBytesMin = 32;
constexpr size_t kWordBytesMin = 3;
constexpr size_t kIdentifierBytesMax = 48;  // looked at before the word that tells
constexpr size_t kNumberBytesMin = 15;      // shorter numbers are ids, amounts and times

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Bytes that a secret is made of, in any rule: printable, and not a mark that ends a value.
bool is_token(char c) {
  return c > 0x20 && c < 0x7f && std::string_view("\"'`,;<>(){}[]").find(c) == std::string_view::npos;
}

/// What behind a secret that is longer than its rule knows still belongs to it.
bool continues_token(char c) { return is_alnum(c) || c == '_' || c == '-'; }

/// Bytes inside a PEM block: base64, its header lines, and line ends as JSON writes them.
bool is_pem(char c) { return is_alnum(c) || std::string_view("+/=-:,.\\ \t\r\n").find(c) != std::string_view::npos; }

float entropy_of(std::string_view text) {
  std::array<uint32_t, 256> counts{};
  for (char c : text) ++counts[static_cast<uint8_t>(c)];
  float bits = 0;
  for (uint32_t count : counts) {
    if (count == 0) continue;
    float share = static_cast<float>(count) / static_cast<float>(text.size());
    bits -= share * std::log2(share);
  }
  return bits;
}

/// A text with these is an example or is filled in later.
bool is_placeholder(std::string_view secret) {
  for (std::string_view word :
       {"${", "{{", "%{", "$(", "EXAMPLE", "xxxx", "XXXX", "****", "####", "abcdefgh", "ABCDEFGH"}) {
    if (secret.find(word) != std::string_view::npos) return true;
  }
  return false;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }

/// Digits and letters, or a long number: not a date, a word, a path, an expression.
bool is_mixed(std::string_view value) {
  bool digit = std::ranges::any_of(value, is_digit);
  bool letter = std::ranges::any_of(value, is_letter);
  return digit && (letter || value.size() >= kNumberBytesMin) && value.find("://") == std::string_view::npos &&
         value.find("...") == std::string_view::npos;
}

/// Words joined by marks, with few digits: an identifier, a file, a host.
bool is_wordy(std::string_view value) {
  auto digits = static_cast<size_t>(std::ranges::count_if(value, is_digit));
  if (digits * 4 >= value.size()) return false;
  size_t word = 0;
  bool whole = true;  // the present segment has nothing but letters
  bool found = false;
  size_t segments = 1;
  for (char c : value) {
    if (c == '.' || c == '_' || c == '-' || c == '/') {
      found |= whole && word >= kWordBytesMin;
      word = 0;
      whole = true;
      ++segments;
    } else {
      whole &= is_letter(c);
      ++word;
    }
  }
  return segments > 1 && (found || (whole && word >= kWordBytesMin));
}

/// `keyHash`, `key_name`, `publicKey`: about a key, not one.
bool names_something_else(std::string_view name) {
  std::string low(name);
  std::ranges::transform(low, low.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  for (std::string_view word : {"public", "primarykey", "primary_key", "foreignkey", "foreign_key", "accessib",
                                "accessor", "keyframe", "keying", "pubkey"}) {
    if (low.find(word) != std::string::npos) return true;
  }
  for (std::string_view word :
       {"name", "size", "length", "file", "path", "url", "uri", "hash", "type", "count", "version", "alias", "pressed",
        "pair", "source", "optionid", "credentialid", "credentialsid", "keystr"}) {
    if (low.ends_with(word)) return true;
  }
  return false;
}

/// Where the private key block that begins at `at` ends; `at`: none does.
size_t pem_end(std::string_view text, size_t at) {
  std::string_view head = text.substr(at, kPemHeaderBytesMax);
  size_t dashes = head.find(kPemDashes, kPemBegin.size());
  if (dashes == std::string_view::npos || head.substr(0, dashes).find("PRIVATE KEY") == std::string_view::npos)
    return at;
  size_t body = at + dashes + kPemDashes.size();
  size_t end = body;
  while (end < text.size() && is_pem(text[end])) {
    if (text.substr(end).starts_with("-----END")) {
      size_t close = text.find(kPemDashes, end + 8);
      bool closes = close != std::string_view::npos && close - end <= kPemHeaderBytesMax;
      if (closes) return end - body >= kPemBodyBytesMin ? close + kPemDashes.size() : at;
    }
    ++end;
  }
  return end - body >= kPemBodyBytesMin || end == text.size() ? end : at;
}

class ApiKeyDetector final : public Detector {
 public:
  ApiKeyDetector() {
    RE2::Options options(RE2::Latin1);
    options.set_log_errors(false);
    for (const KeyRule& rule : builtin_key_rules()) {
      auto owner = static_cast<uint32_t>(rules_.size());
      rules_.push_back(
          {&rule, std::make_unique<RE2>(re2::StringPiece(rule.pattern.data(), rule.pattern.size()), options)});
      SP_CHECK(rules_.back().pattern->ok() && rules_.back().pattern->NumberOfCapturingGroups() <= 1);
      for (std::string_view words = rule.keywords; !words.empty();) {
        size_t space = std::min(words.find(' '), words.size());
        index_.add(words.substr(0, space), rule.ignore_case, owner);
        words.remove_prefix(std::min(space + 1, words.size()));
      }
    }
    index_.add(kPemBegin, false, kPemOwner);
    index_.build();
  }

  std::string_view type() const override { return "api-key"; }
  bool wants(uint32_t traits) const override {
    return (traits & kTraitLetter) && (traits & (kTraitLong | kTraitAssign));
  }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    index_.scan(text, start, [&](size_t at, uint32_t owner) {
      if (owner == kPemOwner) {
        size_t end = pem_end(text, at);
        if (end > at) out.push_back({at, end, at, end - at, kBlockForm});
      } else {
        try_rule(rules_[owner], text, start, at, out);
      }
    });
  }

  size_t hold_from(std::string_view text) const override {
    size_t run = text.size();
    while (run > 0 && is_token(text[run - 1])) --run;
    size_t from = run - std::min(run, kNameBytesMax);
    size_t pem = text.rfind(kPemBegin);
    if (pem != std::string_view::npos && pem < from && pem_end(text, pem) == text.size()) from = pem;
    return from;
  }

  size_t tail_end(int form, std::string_view rest) const override {
    size_t end = 0;
    if (form == kBlockForm) {
      size_t close = rest.find("-----END");
      if (close != std::string_view::npos) close = rest.find(kPemDashes, close + kPemDashes.size());
      size_t most = std::min(rest.size(), close == std::string_view::npos ? rest.size() : close + kPemDashes.size());
      while (end < most && is_pem(rest[end])) ++end;
    } else {
      while (end < rest.size() && continues_token(rest[end])) ++end;
    }
    return end;
  }

 private:
  static constexpr int kBlockForm = 1;
  static constexpr uint32_t kPemOwner = ~uint32_t{0};

  struct Rule {
    const KeyRule* rule;
    std::unique_ptr<RE2> pattern;
  };

  static void try_rule(const Rule& rule, std::string_view text, size_t start, size_t at, std::vector<Match>& out) {
    if (at < start + rule.rule->before) return;
    size_t from = at - rule.rule->before;
    if (from > 0 && rule.rule->at_word && is_alnum(text[from - 1])) return;
    if (rule.rule->before > 0 && from > 0 && is_alnum(text[from - 1])) return;
    re2::StringPiece groups[2];
    int group = rule.pattern->NumberOfCapturingGroups();
    re2::StringPiece input(text.data(), text.size());
    if (!rule.pattern->Match(input, from, text.size(), RE2::ANCHOR_START, groups, group + 1)) return;
    if (groups[group].data() == nullptr) return;
    std::string_view secret(groups[group].data(), groups[group].size());
    while (secret.ends_with('.') || secret.ends_with(':')) secret.remove_suffix(1);
    if (rule.rule->proof != Proof::shape && !is_mixed(secret)) return;
    if (rule.rule->proof == Proof::named) {
      auto value = static_cast<size_t>(groups[group].data() - text.data());
      size_t name_end = from;
      while (name_end < value && is_name(text[name_end])) ++name_end;
      size_t least = std::max(start, from - std::min(from, kIdentifierBytesMax));
      while (from > least && is_name(text[from - 1])) --from;
      if (is_wordy(secret) || names_something_else(text.substr(from, name_end - from))) return;
    }
    if (is_placeholder(secret) || entropy_of(secret) < rule.rule->entropy_min) return;
    auto offset = static_cast<size_t>(secret.data() - text.data());
    size_t end = offset + secret.size();
    while (end < text.size() && continues_token(text[end])) ++end;  // longer than known
    auto to = static_cast<size_t>(groups[0].end() - text.data());
    out.push_back({from, std::max(end, to), offset, end - offset});
  }

  std::vector<Rule> rules_;
  KeywordIndex index_;
};

}  // namespace

std::unique_ptr<Detector> make_api_key_detector() { return std::make_unique<ApiKeyDetector>(); }

}  // namespace sallyport::mask
