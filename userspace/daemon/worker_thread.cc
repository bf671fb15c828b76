// SPDX-License-Identifier: Apache-2.0
#include "daemon/worker_thread.h"

#include <fmt/core.h>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "sallyport/record/file_sink.h"

namespace sallyport::daemon {

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(unsigned index, NodeParts& parts,
                                                          const std::string& record_directory) {
  std::unique_ptr<WorkerThread> out(new WorkerThread(index, parts));
  auto sink = record::make_file_sink({.directory = record_directory, .worker = fmt::format("w{}", index)});
  if (!sink) return std::unexpected(sink.error());
  out->recorder_.sink = std::move(*sink);
  out->recorder_.health = &parts.record_health;
  out->recorder_.worker = index;
  auto worker = net::Worker::make(*out);
  if (!worker) return std::unexpected(worker.error());
  out->worker_ = std::move(*worker);
  out->thread_ = std::thread([raw = out->worker_.get()] { raw->run(); });
  return out;
}

/// Says once that agents are refused, and once that they no longer are.
Result<void> WorkerThread::SinkRecorder::flush() {
  auto flushed = sink->flush();
  if (!flushed && !failing) spdlog::error("the record cannot be written, agents are refused: {}", flushed.error().what);
  if (flushed && failing) spdlog::info("the record can be written again");
  if (failing != !flushed) health->report(worker, flushed ? "" : flushed.error().what);
  failing = !flushed;
  return flushed;
}

WorkerThread::~WorkerThread() {
  if (!thread_.joinable()) return;
  worker_->stop();
  thread_.join();
}

Result<net::Accepted> WorkerThread::identify(int listener_token, int accepted_fd, const model::Endpoint& peer) {
  const int64_t begin_ns = read_clocks().monotonic_ns;
  auto entry = parts_.kernel.take_flow(accepted_fd);
  if (!entry) return std::unexpected(entry.error());
  auto workload = parts_.workloads->find(entry->cgroup_id, entry->birth_ns);
  if (!workload) return fail(fmt::format("cgroup {} is diverted here and is nobody's", entry->cgroup_id));
  if (!workload->refusal.empty()) return fail(fmt::format("{}: {}", workload->recognised_as, workload->refusal));
  net::Accepted out;
  out.netns_fd = parts_.workloads->netns_of(listener_token);
  out.origin.id = parts_.registry.next_id();
  out.origin.source = peer;
  out.origin.destination = entry->destination;
  model::Principal& principal = out.origin.principal;
  if (workload->agents.size() == 1) principal.agent = workload->agents[0];  // of several its token tells
  principal.workload = workload->recognised_as;
  principal.cgroup_id = entry->cgroup_id;
  principal.cgroup_path = workload->cgroup_path;
  principal.process = parts_.processes.describe({.pid = entry->pid,
                                                 .uid = entry->uid,
                                                 .gid = entry->gid,
                                                 .start_ns = entry->start_ns,
                                                 .executable_device = entry->executable_device,
                                                 .executable_inode = entry->executable_inode});
  principal.token = parts_.services.standing(out.origin)->token;
  // Registered before it is decided, so that no change of policy can miss it (invariant 3).
  const int64_t now_wall_ns = read_clocks().wall_ns;
  auto added = parts_.registry.add({.flow = out.origin.id,
                                    .worker = index_,
                                    .principal = principal,
                                    .source = peer,
                                    .destination = entry->destination,
                                    .opened_wall_ns = now_wall_ns});
  if (!added) return std::unexpected(added.error());
  parts_.identify_times.add(read_clocks().monotonic_ns - begin_ns);
  return out;
}

std::unique_ptr<flow::Flow> WorkerThread::make_flow(const flow::Origin& origin) {
  return flow::make_flow(origin, parts_.services, parts_.layers);
}

Result<UniqueFd> WorkerThread::upstream_socket(const flow::Origin&, int netns_fd, int family) {
  return parts_.kernel.dial_socket(netns_fd, family);
}

Result<net::Leaf> WorkerThread::leaf(const std::string& host) {
  auto minted = parts_.authority.leaf(host, read_clocks().wall_ns);
  if (!minted) return std::unexpected(minted.error());
  return net::Leaf{std::move(minted->certificate), std::move(minted->key)};
}

void WorkerThread::asked(model::FlowId flow, const flow::Ask& ask) {
  const auto live = parts_.registry.find(flow);
  const Now now = read_clocks();
  auto added = parts_.holds.add({.flow = flow,
                                 .operation = ask.operation,
                                 .agent = live ? live->principal.agent : "",
                                 .target = live ? live->target : "",
                                 .decision = ask.decision,
                                 .held_wall_ns = now.wall_ns,
                                 .expires_monotonic_ns = now.monotonic_ns + limits::kHoldTimeoutMs * kNanosPerMilli});
  if (!added) spdlog::warn("flow {}: nobody will see that it waits: {}", flow, added.error().what);
}

void WorkerThread::finished(model::FlowId flow) {
  parts_.cancel_keys.remove(flow);
  parts_.holds.remove_flow(flow);
  parts_.limits.forget(flow);
  parts_.registry.remove(flow);
}

}  // namespace sallyport::daemon
