// SPDX-License-Identifier: Apache-2.0
// A signed token in compact form (RFC 7515, 7519), read once and strictly. Nothing here is verified yet.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::identity {

/// Why a token is refused. Closed list; the words are those of log and record.
enum class Fault : uint8_t {
  missing,    ///< there is no token
  malformed,  ///< no compact JWS as read strictly, or a claim of the wrong kind
  algorithm,  ///< none, symmetric, unknown, or not one the key and the Issuer allow
  type,       ///< another kind of token, a nested one, or extensions that must be understood
  keys,       ///< the issuer's keys are not known
  key,        ///< none of the issuer's keys is the one it names
  signature,  ///< made by another key, or over other bytes
  issuer,     ///< of another issuer
  audience,   ///< for somebody else
  expired,
  not_yet,  ///< valid or issued in the future
  subject,  ///< the agent's policy asks for another subject
  claim,    ///< or for another claim
  place,    ///< bound to another pod, node or service account than the workload's
};
std::string_view to_string(Fault fault);

/// `text`: one lower-case line, fit for log and terminal; never holds the token or its signature.
struct Refusal {
  Fault fault = Fault::missing;
  std::string text;
};

template <class T = void>
using Checked = std::expected<T, Refusal>;

inline std::unexpected<Refusal> refuse(Fault fault, std::string text) {
  return std::unexpected<Refusal>(Refusal{fault, std::move(text)});
}

/// The signature algorithms there are (RFC 7518 section 3.1, RFC 8037). `none` and HMAC have no value: no code path
/// can be led to them.
enum class Algorithm : uint8_t { rs256, rs384, rs512, ps256, ps384, ps512, es256, es384, es512, eddsa };
inline constexpr size_t kAlgorithms = 10;
std::string_view to_string(Algorithm algorithm);
std::optional<Algorithm> find_algorithm(std::string_view name);

/// A set of them.
class AlgorithmSet {
 public:
  constexpr AlgorithmSet() = default;
  static constexpr AlgorithmSet all() { return AlgorithmSet((1u << kAlgorithms) - 1); }
  constexpr void add(Algorithm algorithm) { bits_ |= bit(algorithm); }
  constexpr bool has(Algorithm algorithm) const { return bits_ & bit(algorithm); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr AlgorithmSet operator&(AlgorithmSet other) const { return AlgorithmSet(bits_ & other.bits_); }
  bool operator==(const AlgorithmSet&) const = default;

 private:
  constexpr explicit AlgorithmSet(uint32_t bits) : bits_(bits) {}
  static constexpr uint32_t bit(Algorithm algorithm) { return 1u << static_cast<uint8_t>(algorithm); }
  uint32_t bits_ = 0;
};

/// The parts of a token. Views borrow from the text that was parsed.
struct Jws {
  Algorithm algorithm = Algorithm::rs256;
  std::optional<std::string> key_id;  ///< `kid`
  std::string_view signed_bytes;      ///< "header.payload" as it was sent
  std::string payload;                ///< decoded; JSON, not looked at yet
  std::string signature;              ///< decoded
};

/// Exactly three parts of canonical base64url; a header that is a JSON object without duplicate members, whose `alg`
/// is one of ours and that asks for nothing special (`crit`, `b64`, `zip`, nested tokens, types of token that are no
/// proof of identity). `jwk`, `jku`, `x5c` and `x5u` are never looked at: keys come from the issuer alone.
Checked<Jws> parse_jws(std::string_view compact);

}  // namespace sallyport::identity
