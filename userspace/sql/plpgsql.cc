// SPDX-License-Identifier: Apache-2.0
#include "sql/plpgsql.h"

#include <algorithm>

#include "sql/scan.h"

namespace sallyport::sql {
namespace {

using Kind = PlpgsqlPiece::Kind;
using Words = std::vector<std::string_view>;

// Words that cannot begin an assignment; all other keywords may be variables.
constexpr std::string_view kReserved[] = {"all",  "begin",   "by",     "case", "declare", "else",  "end",  "execute",
                                          "for",  "foreach", "from",   "if",   "in",      "into",  "loop", "not",
                                          "null", "or",      "strict", "then", "to",      "using", "when", "while"};

class Cutter {
 public:
  Cutter(std::string_view text, bool standard_strings) : text_(text) {
    skip_options();
    Scan scanned = scan(text_, standard_strings, &tokens_);
    if (!scanned.refused.empty()) fail(scanned.refused);
  }

  PlpgsqlCode run() {
    while (why_.empty() && at_ < tokens_.size()) statement();
    if (why_.empty() && !begun_) fail("there is no BEGIN");
    code_.understood = why_.empty();
    code_.why = why_;
    return std::move(code_);
  }

 private:
  // Lines such as "#variable_conflict use_column", before anything else.
  void skip_options() {
    for (;;) {
      size_t begin = skip_blank(text_, 0);
      if (begin >= text_.size() || text_[begin] != '#') return;
      text_.remove_prefix(std::min(text_.find('\n', begin), text_.size()));
    }
  }

  void fail(std::string_view why) {
    if (why_.empty()) why_ = why;
    at_ = tokens_.size();
  }

  std::string_view raw(size_t index) const {
    if (index >= tokens_.size()) return {};
    return text_.substr(tokens_[index].offset, tokens_[index].length);
  }
  std::string word(size_t index) const {
    if (index >= tokens_.size() || tokens_[index].kind != Token::word) return {};
    std::string folded(raw(index));
    for (char& c : folded)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return folded;
  }
  bool is(std::string_view wanted) const { return word(at_) == wanted; }
  bool is_raw(std::string_view wanted) const { return raw(at_) == wanted; }
  bool is_name(size_t index) const {
    return index < tokens_.size() &&
           (tokens_[index].kind == Token::word || tokens_[index].kind == Token::quoted_name ||
            (raw(index).size() > 1 && raw(index)[0] == '$' && tokens_[index].kind == Token::other));
  }
  std::string name(size_t index) const {
    if (index < tokens_.size() && tokens_[index].kind == Token::quoted_name) {
      std::vector<std::string> parts = split_names(raw(index));
      return parts.empty() ? std::string() : parts[0];
    }
    return tokens_.size() > index && tokens_[index].kind == Token::word ? word(index) : std::string(raw(index));
  }
  size_t offset(size_t index) const { return index < tokens_.size() ? tokens_[index].offset : text_.size(); }
  bool take(std::string_view wanted) {
    if (!is(wanted)) return false;
    return ++at_, true;
  }

  // Index of the first of `words` or `marks` (one character each) at bracket depth 0; the end of the text fails.
  size_t find(size_t from, const Words& words, std::string_view marks) {
    int depth = 0;
    for (size_t i = from; i < tokens_.size(); ++i) {
      std::string_view token = raw(i);
      if (depth == 0 && token.size() == 1 && marks.find(token[0]) != std::string_view::npos) return i;
      if (depth == 0 && tokens_[i].kind == Token::word && words.size() > 0) {
        std::string folded = word(i);
        if (std::find(words.begin(), words.end(), folded) != words.end()) return i;
      }
      if (token == "(" || token == "[") ++depth;
      if (token == ")" || token == "]") --depth;
      if (token == ";" && depth <= 0) break;
    }
    fail("a statement has no end");
    return tokens_.size();
  }

  std::string between(size_t from, size_t to) const {
    size_t begin = offset(from);
    size_t end = std::max(begin, offset(to));
    return std::string(text_.substr(begin, end - begin));
  }
  void add(Kind kind, std::string text) {
    if (why_.empty()) code_.pieces.push_back({kind, std::move(text)});
  }
  // An expression up to token `to`, which is consumed if `past`.
  void expression(size_t to, bool past = true) {
    if (!why_.empty()) return;
    if (to <= at_) return fail("an expression is empty");
    add(PlpgsqlPiece::expression, between(at_, to));
    at_ = to + (past ? 1 : 0);
  }
  void expression_until(const Words& words, std::string_view marks) { expression(find(at_, words, marks)); }
  void variable(std::string name) { code_.variables.push_back(std::move(name)); }

