// SPDX-License-Identifier: Apache-2.0
#include "strict_json.h"

#include <fmt/core.h>

#include <vector>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;

/// Builds the value and stops at the first thing that is not strict. nlohmann's own parser keeps the last of two
/// members with one name.
class StrictBuilder final : public nlohmann::json_sax<json> {
 public:
  json value;
  std::string trouble;

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t&) override { return put(v); }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t&) override { return stop("binary"); }
  bool start_object(size_t) override { return enter(json::object()); }
  bool start_array(size_t) override { return enter(json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    const auto [at, fresh] = open_.back()->get_ref<json::object_t&>().try_emplace(std::move(name));
    if (!fresh) return stop(fmt::format("a member twice: `{}`", printable(at->first, 40)));
    member_ = &at->second;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return stop(fmt::format("no valid JSON at byte {}", position));
  }

 private:
  bool stop(std::string why) {
    trouble = std::move(why);
    return false;
  }

  json* place(json&& v) {
    if (open_.empty()) return &(value = std::move(v));
    if (!open_.back()->is_array()) return &(*member_ = std::move(v));
    open_.back()->push_back(std::move(v));
    return &open_.back()->back();
  }

  bool put(json v) {
    if (open_.empty()) return stop("no JSON object");
    place(std::move(v));
    return true;
  }

  bool enter(json v) {
    if (open_.empty() && !v.is_object()) return stop("no JSON object");
    if (open_.size() == limits::kTokenJsonDepthMax) return stop("nested too deeply");
    open_.push_back(place(std::move(v)));
    return true;
  }

  bool leave() {
    open_.pop_back();
    return true;
  }

  // Elements of an array move when it grows, but only its last one is ever open.
  std::vector<json*> open_;
  json* member_ = nullptr;
};

}  // namespace

std::expected<json, std::string> parse_strict_object(std::string_view text) {
  // nlohmann's reader takes a NUL for the end, and skips a byte-order mark.
  if (text.find('\0') != std::string_view::npos) return std::unexpected("a NUL byte in JSON");
  if (text.starts_with("\xef\xbb\xbf")) return std::unexpected("a byte-order mark before JSON");
  StrictBuilder builder;
  if (!json::sax_parse(text, &builder)) return std::unexpected(std::move(builder.trouble));
  return std::move(builder.value);
}

}  // namespace sallyport::identity
