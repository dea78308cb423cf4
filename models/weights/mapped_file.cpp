#include "models/weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <system_error>

#include "kernels/result.h"

namespace krait {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = path + ": " + message, .field = path});
}

/// Of the system call just made, in words.
std::string last_error() { return std::system_category().message(errno); }

/// Closes itself; the mapping outlives it.
class FileDescriptor {
 public:
  /// Not blocking, so that a named pipe in the place of a file is refused instead of waited for.
  explicit FileDescriptor(const std::string& path) : value_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (value_ < 0) fail(path, errno == ENOENT ? "no such file" : "cannot be opened: " + last_error());
  }
  ~FileDescriptor() { ::close(value_); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

FileStamp stamp_of(const struct stat& status) {
  const auto nanoseconds = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_nsec};
  };
  return {.bytes = static_cast<std::uint64_t>(status.st_size),
          .modified_ns = nanoseconds(status.st_mtim),
          .changed_ns = nanoseconds(status.st_ctim)};
}

/// An empty file is refused here because mmap would refuse it with a message that nobody understands.
FileStamp regular_file(const FileDescriptor& file, const std::string& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail(path, "cannot be read: " + last_error());
  if (!S_ISREG(status.st_mode)) fail(path, "is not a regular file");
  if (status.st_size == 0) fail(path, "is empty");
  return stamp_of(status);
}

}  // namespace

std::optional<FileStamp> file_stamp(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return stamp_of(status);
}

MappedFile::MappedFile(const std::string& path) {
  const FileDescriptor file(path);
  stamp_ = regular_file(file, path);
  size_ = static_cast<std::size_t>(stamp_.bytes);
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail(path, "cannot be mapped into memory: " + last_error());
  data_ = static_cast<const std::byte*>(address);
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(data_), size_); }

// std::less_equal orders pointers into different objects, which `<=` leaves unspecified.
bool MappedFile::contains(const void* address) const {
  const std::less_equal<const void*> not_after;
  return not_after(data_, address) && !not_after(data_ + size_, address);
}

void MappedFile::discard(std::span<const std::byte> range) const {
  // Rounded inwards: the pages at the ends are shared with neighbours that may not have been read yet.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(range.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(range.data() + range.size()) / page * page;
  // A hint: where the system does not take it, nothing is lost but memory.
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace krait
