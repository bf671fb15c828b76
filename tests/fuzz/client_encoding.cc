// SPDX-License-Identifier: Apache-2.0
// Text of any bytes in any client_encoding. Oracles: what comes out is UTF-8 and no longer than the limit of growth;
// ASCII stays what it is; the three modules that tell UTF-8 apart agree.
#include "flow/postgres/client_encoding.h"

#include <algorithm>

#include "record/cbor.h"
#include "sql/scan.h"
#include "tests/fuzz/fuzz.h"

namespace flow = sallyport::flow;
using sallyport::fuzzing::Choices;
using sallyport::fuzzing::must;

namespace {

constexpr std::string_view kEncodings[] = {
    "UTF8",           "SQL_ASCII", "BIG5",    "EUC_CN",        "EUC_JP",    "EUC_JIS_2004", "EUC_KR",
    "EUC_TW",         "GB18030",   "GBK",     "JOHAB",         "SJIS",      "UHC",          "LATIN1",
    "SHIFT_JIS_2004", "WIN1251",   "WIN1258", "MULE_INTERNAL", "KOI8R",     "WIN874",       "LATIN10",
    "WIN1252",        "UNICODE",   "",        "utf8",          "ISO_8859_8"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(sallyport::fuzzing::view(data, size));
  const std::string_view encoding = kEncodings[choices.choose(std::size(kEncodings))];
  const std::vector<char> bytes(choices.rest().begin(), choices.rest().end());
  const std::string_view text(bytes.data(), bytes.size());
  const bool valid = flow::is_valid_utf8(text);
  must(valid == sallyport::sql::is_utf8(text) && valid == sallyport::record::is_utf8(text), "two words on UTF-8");
  const auto out = flow::to_utf8(text, encoding);
  if (!out) return 0;
  must(flow::is_valid_utf8(*out), "what came out is not UTF-8");
  must(out->size() <= text.size() * 4 + 4, "it grew beyond all measure");
  must(!flow::is_utf8_encoding(encoding) || *out == text, "UTF-8 was changed");
  const bool ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  must(!ascii || *out == text, "ASCII was changed");
  return 0;
}
