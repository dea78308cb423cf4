#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/packed_weights/packed_file.h"
#include "engine/packed_weights/packed_file_writer.h"
#include "tests/temp_folder.h"

using namespace krait;
using krait::test::TempFolder;

namespace {

constexpr std::uint64_t kIdentity = 0x1234'5678'9abc'def0U;
const std::atomic<bool> kGoOn = false;

Buffer buffer_of(std::size_t bytes, int first) {
  Buffer buffer{.data = std::shared_ptr<void>(new char[bytes], [](void* data) { delete[] static_cast<char*>(data); }),
                .bytes = bytes};
  for (std::size_t i = 0; i < bytes; ++i) {
    static_cast<char*>(buffer.data.get())[i] = static_cast<char>(static_cast<std::size_t>(first) + i * 31);
  }
  return buffer;
}

std::string text_of(const Buffer& buffer) { return {static_cast<const char*>(buffer.data.get()), buffer.bytes}; }

/// `large`: blocks of several pieces.
PackedImages images(bool large = false) {
  PackedImages all;
  all["a"] = {.form = "form of a", .blocks = {buffer_of(100, 1), buffer_of(64, 2)}};
  all["b"] = {.form = "", .blocks = {buffer_of(large ? 2 * kPackedPiece + 3 : 7, 3)}};
  all["none"] = {.form = "no bytes", .blocks = {}};
  return all;
}

void write(const std::string& path, const PackedImages& all, std::uint64_t identity = kIdentity) {
  auto writer = PackedFileWriter::begin(path);
  REQUIRE(writer.ok());
  REQUIRE(*writer != nullptr);
  const auto written = (*writer)->write(all, identity, kGoOn);
  REQUIRE(written.ok());
  CHECK(*written == std::filesystem::file_size(path));
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void check_same(const PackedImages& found, const PackedImages& expected) {
  REQUIRE(found.size() == expected.size());
  for (const auto& [key, image] : expected) {
    CAPTURE(key);
    REQUIRE(found.contains(key));
    CHECK(found.at(key).form == image.form);
    REQUIRE(found.at(key).blocks.size() == image.blocks.size());
    for (std::size_t i = 0; i < image.blocks.size(); ++i) {
      const Buffer& block = found.at(key).blocks[i];
      CHECK(reinterpret_cast<std::uintptr_t>(block.data.get()) % kPackedAlignment == 0);
      CHECK(text_of(block) == text_of(image.blocks[i]));
    }
  }
}

std::vector<std::string> names_in(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

/// Files of this process can have no more than so many bytes, as if the disk were full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a file of packed weights gives back what was written") {
  const TempFolder folder;
  for (const bool large : {false, true}) {
    for (const int threads : {1, 2, 5}) {
      CAPTURE(large, threads);
      write(folder.file("w"), images(large));
      PackedImages found;
      {
        auto file = PackedFile::open(folder.file("w"), kIdentity, threads);
        REQUIRE(file.ok());
        CHECK(file->bytes() == std::filesystem::file_size(folder.file("w")));
        found = file->images();
      }
      // The blocks outlive the object, and the file's name.
      std::filesystem::remove(folder.file("w"));
      check_same(found, images(large));
    }
  }
  write(folder.file("empty"), {});
  CHECK(PackedFile::open(folder.file("empty"), kIdentity, 1).ok());
}

TEST_CASE("every damaged byte and every cut of a file of packed weights is noticed") {
  const TempFolder folder;
  const std::string path = folder.file("w");
  write(path, images());
  const std::string whole = read_bytes(path);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    folder.write("w", bytes);
    const auto file = PackedFile::open(path, kIdentity, 1);
    REQUIRE_FALSE(file.ok());
    CHECK(file.error().message.find(path) == 0);
  }
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    folder.write("w", whole.substr(0, size));
    REQUIRE_FALSE(PackedFile::open(path, kIdentity, 1).ok());
  }
  folder.write("w", whole + whole);
  CHECK_FALSE(PackedFile::open(path, kIdentity, 1).ok());
  folder.write("w", whole + "x");
  CHECK_FALSE(PackedFile::open(path, kIdentity, 1).ok());
}

