// SPDX-License-Identifier: Apache-2.0
// From the first byte to the first ReadyForQuery: who may connect as whom, TLS on both legs, authentication.
#include "sallyport/protocol/postgres/startup.h"

#include <gtest/gtest.h>

#include "sallyport/base/limits.h"
#include "sallyport/protocol/postgres/scram.h"
#include "tests/flow/model_server.h"
#include "tests/flow/wire_text.h"

namespace sallyport::flow::test {
namespace {

using namespace postgres;

constexpr std::string_view kLoggedIn =
    "R(0) S(server_version=15.4) S(client_encoding=UTF8) S(standard_conforming_strings=on) K Z(I)";

std::string ssl_request() {
  std::string out;
  append_ssl_request(out);
  return out;
}

std::string authentication(void (*append)(std::string&)) {
  std::string out;
  append(out);
  return out;
}

std::string error(const Driver& driver) { return report_field(driver.all_to_agent, 'C'); }

TEST(Startup, AllowedIsDialledAndRelayed) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(startup_packet());
  EXPECT_TRUE(driver.dial_wanted());
  EXPECT_EQ(driver.take_server(), "") << "nothing is sent before the leg is there";
  driver.event(Dialled{driver.upstream, listed()});
  EXPECT_EQ(driver.take_server(), startup_packet());
  EXPECT_EQ(world.target, "db");
  Session session(world, startup_packet({{"application_name", "psql"}}));
  EXPECT_EQ(server_text(session.driver.all_to_agent), kLoggedIn);
}

TEST(Startup, RefusedUserDatabaseAndSetting) {
  const std::string policy = policy_text(everything(), "tls: {mode: disable}, users: [app], databases: [shop]");
  for (const auto& packet : {std::pair{"user", "root"}, std::pair{"database", "postgres"}}) {
    World world(policy);
    Driver driver(world);
    std::vector<std::pair<std::string, std::string>> parameters = {{"user", "app"}, {"database", "shop"}};
    for (auto& [name, value] : parameters)
      if (name == packet.first) value = packet.second;
    std::string bytes;
    append_startup_message(bytes, kProtocol30, parameters);
    driver.from_agent(bytes);
    EXPECT_EQ(error(driver), "42501") << packet.first;
    EXPECT_FALSE(driver.dial_wanted());
    EXPECT_TRUE(driver.finished);
  }
  World world(policy_text(reading_customers()));
  Driver driver(world);
  driver.from_agent(startup_packet({{"options", "-c search_path=secret"}}));
  EXPECT_EQ(error(driver), "42501");
  EXPECT_FALSE(driver.dial_wanted());
}

TEST(Startup, UnlistedIsAnsweredInTheProtocolOfItsFirstBytes) {
  World world(policy_text(everything()));
  Driver postgres(world, unlisted());
  postgres.from_agent(startup_packet());
  EXPECT_EQ(error(postgres), "42501");
  EXPECT_TRUE(postgres.finished);

  Driver http(world, unlisted());
  http.from_agent("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(http.all_to_agent.starts_with("HTTP/1.1 403 ")) << http.all_to_agent;
  EXPECT_TRUE(http.finished);

  Driver other(world, unlisted());
  other.from_agent(std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\x00", 17));
  EXPECT_EQ(other.all_to_agent, "");
  EXPECT_EQ(other.aborted, std::vector<Leg>{kAgentLeg});

  Driver silent(world, unlisted());
  silent.tick(limits::kDetectTimeoutMs);
  EXPECT_EQ(silent.aborted, std::vector<Leg>{kAgentLeg});
  EXPECT_TRUE(silent.finished);
}

TEST(Startup, BytesInClearBehindSslRequestEndTheFlow) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(ssl_request() + "x");
  EXPECT_EQ(driver.all_to_agent, "");
  EXPECT_TRUE(driver.finished);
}

TEST(Startup, GssEncryptionIsDeclinedOnce) {
  World world(policy_text(everything()));
  Driver driver(world);
  const std::string_view request("\0\0\0\x08\x04\xd2\x16\x30", 8);
  driver.from_agent(request);
  EXPECT_EQ(driver.take_agent(), "N");
  driver.from_agent(request);
  EXPECT_TRUE(driver.finished);
}

TEST(Startup, CancelGoesToItsOwnFlowOnly) {
  World world(policy_text(everything()));
  Session session(world);
  std::string cancel;
  append_cancel_request(cancel, 42, "key!");
  Driver own(world);
  own.from_agent(cancel);
  EXPECT_TRUE(own.dial_wanted());
  own.event(Dialled{own.upstream, listed()});
  EXPECT_EQ(own.take_server(), cancel);

  std::string guessed;
  append_cancel_request(guessed, 42, "KEY!");
  Driver wrong(world);
  wrong.from_agent(guessed);
  EXPECT_FALSE(wrong.dial_wanted());
  EXPECT_TRUE(wrong.finished);
}

/// Targets `db` for shop and `crm` for crm at the same host; bot is entitled on both, lone on crm only.
std::string two_targets(std::string_view db_rest = "databases: [shop, both], tls: {mode: disable}",
                        std::string_view crm_rest = "databases: [crm, both], tls: {mode: disable}") {
  const auto document = [](std::string_view kind, std::string_view name, std::string_view spec) {
    return "---\napiVersion: sallyport.dev/v1alpha1\nkind: " + std::string(kind) +
           "\nmetadata: {name: " + std::string(name) + "}\nspec: {" + std::string(spec) + "}\n";
  };
  return policy_text(
      everything() + document("Agent", "lone", "workload: [{exec: lone}]") +
          document("Target", "crm", "protocol: postgres, hosts: ['10.0.0.5:5432'], " + std::string(crm_rest)) +
          document("Entitlement", "crm-bot", "agent: bot, target: crm, allow: [{sql: {}}]") +
          document("Entitlement", "crm-lone", "agent: lone, target: crm, allow: [{sql: {}}]"),
      db_rest);
}

TEST(TwoTargets, TheDatabaseOfTheStartupMessageTellsWhich) {
  World world(two_targets());
  Session session(world, startup_packet());
  EXPECT_EQ(world.target, "db");
  EXPECT_EQ(session.query("select item from orders"), "T(item) D(pen) D(ink) C(SELECT 2) Z(I)");
  Session crm(world, startup_packet({{"database", "crm"}}));
  EXPECT_EQ(world.target, "crm");
  const auto opened = crm.driver.recorded<model::SessionOpened>();
  ASSERT_EQ(opened.size(), 2u);
  EXPECT_EQ(opened[0].target, "") << "not known at connect";
  EXPECT_EQ(opened[1].target, "crm");
  EXPECT_EQ(crm.query("no sql at all"), "E(42501) Z(I)") << "judged by crm's rules, not db's";
}

TEST(TwoTargets, NoneOrSeveralAreRefusedNamingBoth) {
  World world(two_targets());
  for (std::string_view database : {"both", "neither"}) {
    Driver driver(world);
    driver.from_agent(startup_packet({{"database", std::string(database)}}));
    EXPECT_EQ(error(driver), "42501") << database;
    EXPECT_NE(report_field(driver.all_to_agent, 'M').find("10.0.0.5:5432 is listed by the targets `crm` and `db`"),
              std::string::npos)
        << report_field(driver.all_to_agent, 'M');
    EXPECT_FALSE(driver.dial_wanted());
    EXPECT_EQ(driver.decided().back().outcome, model::Outcome::deny);
    EXPECT_EQ(driver.decided().back().causes.at(0).rule, "ambiguous target");
  }
}

TEST(TwoTargets, OneMustBeAllowedAndTheOtherGivesNothing) {
  World world(two_targets());
  Driver lone(world, listed(), "lone");
  EXPECT_EQ(lone.decided().at(0).outcome, model::Outcome::allow) << "it may be for crm";
  lone.from_agent(startup_packet());
  EXPECT_EQ(error(lone), "42501");
  EXPECT_NE(report_field(lone.all_to_agent, 'M').find("no Entitlement joins lone and db"), std::string::npos);
  Driver crm(world, listed(), "lone");
  crm.from_agent(startup_packet({{"database", "crm"}}));
  EXPECT_TRUE(crm.dial_wanted());
  Driver stranger(world, listed(), "stranger");
  EXPECT_EQ(stranger.decided().at(0).outcome, model::Outcome::deny);
}

TEST(TwoTargets, TheUserTellsWhichAsWell) {
  World world(two_targets("users: [app]", "users: [auditor]"));
  Session session(world, startup_packet());
  EXPECT_EQ(world.target, "db");
}

TEST(TwoTargets, ACancelRequestGoesTheWayOfItsSession) {
  World world(two_targets());
  Session session(world, startup_packet({{"database", "crm"}}));
  std::string cancel;
  append_cancel_request(cancel, 42, "key!");
  Driver own(world);
  own.from_agent(cancel);
  EXPECT_TRUE(own.dial_wanted());
  own.event(Dialled{own.upstream, listed()});
  EXPECT_EQ(own.take_server(), cancel);
}

TEST(TwoTargets, EachSaysForItselfWhetherItTakesTls) {
  World world(two_targets("databases: [shop], tls: {agent: off}", "databases: [crm]"));
  for (std::string_view database : {"shop", "crm"}) {
    Driver driver(world);
    driver.from_agent(ssl_request());
    EXPECT_EQ(driver.take_agent(), "S") << "one of them does";
    driver.event(Secured{.leg = kAgentLeg});
    driver.from_agent(startup_packet({{"database", std::string(database)}}));
    EXPECT_EQ(driver.dial_wanted(), database == "crm");
    EXPECT_EQ(report_field(driver.take_agent(), 'C'), database == "shop" ? "28000" : "");
  }
}

TEST(TwoTargets, AnEditThatMakesThemOneEndsTheFlowNamingBoth) {
  World world(two_targets());
  Session session(world, startup_packet());
  world.set_policy(two_targets("databases: [shop]", "databases: [shop, crm]"));
  session.driver.event(Changed{});
  EXPECT_EQ(session.answered(), "E(42501)");
  EXPECT_NE(report_field(session.raw, 'M').find("`crm` and `db`"), std::string::npos);
}

TEST(Startup, MalformedPacketIsResetWithoutAWord) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(std::string_view("\0\0\0\x03zzzz", 8));
  EXPECT_EQ(driver.all_to_agent, "");
  EXPECT_TRUE(driver.finished);
}

TEST(Startup, TakesOnlySoLong) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(startup_packet());
  driver.tick(limits::kHandshakeTimeoutMs);
  EXPECT_EQ(error(driver), "08006");
  EXPECT_TRUE(driver.finished);
}

