// SPDX-License-Identifier: Apache-2.0
// As much of a PostgreSQL server as the flow can tell apart: extended and simple protocol, pipelines, skip to Sync,
// failed transactions, portals, COPY, and answers to look-ups. What a statement gives is a table that tests fill.
// And Session: a Driver, such a server, and the bytes between them.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/protocol/postgres/encoder.h"
#include "tests/flow/harness.h"

namespace sallyport::flow::test {

inline constexpr uint32_t kCustomersOid = 16400;  ///< id, name, email, ssn
inline constexpr uint32_t kOrdersOid = 16401;     ///< id, customer_id, item

/// A text column of a result.
postgres::Field column(std::string_view name, uint32_t table_oid = 0, int16_t number = 0);

/// What a statement gives.
struct Reply {
  std::vector<postgres::Field> fields;  ///< names are literals
  std::vector<std::vector<std::optional<std::string>>> rows;
  std::string tag = "OK";
  std::string sqlstate;  ///< fails with it
  std::string message = "it failed";
  std::string notice;        ///< said before it ends
  std::string notification;  ///< a payload on channel "news", likewise
  std::vector<std::string> copy_out;
  int16_t copy_columns = 0;  ///< as the server says of them
  bool copy_binary = false;
  bool copy_in = false;
};

class ModelServer {
 public:
  ModelServer();

  /// Bytes from the client; the answers are taken with take().
  void receive(std::string_view bytes);
  std::string take() { return std::exchange(out_, {}); }

  std::map<std::string, Reply, std::less<>> replies;          ///< by text; any other answers CommandComplete OK
  std::map<std::string, std::string, std::less<>> relations;  ///< the look-up's JSON from "oid" on, by name
  std::map<std::string, std::string, std::less<>> routines;   ///< functions of public in SQL: name -> source
  std::optional<std::string> function_result = "hi";
  bool lookup_fails = false;
  std::string search_path_schema = "public";
  bool temporary_objects = false;     ///< the session has, or had, some
  bool frozen = false;                ///< REPEATABLE READ
  std::string snapshot;               ///< moves when a transaction with an id ends; empty: it cannot be seen
  std::vector<std::string> executed;  ///< statements that ran, and parsed ones as "parse …"
  int lookups = 0;

 private:
  struct Portal {
    std::string sql;
    std::vector<std::string> lookup;  ///< parameters, for a look-up
    size_t row = 0;                   ///< next one to be given
    std::vector<int16_t> formats;
  };

  bool startup(std::string_view& input);
  void message(const postgres::Frame& frame);
  void extended(const postgres::Frame& frame);
  void query(std::string_view sql);
  /// False: it failed.
  bool run(const std::string& sql, Portal& portal, int32_t rows_max, bool describe);
  void run_lookup(const Portal& portal);
  void error(std::string_view sqlstate, std::string_view message);
  void ready();
  void copy_data(const postgres::Frame& frame);
  bool fails_in_aborted_transaction(std::string_view sql);
  Reply reply_to(std::string_view sql) const;

  std::string in_, out_, held_;  ///< held_: answers that only Sync or Flush let out
  bool started_ = false;
  bool skipping_ = false;
  bool copy_in_ = false, copy_in_query_ = false;
  char status_ = 'I';
  std::map<std::string, std::string, std::less<>> statements_;
  std::map<std::string, Portal, std::less<>> portals_;
};

class Session {
 public:
  explicit Session(World& world, model::FlowId id = 7);
  Session(World& world, std::string_view startup_packet, model::FlowId id = 7, const std::string& agent = "bot");

  /// The agent sends, both sides talk until they are quiet; what came to the agent, as text.
  std::string say(std::string_view bytes);
  std::string query(std::string_view sql);
  /// The agent sends; the server has not read it yet.
  void send(std::string_view bytes) { deliver(kAgentLeg, bytes); }
  /// Server and flow talk until they are quiet.
  void settle();
  /// What the server got and what the agent got since the last call, as text.
  std::string upstream();
  std::string answered();

  World& world;
  Driver driver;
  ModelServer server;
  std::string raw;  ///< the bytes behind the last answered()
  /// Every delivery of bytes, in order: to be given to another flow, cut otherwise.
  struct Delivery {
    Leg leg;
    std::string bytes;
  };
  std::vector<Delivery> deliveries;

 private:
  void deliver(Leg leg, std::string_view bytes);

  std::string upstream_;
};

/// A StartupMessage of user app for database shop, unless told otherwise.
std::string startup_packet(std::vector<std::pair<std::string, std::string>> more = {});

/// The agent's messages, one after another: Messages().parse("s", "select 1").bind("p", "s").execute("p").sync()
class Messages {
 public:
  Messages& parse(std::string_view name, std::string_view sql);
  Messages& bind(std::string_view portal, std::string_view statement, int16_t result_format = 0);
  Messages& describe(std::string_view portal);
  Messages& execute(std::string_view portal, int32_t rows_max = 0);
  Messages& close(postgres::Named kind, std::string_view name);
  Messages& query(std::string_view sql);
  Messages& sync();
  Messages& flush();
  operator std::string_view() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace sallyport::flow::test
