// SPDX-License-Identifier: Apache-2.0
// Bytes that wait for a socket: chunks moved in, not copied, unless they are small. Costs nothing when empty.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sallyport::net {

class SendQueue {
 public:
  void push(std::string bytes);
  /// Writes what the socket takes. Gives bytes written, or -errno; a full socket is 0.
  long write_to(int fd);
  void clear();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  void drop_front(size_t count);

  std::vector<std::string> chunks_;  ///< [head_, end): waiting; before: sent
  size_t head_ = 0;
  size_t offset_ = 0;  ///< sent of chunks_[head_]
  size_t size_ = 0;
};

}  // namespace sallyport::net
