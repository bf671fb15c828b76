// SPDX-License-Identifier: Apache-2.0
// Policy documents and tests of a folder, or of one file.
#pragma once

#include <string>
#include <vector>

#include "sallyport/base/result.h"
#include "sallyport/policy/policy.h"

namespace sallyport::cli {

struct PolicyFiles {
  std::vector<policy::Source> documents;  ///< *.yaml, *.yml, *.json, by name
  std::vector<policy::Source> tests;      ///< those that policy::is_test_file() names
};

/// The daemon reads a folder likewise: not what is in folders below it, nor hidden files.
Result<PolicyFiles> read_policy_files(const std::string& path);

}  // namespace sallyport::cli
