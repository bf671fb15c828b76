// SPDX-License-Identifier: Apache-2.0
// Code of functions is written by whoever may create functions: whatever it is, an analysis ends, soon, and what was
// not looked into is unknown.
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/sql/analysis.h"
#include "small_stack.h"
#include "tests/base/cpu_clock.h"

namespace sallyport::sql {
namespace {

using Source = std::function<std::string(const std::string& name)>;

/// Every function asked for exists, in this language, with this code.
Analysis analyse_with(const char* text, const char* language, const Source& source) {
  Catalogue catalogue;
  for (int round = 0; round <= limits::kFactRoundsMax; ++round) {
    auto answer = analyse(text, {.creation_schema = "public"}, catalogue, NoSessionNames());
    if (auto* analysis = std::get_if<Analysis>(&answer)) return std::move(*analysis);
    const auto& missing = std::get<Missing>(answer);
    for (const RelationName& name : missing.relations) {
      auto fact = std::make_shared<RelationFact>();
      fact->found = true;
      fact->schema = name.schema.empty() ? "public" : name.schema;
      fact->name = name.name;
      catalogue.relations[name] = std::move(fact);
    }
    for (const RelationName& name : missing.behind) catalogue.behind[name] = std::make_shared<BehindFact>();
    for (const RelationName& name : missing.types) catalogue.types[name] = {true, {}, {}};
    for (const RelationName& name : missing.operators) catalogue.operators[name] = {};
    for (const RelationName& name : missing.functions) {
      FunctionFact fact;
      if (name.schema == "app") {
        auto routine = std::make_shared<Routine>();
        routine->schema = name.schema;
        routine->name = name.name;
        routine->language = language;
        routine->source = source(name.name);
        fact.shadowed = true;
        fact.routines.push_back(std::move(routine));
      }
      catalogue.functions[name] = std::move(fact);
    }
  }
  ADD_FAILURE() << "facts never end";
  return {};
}

bool is_unknown(const Analysis& analysis) {
  for (const Statement& statement : analysis.statements)
    for (const model::Effect& effect : statement.effects)
      if (effect.statement_class == model::kUnknownClass) return true;
  return false;
}

TEST(RoutineLimits, AChainOfFunctionsEndsInUnknown) {
  // f1 calls f2 calls f3 …
  auto chain = [](const std::string& name) {
    return "SELECT app.f" + std::to_string(std::stoi(name.substr(1)) + 1) + "()";
  };
  Analysis analysis = analyse_with("SELECT app.f1()", "sql", chain);
  EXPECT_TRUE(is_unknown(analysis));
  EXPECT_LE(analysis.statements[0].effects.size(), 2u * limits::kSqlRoutineDepthMax + 2);
}

TEST(RoutineLimits, DeepCodeInAChainOnASmallStack) {
  const std::string open(35, '('), close(35, ')');
  auto chain = [&](const std::string& name) {
    return "SELECT " + open + "app.f" + std::to_string(std::stoi(name.substr(1)) + 1) + "()" + close;
  };
  on_small_stack([&] { EXPECT_TRUE(is_unknown(analyse_with("SELECT app.f1()", "sql", chain))); });
  auto blocks = [&](const std::string& name) { return "BEGIN PERFORM (" + chain(name) + "); END"; };
  on_small_stack([&] { EXPECT_TRUE(is_unknown(analyse_with("SELECT app.f1()", "plpgsql", blocks))); });
}

TEST(RoutineLimits, FunctionsThatCallEachOtherTwice) {
  // 2^10 ways to the last one, and back again.
  auto doubling = [](const std::string& name) {
    int next = (std::stoi(name.substr(1)) + 1) % 10;
    std::string call = "app.f" + std::to_string(next) + "()";
    return "SELECT " + call + ", " + call + " FROM app.t" + std::to_string(next);
  };
  Analysis analysis = analyse_with("SELECT app.f0()", "sql", doubling);
  EXPECT_FALSE(is_unknown(analysis));
  EXPECT_EQ(analysis.statements[0].effects.size(), 20u);
}

TEST(RoutineLimits, LongDeepAndBrokenCode) {
  const std::string deep = "SELECT " + std::string(100'000, '(') + "1" + std::string(100'000, ')');
  std::string sum = "SELECT 1";
  for (int i = 0; i < 40'000; ++i) sum += "+1";
  std::string nul = "SELECT 1";
  nul[3] = '\0';
  for (const std::string& source : {deep, sum, nul, std::string("SELECT '\xff'"), std::string(),
                                    "SELECT 1 -- " + std::string(limits::kSqlRoutineBytesMax, 'x')}) {
    EXPECT_TRUE(is_unknown(analyse_with("SELECT app.f()", "sql", [&](const std::string&) { return source; })));
    EXPECT_TRUE(is_unknown(analyse_with("SELECT app.f()", "plpgsql", [&](const std::string&) { return source; })));
  }
  // Many functions with much code each: together they pass the limit.
  const std::string much = "SELECT '" + std::string(limits::kSqlRoutineBytesMax / 8, 'x') + "'";
  EXPECT_TRUE(is_unknown(analyse_with("SELECT app.a(), app.b(), app.c(), app.d(), app.e(), app.f(), app.g(), app.h()",
                                      "sql", [&](const std::string&) { return much; })));
}

constexpr const char* kProgram = R"(<<top>> DECLARE r record; n int := 1; c CURSOR (k int) FOR SELECT id FROM app.t;
BEGIN
  FOR i IN REVERSE 10..1 BY 2 LOOP n := n + i; EXIT WHEN n > 3; END LOOP;
  FOR r IN EXECUTE 'SELECT 1' USING n LOOP NULL; END LOOP;
  SELECT id INTO STRICT n FROM app.t WHERE id = n;
  IF n = 1 THEN PERFORM app.t(); ELSIF n = 2 THEN RAISE NOTICE 'x %', n USING HINT = 'y'; ELSE RETURN; END IF;
  CASE n WHEN 1 THEN OPEN c(1); ELSE GET DIAGNOSTICS n = ROW_COUNT; END CASE;
  RETURN QUERY EXECUTE $q$DELETE FROM app.t$q$;
EXCEPTION WHEN SQLSTATE '22012' OR others THEN r.a[1] := 2;
END top)";

TEST(RoutineLimits, MutatedProgramsEnd) {
  std::mt19937 random(7);
  const std::string_view pieces[] = {";",     "(",    ")",      "'",     "\"", "$q$", "BEGIN", "END",
                                     "LOOP",  "INTO", ":=",     "..",    "<<", "--",  "/*",    "EXECUTE",
                                     "USING", "THEN", "CURSOR", "%TYPE", "[",  "]",   "\\",    "\xc3"};
  const int64_t begin = thread_cpu_ns();
  int understood = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string program = kProgram;
    for (size_t changes = random() % 4; changes > 0; --changes) {
      const size_t at = random() % program.size();
      const std::string_view piece = pieces[random() % std::size(pieces)];
      if (random() % 2 == 0)
        program.erase(at, random() % 12);
      else
        program.insert(at, piece);
    }
    understood += !is_unknown(analyse_with("SELECT app.f()", "plpgsql", [&](const std::string& name) {
      return name == "f" ? program : std::string("BEGIN END");
    }));
  }
  EXPECT_GT(understood, 0);
  EXPECT_LT(thread_cpu_ns() - begin, 60 * kNanosPerSecond);
}

}  // namespace
}  // namespace sallyport::sql
