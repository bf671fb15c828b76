// SPDX-License-Identifier: Apache-2.0
// Proves that the harness finds things: it must come upon this word by coverage alone.
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 4 && data[0] == 'P' && data[1] == 'o' && data[2] == 'r' && data[3] == 't')
    sallyport::fuzzing::found("the canary found what was planted");
  return 0;
}
