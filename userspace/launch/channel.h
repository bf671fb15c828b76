// SPDX-License-Identifier: Apache-2.0
// What the waiting parent (outside) and the namespace's init (inside) tell each other over a
// SOCK_SEQPACKET pair.
#pragma once

#include <cstdint>

namespace sallyport::launch {

struct Message {
  enum class Kind : int32_t {
    started,    ///< init: what it is handed reaches the command from now on
    stopped,    ///< init: the command stopped by signal `value`
    ended,      ///< init: the command's wait status is `value`
    signalled,  ///< parent: signal `value` was sent to me
  };
  Kind kind;
  int32_t value;
};

/// False when the other side is gone.
bool send_message(int channel, Message message);
/// False when nothing is there; `gone` tells whether that is for good. Never blocks.
bool receive_message(int channel, Message& message, bool& gone);

}  // namespace sallyport::launch
