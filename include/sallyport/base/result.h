// SPDX-License-Identifier: Apache-2.0
// Errors as values. An Error names the thing, the reason and the way out; no exception crosses a
// module boundary.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace sallyport {

/// One failure, fit to be shown: `what` is one lower-case line without a full stop, `hint` says
/// what to do about it (may be empty).
struct Error {
  std::string what;
  std::string hint;
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string what, std::string hint = {}) {
  return std::unexpected<Error>(Error{std::move(what), std::move(hint)});
}

/// A failure of a system call: "`what`: strerror(errno)". Read errno before anything else runs.
std::unexpected<Error> fail_errno(std::string what, std::string hint = {});

/// The same error seen from further out: "`context`: what".
std::unexpected<Error> fail_within(std::string context, const Error& inner);

}  // namespace sallyport
