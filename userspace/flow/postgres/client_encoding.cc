// SPDX-License-Identifier: Apache-2.0
#include "flow/postgres/client_encoding.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sallyport::flow {
namespace {

// PostgreSQL 15 documentation, table 24.1, beside the names that iconv knows. MULE_INTERNAL has none.
constexpr std::array<std::pair<std::string_view, const char*>, 39> kIconvNames = {{
    {"BIG5", "BIG5-HKSCS"},
    {"EUC_CN", "EUC-CN"},
    {"EUC_JP", "EUC-JP"},
    {"EUC_JIS_2004", "EUC-JISX0213"},
    {"EUC_KR", "EUC-KR"},
    {"EUC_TW", "EUC-TW"},
    {"GB18030", "GB18030"},
    {"GBK", "GBK"},
    {"ISO_8859_5", "ISO-8859-5"},
    {"ISO_8859_6", "ISO-8859-6"},
    {"ISO_8859_7", "ISO-8859-7"},
    {"ISO_8859_8", "ISO-8859-8"},
    {"JOHAB", "JOHAB"},
    {"KOI8R", "KOI8-R"},
    {"KOI8U", "KOI8-U"},
    {"LATIN1", "ISO-8859-1"},
    {"LATIN2", "ISO-8859-2"},
    {"LATIN3", "ISO-8859-3"},
    {"LATIN4", "ISO-8859-4"},
    {"LATIN5", "ISO-8859-9"},
    {"LATIN6", "ISO-8859-10"},
    {"LATIN7", "ISO-8859-13"},
    {"LATIN8", "ISO-8859-14"},
    {"LATIN9", "ISO-8859-15"},
    {"LATIN10", "ISO-8859-16"},
    {"SJIS", "CP932"},
    {"SHIFT_JIS_2004", "SHIFT_JISX0213"},
    {"UHC", "CP949"},
    {"WIN866", "CP866"},
    {"WIN874", "CP874"},
    {"WIN1250", "CP1250"},
    {"WIN1251", "CP1251"},
    {"WIN1252", "CP1252"},
    {"WIN1253", "CP1253"},
    {"WIN1254", "CP1254"},
    {"WIN1255", "CP1255"},
    {"WIN1256", "CP1256"},
    {"WIN1257", "CP1257"},
    {"WIN1258", "CP1258"},
}};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::optional<std::string> convert(std::string_view text, const char* from) {
  iconv_t converter = iconv_open("UTF-8", from);
  if (converter == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
  std::string out(text.size() * 4 + 4, '\0');  // no character of these grows beyond 4 bytes a byte
  char* input = const_cast<char*>(text.data());
  size_t input_left = text.size();
  char* output = out.data();
  size_t output_left = out.size();
  const size_t irreversible = iconv(converter, &input, &input_left, &output, &output_left);
  iconv_close(converter);
  if (irreversible != 0 || input_left != 0) return std::nullopt;
  out.resize(out.size() - output_left);
  return out;
}

}  // namespace

bool is_utf8_encoding(std::string_view encoding) { return encoding == "UTF8" || encoding == "UNICODE"; }

bool embeds_ascii(std::string_view encoding) {
  static constexpr std::string_view kEncodings[] = {"BIG5", "GB18030", "GBK", "JOHAB", "SHIFT_JIS_2004", "SJIS", "UHC"};
  return std::ranges::find(kEncodings, encoding) != std::end(kEncodings);
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint64_t word;
    if (i + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + i, sizeof word);
      if ((word & 0x8080808080808080) == 0) {  // ASCII
        i += sizeof word;
        continue;
      }
    }
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : (lead & 0xf0) == 0xe0       ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
        (lead == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

std::optional<std::string> to_utf8(std::string_view text, std::string_view encoding) {
  if (is_utf8_encoding(encoding)) {
    if (is_valid_utf8(text)) return std::string(text);
    return std::nullopt;
  }
  // Not every encoding's iconv table keeps ASCII (SJIS's 0x5c), PostgreSQL's do.
  if (is_ascii(text)) return std::string(text);
  if (encoding == "SQL_ASCII") return is_valid_utf8(text) ? std::optional(std::string(text)) : std::nullopt;
  for (const auto& [name, iconv_name] : kIconvNames)
    if (name == encoding) return convert(text, iconv_name);
  return std::nullopt;
}

}  // namespace sallyport::flow
