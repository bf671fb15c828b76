// SPDX-License-Identifier: Apache-2.0
// Tokens and signatures of others: which are taken, which refused. Prints one line for each that is judged otherwise
// than its file says, then a table; exits 1 if there is any.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sallyport/base/clock.h"
#include "sallyport/identity/token.h"
#include "tests/identity/issuer.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using test::encode_base64url;
namespace fs = std::filesystem;

json read_json(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return json::parse(std::string((std::istreambuf_iterator<char>(file)), {}));
}

struct Row {
  std::string name;
  int good = 0, taken = 0;   ///< cases to take; of them taken
  int bad = 0, refused = 0;  ///< cases to refuse; of them refused
  int either = 0;            ///< the file leaves it open
};

class Keys final : public KeySet {
 public:
  explicit Keys(Jwks set) : set_(std::make_shared<Jwks>(std::move(set))) {}
  Result<std::shared_ptr<const Jwks>> keys(std::string_view) override { return set_; }
  void miss(std::string_view, std::string_view) override {}

 private:
  std::shared_ptr<const Jwks> set_;
};

void count(Row& row, bool wanted, bool taken, const std::string& name, const std::string& why) {
  (wanted ? row.good : row.bad) += 1;
  if (wanted == taken)
    (wanted ? row.taken : row.refused) += 1;
  else
    fmt::print("{}: {} is {}, {}\n", row.name, name, taken ? "taken" : "refused", why);
}

Row measure_attacks(const fs::path& path) {
  Row row{"attack cases"};
  const json file = read_json(path);
  Keys keys(parse_jwks(file["jwks"].dump()).value());
  IssuerRule rule{"idp", file["issuer"], {file["audience"]}, {}, file["clock_skew_s"]};
  for (const json& name : file["allowed_algs"]) rule.algorithms.add(find_algorithm(name.get<std::string>()).value());
  for (const json& item : file["cases"]) {
    const auto token = verify_token(item["token"].get_ref<const std::string&>(), rule, keys,
                                    file["now"].get<int64_t>() * kNanosPerSecond);
    if (item["expect"] == "either")
      ++row.either;
    else
      count(row, item["expect"] == "accept", token.has_value(), item["name"], token ? "verified" : token.error().text);
  }
  return row;
}

/// RFC 7520, 8037 and 7797: what is a compact JWS with an asymmetric key verifies, the rest must not.
Row measure_cookbook(const fs::path& folder) {
  Row row{"JOSE cookbook"};
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const json file = read_json(entry.path());
    if (!file.contains("output") || !file["output"].contains("compact") || !file["output"]["compact"].is_string())
      continue;
    json jwk = file["input"]["key"];
    const bool symmetric = jwk["kty"] == "oct";
    if (!symmetric)
      for (const char* secret : {"d", "p", "q", "dp", "dq", "qi"}) jwk.erase(secret);
    const auto set = parse_jwks(json{{"keys", {jwk}}}.dump());
    const std::string compact = file["output"]["compact"];
    const auto jws = parse_jws(compact);
    const auto key = jws && set ? find_key(*jws, *set) : Checked<const Key*>(refuse(Fault::malformed, "not read"));
    const bool taken = key && verify_signature(*jws, **key);
    const bool wanted = !symmetric && std::ranges::count(compact, '.') == 2;
    count(row, wanted, taken, entry.path().filename().string(), "");
  }
  return row;
}

std::string bytes_of_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

/// 04, x, y
json jwk_of_point(std::string_view point) {
  const size_t half = point.size() / 2;
  return {{"kty", "EC"},
          {"crv", "P-256"},
          {"x", encode_base64url(point.substr(1, half))},
          {"y", encode_base64url(point.substr(1 + half))}};
}

/// Vectors of Project Wycheproof: one key for each group, a message and a signature for each case.
Row measure_wycheproof(const fs::path& path, Algorithm algorithm) {
  Row row{path.stem().string()};
  const json file = read_json(path);
  for (const json& group : file["testGroups"]) {
    json jwk = group.value("publicKeyJwk", group.value("keyJwk", json::object()));
    if (jwk.empty()) jwk = jwk_of_point(bytes_of_hex(group["publicKey"]["uncompressed"].get<std::string>()));
    jwk.erase("alg");
    const auto set = parse_jwks(json{{"keys", {jwk}}}.dump());
    for (const json& item : group["tests"]) {
      const std::string message = bytes_of_hex(item["msg"].get<std::string>());
      const Jws jws{
          .algorithm = algorithm, .signed_bytes = message, .signature = bytes_of_hex(item["sig"].get<std::string>())};
      const bool taken =
          set && set->keys.size() == 1 && set->keys[0].algorithms.has(algorithm) && verify_signature(jws, set->keys[0]);
      if (item["result"] == "acceptable")
        ++row.either;
      else
        count(row, item["result"] == "valid", taken,
              fmt::format("{} ({})", item["tcId"].dump(), item["comment"].dump()),
              set && !set->left_out.empty() ? set->left_out[0] : "");
    }
  }
  return row;
}

int measure(const fs::path& folder) {
  std::vector<Row> rows = {measure_attacks(folder / "jwt_attack_cases.json"),
                           measure_cookbook(folder / "jose_cookbook")};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().stem();
    if (!name.starts_with("wycheproof_")) continue;
    rows.push_back(measure_wycheproof(entry.path(), name.find("ed25519") != std::string::npos ? Algorithm::eddsa
                                                    : name.find("ecdsa") != std::string::npos ? Algorithm::es256
                                                    : name.find("pss") != std::string::npos   ? Algorithm::ps256
                                                                                              : Algorithm::rs256));
  }
  fmt::print("\n{:<55}{:>10}{:>10}{:>8}\n", "tokens and signatures", "taken", "refused", "either");
  bool as_said = true;
  for (const Row& row : rows) {
    fmt::print("{:<55}{:>10}{:>10}{:>8}\n", row.name, fmt::format("{}/{}", row.taken, row.good),
               fmt::format("{}/{}", row.refused, row.bad), row.either);
    as_said &= row.taken == row.good && row.refused == row.bad;
  }
  return as_said ? 0 : 1;
}

}  // namespace
}  // namespace sallyport::identity

int main(int count, char** values) {
  if (count != 2) {
    fmt::print(stderr, "usage: measure_jwt FOLDER\n");
    return 2;
  }
  return sallyport::identity::measure(values[1]);
}
