// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "sallyport/base/limits.h"
#include "sallyport/sql/analysis.h"
#include "sql/command.h"

namespace sallyport::sql {
namespace {

// The whole text as one statement that nobody understands.
Analysis not_understood(std::string_view text, std::string because, std::vector<Literal> literals) {
  Analysis analysis;
  Statement& statement = analysis.statements.emplace_back();
  statement.statement_class = model::kUnknownClass;
  statement.length = static_cast<uint32_t>(text.size());
  model::Effect& effect = statement.effects.emplace_back();
  effect.statement_class = model::kUnknownClass;
  effect.access = model::Access::execute;
  effect.all_columns = true;
  effect.because = because;
  statement.moves_meaning = statement.moves_lexing = true;
  statement.computed_output = true;
  statement.literals = std::move(literals);
  analysis.parse_error = std::move(because);
  return analysis;
}

std::vector<Literal> literals_of(const std::vector<LiteralToken>& tokens) {
  std::vector<Literal> literals(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    literals[i].offset = tokens[i].offset;
    literals[i].length = tokens[i].length;
    literals[i].parameter = tokens[i].parameter;
  }
  return literals;
}

// Nobody can tell a password from a name in a text that was not understood: every string is kept secret,
// and so is everything behind the place where the scan gave up.
std::vector<Literal> secret_literals(std::string_view text, const Scan& scan) {
  std::vector<Literal> literals = literals_of(scan.literals);
  for (size_t i = 0; i < literals.size(); ++i) literals[i].password = scan.literals[i].string;
  if (scan.end < text.size()) {
    Literal& rest = literals.emplace_back();
    rest.offset = static_cast<uint32_t>(scan.end);
    rest.length = static_cast<uint32_t>(text.size() - scan.end);
    rest.password = true;
  }
  return literals;
}

// PostgreSQL's message without the piece of the text that it quotes ("… at or near "x"").
std::string without_quotes(std::string_view message) {
  std::string kept(message.substr(0, message.find(" at or near")));
  size_t quote = kept.find('"');
  if (quote != std::string::npos) kept.resize(quote);
  while (!kept.empty() && kept.back() == ' ') kept.pop_back();
  return kept.empty() ? "syntax error" : kept;
}

class Analyser {
 public:
  Analyser(std::string_view text, const Settings& settings, const Catalogue& catalogue, const SessionNames& session)
      : text_(text), settings_(settings), catalogue_(catalogue), session_(session) {}

  std::variant<Analysis, Missing> run() {
    if (text_.size() > limits::kSqlTextBytesMax) return refuse("the text is longer than the 1 MiB that is analysed");
    if (text_.find('\0') != std::string_view::npos) return refuse("the text holds a NUL byte");
    if (!is_utf8(text_)) return refuse("the text is not valid UTF-8");
    scan_ = scan(text_, settings_.standard_conforming_strings);
    if (!scan_.refused.empty()) return refuse(std::string(scan_.refused));
    const std::string terminated(text_);
    pg::ParseTree tree(terminated.c_str(), settings_.standard_conforming_strings);
    if (!tree.ok()) return refuse(without_quotes(tree.error()));
    return walk(tree);
  }

 private:
  Analysis refuse(std::string because) {
    Analysis analysis = not_understood(text_, std::move(because), secret_literals(text_, scan_));
    analysis.shape = std::move(scan_.shape);
    return analysis;
  }

  std::variant<Analysis, Missing> walk(const pg::ParseTree& tree) {
    TextState state(text_, scan_.literals, settings_, catalogue_);
    state.literals = literals_of(scan_.literals);
    LocalNames local;
    Analysis analysis;
    analysis.parsed = true;
    analysis.statements.reserve(tree.statements().size());
    size_t next_literal = 0;
    for (const Node* node : tree.statements()) {
      const auto* raw = pg::as<RawStmt>(node);
      if (raw == nullptr) return refuse("the parser gave something that is no statement");
      Statement statement;
      place(statement, raw);
      Command command(state, session_, local, analysis.statements, statement);
      if (!command.run(raw->stmt)) return refuse("too deep or too many parts to be understood");
      take_literals(statement, state.literals, next_literal);
      analysis.statements.push_back(std::move(statement));
    }
    if (!state.names.missing().empty()) return state.names.missing();
    analysis.shape = std::move(scan_.shape);
    return analysis;
  }

  void place(Statement& statement, const RawStmt* raw) const {
    size_t begin = raw->stmt_location < 0 ? 0 : static_cast<size_t>(raw->stmt_location);
    size_t end = raw->stmt_len > 0 ? begin + static_cast<size_t>(raw->stmt_len) : text_.size();
    begin = std::min(skip_blank(text_, begin), end);
    statement.offset = static_cast<uint32_t>(begin);
    statement.length = static_cast<uint32_t>(end - begin);
  }

  static void take_literals(Statement& statement, std::vector<Literal>& literals, size_t& next) {
    size_t end = static_cast<size_t>(statement.offset) + statement.length;
    size_t first = next;
    while (next < literals.size() && literals[next].offset < end) ++next;
    statement.literals.assign(std::make_move_iterator(literals.begin() + first),
                              std::make_move_iterator(literals.begin() + next));
  }

  std::string_view text_;
  const Settings& settings_;
  const Catalogue& catalogue_;
  const SessionNames& session_;
  Scan scan_;
};

}  // namespace

std::variant<Analysis, Missing> analyse(std::string_view utf8_text, const Settings& settings,
                                        const Catalogue& catalogue, const SessionNames& names) {
  try {
    return Analyser(utf8_text, settings, catalogue, names).run();
  } catch (const std::exception&) {
    return not_understood(utf8_text, "the text could not be taken apart", secret_literals(utf8_text, {}));
  }
}

std::string redact(std::string_view text, const std::vector<Statement>& statements,
                   const std::function<std::optional<std::string>(const Literal&, std::string_view)>& replace) {
  std::string out;
  out.reserve(text.size());
  size_t from = 0;
  for (const Statement& statement : statements) {
    for (const Literal& literal : statement.literals) {
      size_t end = static_cast<size_t>(literal.offset) + literal.length;
      if (literal.parameter != 0 || literal.offset < from || end > text.size()) continue;
      std::optional<std::string> instead;
      if (literal.password) {
        instead = "'<secret>'";
      } else {
        instead = replace(literal, text.substr(literal.offset, literal.length));
      }
      if (!instead.has_value()) continue;
      out.append(text.substr(from, literal.offset - from)).append(*instead);
      from = end;
    }
  }
  return out.append(text.substr(from));
}

}  // namespace sallyport::sql