  // x, x.y, x[1].y followed by := or =; where the value begins, or 0.
  size_t assignment() const {
    if (!is_name(at_)) return 0;
    std::string first = word(at_);
    if (std::find(std::begin(kReserved), std::end(kReserved), first) != std::end(kReserved)) return 0;
    size_t i = at_ + 1;
    for (;;) {
      if (raw(i) == "." && is_name(i + 1)) {
        i += 2;
      } else if (raw(i) == "[") {
        int depth = 0;
        for (; i < tokens_.size(); ++i) {
          if (raw(i) == "[" || raw(i) == "(") ++depth;
          if (raw(i) == "]" || raw(i) == ")") --depth;
          if (depth == 0) break;
        }
        ++i;
      } else {
        break;
      }
    }
    return assigned(i);
  }
  // Offset behind an assignment sign at token `i`, or 0. ":=-1" and "=-1" hold the sign and an operator.
  size_t assigned(size_t i) const {
    std::string_view token = raw(i);
    if (token == ":" && offset(i + 1) == offset(i) + 1 && raw(i + 1).starts_with("=")) return offset(i) + 2;
    if (token.starts_with("=") && token.find_first_not_of("+-", 1) == std::string_view::npos) return offset(i) + 1;
    return 0;
  }
  void assign(size_t begin) {
    // Subscripts of the target are expressions too.
    size_t sign = at_;
    while (offset(sign) + 1 != begin && offset(sign) + 2 != begin && sign < tokens_.size()) ++sign;
    add(PlpgsqlPiece::expression, between(at_, sign));
    size_t end = find(sign, {}, ";");
    if (!why_.empty()) return;
    add(PlpgsqlPiece::expression, std::string(text_.substr(begin, offset(end) - begin)));
    at_ = end + 1;
  }

