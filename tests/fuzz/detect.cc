// SPDX-License-Identifier: Apache-2.0
// Oracle: an answer once given never changes when bytes are added, and comes within kDetectBytesMax bytes.
#include "sallyport/protocol/detect.h"

#include "tests/fuzz/fuzz.h"

using sallyport::detect::Protocol;
using sallyport::fuzzing::must;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Protocol answer = Protocol::need_more;
  for (size_t length = 0; length <= size; ++length) {
    const std::vector<char> prefix(data, data + length);
    const Protocol now = sallyport::detect::detect(std::string_view(prefix.data(), prefix.size()));
    must(answer == Protocol::need_more || now == answer, "an answer changed when bytes were added");
    must(now != Protocol::need_more || length < sallyport::detect::kDetectBytesMax, "no answer within the limit");
    answer = now;
  }
  return 0;
}
