// SPDX-License-Identifier: Apache-2.0
// Finds the identifiers of id_rules.cc, all of them in one pass. A text is a row of groups (runs of letters and digits)
// with single separators between; how an identifier is written is a row of group lengths and kinds. Those rows are a
// trie, so a group that begins none costs one look-up. Work is linear: from each group at most as many groups are
// walked as the longest identifier has.
#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <string>

#include "mask/byte_vector.h"
#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/iban.h"
#include "mask/id_rules.h"
#include "sallyport/base/check.h"

namespace sallyport::mask {
namespace {

constexpr size_t kGroupBytesMax = 20;
constexpr size_t kIdBytesMax = 32;  // of any shape, with its separators
constexpr size_t kHeldBytes = kIdBytesMax + 2 * kGroupBytesMax;
constexpr std::string_view kSeparators = " -./:_+";

enum : uint8_t { kDigits = 1, kLetters = 2, kMixed = kDigits | kLetters };

constexpr std::array<uint8_t, 256> kKinds = [] {
  std::array<uint8_t, 256> kinds{};
  for (int c = 0; c < 256; ++c) {
    if (c >= '0' && c <= '9') kinds[static_cast<size_t>(c)] = kDigits;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) kinds[static_cast<size_t>(c)] = kLetters;
  }
  return kinds;
}();

uint8_t kind_of(char c) { return kKinds[static_cast<uint8_t>(c)]; }
bool is_separator(char c) { return kSeparators.find(c) != std::string_view::npos; }

/// A run of letters and digits.
struct Group {
  size_t begin = 0;
  size_t end = 0;
  uint8_t kind = 0;

  size_t size() const { return end - begin; }
};

Group group_at(std::string_view text, size_t begin) {
  Group group{begin, begin, 0};
  while (group.end < text.size() && kind_of(text[group.end]) != 0) group.kind |= kind_of(text[group.end++]);
  return group;
}

/// Goes through the groups of a text, 64 bytes classed at a time.
class Groups {
 public:
  Groups(std::string_view text, size_t at) : text_(text), at_(at) { load(at); }

  /// The next one; size 0 at the end.
  Group next() {
    while (true) {
      size_t skip = at_ - block_;
      uint64_t rest = skip < kBlock ? (digits_ | letters_) >> skip : 0;
      if (rest != 0) return take(at_ + static_cast<size_t>(std::countr_zero(rest)));
      if (block_ + kBlock >= text_.size()) return {text_.size(), text_.size(), 0};
      load(block_ + kBlock);
      at_ = std::max(at_, block_);
    }
  }

 private:
  static constexpr size_t kBlock = 64;

  void load(size_t block) {
    block_ = block;
    digits_ = letters_ = 0;
    for (size_t i = 0; i < kBlock && block + i < text_.size(); i += kVectorBytes) {
      ByteVector bytes = load_bytes(text_, block + i);
      digits_ |= static_cast<uint64_t>(bits_of(digits_of(bytes))) << i;
      letters_ |= static_cast<uint64_t>(bits_of(letters_of(bytes))) << i;
    }
  }

  Group take(size_t begin) {
    size_t skip = begin - block_;
    auto size = static_cast<size_t>(std::countr_one((digits_ | letters_) >> skip));
    uint64_t mask = size < kBlock ? (uint64_t{1} << size) - 1 : ~uint64_t{0};
    auto kind = static_cast<uint8_t>(((digits_ >> skip & mask) != 0 ? kDigits : 0) |
                                     ((letters_ >> skip & mask) != 0 ? kLetters : 0));
    Group group{begin, begin + size, kind};
    if (group.end == block_ + kBlock) {  // it may go on in the next block
      Group rest = group_at(text_, group.end);
      group.end = rest.end;
      group.kind |= rest.kind;
    }
    at_ = group.end;
    return group;
  }

