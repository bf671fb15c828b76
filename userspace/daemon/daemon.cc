// SPDX-License-Identifier: Apache-2.0
// The node daemon on one page: what is made, in which order, who is told what. Everything that diverts
// agents is pinned in the kernel, so stopping it leaves them refused, never free.
#include "sallyport/daemon/daemon.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include "daemon/control_handler.h"
#include "daemon/worker_thread.h"
#include "flow/http/http_layer.h"
#include "flow/postgres/postgres_layer.h"
#include "sallyport/base/log.h"
#include "sallyport/edges/catalogue.h"

namespace sallyport::daemon {
namespace {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

/// Descriptors, not memory, are what many idle connections use up first.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<> make_directory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(fmt::format("{}: {}", path, error.message()));
  if (chmod(path.c_str(), mode) != 0) return fail_errno(path);
  return {};
}

class Node {
 public:
  explicit Node(const DaemonOptions& options) : options_(options) {}
  ~Node();

  Result<> start();
  /// Once every half second until told to stop.
  void tick(unsigned count);
  void reload() { (void)policy_->reload(); }

 private:
  Result<> open_kernel();
  Result<> start_workers();
  void tell_workers();
  void tell_flows_of(uint64_t cgroup_id);
  void serve_listener(int token, UniqueFd fd);
  void drop_listener(int token);
  void policy_changed();
  bool post(model::FlowId flow, flow::Event event);

