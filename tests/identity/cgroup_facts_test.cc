// SPDX-License-Identifier: Apache-2.0
// Paths of cgroups as runtimes make them, and as somebody would make them who wants to be taken for another.
#include "sallyport/identity/cgroup_facts.h"

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "sallyport/base/limits.h"

namespace sallyport::identity {
namespace {

const std::string kId = "3f9cab1e5d5d7e0c1b2a39485766f5e4d3c2b1a0918273645546372819aabbcc";
const std::string kId2 = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3a94a8fe5ccb19ba61c4c0873";
const std::string kUid = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f";
const std::string kUidSystemd = "0f3c2b1a_1111_4222_8333_9a8b7c6d5e4f";
const std::string kOther = "ffffffff-ffff-4fff-8fff-ffffffffffff";
const std::string kOtherSystemd = "ffffffff_ffff_4fff_8fff_ffffffffffff";
const std::string kStatic = "0123456789abcdef0123456789abcdef";

/// "docker id=3f9c… runtime=docker slices=system.slice unit=docker-….scope": what is not empty, in a fixed order.
std::string in_words(const model::CgroupFacts& facts) {
  std::string out(to_string(facts.kind));
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) out += fmt::format(" {}={}", name, value);
  };
  add("pod", facts.pod_uid);
  add("qos", facts.qos);
  add("id", facts.container_id);
  add("runtime", facts.runtime);
  add("slices", fmt::format("{}", fmt::join(facts.slices, ",")));
  add("user", facts.user ? std::to_string(*facts.user) : "");
  add("exec", facts.exec);
  if (facts.kind == model::WorkloadKind::systemd) add("unit", facts.unit);
  return out;
}

struct Row {
  std::string path;
  std::string facts;
  std::string below;   ///< what of the path is the workload's own words
  bool inner = false;  ///< workloads may lie below
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto facts = read_cgroup_path(row.path);
    EXPECT_EQ(in_words(facts), row.facts) << row.path;
    EXPECT_EQ(facts.identity + row.below, row.path);
    EXPECT_EQ(facts.inner, row.inner) << row.path;
    EXPECT_EQ(facts.path, row.path);
  }
}

TEST(CgroupFacts, Kubernetes) {
  const auto pod = [](std::string_view uid, std::string_view qos) {
    return fmt::format("kubernetes pod={} qos={}", uid, qos);
  };
  const auto container = [&](std::string_view qos, std::string_view runtime) {
    return fmt::format("kubernetes pod={} qos={} id={}{}{}", kUid, qos, kId,
                       runtime.empty() ? "" : " runtime=", runtime);
  };
  const std::string burstable =
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUidSystemd + ".slice";
  const std::string best = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kUidSystemd + ".slice";
  const std::string guaranteed = "/kubepods.slice/kubepods-pod" + kUidSystemd + ".slice";
  const std::string kind =
      "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
      "kubelet-kubepods-burstable-pod" +
      kUidSystemd + ".slice";
  check({
      // systemd driver
      {burstable, pod(kUid, "burstable"), "", true},
      {burstable + "/cri-containerd-" + kId + ".scope", container("burstable", "containerd"),
       "/cri-containerd-" + kId + ".scope"},
      {burstable + "/crio-" + kId + ".scope", container("burstable", "cri-o"), "/crio-" + kId + ".scope"},
      {burstable + "/crio-" + kId + ".scope/container", container("burstable", "cri-o"),
       "/crio-" + kId + ".scope/container"},
      {burstable + "/docker-" + kId + ".scope", container("burstable", "docker"), "/docker-" + kId + ".scope"},
      {burstable + "/crio-conmon-" + kId + ".scope", pod(kUid, "burstable"), "/crio-conmon-" + kId + ".scope"},
      {best + "/cri-containerd-" + kId + ".scope", container("besteffort", "containerd"),
       "/cri-containerd-" + kId + ".scope"},
      {guaranteed + "/cri-containerd-" + kId + ".scope/app.service", container("guaranteed", "containerd"),
       "/cri-containerd-" + kId + ".scope/app.service"},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kStatic + ".slice",
       pod(kStatic, "burstable"), "", true},
      // cgroupfs driver
      {"/kubepods/pod" + kUid + "/" + kId, container("guaranteed", ""), "/" + kId},
      {"/kubepods/burstable/pod" + kUid, pod(kUid, "burstable"), "", true},
      {"/kubepods/burstable/pod" + kUid + "/" + kId, container("burstable", ""), "/" + kId},
      {"/kubepods/besteffort/pod" + kUid + "/crio-" + kId, container("besteffort", "cri-o"), "/crio-" + kId},
      {"/kubepods/besteffort/pod" + kUid + "/crio-conmon-" + kId, pod(kUid, "besteffort"), "/crio-conmon-" + kId},
      // kubelet --cgroup-root=/kubelet, as kind has it
      {kind + "/cri-containerd-" + kId + ".scope", container("burstable", "containerd"),
       "/cri-containerd-" + kId + ".scope"},
      {"/kubelet/kubepods/besteffort/pod" + kUid + "/" + kId, container("besteffort", ""), "/" + kId},
      // what lies above pods
      {"/kubepods.slice", "cgroup", "", true},
      {"/kubepods.slice/kubepods-burstable.slice", "cgroup", "", true},
      {"/kubepods/besteffort", "cgroup", "", true},
      {"/kubelet.slice/kubelet-kubepods.slice", "cgroup", "", true},
  });
}

