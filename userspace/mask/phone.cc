// SPDX-License-Identifier: Apache-2.0
// Telephone numbers, told by libphonenumber's numbering plans. The library takes some 5 µs for each country that is
// tried, so it is asked last: only about digits written as a telephone number may be, and only where its yes would
// score enough.
#include <phonenumbers/phonenumberutil.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "mask/check_digits.h"
#include "mask/detector.h"
#include "mask/id_rules.h"
#include "sallyport/base/limits.h"

namespace sallyport::mask {
namespace {

namespace phones = i18n::phonenumbers;

constexpr size_t kDigitsMin = 7;
constexpr size_t kDigitsMax = 17;  // E.164's fifteen, and an access code
constexpr size_t kWrittenMax = 32;
constexpr std::string_view kContextWords =
    "phone|telephone|tel|mobile|cell|cellphone|fax|call|contact|whatsapp|sms|text|number|hotline|dial|"
    "telefon|telefono|téléphone|celular|telepono|handy|mobil|cep|gsm|ph";

constexpr std::array<std::string_view, 8> kUsualRegions = {"US", "GB", "DE", "FR", "IN", "BR", "IL", "AU"};

/// Countries where people leave the trunk prefix out.
constexpr std::string_view kPrefixOptional[] = {"AR", "BR", "CA", "CN", "CO", "IN", "KZ", "MX", "RU", "TR", "US", "VN"};

/// Digits as they were written.
struct Written {
  size_t begin = 0;
  size_t end = 0;
  std::array<char, kDigitsMax> digits{};
  size_t count = 0;
  size_t first_group = 0;  // its digits
  size_t groups = 0;
  size_t dots = 0;
  bool plus = false;
  bool bracket = false;

