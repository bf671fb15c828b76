// SPDX-License-Identifier: Apache-2.0
// The argument vector of a process, fit for a record.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::identity {

/// Takes /proc/PID/cmdline apart (each argument ends in a zero byte) and replaces what looks like a secret by
/// `<secret>`: values of options and assignments named like one (--password=x, -W x after --token, PGPASSWORD=x),
/// passwords in URLs and connection strings, values of Authorization, Cookie and key headers, long random words. At
/// most limits::kProcessArgumentsBytesMax in all.
std::vector<std::string> masked_arguments(std::string_view cmdline);

}  // namespace sallyport::identity
