// SPDX-License-Identifier: Apache-2.0
// measure_tokens [WORKLOADS] [SECONDS]: processor time that the tokens of so many workloads take while nothing changes,
// and how long the first look at all of them takes.
#include <fmt/core.h>
#include <sys/resource.h>

#include <cstdlib>

#include "sallyport/base/log.h"
#include "tests/daemon/node.h"

namespace {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return time.tv_sec + time.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sallyport;
  using namespace sallyport::daemon::test;
  log_to_stderr("error");
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20'000;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 20;
  Node node(agent("a", "a"));
  node.put("a", token("a", 3'600));
  double before = cpu_seconds();
  int64_t began = read_clocks().monotonic_ns;
  for (uint64_t id = 1; id <= count; ++id) node.tokens->watch(node.holder(id, {"a"}, node.path("a")));
  for (uint64_t id = 1; id <= count; ++id)
    node.wait([&] { return node.tokens->standing(id)->is == flow::Standing::Is::proven; });
  fmt::print("first look at {} workloads: {:.1f} s, {:.1f} s of processor time\n", count,
             (read_clocks().monotonic_ns - began) / 1e9, cpu_seconds() - before);
  before = cpu_seconds();
  began = read_clocks().monotonic_ns;
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const double took = cpu_seconds() - before;
  fmt::print("then {:.1f} % of one processor\n", 100 * took / ((read_clocks().monotonic_ns - began) / 1e9));
}
