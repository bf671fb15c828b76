// SPDX-License-Identifier: Apache-2.0
#include "yaml.h"

#include <fmt/core.h>
#include <libfyaml.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::policy {
namespace {

struct ParserDeleter {
  void operator()(fy_parser* parser) const { fy_parser_destroy(parser); }
};
struct DiagDeleter {
  void operator()(fy_diag* diag) const { fy_diag_destroy(diag); }
};

void discard(fy_diag*, void*, const char*, size_t) {}

/// Collects complaints instead of printing them.
std::unique_ptr<fy_diag, DiagDeleter> make_diag() {
  fy_diag_cfg config{};
  fy_diag_cfg_default(&config);
  config.fp = nullptr;
  config.output_fn = discard;
  config.colorize = false;
  std::unique_ptr<fy_diag, DiagDeleter> diag(fy_diag_create(&config));
  if (diag) fy_diag_set_collect_errors(diag.get(), true);
  return diag;
}

/// Length of the UTF-8 character at the front of `rest`; 0: not one (RFC 3629).
size_t utf8_length(std::string_view rest) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(rest[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || rest.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool beyond = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || beyond ? 0 : length;
}

/// Characters that turn the reading direction make a policy read otherwise than it is written.
bool turns_direction(std::string_view character) {
  if (character.size() != 3 || !character.starts_with("\xe2")) return false;
  const auto second = static_cast<uint8_t>(character[1]), third = static_cast<uint8_t>(character[2]);
  return (second == 0x80 && third >= 0xaa && third <= 0xae) || (second == 0x81 && third >= 0xa6 && third <= 0xa9);
}

/// Plain text only: the parser below us sees nothing else.
bool check_characters(std::string_view text, Findings& findings) {
  int line = 1, column = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text.substr(at));
    const char c = text[at];
    const bool control = (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
    if (length == 0 || control || turns_direction(text.substr(at, length))) {
      findings.error_at(line, column, length == 0 ? "not UTF-8" : "a control character",
                        "policy files are plain UTF-8 text");
      return false;
    }
    at += length;
    ++column;
    if (c == '\n') ++line, column = 1;
  }
  return true;
}

/// Builds nodes from the parser's events, on a stack of its own: no recursion, so no input is too deep.
class Builder {
 public:
  Builder(Findings& findings, size_t& nodes_left) : findings_(findings), nodes_left_(nodes_left) {}

  /// False ends the reading; why stands in the findings.
  bool on(fy_event* event) {
    mark(event);
    switch (event->type) {
      case FYET_SCALAR:
        return plain(event->scalar.anchor, event->scalar.tag) && add(scalar(event->scalar.value));
      case FYET_ALIAS:
        return refuse("an alias");
      case FYET_MAPPING_START:
        return plain(event->mapping_start.anchor, event->mapping_start.tag) && open(Node::Kind::map);
      case FYET_SEQUENCE_START:
        return plain(event->sequence_start.anchor, event->sequence_start.tag) && open(Node::Kind::list);
      case FYET_MAPPING_END:
      case FYET_SEQUENCE_END:
        return close();
      default:
        return true;
    }
  }

  std::vector<Node> take() { return std::move(documents_); }

 private:
  /// A value being built; in a map, `key` is there while its value is awaited.
  struct Frame {
    Node node;
    std::optional<Node> key;
    std::set<std::string, std::less<>> seen;
  };

  void mark(fy_event* event) {
    const fy_mark* at = fy_event_start_mark(event);
    if (!at) return;
    line_ = at->line + 1;
    column_ = at->column + 1;
  }

  bool refuse(std::string_view what) {
    findings_.error_at(line_, column_, fmt::format("{} is not used in policy", what), "write the value out");
    return false;
  }

  bool plain(fy_token* anchor, fy_token* tag) {
    if (anchor) return refuse("an anchor");
    if (tag) return refuse("a tag");
    return true;
  }

  Node make(Node::Kind kind) {
    Node node;
    node.kind = kind;
    node.line = line_;
    node.column = column_;
    return node;
  }

  Node scalar(fy_token* token) {
    Node node = make(Node::Kind::scalar);
    size_t length = 0;
    if (const char* text = token ? fy_token_get_text(token, &length) : nullptr) node.text.assign(text, length);
    const fy_scalar_style style = token ? fy_token_scalar_style(token) : FYSS_PLAIN;
    node.quoted = style != FYSS_PLAIN;
    // The parser marks what is inside the quotes; people look for the quote.
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) node.column = std::max(1, node.column - 1);
    return node;
  }