TEST(Startup, TargetTakenOutOfPolicyBeforeTheStartupMessage) {
  World world(policy_text(everything()));
  Driver driver(world);
  world.set_policy(
      "apiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {name: bot}\nspec: {workload: [{exec: bot}]}\n");
  driver.event(Changed{});
  driver.from_agent(startup_packet());
  EXPECT_EQ(error(driver), "42501");
  EXPECT_FALSE(driver.dial_wanted());
}

TEST(Startup, TargetTakenOutOfPolicyDuringTheDial) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.from_agent(startup_packet());
  world.set_policy(
      "apiVersion: sallyport.dev/v1alpha1\nkind: Agent\nmetadata: {name: bot}\nspec: {workload: [{exec: bot}]}\n");
  driver.event(Changed{});
  EXPECT_EQ(error(driver), "42501");
  EXPECT_TRUE(driver.finished);
}

TEST(Startup, RecordThatCannotBeWrittenRefusesTheAgent) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.event(RecordFailed{"disk full"});
  driver.from_agent(startup_packet());
  EXPECT_EQ(error(driver), "58030");
  EXPECT_FALSE(driver.dial_wanted());
}

// ---------------------------------------------------------------- TLS towards the server

/// A flow that has dialled a target of this tls.mode.
struct Dialling {
  explicit Dialling(std::string_view target) : world(policy_text(everything(), target)), driver(world) {
    driver.from_agent(startup_packet());
    driver.event(Dialled{driver.upstream, listed()});
  }
  World world;
  Driver driver;
};

