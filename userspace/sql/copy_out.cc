// SPDX-License-Identifier: Apache-2.0
#include "sql/copy_out.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sql/scan.h"
#include "sql/settings.h"

namespace sallyport::sql {
namespace {

using model::CopyLayout;

constexpr std::string_view kOdd = "an option of it is not understood";

/// As defGetString reads it, as far as it makes sense here.
std::optional<std::string> option_text(const DefElem* option) {
  if (pg::as<String>(option->arg) != nullptr) return std::string(pg::text_of(option->arg));
  if (const auto* integer = pg::as<Integer>(option->arg)) return std::to_string(integer->ival);
  return std::nullopt;
}

/// One byte that stands for nothing else: no newline, and ASCII, which is the same in all encodings.
bool set_byte(const DefElem* option, char& byte) {
  const auto text = option_text(option);
  if (!text || text->size() != 1 || *text == "\n" || *text == "\r" || static_cast<unsigned char>((*text)[0]) >= 0x80)
    return false;
  byte = (*text)[0];
  return true;
}

/// defGetCopyHeaderChoice; `match` is for COPY FROM.
bool set_header(const DefElem* option, bool& header) {
  header = true;
  if (option->arg == nullptr) return true;
  if (const auto* integer = pg::as<Integer>(option->arg)) {
    header = integer->ival == 1;
    return integer->ival == 0 || integer->ival == 1;
  }
  if (nodeTag(option->arg) == T_Boolean) {  // the old syntax
    header = reinterpret_cast<const Boolean*>(option->arg)->boolval;
    return true;
  }
  const std::string word = fold_setting(pg::text_of(option->arg));
  header = word == "true" || word == "on";
  return header || word == "false" || word == "off";
}

struct Given {
  bool delimiter = false, null = false, quote = false, escape = false;
};

bool read_option(const DefElem* option, CopyOut& out, Given& given) {
  const std::string_view name = pg::view(option->defname);
  if (name == "format") {
    const std::string_view format = pg::text_of(option->arg);
    out.layout.format = format == "csv"      ? CopyLayout::Format::csv
                        : format == "binary" ? CopyLayout::Format::binary
                                             : CopyLayout::Format::text;
    return format == "text" || format == "csv" || format == "binary";
  }
  if (name == "delimiter") return given.delimiter = set_byte(option, out.layout.delimiter);
  if (name == "quote") return given.quote = set_byte(option, out.layout.quote);
  if (name == "escape") return given.escape = set_byte(option, out.layout.escape);
  if (name == "header") return set_header(option, out.layout.header);
  if (name == "freeze" || name == "force_not_null" || name == "force_null") return true;  // of COPY FROM
  if (name == "null" || name == "encoding") {
    auto text = option_text(option);
    if (!text) return false;
    given.null |= name == "null";
    (name == "null" ? out.layout.null : out.encoding) = std::move(*text);
    return true;
  }
  if (name != "force_quote") return false;
  if (option->arg != nullptr && nodeTag(option->arg) == T_A_Star) return out.force_quote_all = true;
  if (pg::as<List>(option->arg) == nullptr) return false;
  for (const Node* column : pg::Nodes(option->arg)) out.force_quote.emplace_back(pg::text_of(column));
  return true;
}

/// The query between the brackets of COPY (…) TO.
std::string bracketed(std::string_view text, bool standard_strings) {
  std::vector<Token> tokens;
  if (!scan(text, standard_strings, &tokens).refused.empty() || tokens.size() < 2) return {};
  const auto is = [&](const Token& token, char c) { return token.length == 1 && text[token.offset] == c; };
  if (!is(tokens[1], '(')) return {};
  int depth = 0;
  for (size_t i = 1; i < tokens.size(); ++i) {
    depth += is(tokens[i], '(') - is(tokens[i], ')');
    if (depth != 0) continue;
    const size_t begin = tokens[1].offset + 1;
    return std::string(text.substr(begin, tokens[i].offset - begin));
  }
  return {};
}

std::string selection(const RangeVar* relation, const std::vector<Output>& outputs) {
  std::string out = "SELECT";
  for (const Output& output : outputs)
    out.append(&output == &outputs.front() ? " " : ", ").append(quoted_name(output.name));
  out += " FROM ONLY ";
  if (relation->schemaname != nullptr) out.append(quoted_name(relation->schemaname)).append(".");
  return out.append(quoted_name(relation->relname));
}

}  // namespace

std::shared_ptr<const CopyOut> read_copy_out(const CopyStmt* copy, std::string_view text, bool standard_strings,
                                             const Statement& statement) {
  auto out = std::make_shared<CopyOut>();
  Given given;
  for (const Node* node : pg::Nodes(copy->options)) {
    const auto* option = pg::as<DefElem>(node);
    if (option == nullptr || !read_option(option, *out, given)) out->obscure = kOdd;
  }
  if (out->layout.format == CopyLayout::Format::csv) {
    if (!given.delimiter) out->layout.delimiter = ',';
    if (!given.null) out->layout.null.clear();
    if (!given.escape) out->layout.escape = out->layout.quote;
  }
  const bool odd_null =
      out->layout.null.find_first_of("\r\n") != std::string::npos ||
      out->layout.null.find(out->layout.delimiter) != std::string::npos ||
      (out->layout.format == CopyLayout::Format::csv && out->layout.null.find(out->layout.quote) != std::string::npos);
  const bool odd_delimiter =
      out->layout.format == CopyLayout::Format::csv
          ? out->layout.delimiter == out->layout.quote
          : std::string_view("\\.abcdefghijklmnopqrstuvwxyz0123456789").find(out->layout.delimiter) !=
                std::string_view::npos;
  if (odd_null || odd_delimiter) out->obscure = kOdd;
  if (copy->query != nullptr)
    out->query = bracketed(text, standard_strings);
  else if (copy->relation != nullptr && statement.outputs_known)
    out->query = selection(copy->relation, statement.outputs);
  if (out->obscure.empty() && out->query.empty()) out->obscure = "its columns are not known";
  return out;
}

}  // namespace sallyport::sql