  void statement();
  bool block_word(const std::string& first);
  bool loop_word(const std::string& first);
  bool command_word(const std::string& first);
  void declarations();
  void declaration();
  void cursor_declaration();
  void type_until(size_t to);
  void when();
  void for_loop();
  void foreach ();
  void dynamic(const Words& ends, std::string_view marks);
  void using_list(const Words& ends, std::string_view marks);
  void targets();
  void returns();
  void raise();
  void open();
  void sql();
  void skip_words(std::string_view also);

  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  bool begun_ = false;
  std::string_view why_;
  PlpgsqlCode code_;
};

// Up to and with the semicolon; only words, names, numbers and characters of `also` may stand there.
void Cutter::skip_words(std::string_view also) {
  size_t end = find(at_, {}, ";");
  for (; at_ < end && why_.empty(); ++at_) {
    std::string_view token = raw(at_);
    bool plain = is_name(at_) || token.find_first_not_of("0123456789") == std::string_view::npos ||
                 token.find_first_not_of(also) == std::string_view::npos;
    if (!plain) fail("a statement of a form that is not known");
  }
  if (why_.empty()) at_ = end + 1;
}

void Cutter::statement() {
  if (is_raw(";")) return static_cast<void>(++at_);
  if (is_raw("<<")) {
    if (!is_name(at_ + 1) || raw(at_ + 2) != ">>") return fail("a label of a form that is not known");
    variable(name(at_ + 1));  // its variables may be called label.x
    at_ += 3;
    return;
  }
  if (size_t value = assignment()) return assign(value);
  std::string first = word(at_);
  if (first.empty() && !is_raw("(")) return fail("a statement of a form that is not known");
  if (block_word(first) || loop_word(first) || command_word(first)) return;
  sql();
}

// Words that make blocks and branches.
bool Cutter::block_word(const std::string& first) {
  if (first == "declare") {
    declarations();
  } else if (first == "begin") {
    begun_ = true;
    ++at_;
  } else if (first == "exception" || first == "else") {
    ++at_;
  } else if (first == "end") {
    // The last END may go without a semicolon.
    size_t last = tokens_.size();
    bool closed = false;
    for (size_t i = at_; i < last && !closed; ++i) closed = raw(i) == ";";
    if (closed) return skip_words(""), true;
    for (; at_ < last; ++at_)
      if (!is_name(at_)) return fail("something stands behind the last END"), true;
  } else if (first == "if" || first == "elsif" || first == "elseif") {
    ++at_;
    expression_until({"then"}, "");
  } else if (first == "case") {
    ++at_;
    if (!is("when")) expression(find(at_, {"when"}, ""), false);
  } else if (first == "when") {
    when();
  } else {
    return false;
  }
  return true;
}

// WHEN of a CASE holds an expression; of an EXCEPTION names and codes.
void Cutter::when() {
  size_t then = find(++at_, {"then"}, "");
  bool code = false, plain = true;
  for (size_t i = at_; i < then && then < tokens_.size(); ++i) {
    bool code_value = tokens_[i].kind == Token::string && i > at_ && word(i - 1) == "sqlstate";
    code |= code_value;
    plain &= code_value || tokens_[i].kind == Token::word;
  }
  if (code && plain) {
    at_ = then + 1;
  } else {
    expression(then);
  }
}

bool Cutter::loop_word(const std::string& first) {
  if (first == "loop") {
    ++at_;
  } else if (first == "while") {
    ++at_;
    expression_until({"loop"}, "");
  } else if (first == "for") {
    for_loop();
  } else if (first == "foreach") {
    foreach ()
      ;
  } else if (first == "exit" || first == "continue") {
    ++at_;
    if (is_name(at_) && !is("when")) ++at_;
    if (take("when")) {
      expression_until({}, ";");
    } else if (is_raw(";")) {
      ++at_;
    } else {
      fail("EXIT or CONTINUE of a form that is not known");
    }
  } else {
    return false;
  }
  return true;
}

void Cutter::foreach () {
  ++at_;
  size_t in = find(at_, {"in"}, "");
  for (; at_ < in; ++at_)
    if (is_name(at_)) variable(name(at_));
  ++at_;
  if (!take("array")) return fail("FOREACH of a form that is not known");
  expression_until({"loop"}, "");
}

void Cutter::for_loop() {
  size_t in = find(++at_, {"in"}, "");
  for (; at_ < in; ++at_) {
    if (is_name(at_)) {
      variable(name(at_));
    } else if (!is_raw(",") && !is_raw(".")) {
      return fail("FOR of a form that is not known");
    }
  }
  ++at_;
  if (is("execute")) return ++at_, dynamic({"loop"}, "");
  size_t loop = find(at_, {"loop"}, "");
  if (!why_.empty()) return;
  int depth = 0;
  for (size_t i = at_; i < loop; ++i) {
    if (raw(i) == "(" || raw(i) == "[") ++depth;
    if (raw(i) == ")" || raw(i) == "]") --depth;
    // "1..n": the second dot may have been read as part of a number.
    if (depth != 0 || raw(i) != "." || offset(i) + 1 >= text_.size() || text_[offset(i) + 1] != '.') continue;
    take("reverse");
    add(PlpgsqlPiece::expression, between(at_, i));
    size_t by = find(i, {"by", "loop"}, "");
    size_t begin = offset(i) + 2;
    add(PlpgsqlPiece::expression, std::string(text_.substr(begin, offset(by) - begin)));
    at_ = by + 1;
    if (by < loop) expression(loop);
    return;
  }
  // A cursor, which OPEN and DECLARE told of, or a query.
  if (is_name(at_) && (at_ + 1 == loop || raw(at_ + 1) == "(")) {
    if (at_ + 1 < loop) add(PlpgsqlPiece::expression, "ROW" + between(at_ + 1, loop));
  } else {
    add(PlpgsqlPiece::statement, between(at_, loop));
  }
  at_ = loop + 1;
}

bool Cutter::command_word(const std::string& first) {
  if (first == "return") {
    returns();
  } else if (first == "raise") {
    raise();
  } else if (first == "perform") {
    size_t end = find(++at_, {}, ";");
    add(PlpgsqlPiece::statement, "SELECT " + between(at_, end));
    at_ = end + 1;
  } else if (first == "assert") {
    ++at_;
    expression_until({}, ";");
  } else if (first == "execute") {
    ++at_;
    dynamic({}, ";");
  } else if (first == "open") {
    open();
  } else if (first == "get" || first == "null" || first == "close") {
    skip_words(",.=:");
  } else if (first == "fetch" || first == "move") {
    skip_words(",.-+");
  } else if (first == "commit" || first == "rollback") {
    add(PlpgsqlPiece::statement, first);
    skip_words("");
  } else {
    return false;
  }
  return true;
}

void Cutter::returns() {
  ++at_;
  if (is_raw(";")) return static_cast<void>(++at_);
  if (take("next")) {
    if (is_raw(";")) return static_cast<void>(++at_);
    return expression_until({}, ";");
  }
  if (!take("query")) return expression_until({}, ";");
  if (take("execute")) return dynamic({}, ";");
  size_t end = find(at_, {}, ";");
  add(PlpgsqlPiece::statement, between(at_, end));
  at_ = end + 1;
}

void Cutter::raise() {
  ++at_;
  for (std::string_view level : {"debug", "log", "info", "notice", "warning", "exception"})
    if (take(level)) break;
  if (at_ < tokens_.size() && tokens_[at_].kind == Token::string) {
    ++at_;
    if (is_raw(",")) ++at_, expression(find(at_, {"using"}, ";"), false);
  } else if (is("sqlstate") && at_ + 1 < tokens_.size() && tokens_[at_ + 1].kind == Token::string) {
    at_ += 2;
  } else if (is_name(at_) && !is("using")) {
    ++at_;
  }
  if (take("using")) {
    for (bool more = true; more && why_.empty();) {
      size_t begin = is_name(at_) ? assigned(at_ + 1) : 0;
      if (begin == 0) return fail("RAISE of a form that is not known");
      size_t end = find(at_, {}, ",;");
      if (!why_.empty()) return;
      add(PlpgsqlPiece::expression, std::string(text_.substr(begin, offset(end) - begin)));
      more = raw(end) == ",";
      at_ = end + 1;
    }
    return;
  }
  if (!is_raw(";")) return fail("RAISE of a form that is not known");
  ++at_;
}

// EXECUTE expression [INTO targets] [USING expressions], in either order.
void Cutter::dynamic(const Words& ends, std::string_view marks) {
  size_t end = find(at_, ends.size() > 0 ? Words{"loop", "into", "using"} : Words{"into", "using"}, marks);
  if (!why_.empty()) return;
  add(PlpgsqlPiece::dynamic, between(at_, end));
  at_ = end;
  while (why_.empty()) {
    if (take("into")) {
      targets();
    } else if (take("using")) {
      expression(find(at_, ends.size() > 0 ? Words{"loop", "into"} : Words{"into"}, marks), false);
    } else {
      break;
    }
  }
  ++at_;
}

// [STRICT] name, name … of INTO.
void Cutter::targets() {
  take("strict");
  for (;;) {
    if (!is_name(at_)) return fail("INTO of a form that is not known");
    ++at_;
    while (raw(at_) == "." && is_name(at_ + 1)) at_ += 2;
    if (!is_raw(",")) return;
    ++at_;
  }
}

void Cutter::open() {
  if (!is_name(++at_)) return fail("OPEN of a form that is not known");
  ++at_;
  if (is_raw(";")) return static_cast<void>(++at_);
  size_t end = find(at_, {}, ";");
  if (!why_.empty()) return;
  if (is_raw("(")) {
    add(PlpgsqlPiece::expression, "ROW" + between(at_, end));
    at_ = end + 1;
    return;
  }
  take("no");
  take("scroll");
  if (!take("for")) return fail("OPEN of a form that is not known");
  if (take("execute")) return dynamic({}, ";");
  add(PlpgsqlPiece::statement, between(at_, end));
  at_ = end + 1;
}

// An SQL command; INTO that is not INSERT's or MERGE's own names variables.
void Cutter::sql() {
  size_t begin = at_;
  size_t end = find(at_, {}, ";");
  if (!why_.empty()) return;
  std::string first = word(begin);
  std::string text;
  size_t from = begin;
  bool cut = false;
  for (size_t i = begin; i < end; ++i) {
    if (word(i) != "into" || cut || first == "import") continue;
    std::string before = i > begin ? word(i - 1) : std::string();
    if (before == "insert" || before == "merge") continue;
    text.append(between(from, i)).push_back(' ');
    at_ = i + 1;
    targets();
    if (!why_.empty()) return;
    from = at_;
    i = at_ - 1;
    cut = true;
  }
  text.append(between(from, end));
  add(PlpgsqlPiece::statement, std::move(text));
  at_ = end + 1;
}

void Cutter::declarations() {
  ++at_;
  while (why_.empty() && at_ < tokens_.size() && !is("begin")) {
    if (is("declare")) {
      ++at_;
    } else if (is_raw("<<")) {
      return;
    } else {
      declaration();
    }
  }
}

// name [CONSTANT] type [COLLATE x] [NOT NULL] [{DEFAULT | := | =} expression]; ALIAS FOR; CURSOR
void Cutter::declaration() {
  if (!is_name(at_)) return fail("a declaration of a form that is not known");
  variable(name(at_++));
  if (is("alias")) {
    ++at_;
    return skip_words(".");
  }
  if (is("cursor") || ((is("no") || is("scroll")) && (word(at_ + 1) == "scroll" || word(at_ + 1) == "cursor")))
    return cursor_declaration();
  take("constant");
  size_t end = find(at_, {}, ";");
  if (!why_.empty()) return;
  size_t stop = end, value = 0;
  int depth = 0;
  for (size_t i = at_; i < end; ++i) {
    if (raw(i) == "(" || raw(i) == "[") ++depth;
    if (raw(i) == ")" || raw(i) == "]") --depth;
    if (depth != 0) continue;
    bool ends_type = word(i) == "collate" || word(i) == "not" || word(i) == "default" || assigned(i) != 0;
    if (ends_type && stop == end) stop = i;
    if (value != 0) continue;
    value = assigned(i);
    if (word(i) == "default") value = offset(i) + tokens_[i].length;
    if (value != 0) break;
    if (stop != end && !is_name(i) && raw(i) != ".") return fail("a declaration of a form that is not known");
  }
  type_until(stop);
  if (value != 0) add(PlpgsqlPiece::expression, std::string(text_.substr(value, offset(end) - value)));
  at_ = end + 1;
}

// name [[NO] SCROLL] CURSOR [(name type, …)] {FOR | IS} query
void Cutter::cursor_declaration() {
  while (!is("cursor")) ++at_;
  ++at_;
  if (is_raw("(")) {
    size_t close = find(at_ + 1, {}, ")");
    for (++at_; at_ < close && why_.empty();) {
      size_t comma = std::min(find(at_, {}, ",)"), close);
      if (!is_name(at_)) return fail("a cursor of a form that is not known");
      variable(name(at_++));
      type_until(comma);
      at_ = comma + 1;
    }
    at_ = close + 1;
  }
  if (!take("for") && !take("is")) return fail("a cursor of a form that is not known");
  size_t end = find(at_, {}, ";");
  add(PlpgsqlPiece::statement, between(at_, end));
  at_ = end + 1;
}

// The type of a variable: "a.b%TYPE" and "a%ROWTYPE" stand for the row type of a; "x%TYPE" is that of a variable.
void Cutter::type_until(size_t to) {
  if (to <= at_) return fail("a declaration without a type");
  size_t last = to - 1;
  // Array brackets behind it change nothing.
  for (size_t i = at_; i < to; ++i) {
    if (raw(i) != "%") continue;
    last = i;
    break;
  }
  if (last == to - 1) return add(PlpgsqlPiece::type, between(at_, to));
  std::string what = word(last + 1);
  if (what == "rowtype") return add(PlpgsqlPiece::type, between(at_, last));
  if (what != "type") return fail("a declaration of a form that is not known");
  if (last == at_ + 1) {
    bool known = std::find(code_.variables.begin(), code_.variables.end(), name(at_)) != code_.variables.end();
    return add(PlpgsqlPiece::expression, known ? "NULL" : between(at_, at_ + 1));
  }
  if (last < at_ + 3) return fail("a declaration of a form that is not known");
  // A variable's field or a table's column.
  add(PlpgsqlPiece::type, between(at_, last - 2));
}

}  // namespace

PlpgsqlCode cut_plpgsql(std::string_view code, bool standard_conforming_strings) {
  return Cutter(code, standard_conforming_strings).run();
}

}  // namespace sallyport::sql