  const DaemonOptions& options_;
  const flow::Layers layers_{{"postgres", flow::make_postgres_layer}, {"http", flow::make_http_layer}};
  std::unique_ptr<kernel::Kernel> kernel_;
  kernel::LevelReport level_;
  node::FlowRegistry registry_;
  node::CancelKeys cancel_keys_;
  node::LimitCounters limits_;
  node::Holds holds_{[this](model::FlowId flow, flow::Answered answered) { return post(flow, std::move(answered)); }};
  RecordHealth record_health_;
  std::unique_ptr<node::CertificateAuthority> authority_;
  std::unique_ptr<PolicyStore> policy_;
  node::Catalogues catalogues_;
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<FlowServices> services_;
  std::unique_ptr<edges::SideConnections> side_connections_;
  std::unique_ptr<NodeParts> parts_;
  edges::Processes processes_;
  RecentTimes identify_times_;
  std::unique_ptr<Workloads> workloads_;
  std::unique_ptr<Recogniser> recogniser_;
  std::mutex workers_mutex_;  ///< of recogniser_ and the list: changes of policy are told from other threads
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<ControlHandler> handler_;
  std::unique_ptr<control::Server> server_;
};

Result<> Node::start() {
  if (geteuid() != 0)
    return fail("the daemon needs root: it loads BPF programs and enters network namespaces", "use sudo");
  if (auto made = make_directory(options_.state_dir, 0700); !made) return made;
  if (auto made = make_directory(options_.run_dir, 0755); !made) return made;
  if (auto opened = open_kernel(); !opened) return opened;
  auto authority = node::CertificateAuthority::make(host_name(), read_clocks().wall_ns);
  if (!authority) return std::unexpected(authority.error());
  authority_ = std::move(*authority);

  policy_ = std::make_unique<PolicyStore>(options_.policy_dir, [this] { policy_changed(); });
  tokens_ = std::make_unique<Tokens>(
      *policy_, kernel_->cgroup_root(), [this](uint64_t id) { tell_flows_of(id); },
      [this](model::FlowId flow) { post(flow, flow::Changed{}); });
  services_ = std::make_unique<FlowServices>(*policy_, *tokens_, registry_, cancel_keys_, limits_, catalogues_,
                                             processes_, host_name());
  if (auto loaded = policy_->reload(); !loaded) return loaded;
  auto side = edges::SideConnections::start(
      catalogues_, [this](const std::string& file) { return services_->credentials().find(file); });
  if (!side) return std::unexpected(side.error());
  side_connections_ = std::move(*side);
  parts_.reset(new NodeParts{*kernel_, *services_, layers_, registry_, cancel_keys_, holds_, limits_, *authority_,
                             record_health_, processes_, identify_times_});
  if (auto started = start_workers(); !started) return started;

  handler_ =
      std::make_unique<ControlHandler>(*kernel_, *policy_, *tokens_, *workloads_, *recogniser_, registry_, catalogues_,
                                       record_health_, identify_times_, level_, options_.state_dir + "/records");
  control::ServerOptions server{.roles = options_.roles};
  server.socket_path = options_.control_socket.empty() ? options_.run_dir + "/control.sock" : options_.control_socket;
  auto serving = control::Server::start(server, *handler_);
  if (!serving) return std::unexpected(serving.error());
  server_ = std::move(*serving);
  spdlog::info("ready: level {}, {} worker threads, control socket {}", kernel::to_string(level_.level),
               workers_.size(), server.socket_path);
  return {};
}

Result<> Node::open_kernel() {
  auto kernel =
      kernel::Kernel::open({.pin_dir = options_.bpffs_root + "/sallyport", .cgroup_root = options_.cgroup2_root});
  if (!kernel) return std::unexpected(kernel.error());
  kernel_ = std::move(*kernel);
  auto level = kernel_->self_test();
  if (!level) return fail_within("self-test of the kernel half", level.error());
  level_ = std::move(*level);
  for (const std::string& open : level_.open)
    spdlog::warn("stays open at level {}: {}", kernel::to_string(level_.level), open);
  return {};
}

Result<> Node::start_workers() {
  const unsigned wanted = options_.workers != 0 ? options_.workers : std::max(1u, std::thread::hardware_concurrency());
  workloads_ = std::make_unique<Workloads>(
      *kernel_, *policy_, *tokens_, level_.level,
      [this](int token, UniqueFd fd) { serve_listener(token, std::move(fd)); },
      [this](int token) { drop_listener(token); });
  parts_->workloads = workloads_.get();
  for (unsigned index = 0; index < wanted; ++index) {
    auto worker = WorkerThread::start(index, *parts_, options_.state_dir + "/records");
    if (!worker) return std::unexpected(worker.error());
    std::lock_guard lock(workers_mutex_);
    workers_.push_back(std::move(*worker));
  }
  if (auto started = workloads_->start(); !started) return started;
  auto recogniser = Recogniser::start(
      *kernel_, *policy_, *workloads_,
      {.governed = options_.governed, .anchors = {.kubelet_roots = options_.kubelet_roots}, .runtimes = {}});
  if (!recogniser) return std::unexpected(recogniser.error());
  std::lock_guard lock(workers_mutex_);
  recogniser_ = std::move(*recogniser);
  return {};
}

void Node::tick(unsigned count) {
  policy_->poll();
  holds_.expire(read_clocks().monotonic_ns);
  if (count % 2 == 0) workloads_->sweep();
}

/// Control API first, then flows: what they use goes after them.
Node::~Node() {
  server_.reset();
  std::unique_ptr<Recogniser> watching;
  {
    std::lock_guard lock(workers_mutex_);
    watching.swap(recogniser_);
  }
  watching.reset();  // before the workers, whose listeners it adds and drops
  std::vector<std::unique_ptr<WorkerThread>> stopping;
  {
    std::lock_guard lock(workers_mutex_);
    stopping.swap(workers_);
  }
  // It tells workers, through members that go before it.
  if (tokens_) tokens_->stop();
}

void Node::policy_changed() {
  if (tokens_) tokens_->policy_changed();  // before flows hear of it
  tell_workers();
  std::lock_guard lock(workers_mutex_);
  if (recogniser_) recogniser_->policy_changed();
}

/// A workload's token is another one, or none any more; or it is somebody else's.
void Node::tell_flows_of(uint64_t cgroup_id) {
  for (const auto& [flow, worker] : registry_.of_cgroup(cgroup_id)) {
    std::lock_guard lock(workers_mutex_);
    if (worker < workers_.size()) workers_[worker]->worker().post(flow, flow::Changed{});
  }
}

void Node::tell_workers() {
  std::lock_guard lock(workers_mutex_);
  for (const auto& worker : workers_) worker->worker().post_all(flow::Changed{});
}

void Node::serve_listener(int token, UniqueFd fd) {
  for (const auto& worker : workers_) worker->worker().add_listener(token, UniqueFd(dup(fd.get())));
}

void Node::drop_listener(int token) {
  for (const auto& worker : workers_) worker->worker().remove_listener(token);
}

bool Node::post(model::FlowId flow, flow::Event event) {
  const auto worker = registry_.worker_of(flow);
  std::lock_guard lock(workers_mutex_);
  return worker && *worker < workers_.size() && workers_[*worker]->worker().post(flow, std::move(event));
}

}  // namespace

int run_daemon(const DaemonOptions& options) {
  log_to_stderr(options.log_level);
  raise_descriptor_limit();
  umask(0077);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  // Blocked before any thread exists, so that all of them leave these to the wait below.
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Node node(options);
  if (auto started = node.start(); !started) {
    spdlog::error("{}", started.error().what);
    if (!started.error().hint.empty()) spdlog::error("hint: {}", started.error().hint);
    return kExitFailed;
  }
  for (unsigned count = 0;; ++count) {
    const timespec half_second{.tv_sec = 0, .tv_nsec = 500'000'000};
    const int number = sigtimedwait(&signals, nullptr, &half_second);
    if (number == SIGHUP)
      node.reload();
    else if (number > 0)
      break;
    else
      node.tick(count);
  }
  spdlog::info("stopping; agents that are enrolled are refused until a daemon runs again");
  return kExitDone;
}

}  // namespace sallyport::daemon