TEST(ServerTls, DisableAsksForNone) {
  Dialling test("tls: {mode: disable}");
  EXPECT_EQ(test.driver.take_server(), startup_packet());
}

TEST(ServerTls, PreferGoesOnInClear) {
  Dialling test("tls: {mode: prefer}");
  EXPECT_EQ(test.driver.take_server(), ssl_request());
  test.driver.from_server("N");
  EXPECT_EQ(test.driver.take_server(), startup_packet());
}

TEST(ServerTls, RequireDoesNot) {
  Dialling test("tls: {mode: require}");
  test.driver.take_server();
  test.driver.from_server("N");
  EXPECT_EQ(error(test.driver), "08001");
  EXPECT_EQ(test.driver.take_server(), "");
}

TEST(ServerTls, VerifyFullNamesTheTarget) {
  Dialling test("tls: {mode: verify-full, ca: /etc/ca.pem}");
  test.driver.from_server("S");
  ASSERT_EQ(test.driver.secures.size(), 1u);
  EXPECT_EQ(test.driver.secures[0].verify, Secure::Verify::full);
  EXPECT_EQ(test.driver.secures[0].server_name, "10.0.0.5");
  EXPECT_EQ(test.driver.secures[0].ca_file, "/etc/ca.pem");
  test.driver.take_server();
  test.driver.event(Secured{.leg = test.driver.upstream, .proven = true});
  EXPECT_EQ(test.driver.take_server(), startup_packet());
}

