// SPDX-License-Identifier: Apache-2.0
// A segment in memory that tests write through, damage and read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "record/segments.h"
#include "sallyport/record/reader.h"

namespace sallyport::record {

/// What the store and the test both see.
struct Memory {
  std::vector<std::string> segments;
  size_t space_bytes = SIZE_MAX;  // the "disk" holds so many
  bool truncate_fails = false;
  bool sync_fails = false;
  size_t discarded = 0;

  size_t used() const {
    size_t sum = 0;
    for (const std::string& segment : segments) sum += segment.size();
    return sum;
  }
};

class MemoryStore final : public SegmentStore {
 public:
  explicit MemoryStore(Memory& memory) : memory_(memory) {}
  Result<uint64_t> begin() override {
    memory_.segments.emplace_back();
    return memory_.segments.size();
  }
  void discard() override {
    memory_.segments.pop_back();
    ++memory_.discarded;
  }
  Result<void> write(std::string_view bytes) override {
    if (memory_.used() + bytes.size() > memory_.space_bytes) return fail("no space");
    memory_.segments.back().append(bytes);
    return {};
  }
  Result<void> truncate(uint64_t size) override {
    if (memory_.truncate_fails) return fail("cannot truncate");
    memory_.segments.back().resize(size);
    return {};
  }
  Result<void> sync() override { return memory_.sync_fails ? Result<void>(fail("cannot sync")) : Result<void>(); }
  Result<void> check() override { return {}; }

 private:
  Memory& memory_;
};

class MemorySource final : public SegmentSource {
 public:
  explicit MemorySource(const std::string& bytes) : bytes_(bytes) {}
  Result<void> read(uint64_t offset, size_t size, std::string& out) override {
    out = offset < bytes_.size() ? bytes_.substr(offset, size) : std::string();
    return {};
  }
  bool being_written() override { return false; }

 private:
  const std::string& bytes_;
};

struct Reports final : Reporter {
  struct Dropped {
    uint64_t offset, bytes;
    std::string why;
  };
  std::vector<Dropped> drops;
  std::vector<uint64_t> erasures;

  void dropped(std::string_view, uint64_t offset, uint64_t bytes, std::string_view why) override {
    drops.push_back({offset, bytes, std::string(why)});
  }
  void erased(std::string_view, uint64_t, const model::SessionId&, uint64_t sequence) override {
    erasures.push_back(sequence);
  }
  uint64_t dropped_bytes() const {
    uint64_t sum = 0;
    for (const Dropped& drop : drops) sum += drop.bytes;
    return sum;
  }
};

}  // namespace sallyport::record
