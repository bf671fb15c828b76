// SPDX-License-Identifier: Apache-2.0
// TLS on live legs: towards the agent after a word in clear and directly, towards a server, and failing.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>

#include "sallyport/base/clock.h"
#include "tests/net/harness.h"

namespace sallyport::net {
namespace {

using flow::kAgentLeg;
using flow::kUpstreamLeg;
using Role = flow::Secure::Role;
using Verify = flow::Secure::Verify;

/// libssl on a blocking socket.
class TlsSocket {
 public:
  TlsSocket(const UniqueFd& fd, bool server, const Leaf* leaf = nullptr) {
    context_ = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (leaf != nullptr) {
      SSL_CTX_use_certificate(context_, leaf->certificate.get());
      SSL_CTX_use_PrivateKey(context_, leaf->key.get());
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd.get());
    server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
  }
  ~TlsSocket() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool handshake() { return SSL_do_handshake(ssl_) == 1; }
  void write(const std::string& bytes) {
    EXPECT_EQ(SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())), static_cast<int>(bytes.size()));
  }
  std::string read(size_t count) {
    std::string out(count, '\0');
    size_t filled = 0;
    while (filled < count) {
      const int got = SSL_read(ssl_, out.data() + filled, static_cast<int>(count - filled));
      if (got <= 0) break;
      filled += static_cast<size_t>(got);
    }
    out.resize(filled);
    return out;
  }
  SSL* get() { return ssl_; }

 private:
  SSL_CTX* context_;
  SSL* ssl_;
};

/// Answers "?" with "S" and TLS, as PostgreSQL does SSLRequest; then echoes. The leading word after
/// the handshake tells what was agreed.
void echo_over_tls(const flow::Event* event, flow::Actions& actions, bool& secured) {
  if (const auto* bytes = as<flow::Bytes>(event)) {
    if (secured) {
      actions.send(kAgentLeg).append(bytes->bytes);
    } else {
      actions.send(kAgentLeg) = "S";
      actions.add(flow::Secure{.leg = kAgentLeg, .role = Role::server, .server_name = "db.internal"});
    }
  }
  if (as<flow::Secured>(event) != nullptr) {
    secured = true;
    actions.send(kAgentLeg) = "secured";
  }
  if (as<flow::Eof>(event) != nullptr) actions.add(flow::Finish{});
}

TEST(WorkerTls, TowardsTheAgentAfterAWordInClear) {
  Harness harness([](model::FlowId) -> Script {
    return [secured = false](const flow::Event* event, const Now&, flow::Actions& actions) mutable {
      echo_over_tls(event, actions, secured);
    };
  });
  UniqueFd agent = harness.connect();
  write_all(agent, "?");
  ASSERT_EQ(read_exactly(agent, 1), "S") << "in clear";
  TlsSocket tls(agent, false);
  ASSERT_TRUE(tls.handshake());
  EXPECT_EQ(tls.read(7), "secured");
  const std::string large(3'000'000, 'l');
  std::thread writer([&] { tls.write(large); });
  writer.join();
  EXPECT_EQ(tls.read(large.size()), large);
  SSL_shutdown(tls.get());
  EXPECT_EQ(SSL_read(tls.get(), nullptr, 0), 0);
  EXPECT_TRUE(harness.no_flows());
  EXPECT_EQ(harness.worker->stats().tls_handshakes, 1u);
}

/// Direct TLS: the first bytes are the ClientHello already.
Script direct_tls() {
  return [](const flow::Event* event, const Now&, flow::Actions& actions) {
    static thread_local bool begun = false;
    if (event == nullptr) begun = false;
    if (const auto* bytes = as<flow::Bytes>(event)) {
      if (!begun) {
        begun = true;
        actions.add(flow::Secure{.leg = kAgentLeg,
                                 .role = Role::server,
                                 .server_name = "db.internal",
                                 .alpn = "postgresql",
                                 .unread = std::string(bytes->bytes)});
      } else {
        actions.send(kAgentLeg).append(bytes->bytes);
      }
    }
    if (as<flow::Eof>(event) != nullptr || as<flow::Failed>(event) != nullptr) actions.add(flow::Finish{});
  };
}

TEST(WorkerTls, DirectlyWithTheBytesAlreadyRead) {
  Harness harness(direct_tls());
  UniqueFd agent = harness.connect();
  TlsSocket tls(agent, false);
  SSL_set_alpn_protos(tls.get(), reinterpret_cast<const unsigned char*>("\x0apostgresql"), 11);
  ASSERT_TRUE(tls.handshake());
  tls.write("hello");
  EXPECT_EQ(tls.read(5), "hello");
}

TEST(WorkerTls, DirectlyWithoutAlpnIsRefusedWithAnAlert) {
  Harness harness(direct_tls());
  UniqueFd agent = harness.connect();
  TlsSocket tls(agent, false);
  EXPECT_FALSE(tls.handshake());
  EXPECT_TRUE(eventually([&] { return harness.worker->stats().tls_failures == 1; }));
  EXPECT_TRUE(harness.no_flows());
}

