// SPDX-License-Identifier: Apache-2.0
// The structs as the BPF compiler laid them out (the built object's BTF) are those of this compiler.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "sallyport/abi/kernel.h"

namespace {

using Offsets = std::map<std::string, size_t>;

struct Expected {
  size_t size;
  Offsets fields;
};

#define AT(type, field) \
  { #field, offsetof(type, field) }

const std::map<std::string, Expected> kStructs = {
    {"sp_workload",
     {sizeof(sp_workload),
      {AT(sp_workload, cgroup_id), AT(sp_workload, netns_cookie), AT(sp_workload, birth_ns), AT(sp_workload, flags),
       AT(sp_workload, index), AT(sp_workload, flow_quota), AT(sp_workload, tcp_port_be), AT(sp_workload, dns_port_be),
       AT(sp_workload, source_v4_be), AT(sp_workload, source_v6_be)}}},
    {"sp_flow_key",
     {sizeof(sp_flow_key),
      {AT(sp_flow_key, netns_cookie), AT(sp_flow_key, source_be), AT(sp_flow_key, destination_be),
       AT(sp_flow_key, source_port_be), AT(sp_flow_key, destination_port_be), AT(sp_flow_key, pad)}}},
    {"sp_flow",
     {sizeof(sp_flow),
      {AT(sp_flow, cgroup_id), AT(sp_flow, socket_cookie), AT(sp_flow, start_boottime_ns),
       AT(sp_flow, connect_monotonic_ns), AT(sp_flow, birth_ns), AT(sp_flow, executable_inode), AT(sp_flow, workload),
       AT(sp_flow, pid), AT(sp_flow, uid), AT(sp_flow, gid), AT(sp_flow, destination_be),
       AT(sp_flow, destination_port_be), AT(sp_flow, pad16), AT(sp_flow, executable_device)}}},
    {"sp_origin",
     {sizeof(sp_origin), {AT(sp_origin, flow), AT(sp_origin, key), AT(sp_origin, tracked), AT(sp_origin, pad)}}},
    {"sp_judged", {sizeof(sp_judged), {AT(sp_judged, monotonic_ns)}}},
    {"sp_listener", {sizeof(sp_listener), {AT(sp_listener, mark)}}},
    {"sp_in_flight", {sizeof(sp_in_flight), {AT(sp_in_flight, count)}}},
};

TEST(Abi, TheObjectsBtfAgreesWithTheHeader) {
  std::unique_ptr<btf, void (*)(btf*)> object(btf__parse(SALLYPORT_BPF_OBJECT, nullptr), btf__free);
  ASSERT_NE(object, nullptr) << SALLYPORT_BPF_OBJECT;
  for (const auto& [name, expected] : kStructs) {
    int id = btf__find_by_name_kind(object.get(), name.c_str(), BTF_KIND_STRUCT);
    ASSERT_GT(id, 0) << name;
    const btf_type* type = btf__type_by_id(object.get(), id);
    EXPECT_EQ(type->size, expected.size) << name;
    Offsets found;
    size_t end = 0;
    for (int i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      size_t offset = btf_member_bit_offset(type, i) / 8;
      found[btf__name_by_offset(object.get(), member.name_off)] = offset;
      EXPECT_EQ(offset, end) << name << ": a hole before member " << i;
      end = offset + btf__resolve_size(object.get(), member.type);
    }
    EXPECT_EQ(end, expected.size) << name << ": a hole at the end";
    EXPECT_EQ(found, expected.fields) << name;
  }
}

// Every struct of ours in the object is in the table above.
TEST(Abi, NoStructIsForgotten) {
  std::unique_ptr<btf, void (*)(btf*)> object(btf__parse(SALLYPORT_BPF_OBJECT, nullptr), btf__free);
  ASSERT_NE(object, nullptr);
  std::unique_ptr<bpf_object, void (*)(bpf_object*)> opened(bpf_object__open(SALLYPORT_BPF_OBJECT), bpf_object__close);
  ASSERT_NE(opened, nullptr);
  size_t maps = 0;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, opened.get()) {
    if (bpf_map__is_internal(map)) continue;
    ++maps;
    for (__u32 id : {bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map)}) {
      const btf_type* type = btf__type_by_id(object.get(), id);
      if (!btf_is_struct(type)) continue;
      EXPECT_TRUE(kStructs.contains(btf__name_by_offset(object.get(), type->name_off))) << bpf_map__name(map);
    }
  }
  EXPECT_EQ(maps, 7u);
  bpf_map* counters = bpf_object__find_map_by_name(opened.get(), "sp_counters");
  EXPECT_EQ(bpf_map__max_entries(counters), static_cast<__u32>(SP_COUNTER_COUNT));
  bpf_map* flows = bpf_object__find_map_by_name(opened.get(), "sp_flows");
  EXPECT_EQ(bpf_map__type(flows), BPF_MAP_TYPE_HASH);  // never an LRU
  EXPECT_EQ(bpf_map__max_entries(flows), static_cast<__u32>(SP_FLOWS_MAX));
}

}  // namespace
