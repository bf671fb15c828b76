// SPDX-License-Identifier: Apache-2.0
// The hot path: what relay costs per message. A one-row SELECT in the extended protocol, and rows of four columns
// read, and read and rebuilt with one column replaced.
#include <benchmark/benchmark.h>

#include <string>

#include "sallyport/protocol/postgres/answer_queue.h"
#include "sallyport/protocol/postgres/encoder.h"
#include "sallyport/protocol/postgres/messages.h"

namespace sallyport::postgres {
namespace {

std::string rows(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) {
    DataRowBuilder row(bytes);
    row.value("12345");
    row.value("jane.roe@example.com");
    row.null();
    row.value("2026-11-24 05:22:22.123");
    row.finish();
  }
  return bytes;
}

void frames_only(benchmark::State& state) {
  const std::string bytes = rows(1000);
  const FrameReader reader(Side::server);
  for (auto _ : state) {
    std::string_view input = bytes;
    while (!input.empty()) {
      const auto frame = std::get<Frame>(reader.next(input));
      benchmark::DoNotOptimize(frame.body.data());
      input.remove_prefix(frame.raw.size());
    }
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(frames_only);

void rows_read_and_rebuilt(benchmark::State& state) {
  const std::string bytes = rows(1000);
  const FrameReader reader(Side::server);
  std::string out;
  for (auto _ : state) {
    out.clear();
    std::string_view input = bytes;
    while (!input.empty()) {
      const auto frame = std::get<Frame>(reader.next(input));
      input.remove_prefix(frame.raw.size());
      const DataRow row = parse_data_row(frame.body).value();
      DataRowBuilder masked(out);
      int column = 0;
      for (const Value value : row.values) masked.column(column++ == 1 ? Value("j***@example.com") : value);
      masked.finish();
    }
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(rows_read_and_rebuilt);

/// Both directions of one prepared SELECT: read, judged legal, paired.
void extended_query(benchmark::State& state) {
  std::string asked;
  append_bind(asked, "", "s1", {}, std::initializer_list<Value>{Value("42")}, {});
  append_execute(asked, "", 0);
  append_sync(asked);
  std::string answered;
  append_empty(answered, backend::kBindComplete);
  answered += rows(1);
  append_command_complete(answered, "SELECT 1");
  append_ready_for_query(answered, TransactionStatus::idle);
  const FrameReader from_agent(Side::agent);
  const FrameReader from_server(Side::server);
  AnswerQueue queue;
  for (auto _ : state) {
    for (std::string_view input = asked; !input.empty();) {
      const auto frame = std::get<Frame>(from_agent.next(input));
      input.remove_prefix(frame.raw.size());
      if (!legal_from_agent(queue.phase(), frame.type) || !check_body(Side::agent, frame.type, frame.body))
        std::abort();
      queue.push(frame.type == 'B'   ? InFlight::Kind::bind
                 : frame.type == 'E' ? InFlight::Kind::execute
                                     : InFlight::Kind::sync,
                 1);
    }
    for (std::string_view input = answered; !input.empty();) {
      const auto frame = std::get<Frame>(from_server.next(input));
      input.remove_prefix(frame.raw.size());
      if (!check_body(Side::server, frame.type, frame.body)) std::abort();
      if (queue.on_backend(frame.type).belongs != Answer::Belongs::entry) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(extended_query);

}  // namespace
}  // namespace sallyport::postgres