TEST(CgroupFacts, KubeletsOwnRootIsDeclared) {
  const Anchors anchors{.kubelet_roots = {"/a/b"}};
  const std::string systemd =
      "/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-besteffort.slice/"
      "a-b-kubepods-besteffort-pod" +
      kUidSystemd + ".slice";
  EXPECT_EQ(in_words(read_cgroup_path(systemd, anchors)), "kubernetes pod=" + kUid + " qos=besteffort");
  EXPECT_EQ(in_words(read_cgroup_path("/a/b/kubepods/pod" + kUid, anchors)),
            "kubernetes pod=" + kUid + " qos=guaranteed");
  EXPECT_EQ(in_words(read_cgroup_path("/a/b/kubepods/pod" + kUid)), "cgroup") << "nobody declared it";
  EXPECT_EQ(in_words(read_cgroup_path("/a/c/kubepods/pod" + kUid, anchors)), "cgroup");
  EXPECT_EQ(in_words(read_cgroup_path("/a/kubepods/pod" + kUid, anchors)), "cgroup");
}

TEST(CgroupFacts, DockerAndPodman) {
  check({
      {"/docker/" + kId, "docker id=" + kId + " runtime=docker", ""},
      {"/docker/" + kId + "/init", "docker id=" + kId + " runtime=docker", "/init"},
      {"/system.slice/docker-" + kId + ".scope", "docker id=" + kId + " runtime=docker slices=system.slice", ""},
      {"/bots.slice/bots-a.slice/docker-" + kId + ".scope",
       "docker id=" + kId + " runtime=docker slices=bots.slice,bots-a.slice", ""},
      {"/machine.slice/libpod-" + kId + ".scope", "podman id=" + kId + " runtime=podman slices=machine.slice", ""},
      {"/machine.slice/libpod-" + kId + ".scope/container", "podman id=" + kId + " runtime=podman slices=machine.slice",
       "/container"},
      {"/machine.slice/machine-libpod_pod_" + kId2 + ".slice/libpod-" + kId + ".scope",
       "podman id=" + kId + " runtime=podman slices=machine.slice,machine-libpod_pod_" + kId2 + ".slice", ""},
      {"/machine.slice/libpod-conmon-" + kId + ".scope",
       "systemd slices=machine.slice unit=libpod-conmon-" + kId + ".scope", ""},
      {"/libpod_parent/libpod-" + kId, "podman id=" + kId + " runtime=podman", ""},
      {"/libpod_parent/" + kId2 + "/libpod-" + kId, "podman id=" + kId + " runtime=podman", ""},
      {"/libpod_parent/conmon", "cgroup", "", true},
      {"/docker", "cgroup", "", true},
      {"/docker/buildkit", "cgroup", "", true},
      {"/system.slice/nerdctl-" + kId + ".scope", "container id=" + kId + " runtime=containerd slices=system.slice",
       ""},
      // rootless: user 1000 says so
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope/container",
       "podman id=" + kId + " runtime=podman slices=user.slice,user-1000.slice user=1000", "/container"},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" + kId2 + ".slice/libpod-" + kId +
           ".scope",
       "podman id=" + kId + " runtime=podman slices=user.slice,user-1000.slice user=1000", ""},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + kId + ".scope",
       "docker id=" + kId + " runtime=docker slices=user.slice,user-1000.slice user=1000", ""},
      // Quadlet: podman's cgroups=split inside a unit that root wrote
      {"/system.slice/web.service/libpod-payload-" + kId, "systemd slices=system.slice unit=web.service",
       "/libpod-payload-" + kId},
  });
}

