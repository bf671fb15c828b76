// SPDX-License-Identifier: Apache-2.0
// Oracle: the identity of a cgroup path is its beginning and ends at a slash or with it; what is put below a fixed
// identity changes no fact; arguments are bounded, and none has a blank in it but those that are said to be texts.
#include "sallyport/base/limits.h"
#include "sallyport/identity/arguments.h"
#include "sallyport/identity/cgroup_facts.h"
#include "tests/fuzz/fuzz.h"

using sallyport::fuzzing::must;
using sallyport::identity::read_cgroup_path;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto facts = read_cgroup_path(text);
  must(facts.path == text && text.starts_with(facts.identity), "the identity is no beginning of the path");
  must(facts.identity.size() == text.size() || facts.identity.empty() || text[facts.identity.size()] == '/',
       "the identity ends within a name");
  if (!facts.identity.empty() && !facts.inner && text.size() + 40 < sallyport::limits::kCgroupPathBytesMax) {
    auto below = read_cgroup_path(text + "/kubepods/podffffffff-ffff-4fff-8fff-ffffffffffff");
    if (!below.identity.empty()) {
      below.path = facts.path;
      must(below == facts, "a name below the workload changed a fact");
    }
  }
  size_t bytes = 0;
  for (const std::string& argument : sallyport::identity::masked_arguments(text)) {
    must(argument.find(' ') == std::string::npos || argument.starts_with("<text"), "an argument with a blank");
    bytes += argument.size();
  }
  must(bytes <= sallyport::limits::kProcessArgumentsBytesMax + 8, "more than the record may hold");
  return 0;
}
