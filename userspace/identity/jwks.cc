// SPDX-License-Identifier: Apache-2.0
// JWK to OpenSSL key. What is kept can verify a signature of an issuer; everything else is left out, with a line why.
#include "sallyport/identity/jwks.h"

#include <fmt/core.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <span>

#include "base64url.h"
#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"
#include "strict_json.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* p) const { Free(p); }
};
using Number = std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM, OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using Pkey = std::shared_ptr<EVP_PKEY>;
/// Why a key is left out.
template <class T>
using Read = std::expected<T, std::string>;

std::unexpected<std::string> no(std::string why) { return std::unexpected(std::move(why)); }

const std::string* text_of(const json& key, const char* name) {
  const auto found = key.find(name);
  return found != key.end() && found->is_string() ? &found->get_ref<const std::string&>() : nullptr;
}

Read<std::string> bytes_of(const json& key, const char* name) {
  const std::string* text = text_of(key, name);
  auto bytes = text ? decode_base64url(*text) : std::nullopt;
  if (!bytes || bytes->empty()) return no(fmt::format("`{}` is no base64url", name));
  return std::move(*bytes);
}

const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Read<Pkey> make_key(const char* type, OSSL_PARAM_BLD* parts) {
  Params params(OSSL_PARAM_BLD_to_param(parts));
  Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  const bool made = params && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) == 1;
  Pkey out(key, EVP_PKEY_free);
  ERR_clear_error();
  if (!made) return no("its numbers make no key");
  return out;
}

Read<Key> read_rsa(const json& jwk) {
  auto n = bytes_of(jwk, "n");
  auto e = bytes_of(jwk, "e");
  if (!n || !e) return no(!n ? n.error() : e.error());
  const Number modulus(BN_bin2bn(raw(*n), static_cast<int>(n->size()), nullptr));
  const Number exponent(BN_bin2bn(raw(*e), static_cast<int>(e->size()), nullptr));
  if (!modulus || !exponent) return no("no memory");
  const int bits = BN_num_bits(modulus.get());
  if (bits < limits::kRsaBitsMin) return no(fmt::format("{} bits, RSA needs {}", bits, limits::kRsaBitsMin));
  if (bits > limits::kRsaBitsMax) return no(fmt::format("{} bits are more than {}", bits, limits::kRsaBitsMax));
  // OpenSSL's own bound on the exponent of large keys; 1 and even ones make no signature.
  if (!BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) ||
      BN_num_bits(exponent.get()) > 64)
    return no("its numbers make no key");
  const Builder parts(OSSL_PARAM_BLD_new());
  if (!parts || OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
    return no("no memory");
  auto key = make_key("RSA", parts.get());
  if (!key) return no(key.error());
  Key out{.kind = fmt::format("RSA-{}", bits), .key = std::move(*key)};
  for (Algorithm a :
       {Algorithm::rs256, Algorithm::rs384, Algorithm::rs512, Algorithm::ps256, Algorithm::ps384, Algorithm::ps512})
    out.algorithms.add(a);
  return out;
}

struct Curve {
  std::string_view name;  ///< of RFC 7518 and 8037
  const char* group;      ///< OpenSSL's
  size_t bytes;           ///< of a coordinate, or of the key
  Algorithm algorithm;
};
constexpr Curve kCurves[] = {{"P-256", "P-256", 32, Algorithm::es256},
                             {"P-384", "P-384", 48, Algorithm::es384},
                             {"P-521", "P-521", 66, Algorithm::es512}};
constexpr Curve kEdwards[] = {{"Ed25519", "ED25519", 32, Algorithm::eddsa}, {"Ed448", "ED448", 57, Algorithm::eddsa}};

Read<const Curve*> curve_of(const json& jwk, std::span<const Curve> curves) {
  const std::string* name = text_of(jwk, "crv");
  if (!name) return no("`crv` is missing");
  const auto curve = std::ranges::find(curves, *name, &Curve::name);
  if (curve == curves.end()) return no(fmt::format("curve `{}` is not supported", printable(*name, 20)));
  return &*curve;
}