  std::string_view text_;
  size_t at_;
  size_t block_ = 0;
  uint64_t digits_ = 0;  // of the block
  uint64_t letters_ = 0;
};

/// Does one of the few letters and digits before `end` tell that a number goes on there?
bool group_before_has_digit(std::string_view text, size_t end) {
  size_t least = end - std::min(end, kGroupBytesMax);
  for (size_t at = end; at > least && kind_of(text[at - 1]) != 0; --at) {
    if (kind_of(text[at - 1]) == kDigits) return true;
  }
  return false;
}

/// Does a group like the first of "00:1b:44:11:3a:b7" stand before it? Such a row is a fingerprint.
bool row_goes_on_before(std::string_view text, size_t begin, char separator) {
  if (begin < 3 || text[begin - 1] != separator) return false;
  bool pair = is_hex(text[begin - 2]) && is_hex(text[begin - 3]);
  return pair && (begin == 3 || kind_of(text[begin - 4]) == 0);
}

/// Nothing beside [begin, end) says that it is a part of something longer.
bool stands_alone(std::string_view text, size_t begin, size_t end, char separator) {
  if (begin > 0) {
    char before = text[begin - 1];
    if (before == '_' || before == '+' || before == '$' || before == '@') return false;
    bool joins =
        before == '-' || before == '.' || before == '/' || before == ':' || (before == ' ' && separator == ' ');
    if (joins && group_before_has_digit(text, begin - 1)) return false;
  }
  if (end < text.size()) {
    char after = text[end];
    if (after == '_' || after == '@' || after == '%') return false;
    uint8_t next = end + 1 < text.size() ? kind_of(text[end + 1]) : 0;
    if (next != 0 && (after == '.' || (after == separator && after != ' '))) return false;
    bool joins = after == '-' || after == '/' || after == ':' || (after == ' ' && separator == ' ');
    if (joins && next == kDigits) return false;
  }
  return true;
}

class IdDetector final : public Detector {
 public:
  explicit IdDetector(const std::vector<Wanted>& wanted) : nodes_(1) {
    for (const Wanted& each : wanted) {
      if (each.type == "iban") iban_ = each.rule;
      letters_alone_ |= each.type == "mac-address";
      for (const IdRule& rule : id_rules()) {
        if (each.type == rule.type) add(rule, each.rule);
      }
    }
  }

  bool wants(uint32_t traits) const override {
    return (traits & kTraitDigit) || (letters_alone_ && (traits & (kTraitDot | kTraitColon)));
  }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    size_t at = start;
    if (at > 0 && at < text.size() && kind_of(text[at - 1]) != 0) {
      // Its beginning was looked at before; a number that runs on from a word may begin here.
      size_t begin = at;
      while (begin > 0 && start - begin <= 2 * kGroupBytesMax && kind_of(text[begin - 1]) != 0) --begin;
      Group group = group_at(text, begin);
      at = group.end;
      if (any_glued_ && group.kind == kMixed) walk_glued(text, group, start, out);
    }
    Groups groups(text, at);
    for (Group group = groups.next(); group.size() > 0; group = groups.next()) {
      walk(text, group, false, out);
      if (group.kind != kMixed) continue;
      if (iban_) find_iban(text, group, out);
      if (any_glued_) walk_glued(text, group, start, out);
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t least = text.size() - std::min(text.size(), kHeldBytes);
    size_t begin = text.size();
    while (begin > least && (kind_of(text[begin - 1]) != 0 || is_separator(text[begin - 1]))) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view) const override { return 0; }

 private:
  struct Shape {
    const IdRule* rule;
    uint32_t wanted;
    std::string_view text;
  };
  struct Node {
    std::array<uint16_t, 3 * (kGroupBytesMax + 1)> next{};
    std::vector<Shape> shapes;
  };

  static size_t key_of(uint8_t kind, size_t size) { return (kind - 1U) * (kGroupBytesMax + 1) + size; }

  void add(const IdRule& rule, uint32_t wanted) {
    any_glued_ |= rule.glued;
    for (std::string_view shapes = rule.shapes; !shapes.empty();) {
      std::string_view shape = shapes.substr(0, shapes.find('|'));
      shapes.remove_prefix(std::min(shape.size() + 1, shapes.size()));
      SP_CHECK(shape.size() <= kIdBytesMax);
      insert(0, shape, {&rule, wanted, shape});
    }
  }

