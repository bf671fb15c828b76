// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "sallyport/base/log.h"

namespace sallyport::cli {

using nlohmann::json;

void print_error(const Error& error) {
  std::fflush(stdout);
  fmt::print(stderr, "sallyport: {}\n", error.what);
  if (!error.hint.empty()) fmt::print(stderr, "  hint: {}\n", error.hint);
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const json& value) { print(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n"); }

void print_table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::string& cell : head) widths.push_back(cell.size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  auto line = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t i = 0; i < cells.size(); ++i)
      out += i + 1 == cells.size() ? cells[i] : fmt::format("{:<{}}  ", cells[i], widths[i]);
    print(out + "\n");
  };
  line(head);
  for (const auto& row : rows) line(row);
}

std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return "-";
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  if (!found->is_string()) return found->dump();
  const auto& text = found->get_ref<const std::string&>();
  return text.empty() ? "-" : printable(text);
}

}  // namespace sallyport::cli
