// SPDX-License-Identifier: Apache-2.0
// The input of one leg: bytes appended at the end by net/, consumed at the front by a decoder.
//
//   storage_:  [ consumed, free for reuse | readable | spare ]
//              0                          begin_     size()
//
// A view from readable() holds until the next append() or prepare().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sallyport {

class StreamBuffer {
 public:
  std::string_view readable() const { return std::string_view(storage_).substr(begin_); }
  size_t size() const { return storage_.size() - begin_; }
  bool empty() const { return size() == 0; }

  void append(std::string_view bytes) {
    compact();
    storage_.append(bytes);
  }

  /// Removes `count` bytes from the front; `count` must not exceed size(). Views stay valid.
  void consume(size_t count) { begin_ += count; }

  void clear() {
    storage_.clear();
    begin_ = 0;
  }

  /// Gives idle memory back, so that a quiet connection costs almost nothing.
  void release_if_empty() {
    if (!empty()) return;
    std::string().swap(storage_);
    begin_ = 0;
  }

 private:
  void compact() {
    if (begin_ == storage_.size()) {
      clear();
    } else if (begin_ > storage_.size() / 2) {
      storage_.erase(0, begin_);
      begin_ = 0;
    }
  }

  std::string storage_;
  size_t begin_ = 0;
};

}  // namespace sallyport
