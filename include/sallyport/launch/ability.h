// SPDX-License-Identifier: Apache-2.0
// What the exec sandbox can do on this machine, for `sallyport doctor`: each thing is tried, not read
// from a version.
#pragma once

#include <string>
#include <vector>

namespace sallyport::launch {

struct Ability {
  std::string name;  ///< "user namespaces"
  bool ok = false;
  bool required = true;  ///< without it `exec` does not run; else something stays open
  std::string detail;    ///< what was seen, or what stays open
  std::string remedy;    ///< when not ok
};

/// Tries each in a child process; changes nothing. Takes some tens of milliseconds.
std::vector<Ability> probe_abilities();

/// What `exec` cannot close: one line each, in plain words, for doctor and docs.
std::vector<std::string> remaining_openings();

}  // namespace sallyport::launch
