// SPDX-License-Identifier: Apache-2.0
// A token and a key set from outside. Oracle: what is taken apart is canonical (its parts, encoded again, are the
// text) and has an algorithm of ours; nothing is verified, as nobody could have signed; refusals are one printable line
// that does not hold the signature.
#include <algorithm>

#include "sallyport/base/clock.h"
#include "sallyport/identity/token.h"
#include "tests/fuzz/fuzz.h"
#include "tests/identity/issuer.h"

using namespace sallyport;
using namespace sallyport::identity;
using sallyport::fuzzing::must;

namespace {

void check_refusal(const Refusal& refusal) {
  must(!refusal.text.empty() && refusal.text.size() < 1'000, "a refusal says why, briefly");
  must(std::ranges::none_of(refusal.text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
       "a refusal has no control characters");
}

/// A key whose other half nobody has.
KeySet& issuer_keys() {
  static test::Keys keys(nlohmann::json::array(
      {{{"kty", "OKP"}, {"crv", "Ed25519"}, {"kid", "k"}, {"x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}}));
  return keys;
}

void check_token(std::string_view compact) {
  if (const auto jws = parse_jws(compact)) {
    must(std::string(jws->signed_bytes) + '.' + test::encode_base64url(jws->signature) == compact,
         "the signature is canonical");
    must(jws->signed_bytes.ends_with('.' + test::encode_base64url(jws->payload)), "the payload is canonical");
  } else {
    check_refusal(jws.error());
  }
  static const IssuerRule rule{"corp", "https://idp.example", {"sallyport"}};
  const auto verified = verify_token(compact, rule, issuer_keys(), 1'800'000'000 * kNanosPerSecond);
  must(!verified, "nothing is verified that nobody signed");
  check_refusal(verified.error());
  if (const auto shown = read_unverified(compact); !shown) check_refusal(shown.error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_token(text);
  // JSON of the fuzzer's own as header and as payload, which it would hardly find through base64url.
  const size_t middle = text.find('\n');
  const std::string header(text.substr(0, middle));
  const std::string payload(middle == std::string_view::npos ? "{}" : text.substr(middle + 1));
  check_token(test::encode_base64url(header) + '.' + test::encode_base64url(payload) + ".AAAA");
  if (const auto set = parse_jwks(text)) {
    for (const Key& key : set->keys) must(key.key && !key.algorithms.empty(), "a key that is kept is for something");
  }
  return 0;
}
