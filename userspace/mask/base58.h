// SPDX-License-Identifier: Apache-2.0
// Check sums of addresses on chains.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sallyport::mask {

/// A Base58Check text (Bitcoin's, or with Ripple's alphabet) of 25, 37, 38 or 82 bytes whose double SHA-256 fits.
bool is_base58check(std::string_view text, bool ripple);

/// BIP 173 and BIP 350: the sum of a text with one of the prefixes in use fits.
bool is_bech32(std::string_view text);

/// ERC-55: the case of the 40 hexadecimal digits follows from their Keccak-256.
bool is_eip55(std::string_view digits);

/// Keccak as Ethereum has it, with the padding that came before FIPS 202.
std::array<uint8_t, 32> keccak256(std::string_view bytes);

}  // namespace sallyport::mask
