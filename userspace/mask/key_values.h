// SPDX-License-Identifier: Apache-2.0
// What a value and its name tell about being a secret, for rules that have no issuer's shape to go by.
#pragma once

#include <string_view>

namespace sallyport::mask {

/// Long numbers of few kinds of digits are counters and times.
inline constexpr float kNumberEntropyMin = 2.4F;

/// Shannon bits a byte.
float entropy_of(std::string_view text);

/// An example, or a place where a secret will be filled in.
bool is_placeholder(std::string_view secret);

/// Digits and letters, or a long number: not a date, a word, a path, an expression.
bool is_mixed(std::string_view value);

/// Words joined by marks or capitals, with few digits: an identifier, a file, a host.
bool is_wordy(std::string_view value);

/// Where the value of one parameter of a URL ends: before "&name=".
size_t parameter_end(std::string_view value);

/// Is `value`, with `rest` behind it, the name of a function in a program?
bool is_call(std::string_view value, std::string_view rest);

/// `keyHash`, `key_name`, `publicKey`, or `clientId` before a UUID: about a key, not one.
bool names_something_else(std::string_view name, std::string_view value);

}  // namespace sallyport::mask