TEST(CgroupFacts, SystemdAndExec) {
  check({
      {"/system.slice/billing.service", "systemd slices=system.slice unit=billing.service", ""},
      {"/system.slice/billing.service/worker", "systemd slices=system.slice unit=billing.service", "/worker"},
      {"/system.slice/system-getty.slice/getty@tty1.service",
       "systemd slices=system.slice,system-getty.slice unit=getty@tty1.service", ""},
      {"/system.slice/system-serial\\x2dgetty.slice/serial-getty@ttyS0.service",
       "systemd slices=system.slice,system-serial\\x2dgetty.slice unit=serial-getty@ttyS0.service", ""},
      {"/system.slice/_cpu.service", "systemd slices=system.slice unit=cpu.service", ""},
      {"/init.scope", "systemd slices=-.slice unit=init.scope", ""},
      {"/system.slice", "cgroup slices=system.slice", "", true},
      {"/bots.slice/bots-a.slice", "cgroup slices=bots.slice,bots-a.slice", "", true},
      {"/user.slice/user-1000.slice/session-3.scope",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=session-3.scope", ""},
      {"/user.slice/user-1000.slice/user@1000.service",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=user@1000.service", "", true},
      {"/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=user@1000.service", "/app.slice/bot.service"},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=user@1000.service", "/user.slice", true},
      {"/sallyport.slice", "cgroup", "", true},
      {"/sallyport.slice/billing-bot-3.scope", "exec exec=billing-bot", ""},
      {"/sallyport.slice/billing-bot-3.scope/x", "exec exec=billing-bot", "/x"},
      {"/sallyport.slice/billing-bot.scope", "cgroup", "", true},
      {"/", "cgroup", "", true},
      {"/lxc.payload.web", "cgroup", "", true},
  });
}

// Somebody who may make cgroups below his own names them after what he would like to be.
TEST(CgroupFacts, WhatLiesBelowTheWorkloadProvesNothing) {
  const std::string user = "/user.slice/user-1000.slice/user@1000.service";
  const std::string user_facts = "systemd slices=user.slice,user-1000.slice user=1000 unit=user@1000.service";
  const std::string fake_pod = "/kubepods.slice/kubepods-pod" + kOtherSystemd + ".slice";
  const std::string fake_container = fake_pod + "/cri-containerd-" + kId2 + ".scope";
  const std::string pod = "/kubepods/burstable/pod" + kUid + "/" + kId;
  const std::string pod_facts = "kubernetes pod=" + kUid + " qos=burstable id=" + kId;
  const std::string docker = "/system.slice/docker-" + kId + ".scope";
  const std::string docker_facts = "docker id=" + kId + " runtime=docker slices=system.slice";
  check({
      {user + fake_container, user_facts, fake_container},
      {user + "/app.slice/docker-" + kId + ".scope", user_facts, "/app.slice/docker-" + kId + ".scope"},
      {user + "/user.slice/cri-containerd-" + kId + ".scope", user_facts,
       "/user.slice/cri-containerd-" + kId + ".scope"},
      {user + "/system.slice/billing.service", user_facts, "/system.slice/billing.service"},
      {user + "/sallyport.slice/billing-bot-1.scope", user_facts, "/sallyport.slice/billing-bot-1.scope"},
      {pod + "/kubepods/pod" + kOther, pod_facts, "/" + kId + "/kubepods/pod" + kOther},
      {pod + "/kubepods/burstable/pod" + kOther + "/" + kId2, pod_facts,
       "/" + kId + "/kubepods/burstable/pod" + kOther + "/" + kId2},
      {"/kubepods/pod" + kUid + "/kubepods/pod" + kOther, "kubernetes pod=" + kUid + " qos=guaranteed",
       "/kubepods/pod" + kOther},
      {docker + fake_container, docker_facts, fake_container},
      {docker + "/docker/" + kId2, docker_facts, "/docker/" + kId2},
      {docker + "/sallyport.slice/billing-bot-1.scope", docker_facts, "/sallyport.slice/billing-bot-1.scope"},
      {"/sallyport.slice/bot-1.scope/system.slice/docker-" + kId + ".scope", "exec exec=bot",
       "/system.slice/docker-" + kId + ".scope"},
      {"/system.slice/containerd.service" + fake_container, "systemd slices=system.slice unit=containerd.service",
       fake_container},
      // not as the runtime would write it
      {"/system.slice" + fake_container, "cgroup slices=system.slice", "", true},
      {"/lxc.payload.web/docker/" + kId, "cgroup", "", true},
      {"/a/docker/" + kId, "cgroup", "", true},
      {"/user.slice/user-1000.slice/docker-" + kId + ".scope",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=docker-" + kId + ".scope", ""},
      {"/user.slice/user-1000.slice/user@1001.service/user.slice/libpod-" + kId + ".scope",
       "systemd slices=user.slice,user-1000.slice user=1000 unit=user@1001.service",
       "/user.slice/libpod-" + kId + ".scope"},
      {"/user.slice/user-01000.slice/user@1000.service",
       "systemd slices=user.slice,user-01000.slice unit=user@1000.service", ""},
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-besteffort-pod" + kUidSystemd + ".slice", "cgroup", "", true},
      {"/kubepods.slice/kubepods-pod" + kUid + ".slice", "cgroup", "", true},
      {"/kubepods.slice/kubepods\\x2dpod" + kUidSystemd + ".slice", "cgroup", "", true},
      {"/kubepods/pod" + kUidSystemd, "cgroup", "", true},
      {"/kubepods/podABCDEF01-1111-4222-8333-9a8b7c6d5e4f", "cgroup", "", true},
      {"/kubepods/pod" + kUid + "0", "cgroup", "", true},
      {"/docker/" + kId.substr(1), "cgroup", "", true},
      {"/docker/" + kId.substr(1) + "G", "cgroup", "", true},
      {"/system.slice/docker-" + kId.substr(1) + ".scope",
       "systemd slices=system.slice unit=docker-" + kId.substr(1) + ".scope", ""},
      {"/system.slice/docker\\x2d" + kId + ".scope", "systemd slices=system.slice unit=docker\\x2d" + kId + ".scope",
       ""},
      {"/a-b.slice/x.service", "cgroup", "", true},
      {"/a.slice/b.slice/x.service", "cgroup slices=a.slice", "", true},
      {"/.slice/x.service", "cgroup", "", true},
  });
}

TEST(CgroupFacts, MalformedPathsHaveNoIdentity) {
  std::string deep;
  for (size_t i = 0; i <= limits::kCgroupDepthMax; ++i) deep += "/a";
  for (const std::string& path :
       {std::string(), std::string("docker/") + kId, std::string("//docker/") + kId, "/docker//" + kId,
        "/docker/" + kId + "/", std::string("/../docker/") + kId, std::string("/docker/./") + kId,
        std::string("/a/\n/b"), std::string("/a\0b", 4), std::string("/a\x7f"),
        "/" + std::string(limits::kCgroupNameBytesMax + 1, 'a'), deep, std::string(limits::kCgroupPathBytesMax, '/')}) {
    const auto facts = read_cgroup_path(path);
    EXPECT_EQ(facts.identity, "") << path;
    EXPECT_EQ(in_words(facts), "cgroup") << path;
    EXPECT_FALSE(facts.inner);
  }
  EXPECT_EQ(read_cgroup_path(deep.substr(2)).identity, deep.substr(2)) << "the limit itself is fine";
}

}  // namespace
}  // namespace sallyport::identity
