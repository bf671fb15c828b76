// SPDX-License-Identifier: Apache-2.0
// The forms of numeric, date and time, and network addresses that need more than a line.
#include <chrono>
#include <cstdio>
#include <vector>

#include "mask/pg_value.h"
#include "sallyport/base/bytes.h"
#include "sallyport/model/address.h"

namespace sallyport::mask {
namespace {

// numeric_send: ndigits, weight, sign, dscale, then base-10000 digits.
constexpr uint16_t kNumericPositive = 0x0000;
constexpr uint16_t kNumericNegative = 0x4000;
constexpr size_t kNumericDigitsMax = 16'384;  // far above numeric's 1,000 of declared precision

// inet_send: family, bits, is_cidr, address bytes (PGSQL_AF_INET = 2, PGSQL_AF_INET6 = 3).
constexpr char kFamilyV4 = 2;
constexpr char kFamilyV6 = 3;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

/// Reads digits and marks from the front of a text; remembers whether all was as asked.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  int64_t digits(size_t least, size_t most) {
    int64_t value = 0;
    size_t count = 0;
    while (count < most && count < rest_.size() && is_digit(rest_[count])) value = value * 10 + rest_[count++] - '0';
    ok_ = ok_ && count >= least;
    rest_.remove_prefix(count);
    return value;
  }
  bool accept(char letter) {
    if (rest_.empty() || rest_[0] != letter) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char letter) { ok_ = accept(letter) && ok_; }
  bool done() const { return ok_ && rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<int64_t> date_of(Cursor& cursor) {
  using namespace std::chrono;
  int64_t y = cursor.digits(4, 6);
  cursor.expect('-');
  int64_t m = cursor.digits(2, 2);
  cursor.expect('-');
  int64_t d = cursor.digits(2, 2);
  if (!cursor.ok() || y > 32'767) return std::nullopt;
  year_month_day date(year(static_cast<int>(y)), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d)));
  if (!date.ok()) return std::nullopt;
  return sys_days(date).time_since_epoch().count();
}

std::optional<int64_t> time_of(Cursor& cursor) {
  int64_t hours = cursor.digits(2, 2);
  cursor.expect(':');
  int64_t minutes = cursor.digits(2, 2);
  cursor.expect(':');
  int64_t seconds = cursor.digits(2, 2);
  int64_t micros = 0;
  if (cursor.accept('.')) {
    for (int64_t place = 100'000; place > 0; place /= 10) {
      Cursor before = cursor;
      int64_t digit = cursor.digits(1, 1);
      if (!cursor.ok()) {
        cursor = before;
        break;
      }
      micros += digit * place;
    }
  }
  if (!cursor.ok() || hours > 24 || minutes > 59 || seconds > 60) return std::nullopt;
  return ((hours * 60 + minutes) * 60 + seconds) * 1'000'000 + micros;
}

/// "+02", "-03:30": seconds east of UTC.
std::optional<int64_t> zone_of(Cursor& cursor) {
  int64_t sign = cursor.accept('-') ? -1 : 1;
  if (sign == 1) cursor.expect('+');
  int64_t seconds = cursor.digits(2, 2) * 3'600;
  if (cursor.accept(':')) seconds += cursor.digits(2, 2) * 60;
  if (cursor.accept(':')) seconds += cursor.digits(2, 2);
  if (!cursor.ok()) return std::nullopt;
  return sign * seconds;
}

}  // namespace

bool is_numeric_text(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  size_t digits = 0;
  size_t points = 0;
  for (char letter : text) {
    if (!is_digit(letter) && letter != '.') return false;
    (letter == '.' ? points : digits)++;
  }
  return digits > 0 && points <= 1;
}