  std::string_view number() const { return {digits.data(), count}; }
};

bool is_mark(char c) { return c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/'; }

/// Reads what may be a number from `at`: at most two marks in a row, one pair of brackets.
Written read_at(std::string_view text, size_t at) {
  Written read;
  read.begin = read.end = at;
  size_t i = at;
  bool open = false;
  if (text[i] == '+') {
    read.plus = true;
    ++i;
  }
  size_t marks = 0;
  size_t group = 0;
  for (; i < text.size() && i - at < kWrittenMax; ++i) {
    char c = text[i];
    if (is_ascii_digit(c)) {
      if (read.count == kDigitsMax) {
        read.count = 0;
        return read;
      }
      if (group++ == 0) ++read.groups;
      read.digits[read.count++] = c;
      if (read.groups == 1) read.first_group = group;
      marks = 0;
      if (!open) read.end = i + 1;
    } else if (is_mark(c) && marks < 2 && (marks == 0 || c == ' ' || c != text[i - 1])) {
      if (c == '(' && (open || read.bracket)) break;
      if (c == ')' && !open) break;
      if (c == '(') open = read.bracket = true;
      if (c == ')') {
        open = false;
        if (read.count > 0) read.end = i + 1;
      }
      read.dots += c == '.';
      ++marks;
      group = 0;
    } else {
      break;
    }
  }
  if (open) read.count = 0;
  return read;
}

/// 10.0.0.1, 255.255.255.0: four numbers below 256 without zeros before them.
bool is_quad(std::string_view written) {
  size_t parts = 0;
  for (size_t at = 0; at <= written.size(); ++parts) {
    size_t end = std::min(written.find('.', at), written.size());
    std::string_view part = written.substr(at, end - at);
    if (part.empty() || part.size() > 3 || !all_digits(part) || number_at(part, 0, part.size()) > 255) return false;
    if (part.size() > 1 && part[0] == '0') return false;
    at = end + 1;
  }
  return parts == 4;
}

/// "MA 02111-1307": a postal code of the United States.
bool is_zip(const Written& read, std::string_view text) {
  auto capital = [&](size_t before) { return text[read.begin - before] >= 'A' && text[read.begin - before] <= 'Z'; };
  return read.groups == 2 && read.first_group == 5 && read.count == 9 && text[read.begin + 5] == '-' &&
         read.begin >= 3 && text[read.begin - 1] == ' ' && capital(2) && capital(3);
}

/// Numbers with marks that are something else: 2026-11-24, 24.11.2026, an address, a decimal number.
bool is_something_else(const Written& read, std::string_view text) {
  if (is_quad(text.substr(read.begin, read.end - read.begin)) || is_zip(read, text)) return true;
  if (read.groups == 2 && read.dots == 1 && !read.bracket) return true;
  if (read.groups < 3 || read.plus || read.bracket) return false;
  auto year = [](int value) { return value >= 1900 && value < 2100; };
  std::string_view digits = read.number();
  if (read.first_group == 4 && read.count >= 8 && year(number_at(digits, 0, 4)) && number_at(digits, 4, 2) <= 12)
    return true;
  return read.first_group <= 2 && read.count == 8 && year(number_at(digits, 4, 4));
}

bool is_given(int country, std::string_view national, const char* region) {
  if (national.size() < 4 || national.size() > 15) return false;
  phones::PhoneNumber number;
  number.set_country_code(country);
  size_t zeros = std::min(national.find_first_not_of('0'), national.size());
  if (zeros > 0) {
    number.set_italian_leading_zero(true);
    number.set_number_of_leading_zeros(static_cast<int>(zeros));
  }
  uint64_t value = 0;
  for (char digit : national) value = value * 10 + static_cast<uint64_t>(digit - '0');
  number.set_national_number(value);
  const auto& util = *phones::PhoneNumberUtil::GetInstance();
  return region == nullptr ? util.IsValidNumber(number) : util.IsValidNumberForRegion(number, region);
}

/// A calling code and a number that its plan knows.
bool is_international(std::string_view digits) {
  static const std::set<int> kCodes = [] {
    std::set<int> codes;
    phones::PhoneNumberUtil::GetInstance()->GetSupportedCallingCodes(&codes);
    return codes;
  }();
  for (size_t size = 1; size <= 3 && size < digits.size(); ++size) {
    int code = number_at(digits, 0, size);
    if (!kCodes.contains(code)) continue;
    std::string_view national = digits.substr(size);
    // "+44 (0)20 …"
    return is_given(code, national, nullptr) ||
           (national.starts_with('0') && is_given(code, national.substr(1), nullptr));
  }
  return false;
}

struct Region {
  std::string name;
  std::string prefix;
  int code = 0;
  bool prefix_optional = false;
};

class PhoneDetector final : public Detector {
 public:
  explicit PhoneDetector(const Wanted& wanted)
      : rule_(wanted.rule),
        chosen_(!wanted.asked->regions.empty()),
        score_min_(static_cast<float>(wanted.asked->min_score)) {
    const auto& util = *phones::PhoneNumberUtil::GetInstance();
    auto add = [&](const std::string& name) {
      Region region{name, {}, util.GetCountryCodeForRegion(name), false};
      if (region.code == 0) return;
      util.GetNddPrefixForRegion(name, true, &region.prefix);
      region.prefix_optional = std::ranges::find(kPrefixOptional, name) != std::end(kPrefixOptional);
      regions_.push_back(std::move(region));
    };
    for (const std::string& name : wanted.asked->regions) add(name);
    if (chosen_) return;
    for (std::string_view name : kUsualRegions) add(std::string(name));
  }

  bool wants(uint32_t traits) const override { return traits & kTraitDigits; }

  void scan(std::string_view text, size_t start, std::vector<Match>& out) const override {
    size_t tries = 0;
    for (size_t at = start; at + kDigitsMin <= text.size();) {
      char c = text[at];
      bool opens = c == '+' || c == '(' || is_ascii_digit(c);
      if (!opens || !begins(text, at)) {
        ++at;
        if (is_ascii_digit(c)) {
          while (at < text.size() && is_ascii_digit(text[at])) ++at;
        }
        continue;
      }
      Written read = read_at(text, at);
      float score = read.count >= kDigitsMin && ends(text, read.end) ? score_of(read, text, tries) : 0;
      if (score > 0) out.push_back({at, read.end, at, read.end - at, score, rule_});
      size_t next = score > 0 ? read.end : at + 1;
      bool digits = score <= 0 && is_ascii_digit(c);  // behind a bracket that stays open a number may begin
      while (digits && next < text.size() && is_ascii_digit(text[next])) ++next;
      at = next;
    }
  }

  size_t hold_from(std::string_view text) const override {
    size_t least = text.size() - std::min(text.size(), kWrittenMax + kDigitsMax);
    size_t begin = text.size();
    auto goes_on = [](char c) { return is_ascii_digit(c) || is_mark(c) || c == '+' || c == ':'; };
    while (begin > least && goes_on(text[begin - 1])) --begin;
    return begin;
  }

  size_t tail_end(int, std::string_view) const override { return 0; }

 private:
  static bool begins(std::string_view text, size_t at) {
    if (at == 0) return true;
    char before = text[at - 1];
    if (is_ascii_alnum(before) || before == '_' || before == '$' || before == '#' || before == '+') return false;
    // Behind digits and a mark it is the rest of something longer.
    bool joins = is_mark(before) || before == ':' || before == ',';
    return !joins || at < 2 || !is_ascii_digit(text[at - 2]) || before == ',';
  }

  static bool ends(std::string_view text, size_t end) {
    if (end == text.size()) return true;
    char behind = text[end];
    if (is_ascii_alnum(behind) || behind == '_' || behind == '%' || behind == '@') return false;
    bool joins = behind == '-' || behind == '/' || behind == ':' || behind == '.' || behind == ' ';
    return !joins || end + 1 >= text.size() || !is_ascii_digit(text[end + 1]);
  }

  /// What a yes of the library would be worth; 0 for its no. Once it was asked too often, the shape alone counts.
  float score_of(const Written& read, std::string_view text, size_t& tries) const {
    if (all_same(read.number()) || is_something_else(read, text)) return 0;
    bool ask = tries < limits::kMaskPhoneTriesMax;
    if (read.plus) {
      ++tries;
      return !ask || is_international(read.number()) ? kProven : 0;
    }
    if (read.count > 8 && read.number().starts_with("00")) {
      ++tries;
      return !ask || is_international(read.number().substr(2)) ? kShaped : 0;
    }
    bool shaped = read.groups > 1 && read.groups <= 6;
    float worth = shaped ? kShaped : chosen_ ? 0.5F : kWeak;
    if (has_context(text, read.begin, kContextWords)) worth += kContext;
    if (worth < score_min_) return 0;
    ++tries;
    if (!ask || is_national(read.number())) return worth;
    // "91-415-555-0132": a calling code as the first group.
    bool coded = shaped && read.first_group <= 3 && read.count >= 11 && read.groups >= 3;
    return coded && is_international(read.number()) ? worth : 0;
  }

  bool is_national(std::string_view digits) const {
    return std::ranges::any_of(regions_, [&](const Region& region) {
      bool prefixed = !region.prefix.empty() && digits.starts_with(region.prefix);
      if (prefixed && is_given(region.code, digits.substr(region.prefix.size()), region.name.c_str())) return true;
      bool bare = region.prefix.empty() || region.prefix_optional;
      return bare && digits.size() >= 8 && is_given(region.code, digits, region.name.c_str());
    });
  }

  std::vector<Region> regions_;
  uint32_t rule_;
  bool chosen_;
  float score_min_;
};

}  // namespace

std::unique_ptr<Detector> make_phone_detector(const Wanted& wanted) { return std::make_unique<PhoneDetector>(wanted); }

}  // namespace sallyport::mask
