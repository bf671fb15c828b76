// SPDX-License-Identifier: Apache-2.0
// A token taken apart, before anything of it is understood.
#pragma once

#include <string>
#include <string_view>

#include "sallyport/identity/jws.h"

namespace sallyport::identity {

struct Parts {
  std::string header, payload, signature;  ///< decoded
  std::string_view signed_bytes;           ///< borrowed from the text
};

Checked<Parts> split_token(std::string_view compact);

}  // namespace sallyport::identity
