// SPDX-License-Identifier: Apache-2.0
// Runtimes' own state: files as Docker, podman, containerd and CRI-O write them, and files that are not to be believed.
#include "sallyport/edges/runtimes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sallyport/base/limits.h"

namespace sallyport::edges {
namespace {

namespace fs = std::filesystem;
using model::Workload;
using model::WorkloadKind;

const std::string kId(64, 'a');
const std::string kUid = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f";

class RuntimesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sallyport-runtimes-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& path, const std::string& text, mode_t mode = 0600) {
    const fs::path file = fs::path(folder_) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
    chmod(file.c_str(), mode);
    return file;
  }
  Runtimes runtimes() const {
    return Runtimes({folder_ + "/docker", folder_ + "/storage", folder_ + "/run", folder_ + "/containerd", "", ""});
  }
  static Workload workload(WorkloadKind kind) {
    Workload out;
    out.cgroup.kind = kind;
    out.cgroup.container_id = kId;
    out.cgroup.pod_uid = kUid;
    return out;
  }
  std::string folder_;
};

TEST_F(RuntimesTest, Docker) {
  write("docker/containers/" + kId + "/config.v2.json",
        R"({"ID":")" + kId + R"(","Name":"/web-1","Config":{"Image":"registry/web:1","Labels":{"app":"web","n":1}}})");
  Workload web = workload(WorkloadKind::docker);
  ASSERT_TRUE(runtimes().describe(web));
  EXPECT_EQ(web.name, "web-1");
  EXPECT_EQ(web.image, "registry/web:1");
  EXPECT_EQ(web.labels, (std::map<std::string, std::string>{{"app", "web"}}));
  Workload rootless = workload(WorkloadKind::docker);
  rootless.cgroup.user = 1000;
  ASSERT_TRUE(runtimes().describe(rootless));
  EXPECT_EQ(rootless.name, "") << "that is its user's state";
}

TEST_F(RuntimesTest, Podman) {
  write("storage/overlay-containers/containers.json",
        R"([{"id":"b","metadata":"{}"},{"id":")" + kId +
            R"(","names":["job"],"metadata":"{\"image-name\":\"docker.io/library/alpine:3\",\"name\":\"job\"}"}])");
  Workload job = workload(WorkloadKind::podman);
  ASSERT_TRUE(runtimes().describe(job));
  EXPECT_EQ(job.name, "job");
  EXPECT_EQ(job.image, "docker.io/library/alpine:3");
}

TEST_F(RuntimesTest, PodsOfContainerdAndCrio) {
  const std::string containerd = write("containerd/k8s.io/" + kId + "/config.json",
                                       R"({"annotations":{"io.kubernetes.cri.sandbox-namespace":"bots",
        "io.kubernetes.cri.sandbox-name":"billing-1","io.kubernetes.cri.sandbox-uid":")" +
                                           kUid + R"("}})");
  Workload pod = workload(WorkloadKind::kubernetes);
  ASSERT_TRUE(runtimes().describe(pod));
  EXPECT_EQ(pod.pod_namespace + "/" + pod.pod, "bots/billing-1");
  fs::remove(containerd);
  write("run/overlay-containers/" + kId + "/userdata/config.json",
        R"({"annotations":{"io.kubernetes.pod.namespace":"bots","io.kubernetes.pod.name":"billing-2",
        "io.kubernetes.pod.uid":")" +
            kUid + R"(","io.kubernetes.cri-o.Labels":"{\"app\":\"billing\"}"}})");
  Workload crio = workload(WorkloadKind::kubernetes);
  ASSERT_TRUE(runtimes().describe(crio));
  EXPECT_EQ(crio.pod_namespace + "/" + crio.pod, "bots/billing-2");
  EXPECT_EQ(crio.labels.at("app"), "billing");
  crio.cgroup.pod_uid = "1f3c2b1a-1111-4222-8333-9a8b7c6d5e4f";
  crio.pod.clear();
  const auto refused = runtimes().describe(crio);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("says pod " + kUid + ", the cgroup says 1f3c"), std::string::npos);
  EXPECT_EQ(crio.pod, "");
}

TEST_F(RuntimesTest, WhatIsNotRootsAloneIsNotBelieved) {
  const std::string path = "docker/containers/" + kId + "/config.v2.json";
  const std::string good = R"({"ID":")" + kId + R"(","Name":"/web"})";
  const auto said = [&] {
    Workload web = workload(WorkloadKind::docker);
    const auto done = runtimes().describe(web);
    return done ? "name " + web.name : done.error().what.substr(done.error().what.rfind('/') + 1);
  };
  EXPECT_EQ(said(), "name ") << "no state";
  write(path, good);
  EXPECT_EQ(said(), "name web");
  write(path, good, 0620);
  EXPECT_EQ(said(), "config.v2.json is no file that only root can write");
  write(path, R"({"ID":"b","Name":"/web"})", 0600);
  EXPECT_EQ(said(), "config.v2.json is of another id");
  write(path, "{half");
  EXPECT_EQ(said(), "config.v2.json is no JSON");
  for (const char* odd : {"[]", "7", "null", "{\"ID\":7}"}) {
    write(path, odd);
    EXPECT_EQ(said(), "config.v2.json is of another id") << odd;
  }
  write(path, std::string(limits::kRuntimeFileBytesMax + 1, ' '));
  EXPECT_TRUE(said().starts_with("config.v2.json is larger than")) << said();
  const fs::path file = fs::path(folder_) / path;
  fs::remove(file);
  fs::create_symlink(write("elsewhere", good), file);
  EXPECT_TRUE(said().starts_with("config.v2.json: ")) << "a link: " << said();
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  EXPECT_EQ(said(), "config.v2.json is no file that only root can write") << "a FIFO does not hang";
}

}  // namespace
}  // namespace sallyport::edges
