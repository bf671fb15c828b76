// SPDX-License-Identifier: Apache-2.0
// The engine against plain libssl, both roles, split at any byte; and every way a handshake must fail.
#include "net/tls_engine.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <filesystem>
#include <fstream>

#include "sallyport/base/clock.h"
#include "sallyport/node/certificate_authority.h"
#include "tests/net/tls_peer.h"

namespace sallyport::net {
namespace {

using Role = flow::Secure::Role;
using Verify = flow::Secure::Verify;

class TlsEngineTest : public testing::Test {
 protected:
  TlsEngineTest() {
    char name[] = "/tmp/sallyport_tls_XXXXXX";
    directory_ = mkdtemp(name);
    ca_file_ = write_file("ca.pem", authority_->certificate_pem());
  }
  ~TlsEngineTest() override { std::filesystem::remove_all(directory_); }

  std::string write_file(const std::string& name, const std::string& content) {
    std::ofstream(directory_ + "/" + name) << content;
    return directory_ + "/" + name;
  }
  Leaf leaf(const std::string& host, int64_t days_ago = 0) {
    auto minted = authority_->leaf(host, now_ - days_ago * 86'400 * kNanosPerSecond);
    EXPECT_TRUE(minted);
    return {minted->certificate, minted->key};
  }
  std::unique_ptr<TlsEngine> server(const Leaf& leaf, std::string alpn = {}) {
    auto engine =
        TlsEngine::make(*contexts_, {.leg = 0, .role = Role::server, .server_name = "db", .alpn = alpn}, &leaf);
    EXPECT_TRUE(engine) << engine.error().what;
    return std::move(*engine);
  }
  std::unique_ptr<TlsEngine> client(Verify verify, std::string name = "db.internal", std::string alpn = {}) {
    auto engine = TlsEngine::make(*contexts_,
                                  {.leg = 1,
                                   .role = Role::client,
                                   .server_name = std::move(name),
                                   .verify = verify,
                                   .ca_file = ca_file_,
                                   .alpn = std::move(alpn)},
                                  nullptr);
    EXPECT_TRUE(engine) << engine.error().what;
    return std::move(*engine);
  }

  /// Carries ciphertext to and fro, `step` bytes at a time, until nothing moves. "": no error.
  std::string run(TlsEngine& engine, TlsPeer& peer, size_t step) {
    peer.feed("");
    for (bool moved = true; moved;) {
      moved = false;
      for (std::string_view rest = std::string_view(to_engine_ = peer.take_output()); !rest.empty();) {
        const std::string_view part = rest.substr(0, step);
        rest.remove_prefix(part.size());
        if (std::string error = drive(engine, part); !error.empty()) {
          peer.feed(engine.output());
          return error;
        }
        moved = true;
      }
      std::string out;
      out.swap(engine.output());
      for (std::string_view rest = out; !rest.empty(); moved = true) {
        peer.feed(rest.substr(0, step));
        rest.remove_prefix(std::min(step, rest.size()));
      }
    }
    return {};
  }
  std::string drive(TlsEngine& engine, std::string_view ciphertext) {
    char buffer[700];
    engine.feed(ciphertext);
    for (;;) {
      auto got = engine.read(buffer, sizeof buffer);
      if (!got) return got.error().what;
      if (*got == 0) return {};
      plaintext_.append(buffer, *got);
    }
  }

  const int64_t now_ = read_clocks().wall_ns;
  std::string directory_, ca_file_;
  std::unique_ptr<node::CertificateAuthority> authority_ = std::move(*node::CertificateAuthority::make("t", now_));
  std::unique_ptr<TlsContexts> contexts_ = std::move(*TlsContexts::make());
  std::string to_engine_, plaintext_;
};

TEST_F(TlsEngineTest, BothRolesAtEverySplit) {
  const Leaf certificate = leaf("db.internal");
  const std::string message(40'000, 'm');
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t step : {1u, 2u, 3u, 5u, 17u, 1000u, 100'000u}) {
      for (const bool engine_serves : {true, false}) {
        SCOPED_TRACE(testing::Message() << version << " by " << step << (engine_serves ? " server" : " client"));
        TlsPeer peer(engine_serves ? TlsPeer::Role::client : TlsPeer::Role::server, &certificate);
        SSL_CTX_set_max_proto_version(peer.context(), version);
        auto engine = engine_serves ? server(certificate) : client(Verify::full);
        plaintext_.clear();
        ASSERT_EQ(run(*engine, peer, step), "");
        ASSERT_TRUE(engine->established());
        ASSERT_TRUE(peer.finished());
        peer.write(message);
        ASSERT_TRUE(engine->write(message));
        ASSERT_EQ(run(*engine, peer, step), "");
        EXPECT_EQ(plaintext_, message);
        EXPECT_EQ(peer.plaintext, message);
        engine->close();
        ASSERT_EQ(run(*engine, peer, step), "");
        EXPECT_TRUE(peer.got_close_notify());
        EXPECT_FALSE(engine->ended());
        SSL_shutdown(peer.ssl());
        ASSERT_EQ(run(*engine, peer, step), "");
        EXPECT_TRUE(engine->ended());
      }
    }
  }
}

TEST_F(TlsEngineTest, WhatIsWrittenEarlyWaitsForTheHandshake) {
  const Leaf certificate = leaf("db.internal");
  TlsPeer peer(TlsPeer::Role::server, &certificate);
  auto engine = client(Verify::ca);
  ASSERT_TRUE(engine->write("startup message"));
  EXPECT_EQ(engine->waiting(), 15u);
  EXPECT_EQ(engine->output().find("startup"), std::string::npos);
  engine->close();
  ASSERT_EQ(run(*engine, peer, 100'000), "");
  EXPECT_EQ(engine->waiting(), 0u);
  EXPECT_EQ(peer.plaintext, "startup message");
  EXPECT_TRUE(peer.got_close_notify()) << "behind what waited";
}

TEST_F(TlsEngineTest, TellsWhatWasAgreed) {
  const Leaf certificate = leaf("db.internal");
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(certificate.certificate.get(), EVP_sha256(), digest, &size);
  const std::string expected(reinterpret_cast<char*>(digest), size);

  TlsPeer agent(TlsPeer::Role::client);
  SSL_set_tlsext_host_name(agent.ssl(), "asked.for");
  SSL_set_alpn_protos(agent.ssl(), reinterpret_cast<const unsigned char*>("\x02h2\x0apostgresql"), 14);
  auto towards_agent = server(certificate, "postgresql");
  ASSERT_EQ(run(*towards_agent, agent, 1000), "");
  const flow::Secured served = towards_agent->secured(0);
  EXPECT_EQ(served.leg, 0);
  EXPECT_EQ(served.alpn, "postgresql");
  EXPECT_EQ(served.sni, "asked.for");
  EXPECT_EQ(served.end_point_digest, expected);
  EXPECT_FALSE(served.proven);

  TlsPeer upstream(TlsPeer::Role::server, &certificate);
  auto towards_server = client(Verify::full, "db.internal", "postgresql");
  ASSERT_EQ(run(*towards_server, upstream, 1000), "");
  const flow::Secured dialled = towards_server->secured(1);
  EXPECT_EQ(dialled.alpn, "") << "this server knows no ALPN: the flow must look";
  EXPECT_EQ(dialled.end_point_digest, expected);
  EXPECT_TRUE(dialled.proven);
  EXPECT_STREQ(SSL_get_servername(upstream.ssl(), TLSEXT_NAMETYPE_host_name), "db.internal");
}

TEST_F(TlsEngineTest, ServersDemandTheirAlpn) {
  const Leaf certificate = leaf("db");
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsPeer silent(TlsPeer::Role::client);
    SSL_CTX_set_max_proto_version(silent.context(), version);
    auto engine = server(certificate, "postgresql");
    EXPECT_NE(run(*engine, silent, 1000), "");
    EXPECT_FALSE(engine->established());

    TlsPeer other(TlsPeer::Role::client);
    SSL_CTX_set_max_proto_version(other.context(), version);
    SSL_set_alpn_protos(other.ssl(), reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    engine = server(certificate, "postgresql");
    const std::string error = run(*engine, other, 1000);
    EXPECT_NE(error.find("tls with the agent: "), std::string::npos) << error;
    EXPECT_FALSE(other.finished());
  }
  TlsPeer offering(TlsPeer::Role::client);
  SSL_set_alpn_protos(offering.ssl(), reinterpret_cast<const unsigned char*>("\x0apostgresql"), 11);
  auto engine = server(certificate);
  EXPECT_EQ(run(*engine, offering, 1000), "") << "not demanded: an offer does no harm";
  EXPECT_EQ(engine->secured(0).alpn, "");
}

TEST_F(TlsEngineTest, CertificatesAreVerifiedAsFarAsAsked) {
  const Leaf good = leaf("db.internal"), expired = leaf("old.internal", 100), address = leaf("127.0.0.1");
  auto stranger = std::move(*node::CertificateAuthority::make("x", now_));
  const auto minted = stranger->leaf("db.internal", now_);
  const Leaf foreign{minted->certificate, minted->key};
  const auto result = [&](const Leaf& shown, Verify verify, const std::string& name) {
    TlsPeer peer(TlsPeer::Role::server, &shown);
    auto engine = client(verify, name);
    std::string error = run(*engine, peer, 1000);
    EXPECT_EQ(error.empty(), engine->established());
    if (engine->established()) {
      EXPECT_EQ(engine->secured(1).proven, verify == Verify::full);
    }
    return error;
  };
  EXPECT_EQ(result(good, Verify::full, "db.internal"), "");
  EXPECT_EQ(result(good, Verify::ca, "other.name"), "");
  EXPECT_EQ(result(good, Verify::ca, ""), "");
  EXPECT_EQ(result(foreign, Verify::none, "db.internal"), "");
  EXPECT_EQ(result(expired, Verify::none, "old.internal"), "");
  EXPECT_EQ(result(address, Verify::full, "127.0.0.1"), "");
  EXPECT_EQ(result(good, Verify::full, "other.name"),
            "tls with the server: certificate of `/CN=db.internal` not accepted: hostname mismatch");
  EXPECT_EQ(result(address, Verify::full, "127.0.0.2"),
            "tls with the server: certificate of `/CN=127.0.0.1` not accepted: IP address mismatch");
  EXPECT_NE(result(foreign, Verify::ca, "db.internal").find("unable to get local issuer certificate"),
            std::string::npos);
  EXPECT_NE(result(foreign, Verify::full, "db.internal").find("not accepted"), std::string::npos);
  EXPECT_NE(result(expired, Verify::full, "old.internal").find("certificate has expired"), std::string::npos);
}

TEST_F(TlsEngineTest, CannotBeMadeWithoutWhatItNeeds) {
  const auto error = [&](flow::Secure secure, const Leaf* certificate = nullptr) {
    auto engine = TlsEngine::make(*contexts_, secure, certificate);
    return engine ? std::string() : engine.error().what;
  };
  EXPECT_EQ(error({.role = Role::client, .verify = Verify::full, .ca_file = ca_file_}),
            "verify-full needs the server's name");
  EXPECT_NE(error({.role = Role::client, .verify = Verify::ca, .ca_file = "/nowhere"}).find("CA file `/nowhere`"),
            std::string::npos);
  EXPECT_NE(
      error({.role = Role::client, .verify = Verify::ca, .ca_file = write_file("junk", "junk")}).find("cannot be used"),
      std::string::npos);
  EXPECT_NE(error({.role = Role::server, .server_name = "db"}).find("no certificate for `db`"), std::string::npos);
  const Leaf one = leaf("a"), two = leaf("b");
  const Leaf mixed{one.certificate, two.key};
  EXPECT_NE(error({.role = Role::server, .server_name = "db"}, &mixed).find("cannot be used"), std::string::npos);
  EXPECT_EQ(error({.role = Role::client, .verify = Verify::ca}), "") << "the system's roots";
}

TEST_F(TlsEngineTest, AChangedCaFileIsReadAgain) {
  const Leaf good = leaf("db.internal");
  const auto accepted = [&] {
    TlsPeer peer(TlsPeer::Role::server, &good);
    auto engine = client(Verify::full);
    return run(*engine, peer, 1000).empty();
  };
  EXPECT_TRUE(accepted());
  write_file("ca.pem", (*node::CertificateAuthority::make("x", now_))->certificate_pem());
  EXPECT_FALSE(accepted());
  write_file("ca.pem", authority_->certificate_pem());
  EXPECT_TRUE(accepted());
}

TEST_F(TlsEngineTest, OldVersionsAndGarbageFail) {
  const Leaf certificate = leaf("db");
  TlsPeer old(TlsPeer::Role::client);
  SSL_CTX_set_min_proto_version(old.context(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.context(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(old.context(), "ALL:@SECLEVEL=0");
  auto engine = server(certificate);
  EXPECT_EQ(run(*engine, old, 1000), "tls with the agent: unsupported protocol");

  engine = server(certificate);
  EXPECT_NE(drive(*engine, "GET / HTTP/1.1\r\n\r\n"), "");
  engine = client(Verify::none);
  EXPECT_NE(drive(*engine, "EFATAL: no TLS here\0"), "");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(TlsEngineTest, AnIdleConnectionWithTlsOnBothLegsStaysWithinItsShare) {
  const auto allocated_bytes = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const Leaf certificate = leaf("db.internal");
  std::vector<std::unique_ptr<TlsEngine>> engines;
  const auto open_one = [&] {  // one of each role: what a flow has
    auto serving = server(certificate);
    auto dialling = client(Verify::full);
    for (const bool from_client : {true, false, true, false, true, false}) {
      auto& from = from_client ? dialling : serving;
      auto& to = from_client ? serving : dialling;
      std::string carried;
      carried.swap(from->output());
      ASSERT_EQ(drive(*to, carried), "");
    }
    ASSERT_TRUE(serving->established() && dialling->established());
    ASSERT_TRUE(serving->write(std::string(20'000, 'x')));
    std::string carried;
    carried.swap(serving->output());
    ASSERT_EQ(drive(*dialling, carried), "");
    std::string().swap(plaintext_);  // the test's own
    engines.push_back(std::move(serving));
    engines.push_back(std::move(dialling));
  };
  for (int i = 0; i < 20; ++i) open_one();
  const size_t before = allocated_bytes();
  for (int i = 0; i < 500; ++i) open_one();
  const size_t each = (allocated_bytes() - before) / 500;
  RecordProperty("bytes_per_idle_flow_with_tls_on_both_legs", static_cast<int>(each));
  EXPECT_LT(each, 40u << 10);
}
#endif

TEST_F(TlsEngineTest, NoTicketsAndNoRenegotiation) {
  const Leaf certificate = leaf("db");
  TlsPeer modern(TlsPeer::Role::client);
  auto engine = server(certificate);
  ASSERT_EQ(run(*engine, modern, 1000), "");
  ASSERT_TRUE(engine->write("x"));
  ASSERT_EQ(run(*engine, modern, 1000), "");
  EXPECT_EQ(SSL_SESSION_is_resumable(SSL_get_session(modern.ssl())), 0);

  TlsPeer older(TlsPeer::Role::client);
  SSL_CTX_set_max_proto_version(older.context(), TLS1_2_VERSION);
  engine = server(certificate);
  ASSERT_EQ(run(*engine, older, 1000), "");
  EXPECT_EQ(SSL_SESSION_has_ticket(SSL_get_session(older.ssl())), 0);
  SSL_renegotiate(older.ssl());
  SSL_do_handshake(older.ssl());
  EXPECT_EQ(drive(*engine, older.take_output()), "");
  EXPECT_FALSE(engine->output().empty()) << "the alert";
  older.feed(engine->output());
  EXPECT_FALSE(older.finished());
}

}  // namespace
}  // namespace sallyport::net
