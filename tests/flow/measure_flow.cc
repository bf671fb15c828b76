// SPDX-License-Identifier: Apache-2.0
// What judging and recording cost a worker, without sockets: nanoseconds and allocations for each transaction of
// pgbench -S in the three protocols, a column mask, a detector and recording on, as bench/postgres.sh has them.
//   measure_flow [simple|extended|prepared] [TRANSACTIONS] [RECORD_DIRECTORY]
// Without a directory records are made and dropped. Under a profiler give one mode and few transactions.
#include <fmt/core.h>
#include <time.h>

#include <cstdlib>
#include <filesystem>
#include <new>

#include "flow/postgres/postgres_layer.h"
#include "sallyport/record/file_sink.h"
#include "sallyport/record/session_id.h"
#include "tests/flow/model_server.h"

namespace {

size_t allocations = 0;

}  // namespace

[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace sallyport::flow::test {
namespace {

constexpr std::string_view kDocuments = R"(---
apiVersion: sallyport.dev/v1alpha1
kind: Mask
metadata: {name: pii}
spec: {columns: [{column: public.pgbench_history.filler, with: redact}], detect: [{type: email, with: redact}]}
---
apiVersion: sallyport.dev/v1alpha1
kind: Entitlement
metadata: {name: bench}
spec: {agent: bot, target: db, masks: [pii], allow: [{sql: {statements: [select], tables: ["public.pgbench_*"]}}]}
)";
constexpr uint32_t kAccountsOid = 16404;
constexpr std::string_view kAccounts =
    R"("oid":"16404","schema":"public","name":"pgbench_accounts","kind":"r","temp":false,"hidden":null,)"
    R"("columns":["aid","bid","abalance","filler"],"sequences":null,"up":null,"down":null)";

class NodeOfOne final : public World {
 public:
  using World::World;
  model::SessionId make_session_id(const Now& now) override { return record::make_session_id(now.wall_ns); }
};

/// Both ends of a flow as fixed bytes.
class Bench {
 public:
  Bench(World& world, record::Sink* sink) : world_(world), sink_(sink) {
    layers_["postgres"] = [](OperationLife& life) { return make_postgres_layer(life); };
    Origin origin{.id = 7, .source = {model::IpAddress::v4(10, 0, 0, 1), 40000}, .destination = listed()};
    origin.principal.agent = "bot";
    flow_ = make_flow(origin, world, layers_);
    server_.relations["pgbench_accounts"] = kAccounts;
    flow_->start(world_.now, actions_);
    finish_turn();
  }

  /// The agent says something, a model of a server answers; gives what the server said last.
  std::string converse(std::string_view bytes) {
    deliver(kAgentLeg, bytes);
    std::string last;
    while (!to_server_.empty() || dialled_) {
      if (std::exchange(dialled_, false)) event(Dialled{kUpstreamLeg, listed()});
      server_.receive(std::exchange(to_server_, {}));
      const std::string answer = server_.take();
      if (answer.empty()) break;
      last = answer;
      deliver(kUpstreamLeg, answer);
    }
    return last;
  }

  void deliver(Leg leg, std::string_view bytes) { event(Bytes{leg, bytes}); }

  ModelServer& server() { return server_; }
  size_t sent = 0;
  bool keeps_sent = true;

 private:
  void event(const Event& event) {
    flow_->on_event(event, world_.now, actions_);
    finish_turn();
  }

  void finish_turn() {
    bool recorded = false;
    for (const Action& action : actions_.list()) {
      if (const auto* record = std::get_if<Record>(&action)) {
        recorded = true;
        if (sink_ && !sink_->append(record->entry)) std::abort();
      } else if (const auto* send = std::get_if<Send>(&action)) {
        sent += send->bytes.size();
        if (keeps_sent && send->leg != kAgentLeg) to_server_ += send->bytes;
      } else if (std::holds_alternative<Dial>(action)) {
        dialled_ = true;
      }
    }
    if (recorded && sink_ && !sink_->flush()) std::abort();
    actions_.clear();
  }

  World& world_;
  record::Sink* sink_;
  Layers layers_;
  std::unique_ptr<Flow> flow_;
  Actions actions_;
  ModelServer server_;
  std::string to_server_;
  bool dialled_ = false;
};

double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// A bound parameter, as pgbench gives it.
std::string execution(std::string_view statement) {
  std::string out;
  const postgres::Value parameters[] = {"12345"};
  postgres::append_bind(out, "", statement, {}, parameters, {});
  postgres::append_describe(out, postgres::Named::portal, "");
  postgres::append_execute(out, "", 0);
  postgres::append_sync(out);
  return out;
}

void measure(std::string_view mode, size_t transactions, record::Sink* sink) {
  NodeOfOne world(policy_text(kDocuments));
  Bench bench(world, sink);
  constexpr std::string_view kText = "SELECT abalance FROM pgbench_accounts WHERE aid = ";
  const std::string parametrized = std::string(kText) + "$1;";
  const std::string literal = std::string(kText) + "12345;";
  const Reply reply{.fields = {column("abalance", kAccountsOid, 3)}, .rows = {{"0"}}, .tag = "SELECT 1"};
  bench.server().replies[parametrized] = reply;
  bench.server().replies[literal] = reply;
  bench.converse(startup_packet());

  std::string request;
  if (mode == "simple") request = std::string(std::string_view(Messages().query(literal)));
  if (mode == "extended") request = std::string(std::string_view(Messages().parse("", parametrized))) + execution("");
  if (mode == "prepared") {
    bench.converse(Messages().parse("P_0", parametrized).sync());
    request = execution("P_0");
  }
  bench.converse(request);
  const std::string answer = bench.converse(request);

  bench.keeps_sent = false;
  bench.sent = 0;
  const size_t allocated = allocations;
  const double since = cpu_ns();
  for (size_t i = 0; i < transactions; ++i) {
    bench.deliver(kAgentLeg, request);
    bench.deliver(kUpstreamLeg, answer);
  }
  const double count = static_cast<double>(transactions);
  const double spent = cpu_ns() - since;
  fmt::print("{:9}{:10}: {:7.0f} ns, {:6.1f} allocations, {:.0f} bytes sent a transaction\n", mode,
             sink ? ", recorded" : "", spent / count, static_cast<double>(allocations - allocated) / count,
             static_cast<double>(bench.sent) / count);
}

}  // namespace
}  // namespace sallyport::flow::test

int main(int argc, char** argv) {
  using namespace sallyport;
  const std::string only = argc > 1 ? argv[1] : "";
  const size_t transactions = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 100'000;
  std::unique_ptr<record::Sink> sink;
  if (argc > 3) {
    const std::string directory = std::string(argv[3]) + "/log";
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    auto made = record::make_file_sink({.directory = directory});
    if (!made) {
      fmt::print(stderr, "{}\n", made.error().what);
      return 1;
    }
    sink = std::move(*made);
  }
  for (const std::string mode : {"simple", "extended", "prepared"})
    if (only.empty() || only == mode) flow::test::measure(mode, transactions, sink.get());
}
