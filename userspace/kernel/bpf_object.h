// SPDX-License-Identifier: Apache-2.0
// The BPF skeleton behind a RAII wrapper, and libbpf's messages as text.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "pins.h"
#include "sallyport/base/result.h"

struct sallyport_bpf;

namespace sallyport::kernel {

struct DestroyObject {
  void operator()(sallyport_bpf* object) const;
};
using BpfObject = std::unique_ptr<sallyport_bpf, DestroyObject>;

struct DestroyLink {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using BpfLink = std::unique_ptr<bpf_link, DestroyLink>;

/// Opens and loads every program. With `paths` the maps are shared with the pins there, or pinned.
Result<BpfObject> load_object(const PinPaths* paths);

/// Programs of one sort with the names of their pins, in the order of attachment.
enum class ProgramSet { agent, tripwire };
std::vector<std::pair<std::string, bpf_program*>> programs_of(const sallyport_bpf& object,
                                                              ProgramSet set = ProgramSet::agent);

/// Descriptors of the maps that userspace works on; borrowed from the object.
struct MapFds {
  int workloads = -1;
  int listeners = -1;
  int flows = -1;
  int in_flight = -1;
  int counters = -1;
};
MapFds map_fds_of(const sallyport_bpf& object);

/// From now on libbpf's warnings are kept for this thread instead of printed.
void capture_libbpf_messages();
/// What libbpf said on this thread since the last call, cut to its last lines.
std::string take_libbpf_messages();

}  // namespace sallyport::kernel
