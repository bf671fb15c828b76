// SPDX-License-Identifier: Apache-2.0
// `process` beside the protocol key of a rule.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "keys.h"
#include "parse.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

constexpr size_t kSha256Digits = 64;

std::span<const Node> one_or_more(const Node& node, std::string_view what, Reader& reader) {
  return node.kind == Node::Kind::scalar ? std::span(&node, 1) : reader.list(node, what);
}

void parse_exe(const Node& node, ProcessRule& out, Reader& reader) {
  for (const Node& item : one_or_more(node, "process.exe", reader)) {
    const std::string text = reader.text(item, "process.exe");
    if (text.empty()) continue;
    auto pattern = parse_path_pattern(text);
    if (!pattern) {
      reader.wrong(item, fmt::format("process.exe: {}", pattern.error().what), pattern.error().hint);
      continue;
    }
    const std::string_view name = std::string_view(text).substr(text.rfind('/') + 1);
    constexpr std::array<std::string_view, 10> kInterpreters = {"bash", "dash",   "java", "node", "perl",
                                                                "php",  "python", "ruby", "sh",   "busybox"};
    for (std::string_view interpreter : kInterpreters)
      if (name == interpreter || (name.starts_with(interpreter) &&
                                  name.find_first_not_of("0123456789.", interpreter.size()) == std::string_view::npos))
        reader.findings().warning(reader.place(item),
                                  fmt::format("`{}` runs scripts: whatever it runs is this process", printable(text)),
                                  "a script is no executable; give it an agent of its own if it needs more");
    out.exe.push_back(std::move(*pattern));
  }
}

void parse_sha256(const Node& node, ProcessRule& out, Reader& reader) {
  for (const Node& item : one_or_more(node, "process.sha256", reader)) {
    std::string text = reader.text(item, "process.sha256");
    if (text.empty()) continue;
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'F' ? char(c - 'A' + 'a') : c; });
    if (text.size() == kSha256Digits && text.find_first_not_of("0123456789abcdef") == std::string::npos) {
      out.sha256.push_back(std::move(text));
    } else {
      reader.wrong(item, fmt::format("process.sha256: `{}` is not 64 hex digits", printable(text, 80)),
                   "take what `sha256sum FILE` prints, or `sessions show`");
    }
  }
}

std::vector<uint32_t> parse_ids(const Node& node, std::string_view what, Reader& reader) {
  constexpr uint64_t kIdMax = 0xffff'fffe;  // the last one is nobody's
  std::vector<uint32_t> out;
  for (const Node& item : one_or_more(node, what, reader))
    if (const auto id = reader.number(item, what, kIdMax)) out.push_back(static_cast<uint32_t>(*id));
  return out;
}

}  // namespace

ProcessRule parse_process_rule(const Node& node, model::Outcome outcome, Reader& reader) {
  ProcessRule out;
  if (!reader.is_map(node, "process", keys::kProcess)) return out;
  if (node.entries.empty()) reader.wrong(node, "process is an empty map", "leave the key out, or name the executable");
  if (const Node* exe = reader.get(node, "exe", "process")) parse_exe(*exe, out, reader);
  if (const Node* sha256 = reader.get(node, "sha256", "process")) parse_sha256(*sha256, out, reader);
  if (const Node* uid = reader.get(node, "uid", "process")) out.uid = parse_ids(*uid, "process.uid", reader);
  if (const Node* gid = reader.get(node, "gid", "process")) out.gid = parse_ids(*gid, "process.gid", reader);
  if (outcome == model::Outcome::deny && (!out.exe.empty() || !out.sha256.empty()))
    reader.findings().warning(reader.place(node),
                              "a copy of the executable, or one byte more in it, gets around this deny",
                              "say in `allow` which processes may, and deny nobody by name");
  return out;
}

}  // namespace sallyport::policy
