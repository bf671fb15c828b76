// SPDX-License-Identifier: Apache-2.0
// `--role viewer=alice,@auditors,1000`: users and groups by name or number.
#pragma once

#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/control/api.h"

namespace sallyport::cli {

Result<control::RoleBinding> parse_role_binding(std::string_view text);

}  // namespace sallyport::cli
