// SPDX-License-Identifier: Apache-2.0
// Names are resolved in the background, kept for a while when look-ups fail, and changes are told.
#include "sallyport/node/host_names.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "sallyport/base/limits.h"

namespace sallyport::node {
namespace {

using model::IpAddress;
using namespace std::chrono_literals;

HostNames::Options quick(int64_t keep_ms) {
  HostNames::Options options;
  options.refresh_ms = 5;
  options.keep_ms = keep_ms;
  return options;
}

/// A resolver whose answer the test changes: the network is the one thing a unit test must not use.
struct Answers {
  std::mutex mutex;
  std::vector<IpAddress> addresses;
  bool failing = false;
  std::atomic<int> asked = 0;

  HostNames::Resolver resolver() {
    return [this](const std::string& name) -> Result<std::vector<IpAddress>> {
      ++asked;
      std::lock_guard lock(mutex);
      if (failing) return fail("resolve `" + name + "`: no such host");
      return addresses;
    };
  }
  void set(std::vector<IpAddress> to) {
    std::lock_guard lock(mutex);
    addresses = std::move(to);
    failing = false;
  }
  void fail_from_now() {
    std::lock_guard lock(mutex);
    failing = true;
  }
};

template <class Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 12'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}

TEST(HostNames, ResolvesRefreshesAndTells) {
  Answers answers;
  answers.set({IpAddress::v4(10, 0, 0, 2), IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 2)});
  std::atomic<int> told = 0;
  HostNames names([&] { ++told; }, quick(60'000), answers.resolver());
  EXPECT_TRUE(names.snapshot()->empty());
  ASSERT_TRUE(names.set_names({"db.internal", "db.internal"}));
  ASSERT_TRUE(names.wait_resolved(60'000));
  const auto first = names.snapshot();
  EXPECT_EQ(first->at("db.internal").addresses, (std::vector{IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 2)}));
  answers.set({IpAddress::v4(10, 0, 0, 9)});
  EXPECT_TRUE(eventually(
      [&] { return names.snapshot()->at("db.internal").addresses == std::vector{IpAddress::v4(10, 0, 0, 9)}; }));
  EXPECT_EQ(first->at("db.internal").addresses.size(), 2u) << "a snapshot taken does not change";
  EXPECT_TRUE(eventually([&] { return told == 2; }));
  const int asked = answers.asked;
  EXPECT_TRUE(eventually([&] { return answers.asked > asked + 3; }));
  EXPECT_EQ(told, 2) << "the same answer again is no change";
}

TEST(HostNames, KeepsTheLastGoodAnswerForABoundedTime) {
  Answers answers;
  answers.set({IpAddress::v4(10, 0, 0, 1)});
  HostNames names({}, quick(200), answers.resolver());
  ASSERT_TRUE(names.set_names({"db"}));
  ASSERT_TRUE(names.wait_resolved(60'000));
  answers.fail_from_now();
  EXPECT_TRUE(eventually([&] { return !names.snapshot()->at("db").error.empty(); }));
  EXPECT_TRUE(eventually([&] { return names.snapshot()->at("db").addresses.empty(); })) << "then: deny";
}

TEST(HostNames, DroppedNamesAreForgottenAndTheirNumberIsBounded) {
  Answers answers;
  answers.set({IpAddress::v4(10, 0, 0, 1)});
  HostNames names({}, quick(60'000), answers.resolver());
  ASSERT_TRUE(names.set_names({"a", "b"}));
  ASSERT_TRUE(names.wait_resolved(60'000));
  ASSERT_TRUE(names.set_names({"b", "c"}));
  ASSERT_TRUE(names.wait_resolved(60'000));
  EXPECT_FALSE(names.snapshot()->contains("a"));
  EXPECT_TRUE(names.snapshot()->contains("c"));
  std::vector<std::string> many;
  for (size_t i = 0; i <= limits::kHostNamesMax; ++i) many.push_back("host" + std::to_string(i));
  EXPECT_FALSE(names.set_names(many));
  EXPECT_TRUE(names.snapshot()->contains("b"));
}

TEST(HostNames, LimitsOfTimeAndOfAddresses) {
  EXPECT_EQ(HostNames::Options().refresh_ms, limits::kNameRefreshMs);
  EXPECT_EQ(HostNames::Options().keep_ms, limits::kNameKeepMs);
  Answers answers;
  std::vector<IpAddress> many;
  for (size_t i = 0; i <= limits::kAddressesPerNameMax; ++i)
    many.push_back(IpAddress::v4(10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)));
  answers.set(many);
  HostNames names({}, quick(60'000), answers.resolver());
  ASSERT_TRUE(names.set_names({"wide"}));
  ASSERT_TRUE(names.wait_resolved(60'000));
  EXPECT_EQ(names.snapshot()->at("wide").addresses.size(), limits::kAddressesPerNameMax);
}

TEST(HostNames, TheSystemsResolverKnowsLocalhost) {
  auto addresses = HostNames::resolve("localhost");
  ASSERT_TRUE(addresses) << addresses.error().what;
  ASSERT_FALSE(addresses->empty());
  for (const IpAddress& address : *addresses) EXPECT_TRUE(address.is_loopback());
  // A label too long for DNS: nobody is asked, so no resolver that answers everything says yes.
  const std::string no_name = std::string(64, 'x') + ".invalid";
  auto nowhere = HostNames::resolve(no_name);
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().what.find(no_name), std::string::npos);
}

}  // namespace
}  // namespace sallyport::node
