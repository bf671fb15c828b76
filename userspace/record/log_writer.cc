// SPDX-License-Identifier: Apache-2.0
#include "record/log_writer.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>

#include "record/payload.h"
#include "sallyport/base/check.h"
#include "sallyport/base/limits.h"
#include "sallyport/record/session_id.h"

namespace sallyport::record {
namespace {

constexpr size_t kSaltsDrawnBytes = 4'096;
constexpr size_t kPendingKeptBytes = 1 << 20;  // capacity kept between turns

RunTag random_tag() {
  RunTag tag{};
  SP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(tag.data()), static_cast<int>(tag.size())) == 1);
  return tag;
}

}  // namespace

EntryEncoder::EntryEncoder(const RunTag& tag)
    : tag_(tag), sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  SP_CHECK(sha256_ != nullptr && context_ != nullptr);
}

EntryEncoder::~EntryEncoder() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(sha256_);
}

void EntryEncoder::append_salt(std::string& out) {
  if (salts_.size() < kSaltBytes) {
    salts_.resize(kSaltsDrawnBytes);
    SP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(salts_.data()), static_cast<int>(salts_.size())) == 1);
  }
  out.append(salts_, salts_.size() - kSaltBytes);
  salts_.resize(salts_.size() - kSaltBytes);
}

Digest EntryEncoder::digest_of(std::string_view bytes) {
  Digest digest{};
  EVP_DigestInit_ex2(context_, sha256_, nullptr);
  EVP_DigestUpdate(context_, bytes.data(), bytes.size());
  EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(digest.data()), nullptr);
  return digest;
}

Digest payload_digest(std::string_view payload) {
  Digest digest{};
  EVP_Digest(payload.data(), payload.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(),
             nullptr);
  return digest;
}

Result<void> EntryEncoder::append(const model::RecordEntry& entry, std::string& out) {
  auto session = session_id_bytes(entry.session);
  if (!session) return fail("a record entry's session id is no ULID");
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
  header.session = *session;
  header.sequence = entry.sequence;
  header.wall_ns = entry.wall_ns;
  header.payload_digest = digest_of(std::string_view(out).substr(payload));
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
  if (open_) {
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
  size_t done = 0;
  Result<void> outcome;
  while (done < bytes.size() && outcome) {
    auto written = store_->write(bytes.substr(done));
    if (written) {
      done += *written;
    } else {
      outcome = std::unexpected(written.error());
    }
  }
  if (outcome && sync_) outcome = store_->sync();
  if (!outcome) {
    cut_tail();
    return outcome;
  }
  accepted_ += bytes.size();
  return {};
}

void LogWriter::cut_tail() {
  // A tail that cannot be cut stays as it is; readers take it for the end of this segment.
  if (!open_ || !store_->truncate(accepted_)) open_ = false;
}

}  // namespace sallyport::record
