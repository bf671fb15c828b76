// SPDX-License-Identifier: Apache-2.0
#include "net/send_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace sallyport::net {
namespace {

constexpr size_t kSmallChunkBytes = 4096;
constexpr size_t kJoinedChunkBytes = 64 << 10;
constexpr size_t kVectorMax = 32;

}  // namespace

void SendQueue::push(std::string bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  if (bytes.size() <= kSmallChunkBytes && head_ < chunks_.size() &&
      chunks_.back().size() + bytes.size() <= kJoinedChunkBytes) {
    chunks_.back().append(bytes);
  } else {
    chunks_.push_back(std::move(bytes));
  }
}

long SendQueue::write_to(int fd) {
  long total = 0;
  while (size_ > 0) {
    iovec vectors[kVectorMax];
    const size_t count = std::min(kVectorMax, chunks_.size() - head_);
    size_t offered = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t skipped = i == 0 ? offset_ : 0;
      std::string& chunk = chunks_[head_ + i];
      vectors[i] = {chunk.data() + skipped, chunk.size() - skipped};
      offered += vectors[i].iov_len;
    }
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    const ssize_t sent = count == 1 ? ::send(fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                                    : ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return total;
      return -errno;
    }
    total += sent;
    drop_front(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return total;  // full: asking again would only say so
  }
  return total;
}

void SendQueue::drop_front(size_t count) {
  size_ -= count;
  if (size_ == 0) {
    clear();
    return;
  }
  count += offset_;
  while (count >= chunks_[head_].size()) {
    count -= chunks_[head_].size();
    std::string().swap(chunks_[head_]);
    ++head_;
  }
  offset_ = count;
  if (head_ > chunks_.size() / 2) {
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void SendQueue::clear() {
  chunks_.clear();
  head_ = offset_ = size_ = 0;
}

}  // namespace sallyport::net
