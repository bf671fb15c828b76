// SPDX-License-Identifier: Apache-2.0
// Record bodies as CBOR maps with small integer keys (docs/formats/record.md lists them). Absent
// means empty or zero; unknown keys are skipped: fields can be added without a new version.
#pragma once

#include <string>
#include <string_view>

#include "record/log_format.h"
#include "sallyport/base/result.h"
#include "sallyport/model/session.h"

namespace sallyport::record {

EntryType type_of(const model::RecordBody& body);

void append_body(const model::RecordBody& body, std::string& out);

/// Fails on malformed CBOR and on a type that is not known.
Result<model::RecordBody> read_body(uint8_t type, std::string_view cbor);

/// The body with its long strings and lists cut until it fits limits::kRecordPayloadBytesMax; what
/// is cut says so, with the length it had.
model::RecordBody shortened(const model::RecordBody& body);

}  // namespace sallyport::record