Read<Key> read_ec(const json& jwk) {
  auto curve = curve_of(jwk, kCurves);
  if (!curve) return no(curve.error());
  auto x = bytes_of(jwk, "x");
  auto y = bytes_of(jwk, "y");
  if (!x || !y) return no(!x ? x.error() : y.error());
  // RFC 7518 section 6.2.1.2: a coordinate has the curve's full length.
  if (x->size() != (*curve)->bytes || y->size() != (*curve)->bytes) return no("a coordinate has the wrong length");
  const std::string point = '\x04' + *x + *y;
  const Builder parts(OSSL_PARAM_BLD_new());
  if (!parts || OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, (*curve)->group, 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
    return no("no memory");
  auto key = make_key("EC", parts.get());
  if (!key) return no("its point is not on the curve");
  const Context check(EVP_PKEY_CTX_new(key->get(), nullptr));
  const bool good = check && EVP_PKEY_public_check(check.get()) == 1;
  ERR_clear_error();
  if (!good) return no("its point is not on the curve");
  Key out{.kind = std::string((*curve)->name), .key = std::move(*key)};
  out.algorithms.add((*curve)->algorithm);
  return out;
}

Read<Key> read_okp(const json& jwk) {
  auto curve = curve_of(jwk, kEdwards);
  if (!curve) return no(curve.error());
  auto x = bytes_of(jwk, "x");
  if (!x) return no(x.error());
  if (x->size() != (*curve)->bytes) return no("the key has the wrong length");
  Pkey key(EVP_PKEY_new_raw_public_key_ex(nullptr, (*curve)->group, nullptr, raw(*x), x->size()), EVP_PKEY_free);
  ERR_clear_error();
  if (!key) return no("its numbers make no key");
  Key out{.kind = std::string((*curve)->name), .key = std::move(key)};
  out.algorithms.add(Algorithm::eddsa);
  return out;
}

/// What the key says it is for (RFC 7517 section 4.2 to 4.4) narrows what it could do.
Read<void> narrow(const json& jwk, Key& key) {
  if (const auto use = jwk.find("use"); use != jwk.end() && *use != "sig") return no("not for signatures");
  if (const auto ops = jwk.find("key_ops"); ops != jwk.end()) {
    const bool verifies = ops->is_array() && std::ranges::find(*ops, json("verify")) != ops->end();
    if (!verifies) return no("not for signatures");
  }
  if (const auto alg = jwk.find("alg"); alg != jwk.end()) {
    const std::string* name = text_of(jwk, "alg");
    const auto algorithm = name ? find_algorithm(*name) : std::nullopt;
    if (!algorithm || !key.algorithms.has(*algorithm))
      return no(fmt::format("`{}` is no algorithm of such a key", printable(name ? *name : "", 20)));
    key.algorithms = {};
    key.algorithms.add(*algorithm);
  }
  return {};
}

Read<Key> read_key(const json& jwk) {
  if (!jwk.is_object()) return no("no JSON object");
  const std::string* kty = text_of(jwk, "kty");
  if (!kty) return no("`kty` is missing");
  // A secret in a list of public keys is a mistake of the issuer's: whoever reads it could sign.
  for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
    if (jwk.contains(secret)) return no("a secret key, which has no place here");
  auto key = *kty == "RSA"   ? read_rsa(jwk)
             : *kty == "EC"  ? read_ec(jwk)
             : *kty == "OKP" ? read_okp(jwk)
                             : Read<Key>(no(fmt::format("kind `{}` is not supported", printable(*kty, 20))));
  if (!key) return key;
  if (auto fits = narrow(jwk, *key); !fits) return no(fits.error());
  if (jwk.contains("kid")) {
    const std::string* id = text_of(jwk, "kid");
    if (!id || id->empty() || id->size() > limits::kTokenKeyIdBytesMax) return no("`kid` is no text");
    key->id = *id;
  }
  return key;
}

}  // namespace

Result<Jwks> parse_jwks(std::string_view text) {
  if (text.size() > limits::kJwksBytesMax)
    return fail(fmt::format("a key set of {} bytes, more than {}", text.size(), limits::kJwksBytesMax));
  const auto set = parse_strict_object(text);
  if (!set) return fail(fmt::format("no key set: {}", set.error()));
  const auto keys = set->find("keys");
  if (keys == set->end() || !keys->is_array()) return fail("no key set: it has no list `keys`");
  if (keys->size() > limits::kJwksKeysMax)
    return fail(fmt::format("a key set of {} keys, more than {}", keys->size(), limits::kJwksKeysMax));
  Jwks out;
  for (const json& jwk : *keys) {
    const std::string* id = jwk.is_object() ? text_of(jwk, "kid") : nullptr;
    auto key = read_key(jwk);
    if (key)
      out.keys.push_back(std::move(*key));
    else
      out.left_out.push_back(fmt::format("key `{}`: {}", id ? printable(*id, 40) : "", key.error()));
  }
  return out;
}

Checked<const Key*> find_key(const Jws& jws, const Jwks& set) {
  if (!jws.key_id && set.keys.size() != 1)
    return refuse(Fault::key, fmt::format("it names no key (`kid`), and the issuer has {}", set.keys.size()));
  const Key* found = nullptr;
  bool named = false;
  for (const Key& key : set.keys) {
    if (jws.key_id && key.id != *jws.key_id) continue;
    named = true;
    if (!key.algorithms.has(jws.algorithm)) continue;
    if (found) return refuse(Fault::key, fmt::format("the issuer has two keys `{}`", printable(key.id, 40)));
    found = &key;
  }
  if (found) return found;
  const std::string id = jws.key_id ? printable(*jws.key_id, 40) : "";
  if (named) return refuse(Fault::algorithm, fmt::format("key `{}` is not for {}", id, to_string(jws.algorithm)));
  return refuse(Fault::key, fmt::format("the issuer has no key `{}` that could verify it", id));
}

}  // namespace sallyport::identity
