// SPDX-License-Identifier: Apache-2.0
// SCRAM against the vector of RFC 7677 and against verifiers that a PostgreSQL 15.18 made; both ends against each
// other; every message cut, altered and exchanged.
#include "sallyport/protocol/postgres/scram.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/postgres/scram_text.h"
#include "sallyport/base/limits.h"

namespace sallyport::postgres {
namespace {

using namespace std::string_literals;
using Use = ChannelBinding::Use;

// SELECT rolpassword FROM pg_authid on PostgreSQL 15.18.
constexpr std::string_view kAlice =  // 'pencil'
    "SCRAM-SHA-256$4096:Ucug7qJgB9VpEAiqnKbM1A==$JrpZwLwTHL0fS2gzHj/s9SsxEpvALrLiUBmyeN1IUlo=:"
    "Nsfwk7RH+gRNdM81jSPJjO0N07KSQCAHoUyWUqZjd9I=";
constexpr std::string_view kJose =  // E'\u00AApass\u00ADwo\u3000rd': SASLprep makes it 'apasswo rd'
    "SCRAM-SHA-256$4096:zWxxvZ0tR6huP40b+Q5t/Q==$mj03nZa/s4zV+pKbFhH5VA9RGvEMCLhJY0/VnYYuTp8=:"
    "zj3tHcewYM6d8mgNJXlEyWR3JFt+RSy7F2hxuoh2L78=";
constexpr std::string_view kRaw =  // E'a\u0221b\u0007': unassigned in Unicode 3.2 and a control: used as it stands
    "SCRAM-SHA-256$4096:N7032AGDstaRrjdbGkahvg==$rfvW7hLq7d6dqIAVBLiVt6pUEW4kgzfRS7VPcOHfOqc=:"
    "1JFToFrsQFtpVSJzNeW4Sj65EsmlpjqtbLA96ZDxyAY=";

const std::string kClientNonce = "client-nonce-18-by";
const std::string kServerNonce = "server-nonce-18-by";

TEST(ScramText, Rfc7677Vector) {
  const std::string auth_message =
      "n=user,r=rOprNGfwEbeRWgbNEkqO,"
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const Secret salted = salted_password(Secret("pencil"), *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  const std::string client_key = hmac_sha256(salted.reveal(), "Client Key");
  const std::string proof = xor_bytes(client_key, hmac_sha256(sha256(client_key), auth_message));
  EXPECT_EQ(base64_encode(proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  const std::string signature = hmac_sha256(hmac_sha256(salted.reveal(), "Server Key"), auth_message);
  EXPECT_EQ(base64_encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(ScramText, Base64IsCanonical) {
  EXPECT_EQ(base64_decode(""), "");
  EXPECT_EQ(base64_decode("Zg=="), "f");
  EXPECT_EQ(base64_decode(base64_encode("\0\xff\x10"s)), "\0\xff\x10"s);
  for (std::string_view bad : {"Zg", "Zg=", "Zh==", "Z===", "====", "Zg==\n\n\n\n", " Zg=", "Zm9v=g==", "Zm-v"})
    EXPECT_FALSE(base64_decode(bad)) << bad;
}

TEST(ScramText, Iterations) {
  EXPECT_EQ(parse_iterations("4096"), 4096u);
  EXPECT_EQ(parse_iterations(std::to_string(limits::kScramIterationsMax)), limits::kScramIterationsMax);
  for (const std::string& bad :
       {"0"s, ""s, "-1"s, "4096 "s, "+1"s, "99999999999"s, std::to_string(limits::kScramIterationsMax + 1)})
    EXPECT_FALSE(parse_iterations(bad)) << bad;
}

TEST(Verifier, IsWhatPostgresMakes) {
  const std::pair<std::string_view, std::string> cases[] = {
      {kAlice, "pencil"}, {kJose, "\u00AApass\u00ADwo\u3000rd"}, {kRaw, "a\u0221b\x07"}};
  for (const auto& [text, password] : cases) {
    const auto verifier = parse_verifier(text);
    ASSERT_TRUE(verifier) << verifier.error().what;
    EXPECT_EQ(to_string(*verifier), text);
    const auto made = make_verifier(Secret(password), verifier->salt, verifier->iterations);
    EXPECT_EQ(to_string(*made), text);
  }
}

TEST(Verifier, RefusesWhatIsMalformed) {
  for (size_t size = 0; size < kAlice.size(); ++size) EXPECT_FALSE(parse_verifier(kAlice.substr(0, size))) << size;
  EXPECT_FALSE(parse_verifier(std::string(kAlice) + "="));
  EXPECT_FALSE(parse_verifier("md567adfec704f699c30d8b55bb6c1e0394"));
  EXPECT_FALSE(
      parse_verifier("SCRAM-SHA-256$4096:$JrpZwLwTHL0fS2gzHj/s9SsxEpvALrLiUBmyeN1IUlo=:"
                     "Nsfwk7RH+gRNdM81jSPJjO0N07KSQCAHoUyWUqZjd9I="))
      << "no salt";
  EXPECT_FALSE(parse_verifier("SCRAM-SHA-256$4096:Ucug$JrpZ:Nsfw")) << "short keys";
  EXPECT_EQ(parse_verifier("SCRAM-SHA-256$x:secret").error().what.find("secret"), std::string::npos);
}

TEST(Saslprep, AsPostgresDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"I\u00ADX", "IX"},  // RFC 4013 section 3
      {"user", "user"},         {"USER", "USER"}, {"\u00AA", "a"},      {"\u2168", "IX"},
      {"\u0007", "\u0007"},                                              // prohibited: as it stands
      {"\u06271", "\u06271"},                                            // bidirectional check fails: as it stands
      {"\xff\xfe", "\xff\xfe"},                                          // not UTF-8
      {"\u00AD", "\u00AD"},                                              // comes out empty
      {"a\0b"s, "a\0b"s},       {"", ""},         {"\u0221", "\u0221"},  // unassigned in Unicode 3.2
      {"a\u00A0b", "a b"},                                               // no-break space
  };
  for (const auto& [in, out] : cases) EXPECT_EQ(saslprep(Secret(in)).reveal(), out) << in;
}

/// Both ends joined; gives what the server end made of it.
struct Exchange {
  Result<std::string> server_first, client_final, server_final;
  Result<> proven;
};
Exchange exchange(ScramClient& client, ScramServer& server) {
  Exchange x;
  x.server_first = server.on_client_first(client.mechanism(), client.first_message());
  if (!x.server_first) return x;
  x.client_final = client.on_server_first(*x.server_first);
  if (!x.client_final) return x;
  x.server_final = server.on_client_final(*x.client_final);
  if (!x.server_final) return x;
  x.proven = client.on_server_final(*x.server_final);
  return x;
}

TEST(Scram, BothEnds) {
  for (const auto& [client_use, server_use] : {std::pair(Use::none, Use::none),
                                               {Use::offered, Use::none},
                                               {Use::bound, Use::bound},
                                               {Use::none, Use::bound}}) {
    ScramClient client(Secret("pencil"), {client_use, "digest"}, kClientNonce);
    ScramServer server(parse_verifier(kAlice).value(), {server_use, "digest"}, kServerNonce);
    const Exchange x = exchange(client, server);
    ASSERT_TRUE(x.server_final) << x.server_final.error().what;
    EXPECT_TRUE(x.proven);
    EXPECT_TRUE(client.server_proven());
    EXPECT_EQ(sha256(server.client_key().reveal()), parse_verifier(kAlice)->stored_key.reveal());
  }
}

TEST(Scram, TheRecoveredKeyLogsInUpstream) {
  ScramClient agent(Secret("pencil"), {}, kClientNonce);
  ScramServer us_as_server(parse_verifier(kAlice).value(), {}, kServerNonce);
  ASSERT_TRUE(exchange(agent, us_as_server).proven);
  ScramClient us_as_client(us_as_server.client_key(), parse_verifier(kAlice).value(), {Use::bound, "cert"},
                           "other-nonce-client");
  ScramServer upstream(parse_verifier(kAlice).value(), {Use::bound, "cert"}, "other-nonce-server");
  EXPECT_TRUE(exchange(us_as_client, upstream).proven);
}

TEST(Scram, AVerifierThatIsNoLongerTheServersIsSaidSo) {
  ScramClient agent(Secret("pencil"), {}, kClientNonce);
  ScramServer us_as_server(parse_verifier(kAlice).value(), {}, kServerNonce);
  ASSERT_TRUE(exchange(agent, us_as_server).proven);
  ScramClient stale(us_as_server.client_key(), parse_verifier(kAlice).value(), {}, kClientNonce);
  ScramServer upstream(make_verifier(Secret("pencil"), "new salt", 4096).value(), {}, kServerNonce);
  const Exchange x = exchange(stale, upstream);
  ASSERT_FALSE(x.client_final);
  EXPECT_NE(x.client_final.error().hint.find("pg_authid"), std::string::npos);
}

TEST(Scram, WrongPasswordAndUnknownRole) {
  ScramClient client(Secret("pencils"), {}, kClientNonce);
  ScramServer server(parse_verifier(kAlice).value(), {}, kServerNonce);
  EXPECT_FALSE(exchange(client, server).server_final);
  EXPECT_TRUE(server.client_key().empty());
  ScramClient again(Secret("pencil"), {}, kClientNonce);
  ScramServer mock(mock_verifier("nobody", Secret("node")), {}, kServerNonce);
  EXPECT_FALSE(exchange(again, mock).server_final);
  EXPECT_EQ(mock_verifier("nobody", Secret("node")).salt, mock_verifier("nobody", Secret("node")).salt);
  EXPECT_NE(mock_verifier("nobody", Secret("node")).salt, mock_verifier("anybody", Secret("node")).salt);
}

TEST(Scram, AServerThatDoesNotKnowTheVerifierIsNotProven) {
  ScramClient client(Secret("pencil"), {}, kClientNonce);
  ScramServer server(parse_verifier(kAlice).value(), {}, kServerNonce);
  const auto first = server.on_client_first(client.mechanism(), client.first_message());
  EXPECT_FALSE(client.on_server_final("v=AAAA")) << "before any challenge";
  const auto final = server.on_client_final(*client.on_server_first(*first));
  EXPECT_FALSE(client.on_server_final("v=" + base64_encode(std::string(32, 'x'))));
  EXPECT_FALSE(client.on_server_final("v="));
  EXPECT_FALSE(client.on_server_final(""));
  EXPECT_FALSE(client.on_server_final("e=other-error"));
  EXPECT_FALSE(client.on_server_final(*final + ",x=y"));
  EXPECT_FALSE(client.server_proven());
  EXPECT_TRUE(client.on_server_final(*final));
}

TEST(Scram, ClientRefusesBadChallenges) {
  const std::string nonce = base64_encode(kClientNonce);
  for (const std::string& bad :
       {""s, "r="s + nonce, "r="s + nonce + "x,s=AAAA"s, "r="s + nonce + ",s=AAAA,i=4096"s,
        "r=other" + nonce + ",s=AAAA,i=4096", "r=" + nonce + "x,s=,i=4096", "r=" + nonce + "x,s=A,i=4096",
        "r=" + nonce + "x,s=AAAA,i=0", "r=" + nonce + "x,s=AAAA,i=1000001", "r=" + nonce + "x,s=AAAA,i=4096,e=x",
        "m=x,r=" + nonce + "x,s=AAAA,i=4096", "r=" + nonce + "\x01,s=AAAA,i=4096"}) {
    ScramClient client(Secret("pencil"), {}, kClientNonce);
    EXPECT_FALSE(client.on_server_first(bad)) << bad;
  }
}

Result<std::string> client_first(Use server_use, std::string_view mechanism, std::string_view data) {
  return ScramServer(parse_verifier(kAlice).value(), {server_use, "digest"}, kServerNonce)
      .on_client_first(mechanism, data);
}

TEST(Scram, ServerRefusesBadFirstMessages) {
  EXPECT_TRUE(client_first(Use::none, kScramSha256, "n,,n=alice,r=abc"));
  EXPECT_TRUE(client_first(Use::none, kScramSha256, "n,,n=,r=abc,x=optional"));
  for (std::string_view bad : {"", "n", "n,", "n,,", "n,,n=", "n,,n=,r=", "n,,n=,r=a b", "n,a=eve,n=,r=abc",
                               "q,,n=,r=abc", "n,,m=x,n=,r=abc", "n,,n=,r=abc,m=x", "n,,n=,r=abc,", "n,,n=,r=abc,=",
                               "n,,r=abc,n=", "p=tls-unique,,n=,r=abc", "p=tls-server-end-point,,n=,r=abc"})
    EXPECT_FALSE(client_first(Use::none, kScramSha256, bad)) << bad;
}

TEST(Scram, ServerRefusesDowngrades) {
  EXPECT_FALSE(client_first(Use::bound, kScramSha256, "y,,n=,r=abc")) << "-PLUS was offered";
  EXPECT_TRUE(client_first(Use::none, kScramSha256, "y,,n=,r=abc"));
  EXPECT_TRUE(client_first(Use::bound, kScramSha256, "n,,n=,r=abc")) << "a client that cannot bind";
  EXPECT_FALSE(client_first(Use::none, kScramSha256Plus, "p=tls-server-end-point,,n=,r=abc")) << "not offered";
  EXPECT_FALSE(client_first(Use::bound, kScramSha256Plus, "n,,n=,r=abc"));
  EXPECT_FALSE(client_first(Use::bound, kScramSha256, "p=tls-server-end-point,,n=,r=abc"));
  EXPECT_FALSE(client_first(Use::bound, kScramSha256Plus, "p=tls-unique,,n=,r=abc"));
  EXPECT_FALSE(client_first(Use::none, "PLAIN", "n,,n=,r=abc"));
}

TEST(Scram, AnotherCertificateBreaksTheBinding) {
  ScramClient client(Secret("pencil"), {Use::bound, "theirs"}, kClientNonce);
  ScramServer server(parse_verifier(kAlice).value(), {Use::bound, "ours"}, kServerNonce);
  const Exchange x = exchange(client, server);
  ASSERT_FALSE(x.server_final);
  EXPECT_NE(x.server_final.error().what.find("channel binding"), std::string::npos);
}

TEST(Scram, AnyByteOfTheProofCounts) {
  ScramClient client(Secret("pencil"), {}, kClientNonce);
  ScramServer server(parse_verifier(kAlice).value(), {}, kServerNonce);
  EXPECT_FALSE(server.on_client_final("c=biws,r=x,p=AAAA")) << "before its first message";
  const auto first = server.on_client_first(client.mechanism(), client.first_message());
  const std::string proof = client.on_server_first(*first).value();
  for (size_t i = 0; i < proof.size(); ++i) {
    std::string altered = proof;
    altered[i] ^= 1;
    EXPECT_FALSE(server.on_client_final(altered)) << i;
    EXPECT_FALSE(server.on_client_final(proof.substr(0, i))) << i;
  }
  EXPECT_FALSE(server.on_client_final(proof + "="));
  EXPECT_TRUE(server.on_client_final(proof));
}

TEST(Md5, AsPostgresDoes) {
  // pg_authid of role mona with password 'pencil', PostgreSQL 15.18.
  const Secret from_password = md5_answer("mona", Secret("pencil"), "\1\2\3\4");
  const Secret from_stored = md5_answer_from_stored("md567adfec704f699c30d8b55bb6c1e0394", "\1\2\3\4");
  EXPECT_TRUE(from_password.equals(from_stored.reveal()));
  EXPECT_EQ(from_password.reveal().size(), 35u);
  EXPECT_TRUE(from_password.reveal().starts_with("md5"));
}

}  // namespace
}  // namespace sallyport::postgres