TEST(WorkerTls, TheOpensslProgramVerifiesTheMintedCertificate) {
  Harness harness(direct_tls());
  char ca_file[] = "/tmp/sallyport_ca_XXXXXX";
  UniqueFd file(mkstemp(ca_file));
  std::ofstream(ca_file) << harness.authority->certificate_pem();
  // Its input stays open until what it said has come back.
  const std::string heard = std::string(ca_file) + ".heard";
  const std::string command = "(echo over openssl; for i in $(seq 600); do grep -q 'over openssl' " + heard +
                              " && break; sleep 0.1; done) 2>/dev/null | openssl s_client -quiet -no_ign_eof -alpn "
                              "postgresql -verify_return_error "
                              "-verify_hostname db.internal -CAfile " +
                              std::string(ca_file) + " -connect " + harness.address.to_string() + " 2>&1 | tee " +
                              heard;
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string out;
  for (char buffer[4096]; size_t got = fread(buffer, 1, sizeof buffer, pipe);) out.append(buffer, got);
  EXPECT_EQ(pclose(pipe), 0) << out;
  EXPECT_NE(out.find("over openssl"), std::string::npos) << out;
  unlink(ca_file);
  unlink(heard.c_str());
}

/// Dials `upstream` with TLS and relays; words about failures go to the agent.
Script tls_upstream(const model::Endpoint& upstream, Verify verify, const std::string& ca_file) {
  return [=](const flow::Event* event, const Now&, flow::Actions& actions) {
    if (event == nullptr) actions.add(flow::Dial{kUpstreamLeg, upstream});
    if (as<flow::Dialled>(event) != nullptr) {
      actions.add(flow::Secure{.leg = kUpstreamLeg,
                               .role = Role::client,
                               .server_name = "db.internal",
                               .verify = verify,
                               .ca_file = ca_file});
      actions.send(kUpstreamLeg) = "startup";
    }
    if (const auto* secured = as<flow::Secured>(event))
      actions.send(kAgentLeg) = secured->proven ? "proven " : "unproven ";
    if (const auto* bytes = as<flow::Bytes>(event))
      actions.send(bytes->leg == kAgentLeg ? kUpstreamLeg : kAgentLeg).append(bytes->bytes);
    if (const auto* failed = as<flow::Failed>(event)) {
      actions.send(kAgentLeg) = failed->reason;
      actions.add(flow::Finish{});
    }
    if (as<flow::Eof>(event) != nullptr) actions.add(flow::Finish{});
  };
}

struct Upstream {
  explicit Upstream(const std::string& host) : server(listen_on_loopback(&where)), ca("/tmp/sallyport_ca_XXXXXX") {
    authority = std::move(*node::CertificateAuthority::make("upstream", read_clocks().wall_ns));
    auto minted = authority->leaf(host, read_clocks().wall_ns);
    leaf = {minted->certificate, minted->key};
    UniqueFd file(mkstemp(ca.data()));
    std::ofstream(ca) << authority->certificate_pem();
  }
  ~Upstream() { unlink(ca.c_str()); }
  model::Endpoint where;
  UniqueFd server;
  std::string ca;
  std::unique_ptr<node::CertificateAuthority> authority;
  Leaf leaf;
};

TEST(WorkerTls, TowardsAServerThatIsProven) {
  Upstream upstream("db.internal");
  Harness harness(tls_upstream(upstream.where, Verify::full, upstream.ca));
  UniqueFd agent = harness.connect();
  UniqueFd accepted = accept_one(upstream.server);
  TlsSocket tls(accepted, true, &upstream.leaf);
  ASSERT_TRUE(tls.handshake());
  EXPECT_EQ(tls.read(7), "startup") << "sent before the handshake was over, and not in clear";
  EXPECT_EQ(read_exactly(agent, 7), "proven ");
  write_all(agent, "query");
  EXPECT_EQ(tls.read(5), "query");
  tls.write("rows");
  EXPECT_EQ(read_exactly(agent, 4), "rows");
  agent.reset();
  EXPECT_EQ(tls.read(1), "") << "close_notify";
  EXPECT_EQ(SSL_get_shutdown(tls.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

TEST(WorkerTls, AWrongCertificateIsNamedAndNothingIsSent) {
  Upstream upstream("other.internal");
  Harness harness(tls_upstream(upstream.where, Verify::full, upstream.ca));
  UniqueFd agent = harness.connect();
  UniqueFd accepted = accept_one(upstream.server);
  TlsSocket tls(accepted, true, &upstream.leaf);
  const bool finished = tls.handshake();
  EXPECT_EQ(read_to_end(agent),
            "tls with the server: certificate of `/CN=other.internal` not accepted: hostname mismatch");
  if (finished) {
    EXPECT_EQ(tls.read(7), "");
  }
}

TEST(WorkerTls, AServerThatClosesInTheHandshake) {
  Upstream upstream("db.internal");
  Harness harness(tls_upstream(upstream.where, Verify::none, ""));
  UniqueFd agent = harness.connect();
  UniqueFd accepted = accept_one(upstream.server);
  char hello[4096];
  EXPECT_GT(::recv(accepted.get(), hello, sizeof hello, 0), 0);
  accepted.reset();
  EXPECT_EQ(read_to_end(agent), "tls with the server: closed in the handshake");
}

TEST(WorkerTls, ACaFileThatIsNotThere) {
  Upstream upstream("db.internal");
  Harness harness(tls_upstream(upstream.where, Verify::ca, "/nowhere/ca.pem"));
  UniqueFd agent = harness.connect();
  EXPECT_EQ(read_to_end(agent), "CA file `/nowhere/ca.pem`: No such file or directory");
}

}  // namespace
}  // namespace sallyport::net
