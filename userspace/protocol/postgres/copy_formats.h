// SPDX-License-Identifier: Apache-2.0
// The three formats behind copy_rows.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/protocol/postgres/copy_rows.h"

namespace sallyport::postgres {

// copy_text.cc. Rows come without their newline.
void split_copy_text(const CopyLayout& layout, std::string_view row, std::vector<CopyField>& fields);
std::string_view copy_text_value(std::string_view raw, std::string& scratch);
void append_copy_text(const CopyLayout& layout, std::string_view value, std::string& out);

// copy_csv.cc. Likewise.
Result<> split_copy_csv(const CopyLayout& layout, std::string_view row, std::vector<CopyField>& fields);
std::string_view copy_csv_value(const CopyLayout& layout, std::string_view raw, std::string& scratch);
/// `single`: the row has this one column.
void append_copy_csv(const CopyLayout& layout, std::string_view value, bool force_quote, bool single, std::string& out);
/// Goes on from `at`; true: `at` is behind the newline that ends the row.
bool find_copy_csv_end(const CopyLayout& layout, std::string_view bytes, size_t& at, bool& in_quotes, bool& skip_one);

// copy_binary.cc
inline constexpr size_t kCopyBinaryHeadBytes = 19;  // signature, flags, length of an extension
/// Signature, no flags, no extension: what every server since PostgreSQL 12 writes.
bool is_copy_binary_head(std::string_view bytes);
/// Goes on from `at`; true: `at` is behind the row. `fields_left` is -1 before the row's count was read, and stays it
/// at the end of the data, two bytes of ones.
bool find_copy_binary_end(std::string_view bytes, size_t& at, int& fields_left);
Result<> split_copy_binary(std::string_view row, std::vector<CopyField>& fields);
void append_copy_binary(const Value& value, std::string& out);

}  // namespace sallyport::postgres
