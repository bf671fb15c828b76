// SPDX-License-Identifier: Apache-2.0
// The only file of this module that makes system calls: segments as files.
#include "sallyport/record/file_sink.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "record/log_writer.h"
#include "record/segments.h"
#include "sallyport/base/unique_fd.h"

namespace sallyport::record {
namespace {

constexpr std::string_view kFullHint =
    "free space there, or set another record directory; agents are refused until then";
constexpr int kBeginTries = 16;
const uint64_t kPageBytes = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));

std::string hint_for(int error) {
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) return std::string(kFullHint);
  if (error == ENOENT) return "make the directory again; agents are refused until then";
  return {};
}

/// As fail_errno, with what can be done about it.
std::unexpected<Error> fail_file(std::string what) {
  int error = errno;
  std::string hint = hint_for(error);
  errno = error;
  return fail_errno(std::move(what), std::move(hint));
}

bool is_worker_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

Result<std::vector<std::string>> list_files(const std::string& directory) {
  DIR* handle = ::opendir(directory.c_str());
  if (handle == nullptr) return fail_file(fmt::format("record directory `{}`", directory));
  std::vector<std::string> files;
  while (dirent* entry = ::readdir(handle)) files.emplace_back(entry->d_name);
  ::closedir(handle);
  return files;
}

/// Tells readers that a writer lives: an open-file-description lock dies with its last descriptor.
struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// A segment as shared memory: a store into it is in the kernel's page cache as a returned write is, so it outlives the
/// process, and costs no system call. Space is reserved ahead, a reserve at a time, so a full disk shows before a byte
/// is stored. Who truncates the file under the daemon ends the daemon (SIGBUS), and so refuses its agents.
class FileStore final : public SegmentStore {
 public:
  FileStore(std::string directory, std::string worker) : directory_(std::move(directory)), worker_(std::move(worker)) {}
  FileStore(const FileStore&) = delete;
  FileStore& operator=(const FileStore&) = delete;
  ~FileStore() override { give_up(); }

  Result<uint64_t> begin() override {
    give_up();
    auto segments = list_segments(directory_);
    if (!segments) return std::unexpected(segments.error());
    uint64_t number = next_;
    for (const SegmentName& name : *segments) {
      if (name.worker == worker_) number = std::max(number, name.number + 1);
    }
    for (int i = 0; i < kBeginTries; ++i, ++number) {
      path_ = directory_ + "/" + segment_file_name(worker_, number);
      fd_.reset(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (fd_) break;
      if (errno != EEXIST) return fail_file(fmt::format("record segment `{}`", path_));
    }
    if (!fd_) return fail(fmt::format("record segments `{}` are being made by another process", path_));
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(fd_.get(), F_OFD_SETLK, &lock) != 0) return fail_file(fmt::format("lock record segment `{}`", path_));
    next_ = number + 1;
    return number;
  }

  void discard() override {
    ::unlink(path_.c_str());
    give_up();
  }

  Result<void> write(std::string_view bytes) override {
    if (size_ + bytes.size() > mapped_from_ + mapped_bytes_) {
      if (auto reserved = reserve(bytes.size()); !reserved) return reserved;
    }
    char* at = map_ + (size_ - mapped_from_);
    std::memcpy(at + 1, bytes.data() + 1, bytes.size() - 1);
    std::atomic_ref<char>(*at).store(bytes.front(), std::memory_order_release);  // readers stop at a zero until then
    size_ += bytes.size();
    return {};
  }

  Result<void> truncate(uint64_t size) override {
    unmap();
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return fail_file(fmt::format("truncate record segment `{}`", path_));
    size_ = size;
    return {};
  }

  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return fail_file(fmt::format("sync record segment `{}`", path_));
    return {};
  }

  Result<void> check() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return fail_file(fmt::format("record segment `{}`", path_));
    if (status.st_nlink > 0) return {};
    errno = ENOENT;
    return fail_file(fmt::format("record segment `{}` was removed", path_));
  }

 private:
  /// Room for `bytes` behind size_, and for what follows as far as the disk has it.
  Result<void> reserve(size_t bytes) {
    unmap();
    const uint64_t from = size_ - size_ % kPageBytes;
    const size_t needed = size_ - from + bytes;
    size_t length = std::max(needed, limits::kRecordReserveBytes);
    int error = ::posix_fallocate(fd_.get(), static_cast<off_t>(from), static_cast<off_t>(length));
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
      length = needed;
      error = ::posix_fallocate(fd_.get(), static_cast<off_t>(from), static_cast<off_t>(length));
    }
    if (error != 0) {
      errno = error;
      return fail_file(fmt::format("reserve space in record segment `{}`", path_));
    }
    void* map = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), static_cast<off_t>(from));
    if (map == MAP_FAILED) return fail_file(fmt::format("map record segment `{}`", path_));
    // Where a page cannot be had after all (a copy-on-write disk that is full), a store into it would end the daemon.
    // Linux 5.14; before, each page is had when it is first stored into.
    if (::madvise(map, length, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) {
      auto failed = fail_file(fmt::format("have pages of record segment `{}`", path_));
      ::munmap(map, length);
      return failed;
    }
    map_ = static_cast<char*>(map);
    mapped_from_ = from;
    mapped_bytes_ = length;
    return {};
  }

  void unmap() {
    if (map_ != nullptr) ::munmap(map_, mapped_bytes_);
    map_ = nullptr;
    mapped_from_ = mapped_bytes_ = 0;
  }

  /// Leaves the file as long as what stands in it. Should that fail, readers take the zeros for its end.
  void give_up() {
    if (fd_) (void)truncate(size_);
    fd_.reset();
    size_ = 0;
  }

  std::string directory_;
  std::string worker_;
  std::string path_;
  UniqueFd fd_;
  uint64_t next_ = 1;
  uint64_t size_ = 0;  ///< stored so far
  char* map_ = nullptr;
  uint64_t mapped_from_ = 0;
  size_t mapped_bytes_ = 0;
};