  /// Follows the groups of `rest` from a node and leaves the shape at the last.
  void insert(uint16_t node, std::string_view rest, const Shape& shape) {
    size_t size = std::min(rest.find_first_not_of("9A*"), rest.size());
    std::string_view group = rest.substr(0, size);
    rest.remove_prefix(std::min(size + 1, rest.size()));
    SP_CHECK(size > 0 && size <= kGroupBytesMax);
    bool may_digits = group.find('A') == std::string_view::npos;
    bool may_letters = group.find('9') == std::string_view::npos;
    bool any = group.find('*') != std::string_view::npos;
    // Words are letters: a long group that may be one is not.
    bool words = may_letters && (!any || size <= 4);
    for (uint8_t kind : {kDigits, kLetters, kMixed}) {
      bool fits = kind == kDigits ? may_digits : kind == kLetters ? words : any || (!may_digits && !may_letters);
      if (!fits) continue;
      uint16_t next = nodes_[node].next[key_of(kind, size)];
      if (next == 0) {
        next = static_cast<uint16_t>(nodes_.size());
        nodes_[node].next[key_of(kind, size)] = next;
        nodes_.emplace_back();
      }
      if (rest.empty()) {
        nodes_[next].shapes.push_back(shape);
      } else {
        insert(next, rest, shape);
      }
    }
  }

  void walk(std::string_view text, Group group, bool glued, std::vector<Match>& out) const {
    size_t begin = group.begin;
    uint16_t node = 0;
    while (group.size() <= kGroupBytesMax) {
      node = nodes_[node].next[key_of(group.kind, group.size())];
      if (node == 0) return;
      for (const Shape& shape : nodes_[node].shapes) judge(shape, text, begin, group.end, glued, out);
      if (group.end + 1 >= text.size() || !is_separator(text[group.end]) || kind_of(text[group.end + 1]) == 0) return;
      group = group_at(text, group.end + 1);
    }
  }

  void find_iban(std::string_view text, Group group, std::vector<Match>& out) const {
    std::string_view begin = text.substr(group.begin, 4);
    bool shaped = begin.size() == 4 && is_ascii_letter(begin[0]) && is_ascii_letter(begin[1]) &&
                  is_ascii_digit(begin[2]) && is_ascii_digit(begin[3]);
    if (!shaped || (group.begin > 0 && text[group.begin - 1] == '_')) return;
    size_t end = iban_end(text, group.begin);
    if (end > group.begin) out.push_back({group.begin, end, group.begin, end - group.begin, kProven, *iban_});
  }

  /// A word in lower case with a number behind it: the number alone.
  void walk_glued(std::string_view text, Group group, size_t start, std::vector<Match>& out) const {
    size_t at = group.begin;
    while (at < group.end && text[at] >= 'a' && text[at] <= 'z') ++at;
    bool word = at - group.begin >= 2 && group.size() <= 2 * kGroupBytesMax;
    if (!word || at == group.end || at < start || kind_of(text[at]) != kDigits) return;
    walk(text, group_at(text, at), true, out);
  }

  static void judge(const Shape& shape, std::string_view text, size_t begin, size_t end, bool glued,
                    std::vector<Match>& out) {
    if (glued && !shape.rule->glued) return;
    std::array<char, kIdBytesMax> compact{};
    size_t size = 0;
    char separator = 0;
    for (size_t i = 0; i < shape.text.size(); ++i) {
      char wanted = shape.text[i];
      char c = text[begin + i];
      uint8_t kind = kind_of(c);
      if (kind != 0) {
        if ((wanted == '9' && kind != kDigits) || (wanted == 'A' && kind != kLetters)) return;
        compact[size++] = ascii_upper(c);
      } else if (wanted == '-') {
        if (shape.rule->separators.find(c) == std::string_view::npos || (separator != 0 && separator != c)) return;
        separator = c;
      } else if (c != wanted) {
        return;
      }
    }
    float score = shape.rule->score({compact.data(), size}, size == end - begin);
    if (score <= 0 || !stands_alone(text, begin, end, separator)) return;
    if (shape.text.starts_with("**-**-") && row_goes_on_before(text, begin, separator)) return;
    if (score < 1 && has_context(text, begin, shape.rule->context)) score = std::min(1.0F, score + kContext);
    out.push_back({begin, end, begin, end - begin, score, shape.wanted});
  }

  std::vector<Node> nodes_;
  std::optional<uint32_t> iban_;  // its rule
  bool any_glued_ = false;
  bool letters_alone_ = false;  // some identifier has no digit now and then
};

}  // namespace

std::unique_ptr<Detector> make_id_detector(const std::vector<Wanted>& wanted) {
  return std::make_unique<IdDetector>(wanted);
}

}  // namespace sallyport::mask