std::optional<std::string> numeric_text_from_binary(std::string_view value) {
  ByteReader reader(value);
  int count = reader.u16();
  int weight = reader.i16();
  uint16_t sign = reader.u16();
  size_t scale = reader.u16();
  std::vector<int> groups(static_cast<size_t>(count));
  for (int& group : groups) group = reader.u16();
  if (!reader.ok() || !reader.at_end() || (sign != kNumericPositive && sign != kNumericNegative)) return std::nullopt;
  if (scale > kNumericDigitsMax || weight > static_cast<int>(kNumericDigitsMax / 4)) return std::nullopt;

  auto group_at = [&](int place) {  // the base-10000 digit worth 10000^place
    int index = weight - place;
    return index >= 0 && index < count ? groups[static_cast<size_t>(index)] : 0;
  };
  auto four = [](int group) {
    char digits[8];
    std::snprintf(digits, sizeof digits, "%04d", group % 10'000);
    return std::string(digits, 4);
  };
  std::string whole;
  for (int place = weight; place >= 0; --place) whole += four(group_at(place));
  size_t first = whole.find_first_not_of('0');
  whole = first == std::string::npos ? "0" : whole.substr(first);
  std::string text = sign == kNumericNegative ? "-" : "";
  text += whole;
  if (scale == 0) return text;
  std::string fraction;
  for (int place = -1; fraction.size() < scale; --place) fraction += four(group_at(place));
  return text + "." + fraction.substr(0, scale);
}

std::optional<std::string> numeric_binary_from_text(std::string_view text) {
  if (!is_numeric_text(text) || text.size() > kNumericDigitsMax) return std::nullopt;
  bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  size_t point = std::min(text.find('.'), text.size());
  std::string whole(text.substr(0, point));
  std::string fraction(text.substr(std::min(point + 1, text.size())));
  size_t scale = fraction.size();
  whole.insert(0, (4 - whole.size() % 4) % 4, '0');
  fraction.append((4 - fraction.size() % 4) % 4, '0');

  std::vector<int> groups;
  for (const std::string* part : {&whole, &fraction}) {
    for (size_t i = 0; i < part->size(); i += 4) {
      groups.push_back(((*part)[i] - '0') * 1'000 + ((*part)[i + 1] - '0') * 100 + ((*part)[i + 2] - '0') * 10 +
                       (*part)[i + 3] - '0');
    }
  }
  int weight = static_cast<int>(whole.size() / 4) - 1;
  size_t first = 0;
  while (first < groups.size() && groups[first] == 0) ++first, --weight;
  while (groups.size() > first && groups.back() == 0) groups.pop_back();
  bool zero = first == groups.size();

  std::string out;
  ByteWriter writer(out);
  writer.u16(static_cast<uint16_t>(groups.size() - first));
  writer.u16(static_cast<uint16_t>(zero ? 0 : weight));
  writer.u16(negative && !zero ? kNumericNegative : kNumericPositive);
  writer.u16(static_cast<uint16_t>(scale));
  for (size_t i = first; i < groups.size(); ++i) writer.u16(static_cast<uint16_t>(groups[i]));
  return out;
}

std::optional<int64_t> parse_date(std::string_view text) {
  Cursor cursor(text);
  auto days = date_of(cursor);
  return cursor.done() ? days : std::nullopt;
}

std::optional<int64_t> parse_time(std::string_view text) {
  Cursor cursor(text);
  auto micros = time_of(cursor);
  return cursor.done() ? micros : std::nullopt;
}

std::optional<int64_t> parse_timestamp(std::string_view text, bool with_zone) {
  Cursor cursor(text);
  auto days = date_of(cursor);
  if (!cursor.accept('T')) cursor.expect(' ');
  auto micros = time_of(cursor);
  std::optional<int64_t> zone = with_zone ? zone_of(cursor) : 0;
  if (!days || !micros || !zone || !cursor.done()) return std::nullopt;
  return *days * kMicrosPerDay + *micros - *zone * 1'000'000;
}

std::string format_date(int64_t days) {
  using namespace std::chrono;
  year_month_day date{sys_days(std::chrono::days(days))};
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  return text;
}

std::string format_time_of_day(int64_t micros) {
  int64_t seconds = micros / 1'000'000;
  char text[96];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d", static_cast<int>(seconds / 3'600),
                static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  std::string out = text;
  if (micros % 1'000'000 != 0) {
    std::snprintf(text, sizeof text, ".%06d", static_cast<int>(micros % 1'000'000));
    out += text;
    out.erase(out.find_last_not_of('0') + 1);
  }
  return out;
}

std::optional<std::string> parse_inet(std::string_view text, bool cidr) {
  auto address = model::IpAddress::parse(text.substr(0, text.find('/')));
  if (!address) return std::nullopt;
  bool v4 = address->is_v4();
  int64_t bits = v4 ? 32 : 128;
  if (size_t slash = text.find('/'); slash != std::string_view::npos) {
    Cursor cursor(text.substr(slash + 1));
    int64_t given = cursor.digits(1, 3);
    if (!cursor.done() || given > bits) return std::nullopt;
    bits = given;
  }
  std::string wire = {v4 ? kFamilyV4 : kFamilyV6, static_cast<char>(bits), static_cast<char>(cidr),
                      static_cast<char>(v4 ? 4 : 16)};
  wire.append(reinterpret_cast<const char*>(address->bytes.data()) + (v4 ? 12 : 0), v4 ? 4 : 16);
  return wire;
}

std::optional<std::string> format_inet(std::string_view wire, bool cidr) {
  if (wire.size() < 4) return std::nullopt;
  bool v4 = wire[0] == kFamilyV4;
  size_t size = v4 ? 4 : 16;
  if ((!v4 && wire[0] != kFamilyV6) || wire.size() != 4 + size || static_cast<uint8_t>(wire[1]) > size * 8)
    return std::nullopt;
  model::IpAddress address;
  if (v4) address.bytes[10] = address.bytes[11] = 0xff;
  for (size_t i = 0; i < size; ++i) address.bytes[(v4 ? 12 : 0) + i] = static_cast<uint8_t>(wire[4 + i]);
  std::string text = address.to_string();
  unsigned bits = static_cast<uint8_t>(wire[1]);
  if (cidr || bits != size * 8) text.append("/").append(std::to_string(bits));
  return text;
}

}  // namespace sallyport::mask