class FileSource final : public SegmentSource {
 public:
  FileSource(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> read(uint64_t offset, size_t size, std::string& out) override {
    out.resize(size);
    size_t done = 0;
    while (done < size) {
      ssize_t got = ::pread(fd_.get(), out.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_file(fmt::format("read record segment `{}`", path_));
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    out.resize(done);
    return {};
  }

  bool being_written() override {
    struct flock lock = whole_file(F_RDLCK);
    return ::fcntl(fd_.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

Result<UniqueFd> open_file(const std::string& directory, const std::string& file, int flags) {
  std::string path = directory + "/" + file;
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return fail_file(fmt::format("record segment `{}`", path));
  return fd;
}

/// Makes the directory with mode 0700; one that others may write is refused.
Result<void> prepare_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_file(fmt::format("make record directory `{}`", directory));
  struct stat status {};
  if (::stat(directory.c_str(), &status) != 0) return fail_file(fmt::format("record directory `{}`", directory));
  if (!S_ISDIR(status.st_mode)) return fail(fmt::format("record directory `{}` is not a directory", directory));
  if (status.st_mode & 022) {
    return fail(fmt::format("record directory `{}` can be written by others", directory),
                fmt::format("chmod 0700 {}", directory));
  }
  return {};
}

}  // namespace

std::string segment_file_name(std::string_view worker, uint64_t number) {
  return fmt::format("{}-{:08}{}", worker, number, kSegmentSuffix);
}

bool parse_segment_file_name(std::string_view file, SegmentName& name) {
  if (!file.ends_with(kSegmentSuffix)) return false;
  std::string_view stem = file.substr(0, file.size() - kSegmentSuffix.size());
  size_t dash = stem.rfind('-');
  if (dash == std::string_view::npos || !is_worker_name(stem.substr(0, dash))) return false;
  std::string_view digits = stem.substr(dash + 1);
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), name.number);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.size() < 8) return false;
  name.worker = stem.substr(0, dash);
  name.file = file;
  return true;
}

Result<std::vector<SegmentName>> list_segments(const std::string& directory) {
  auto files = list_files(directory);
  if (!files) return std::unexpected(files.error());
  std::vector<SegmentName> segments;
  for (const std::string& file : *files) {
    if (SegmentName name; parse_segment_file_name(file, name)) segments.push_back(std::move(name));
  }
  std::ranges::sort(segments, [](const SegmentName& a, const SegmentName& b) {
    return a.worker != b.worker ? a.worker < b.worker : a.number < b.number;
  });
  return segments;
}

Result<std::unique_ptr<SegmentSource>> open_segment(const std::string& directory, const std::string& file) {
  auto fd = open_file(directory, file, O_RDONLY);
  if (!fd) return std::unexpected(fd.error());
  return std::make_unique<FileSource>(std::move(*fd), directory + "/" + file);
}

Result<void> overwrite_in_segment(const std::string& directory, const std::string& file, uint64_t offset,
                                  std::string_view bytes) {
  auto fd = open_file(directory, file, O_WRONLY);
  if (!fd) return std::unexpected(fd.error());
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd->get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_file(fmt::format("erase in record segment `{}`", file));
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  if (::fdatasync(fd->get()) != 0) return fail_file(fmt::format("sync record segment `{}`", file));
  return {};
}

Result<std::unique_ptr<Sink>> make_file_sink(FileSinkOptions options) {
  if (!is_worker_name(options.worker)) {
    return fail(fmt::format("record worker name `{}` is not 1 to 32 of a-z and 0-9", options.worker));
  }
  if (auto ready = prepare_directory(options.directory); !ready) return std::unexpected(ready.error());
  auto store = std::make_unique<FileStore>(options.directory, options.worker);
  auto writer = std::make_unique<LogWriter>(std::move(store), options.segment_bytes_max, options.fsync);
  if (auto begun = writer->begin(options.now_wall_ns); !begun) return std::unexpected(begun.error());
  return writer;
}

}  // namespace sallyport::record
