// SPDX-License-Identifier: Apache-2.0
// Seeded simulation: an agent that sends allowed and refused statements, simple and pipelined, without waiting; a
// model server; bytes cut and delivered in any order; policy that changes in between. Whatever happens, no refused
// statement's text reaches the server and no masked value the agent. SALLYPORT_SEED replays one run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/flow/model_server.h"

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kSecret = "MARKER-secret@example.com";  // stands in customers.email and in error texts
constexpr std::string_view kRefused = "payroll";  // in the text of what no policy allows, never as a relation

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed), world_(policy(0)), driver_(world_) {
    server_.replies["select email from customers"] = {.fields = {column("email", kCustomersOid, 3)},
                                                      .rows = {{std::string(kSecret)}, {std::string(kSecret)}},
                                                      .tag = "SELECT 2"};
    server_.replies["select upper(email) from customers"] = {
        .fields = {column("upper")}, .rows = {{std::string(kSecret)}}, .tag = "SELECT 1"};
    server_.replies["select id from customers"] = {.sqlstate = "22P02", .message = std::string(kSecret)};
    from_agent_ = startup_packet();
  }

  void run() {
    for (int step = 0; step < 150 && !driver_.finished; ++step) {
      if (driver_.dial_wanted()) driver_.event(Dialled{driver_.upstream, listed()});
      to_server_ += driver_.take_server();
      switch (below(8)) {
        case 0:
          if (below(2)) from_agent_ += batch();
          break;
        case 1:
          if (below(10) == 0) change_policy();
          break;
        case 2:
          world_.pass_ms(static_cast<int64_t>(below(400)));
          break;
        case 3:
        case 4:
          deliver(kAgentLeg, from_agent_);
          break;
        case 5:
          give_server();
          break;
        default:
          deliver(driver_.upstream, from_server_);
      }
    }
    drain();
    EXPECT_EQ(driver_.all_to_server.find(kRefused), std::string::npos);
    EXPECT_EQ(driver_.all_to_agent.find("MARKER"), std::string::npos);
    for (const std::string& ran : server_.executed) EXPECT_EQ(ran.find(kRefused), std::string::npos) << ran;
  }

  size_t rows_seen() const { return server_.executed.size(); }
  bool ended_early() const { return driver_.finished; }
  bool is_quiet() const { return from_agent_.empty() && to_server_.empty() && from_server_.empty(); }

 private:
  /// Always with masks; customers and orders come and go.
  static std::string policy(uint32_t which) {
    const std::string mask =
        "---\napiVersion: sallyport.dev/v1alpha1\nkind: Mask\nmetadata: {name: pii}\n"
        "spec: {columns: [{column: public.customers.email, with: redact}]}\n";
    static constexpr std::string_view kTables[] = {"public.customers, public.orders", "public.customers",
                                                   "public.orders"};
    return policy_text(mask + entitlement("masks: [pii], allow: [{sql: {statements: [select], tables: [" +
                                          std::string(kTables[which % 3]) + "]}}]"));
  }

  size_t below(size_t bound) { return random_() % bound; }

  std::string_view statement() {
    static constexpr std::string_view kStatements[] = {"select email from customers",
                                                       "select upper(email) from customers",
                                                       "select id from customers",
                                                       "select item from orders",
                                                       "begin",
                                                       "commit",
                                                       "rollback",
                                                       "delete from orders /* payroll */",
                                                       "do $$ payroll $$",
                                                       "select item from orders; drop table orders -- payroll"};
    return kStatements[below(std::size(kStatements))];
  }

  std::string batch() {
    Messages messages;
    if (below(2) == 0) return std::string(std::string_view(messages.query(statement())));
    for (size_t i = 0; i <= below(3); ++i) {
      const std::string name = below(2) ? "" : std::to_string(++names_);
      messages.parse(name, statement()).bind("", name, static_cast<int16_t>(below(2)));
      if (below(2)) messages.describe("");
      messages.execute("", static_cast<int32_t>(below(2)));
      if (below(5) == 0) messages.flush();
    }
    return std::string(std::string_view(messages.sync()));
  }

  void change_policy() {
    world_.set_policy(policy(static_cast<uint32_t>(below(3))));
    driver_.event(Changed{});
  }

  /// A piece off the front of what is under way.
  void deliver(Leg leg, std::string& bytes) {
    const size_t size = below(bytes.size() + 1);
    const std::string piece = bytes.substr(0, size);
    bytes.erase(0, size);
    if (!piece.empty()) driver_.event(Bytes{leg, piece});
  }

  void give_server() {
    server_.receive(std::exchange(to_server_, {}));
    from_server_ += server_.take();
  }

  void drain() {
    for (int round = 0; round < 10'000 && !driver_.finished; ++round) {
      if (driver_.dial_wanted()) driver_.event(Dialled{driver_.upstream, listed()});
      to_server_ += driver_.take_server();
      if (is_quiet()) return;
      give_server();
      const std::string answer = std::exchange(from_server_, {});
      if (!answer.empty()) driver_.from_server(answer);
      const std::string sent = std::exchange(from_agent_, {});
      if (!sent.empty()) driver_.from_agent(sent);
    }
  }

  std::mt19937_64 random_;
  World world_;
  Driver driver_;
  ModelServer server_;
  std::string from_agent_, to_server_, from_server_;  ///< under way
  int names_ = 0;
};

TEST(Simulation, NothingRefusedGoesUpAndNothingMaskedComesDown) {
  const char* only = std::getenv("SALLYPORT_SEED");
  const uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1;
  const uint64_t count = only ? 1 : 500;
  size_t ran = 0, to_the_end = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("SALLYPORT_SEED=" + std::to_string(seed));
    Simulation simulation(seed);
    simulation.run();
    ran += simulation.rows_seen();
    to_the_end += !simulation.ended_early() && simulation.is_quiet();
    ASSERT_FALSE(HasFailure());
  }
  if (only) return;
  EXPECT_GT(ran, count) << "the simulation does too little to mean anything";
  EXPECT_GT(to_the_end, count / 2) << "most runs go through to a quiet end";
  RecordProperty("statements", static_cast<int>(ran));
}

}  // namespace
}  // namespace sallyport::flow::test
