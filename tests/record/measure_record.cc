// SPDX-License-Identifier: Apache-2.0
// What recording costs a worker: nanoseconds for append() of each kind of entry, and for flush() of
// a turn with so many. Usage: measure_record [DIRECTORY]; it should be on the disk to be measured.
#include <fmt/core.h>

#include <chrono>
#include <filesystem>

#include "sallyport/record/file_sink.h"
#include "sallyport/record/session_id.h"

namespace {

using namespace sallyport;

double spent_ns(std::chrono::steady_clock::time_point since) {
  return static_cast<double>((std::chrono::steady_clock::now() - since).count());
}

model::RecordEntry decided(const model::SessionId& session, uint64_t sequence) {
  model::OperationDecided body;
  body.id = static_cast<model::OperationId>(sequence);
  body.kind = "sql";
  body.statement = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";
  body.shape = body.statement;
  body.parameters = {"123456"};
  body.effects = {
      {"select", model::ObjectKind::relation, "public.pgbench_accounts", model::Access::read, {"abalance", "aid"}}};
  body.outcome = model::Outcome::allow;
  body.causes = {{"bench.allow[0]", "select on public.pgbench_accounts is allowed", "bench.yaml:12:5"}};
  return {session, sequence, 1'790'000'000'000'000'000, body};
}

model::RecordEntry ended(const model::SessionId& session, uint64_t sequence) {
  model::OperationEnded body;
  body.id = static_cast<model::OperationId>(sequence);
  body.duration_ns = 123'456;
  body.rows = 1;
  body.bytes_to_agent = 87;
  body.bytes_to_target = 60;
  body.tag = "SELECT 1";
  return {session, sequence, 1'790'000'000'000'000'000, body};
}

void measure(const std::string& directory, size_t entries_a_turn, bool fsync) {
  auto sink = record::make_file_sink({directory, "bench", fsync, 0});
  if (!sink) {
    fmt::print(stderr, "{}\n", sink.error().what);
    return;
  }
  model::SessionId session = record::make_session_id(1'790'000'000'000'000'000);
  size_t turns = fsync ? 200 : 400'000 / entries_a_turn;
  double append_ns = 0;
  double flush_ns = 0;
  uint64_t sequence = 0;
  for (size_t turn = 0; turn < turns; ++turn) {
    auto begin = std::chrono::steady_clock::now();
    for (size_t i = 0; i < entries_a_turn; ++i, ++sequence)
      if (!(*sink)->append(sequence % 2 == 0 ? decided(session, sequence) : ended(session, sequence))) return;
    append_ns += spent_ns(begin);
    begin = std::chrono::steady_clock::now();
    if (!(*sink)->flush()) return;
    flush_ns += spent_ns(begin);
  }
  double entries = static_cast<double>(turns * entries_a_turn);
  fmt::print("{:3} entries a turn{:7}: append {:7.0f} ns, flush {:7.0f} ns an entry ({:.0f} ns a flush)\n",
             entries_a_turn, fsync ? ", fsync" : "", append_ns / entries, flush_ns / entries,
             flush_ns / static_cast<double>(turns));
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory = argc > 1 ? argv[1] : "/tmp/measure_record";
  directory += "/log";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  for (size_t entries : {1, 2, 8, 32}) measure(directory, entries, false);
  measure(directory, 2, true);
  std::filesystem::remove_all(directory);
}
