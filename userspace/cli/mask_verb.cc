// SPDX-License-Identifier: Apache-2.0
// `mask test`: standard input as the masks would leave it, or what they find in it. Nothing is asked of a daemon; a
// text is streamed, so it may be of any length.
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/verbs.h"
#include "sallyport/base/limits.h"
#include "sallyport/mask/detector_set.h"
#include "sallyport/policy/policy.h"

namespace sallyport::cli {
namespace {

using nlohmann::json;

constexpr size_t kReadBytes = 64 << 10;

/// What works on the input.
struct Masking {
  std::vector<model::DetectMask> rules;
  std::shared_ptr<const mask::DetectorSet> detectors;
  std::shared_ptr<const mask::Masker> masker;
};

Result<std::shared_ptr<const mask::Masker>> read_keys(const policy::Policy& policy) {
  std::map<std::string, mask::Key> keys;
  for (const policy::MaskKey& key : policy.mask_keys()) {
    std::ifstream file(key.file, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    if (!file) return fail(fmt::format("mask key {}: cannot read {}", key.name, key.file));
    keys.emplace(key.name, mask::make_key(std::move(bytes)));
  }
  return mask::Masker::make(std::move(keys));
}

/// The Masks of files, all of them together.
Result<Masking> read_masks(const MaskArguments& arguments) {
  auto files = read_policy_files(arguments.masks);
  if (!files) return std::unexpected(files.error());
  auto loaded = policy::load(files->documents, {.check_pattern = mask::check_pattern});
  if (!loaded) return fail(loaded.error().front().to_string());
  Masking out;
  for (model::DetectMask& rule : loaded->policy->detect_masks()) {
    if (arguments.detect.empty() || std::ranges::find(arguments.detect, rule.type) != arguments.detect.end())
      out.rules.push_back(std::move(rule));
  }
  if (out.rules.empty()) return fail(fmt::format("no Mask in `{}` detects that", arguments.masks));
  auto masker = read_keys(*loaded->policy);
  if (!masker) return std::unexpected(masker.error());
  out.masker = std::move(*masker);
  return out;
}

Result<Masking> make_masking(const MaskArguments& arguments) {
  Masking out;
  if (!arguments.masks.empty()) {
    auto read = read_masks(arguments);
    if (!read) return read;
    out = std::move(*read);
  } else {
    const auto known = mask::detector_types();
    std::vector<std::string> types = arguments.detect;
    if (types.empty()) types.assign(known.begin(), known.end());
    for (std::string& type : types) {
      model::DetectMask rule{"--detect", std::move(type), {}};
      rule.with.strategy = arguments.with == "partial" ? model::MaskStrategy::partial
                           : arguments.with == "null"  ? model::MaskStrategy::null
                                                       : model::MaskStrategy::redact;
      if (rule.type == "phone") rule.regions = arguments.regions;
      out.rules.push_back(std::move(rule));
    }
    out.masker = *mask::Masker::make({});
  }
  for (model::DetectMask& rule : out.rules) {
    if (arguments.score_min >= 0) rule.min_score = arguments.score_min;
  }
  auto detectors = mask::DetectorSet::compile(out.rules);
  if (!detectors) return std::unexpected(detectors.error());
  out.detectors = std::move(*detectors);
  return out;
}

/// Every text in a JSON value, with its RFC 6901 path.
void each_text(json& value, const std::string& path, const std::function<void(json&, const std::string&)>& visit) {
  if (value.is_string()) {
    visit(value, path);
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) each_text(value[i], fmt::format("{}/{}", path, i), visit);
  } else if (value.is_object()) {
    for (auto& [key, member] : value.items()) {
      std::string step;
      for (char c : key) step += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
      each_text(member, path + "/" + step, visit);
    }
  }
}

void print_findings(const Masking& masking, std::string_view text, size_t line, const std::string* path) {
  for (const mask::Finding& found : masking.detectors->scan(text)) {
    nlohmann::ordered_json out{{"line", line}};
    if (path) out["path"] = *path;
    out["type"] = found.type;
    if (!found.name.empty()) out["name"] = found.name;
    out["start"] = found.offset;
    out["end"] = found.offset + found.length;
    out["score"] = std::round(static_cast<double>(found.score) * 100) / 100;
    out["strategy"] = model::to_string(masking.rules[found.rule].with.strategy);
    print(out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  }
}

/// One line of JSON; false: it is none.
bool take_json(const Masking& masking, std::string_view line, size_t number, bool findings) {
  json value = json::parse(line, nullptr, false);
  if (value.is_discarded()) return false;
  each_text(value, "", [&](json& text, const std::string& path) {
    const auto& whole = text.get_ref<const std::string&>();
    if (findings) {
      print_findings(masking, whole, number, &path);
    } else if (auto masked = masking.detectors->mask_text(whole, *masking.masker)) {
      text = std::move(*masked);
    }
  });
  if (!findings) print(value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
  return true;
}

/// Is a private key open at the end of this? Then its lines belong together.
bool is_open_block(std::string_view text) {
  const size_t begin = text.rfind("-----BEGIN ");
  return begin != std::string_view::npos && text.size() < limits::kMaskStreamWindowBytes &&
         text.substr(begin).find("-----END ") == std::string_view::npos &&
         text.substr(begin, 64).find("PRIVATE KEY") != std::string_view::npos;
}

/// Cuts input into lines, in constant memory but for the longest line.
class Lines {
 public:
  Lines(const Masking& masking, bool findings, bool json_lines)
      : masking_(masking), findings_(findings), json_lines_(json_lines) {}

  void feed(std::string_view piece) {
    while (!piece.empty()) {
      const size_t end = piece.find('\n');
      held_ += piece.substr(0, end);
      if (end == std::string_view::npos) return;
      piece.remove_prefix(end + 1);
      ++line_;
      if (!json_lines_ && is_open_block(held_)) {
        held_ += '\n';
      } else {
        take();
      }
    }
  }

  void finish() {
    if (held_.empty()) return;
    ++line_;
    take();
  }

 private:
  void take() {
    const size_t first = line_ - static_cast<size_t>(std::ranges::count(held_, '\n'));
    if (json_lines_ && take_json(masking_, held_, first, findings_)) {
      held_.clear();
      return;
    }
    if (findings_) {
      print_findings(masking_, held_, first, nullptr);
    } else {
      print(masking_.detectors->mask_text(held_, *masking_.masker).value_or(held_) + "\n");
    }
    held_.clear();
  }

  const Masking& masking_;
  std::string held_;
  size_t line_ = 0;
  bool findings_;
  bool json_lines_;
};

/// Hands over standard input as it comes; false: it cannot be read.
bool read_input(const std::function<void(std::string_view)>& take) {
  std::array<char, kReadBytes> buffer{};
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    take({buffer.data(), static_cast<size_t>(got)});
    std::fflush(stdout);
  }
}

}  // namespace

int run_mask_test(const Common& common, const MaskArguments& arguments) {
  auto masking = make_masking(arguments);
  if (!masking) {
    print_error(masking.error());
    return kUsage;
  }
  std::optional<Lines> lines;
  std::optional<mask::DetectorSet::Stream> stream;
  std::string out;
  const bool done = read_input([&](std::string_view piece) {
    if (!lines && !stream) {
      const bool json_lines = piece.starts_with('{');
      if (common.json || json_lines) {
        lines.emplace(*masking, common.json, json_lines);
      } else {
        stream.emplace(masking->detectors, masking->masker);
      }
    }
    if (lines) return lines->feed(piece);
    out.clear();
    stream->feed(piece, out);
    print(out);
  });
  if (!done) {
    print_error({fmt::format("standard input cannot be read: {}", std::strerror(errno))});
    return kFound;
  }
  if (lines) lines->finish();
  if (stream) {
    out.clear();
    stream->finish(out);
    print(out);
  }
  return kDone;
}

}  // namespace sallyport::cli
