// SPDX-License-Identifier: Apache-2.0
#include "edges/catalogue/connect.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "sallyport/base/log.h"

namespace sallyport::edges {
namespace {

/// libpq before 16 knows no "system": where distributions keep their roots as one file.
constexpr const char* kSystemRoots[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem"};

std::string system_roots() {
  for (const char* path : kSystemRoots)
    if (access(path, R_OK) == 0) return path;
  return kSystemRoots[0];
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

struct Remedy {
  const char* said;
  const char* hint;
};
// What libpq and the server say, in the C locale of the daemon and of most servers.
constexpr Remedy kRemedies[] = {
    {"does not support SSL", "turn on ssl at the server"},
    {"channel binding", "set tls: {mode: verify-full}, or let pg_hba.conf ask for scram-sha-256"},
    {"certificate", "name the server's CA in tls.ca, and the host as its certificate does"},
    {"password authentication failed", "put the role's password into the credential file"},
    {"no pg_hba.conf entry", "let pg_hba.conf admit the role from this node over hostssl"},
    {"statement timeout", "the server is too slow, or its catalogue too large, to be validated every second"},
    {"permission denied for database", "GRANT CONNECT ON DATABASE … TO the role"},
    {"does not exist", "make the role or database, or correct the credential file"},
    {"refused", "see that the server runs and that this node reaches it"},
    {"closed", "see that the server runs and that this node reaches it"},
};

}  // namespace

Result<Connection> begin_connect(const flow::CatalogueId& id, const node::Credential& credential) {
  if (credential.user.empty())
    return fail(fmt::format("credential {} names no user", id.credential_file), "write it as user:password");
  if (credential.password.empty() || has_nul(credential.password.reveal()) || has_nul(id.database))
    return fail(fmt::format("credential {} has no password that a connection can use", id.credential_file),
                "write it as user:password");
  const bool by_certificate = id.tls_mode == policy::TlsMode::verify_full;
  const bool checks_ca = by_certificate || id.tls_mode == policy::TlsMode::verify_ca;
  const std::string address = id.server.address.to_string(), port = std::to_string(id.server.port);
  const std::string roots = !id.ca_file.empty() ? id.ca_file : checks_ca ? system_roots() : "";
  std::string password(credential.password.reveal());
  std::vector<const char*> keys, values;
  const auto set = [&](const char* key, const std::string& value) {
    keys.push_back(key);
    values.push_back(value.c_str());
  };
  const std::string ssl_mode = by_certificate ? "verify-full" : checks_ca ? "verify-ca" : "require";
  const std::string binding = by_certificate ? "prefer" : "require", off = "disable", utf8 = "UTF8";
  const std::string name = "sallyport catalogue";
  set("host", id.host);
  set("hostaddr", address);
  set("port", port);
  set("dbname", id.database);
  set("user", credential.user);
  set("password", password);
  set("sslmode", ssl_mode);
  set("channel_binding", binding);
  if (!roots.empty()) set("sslrootcert", roots);
  set("gssencmode", off);
  set("client_encoding", utf8);
  set("application_name", name);
  keys.push_back(nullptr);
  values.push_back(nullptr);
  Connection out(PQconnectStartParams(keys.data(), values.data(), /*expand_dbname=*/0));
  wipe(password);
  if (!out) return fail("out of memory");
  if (PQstatus(out.get()) == CONNECTION_BAD) return std::unexpected(connection_error(out.get(), id));
  PQsetNoticeProcessor(
      out.get(), [](void*, const char*) {}, nullptr);
  return out;
}

Error connection_error(PGconn* connection, const flow::CatalogueId& id) {
  std::string said = PQerrorMessage(connection);
  while (said.ends_with('\n')) said.pop_back();
  std::ranges::replace(said, '\n', ' ');
  if (said.empty()) said = fmt::format("connection to {}: no reason given", id.server.to_string());
  Error out{.what = printable(said, 500)};
  for (const Remedy& remedy : kRemedies)
    if (said.find(remedy.said) != std::string::npos) {
      out.hint = remedy.hint;
      break;
    }
  return out;
}

}  // namespace sallyport::edges
