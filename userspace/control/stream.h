// SPDX-License-Identifier: Apache-2.0
// A stream socket with one deadline for all that is read or written through it, so that a peer that
// sends a byte now and then gains nothing by it. Shaped as a Beast SyncStream.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sallyport/base/result.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::control {

class DeadlineStream {
 public:
  /// Borrows `fd`, which must be non-blocking.
  DeadlineStream(int fd, int64_t timeout_ms);

  /// At least one byte, or an error: boost::asio::error::eof, timed_out, or the system's.
  template <class Buffers>
  size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers); ++it) {
      boost::asio::mutable_buffer buffer = *it;
      if (buffer.size() > 0) return receive(buffer.data(), buffer.size(), error);
    }
    error = {};
    return 0;
  }
  template <class Buffers>
  size_t read_some(const Buffers& buffers) {
    boost::system::error_code error;
    const size_t count = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return count;
  }

  Result<> write_all(std::string_view bytes);

 private:
  size_t receive(void* data, size_t size, boost::system::error_code& error);
  bool wait(short events);

  int fd_;
  int64_t deadline_ns_;
};

}  // namespace sallyport::control
