// SPDX-License-Identifier: Apache-2.0
// `process` of a rule: which of an agent's processes it is for. It narrows, and never grants: what nobody can tell of a
// process lets no allow or hold rule cover anything, and rules no deny or hold out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pattern.h"
#include "sallyport/model/principal.h"

namespace sallyport::policy {

/// Keys are anded, list values ored; an empty list: the key is absent.
struct ProcessRule {
  std::vector<Pattern> exe;
  std::vector<std::string> sha256;  ///< lower-case hex
  std::vector<uint32_t> uid;
  std::vector<uint32_t> gid;
};

enum class Fit : uint8_t { no, unknown, yes };

/// `unknown`: some key cannot be told, and none surely does not fit.
Fit fit(const ProcessRule& rule, const model::Process& process);
/// Why it is not `yes`: "its executable is /tmp/psql, not /usr/bin/psql"; empty: it is.
std::string why_not(const ProcessRule& rule, const model::Process& process);
/// The smallest `process` that is this process, by what `rule` asks for: "{exe: /tmp/psql}"; empty: there is none.
std::string process_hint(const ProcessRule& rule, const model::Process& process);

}  // namespace sallyport::policy
