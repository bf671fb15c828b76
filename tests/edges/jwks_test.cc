// SPDX-License-Identifier: Apache-2.0
// Keys of a local file, and how long an answer may be kept. Discovery is tested against a real provider:
// tests/interop/test_tokens.py.
#include "sallyport/edges/jwks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "edges/jwks/discovery.h"
#include "tests/identity/issuer.h"

namespace sallyport::edges {
namespace {

namespace fs = std::filesystem;

TEST(FreshFor, ReadsCacheControlAndAge) {
  const struct {
    const char *cache_control, *age;
    int64_t seconds;
  } rows[] = {{"", "", -1},
              {"max-age=600", "", 600},
              {"public, MAX-AGE = 600 , must-revalidate", "", 600},
              {"max-age=\"600\"", "", 600},
              {"max-age=600", "100", 500},
              {"max-age=600", "900", 0},
              {"max-age=600", "x", 600},
              {"max-age=-1", "", 0},
              {"max-age=999999999999999999999", "", 0},
              {"max-age=", "", 0},
              {"no-store, max-age=600", "", 0},
              {"no-cache", "", 0},
              {"s-maxage=600", "", -1},
              {",,,", "", -1}};
  for (const auto& row : rows) EXPECT_EQ(fresh_for(row.cache_control, row.age), row.seconds) << row.cache_control;
}

class KeyFile : public testing::Test {
 protected:
  KeyFile() {
    char made[] = "/tmp/sallyport-jwks-XXXXXX";
    folder_ = mkdtemp(made);
    path_ = folder_ + "/keys.json";
  }
  ~KeyFile() override { fs::remove_all(folder_); }

  void put(const std::string& text) {
    std::ofstream(folder_ + "/fresh") << text;
    fs::rename(folder_ + "/fresh", path_);
  }
  static std::string set_of(const std::string& kid) {
    return nlohmann::json{{"keys", {identity::test::Signer("P-256").public_jwk(kid)}}}.dump();
  }
  template <class Condition>
  static bool comes(Condition condition) {
    for (int i = 0; i < 1'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool has(JwksCache& cache, const std::string& kid) {
    const auto set = cache.keys("corp");
    return set && (*set)->keys.size() == 1 && (*set)->keys[0].id == kid;
  }
  IssuerSource source(int64_t keep_ms = 3'600'000) {
    return {.name = "corp", .url = "a", .jwks_file = path_, .keep_ns = keep_ms * 1'000'000};
  }

  std::string folder_, path_;
  std::atomic<int> changes_ = 0;
  JwksTimes times_{.file_poll = 20};
};

TEST_F(KeyFile, IsReadAgainWhenItChanges) {
  JwksCache cache([this] { ++changes_; }, times_);
  EXPECT_FALSE(cache.keys("corp"));
  cache.set_issuers({source()});
  EXPECT_TRUE(comes([&] { return !cache.status().empty() && cache.status()[0].trouble.find("cannot read") == 0; }));
  EXPECT_FALSE(cache.keys("corp"));
  put(set_of("one"));
  EXPECT_TRUE(comes([&] { return has(cache, "one"); }));
  EXPECT_TRUE(comes([&] { return changes_ == 1; }));
  put(set_of("two"));
  EXPECT_TRUE(comes([&] { return has(cache, "two") && changes_ == 2; }));
  EXPECT_EQ(cache.status()[0].trouble, "");
  cache.miss("corp", "three");
  cache.miss("nobody", "three");
  EXPECT_FALSE(cache.keys("nobody"));
  cache.set_issuers({});
  EXPECT_FALSE(cache.keys("corp"));
}

TEST_F(KeyFile, TheLastGoodOneCountsWhileItIsBroken) {
  put(set_of("one"));
  JwksCache cache([this] { ++changes_; }, times_);
  cache.set_issuers({source()});
  ASSERT_TRUE(comes([&] { return has(cache, "one"); }));
  for (const char* broken : {"{", R"({"keys":[]})", R"({"keys":[{"kty":"oct","k":"AAAA"}]})"}) {
    put(broken);
    EXPECT_TRUE(comes([&] { return !cache.status()[0].trouble.empty(); })) << broken;
    EXPECT_TRUE(has(cache, "one"));
    put(set_of("one"));
    EXPECT_TRUE(comes([&] { return cache.status()[0].trouble.empty(); }));
  }
}

TEST_F(KeyFile, ButNotForLongerThanItMay) {
  put(set_of("one"));
  JwksCache cache([this] { ++changes_; }, times_);
  cache.set_issuers({source(/*keep_ms=*/50)});
  ASSERT_TRUE(comes([&] { return has(cache, "one"); }));
  fs::remove(path_);
  EXPECT_TRUE(comes([&] { return !cache.keys("corp").has_value(); }));
  EXPECT_TRUE(comes([&] { return changes_ == 2; }));
}

}  // namespace
}  // namespace sallyport::edges
