// SPDX-License-Identifier: Apache-2.0
// The argument vector of a process, fit for a record.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::identity {

/// Takes /proc/PID/cmdline apart (each argument ends in a zero byte) and replaces what looks like a secret by
/// `<secret>`: values of options and assignments named like one (--password=x, --token x, PGPASSWORD=x), passwords in
/// URLs, long random words; long numbers by `<number>`. An argument with blanks in it is a text, SQL or code perhaps,
/// which may hold what masks hide everywhere else: of it only the length stays. At most
/// limits::kProcessArgumentsBytesMax in all.
std::vector<std::string> masked_arguments(std::string_view cmdline);

}  // namespace sallyport::identity
