// SPDX-License-Identifier: Apache-2.0
#include "record/log_writer.h"

#include <fmt/core.h>
#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_*
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <cstring>

#include "record/payload.h"
#include "sallyport/base/check.h"
#include "sallyport/base/clock.h"
#include "sallyport/base/limits.h"
#include "sallyport/record/session_id.h"

namespace sallyport::record {
namespace {

constexpr size_t kSaltsDrawnBytes = 4'096;
constexpr size_t kPendingKeptBytes = 1 << 20;  // capacity kept between turns

RunTag random_tag() {
  RunTag tag{};
  SP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(tag.data()), static_cast<int>(tag.size())) == 1);
  if (tag.front() == 0) tag.front() = 1;  // a zero stands where nothing is written yet
  return tag;
}

}  // namespace

/// Decoded once: null when it is no ULID.
const EntryEncoder::KnownSession* EntryEncoder::session(const model::SessionId& id) {
  if (id.size() < 2) return nullptr;
  const auto letter = [&](size_t back) { return static_cast<size_t>(id[id.size() - back]); };
  KnownSession& known = known_sessions_[(letter(1) * 7 + letter(2)) % known_sessions_.size()];
  if (known.id == id) return &known;
  const auto bytes = session_id_bytes(id);
  if (!bytes) return nullptr;
  known = {id, *bytes};
  return &known;
}

void EntryEncoder::append_salt(std::string& out) {
  if (salts_.size() < kSaltBytes) {
    salts_.resize(kSaltsDrawnBytes);
    SP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(salts_.data()), static_cast<int>(salts_.size())) == 1);
  }
  out.append(salts_, salts_.size() - kSaltBytes);
  salts_.resize(salts_.size() - kSaltBytes);
}

Digest payload_digest(std::string_view payload) {
  Digest digest{};
  auto* out = reinterpret_cast<unsigned char*>(digest.data());
  // The EVP interface spends as much again on contexts as the digest of a small entry costs.
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, payload.data(), payload.size());
  SHA256_Final(out, &context);
  return digest;
}

Result<void> EntryEncoder::append(const model::RecordEntry& entry, std::string& out) {
  const KnownSession* known = session(entry.session);
  if (!known) return fail("a record entry's session id is no ULID");
  size_t begin = out.size();
  size_t payload = begin + kEntryHeaderBytes;
  out.resize(payload);
  append_salt(out);
  append_body(entry.body, out);
  if (out.size() - payload > limits::kRecordPayloadBytesMax) {
    out.resize(payload + kSaltBytes);
    append_body(shortened(entry.body), out);
  }
  SP_CHECK(out.size() - payload <= limits::kRecordPayloadBytesMax);
  EntryHeader header;
  header.tag = tag_;
  header.type = static_cast<uint8_t>(type_of(entry.body));
  header.payload_bytes = static_cast<uint32_t>(out.size() - payload);
  header.session = known->bytes;
  header.sequence = entry.sequence;
  header.wall_ns = entry.wall_ns;
  header.payload_digest = payload_digest(std::string_view(out).substr(payload));
  put_entry_header(header, out, begin);
  return {};
}

LogWriter::LogWriter(std::unique_ptr<SegmentStore> store, size_t segment_bytes_max, bool sync)
    : store_(std::move(store)),
      segment_bytes_max_(segment_bytes_max),
      sync_(sync),
      tag_(random_tag()),
      encoder_(tag_) {}

Result<void> LogWriter::append(const model::RecordEntry& entry) {
  size_t before = pending_.size();
  if (auto framed = encoder_.append(entry, pending_); !framed) {
    pending_.resize(before);
    return framed;
  }
  if (pending_.size() > limits::kRecordPendingBytesMax) {
    std::string framed = pending_.substr(before);
    pending_.resize(before);
    if (auto flushed = flush(); !flushed) return flushed;
    pending_ = std::move(framed);
    before = 0;
  }
  lengths_.push_back(static_cast<uint32_t>(pending_.size() - before));
  last_wall_ns_ = entry.wall_ns;
  return {};
}

Result<void> LogWriter::begin(int64_t wall_ns) {
  open_ = false;
  auto number = store_->begin();
  if (!number) return std::unexpected(number.error());
  accepted_ = 0;
  std::string header;
  append_segment_header({tag_, *number, wall_ns}, header);
  if (auto written = write_all(header); !written) {
    store_->discard();  // else each try would leave an empty file behind
    return written;
  }
  open_ = true;
  return {};
}

Result<void> LogWriter::flush() {
  if (pending_.empty() && !failed_) return {};
  Result<void> done;
  do {
    done = write_batch();
  } while (done && written_ < pending_.size());
  failed_ = !done;
  if (written_ == pending_.size()) {
    pending_.clear();
    if (pending_.capacity() > kPendingKeptBytes) std::string().swap(pending_);
    written_ = 0;
  }
  return done;
}

/// How many of the pending entries the present segment has room for, and their bytes. One entry fits
/// any segment.
size_t LogWriter::batch_entries(size_t& bytes) const {
  size_t count = 0;
  bytes = 0;
  for (uint32_t length : lengths_) {
    bool fits = accepted_ + bytes + length <= segment_bytes_max_ || (accepted_ <= kSegmentHeaderBytes && count == 0);
    if (!fits) break;
    bytes += length;
    ++count;
  }
  return count;
}

Result<void> LogWriter::write_batch() {
  if (open_ && std::abs(last_wall_ns_ - checked_wall_ns_) >= limits::kRecordCheckMs * kNanosPerMilli) {
    checked_wall_ns_ = last_wall_ns_;
    if (auto there = store_->check(); !there) {
      open_ = false;  // the next flush begins another segment
      return there;
    }
  }
  size_t bytes = 0;
  size_t entries = open_ ? batch_entries(bytes) : 0;
  if (!open_ || (entries == 0 && !lengths_.empty())) {
    if (auto begun = begin(last_wall_ns_); !begun) return begun;
    entries = batch_entries(bytes);
  }
  if (auto written = write_all(std::string_view(pending_).substr(written_, bytes)); !written) return written;
  written_ += bytes;
  lengths_.erase(lengths_.begin(), lengths_.begin() + static_cast<ptrdiff_t>(entries));
  return {};
}

/// All of `bytes`, durable if that is asked for, or none of them.
Result<void> LogWriter::write_all(std::string_view bytes) {
  if (bytes.empty()) return {};
  Result<void> outcome = store_->write(bytes);
  if (outcome && sync_) outcome = store_->sync();
  if (!outcome) {
    cut_tail();
    return outcome;
  }
  accepted_ += bytes.size();
  return {};
}

void LogWriter::cut_tail() {
  if (!open_ || store_->truncate(accepted_)) return;
  // A tail that cannot be cut stays as it is; readers take it for the end of this segment.
  open_ = false;
  if (accepted_ <= kSegmentHeaderBytes) store_->discard();  // else each try would leave one behind
}

}  // namespace sallyport::record
