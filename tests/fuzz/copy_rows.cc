// SPDX-License-Identifier: Apache-2.0
// Oracle: data of a COPY cut anywhere give the same rows as whole, all bytes of them once and in order, or the same
// failure; fields put together as they came are the row; a row made of values is read as these values.
#include "sallyport/protocol/postgres/copy_rows.h"

#include "tests/fuzz/fuzz.h"

using namespace sallyport;
using namespace sallyport::postgres;
using fuzzing::must;

namespace {

CopyLayout layout_of(fuzzing::Choices& choices) {
  static constexpr std::string_view kMarks = "|,;\t\x01N$'[]\"\\";
  const auto mark = [&] { return kMarks[choices.choose(kMarks.size())]; };
  CopyLayout layout{.format = static_cast<CopyLayout::Format>(choices.choose(3))};
  layout.header = layout.format != CopyLayout::Format::binary && choices.choose(2) != 0;
  layout.delimiter = mark();
  if (layout.delimiter == '\\') layout.delimiter = ',';
  layout.quote = mark();
  if (layout.quote == layout.delimiter) layout.quote = layout.delimiter == '"' ? '\'' : '"';
  layout.escape = choices.choose(2) ? mark() : layout.quote;
  static constexpr const char* kNulls[] = {"\\N", "", "null", "x"};
  layout.null = kNulls[choices.choose(4)];
  return layout;
}

/// Every piece with what it is, and why no more came.
std::string pieces_of(const CopyLayout& layout, std::string_view data, size_t chunk_max, std::string& bytes) {
  CopyReader reader(layout);
  std::string story;
  while (true) {
    const size_t size = std::min(data.size(), 1 + (data.size() * 7 + 3) % chunk_max);
    std::string_view chunk = data.substr(0, size);
    data.remove_prefix(size);
    while (true) {
      auto next = reader.next(chunk);
      if (!next) return story + next.error().what;
      if (!*next) break;
      bytes += (*next)->bytes;
      story.append((*next)->is_row ? "row " : "other ").append((*next)->bytes).push_back('\n');
    }
    must(chunk.empty(), "bytes were left");
    if (data.empty()) break;
  }
  auto finished = reader.finish();
  return story + (finished ? "" : finished.error().what);
}

void take_apart(const CopyLayout& layout, std::string_view data) {
  CopyReader reader(layout);
  std::vector<CopyField> fields;
  std::string scratch;
  while (true) {
    auto next = reader.next(data);
    if (!next || !*next) return;
    if (!(*next)->is_row || !reader.split((*next)->bytes, fields)) continue;
    std::string again;
    CopyRowWriter writer(layout, fields.size(), again);
    for (const CopyField& field : fields) {
      writer.field(field);
      if (!field.null) must(reader.value(field, scratch).size() <= field.raw.size(), "a value longer than its field");
    }
    writer.finish();
    must(again == (*next)->bytes, "fields put together are not their row");
  }
}

void put_together(const CopyLayout& layout, std::string_view text) {
  std::vector<std::string_view> values;
  for (size_t at = 0; at <= text.size() && values.size() < 8; at += 1 + values.back().size())
    values.push_back(text.substr(at, text.find('~', at) - at));
  std::string row, scratch;
  CopyRowWriter writer(layout, values.size(), row);
  for (std::string_view value : values) writer.value(value, false);
  writer.finish();
  CopyReader reader(layout);
  std::string_view data = row;
  std::string_view head("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
  if (layout.format == CopyLayout::Format::binary) must(reader.next(head)->has_value(), "a head");
  if (layout.header) must(!reader.next(data)->value().is_row, "names of columns"), data = row;
  auto next = reader.next(data);
  must(next && *next && (*next)->is_row && (*next)->bytes == row && data.empty(), "a row that is written is one row");
  std::vector<CopyField> fields;
  must(reader.split((*next)->bytes, fields).has_value() && fields.size() == values.size(), "as many fields as values");
  for (size_t i = 0; i < fields.size(); ++i)
    must(!fields[i].null && reader.value(fields[i], scratch) == values[i], "a value is read as it was written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzzing::Choices choices(fuzzing::view(data, size));
  const CopyLayout layout = layout_of(choices);
  const size_t chunk_max = 1 + choices.choose(40);
  std::string text(choices.rest());
  // As PostgreSQL's NULL option may not hold the delimiter or quote.
  if (layout.null.find(layout.delimiter) != std::string::npos || layout.null.find(layout.quote) != std::string::npos)
    return 0;
  if (layout.format == CopyLayout::Format::binary) text = std::string("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19) + text;
  std::string bytes, cut_bytes;
  const std::string whole = pieces_of(layout, text, 1 << 20, bytes);
  const std::string cut = pieces_of(layout, text, chunk_max, cut_bytes);
  must(whole == cut && bytes == cut_bytes, "a cut changed what comes out");
  must(std::string_view(text).starts_with(bytes), "bytes were changed");
  take_apart(layout, text);
  put_together(layout, std::string_view(text));
  return 0;
}
