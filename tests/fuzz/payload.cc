// SPDX-License-Identifier: Apache-2.0
// The CBOR payload of an entry, of any bytes. Oracles: what can be read prints in every form, with no control
// character that would drive a terminal; what it is written as again reads as the same.
#include "record/payload.h"

#include <nlohmann/json.hpp>

#include "sallyport/base/limits.h"
#include "sallyport/record/render.h"
#include "tests/fuzz/fuzz.h"
#include "tests/record/entries.h"

namespace record = sallyport::record;
namespace model = sallyport::model;
using sallyport::fuzzing::must;

namespace {

std::string written(const model::RecordBody& body) {
  std::string out;
  record::append_body(body, out);
  return out;
}

void must_be_harmless(std::string_view text) {
  for (const char c : text)
    must(c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f), "a terminal would be driven");
}

void print(const model::RecordBody& body) {
  record::SessionDetail detail;
  detail.summary.id = record::session_id(1);
  if (const auto* opened = std::get_if<model::SessionOpened>(&body)) detail.summary.opened = *opened;
  if (const auto* closed = std::get_if<model::SessionClosed>(&body)) detail.summary.close_reason = closed->reason;
  record::RecordedOperation operation;
  if (const auto* decided = std::get_if<model::OperationDecided>(&body)) operation.decided = *decided;
  if (const auto* rows = std::get_if<model::RowsReturned>(&body)) operation.rows = {*rows};
  if (const auto* ended = std::get_if<model::OperationEnded>(&body)) operation.ended = *ended;
  detail.operations.push_back(operation);
  must_be_harmless(record::render_list({detail.summary}));
  must_be_harmless(record::render_show(detail));
  for (const record::ReplayStep& step : record::render_replay(detail)) must_be_harmless(step.text);
  must(!record::to_json(detail).dump().empty(), "no JSON");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<char> cbor(data + 1, data + size);
  const auto body = record::read_body(data[0], {cbor.data(), cbor.size()});
  if (!body) return 0;
  print(*body);
  const std::string bytes = written(*body);
  const auto again = record::read_body(static_cast<uint8_t>(record::type_of(*body)), bytes);
  must(again && written(*again) == bytes, "it reads otherwise than it was written");
  must(written(record::shortened(*body)).size() <= sallyport::limits::kRecordPayloadBytesMax, "not short enough");
  return 0;
}
