// SPDX-License-Identifier: Apache-2.0
// Recorded text made fit for a terminal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::record {

/// One line: control characters, line ends, bytes that are not UTF-8, and characters that turn the
/// direction of writing are escaped. Cut at `bytes_max`.
std::string one_line(std::string_view text, size_t bytes_max = std::string_view::npos);

/// The same, but line ends stay, with `indent` before every line.
std::string indented(std::string_view text, std::string_view indent);

/// UTF-8 with what is not replaced by U+FFFD: fit for JSON.
std::string valid_utf8(std::string_view text);

/// How many columns a text of one_line() takes, by code point.
size_t columns_of(std::string_view text);

/// "1.2 ms", "340 B", "3 min 4 s"
std::string format_duration(int64_t ns);
std::string format_bytes(uint64_t bytes);

/// Rows with aligned columns, first row the head. At most `width_max` columns a cell.
std::string format_table(const std::vector<std::vector<std::string>>& rows, std::string_view gap,
                         size_t width_max = std::string_view::npos);

}  // namespace sallyport::record
