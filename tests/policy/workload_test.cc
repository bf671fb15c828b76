// SPDX-License-Identifier: Apache-2.0
// Which Agent a workload is, and why it is not: selectors on facts of real cgroup paths.
#include <fmt/ranges.h>

#include <chrono>

#include "sallyport/identity/cgroup_facts.h"
#include "tests/policy/world.h"

namespace sallyport::policy {
namespace {

using namespace test;
using model::Workload;

const std::string kId = "3f9cab1e5d5d7e0c1b2a39485766f5e4d3c2b1a0918273645546372819aabbcc";
const std::string kUid = "0f3c2b1a-1111-4222-8333-9a8b7c6d5e4f";

Workload at(const std::string& path) {
  Workload out;
  out.cgroup = identity::read_cgroup_path(path);
  return out;
}

Workload docker(std::string name, std::string image, std::map<std::string, std::string> labels = {}) {
  Workload out = at("/system.slice/docker-" + kId + ".scope");
  out.name = std::move(name);
  out.image = std::move(image);
  out.labels = std::move(labels);
  return out;
}

Workload pod(std::string space, std::string name) {
  Workload out = at("/kubepods/burstable/pod" + kUid);
  out.pod_namespace = std::move(space);
  out.pod = std::move(name);
  return out;
}

/// "a at /path, b needs a token at /path"
std::string matched(const Policy& policy, const Workload& workload) {
  std::string out;
  for (const WorkloadMatch& match : policy.match_workload(workload))
    out += fmt::format("{}{}{} at {}", out.empty() ? "" : ", ", match.agent->name,
                       match.needs_token ? " needs a token" : "", match.cgroup);
  return out;
}

/// The names alone.
std::string agents(const std::string& workload, const Workload& facts) {
  const auto policy = load_text(document("Agent", "a", "workload: [" + workload + "]"));
  const auto found = policy->match_workload(facts);
  EXPECT_EQ(policy->mismatches(policy->agents()[0], facts).empty(), !found.empty() && !found[0].needs_token)
      << workload;
  return found.empty() ? "" : found[0].needs_token ? "a?" : "a";
}

TEST(Workloads, Docker) {
  const Workload web = docker("web-1", "registry.example.com/bots/web:1.2", {{"app", "web"}, {"team.name", "x"}});
  for (const char* fits :
       {"{docker: {name: web-1}}", "{docker: {name: 'web-*'}}", "{docker: {name: [db, web-1]}}",
        "{docker: {image: registry.example.com/bots/web:1.2}}", "{docker: {image: 'registry.example.com/bots/*'}}",
        "{docker: {image: 'registry.example.com/**'}}", "{docker: {labels: {app: web}}}",
        "{docker: {labels: {app: [web, db], team.name: '*'}}}", "{docker: {id: '3f9cab1e5d5d*'}}",
        "{docker: {name: web-1, labels: {app: web}}}", "{podman: {name: web-1}}, {docker: {name: web-1}}"})
    EXPECT_EQ(agents(fits, web), "a") << fits;
  for (const char* not_fits :
       {"{docker: {name: web}}", "{docker: {image: 'registry.example.com/*'}}", "{docker: {labels: {app: db}}}",
        "{docker: {labels: {owner: '*'}}}", "{docker: {name: web-1, labels: {app: db}}}", "{podman: {name: web-1}}",
        "{docker: {name: web-1, user: root}}", "{systemd: {slice: system.slice}}"})
    EXPECT_EQ(agents(not_fits, web), "") << not_fits;
  EXPECT_EQ(agents("{docker: {name: '*'}}", docker("", "")), "") << "nobody knows its name";
}

TEST(Workloads, OfAUserAreTakenOnlyWhereTheUserIsNamed) {
  Workload rootless = at("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope");
  rootless.user_name = "deploy";
  EXPECT_EQ(agents("{podman: {id: '*'}}", rootless), "");
  EXPECT_EQ(agents("{podman: {user: deploy}}", rootless), "a");
  EXPECT_EQ(agents("{podman: {user: 1000}}", rootless), "a");
  EXPECT_EQ(agents("{podman: {user: '1000', id: '3f9c*'}}", rootless), "a");
  EXPECT_EQ(agents("{podman: {user: 1001}}", rootless), "");
  EXPECT_EQ(agents("{systemd: {user: deploy}}", rootless), "") << "a container is no unit";
}

TEST(Workloads, Systemd) {
  const Workload unit = at("/bots.slice/bots-a.slice/billing@eu.service/worker");
  EXPECT_EQ(agents("{systemd: {unit: billing@eu.service}}", unit), "a");
  EXPECT_EQ(agents("{systemd: {unit: 'billing@*.service'}}", unit), "a");
  EXPECT_EQ(agents("{systemd: {slice: bots.slice}}", unit), "a");
  EXPECT_EQ(agents("{systemd: {slice: bots-a.slice, unit: '*.service'}}", unit), "a");
  EXPECT_EQ(agents("{systemd: {slice: 'system*'}}", unit), "");
  EXPECT_EQ(agents("{systemd: {user: 0}}", unit), "");
  Workload session = at("/user.slice/user-1000.slice/session-3.scope");
  session.user_name = "deploy";
  EXPECT_EQ(agents("{systemd: {user: deploy}}", session), "a");
  EXPECT_EQ(agents("{systemd: {user: deploy, unit: 'session-*.scope'}}", session), "a");
  // What a user names below his own manager proves nothing.
  const Workload own = at("/user.slice/user-1000.slice/user@1000.service/system.slice/billing.service");
  EXPECT_EQ(agents("{systemd: {unit: billing.service}}", own), "");
  EXPECT_EQ(agents("{systemd: {user: 1000}}", own), "a");
}

TEST(Workloads, Kubernetes) {
  const Workload billing = pod("bots", "billing-7d9f");
  EXPECT_EQ(agents("{kubernetes: {namespace: bots}}", billing), "a");
  EXPECT_EQ(agents("{kubernetes: {namespace: 'bots*', pod: 'billing-*'}}", billing), "a");
  EXPECT_EQ(agents("{kubernetes: {uid: " + kUid + ", qos: burstable}}", billing), "a");
  EXPECT_EQ(agents("{kubernetes: {namespace: other}}", billing), "");
  EXPECT_EQ(agents("{kubernetes: {namespace: bots}}", pod("", "")), "") << "the runtime has not said";
  EXPECT_EQ(agents("{kubernetes: {namespace: bots, serviceAccount: billing}}", billing), "a?");
  EXPECT_EQ(agents("{kubernetes: {namespace: other, serviceAccount: billing}}", billing), "");
  Workload told = billing;
  told.service_account = "billing";
  EXPECT_EQ(agents("{kubernetes: {namespace: bots, serviceAccount: billing}}", told), "a");
  told.service_account = "default";
  EXPECT_EQ(agents("{kubernetes: {namespace: bots, serviceAccount: billing}}", told), "");
  const auto hostile =
      at("/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod"
         "0f3c2b1a_1111_4222_8333_9a8b7c6d5e4f.slice/cri-containerd-" +
         kId + ".scope");
  EXPECT_EQ(agents("{kubernetes: {uid: " + kUid + "}}", hostile), "");
  const auto nested = at("/docker/" + kId + "/kubepods/pod" + kUid);
  EXPECT_EQ(agents("{kubernetes: {uid: " + kUid + "}}", nested), "");
}

TEST(Workloads, ByCgroupTheNearestOne) {
  const auto policy = load_text(document("Agent", "outer", "workload: [{cgroup: /bots.slice}, {cgroup: '/pool/*'}]") +
                                document("Agent", "inner", "workload: [{cgroup: /bots.slice/a.service}]") +
                                document("Agent", "deep", "workload: [{cgroup: '/deep/**/bot'}]"));
  const struct {
    std::string_view path, agent;
  } kRows[] = {{"/bots.slice", "outer at /bots.slice"},
               {"/bots.slice/b", "outer at /bots.slice"},
               {"/bots.slice/a.service", "inner at /bots.slice/a.service"},
               {"/bots.slice/a.service/x", "inner at /bots.slice/a.service"},
               {"/pool", ""},
               {"/pool/1", "outer at /pool/1"},
               {"/pool/1/2", "outer at /pool/1"},
               {"/deep/a/b/bot/c", "deep at /deep/a/b/bot"},
               {"/deep/bot", ""},
               {"/bots.slice2", ""},
               {"/other/bots.slice", ""},
               {"/", ""},
               {"/bots.slice/../bots.slice", ""},
               {"/pool//1", ""}};
  for (const auto& row : kRows) EXPECT_EQ(matched(*policy, at(std::string(row.path))), row.agent) << row.path;
}

// A container makes what it likes below itself.
TEST(Workloads, CgroupPatternsEndWhereTheWorkloadsOwnWordsBegin) {
  EXPECT_EQ(agents("{cgroup: '/system.slice/**/bot'}", at("/system.slice/docker-" + kId + ".scope/x/bot")), "");
  EXPECT_EQ(agents("{cgroup: '/system.slice/*/bot'}", at("/system.slice/web.service/bot")), "");
  EXPECT_EQ(agents("{cgroup: '/system.slice/web.service'}", at("/system.slice/web.service/bot")), "a");
}

TEST(Workloads, OfSeveralAllAreNamed) {
  const auto policy = load_text(document("Agent", "b", "workload: [{docker: {name: web-1}}]") +
                                document("Agent", "a", "workload: [{docker: {labels: {app: web}}}]") +
                                document("Agent", "c", "workload: [{cgroup: /system.slice}]"));
  EXPECT_EQ(matched(*policy, docker("web-1", "", {{"app", "web"}})),
            fmt::format("a at /system.slice/docker-{0}.scope, b at /system.slice/docker-{0}.scope", kId));
  EXPECT_EQ(matched(*policy, docker("db", "")), "c at /system.slice");
}

std::string why(const std::string& workload, const Workload& facts) {
  const auto policy = load_text(document("Agent", "a", "workload: [" + workload + "]"));
  std::string out;
  for (const WorkloadMismatch& each : policy->mismatches(policy->agents()[0], facts))
    out += fmt::format("{}: {} is not {}; ", each.fact, each.found, each.wanted);
  return out;
}

TEST(Workloads, EachFactThatDoesNotHoldIsNamed) {
  const Workload web = docker("web-1", "web:1", {{"app", "web"}});
  EXPECT_EQ(why("{docker: {name: [db, db-*], labels: {app: db, x: y}}}", web),
            "name: web-1 is not db or db-*; labels.app: web is not db; labels.x: there is no such label is not y; ");
  EXPECT_EQ(why("{systemd: {unit: a.service}}, {docker: {name: db}}", web),
            "kind: docker:web-1 is not systemd; name: web-1 is not db; ");
  EXPECT_EQ(why("{docker: {name: db}}", docker("", "")),
            "name: the runtime's own state does not tell it (yet) is not db; ");
  EXPECT_EQ(why("{kubernetes: {namespace: bots, serviceAccount: x}}", pod("bots", "p")),
            "serviceAccount: only a verified token tells it is not x; ");
  EXPECT_EQ(why("{cgroup: /x}", at("/y")), "cgroup: /y is not /x; ");
  EXPECT_EQ(why("{cgroup: /x}", at("/y//")), "cgroup: malformed is not a path; ");
}

std::string findings(const std::string& first, const std::string& second) {
  const auto loaded = load({{"p.yaml", document("Agent", "a", "workload: [" + first + "]") +
                                           document("Agent", "b", "workload: [" + second + "]")}},
                           kOptions);
  return loaded ? "" : all_findings(loaded.error());
}

TEST(Workloads, TwoAgentsThatOneWorkloadWouldBeAreAnError) {
  EXPECT_EQ(findings("{docker: {name: web}}", "{docker: {name: web}}"),
            "p.yaml:10:28: error: duplicate workload `docker {name: [web]}`; the other one stands at p.yaml:5:28\n");
  EXPECT_EQ(findings("{docker: {name: web, image: x}}", "{docker: {name: 'we*'}}"),
            "p.yaml:5:28: error: Agent `b` selects all that Agent `a` selects here, by `docker {name: [we*]}`; the "
            "other one stands at p.yaml:10:28; make them differ, or give each a `token` of its own\n");
  EXPECT_EQ(findings("{kubernetes: {namespace: bots}}", "{kubernetes: {namespace: bots, pod: 'x-*'}}"),
            "p.yaml:10:32: error: Agent `a` selects all that Agent `b` selects here, by `kubernetes {namespace: "
            "[bots]}`; the other one stands at p.yaml:5:32; make them differ, or give each a `token` of its own\n");
  EXPECT_EQ(findings("{docker: {name: 'a*'}}", "{docker: {name: [x, 'a*', 'b*']}}").find("Agent `b` selects all"), 20u);
  EXPECT_EQ(findings("{docker: {name: web}}", "{podman: {name: web}}"), "");
  EXPECT_EQ(findings("{docker: {name: web}}", "{docker: {image: web}}"), "") << "may overlap: told when it happens";
  EXPECT_EQ(findings("{cgroup: /a}", "{cgroup: /a/b}"), "") << "the nearest one counts";
  EXPECT_EQ(findings("{cgroup: /a}, {cgroup: /b}, {docker: {name: x}}, {docker: {name: 'x*'}}", "{cgroup: /c}"), "");
}

TEST(Workloads, FactsNameWhoTellsThem) {
  const auto policy = load_text(
      document("Agent", "a", "workload: [{kubernetes: {namespace: n, uid: u, labels: {x: y}, serviceAccount: s}}]"));
  std::string sources;
  for (const WorkloadFact& fact : policy->agents()[0].workloads[0].facts)
    sources += fmt::format("{} by {}; ", fact.name, fact.source);
  EXPECT_EQ(sources,
            "namespace by the runtime; uid by the cgroup; labels.x by the runtime; serviceAccount by a token; ");
}

// 5,000 Agents cost what a few do: each is found by what it names, none is looked through.
TEST(Workloads, ThousandsOfAgents) {
  std::string text;
  for (int i = 0; i < 5'000; ++i)
    text += document("Agent", fmt::format("a{}", i), fmt::format("workload: [{{docker: {{name: web-{}}}}}]", i));
  const auto policy = load_text(text);
  for (int i = 0; i < 5'000; i += 7)
    EXPECT_EQ(policy->match_workload(docker(fmt::format("web-{}", i), "x")).at(0).agent->name, fmt::format("a{}", i));
  EXPECT_TRUE(policy->match_workload(docker("web-5000", "x")).empty());
}

}  // namespace
}  // namespace sallyport::policy