TEST(ServerTls, BytesInClearBehindItsAnswerEndTheFlow) {
  Dialling test("tls: {mode: require}");
  test.driver.from_server(std::string_view("SR\0\0\0\x08\0\0\0\0", 10));
  EXPECT_EQ(error(test.driver), "08P01");
  EXPECT_TRUE(test.driver.secures.empty());
}

TEST(ServerTls, AllowTriesTlsAfterARefusalInClear) {
  Dialling test("tls: {mode: allow}");
  EXPECT_EQ(test.driver.take_server(), startup_packet());
  std::string no;
  append_error_response(no, {.severity = "FATAL", .sqlstate = "28000", .message = "no pg_hba.conf entry"});
  test.driver.from_server(no);
  EXPECT_TRUE(test.driver.dial_wanted());
  test.driver.event(Dialled{test.driver.upstream, listed()});
  EXPECT_EQ(test.driver.take_server(), ssl_request());
  EXPECT_EQ(test.driver.all_to_agent, "");
}

// ---------------------------------------------------------------- authentication

TEST(Authentication, PassesThroughInClear) {
  Dialling test("tls: {mode: disable}");
  test.driver.take_server();
  test.driver.from_server(authentication(append_authentication_cleartext));
  EXPECT_EQ(server_text(test.driver.take_agent()), "R(3)");
  std::string password;
  append_password_message(password, "hunter2");
  test.driver.from_agent(password);
  EXPECT_EQ(test.driver.take_server(), password);
}

TEST(Authentication, BelowTheMinimumIsRefusedBeforeTheAgentIsAsked) {
  Dialling test("tls: {mode: disable}, auth: {min: scram-sha-256}");
  test.driver.from_server(authentication(append_authentication_cleartext));
  EXPECT_EQ(server_text(test.driver.all_to_agent), "E(28000)");
}

TEST(Authentication, CredentialNeverGoesToAnUnprovenServer) {
  Dialling test("tls: {mode: disable}, credential: {file: /c}, auth: {min: password}");
  test.driver.take_server();
  test.driver.from_server(authentication(append_authentication_cleartext));
  EXPECT_EQ(error(test.driver), "28000");
  EXPECT_EQ(test.driver.take_server().find("secret"), std::string::npos);
}

TEST(Authentication, OkWithoutAskingIsRefusedWithACredential) {
  Dialling test("tls: {mode: disable}, credential: {file: /c}");
  test.driver.from_server(authentication(append_authentication_ok));
  EXPECT_EQ(error(test.driver), "28000");
}

/// A server that ends SCRAM with `password`; `proves` false: it says AuthenticationOk without its signature.
std::string scram_login(Driver& driver, const std::string& password, bool proves) {
  ScramServer server(*make_verifier(Secret(password), "0123456789abcdef", 4096), {}, "server nonce 18 by");
  std::string out;
  append_authentication_sasl(out, {kScramSha256});
  driver.from_server(out);
  std::string sent = driver.take_server();
  std::string_view rest = sent;
  auto frames = take_frames(rest);
  if (frames.size() != 1) return "";
  auto initial = parse_sasl_initial_response(frames[0].body);
  if (!initial) return "";
  out.clear();
  append_authentication_sasl_continue(out, *server.on_client_first(initial->mechanism, *initial->response));
  driver.from_server(out);
  sent = driver.take_server();
  rest = sent;
  frames = take_frames(rest);
  auto last = frames.size() == 1 ? server.on_client_final(frames[0].body) : fail("no answer");
  out.clear();
  if (last && proves) append_authentication_sasl_final(out, *last);
  append_authentication_ok(out);
  driver.from_server(out);
  return last ? "proof right" : "proof wrong";
}

TEST(Authentication, CredentialLogsInByScram) {
  Dialling test("tls: {mode: disable}, credential: {file: /c}");
  test.driver.take_server();
  EXPECT_EQ(scram_login(test.driver, "secret", true), "proof right");
  EXPECT_EQ(server_text(test.driver.all_to_agent), "R(0)");
}

TEST(Authentication, OkWithoutTheServersSignatureIsRefused) {
  Dialling test("tls: {mode: disable}, credential: {file: /c}");
  test.driver.take_server();
  EXPECT_EQ(scram_login(test.driver, "secret", false), "proof right");
  EXPECT_EQ(server_text(test.driver.all_to_agent), "E(28000)");
}

