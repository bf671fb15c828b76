// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <mutex>
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
  struct Known {
    ProcessWords words;
    model::Process process;
    Digests::Key digest;  ///< while it is pending
  };

  Known look(const ProcessWords& words);
  void add_executable(const Proc& proc, const Executable& executable, Known& out);
  /// mutex is held.
  const model::Process& refreshed(Known& known);

  Digests digests;
  std::mutex mutex;
  std::unordered_map<uint32_t, Known> known;  ///< by pid
};

Processes::Processes() : state_(std::make_unique<State>()) {}
Processes::~Processes() = default;

/// Its path and digest, and what speaks against them. Nothing is opened on a file system that could keep us waiting.
void Processes::State::add_executable(const Proc& proc, const Executable& executable, Known& out) {
  const FileFacts& file = executable.facts;
  model::Process& process = out.process;
  process.executable = executable.path;
  std::string foreign;
  if (file.file_system.starts_with("fuse") || file.file_system == "virtiofs") {
    foreign = fmt::format("its executable is on {}", file.file_system);
  } else if (!digests.is_ours(file.device)) {
    foreign = "its executable is on a file system of its own namespace";
  }
  if (!foreign.empty()) {
    process.executable_doubt = process.sha256_missing = foreign;
    return;
  }
  // A user who makes a namespace can mount any file at any path of it.
  if (!proc.has_trusted_mounts()) {
    const FileFacts here = file_at(process.executable);
    if (here.device != file.device || here.inode != file.inode)
      process.executable_doubt = "its mounts are its own, and the node has another file at that path, or none";
  }
  Digests::Digest digest = digests.of(executable.open(), file.device);
  process.sha256 = std::move(digest.sha256);
  process.sha256_missing = std::move(digest.missing);
  process.digesting = digest.pending;
  out.digest = digest.key;
}

Processes::State::Known Processes::State::look(const ProcessWords& words) {
  Known out{.words = words, .process = kernels_words(words)};
  model::Process& process = out.process;
  const auto unknown = [&](const char* why) {
    Known left{.words = words, .process = kernels_words(words)};
    left.process.unknown = why;
    return left;
  };
  const Proc proc(words.pid);
  const ProcStat stat = proc ? proc.stat() : ProcStat();
  if (stat.start_ticks == 0) return unknown("the process has gone");
  if (stat.start_ticks != process.start_ticks) return unknown("another process has its number");
  const Executable executable = proc.executable();
  const FileFacts& file = executable.facts;
  if (file.inode != 0 && file.device == 0) return unknown("its executable is on no file system that can be seen");
  if (words.executable_inode == 0 || file.inode != words.executable_inode || file.device != words.executable_device)
    return unknown("it runs another executable by now");
  process.command = stat.command;
  process.directory = proc.link("cwd");
  constexpr size_t kReadMax = limits::kProcessArgumentsBytesMax * 2;
  process.arguments = identity::masked_arguments(proc.text("cmdline", kReadMax));
  process.parents = ancestors(stat.parent);
  add_executable(proc, executable, out);
  // It may have run another executable meanwhile: then the arguments are not those of this one.
  if (!proc.still_runs(executable)) return unknown("it runs another executable by now");
  return out;
}

const model::Process& Processes::State::refreshed(Known& known) {
  if (!known.process.digesting) return known.process;
  Digests::Digest digest = digests.find(known.digest);
  known.process.digesting = digest.pending;
  known.process.sha256 = std::move(digest.sha256);
  known.process.sha256_missing = std::move(digest.missing);
  return known.process;
}

model::Process Processes::describe(const ProcessWords& words) {
  {
    std::lock_guard lock(state_->mutex);
    const auto found = state_->known.find(words.pid);
    if (found != state_->known.end() && same(found->second.words, words)) return state_->refreshed(found->second);
  }
  State::Known out = state_->look(words);
  std::lock_guard lock(state_->mutex);
  // What could not be told now may be told at the next call: it comes from the same process, if that still runs.
  if (!out.process.unknown.empty()) return out.process;
  if (state_->known.size() >= limits::kProcessesKnownMax) state_->known.clear();
  return (state_->known[words.pid] = std::move(out)).process;
}

std::optional<model::Process> Processes::again(const model::Process& process) {
  std::lock_guard lock(state_->mutex);
  const auto found = state_->known.find(process.pid);
  if (found == state_->known.end()) return std::nullopt;
  const model::Process& known = found->second.process;
  const bool same = known.start_ticks == process.start_ticks && known.executable_device == process.executable_device &&
                    known.executable_inode == process.executable_inode;
  if (!same) return std::nullopt;
  return state_->refreshed(found->second);
}

}  // namespace sallyport::edges
