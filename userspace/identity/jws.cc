// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/jws.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base64url.h"
#include "jws_header.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "strict_json.h"

namespace sallyport::identity {
namespace {

constexpr std::array<std::string_view, kAlgorithms> kAlgorithmNames = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                                                       "PS512", "ES256", "ES384", "ES512", "EdDSA"};

/// Types of token that say who somebody is; others of the same issuer (logout, DPoP, secure events …) must not stand
/// for one (RFC 8725 section 3.11). No `typ` at all is what Kubernetes writes.
constexpr std::array<std::string_view, 3> kTypes = {"jwt", "at+jwt", "jose"};

/// A media type as `typ` and `cty` give it: without regard to case, "application/" left away or not.
std::string media_type(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  constexpr std::string_view kPrefix = "application/";
  return out.starts_with(kPrefix) ? out.substr(kPrefix.size()) : out;
}

Checked<> check_type(const nlohmann::json& header) {
  for (const char* name : {"crit", "b64", "zip"})
    if (header.contains(name))
      return refuse(Fault::type, fmt::format("the header has `{}`, which is not supported", name));
  if (const auto cty = header.find("cty"); cty != header.end()) {
    if (!cty->is_string()) return refuse(Fault::malformed, "`cty` is no text");
    if (media_type(cty->get_ref<const std::string&>()).ends_with("jwt"))
      return refuse(Fault::type, "a token within a token");
  }
  if (const auto typ = header.find("typ"); typ != header.end()) {
    if (!typ->is_string()) return refuse(Fault::malformed, "`typ` is no text");
    const std::string& text = typ->get_ref<const std::string&>();
    if (std::ranges::find(kTypes, media_type(text)) == kTypes.end())
      return refuse(Fault::type, fmt::format("its type is `{}`, which is no proof of identity", printable(text, 40)));
  }
  return {};
}

}  // namespace

std::string_view to_string(Fault fault) {
  static constexpr std::string_view kWords[] = {"missing", "malformed", "algorithm", "type",     "keys",
                                                "key",     "signature", "issuer",    "audience", "expired",
                                                "not-yet", "subject",   "claim",     "place"};
  return kWords[static_cast<size_t>(fault)];
}

std::string_view to_string(Algorithm algorithm) { return kAlgorithmNames[static_cast<size_t>(algorithm)]; }

std::optional<Algorithm> find_algorithm(std::string_view name) {
  const auto found = std::ranges::find(kAlgorithmNames, name);
  if (found == kAlgorithmNames.end()) return {};
  return static_cast<Algorithm>(found - kAlgorithmNames.begin());
}

Checked<Parts> split_token(std::string_view compact) {
  if (compact.empty()) return refuse(Fault::missing, "there is no token");
  if (compact.size() > limits::kTokenBytesMax)
    return refuse(Fault::malformed, fmt::format("longer than {} bytes", limits::kTokenBytesMax));
  const size_t first = compact.find('.');
  const size_t second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos)
    return refuse(Fault::malformed, fmt::format("{} parts, not three", std::ranges::count(compact, '.') + 1));
  Parts out;
  out.signed_bytes = compact.substr(0, second);
  const std::string_view texts[] = {compact.substr(0, first), compact.substr(first + 1, second - first - 1),
                                    compact.substr(second + 1)};
  static constexpr std::string_view kNames[] = {"header", "payload", "signature"};
  std::string* const parts[] = {&out.header, &out.payload, &out.signature};
  for (size_t i = 0; i < 3; ++i) {
    if (texts[i].empty()) return refuse(Fault::malformed, fmt::format("the {} is empty", kNames[i]));
    auto bytes = decode_base64url(texts[i]);
    if (!bytes) return refuse(Fault::malformed, fmt::format("the {} is no canonical base64url", kNames[i]));
    *parts[i] = std::move(*bytes);
  }
  if (out.header.size() > limits::kTokenHeaderBytesMax)
    return refuse(Fault::malformed, fmt::format("a header longer than {} bytes", limits::kTokenHeaderBytesMax));
  if (out.signature.size() > limits::kTokenSignatureBytesMax)
    return refuse(Fault::malformed, fmt::format("a signature longer than {} bytes", limits::kTokenSignatureBytesMax));
  return out;
}

Checked<Jws> parse_jws(std::string_view compact) {
  auto parts = split_token(compact);
  if (!parts) return std::unexpected(std::move(parts.error()));
  const auto header = parse_strict_object(parts->header);
  if (!header) return refuse(Fault::malformed, fmt::format("header: {}", header.error()));
  Jws out{.signed_bytes = parts->signed_bytes,
          .payload = std::move(parts->payload),
          .signature = std::move(parts->signature)};
  const auto alg = header->find("alg");
  if (alg == header->end() || !alg->is_string()) return refuse(Fault::algorithm, "the header names no algorithm");
  const std::string& name = alg->get_ref<const std::string&>();
  const auto algorithm = find_algorithm(name);
  if (!algorithm) return refuse(Fault::algorithm, fmt::format("algorithm `{}` is not accepted", printable(name, 40)));
  out.algorithm = *algorithm;
  if (auto checked = check_type(*header); !checked) return std::unexpected(std::move(checked.error()));
  if (const auto kid = header->find("kid"); kid != header->end()) {
    if (!kid->is_string()) return refuse(Fault::malformed, "`kid` is no text");
    if (kid->get_ref<const std::string&>().size() > limits::kTokenKeyIdBytesMax)
      return refuse(Fault::malformed, fmt::format("`kid` is longer than {} bytes", limits::kTokenKeyIdBytesMax));
    out.key_id = kid->get<std::string>();
  }
  return out;
}

}  // namespace sallyport::identity
