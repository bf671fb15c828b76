// SPDX-License-Identifier: Apache-2.0
// What is known of a server's catalogue, as plain facts. This module never looks anything up: what an
// analysis lacks it names in a Missing, the caller asks the server, adds the answers and calls again.
// A Catalogue holds for one session at one moment: names resolve as that session's search_path does.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sallyport::sql {

/// A name as a statement wrote it, folded as PostgreSQL folds it (and cut at 63 bytes). An empty
/// schema means unqualified. "pg_temp" is kept as a schema of that name.
struct RelationName {
  std::string schema;
  std::string name;
  auto operator<=>(const RelationName&) const = default;
};

/// What one relation is. `found` false: the server has no such visible relation.
struct RelationFact {
  /// Commands that run code, or touch relations, which the statement does not show: a BehindFact tells more.
  enum Hidden : uint8_t {
    on_select = 1,     ///< row-security policies (pg_policy, when relrowsecurity), rewrite rules
    on_insert = 2,     ///< rules, triggers that are not internal, row security; defaults that are no constants and
                       ///< do more than advance a sequence, checks, generated columns, index expressions, columns
                       ///< of domains or composite types
    on_update = 4,     ///< the same, and ON UPDATE CASCADE / SET of keys that refer to it
    on_delete = 8,     ///< rules, triggers, row security, ON DELETE CASCADE / SET
    on_truncate = 16,  ///< TRUNCATE triggers
    on_upkeep = 32,  ///< code that VACUUM, ANALYZE, REINDEX, CLUSTER, ALTER TABLE and copies of its definition run: all
                     ///< of on_insert but triggers, rules and policies; statistics on expressions
    on_cascade = 64,  ///< keys that refer to it: what TRUNCATE … CASCADE empties
    in_types = 128,   ///< columns of types whose values run code: domains, composite types, comparison or casts in code
  };

  bool found = false;
  uint32_t oid = 0;
  std::string schema;  ///< "pg_temp" for temporary relations, whatever pg_temp_N is called
  std::string name;
  char kind = 'r';  ///< pg_class.relkind: r p v m f S i I c t
  bool temporary = false;
  uint8_t hidden = 0;                    ///< Hidden bits, of the relation itself or of any descendant
  std::vector<std::string> columns;      ///< by attnum - 1, dropped ones ""; empty: not known
  std::vector<std::string> family;       ///< "schema.name" of every inheritance or partition ancestor and descendant
  std::vector<std::string> descendants;  ///< that part of `family` which a statement on this relation reaches
  /// Generated columns, each with one column that it is computed from; with "" those that are computed from none too.
  std::vector<std::pair<std::string, std::string>> generated;
  std::vector<std::string> sequences;   ///< "schema.name" of those that defaults and identity columns advance
  std::vector<std::string> references;  ///< "schema.name" of those in which foreign keys look up a new row's keys
};

/// What lies behind a relation: asked for when a statement does something of its `hidden`, or reads or writes a view.
/// Counts for the relation itself and its descendants. Behind pg_catalog.pg_event_trigger lie the event triggers,
/// which definitions fire.
struct BehindFact {
  /// Code that commands run beside what they say: triggers, row-security policies, defaults, checks, generated
  /// columns, index expressions, domains of columns.
  struct Runs {
    uint8_t commands = 0;   ///< RelationFact::Hidden bits
    std::string what;       ///< in words: "trigger t", "rule r", "type of column c"
    RelationName function;  ///< a trigger's, or one that comparing or casting calls unasked; empty: none
    std::string code;  ///< an expression over the relation's columns; of a trigger with WHEN and a rule the definition
  };
  /// Rows of another relation that go or change with those of this one (foreign keys).
  struct Cascade {
    uint8_t commands = 0;  ///< on_update, on_delete, on_cascade
    RelationName relation;
    bool removes = false;  ///< its rows; else columns are set
  };

  uint8_t hidden = 0;  ///< what nothing here tells
  std::vector<Runs> runs;
  std::vector<Cascade> cascades;
  std::string definition;       ///< of a view or materialized view: its query or CREATE statement; empty: not known
  bool invoker_rights = false;  ///< a view with security_invoker
  std::string wrapper;          ///< of a foreign table: pg_proc.prosrc of the handler, if that is in C
  std::string server;           ///< of a foreign table
  std::string file;             ///< file_fdw
  std::string program;          ///< file_fdw
};

/// A function, procedure, aggregate or window function outside pg_catalog. Its source is whatever its owner
/// wrote: never trusted, only read.
struct Routine {
  std::string schema;  ///< "pg_temp" for those of the session
  std::string name;
  std::string owner;
  char kind = 'f';        ///< pg_proc.prokind: f p a w
  char volatility = 'v';  ///< pg_proc.provolatile: i s v
  bool security_definer = false;
  std::string language;     ///< "sql", "plpgsql", "c", …
  std::string source;       ///< prosrc; for BEGIN ATOMIC and RETURN what pg_get_functiondef prints; empty: too long
  bool definition = false;  ///< `source` is a whole CREATE FUNCTION
  std::string library;      ///< probin
  std::string defaults;     ///< expressions of arguments left out, with commas between them
  std::vector<std::string> settings;    ///< proconfig: "search_path=app, pg_temp"
  std::vector<std::string> parameters;  ///< their names, "" where there is none
  std::vector<RelationName> parts;      ///< functions outside pg_catalog that an aggregate is made of, and those that
                                        ///< values of its arguments' and result's types call unasked
  std::vector<RelationName> types;      ///< of arguments and result, outside pg_catalog
};

/// What a call by this name may reach. Unqualified: all visible ones outside pg_catalog.
struct FunctionFact {
  bool shadowed = false;  ///< there is one (outside pg_catalog); not all need be in `routines`
  std::vector<std::shared_ptr<const Routine>> routines;  ///< empty though `shadowed`: not known which
};

/// What making a value of a type runs: the type itself, what it is made of (base of a domain, columns, element,
/// subtype), and casts to them.
struct TypeFact {
  bool found = false;
  std::vector<std::string> checks;      ///< SQL expressions of domains
  std::vector<RelationName> functions;  ///< outside pg_catalog: input and output, casts to it, canonical form of a
                                        ///< range; called unasked: implicit and assignment casts from it, comparison
  bool builtin = false;                 ///< it is one of pg_catalog, whatever schema was asked for
};

/// Operators of a name outside pg_catalog (visible ones if unqualified), by the functions behind them, which may be of
/// pg_catalog.
struct OperatorFact {
  std::vector<RelationName> functions;
};

struct Catalogue {
  std::map<RelationName, std::shared_ptr<const RelationFact>> relations;
  std::map<RelationName, std::shared_ptr<const BehindFact>> behind;  ///< by schema and name as in the RelationFact
  std::map<RelationName, FunctionFact> functions;
  std::map<RelationName, TypeFact> types;
  std::map<RelationName, OperatorFact> operators;
  /// For use without a server: relations are plain tables as written, unqualified ones in pg_catalog
  /// if they are a system relation's name, else in public; columns are not known; nothing is shadowed.
  bool assume_plain = false;
};

/// Facts without which an analysis cannot end. Never empty when returned.
struct Missing {
  std::set<RelationName> relations;
  std::set<RelationName> behind;
  std::set<RelationName> functions;
  std::set<RelationName> types;
  std::set<RelationName> operators;

  bool empty() const {
    return relations.empty() && behind.empty() && functions.empty() && types.empty() && operators.empty();
  }
};

}  // namespace sallyport::sql
