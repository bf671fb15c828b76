// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "edges/catalogue/change_token.h"
#include "edges/catalogue/connect.h"
#include "sallyport/base/unique_fd.h"
#include "sallyport/flow/catalogue_question.h"

namespace sallyport::edges {
namespace {

const flow::SearchPath kPath{"app", {"pg_catalog", "app", "o'dd \"one\", {x}"}};

/// One name of each kind, so that every part of the question is there.
const sql::Missing kAll{.relations = {{"", "t"}},
                        .behind = {{"app", "t"}},
                        .functions = {{"", "f"}},
                        .types = {{"", "d"}},
                        .operators = {{"", "+"}}};

/// A look-up that begins to read another catalogue must not go unnoticed by the fingerprint.
TEST(ChangeToken, CoversWhatTheLookupReads) {
  const auto covered = fingerprinted_catalogues();
  const std::string text = flow::CatalogueQuestion(kPath, kAll).text();
  const std::regex read("(?:FROM|JOIN)\\s+pg_catalog\\.(pg_[a-z_]+)(?![a-z_(])");
  std::set<std::string> missing;
  size_t found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), read), end; it != end; ++it, ++found) {
    const std::string catalogue = (*it)[1];
    // What facts read of pg_depend changes only together with the definitions that it ties.
    if (catalogue != "pg_depend" && std::ranges::find(covered, catalogue) == covered.end()) missing.insert(catalogue);
  }
  EXPECT_GE(found, 15u);
  EXPECT_TRUE(missing.empty()) << *missing.begin();
  const std::string sql = fingerprint_sql(1);
  for (const std::string& catalogue : covered) EXPECT_NE(sql.find("FROM " + catalogue), std::string::npos) << catalogue;
}

TEST(ChangeToken, TheKeyIsInTheFingerprint) { EXPECT_NE(fingerprint_sql(2), fingerprint_sql(4)); }

TEST(Question, AsksForAPathInsteadOfTheConnectionsOwn) {
  const flow::CatalogueQuestion question(kPath, kAll);
  const std::string& text = question.text();
  EXPECT_EQ(text.find("current_schema"), std::string::npos);
  const auto& parameters = question.parameters();
  EXPECT_EQ(question.types().size(), parameters.size());
  const std::string last = "$" + std::to_string(parameters.size());
  EXPECT_NE(text.find(last), std::string::npos);
  EXPECT_EQ(text.find("$" + std::to_string(parameters.size() + 1)), std::string::npos);
  EXPECT_EQ(parameters.back(), "app");
  EXPECT_EQ(parameters[parameters.size() - 2], R"({"pg_catalog","app","o'dd \"one\", {x}"})");
}

TEST(Question, WhatDoesNotComeDoesNotExist) {
  flow::CatalogueQuestion question(kPath, {.relations = {{"", "t"}, {"s", "u"}}});
  EXPECT_FALSE(question.add_row("nonsense"));
  EXPECT_TRUE(
      question.add_row(R"({"q":"r","i":1,"oid":"7","schema":"app","name":"t","kind":"r","temp":false,"hidden":null,
    "columns":["a"],"sequences":null,"up":null,"down":null})"));
  EXPECT_TRUE(question.add_row(R"({"q":"s","schema":"app","path":["pg_catalog","app"],"temp":false,"server":"1/2/3",
    "frozen":true,"snapshot":null})"));
  const sql::Catalogue facts = question.finish();
  EXPECT_EQ(facts.relations.at({"", "t"})->oid, 7u);
  EXPECT_FALSE(facts.relations.at({"s", "u"})->found);
  EXPECT_EQ(facts.relations.at({"s", "u"})->schema, "s");
}

/// Somebody listens, and never answers.
struct Silent {
  Silent() : listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener.get(), 8), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
  }
  flow::CatalogueId id(policy::TlsMode mode) const {
    return {.target = "db",
            .host = "db.internal",
            .server = {model::IpAddress::v4(127, 0, 0, 1), port},
            .database = "shop",
            .tls_mode = mode,
            .credential_file = "/run/c"};
  }
  UniqueFd listener;
  uint16_t port = 0;
};

/// The options that keep a credential from whoever is not the Target.
TEST(Connect, IsAlwaysTlsAndProven) {
  const Silent server;
  for (const policy::TlsMode mode :
       {policy::TlsMode::disable, policy::TlsMode::allow, policy::TlsMode::prefer, policy::TlsMode::require,
        policy::TlsMode::verify_ca, policy::TlsMode::verify_full}) {
    auto begun = begin_connect(server.id(mode), {"cat", Secret("cat-secret")});
    ASSERT_TRUE(begun) << begun.error().what;
    std::map<std::string, std::string> options;
    PQconninfoOption* all = PQconninfo(begun->get());
    for (PQconninfoOption* option = all; option->keyword; ++option)
      if (option->val) options[option->keyword] = option->val;
    PQconninfoFree(all);
    const bool full = mode == policy::TlsMode::verify_full;
    EXPECT_EQ(options["sslmode"], full ? "verify-full" : mode == policy::TlsMode::verify_ca ? "verify-ca" : "require");
    EXPECT_EQ(options["channel_binding"], full ? "prefer" : "require");
    EXPECT_EQ(options["host"], "db.internal");
    EXPECT_EQ(options["hostaddr"], "127.0.0.1");
    EXPECT_EQ(options["gssencmode"], "disable");
    EXPECT_EQ(options["dbname"], "shop");
  }
}

TEST(Connect, RefusesACredentialThatCannotBeUsed) {
  for (const auto& [user, password] : {std::pair("", "p"), std::pair("u", "")}) {
    auto begun = begin_connect(Silent().id(policy::TlsMode::verify_full), {user, Secret(password)});
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().hint, "write it as user:password");
  }
}

}  // namespace
}  // namespace sallyport::edges