TEST(Authentication, CredentialOfAnotherUserKeepsTheDatabase) {
  World world(policy_text(everything(), "tls: {mode: disable}, credential: {file: /c}"));
  world.credential_user = "service";
  Driver driver(world);
  driver.from_agent(startup_packet());
  driver.event(Dialled{driver.upstream, listed()});
  const std::string sent = driver.take_server();
  const auto packet = next_startup(sent);
  ASSERT_TRUE(std::holds_alternative<StartupMessage>(packet));
  EXPECT_EQ(std::get<StartupMessage>(packet).find("user"), "service");
  EXPECT_EQ(std::get<StartupMessage>(packet).find("database"), "shop");
}

/// The agent's SCRAM against the role's verifier; what it was told last.
std::string prove(Driver& driver, const std::string& password) {
  driver.from_agent(startup_packet());
  ScramClient client(Secret(password), {}, "client nonce 18 by");
  std::string out;
  append_sasl_initial_response(out, client.mechanism(), client.first_message());
  driver.take_agent();
  driver.from_agent(out);
  const std::string challenge = driver.take_agent();
  std::string_view rest = challenge;
  const auto frames = take_frames(rest);
  if (frames.size() != 1) return "no challenge";
  auto answer = client.on_server_first(parse_authentication(frames[0].body)->data);
  if (!answer) return answer.error().what;
  out.clear();
  append_sasl_response(out, *answer);
  driver.from_agent(out);
  return server_text(driver.take_agent());
}

TEST(Authentication, VerifierProvesTheAgentBeforeTheDialAndLogsInUpstream) {
  World world(policy_text(everything(), "tls: {mode: disable}, credential: {verifier: /v}"));
  world.verifier_text = to_string(*make_verifier(Secret("hunter2"), "0123456789abcdef", 4096));
  Driver driver(world);
  EXPECT_EQ(prove(driver, "hunter2"), "R(12)");
  EXPECT_TRUE(driver.dial_wanted());
  driver.event(Dialled{driver.upstream, listed()});
  EXPECT_EQ(driver.take_server(), startup_packet());
  EXPECT_EQ(scram_login(driver, "hunter2", true), "proof right");
  EXPECT_EQ(server_text(driver.take_agent()), "R(0)");

  Driver wrong(world);
  EXPECT_EQ(prove(wrong, "guess"), "E(28P01)");
  EXPECT_FALSE(wrong.dial_wanted());
}

TEST(Authentication, ARoleWithoutAVerifierLooksLikeOneThatHasOne) {
  World world(policy_text(everything(), "tls: {mode: disable}, credential: {verifier: /v}"));
  Driver driver(world);
  EXPECT_EQ(prove(driver, "hunter2"), "E(28P01)");
  EXPECT_FALSE(driver.dial_wanted());
}

TEST(Authentication, ChannelBindingThroughTlsOnBothLegsIsExplained) {
  World world(policy_text(everything(), "tls: {mode: require}"));
  Driver driver(world);
  driver.from_agent(ssl_request());
  EXPECT_EQ(driver.take_agent(), "S");
  driver.event(Secured{.leg = kAgentLeg, .end_point_digest = "agent"});
  driver.from_agent(startup_packet());
  driver.event(Dialled{driver.upstream, listed()});
  driver.from_server("S");
  driver.event(Secured{.leg = driver.upstream, .end_point_digest = "server"});
  driver.take_server();
  std::string out;
  append_authentication_sasl(out, {kScramSha256Plus, kScramSha256});
  driver.from_server(out);
  EXPECT_EQ(server_text(driver.take_agent()), "R(10)");
  out.clear();
  append_sasl_initial_response(out, kScramSha256Plus, "p=tls-server-end-point,,n=,r=x");
  driver.from_agent(out);
  const std::string answer = driver.take_agent();
  EXPECT_EQ(report_field(answer, 'C'), "28000");
  EXPECT_NE(report_field(answer, 'H').find("verifier"), std::string::npos);
  EXPECT_EQ(driver.take_server(), "");
}

TEST(Times, AnAgentThatNeverSaysAWordIsGivenUp) {
  World world(policy_text(everything()));
  Driver driver(world);
  driver.tick(limits::kHandshakeTimeoutMs - 1);
  EXPECT_FALSE(driver.finished);
  driver.tick(1);
  EXPECT_TRUE(driver.finished);
}

}  // namespace
}  // namespace sallyport::flow::test