  bool open(Node::Kind kind) {
    if (stack_.size() >= limits::kPolicyDepthMax) {
      findings_.error_at(line_, column_, fmt::format("nested deeper than {}", limits::kPolicyDepthMax));
      return false;
    }
    if (!stack_.empty() && stack_.back().node.kind == Node::Kind::map && !stack_.back().key) {
      findings_.error_at(line_, column_, "a key must be a word");
      return false;
    }
    stack_.push_back({make(kind), {}, {}});
    return true;
  }

  bool close() {
    Node done = std::move(stack_.back().node);
    stack_.pop_back();
    return add(std::move(done));
  }

  bool add(Node node) {
    if (nodes_left_ == 0) {
      findings_.error_at(node.line, node.column, fmt::format("more than {} values", limits::kPolicyNodesMax));
      return false;
    }
    --nodes_left_;
    if (stack_.empty()) {
      documents_.push_back(std::move(node));
      return true;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == Node::Kind::list) {
      frame.node.items.push_back(std::move(node));
    } else if (frame.key) {
      frame.node.entries.push_back({std::move(*frame.key), std::move(node)});
      frame.key.reset();
    } else {
      if (!frame.seen.insert(node.text).second) {
        findings_.error_at(node.line, node.column, fmt::format("duplicate key `{}`", printable(node.text)),
                           "keep one of them");
        return false;
      }
      frame.key = std::move(node);
    }
    return true;
  }

  Findings& findings_;
  size_t& nodes_left_;
  int line_ = 1;
  int column_ = 1;
  std::vector<Frame> stack_;
  std::vector<Node> documents_;
};

/// The parser's own complaint, with its place.
void report_syntax(fy_diag* diag, Findings& findings) {
  void* cursor = nullptr;
  const fy_diag_error* first = fy_diag_errors_iterate(diag, &cursor);
  if (!first) return findings.error_at(1, 1, "not YAML");
  findings.error_at(std::max(first->line, 1), std::max(first->column, 1),
                    fmt::format("not YAML: {}", printable(first->msg ? first->msg : "syntax error")));
}

}  // namespace

bool Node::is_null() const {
  return kind == Kind::scalar && !quoted && (text.empty() || text == "~" || text == "null");
}

std::string Node::in_words() const {
  if (kind == Kind::list) return "a list";
  if (kind == Kind::map) return "a map";
  return is_null() ? "nothing" : fmt::format("`{}`", printable(text));
}

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key.text == key) return &entry.value;
  return nullptr;
}

std::vector<Node> read_yaml(std::string_view text, Findings& findings, size_t& nodes_left) {
  if (text.size() > limits::kPolicyFileBytesMax) {
    findings.error_at(1, 1, fmt::format("larger than {} bytes", limits::kPolicyFileBytesMax), "split the file");
    return {};
  }
  if (!check_characters(text, findings)) return {};
  if (text.empty()) return {};
  const auto diag = make_diag();
  fy_parse_cfg config{};
  config.diag = diag.get();
  config.flags = static_cast<fy_parse_cfg_flags>(FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE);
  std::unique_ptr<fy_parser, ParserDeleter> parser(fy_parser_create(&config));
  if (!diag || !parser || fy_parser_set_string(parser.get(), text.data(), text.size()) != 0) {
    findings.error_at(1, 1, "cannot start the YAML parser");
    return {};
  }
  Builder builder(findings, nodes_left);
  while (fy_event* event = fy_parser_parse(parser.get())) {
    const bool end = event->type == FYET_STREAM_END;
    const bool good = builder.on(event);
    fy_parser_event_free(parser.get(), event);
    if (!good) return {};
    if (end) return builder.take();
  }
  report_syntax(diag.get(), findings);
  return {};
}

std::string flow_scalar(std::string_view text) {
  const auto bare = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '/' || c == '-' || c == '@';
  };
  const bool starts_bare = !text.empty() && text.front() != '-' && text.front() != '@' && text.front() != '.';
  const bool a_word = text != "null" && text != "true" && text != "false";
  if (starts_bare && a_word && std::ranges::all_of(text, bare)) return std::string(text);
  const bool simple = std::ranges::none_of(text, [](char c) { return c == '\'' || (c >= 0 && c < 0x20) || c == 0x7f; });
  if (simple) return fmt::format("'{}'", text);
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\', out += c;
    } else if ((c >= 0 && c < 0x20) || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string flow_text(const Node& node) {
  if (node.kind == Node::Kind::scalar) return node.is_null() ? "null" : flow_scalar(node.text);
  const bool list = node.kind == Node::Kind::list;
  std::string out = list ? "[" : "{";
  for (const Node& item : node.items) out += (out.size() > 1 ? ", " : "") + flow_text(item);
  for (const Entry& entry : node.entries)
    out += fmt::format("{}{}: {}", out.size() > 1 ? ", " : "", flow_scalar(entry.key.text), flow_text(entry.value));
  return out + (list ? ']' : '}');
}

}  // namespace sallyport::policy
