// SPDX-License-Identifier: Apache-2.0
#include "sallyport/identity/token.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "claims.h"
#include "jws_header.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/log.h"
#include "strict_json.h"

namespace sallyport::identity {
namespace {

/// No overflow at either end: a token may say year 9999.
int64_t add_seconds(int64_t wall_ns, int64_t seconds) {
  const int64_t more = seconds * kNanosPerSecond;
  return wall_ns > std::numeric_limits<int64_t>::max() - more ? std::numeric_limits<int64_t>::max() : wall_ns + more;
}

Checked<> check_claims(const Claims& claims, const IssuerRule& rule, int64_t wall_ns) {
  if (claims.issuer != rule.url)
    return refuse(Fault::issuer, fmt::format("it was issued by `{}`, not by `{}`", printable(claims.issuer), rule.url));
  const bool for_us = std::ranges::any_of(claims.token.audience, [&](const std::string& audience) {
    return std::ranges::find(rule.audience, audience) != rule.audience.end();
  });
  if (!for_us)
    return refuse(Fault::audience, fmt::format("it is for `{}`, not for `{}`",
                                               printable(fmt::format("{}", fmt::join(claims.token.audience, ", "))),
                                               fmt::join(rule.audience, "` or `")));
  if (wall_ns >= add_seconds(claims.token.expires_wall_ns, rule.skew_s))
    return refuse(Fault::expired, fmt::format("it expired at {}", format_time(claims.token.expires_wall_ns)));
  const int64_t latest = add_seconds(wall_ns, rule.skew_s);
  if (claims.not_before_ns && *claims.not_before_ns > latest)
    return refuse(Fault::not_yet, fmt::format("it is not valid before {}", format_time(*claims.not_before_ns)));
  if (claims.issued_ns && *claims.issued_ns > latest)
    return refuse(Fault::not_yet, fmt::format("it was issued in the future, at {}", format_time(*claims.issued_ns)));
  return {};
}

}  // namespace

Checked<model::Token> verify_token(std::string_view compact, const IssuerRule& issuer, KeySet& keys, int64_t wall_ns) {
  const auto jws = parse_jws(compact);
  if (!jws) return std::unexpected(jws.error());
  if (!issuer.algorithms.has(jws->algorithm))
    return refuse(Fault::algorithm,
                  fmt::format("Issuer `{}` does not take {}", issuer.name, to_string(jws->algorithm)));
  const auto set = keys.keys(issuer.name);
  if (!set) return refuse(Fault::keys, fmt::format("the keys of Issuer `{}`: {}", issuer.name, set.error().what));
  const auto key = find_key(*jws, **set);
  if (!key) {
    if (key.error().fault == Fault::key && jws->key_id) keys.miss(issuer.name, *jws->key_id);
    return std::unexpected(key.error());
  }
  if (auto good = verify_signature(*jws, **key); !good) return std::unexpected(std::move(good.error()));
  const auto payload = parse_strict_object(jws->payload);
  if (!payload) return refuse(Fault::malformed, fmt::format("payload: {}", payload.error()));
  auto claims = read_claims(*payload);
  if (!claims) return std::unexpected(std::move(claims.error()));
  if (auto good = check_claims(*claims, issuer, wall_ns); !good) return std::unexpected(std::move(good.error()));
  model::Token out = std::move(claims->token);
  out.issuer = issuer.name;
  out.algorithm = to_string(jws->algorithm);
  out.key_id = (*key)->id;
  out.valid_until_wall_ns = add_seconds(out.expires_wall_ns, issuer.skew_s);
  return out;
}

Checked<Unverified> read_unverified(std::string_view compact) {
  const auto parts = split_token(compact);
  if (!parts) return std::unexpected(parts.error());
  const auto header = parse_strict_object(parts->header);
  if (!header) return refuse(Fault::malformed, fmt::format("header: {}", header.error()));
  const auto payload = parse_strict_object(parts->payload);
  if (!payload) return refuse(Fault::malformed, fmt::format("payload: {}", payload.error()));
  auto claims = read_claims(*payload);
  if (!claims) return std::unexpected(std::move(claims.error()));
  const auto text = [&](const char* name) {
    const auto found = header->find(name);
    return found != header->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  Unverified out{text("alg"), text("kid"), text("typ"), std::move(claims->issuer), std::move(claims->token)};
  out.claims.algorithm = out.algorithm;
  out.claims.key_id = out.key_id;
  return out;
}

std::string_view trim_token(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace sallyport::identity
