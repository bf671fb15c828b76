// SPDX-License-Identifier: Apache-2.0
// Rewrites the elements of an array value and keeps its shape. Forms: array_out and array_send of
// PostgreSQL 15, src/backend/utils/adt/arrayfuncs.c.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::mask {

/// What an element becomes; nullopt is NULL. Not called for elements that are NULL.
using ElementMask = std::function<std::optional<std::string>(std::string_view element)>;

/// nullopt: malformed, or over limits::kMaskArray…
std::optional<std::string> rewrite_array(bool binary, uint32_t element_oid, std::string_view value,
                                         const ElementMask& mask);

}  // namespace sallyport::mask
