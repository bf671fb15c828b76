// SPDX-License-Identifier: Apache-2.0
#include "claims.h"

#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;

constexpr double kSecondsMax = 253'402'300'799;  // the end of the year 9999

std::unexpected<Refusal> wrong(std::string_view name, std::string_view kind) {
  return refuse(Fault::malformed, fmt::format("claim `{}` is {}", name, kind));
}

Checked<std::string> text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return wrong(name, "missing");
  if (!found->is_string()) return wrong(name, "no text");
  if (found->get_ref<const std::string&>().empty()) return wrong(name, "empty");
  return found->get<std::string>();
}

/// RFC 7519 section 2: seconds since 1970, fractions allowed.
Checked<std::optional<int64_t>> time_of(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return std::nullopt;
  if (!found->is_number()) return wrong(name, "no number");
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kSecondsMax) return wrong(name, "no time");
  constexpr double kNanosMax = static_cast<double>(std::numeric_limits<int64_t>::max());
  const double nanos = seconds * static_cast<double>(kNanosPerSecond);
  if (nanos >= kNanosMax) return std::numeric_limits<int64_t>::max();
  const double whole = std::floor(seconds);
  return static_cast<int64_t>(whole) * kNanosPerSecond + static_cast<int64_t>((seconds - whole) * 1e9);
}

Checked<std::vector<std::string>> audience_of(const json& object) {
  const auto found = object.find("aud");
  if (found == object.end()) return wrong("aud", "missing");
  if (found->is_string()) return std::vector{found->get<std::string>()};
  if (!found->is_array() || found->empty()) return wrong("aud", "neither a text nor a list of texts");
  std::vector<std::string> out;
  for (const json& item : *found) {
    if (!item.is_string()) return wrong("aud", "neither a text nor a list of texts");
    out.push_back(item.get<std::string>());
  }
  return out;
}

/// A part of the bound-token claims: absent is allowed, another kind is not.
Checked<> read_bound(const json& group, const char* part, const char* name, std::string& out) {
  const json* object = &group;
  if (part) {
    const auto found = group.find(part);
    if (found == group.end() || found->is_null()) return {};
    if (!found->is_object()) return wrong("kubernetes.io", "not of Kubernetes' form");
    object = &*found;
  }
  const auto value = object->find(name);
  if (value == object->end()) return {};
  if (!value->is_string()) return wrong("kubernetes.io", "not of Kubernetes' form");
  out = value->get<std::string>();
  return {};
}

Checked<std::optional<model::KubernetesClaims>> kubernetes_of(const json& payload, const std::string& subject) {
  const auto group = payload.find("kubernetes.io");
  if (group == payload.end()) return std::nullopt;
  if (!group->is_object()) return wrong("kubernetes.io", "no object");
  model::KubernetesClaims out;
  const struct {
    const char *part, *name;
    std::string* out;
  } parts[] = {{nullptr, "namespace", &out.name_space},
               {"serviceaccount", "name", &out.service_account},
               {"serviceaccount", "uid", &out.service_account_uid},
               {"pod", "name", &out.pod},
               {"pod", "uid", &out.pod_uid},
               {"node", "name", &out.node}};
  for (const auto& part : parts)
    if (auto read = read_bound(*group, part.part, part.name, *part.out); !read)
      return std::unexpected(std::move(read.error()));
  if (!out.service_account.empty() &&
      subject != fmt::format("system:serviceaccount:{}:{}", out.name_space, out.service_account))
    return refuse(Fault::malformed, "`sub` and `kubernetes.io` name different service accounts");
  return out;
}

/// All values by pointer, for policy's `claims`. False: more than limits::kTokenClaimsMax.
bool flatten(const json& value, const std::string& pointer, std::vector<model::Claim>& out, size_t& left) {
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      std::string below = pointer + '/';
      for (char c : name) c == '~' ? below += "~0" : c == '/' ? below += "~1" : below += c;
      if (!flatten(member, below, out, left)) return false;
    }
    return true;
  }
  model::Claim claim{pointer, {}};
  const auto add = [&](const json& item) {
    if (left == 0) return false;
    --left;
    if (!item.is_structured() && !item.is_null())
      claim.values.push_back(item.is_string() ? item.get<std::string>() : item.dump());
    return true;
  };
  if (!value.is_array()) {
    if (!add(value)) return false;
  } else {
    for (const json& item : value)
      if (!add(item)) return false;
  }
  out.push_back(std::move(claim));
  return true;
}

}  // namespace

Checked<Claims> read_claims(const json& payload) {
  Claims out;
  const auto issuer = text_of(payload, "iss");
  const auto subject = text_of(payload, "sub");
  auto audience = audience_of(payload);
  const auto expires = time_of(payload, "exp");
  const auto not_before = time_of(payload, "nbf");
  const auto issued = time_of(payload, "iat");
  if (!issuer) return std::unexpected(issuer.error());
  if (!subject) return std::unexpected(subject.error());
  if (!audience) return std::unexpected(audience.error());
  for (const auto* time : {&expires, &not_before, &issued})
    if (!*time) return std::unexpected(time->error());
  if (!*expires) return wrong("exp", "missing: a token that never ends is none");
  auto kubernetes = kubernetes_of(payload, *subject);
  if (!kubernetes) return std::unexpected(kubernetes.error());
  if (const auto id = payload.find("jti"); id != payload.end()) {
    if (!id->is_string()) return wrong("jti", "no text");
    out.token.id = id->get<std::string>();
  }
  out.issuer = *issuer;
  out.not_before_ns = *not_before;
  out.issued_ns = *issued;
  out.token.subject = *subject;
  out.token.audience = std::move(*audience);
  out.token.expires_wall_ns = **expires;
  out.token.issued_wall_ns = issued->value_or(0);
  out.token.kubernetes = std::move(*kubernetes);
  size_t left = limits::kTokenClaimsMax;
  if (!flatten(payload, "", out.token.claims, left))
    return refuse(Fault::malformed, fmt::format("more than {} claims", limits::kTokenClaimsMax));
  return out;
}

}  // namespace sallyport::identity