TEST_CASE("a file of packed weights that is none says why") {
  const TempFolder folder;
  const std::string path = folder.file("w");
  const auto why = [&](std::uint64_t identity = kIdentity) {
    const auto file = PackedFile::open(path, identity, 1);
    REQUIRE_FALSE(file.ok());
    // A damaged block is not looked at.
    if (file.error().message.find("weights does not match") == std::string::npos) {
      const Status peeked = PackedFile::peek(path, identity);
      REQUIRE_FALSE(peeked.ok());
      CHECK(peeked.error().message == file.error().message);
    }
    return file.error();
  };
  CHECK(why().code == ErrorCode::kNotFound);
  folder.write("w", "");
  CHECK(why().code == ErrorCode::kInvalidArgument);
  folder.write("w", std::string(4096, 'x'));
  CHECK(why().message == path + " is truncated, or no file of packed weights");
  write(path, images());
  CHECK(PackedFile::peek(path, kIdentity).ok());
  CHECK(why(kIdentity + 1).code == ErrorCode::kUnsupported);
  CHECK(why(kIdentity + 1).message.find("another state of the checkpoint") != std::string::npos);

  // The version lies behind four numbers; the trailer's checksum is not asked before.
  std::string bytes = read_bytes(path);
  bytes[bytes.size() - kPackedTrailerBytes + 4 * sizeof(std::uint64_t)] = 9;
  folder.write("w", bytes);
  CHECK(why().code == ErrorCode::kUnsupported);
  CHECK(why().message == path + " has format version 9, not 1");

  write(path, images());
  bytes = read_bytes(path);
  bytes[70] = static_cast<char>(bytes[70] + 1);
  folder.write("w", bytes);
  CHECK(why().message == path + " is damaged: a checksum of its weights does not match");
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  CHECK(why().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("one writer at a time has the file") {
  const TempFolder folder;
  const std::string path = folder.file("w");
  auto first = PackedFileWriter::begin(path);
  REQUIRE((first.ok() && *first != nullptr));
  const auto second = PackedFileWriter::begin(path);
  REQUIRE(second.ok());
  CHECK(*second == nullptr);
  REQUIRE((*first)->write(images(), kIdentity, kGoOn).ok());
  CHECK(names_in(folder) == std::vector<std::string>{"w"});
  // The next one does not touch the file before its own is whole.
  {
    auto third = PackedFileWriter::begin(path);
    REQUIRE((third.ok() && *third != nullptr));
    CHECK(PackedFile::open(path, kIdentity, 1).ok());
    REQUIRE((*third)->write(images(true), kIdentity + 1, kGoOn).ok());
  }
  CHECK(PackedFile::open(path, kIdentity + 1, 1).ok());
  CHECK(names_in(folder) == std::vector<std::string>{"w"});
}

TEST_CASE("what a killed writer has left is overwritten") {
  const TempFolder folder;
  folder.write("w.partial", std::string(100'000, 'x'));
  write(folder.file("w"), images());
  CHECK(PackedFile::open(folder.file("w"), kIdentity, 1).ok());
  CHECK(names_in(folder) == std::vector<std::string>{"w"});
}

TEST_CASE("a writer that is given up, stopped or out of disk leaves the old file and nothing else") {
  const TempFolder folder;
  const std::string path = folder.file("w");
  write(path, images());
  { const auto given_up = PackedFileWriter::begin(path); }
  {
    auto writer = PackedFileWriter::begin(path);
    const std::atomic<bool> stop = true;
    const auto written = (*writer)->write(images(true), kIdentity, stop);
    REQUIRE_FALSE(written.ok());
    CHECK(written.error().code == ErrorCode::kCancelled);
  }
  {
    const FileSizeLimit limit(kPackedPiece);
    auto writer = PackedFileWriter::begin(path);
    const auto written = (*writer)->write(images(true), kIdentity, kGoOn);
    REQUIRE_FALSE(written.ok());
    CHECK(written.error().code == ErrorCode::kUnavailable);
    CHECK(written.error().message.find(path + ".partial cannot be written: ") == 0);
  }
  CHECK(names_in(folder) == std::vector<std::string>{"w"});
  const auto file = PackedFile::open(path, kIdentity, 1);
  REQUIRE(file.ok());
  check_same(file->images(), images());
}

TEST_CASE("a file that cannot be created says which and why") {
  const TempFolder folder;
  const auto nowhere = PackedFileWriter::begin(folder.file("nowhere/w"));
  REQUIRE_FALSE(nowhere.ok());
  CHECK(nowhere.error().message == folder.file("nowhere/w.partial") + " cannot be created: No such file or directory");
}
