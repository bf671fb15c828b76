// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace sallyport::mask {

/// How sure one may be that a name with this last label is a domain.
enum class TopLevel { none, ambiguous, known };

/// `label` in lower case. Ambiguous: a country's that is a file's ending or a word as well (`py`, `md`, `so`).
TopLevel top_level(std::string_view label);

}  // namespace sallyport::mask
