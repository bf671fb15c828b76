// SPDX-License-Identifier: Apache-2.0
#include <unordered_map>

#include "edges/process/digests.h"
#include "edges/process/proc.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/edges/process.h"
#include "sallyport/identity/arguments.h"

namespace sallyport::edges {
namespace {

constexpr uint64_t kNanosPerTick = 10'000'000;  // USER_HZ is 100 wherever /proc is read

bool same(const ProcessWords& a, const ProcessWords& b) {
  return a.pid == b.pid && a.uid == b.uid && a.gid == b.gid && a.start_ns == b.start_ns &&
         a.executable_device == b.executable_device && a.executable_inode == b.executable_inode;
}

model::Process kernels_words(const ProcessWords& words) {
  model::Process out;
  out.pid = words.pid;
  out.uid = words.uid;
  out.gid = words.gid;
  out.start_ticks = words.start_ns / kNanosPerTick;
  out.executable_device = words.executable_device;
  out.executable_inode = words.executable_inode;
  return out;
}

}  // namespace

struct Processes::State {
  /// `complete`: nothing of it is still to come.
  model::Process look(const ProcessWords& words, bool& complete);

  Digests digests;
  std::mutex mutex;
  std::unordered_map<uint32_t, std::pair<ProcessWords, model::Process>> known;  ///< by pid
};

Processes::Processes() : state_(std::make_unique<State>()) {}
Processes::~Processes() = default;

model::Process Processes::State::look(const ProcessWords& words, bool& complete) {
  model::Process out = kernels_words(words);
  const auto unknown = [&](const char* why) {
    model::Process left = kernels_words(words);
    left.unknown = why;
    return left;
  };
  const Proc proc(words.pid);
  const ProcStat stat = proc ? proc.stat() : ProcStat();
  if (stat.start_ticks == 0) return unknown("the process has gone");
  if (stat.start_ticks != out.start_ticks) return unknown("another process has its number");
  if (words.executable_inode == 0 || !proc.executable_is(words.executable_device, words.executable_inode))
    return unknown("it runs another executable by now");
  out.command = stat.command;
  out.executable = proc.link("exe");
  out.directory = proc.link("cwd");
  constexpr size_t kReadMax = limits::kProcessArgumentsBytesMax * 2;
  out.arguments = identity::masked_arguments(proc.text("cmdline", kReadMax));
  out.parents = ancestors(stat.parent);
  const auto digest = digests.of(proc.open_executable(), words.executable_device);
  out.sha256 = digest.value_or("");
  // It may have run another executable meanwhile; the folder's descriptor is of this process alone.
  if (!proc.executable_is(words.executable_device, words.executable_inode))
    return unknown("it runs another executable by now");
  complete = digest.has_value();
  return out;
}

model::Process Processes::describe(const ProcessWords& words) {
  {
    std::lock_guard lock(state_->mutex);
    const auto found = state_->known.find(words.pid);
    if (found != state_->known.end() && same(found->second.first, words)) return found->second.second;
  }
  bool complete = false;
  model::Process out = state_->look(words, complete);
  if (!complete) return out;
  std::lock_guard lock(state_->mutex);
  if (state_->known.size() >= limits::kProcessesKnownMax) state_->known.clear();
  state_->known[words.pid] = {words, out};
  return out;
}

}  // namespace sallyport::edges
